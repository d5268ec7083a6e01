"""Averages, covariance, order statistics and histograms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.errors import DTypeError, ShapeError
from tracer.numpy.common import (
    NO_VALUE,
    Axis,
    array_function,
    as_array,
    axis_tuple,
    cast_to,
    known_value,
    result_dtype,
    store,
    where_text,
)
from tracer.numpy.contractions import dot
from tracer.numpy.elementwise import clip, where
from tracer.numpy.gathering import take_along_axis
from tracer.numpy.indexing import index_view
from tracer.numpy.joining import concatenate
from tracer.numpy.reductions import mean
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.shapes import broadcast_to, moveaxis
from tracer.numpy.sorting import sort
from tracer.primitives.arithmetic import conjugate, floor, maximum
from tracer.primitives.broadcast import keep_axes, reshape, without_axes
from tracer.primitives.cast import cast, imag_part, make_complex, real_part
from tracer.primitives.comparison import equal, greater_equal, isnan, less, select
from tracer.primitives.roots import magnitude
from tracer.trace import Tracer, is_abstract
from tracer.types import BOOL, FLOAT64, INT64, is_brain, is_complex, is_inexact, kind_of


@array_function(np.average)
def average(
    a: Any,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: Any = NO_VALUE,
) -> Any:
    """The weighted mean over axes."""
    x = as_array(a)
    axes = axis_tuple(axis, len(x.shape))
    if weights is None:
        result = mean(x, axis, keepdims=keepdims)
        total: Any = result.dtype.type(math.prod(x.shape) / max(math.prod(result.shape), 1))
    else:
        w = as_array(weights)
        kinds = (x.dtype, w.dtype, FLOAT64) if x.dtype.kind in "biu" else (x.dtype, w.dtype)
        dtype = result_dtype(*kinds)
        w = _spread_weights(w, x, axis, axes)
        total = sum_of(w, axes, dtype=dtype, keepdims=keepdims)
        known = known_value(total)
        if known is not None and np.any(known == 0):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        result = sum_of(x * cast(w, result_dtype(w.dtype, dtype)), axes, dtype, keepdims=keepdims)
        result = result / total
    if not returned:
        return result
    return result, broadcast_to(total, result.shape)


def _spread_weights(w: Any, x: Any, axis: Axis, axes: tuple[int, ...]) -> Any:
    if w.shape == x.shape:
        return w
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    if w.shape != tuple(x.shape[place] for place in axes):
        raise ShapeError(
            f"{where_text()}Shape of weights must be consistent with shape of a along specified "
            f"axis."
        )
    order = sorted(range(len(axes)), key=lambda place: axes[place])
    spread = [x.shape[place] if place in axes else 1 for place in range(x.ndim)]
    return broadcast_to(reshape(w.transpose(order), tuple(spread)), x.shape)


@array_function(np.cov)
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The covariance matrix of variables in rows."""
    x = _observations(m, rowvar)
    if y is not None:
        other = _observations(y, rowvar)
        x = concatenate([x, other], 0)
    if not x.shape[0]:
        return np.zeros((0, 0))
    wide = result_dtype(x.dtype, FLOAT64) if dtype is None else np.dtype(dtype)
    x = cast(x, wide)
    less_by = (0 if bias else 1) if ddof is None else ddof
    weights: Any = None
    if fweights is not None:
        weights = _checked_weights(fweights, "fweights")
        if kind_of(weights.dtype) == "f" and np.any(weights != np.around(weights)):
            raise TypeError("fweights must be integer")
    if aweights is not None:
        a = _checked_weights(aweights, "aweights")
        weights = a if weights is None else weights * a
    if weights is None:
        total: Any = x.shape[1]
        centre = mean(x, axis=1)
        factor: Any = total - less_by
    else:
        weights = cast_to(weights, np.float64)
        total = sum_of(weights)
        centre = sum_of(x * weights, axis=1) / total
        factor = total - less_by
        if less_by and aweights is not None:
            factor = total - less_by * sum_of(weights * cast_to(aweights, np.float64)) / total
    x = x - reshape(centre, (x.shape[0], 1))
    right = x if weights is None else x * weights
    product = dot(x, conjugate(right).T if is_complex(wide) else right.T)
    positive = maximum(factor, 0.0) if hasattr(factor, "shape") else wide.type(max(factor, 0))
    result = product / positive
    return index_view(result, (0, 0)) if result.shape == (1, 1) else result


def _checked_weights(weights: Any, name: str) -> Any:
    """One row of weights, not negative where their values are known."""
    w = as_array(weights)
    if w.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    known = w.concrete(name) if type(w) is Tracer and not is_abstract(w) else w
    if type(known) is not Tracer and np.any(known < 0):
        raise ValueError(f"{name} cannot be negative")
    return w


def _observations(m: Any, rowvar: bool) -> Any:
    x = as_array(m)
    if x.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    x = reshape(x, (1,) * (2 - x.ndim) + x.shape)
    return x.T if not rowvar and x.shape[0] != 1 else x


@array_function(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """The matrix of correlation coefficients of variables in rows."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.shape:
        return c / c
    d = magnitude(real_part(c.diagonal()))
    c = c / reshape(d, (-1 if not d.shape else d.shape[0], 1)) / reshape(d, (1, d.shape[0]))
    if is_complex(c.dtype):
        return make_complex(clip(real_part(c), -1, 1), clip(imag_part(c), -1, 1))
    return clip(c, -1, 1)


# The methods that choose an element.
_CHOSEN = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")

# The continuous methods (Hyndman and Fan 1996): the place n·q + (alpha + q·(1 − alpha − beta)) − 1.
_CONTINUOUS = {
    "linear": (1.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
    "interpolated_inverted_cdf": (0.0, 1.0),
}


def _steps(n: Any, q: Any, shift: float, weight: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """The index below and the weight of the next, for the methods that jump."""
    position = n * q + shift
    below = floor(position)
    return below, weight(position - below, below)


def _even_below(inside: Any, below: Any) -> Any:
    return where(equal(inside, 0), where(equal(below % 2, 0), 0.0, 1.0), 1.0)


def _virtual(method: str, n: Any, q: Any) -> tuple[Any, Any]:
    """The place below the quantile, and how far it lies towards the next; both may be traced."""
    if method in _CONTINUOUS:
        alpha, beta = _CONTINUOUS[method]
        position = n * q + (alpha + q * (1 - alpha - beta)) - 1
        if method == "linear":
            position = (n - 1) * q
        below = floor(position)
        return below, position - below
    if method == "inverted_cdf":
        below, jump = _steps(n, q, 0.0, lambda g, _: where(equal(g, 0), 0.0, 1.0))
        return below - 1, jump
    if method == "averaged_inverted_cdf":
        below, jump = _steps(n, q, 0.0, lambda g, _: where(equal(g, 0), 0.5, 1.0))
        return below - 1, jump
    if method == "closest_observation":
        below, jump = _steps(n, q, -0.5, _even_below)
        return below - 1, jump
    position = (n - 1) * q
    below = floor(position)
    inside = position - below
    simple = {
        "lower": lambda: inside * 0.0,
        "higher": lambda: where(equal(inside, 0), 0.0, 1.0),
        "midpoint": lambda: where(equal(inside, 0), 0.0, 0.5),
        "nearest": lambda: where(
            equal(inside, 0.5),
            where(equal(below % 2, 0), 0.0, 1.0),
            where(greater_equal(inside, 0.5), 1.0, 0.0),
        ),
    }
    if method not in simple:
        names = ", ".join((*_CONTINUOUS, *simple))
        raise ValueError(f"{method!r} is not a valid method. Use one of: {names}")
    return below, simple[method]()


def order_statistic(x: Any, q: Any, method: str, count: Any) -> Any:
    """Quantiles along the first axis of a sorted array of `count` valid elements: axes of q come
    first.
    """
    rank_q = len(q.shape)
    length = x.shape[0]
    lanes = (1,) * (x.ndim - 1)
    q_column = reshape(q, (math.prod(q.shape), *lanes)) if rank_q else reshape(q, (1, *lanes))
    below, towards = _virtual(method, count, q_column)
    last = count - 1
    low = clip(below, 0, last)
    high = clip(below + 1, 0, last)
    towards = where(less(below, 0), 0.0, towards)
    shape = (q_column.shape[0], *x.shape[1:])
    first = _at(x, low, shape, length)
    second = _at(x, high, shape, length)
    if method in _CHOSEN:  # one of the elements, not a mean of two
        result = where(greater_equal(towards, 0.5), second, first)
    else:
        result = _between(first, second, cast_to(towards, result_dtype(x.dtype, q.dtype)))
    return reshape(result, (*q.shape, *x.shape[1:]))


def _at(x: Any, places: Any, shape: tuple[int, ...], length: int) -> Any:
    index = clip(cast_to(places, INT64), 0, length - 1)
    return take_along_axis(x, broadcast_to(index, shape), 0) if x.ndim else x


def _between(first: Any, second: Any, towards: Any) -> Any:
    """Linear interpolation that is exact at both ends."""
    gap = second - first
    up = first + gap * towards
    down = second - gap * (1 - towards)
    result = where(greater_equal(towards, 0.5), down, up)
    return where(equal(first, second), first + 0 * up, result)


def arranged(x: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """The axes of a quantile made one, in front, and the axes."""
    axes = axis_tuple(axis, x.ndim)
    rest = without_axes(x.shape, axes)
    x = moveaxis(x, axes, tuple(range(len(axes))))
    return reshape(x, (math.prod(x.shape[: len(axes)]), *rest)), axes


def shares_of(q: Any, top: int, x: Any) -> Any:
    """Quantiles, or percentiles, of `x` as shares of 1; checked where their values are known."""
    dtype = as_array(x).dtype
    weak = type(q) in (int, float)
    dtype = np.dtype(np.float32) if weak and is_brain(dtype) else dtype
    q = np.asarray(q, dtype) if weak and kind_of(dtype) == "f" else as_array(q)
    q = q if is_inexact(q.dtype) else cast(q, FLOAT64)
    known = q.concrete("quantile") if type(q) is Tracer and not is_abstract(q) else q
    if type(known) is not Tracer and not np.all((known >= 0) & (known <= top)):
        name = "Quantiles" if top == 1 else "Percentiles"
        raise ValueError(f"{name} must be in the range [0, {top}]")
    return q if top == 1 else q / (dtype.type(100) if kind_of(dtype) == "f" else 100)


def check_continuous(x: Any, method: str) -> None:
    """Booleans have no differences, so that nothing lies between two of them."""
    if x.dtype == BOOL and method not in _CHOSEN:
        raise DTypeError(
            f"{where_text()}numpy boolean subtract, the `-` operator, is not supported: the method "
            f"{method!r} takes numbers; convert the booleans"
        )


def quantiles(a: Any, q: Any, axis: Axis, method: str, keepdims: bool) -> Any:
    """The quantiles of all elements over axes; NaN where one is."""
    x = as_array(a)
    shape = x.shape
    check_continuous(x, method)
    x = x if is_inexact(x.dtype) or method in _CHOSEN else cast(x, FLOAT64)
    flat, axes = arranged(x, axis)
    in_order = sort(flat, 0)
    result = order_statistic(in_order, q, method, flat.shape[0])
    if is_inexact(x.dtype):
        bad = isnan(index_view(in_order, -1))
        result = select(broadcast_to(bad, result.shape), result.dtype.type(np.nan), result)
    return reshape(result, (*q.shape, *keep_axes(shape, axes))) if keepdims else result


@array_function(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Quantiles over axes, by any of NumPy's methods; the axes of `q` come first."""
    if np.issubdtype(as_array(a).dtype, np.complexfloating):
        raise TypeError("a must be an array of real numbers")
    if weights is not None:
        return store(_weighted(a, shares_of(q, 1, a), axis, method, (keepdims, weights)), out)
    return store(quantiles(a, shares_of(q, 1, a), axis, method, keepdims), out)


@array_function(np.percentile)
def percentile(
    a: Any,
    q: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> Any:
    """Percentiles over axes, by any of NumPy's methods; the axes of `q` come first."""
    shares = shares_of(q, 100, a)
    return quantile(a, shares, axis, out, overwrite_input, method, keepdims, weights=weights)


def _weighted(a: Any, q: Any, axis: Axis, method: str, options: tuple[bool, Any]) -> Any:
    """The first element whose share of the weights, in order, reaches q."""
    from tracer.numpy.cumulative import cumsum
    from tracer.numpy.reductions import argmax
    from tracer.numpy.sorting import argsort

    keepdims, weights = options
    if method != "inverted_cdf":
        raise ValueError("Only method 'inverted_cdf' supports weights.")
    x = as_array(a)
    axes = axis_tuple(axis, x.ndim)
    w = _spread_weights(as_array(weights), x, axis, axes)
    flat, _ = arranged(x, axis)
    flat_weights, _ = arranged(w, axis)
    order = argsort(flat, 0)
    in_order = take_along_axis(flat, order, 0)
    running = cumsum(take_along_axis(cast_to(flat_weights, FLOAT64), order, 0), 0)
    share = running / index_view(running, slice(-1, None))
    wanted = reshape(q, (math.prod(q.shape), *(1,) * flat.ndim))
    first = argmax(greater_equal(share, wanted), axis=1)
    result = take_along_axis(in_order, first, 0)
    if is_inexact(x.dtype):
        result = select(isnan(index_view(in_order, -1)), result.dtype.type(np.nan), result)
    result = reshape(result, (*q.shape, *flat.shape[1:]))
    return reshape(result, (*q.shape, *keep_axes(x.shape, axes))) if keepdims else result


@array_function(np.median)
def median(
    a: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: bool = False,
) -> Any:
    """The middle element over axes, or the mean of the two middle ones; NaN where one is."""
    x = as_array(a)
    flat, axes = arranged(x, axis)
    length = flat.shape[0]
    if length == 0:
        return mean(x, axis, keepdims=keepdims)
    in_order = sort(flat, 0)
    middle = slice((length - 1) // 2, length // 2 + 1)
    result = mean(index_view(in_order, middle), 0)
    if is_inexact(x.dtype):
        bad = isnan(index_view(in_order, -1))
        result = select(bad, result.dtype.type(np.nan), result)
    result = reshape(result, keep_axes(x.shape, axes)) if keepdims else result
    return store(result, out, "unsafe")
