"""Running sums, products and extremes, and differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import method
from tracer.errors import DTypeError, ShapeError
from tracer.numpy.common import (
    NO_VALUE,
    array_function,
    as_array,
    as_arrays,
    as_dtype,
    cast_to,
    given,
    given_dtype,
    store,
    where_text,
)
from tracer.numpy.reductions import accumulator
from tracer.primitives import running
from tracer.primitives.arithmetic import subtract
from tracer.primitives.broadcast import broadcast_to, keep_axes, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import isnan, not_equal, select
from tracer.primitives.shape import concatenate, slice_axis
from tracer.types import BOOL, is_inexact, normalize_axis


def _along(x: Any, axis: int | None) -> tuple[Any, int]:
    """The array and axis of a running operation; None is one row of all elements."""
    if axis is None or not x.shape:
        if axis is not None:
            normalize_axis(axis, 1)
        return reshape(x, (math.prod(x.shape),)), 0
    return x, normalize_axis(axis, len(x.shape))


@method("cumsum")
@array_function(np.cumsum)
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Running sums."""
    x = as_array(a)
    dtype = given_dtype(x, dtype, out)
    x = cast(x, as_dtype(dtype) if dtype is not None else accumulator(x.dtype))
    return store(running.cumsum(*_along(x, axis)), out)


@method("cumprod")
@array_function(np.cumprod)
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Running products; the derivative is right where factors are 0."""
    x = as_array(a)
    dtype = given_dtype(x, dtype, out)
    x = cast(x, as_dtype(dtype) if dtype is not None else accumulator(x.dtype))
    return store(running.cumprod(*_along(x, axis)), out)


def running_max(x: Any, axis: int | None) -> Any:
    """Running maxima, as `np.maximum.accumulate`."""
    return running.cummax(*_along(x, axis))


def running_min(x: Any, axis: int | None) -> Any:
    """Running minima, as `np.minimum.accumulate`."""
    return running.cummin(*_along(x, axis))


def _without_nan(a: Any, value: Any) -> Any:
    x = as_array(a)
    return select(isnan(x), x.dtype.type(value), x) if is_inexact(x.dtype) else x


@array_function(np.nancumsum)
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Running sums, NaN counting as 0."""
    return cumsum(_without_nan(a, 0), axis, dtype, out)


@array_function(np.nancumprod)
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """Running products, NaN counting as 1."""
    return cumprod(_without_nan(a, 1), axis, dtype, out)


def _with_initial(
    running: Callable[..., Any],
    x: Any,
    first: Any,
    options: tuple[Any, Any, Any, bool],
) -> Any:
    axis, dtype, out, include = options
    x = as_array(x)
    if axis is None:
        if x.ndim > 1:
            raise ValueError(
                "For arrays which have more than one dimension ``axis`` argument is required."
            )
        axis = 0
    result = running(x, axis, dtype)
    if include:
        place = normalize_axis(axis, result.ndim)
        shape = keep_axes(result.shape, (place,))
        result = concatenate([np.full(shape, first, result.dtype), result], place)
    return store(result, out)


@array_function(np.cumulative_sum)
def cumulative_sum(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    out: Any = None,
    include_initial: bool = False,
) -> Any:
    """Running sums, by the array API's rules."""
    return _with_initial(cumsum, x, 0, (axis, dtype, out, include_initial))


@array_function(np.cumulative_prod)
def cumulative_prod(
    x: Any,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    out: Any = None,
    include_initial: bool = False,
) -> Any:
    """Running products, by the array API's rules."""
    return _with_initial(cumprod, x, 1, (axis, dtype, out, include_initial))


def _edge(value: Any, x: Any, axis: int) -> Any:
    """`prepend` or `append` of a difference: a number stands for one more element."""
    value = as_array(value)
    if value.ndim:
        return value
    return broadcast_to(value, keep_axes(x.shape, (axis,)))


@array_function(np.diff)
def diff(
    a: Any, n: int = 1, axis: int = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE
) -> Any:
    """Differences of neighbours, `n` times."""
    x = as_array(a)
    if n == 0:
        return x
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    if x.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    place = normalize_axis(axis, x.ndim)
    if given(prepend) or given(append):
        from tracer.numpy.joining import concatenate as join

        parts = [_edge(prepend, x, place)] if given(prepend) else []
        parts.append(x)
        parts += [_edge(append, x, place)] if given(append) else []
        x = join(parts, place)
    combine = not_equal if x.dtype == BOOL else subtract
    for _ in range(n):
        length = x.shape[place]
        later = slice_axis(x, place, min(1, length), length)
        x = combine(later, slice_axis(x, place, 0, max(length - 1, 0)))
    return x


@array_function(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours of all elements in one row."""
    x, _ = _along(as_array(ary), None)
    check_numbers(x)
    result = diff(x)
    parts = [result]
    for edge, place in ((to_begin, 0), (to_end, len(parts) + 1)):
        if edge is not None:
            (value,) = as_arrays(edge)
            if not np.can_cast(value.dtype, x.dtype, "same_kind"):
                raise TypeError("dtype of `to_end` must be compatible with input `ary`")
            parts.insert(place, reshape(cast_to(value, x.dtype), (math.prod(value.shape),)))
    return concatenate(parts, 0)


def check_numbers(x: Any) -> None:
    """`DTypeError` for booleans, which NumPy does not subtract."""
    if x.dtype == BOOL:
        raise DTypeError(
            f"{where_text()}numpy boolean subtract, the `-` operator, is not supported; convert "
            "the booleans, or use bitwise_xor"
        )


def check_spacing(spacing: Any, x: Any, axis: int) -> None:
    """`ShapeError` unless a 1-d spacing has the length of the axis."""
    if spacing.ndim and spacing.shape[0] != x.shape[axis]:
        raise ShapeError(
            f"{where_text()}when 1d, distances must match the length of the corresponding dimension"
        )
