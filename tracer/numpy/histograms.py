"""Counts of elements in bins, and of integers. Counts have no derivative; sums of weights have."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tracer.errors import ConcretizationError
from tracer.numpy.common import (
    PUBLIC,
    array_function,
    as_array,
    as_real,
    cast_to,
    given,
    is_traced,
    result_dtype,
    where_text,
)
from tracer.numpy.creation import linspace
from tracer.numpy.cumulative import cumsum, diff
from tracer.numpy.elementwise import where
from tracer.numpy.gathering import take
from tracer.numpy.joining import concatenate
from tracer.numpy.reductions import max as max_of
from tracer.numpy.reductions import min as min_of
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.sorting import argsort, searchsorted, sort
from tracer.primitives.broadcast import broadcast_to, reshape, zeros
from tracer.primitives.cast import cast
from tracer.primitives.comparison import equal, greater_equal, less_equal, logical_and
from tracer.primitives.index import scatter
from tracer.trace import Tracer, is_abstract
from tracer.types import FLOAT64, INT64, ArrayType


def _row(x: Any) -> Any:
    return reshape(x, (math.prod(x.shape),))


def _limits(x: Any, bounds: Any) -> tuple[Any, Any]:
    """The outer edges, a half moved where they are equal."""
    if bounds is not None and not is_traced(bounds):
        low, high = bounds
        return (low - 0.5, high + 0.5) if low == high else (low, high)
    if bounds is not None:
        low, high = bounds
    elif math.prod(x.shape) == 0:
        low, high = 0, 1
    else:
        low, high = min_of(x), max_of(x)
        if type(x) is not Tracer or not is_abstract(x):
            known = np.asarray(x.concrete("a range") if type(x) is Tracer else x)
            if not np.all(np.isfinite(known)):
                raise ValueError(
                    f"autodetected range of [{known.min()}, {known.max()}] is not finite"
                )
    flat = equal(low, high)
    return where(flat, low - 0.5, low), where(flat, high + 0.5, high)


@array_function(np.histogram_bin_edges)
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges of equal bins; estimators of their number need the values."""
    x = as_array(a)
    if isinstance(bins, str):
        known = x.concrete("a rule for the number of bins") if type(x) is Tracer else x
        bins = len(np.histogram_bin_edges(known, bins, range, weights)) - 1
    if np.ndim(bins) == 1:
        return as_array(bins)
    count = operator.index(bins)
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    low, high = _limits(x, range)
    dtype = result_dtype(x, *(() if range is None else range))
    dtype = np.result_type(dtype, float) if dtype.kind in "biu" else dtype
    return linspace(low, high, count + 1, dtype=dtype)


@array_function(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any]:
    """How many elements, or how much of the weights, each bin holds; and the edges."""
    x = as_real(a, None, "histogram")
    edges = histogram_bin_edges(x, bins, range, weights)
    x = cast_to(_row(x), np.result_type(x.dtype, edges.dtype))
    table = cast_to(edges, x.dtype)
    if weights is None:
        in_order = sort(x)
        heights = _between(searchsorted, in_order, table)
    else:
        order = argsort(x)
        in_order = take(x, order)
        w = take(_row(as_array(weights)), order)
        total = concatenate([np.zeros(1, w.dtype), cumsum(w)])
        heights = diff(take(total, _places(searchsorted, in_order, table)))
    if density:
        widths = cast_to(diff(edges), FLOAT64)
        return heights / widths / sum_of(heights), edges
    return heights, edges


def _places(search: Any, in_order: Any, edges: Any) -> Any:
    inner = search(in_order, edges[:-1], "left")
    return concatenate([inner, search(in_order, edges[-1:], "right")])


def _between(search: Any, in_order: Any, edges: Any) -> Any:
    return diff(_places(search, in_order, edges))


@array_function(np.histogramdd)
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, list[Any]]:
    """A histogram of points, one axis of the result for each coordinate."""
    points = as_real(_points(sample), None, "histogramdd")
    rank = points.shape[1]
    each = list(bins) if np.ndim(bins) or isinstance(bins, (list, tuple)) else [bins] * rank
    if len(each) != rank:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    bounds = [None] * rank if range is None else list(range)
    columns = [points[:, axis] for axis in np.arange(rank)]
    edges = [
        histogram_bin_edges(cast(column, FLOAT64) if given(bound) else column, bin_, bound)
        for column, bin_, bound in zip(columns, each, bounds, strict=True)
    ]
    shape = tuple(edge.shape[0] - 1 for edge in edges)
    flat: Any = np.int64(0)
    inside: Any = np.True_
    for column, edge, extent in zip(columns, edges, shape, strict=True):
        place = searchsorted(edge, column, "right") - 1
        place = where(equal(column, edge[-1]), extent - 1, place)
        inside = logical_and(inside, greater_equal(place, 0))
        inside = logical_and(inside, less_equal(place, extent - 1))
        flat = flat * extent + place
    w = broadcast_to(cast_to(1.0 if weights is None else weights, FLOAT64), inside.shape)
    w = where(inside, w, 0.0)
    blank = zeros(ArrayType(w.dtype, (math.prod(shape),)))
    heights = reshape(scatter(blank, w, [where(inside, flat, 0)], (0,), "add"), shape)
    if density:
        for axis, edge in enumerate(edges):
            lanes = tuple(-1 if n == axis else 1 for n in np.arange(rank))
            heights = heights / diff(edge).reshape(lanes)
        heights = heights / sum_of(w)
    return heights, edges


def _points(sample: Any) -> Any:
    if isinstance(sample, (list, tuple)):
        from tracer.numpy.joining import stack

        return stack([as_array(column) for column in sample], axis=1)
    x = as_array(sample)
    if x.ndim > 2:
        raise ValueError(f"too many values to unpack: a sample has 2 axes, not {x.ndim}")
    return x if x.ndim == 2 else reshape(x, (math.prod(x.shape), 1))


@array_function(np.histogram2d)
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Any, Any, Any]:
    """A histogram of points of the plane."""
    if np.ndim(bins) == 1 and len(bins) not in (1, 2):
        bins = [bins, bins]
    heights, edges = histogramdd([x, y], bins, range, density, weights)
    return heights, edges[0], edges[1]


def bincount(
    x: Any, /, weights: Any = None, minlength: int = 0, *, length: int | None = None
) -> Any:
    """How often each integer is there, or the sum of its weights.

    The length of the result is the largest integer plus one, which must be known, or `length`.
    """
    places = as_array(x)
    if places.ndim != 1:
        raise ValueError("object too deep for desired array")
    if length is None:
        if type(places) is Tracer and is_abstract(places):
            raise ConcretizationError(
                f"{where_text()}the length of bincount's result is known only when the compiled "
                "function runs; write tracer.numpy.bincount(x, weights, length=n)"
            )
        known = places.concrete("bincount()") if type(places) is Tracer else places
        if known.size and known.min() < 0:
            raise ValueError("'list' argument must have no negative elements")
        length = max(int(known.max(initial=-1)) + 1, minlength)
    if given(weights):
        values = as_real(weights, FLOAT64, "bincount")
        if values.shape != places.shape:
            raise ValueError("The weights and list don't have the same length.")
    else:
        values = broadcast_to(np.int64(1), places.shape)
    blank = zeros(ArrayType(values.dtype, (length,)))
    return scatter(blank, values, [cast(places, INT64)], (0,), "add")


array_function(np.bincount)(bincount)
PUBLIC[np.bincount] = bincount
