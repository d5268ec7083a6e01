"""Differences, integrals, interpolation and convolution of sampled functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.numpy.common import (
    Axis,
    array_function,
    as_array,
    as_arrays,
    as_real,
    axis_tuple,
    cast_to,
)
from tracer.numpy.contractions import alike
from tracer.numpy.cumulative import check_numbers, check_spacing, diff
from tracer.numpy.elementwise import clip, where
from tracer.numpy.gathering import take
from tracer.numpy.indexing import index_view
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.sorting import argsort, searchsorted
from tracer.primitives.arithmetic import conjugate, remainder
from tracer.primitives.broadcast import reshape
from tracer.primitives.comparison import (
    equal,
    greater,
    isnan,
    less,
    logical_and,
    logical_or,
)
from tracer.primitives.convolve import convolve as convolve_full
from tracer.primitives.shape import concatenate, flip, slice_axis
from tracer.types import FLOAT64, is_complex, normalize_axis


def _shape_like(values: Any, rank: int, axis: int) -> Any:
    shape = [1] * rank
    shape[axis] = values.shape[0]
    return reshape(values, tuple(shape))


def _inner(x: Any, steps: Any, axis: int) -> Any:
    length = x.shape[axis]
    before = slice_axis(x, axis, 0, length - 2)
    middle = slice_axis(x, axis, 1, length - 1)
    after = slice_axis(x, axis, 2, length)
    if not steps.ndim:
        return (after - before) / (2.0 * steps)
    first = _shape_like(slice_axis(steps, 0, 0, length - 2), x.ndim, axis)
    second = _shape_like(slice_axis(steps, 0, 1, length - 1), x.ndim, axis)
    of_before = -second / (first * (first + second))
    of_middle = (second - first) / (first * second)
    of_after = first / (second * (first + second))
    return of_before * before + of_middle * middle + of_after * after


def _edges(x: Any, steps: Any, axis: int, order: int) -> tuple[Any, Any]:
    """The one-sided differences at both ends."""
    length = x.shape[axis]

    def at(place: int) -> Any:
        place %= length
        return slice_axis(x, axis, place, place + 1)

    first = index_view(steps, 0) if steps.ndim else steps
    last = index_view(steps, -1) if steps.ndim else steps
    if order == 1:
        return (at(1) - at(0)) / first, (at(-1) - at(-2)) / last
    second = index_view(steps, 1) if steps.ndim else steps
    before = index_view(steps, -2) if steps.ndim else steps
    low = (
        -(2.0 * first + second) / (first * (first + second)) * at(0)
        + (first + second) / (first * second) * at(1)
        - first / (second * (first + second)) * at(2)
    )
    high = (
        last / (before * (before + last)) * at(-3)
        - (last + before) / (before * last) * at(-2)
        + (2.0 * last + before) / (last * (before + last)) * at(-1)
    )
    return low, high


def _spacings(varargs: Any, x: Any, axes: tuple[int, ...]) -> list[Any]:
    if not varargs:
        return [np.asarray(1.0)] * len(axes)
    given_ones = as_arrays(*varargs)
    if len(given_ones) == 1 and not given_ones[0].shape:
        return given_ones * len(axes)
    if len(given_ones) != len(axes):
        raise TypeError("invalid number of arguments")
    result = []
    for spacing, axis in zip(given_ones, axes, strict=True):
        if len(spacing.shape) > 1:
            raise ValueError("distances must be either scalars or 1d")
        check_spacing(spacing, x, axis)
        result.append(diff(spacing) if spacing.shape else spacing)
    return result


@array_function(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Axis = None, edge_order: int = 1) -> Any:
    """Central differences inside, one-sided ones at the ends."""
    x = as_array(f)
    check_numbers(x)
    axes = axis_tuple(axis, len(x.shape))
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    x = x if x.dtype.kind in "fc" else cast_to(x, FLOAT64)
    results = []
    for place, steps in zip(axes, _spacings(varargs, x, axes), strict=True):
        if x.shape[place] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, at least "
                "(edge_order + "
                "1) elements are required."
            )
        low, high = _edges(x, steps, place, edge_order)
        parts = [low, _inner(x, steps, place), high] if x.shape[place] > 2 else [low, high]
        results.append(concatenate([cast_to(part, x.dtype) for part in parts], place))
    return results[0] if len(axes) == 1 else tuple(results)


@array_function(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral by the trapezoidal rule."""
    y = as_array(y)
    place = normalize_axis(axis, y.ndim)
    steps = dx
    if x is not None:
        x = as_array(x)
        steps = _shape_like(diff(x), y.ndim, place) if x.ndim == 1 else diff(x, axis=axis)
    length = y.shape[place]
    later = slice_axis(y, place, min(1, length), length)
    return sum_of(steps * (later + slice_axis(y, place, 0, max(length - 1, 0))) / 2.0, axis)


@array_function(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Piecewise linear interpolation, differentiable in the places, the nodes and the values."""
    places, nodes, values = as_arrays(x, xp, fp)
    places, nodes = as_real(places, FLOAT64, "interp"), as_real(nodes, FLOAT64, "interp")
    values = cast_to(values, np.complex128 if is_complex(values.dtype) else FLOAT64)
    if nodes.shape != values.shape or nodes.ndim != 1:
        raise ValueError("fp and xp are not of the same length.")
    if nodes.shape[0] == 0:
        raise ValueError("array of sample points is empty")
    if period is not None:
        places, nodes, values = _periodic(places, nodes, values, abs(period))
        left = right = None
    last = nodes.shape[0] - 1
    low = index_view(values, 0) if left is None else left
    high = index_view(values, last) if right is None else right
    if last == 0:
        inside: Any = index_view(values, 0)
    else:
        k = clip(searchsorted(nodes, places, "right") - 1, 0, last - 1)
        begin, end = take(nodes, k), take(nodes, k + 1)
        first, second = take(values, k), take(values, k + 1)
        gap = end - begin
        flat = equal(gap, 0)
        slope = (second - first) / where(flat, 1.0, gap)
        inside = _on_line((begin, end), (first, second), slope, places)
    result = where(less(places, index_view(nodes, 0)), low, inside)
    result = where(greater(places, index_view(nodes, last)), high, result)
    return where(equal(places, places), result, places)


def _on_line(nodes: Any, values: Any, slope: Any, places: Any) -> Any:
    """The value between two nodes, from the nearer formula that is finite; exact at the nodes."""
    (begin, end), (first, second) = nodes, values
    from_first, from_second = first + slope * (places - begin), second + slope * (places - end)
    result = where(equal(places, end), from_second, from_first)
    result = where(isnan(result), from_second, result)
    constant = logical_and(isnan(result), equal(first, second))
    result = where(logical_or(constant, _lost(places, begin, result)), first, result)
    return where(_lost(places, end, result), second, result)


def _lost(places: Any, node: Any, result: Any) -> Any:
    """Where a place is a node, and an infinite slope has left no number of its value."""
    return logical_and(equal(places, node), isnan(result))


def _periodic(places: Any, nodes: Any, values: Any, period: Any) -> tuple[Any, Any, Any]:
    places, nodes = remainder(places, period), remainder(nodes, period)
    order = argsort(nodes)
    nodes, values = take(nodes, order), take(values, order)
    last = nodes.shape[0] - 1
    nodes = concatenate(
        [slice_axis(nodes, 0, last, last + 1) - period, nodes, slice_axis(nodes, 0, 0, 1) + period],
        0,
    )
    values = concatenate(
        [slice_axis(values, 0, last, last + 1), values, slice_axis(values, 0, 0, 1)], 0
    )
    return places, nodes, values


_MODES = {0: "valid", 1: "same", 2: "full"}


def _cut(full: Any, n: int, m: int, mode: Any) -> Any:
    mode = _MODES.get(mode, mode)
    longer, shorter = max(n, m), min(n, m)
    if mode == "full":
        return full
    if mode == "same":
        start = (shorter - 1) // 2
        return slice_axis(full, 0, start, start + longer)
    if mode == "valid":
        return slice_axis(full, 0, shorter - 1, longer)
    raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")


def _sequences(a: Any, v: Any) -> tuple[Any, Any]:
    x, y = (reshape(item, (1,)) if not item.shape else item for item in alike(a, v))
    if not x.shape[0]:
        raise ValueError("a cannot be empty")
    if not y.shape[0]:
        raise ValueError("v cannot be empty")
    return x, y


@array_function(np.convolve)
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """The convolution of two sequences."""
    x, y = _sequences(a, v)
    return _cut(convolve_full(x, y), x.shape[0], y.shape[0], mode)


@array_function(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The correlation of two sequences, the second conjugated."""
    x, y = _sequences(a, v)
    n, m = x.shape[0], y.shape[0]
    full = convolve_full(x, flip(conjugate(y) if is_complex(y.dtype) else y, (0,)))
    if n < m and _MODES.get(mode, mode) == "same":
        # NumPy exchanges the operands and reverses, which shifts the middle of an even length
        start = (n - 1) - (n - 1) // 2
        return slice_axis(full, 0, start, start + m)
    return _cut(full, n, m, mode)
