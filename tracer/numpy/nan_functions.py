"""Reductions that leave NaN out."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.numpy import reductions, statistics
from tracer.numpy.common import (
    NO_VALUE,
    Axis,
    array_function,
    as_array,
    as_real,
    cast_to,
    given,
    store,
    unsupported,
)
from tracer.numpy.gathering import take_along_axis
from tracer.numpy.sorting import sort
from tracer.primitives.arithmetic import maximum
from tracer.primitives.broadcast import keep_axes, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import equal, isnan, logical_not, select
from tracer.primitives.roots import magnitude
from tracer.trace import Tracer, is_abstract
from tracer.types import FLOAT64, INT64, is_inexact


def _replaced(a: Any, value: Any) -> tuple[Any, Any]:
    """The array with a number in the place of NaN, and where NaN was (None: it has none)."""
    x = as_array(a)
    if not is_inexact(x.dtype):
        return x, None
    bad = isnan(x)
    return select(bad, x.dtype.type(value), x), bad


def _options(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not NO_VALUE}


@array_function(np.nansum)
def nansum(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The sum of what is not NaN."""
    options = _options(keepdims=keepdims, initial=initial, where=where)
    return reductions.sum(_replaced(a, 0)[0], axis, dtype, out, **options)


@array_function(np.nanprod)
def nanprod(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The product of what is not NaN."""
    options = _options(keepdims=keepdims, initial=initial, where=where)
    return reductions.prod(_replaced(a, 1)[0], axis, dtype, out, **options)


def _warn_of(mask: Any, text: str) -> None:
    """NumPy's warning, where the values are known."""
    if type(mask) is Tracer:
        if is_abstract(mask):
            return
        mask = mask.concrete("a warning")
    if np.any(mask):
        warnings.warn(text, RuntimeWarning, stacklevel=4)


def _extreme(
    name: str, a: Any, axis: Axis, out: Any, keepdims: Any, rest: dict[str, Any]
) -> Any:
    value = -np.inf if name == "max" else np.inf
    x, bad = _replaced(a, value)
    result = getattr(reductions, name)(x, axis, keepdims=keepdims, **rest)
    if bad is not None:
        if given(rest.get("initial")):
            return store(result, out)
        options = _options(keepdims=keepdims)
        nothing = reductions.all(bad, axis, **options)
        _warn_of(nothing, "All-NaN slice encountered" if x.shape else "All-NaN axis encountered")
        result = select(nothing, result.dtype.type(np.nan), result)
    return store(result, out)


@array_function(np.nanmax)
def nanmax(
    a: Any,
    axis: Axis = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The maximum of what is not NaN."""
    return _extreme("max", a, axis, out, keepdims, _options(initial=initial, where=where))


@array_function(np.nanmin)
def nanmin(
    a: Any,
    axis: Axis = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Any:
    """The minimum of what is not NaN."""
    return _extreme("min", a, axis, out, keepdims, _options(initial=initial, where=where))


def _argument(name: str, a: Any, axis: Any, out: Any, keepdims: Any) -> Any:
    x, bad = _replaced(a, -np.inf if name == "argmax" else np.inf)
    if bad is not None:
        nothing = reductions.all(bad, axis)
        known = not is_abstract(nothing) if type(nothing) is Tracer else True
        if known and np.any(nothing.concrete("nanarg") if type(nothing) is Tracer else nothing):
            raise ValueError("All-NaN slice encountered")
    return store(getattr(reductions, name)(x, axis, keepdims=keepdims), out)


@array_function(np.nanargmax)
def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
    """Where the maximum of what is not NaN is."""
    return _argument("argmax", a, axis, out, keepdims)


@array_function(np.nanargmin)
def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
    """Where the minimum of what is not NaN is."""
    return _argument("argmin", a, axis, out, keepdims)


def _counts(bad: Any, axis: Axis, keepdims: Any, where: Any) -> Any:
    options = _options(keepdims=keepdims, where=where)
    return reductions.sum(logical_not(bad), axis, dtype=np.int64, **options)


@array_function(np.nanmean)
def nanmean(
    a: Any,
    axis: Axis = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
) -> Any:
    """The mean of what is not NaN."""
    x, bad = _replaced(a, 0)
    if bad is None:
        return reductions.mean(x, axis, dtype, out, **_options(keepdims=keepdims, where=where))
    count = _counts(bad, axis, keepdims, where)
    _warn_of(equal(count, 0), "Mean of empty slice")
    options = _options(keepdims=keepdims, where=where)
    total = reductions.sum(x, axis, dtype, **options)
    return store(total / cast(count, total.dtype), out)


def _variance(a: Any, axis: Axis, dtype: Any, ddof: Any, options: tuple[Any, Any, Any]) -> Any:
    keepdims, where, centre = options
    x, bad = _replaced(a, 0)
    x = cast_to(x, dtype)
    if centre is NO_VALUE:
        count = _counts(bad, axis, True, where)
        total = reductions.sum(x, axis, **_options(keepdims=True, where=where))
        centre = total / cast(count, total.dtype)
    deviation = select(bad, x.dtype.type(0), x - cast_to(centre, x.dtype))
    squares = reductions.squared_sizes(deviation)
    total = reductions.sum(squares, axis, **_options(keepdims=keepdims, where=where))
    freedom = _counts(bad, axis, keepdims, where) - ddof
    _warn_of(freedom <= 0, "Degrees of freedom <= 0 for slice.")
    shares = total / cast(maximum(freedom, 0), total.dtype)
    return select(freedom <= 0, total.dtype.type(np.nan), shares)


@array_function(np.nanvar)
def nanvar(
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
    """The variance of what is not NaN."""
    ddof = ddof if correction is NO_VALUE else correction
    if not is_inexact(as_array(a).dtype):
        return reductions.var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean)
    return store(_variance(a, axis, dtype, ddof, (keepdims, where, mean)), out)


@array_function(np.nanstd)
def nanstd(
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
    """The standard deviation of what is not NaN."""
    ddof = ddof if correction is NO_VALUE else correction
    if not is_inexact(as_array(a).dtype):
        return reductions.std(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean)
    return store(magnitude(_variance(a, axis, dtype, ddof, (keepdims, where, mean))), out)


def _in_order(a: Any, axis: Axis) -> tuple[Any, Any, Any, tuple[int, ...]]:
    """The elements sorted along one axis, how many are not NaN, where none is, and the axes."""
    x = as_array(a)
    x = x if is_inexact(x.dtype) else cast(x, FLOAT64)
    flat, axes = statistics.arranged(x, axis)
    count = reductions.sum(logical_not(isnan(flat)), 0, dtype=INT64)
    nothing = equal(count, 0)
    _warn_of(nothing, "All-NaN slice encountered")
    return sort(flat, 0), count, nothing, axes


def _ordered(a: Any, q: Any, axis: Axis, method: str, keepdims: Any) -> Any:
    """Quantiles of what is not NaN: sorting puts NaN last, so that counting the rest is enough."""
    in_order, count, nothing, axes = _in_order(a, axis)
    result = statistics.order_statistic(in_order, q, method, count)
    result = select(nothing, result.dtype.type(np.nan), result)
    if keepdims is not NO_VALUE and keepdims:
        return reshape(result, (*q.shape, *keep_axes(as_array(a).shape, axes)))
    return result


@array_function(np.nanmedian)
def nanmedian(
    a: Any,
    axis: Axis = None,
    out: Any = None,
    overwrite_input: bool = False,
    keepdims: Any = NO_VALUE,
) -> Any:
    """The median of what is not NaN."""
    if as_array(a).size == 0:
        return nanmean(a, axis, out=out, keepdims=keepdims)
    in_order, count, nothing, axes = _in_order(a, axis)
    halves = [
        take_along_axis(in_order, reshape(place, (1, *place.shape)), 0)
        for place in (maximum((count - 1) // 2, 0), count // 2)
    ]
    result = reshape((halves[0] + halves[1]) / 2, in_order.shape[1:])
    result = select(nothing, result.dtype.type(np.nan), result)
    if keepdims is not NO_VALUE and keepdims:
        result = reshape(result, keep_axes(as_array(a).shape, axes))
    return store(result, out)


def _quantile_function(name: str, top: int) -> Callable[..., Any]:
    def function(
        a: Any,
        q: Any,
        axis: Axis = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: Any = NO_VALUE,
        *,
        weights: Any = None,
    ) -> Any:
        if weights is not None:
            raise unsupported(f"numpy.{name}", "with weights", "leave the NaN out first")
        x = as_real(a, None, name)
        shares = statistics.shares_of(q, top, a)
        if x.size == 0:
            return nanmean(x, axis, out=out, keepdims=keepdims)
        statistics.check_continuous(x, method)
        return store(_ordered(a, shares, axis, method, keepdims), out)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name[3:].capitalize()}s of what is not NaN."
    return array_function(getattr(np, name))(function)


nanquantile = _quantile_function("nanquantile", 1)
nanpercentile = _quantile_function("nanpercentile", 100)
