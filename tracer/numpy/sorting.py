"""Sorting, and searching in what is sorted. A sorted array is gathered by the permutation that
sorts it.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from tracer.dispatch import FUNCTIONS, method
from tracer.numpy.common import (
    PUBLIC,
    array_function,
    as_array,
    as_arrays,
    as_real,
    is_traced,
    result_dtype,
)
from tracer.numpy.gathering import take, take_along_axis
from tracer.numpy.views import rebind
from tracer.primitives import ordering
from tracer.primitives.broadcast import reshape
from tracer.primitives.cast import cast
from tracer.primitives.shape import flip
from tracer.types import is_complex, normalize_axis


def _along(x: Any, axis: int | None) -> tuple[Any, int]:
    if axis is None or not x.shape:
        return reshape(x, (math.prod(x.shape),)), 0
    return x, normalize_axis(axis, len(x.shape))


def _check_order(order: Any) -> None:
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")


def _descending(x: Any, axis: int) -> Any:
    """The permutation that sorts from the largest down; equal elements keep their order."""
    backwards = ordering.argsort(flip(x, (axis,)), axis)
    return flip(x.shape[axis] - 1 - backwards, (axis,))


def argsort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: Any = None,
    descending: bool = False,
) -> Any:
    """The permutation that sorts along an axis; equal elements keep their order.

    `descending` is the array API's: from the largest down.
    """
    if not descending and not is_traced(a):
        return np.argsort(a, axis, kind, order, stable=stable)
    _check_order(order)
    x, place = _along(as_array(a), axis)
    return _descending(x, place) if descending else ordering.argsort(x, place)


FUNCTIONS[np.argsort] = PUBLIC[np.argsort] = argsort


@method("argsort")
def _argsort_method(
    self: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    return argsort(self, axis, kind, order)


def sort(
    a: Any,
    axis: int | None = -1,
    kind: Any = None,
    order: Any = None,
    *,
    stable: Any = None,
    descending: bool = False,
) -> Any:
    """The elements in order along an axis, NaN last; `descending`: from the largest down."""
    if not descending and not is_traced(a):
        return np.sort(a, axis, kind, order, stable=stable)
    _check_order(order)
    x = as_array(a)
    if axis is not None and not x.shape:
        normalize_axis(axis, 0)
    x, place = _along(x, axis)
    order = _descending(x, place) if descending else ordering.argsort(x, place)
    return take_along_axis(x, order, place)


FUNCTIONS[np.sort] = PUBLIC[np.sort] = sort


@method("sort")
def _sort_method(
    self: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> None:
    rebind(self, sort(self, axis, kind, order))


@array_function(np.sort_complex)
def sort_complex(a: Any) -> Any:
    """The elements, as complex numbers, in order along the last axis."""
    x = as_array(a)
    result = sort(x, -1)
    if is_complex(x.dtype):
        return result
    return cast(result, np.dtype(np.complex64 if x.dtype.char in "bhBH" else np.complex128))


@array_function(np.partition)
def partition(
    a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None
) -> Any:
    """An order in which the `kth` elements are where sorting puts them: here, the sorted one."""
    x, place = _along(as_array(a), axis)
    for position in np.atleast_1d(kth):
        if not -x.shape[place] <= operator.index(position) < x.shape[place]:
            raise ValueError(f"kth(={position}) out of bounds ({x.shape[place]})")
    return sort(x, place)


@method("partition")
def _partition_method(self: Any, kth: Any, axis: int = -1, *args: Any, **kwargs: Any) -> None:
    rebind(self, partition(self, kth, axis))


@method("argpartition")
@array_function(np.argpartition)
def argpartition(
    a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None
) -> Any:
    """The permutation that `partition` applies."""
    partition(a, kth, axis)
    return argsort(a, axis)


@array_function(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """The permutation that sorts by the last key, equal ones by the key before it, and so on."""
    rows = [keys[place] for place in range(len(keys))]
    rows = as_arrays(*rows)
    if not rows:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    if not rows[0].shape:
        normalize_axis(axis, 1)
        return np.int64(0)
    place = normalize_axis(axis, len(rows[0].shape))
    found = ordering.argsort(rows[0], place)
    for row in rows[1:]:
        step = ordering.argsort(take_along_axis(row, found, place), place)
        found = take_along_axis(found, step, place)
    return found


@array_function(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Where each value would be put into the sorted array `a`."""
    table, values = as_arrays(a, v)
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got {side!r})")
    if sorter is not None:
        table = take(table, sorter)
    dtype = result_dtype(table.dtype, values.dtype)
    return ordering.searchsorted(cast(table, dtype), cast(values, dtype), side)


@method("searchsorted")
def _searchsorted_method(self: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    return searchsorted(self, v, side, sorter)


@array_function(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """The bin of each value; the bins' direction is read from their values, where they have
    some.
    """
    values, edges = as_real(x, None, "digitize"), as_array(bins)
    known = edges if isinstance(edges, np.ndarray) else edges.concrete("digitize")
    increasing = np.all(known[1:] >= known[:-1])
    if not increasing and not np.all(known[1:] <= known[:-1]):
        raise ValueError("bins must be monotonically increasing or decreasing")
    side = "left" if right else "right"
    if increasing:
        return searchsorted(edges, values, side)
    reversed_place = searchsorted(flip(edges, (0,)), values, side)
    return len(known) - reversed_place


