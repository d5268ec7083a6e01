"""Padding, in every mode of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.numpy.common import array_function, as_array, cast_to, renewed
from tracer.numpy.indexing import take_along
from tracer.numpy.reductions import max as max_of
from tracer.numpy.reductions import mean
from tracer.numpy.reductions import min as min_of
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.shapes import moveaxis
from tracer.numpy.statistics import median
from tracer.primitives import shape as primitive
from tracer.primitives.arithmetic import rint
from tracer.primitives.broadcast import broadcast_to
from tracer.primitives.cast import cast
from tracer.primitives.comparison import select
from tracer.primitives.shape import concatenate, slice_axis
from tracer.trace import Tracer
from tracer.types import is_inexact

_INDEXED = ("edge", "reflect", "symmetric", "wrap")
_STATISTICS: dict[str, Callable[..., Any]] = {
    "maximum": max_of,
    "minimum": min_of,
    "mean": mean,
    "median": median,
}


def _pairs(value: Any, rank: int) -> list[tuple[Any, Any]]:
    """(before, after) for each axis, from a number, a pair or a list of pairs."""
    if type(value) is Tracer and not value.shape:
        return [(value, value)] * rank
    if isinstance(value, (list, tuple)) and any(type(item) is Tracer for item in value):
        return [(value[0], value[-1])] * rank
    table = np.broadcast_to(np.asarray(value), (rank, 2))
    return [(before, after) for before, after in table]


def _widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        table = [(0, 0)] * rank
        for axis, width in pad_width.items():
            table[axis] = (width, width) if np.ndim(width) == 0 else tuple(width)
        pad_width = table
    pairs = [(int(before), int(after)) for before, after in _pairs(pad_width, rank)]
    if any(before < 0 or after < 0 for before, after in pairs):
        raise ValueError("index can't contain negative values")
    return pairs


def _constant(x: Any, widths: list[tuple[int, int]], values: Any) -> Any:
    pairs = _pairs(values, x.ndim)
    first = pairs[0][0] if pairs else 0
    if type(first) is not Tracer and all(
        type(value) is not Tracer and value == first for pair in pairs for value in pair
    ):
        low, high = tuple(pair[0] for pair in widths), tuple(pair[1] for pair in widths)
        return primitive.pad(x, cast_to(first, x.dtype)[()], low, high, (0,) * x.ndim)
    for axis, ((before, after), sides) in enumerate(zip(widths, pairs, strict=True)):
        shape = list(x.shape)
        parts = []
        for count, value in ((before, sides[0]), (after, sides[1])):
            shape[axis] = count
            parts.append(broadcast_to(cast_to(value, x.dtype), tuple(shape)))
        x = concatenate([parts[0], x, parts[1]], axis)
    return x


def _odd(x: Any, axis: int, width: tuple[int, int], mode: str) -> Any:
    """Odd reflections: each element is a sum of few, by a row of NumPy's padded unit matrix."""
    length = x.shape[axis]
    options: Any = {"mode": mode, "reflect_type": "odd"}
    unit = np.pad(np.eye(length), (width, (0, 0)), **options)
    sides = []
    for matrix in (unit[: width[0]], unit[width[0] + length :]):
        most = int(np.max(np.count_nonzero(matrix, axis=1), initial=1))
        places = np.argsort(matrix == 0, axis=1, kind="stable")[:, :most]
        weights = np.take_along_axis(matrix, places, axis=1)
        shape = [1] * (x.ndim + 1)
        shape[axis : axis + 2] = weights.shape
        weights = weights.reshape(shape)
        terms = take_along(x, places, axis) * weights.astype(x.dtype)
        sides.append(sum_of(select(weights == 0, x.dtype.type(0), terms), axis + 1))
    return concatenate([cast(sides[0], x.dtype), x, cast(sides[1], x.dtype)], axis)


def _ramp(x: Any, axis: int, width: tuple[int, int], ends: tuple[Any, Any]) -> Any:
    """Linear ramps to the end values."""
    from tracer.numpy.creation import linspace

    length = x.shape[axis]
    sides = []
    for side, place in ((0, 0), (1, length - 1)):
        count, end = width[side], ends[side]
        edge = slice_axis(x, axis, place, place + 1)
        edge = edge.reshape(tuple(n for k, n in enumerate(x.shape) if k != axis))
        ramp = linspace(cast_to(end, x.dtype), edge, count, False, dtype=x.dtype, axis=axis)
        sides.append(ramp if side == 0 else primitive.flip(ramp, (axis,)))
    return concatenate([sides[0], x, sides[1]], axis)


def _statistic(
    x: Any, axis: int, width: tuple[int, int], mode: str, lengths: tuple[Any, Any]
) -> Any:
    extent = x.shape[axis]
    sides = []
    for count, length, first in ((width[0], lengths[0], True), (width[1], lengths[1], False)):
        span = extent if length is None else min(int(length), extent)
        begin, end = (0, span) if first else (extent - span, extent)
        value = _STATISTICS[mode](slice_axis(x, axis, begin, end), axis=axis, keepdims=True)
        if is_inexact(value.dtype) and x.dtype.kind in "iu":
            value = rint(value)
        shape = tuple(count if n == axis else have for n, have in enumerate(x.shape))
        sides.append(broadcast_to(cast(value, x.dtype), shape))
    return concatenate([sides[0], x, sides[1]], axis)


def _pad_axis(x: Any, axis: int, width: tuple[int, int], mode: str, kwargs: dict[str, Any]) -> Any:
    length = x.shape[axis]
    if mode == "empty":
        return _constant(x, [width if n == axis else (0, 0) for n in range(x.ndim)], 0)
    if mode in _INDEXED and kwargs.get("reflect_type", "even") == "even":
        places = np.pad(np.arange(length), width, mode)  # type: ignore[call-overload]
        return take_along(x, places, axis)
    if mode in _INDEXED:
        return _odd(x, axis, width, mode)
    if mode == "linear_ramp":
        return _ramp(x, axis, width, _pairs(kwargs.get("end_values", 0), x.ndim)[axis])
    lengths: tuple[Any, Any] = (None, None)
    if kwargs.get("stat_length") is not None:
        lengths = _pairs(kwargs["stat_length"], x.ndim)[axis]
    return _statistic(x, axis, width, mode, lengths)


def _filled_by(
    function: Callable[..., Any], x: Any, widths: list[tuple[int, int]], kwargs: dict[str, Any]
) -> Any:
    """Zeros around, which a function of (row, width, axis, options) writes to, row after row."""
    padded = renewed(_constant(x, widths, 0))
    for axis, width in enumerate(widths):
        rows = moveaxis(padded, axis, -1)
        for place in np.ndindex(rows.shape[:-1]):
            function(rows[(*place, Ellipsis)], width, axis, kwargs)
    return padded


@array_function(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """The array made longer on each side of each axis."""
    x = as_array(array)
    widths = _widths(pad_width, x.ndim)
    if callable(mode):
        return _filled_by(mode, x, widths, kwargs)
    if mode == "constant":
        return renewed(_constant(x, widths, kwargs.get("constant_values", 0)))
    if mode not in (*_INDEXED, *_STATISTICS, "linear_ramp", "empty"):
        raise ValueError(f"mode '{mode}' is not supported")
    for axis, width in enumerate(widths):
        if width != (0, 0):
            if x.shape[axis] == 0 and mode != "empty":
                raise ValueError(
                    f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'"
                )
            x = _pad_axis(x, axis, width, mode, kwargs)
    return renewed(x)
