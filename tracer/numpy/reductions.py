"""Sums, products, extremes, means and their like, over axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import method
from tracer.errors import DTypeError
from tracer.numpy.common import (
    NO_VALUE,
    Axis,
    array_function,
    as_array,
    as_dtype,
    axis_tuple,
    cast_to,
    given,
    given_dtype,
    renewed,
    store,
    where_text,
)
from tracer.primitives import reduce as primitive
from tracer.primitives.arithmetic import add, divide_p, maximum, minimum, multiply, square
from tracer.primitives.broadcast import broadcast_to, keep_axes, reduce_sum, reshape
from tracer.primitives.cast import cast, imag_part, real_part
from tracer.primitives.comparison import not_equal, select
from tracer.primitives.roots import magnitude
from tracer.primitives.shape import concatenate, slice_axis
from tracer.trace import bind, is_abstract
from tracer.types import (
    BOOL,
    INT64,
    DType,
    Shape,
    broadcast_shapes,
    is_complex,
    is_half,
    is_inexact,
    normalize_axis,
    real_dtype,
)

UINT64 = np.dtype(np.uint64)
FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


def accumulator(dtype: DType) -> DType:
    """The dtype in which NumPy sums: short integers in the long ones of their kind."""
    if dtype.kind in "bi" and dtype.itemsize < 8:
        return INT64
    if dtype.kind == "u" and dtype.itemsize < 8:
        return UINT64
    return dtype


def _masked(x: Any, where: Any, identity: Any) -> Any:
    """`x` with the identity where it does not take part."""
    if where is NO_VALUE or where is True:
        return x
    where = cast_to(where, BOOL)
    return select(where, x, x.dtype.type(identity))


def _wide(x: Any, where: Any) -> Shape:
    """The shape to which `x` and `where` broadcast."""
    if where is NO_VALUE or where is True:
        return x.shape  # type: ignore[no-any-return]
    return broadcast_shapes(x.shape, as_array(where).shape)


def _finish(x: Any, result: Any, axes: tuple[int, ...], shape: Shape, keepdims: Any) -> Any:
    if keepdims is not NO_VALUE and keepdims:
        result = reshape(result, keep_axes(shape, axes))
    return renewed(result) if result is x else result


def _fold(
    x: Any,
    reduction: Callable[..., Any],
    combine: Callable[..., Any],
    identity: Any,
    options: tuple[Axis, Any, Any, Any],
) -> Any:
    axis, keepdims, initial, where = options
    if initial is NO_VALUE and where is NO_VALUE:
        axes = axis_tuple(axis, len(x.shape), loose=True)
        return _finish(x, reduction(x, axes), axes, x.shape, keepdims)
    shape = _wide(x, where)
    axes = axis_tuple(axis, len(shape), loose=True)
    needs_initial = identity is None
    if where is not NO_VALUE and where is not True and identity is None:
        if not given(initial):
            raise ValueError(
                f"{where_text()}reduction operation '{combine.__name__}' does not have an identity"
                ", so to use a where mask one has to specify 'initial'"
            )
        identity = initial
    source = broadcast_to(_masked(x, where, identity), shape)
    if needs_initial and given(initial) and math.prod(shape[axis] for axis in axes) == 0:
        kept = tuple(extent for place, extent in enumerate(shape) if place not in axes)
        result = broadcast_to(cast_to(initial, x.dtype), kept)
    else:
        result = reduction(source, axes)
        if given(initial):
            result = combine(result, cast_to(initial, result.dtype))
    return _finish(x, result, axes, shape, keepdims)


@method("sum")
@array_function(np.sum)
def sum(  # NumPy's names are Python's here and below
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The sum over `axis`."""
    x = as_array(a)
    dtype = given_dtype(x, dtype, out)
    x = cast(x, as_dtype(dtype) if dtype is not None else accumulator(x.dtype))
    return store(_fold(x, reduce_sum, add, 0, (axis, keepdims, initial, where)), out)


@method("prod")
@array_function(np.prod)
def prod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The product over `axis`."""
    x = as_array(a)
    dtype = given_dtype(x, dtype, out)
    x = cast(x, as_dtype(dtype) if dtype is not None else accumulator(x.dtype))
    options = (axis, keepdims, initial, where)
    return store(_fold(x, primitive.reduce_prod, multiply, 1, options), out)


def _extreme(whole: Callable[..., Any], pair: Callable[..., Any]) -> Callable[..., Any]:
    """A largest or smallest element; of complex numbers in compiled code by halves, pair by pair:
    loops know the order of real numbers."""

    def reduction(x: Any, axes: tuple[int, ...]) -> Any:
        if not is_complex(x.dtype) or not is_abstract(x) or 0 in x.shape:
            return whole(x, axes)
        for axis in sorted(axes, reverse=True):
            while x.shape[axis] > 1:
                length = x.shape[axis]
                half = length // 2
                low, high = slice_axis(x, axis, 0, half), slice_axis(x, axis, half, 2 * half)
                rest = [slice_axis(x, axis, 2 * half, length)] if length % 2 else []
                x = concatenate([pair(low, high), *rest], axis) if rest else pair(low, high)
            x = reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))
        return x

    return reduction


_largest = _extreme(primitive.reduce_max, maximum)
_smallest = _extreme(primitive.reduce_min, minimum)


@method("max")
@array_function(np.max)
def max(
    a: Any,
    axis: Axis = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The maximum over `axis`; equal ones share the derivative equally."""
    options = (axis, keepdims, initial, where)
    return store(_fold(as_array(a), _largest, maximum, None, options), out)


@method("min")
@array_function(np.min)
def min(
    a: Any,
    axis: Axis = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The minimum over `axis`; equal ones share the derivative equally."""
    options = (axis, keepdims, initial, where)
    return store(_fold(as_array(a), _smallest, minimum, None, options), out)


@array_function(np.amax)
def amax(*args: Any, **kwargs: Any) -> Any:
    """NumPy's other name of `max`."""
    return max(*args, **kwargs)


@array_function(np.amin)
def amin(*args: Any, **kwargs: Any) -> Any:
    """NumPy's other name of `min`."""
    return min(*args, **kwargs)


def truth(x: Any) -> Any:
    """Whether each element is other than 0."""
    x = as_array(x)
    return x if x.dtype == BOOL else not_equal(x, x.dtype.type(0))


@method("any")
@array_function(np.any)
def any(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Any:
    """Whether any element over `axis` is other than 0."""
    options = (axis, keepdims, NO_VALUE, where)
    return store(_fold(truth(a), primitive.reduce_or, add, False, options), out, "unsafe")


@method("all")
@array_function(np.all)
def all(
    a: Any, axis: Axis = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Any:
    """Whether all elements over `axis` are other than 0."""
    options = (axis, keepdims, NO_VALUE, where)
    return store(_fold(truth(a), primitive.reduce_and, multiply, True, options), out, "unsafe")


@array_function(np.count_nonzero)
def count_nonzero(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
    """How many elements over `axis` are other than 0."""
    return sum(truth(a), axis, keepdims=keepdims)


@array_function(np.ptp)
def ptp(a: Any, axis: Axis = None, out: Any = None, keepdims: Any = NO_VALUE) -> Any:
    """Maximum less minimum."""
    return store(max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims), out)


def _argument(choose: Callable[..., Any], a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    x = as_array(a)
    if axis is None:
        kept = (1,) * len(x.shape)
        x = reshape(x, (math.prod(x.shape),))
        place = 0
    else:
        place = normalize_axis(axis, x.ndim or 1)
        kept = keep_axes(x.shape, (place,)) if x.shape else ()
    if not x.shape:
        x = reshape(x, (1,))
    result = choose(x, place)
    if keepdims is not NO_VALUE and keepdims:
        result = reshape(result, kept)
    return store(result, out)


@method("argmax")
@array_function(np.argmax)
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
    """Where the maximum is, the first of several."""
    return _argument(primitive.argmax, a, axis, out, keepdims)


@method("argmin")
@array_function(np.argmin)
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
    """Where the minimum is, the first of several."""
    return _argument(primitive.argmin, a, axis, out, keepdims)


def _count(shape: Shape, axes: tuple[int, ...], where: Any, keep: Any) -> Any:
    """How many elements take part: an int, or an array where `where` says which."""
    if where is NO_VALUE or where is True:
        return math.prod(shape[axis] for axis in axes)
    return sum(broadcast_to(cast_to(where, BOOL), shape), axes, keepdims=keep)


def _mean_dtypes(dtype: DType, wanted: Any) -> tuple[DType, DType]:
    """The dtype of the sum, and that of the mean."""
    if given(wanted):
        chosen = as_dtype(wanted)
        return chosen, chosen
    if dtype.kind in "biu":
        return FLOAT64, FLOAT64
    return (FLOAT32, dtype) if is_half(dtype) else (dtype, dtype)


@method("mean")
@array_function(np.mean)
def mean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
) -> Any:
    """The mean over `axis`."""
    x = as_array(a)
    inside, outside = _mean_dtypes(x.dtype, dtype)
    if where is NO_VALUE:
        axes = axis_tuple(axis, len(x.shape))
        total = _finish(x, reduce_sum(cast(x, inside), axes), axes, x.shape, keepdims)
        count = math.prod([x.shape[place] for place in axes])
        result = _quotient(total, count)
        return store(result if inside is outside else cast(result, outside), out, "unsafe")
    shape = _wide(x, where)
    axes = axis_tuple(axis, len(shape))
    total = sum(x, axes, dtype=inside, keepdims=keepdims, where=where)
    result = cast(_quotient(total, _count(shape, axes, where, keepdims)), outside)
    return store(result, out, "unsafe")


def _quotient(total: Any, count: Any) -> Any:
    if isinstance(count, int) and is_inexact(total.dtype):
        return bind(divide_p, total, total.dtype.type(count))
    if isinstance(count, int):
        return total / total.dtype.type(count)
    return total / cast(count, total.dtype)


@method("var")
@array_function(np.var)
def var(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
    mean: Any = NO_VALUE,
    correction: Any = NO_VALUE,
) -> Any:
    """The variance over `axis`, with `ddof` (or `correction`) less than n below the fraction."""
    variance = _variance(a, axis, dtype, (ddof, correction), (keepdims, where, mean))
    return store(variance, out, "unsafe")


def _variance(a: Any, axis: Any, dtype: Any, less: Any, options: Any) -> Any:
    keepdims, where, centre = options
    ddof = _freedom(*less)
    x = as_array(a)
    inside, outside = _mean_dtypes(x.dtype, dtype)
    if not is_inexact(inside):
        raise DTypeError(f"{where_text()}the variance needs a floating dtype, not {inside}")
    shape = _wide(x, where)
    axes = axis_tuple(axis, len(shape))
    if not given(centre):
        total = sum(x, axes, dtype=inside, keepdims=True, where=where)
        centre = _quotient(total, _count(shape, axes, where, True))
    deviation = x - as_array(centre)
    if is_complex(deviation.dtype):
        inside, outside = real_dtype(inside), real_dtype(outside)
    total = sum(squared_sizes(deviation), axes, dtype=inside, keepdims=keepdims, where=where)
    count = _count(shape, axes, where, keepdims)
    if isinstance(count, int):
        freedom = total.dtype.type(count - ddof if count > ddof else 0)
    else:
        freedom = maximum(cast(count, total.dtype) - ddof, 0)
    return cast(total / freedom, outside)


def squared_sizes(deviation: Any) -> Any:
    """The square of each absolute value, without its root."""
    if is_complex(deviation.dtype):
        return square(real_part(deviation)) + square(imag_part(deviation))
    return square(deviation)


def _freedom(ddof: Any, correction: Any) -> Any:
    if not given(correction):
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


@method("std")
@array_function(np.std)
def std(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
    mean: Any = NO_VALUE,
    correction: Any = NO_VALUE,
) -> Any:
    """The standard deviation over `axis`; where it is 0, so is its derivative."""
    variance = _variance(a, axis, dtype, (ddof, correction), (keepdims, where, mean))
    return store(magnitude(variance), out, "unsafe")
