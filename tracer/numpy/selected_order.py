"""The order of what a traced mask selects: sorting, quantiles, places, slices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer import dispatch
from tracer.numpy import statistics
from tracer.numpy.common import as_array, cast_to
from tracer.numpy.gathering import take
from tracer.numpy.selected import Selected, ranks, refuse
from tracer.numpy.selected_functions import aligned, copy, handles
from tracer.primitives import ordering
from tracer.primitives.arithmetic import maximum, minimum
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.primitives.comparison import (
    greater_equal,
    isnan,
    less,
    logical_and,
    logical_not,
    select,
)
from tracer.primitives.shape import flip
from tracer.types import BOOL, is_inexact


def in_order(x: Any) -> tuple[Any, Any]:
    """The selected elements sorted along their axis, in front of all others; and how many."""
    values, mask = x.flat_row()
    if x.rest:
        raise refuse("the order of rows")
    order = ordering.argsort(values, 0)
    later = ordering.argsort(logical_not(take(mask, order)), 0)
    return take(values, take(order, later)), x.count


def _first(values: Any, count: Any) -> Selected:
    return Selected(values, less(np.arange(values.shape[0]), count))


@handles(np.sort)
def sort(
    x: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Selected:
    """The selected elements in order."""
    return _first(*in_order(x))


@handles(np.median)
def median(x: Any, axis: Any = None) -> Any:
    """The middle element, or the mean of the middle two; NaN where one is, or there is none."""
    return quantile(x, 0.5)


@handles(np.quantile)
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear") -> Any:
    """Quantiles of the selected elements."""
    values, count = in_order(x)
    values = values if is_inexact(values.dtype) else cast_to(values, np.float64)
    last = maximum(count - 1, 0)
    shares = statistics.shares_of(q, 1, values)
    result = statistics.order_statistic(values, shares, method, maximum(count, 1))
    bad = isnan(take(values, last))
    nothing = less(count, 1)
    undefined = np.asarray(np.nan, values.dtype)[()]
    return select(broadcast_to(nothing | bad, result.shape), undefined, result)


@handles(np.percentile)
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear") -> Any:
    """Percentiles of the selected elements."""
    return quantile(x, as_array(q) / 100.0, axis, method)


@handles(np.cumsum, "ndarray.cumsum")
def cumsum(x: Any, axis: Any = None) -> Selected:
    """Running sums of the selected elements."""
    values, mask = x.flat_row()
    if x.rest and axis != 0:
        raise refuse("running sums of single elements")
    column = reshape(mask, (mask.shape[0], *(1,) * len(x.rest)))
    inside = select(column, values, values.dtype.type(0))
    return Selected(dispatch.FUNCTIONS[np.cumsum](inside, 0), mask)


@handles(np.unique)
def unique(x: Any, **options: Any) -> Any:
    """The different elements, in order."""
    values, count = in_order(x)
    return _distinct(values, count, options)


def _distinct(values: Any, count: Any, options: dict[str, Any]) -> Selected:
    one_nan = options.pop("equal_nan", True)
    if any(options.values()):
        raise refuse("unique with indices or counts")
    length = values.shape[0]
    before = take(values, np.maximum(np.arange(length) - 1, 0))
    new = values != before
    if one_nan and is_inexact(values.dtype):  # all NaN are one
        new = logical_and(new, logical_not(logical_and(isnan(values), isnan(before))))
    new = np.logical_or(new, np.arange(length) == 0)
    return Selected(values, logical_and(new, less(np.arange(length), count)))


def unique_of(x: Any, options: dict[str, Any]) -> Selected:
    """`np.unique` of a traced array whose values are not known."""
    flat = reshape(x, (math.prod(x.shape),))
    values = take(flat, ordering.argsort(flat, 0))
    return _distinct(values, np.int64(flat.shape[0]), options)


def _place(x: Selected, index: Any) -> Any:
    """Where the element of that number, counted among those that are meant, stands."""
    _, mask = x.flat_row()
    running = ranks(mask)
    index = cast_to(index, np.int64)
    wanted = select(less(index, 0), index + x.count, index)
    wanted = select(less(wanted, 0), np.int64(mask.shape[0]), wanted)
    return ordering.searchsorted(running, wanted + 1, "left")


@handles("__getitem__")
def getitem(x: Any, index: Any) -> Any:
    """Elements of a selection: by number, by slices forwards, and by a selected condition."""
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
        return copy(x)
    if isinstance(index, Selected) and index.dtype == BOOL:
        return _narrowed(x, index)
    values, mask = x.flat_row()
    if isinstance(index, slice):
        return _sliced(values, mask, x.count, index)
    if isinstance(index, (tuple, Selected)) or as_array(index).dtype.kind not in "iu":
        raise refuse("such an index into a selection")
    places = _place(x, as_array(index))
    return take(values, places, 0)


def _narrowed(x: Any, index: Any) -> Selected:
    condition = aligned(index, x)
    if x.lead or condition.shape != x.mask.shape:
        raise refuse("a condition on rows of a selection")
    return Selected(x.values, logical_and(x.mask, condition))


def _sliced(values: Any, mask: Any, count: Any, part: slice) -> Selected:
    step = 1 if part.step is None else part.step
    if step == -1 and part.start is None and part.stop is None:
        return Selected(flip(values, (0,)), flip(mask, (0,)))
    if step < 1:
        raise refuse("a slice backwards")
    number = ranks(mask) - 1
    low = _bound(part.start, count, 0)
    kept = greater_equal(number, low)
    if part.stop is not None:
        kept = logical_and(kept, less(number, _bound(part.stop, count, 0)))
    if step > 1:
        kept = logical_and(kept, (number - low) % step == 0)
    return Selected(values, logical_and(mask, kept))


def _bound(bound: Any, count: Any, default: int) -> Any:
    if bound is None:
        return np.int64(default)
    if type(bound) is int and bound >= 0:
        return minimum(np.int64(bound), count)
    return maximum(count + bound, 0) if type(bound) is int else minimum(as_array(bound), count)


@handles("__setitem__")
def setitem(x: Any, index: Any, value: Any) -> None:
    """A selection is a copy, which may be written to as a whole or under a condition."""
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
        x.values = broadcast_to(cast_to(aligned(value, x), x.dtype), x.values.shape)
    elif isinstance(index, Selected) and index.dtype == BOOL:
        new = cast_to(aligned(value, x), x.dtype)
        x.values = select(aligned(index, x), new, x.values)
    else:
        raise refuse("an assignment to a place of a selection")
