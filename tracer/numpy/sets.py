"""Sets. How many elements a result has depends on values, which must be known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.numpy.common import array_function, as_array
from tracer.numpy.gathering import take
from tracer.numpy.indexing import index_view
from tracer.numpy.joining import concatenate
from tracer.numpy.selected_order import unique_of
from tracer.primitives.broadcast import reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import equal, greater, logical_not
from tracer.trace import Tracer, is_abstract
from tracer.types import INT64


def _known(x: Any, purpose: str) -> np.ndarray:
    return np.asarray(x.concrete(purpose) if type(x) is Tracer else x)


def _row(x: Any) -> Any:
    x = as_array(x)
    return reshape(x, (math.prod(x.shape),))


@array_function(np.unique)
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The different elements, in order; gathered from where each stands first."""
    x = as_array(ar)
    if type(x) is Tracer and is_abstract(x) and axis is None:
        more = return_index or return_inverse or return_counts
        return unique_of(x, {"more": more, "equal_nan": equal_nan})
    known = _known(x, "unique()")
    _, first, inverse, counts = np.unique(
        known, True, True, True, axis, equal_nan=equal_nan
    )
    values = take(x if axis is not None else _row(x), first, axis or 0)
    extras = [
        item
        for wanted, item in (
            (return_index, first),
            (return_inverse, inverse),
            (return_counts, counts),
        )
        if wanted
    ]
    return (values, *extras) if extras else values


@array_function(np.unique_values)
def unique_values(x: Any) -> Any:
    """The different elements."""
    return unique(x, equal_nan=False)


@array_function(np.unique_counts)
def unique_counts(x: Any) -> Any:
    """The different elements, and how often each is there."""
    like = type(np.unique_counts(np.zeros(1)))
    return like(*unique(x, return_counts=True, equal_nan=False))


@array_function(np.unique_inverse)
def unique_inverse(x: Any) -> Any:
    """The different elements, and which of them each element is."""
    like = type(np.unique_inverse(np.zeros(1)))
    return like(*unique(x, return_inverse=True, equal_nan=False))


@array_function(np.unique_all)
def unique_all(x: Any) -> Any:
    """The different elements, where each stands first, which each element is, and the counts."""
    like = type(np.unique_all(np.zeros(1)))
    return like(*unique(x, True, True, True, equal_nan=False))


@array_function(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """The different elements of both."""
    return unique(concatenate((_row(ar1), _row(ar2))))


@array_function(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """The different elements that both have."""
    x, y = _row(ar1), _row(ar2)
    common, in_x, in_y = np.intersect1d(
        _known(x, "intersect1d()"), _known(y, "intersect1d()"), assume_unique, True
    )
    values = cast(take(x, in_x), common.dtype)
    return (values, in_x, in_y) if return_indices else values


@array_function(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The different elements of the first that the second lacks."""
    x = _row(ar1)
    known = _known(x, "setdiff1d()")
    kept = np.flatnonzero(~np.isin(known, _known(as_array(ar2), "setdiff1d()")))
    rest = take(x, kept)
    return rest if assume_unique else unique(rest)


@array_function(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The different elements that just one of both has."""
    first = setdiff1d(ar1, ar2)
    return unique(concatenate((first, setdiff1d(ar2, ar1))))


@array_function(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    """Whether each element is among the others."""
    x, others = as_array(element), _row(test_elements)
    found = equal(reshape(x, (*x.shape, 1)), others)
    result = greater(reduce_sum(cast(found, INT64), (len(x.shape),)), 0)
    return logical_not(result) if invert else result


@array_function(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Without the zeros at the ends."""
    x = as_array(filt)
    places = np.argwhere(_known(x, "trim_zeros()"))
    if not places.size:
        return index_view(x, (slice(0, 0),) * x.ndim)
    index = []
    axes = range(x.ndim) if axis is None else np.atleast_1d(axis) % x.ndim
    for place in range(x.ndim):
        low, high = int(places[:, place].min()), int(places[:, place].max()) + 1
        start = low if "f" in trim.lower() and place in axes else None
        index.append(slice(start, high if "b" in trim.lower() and place in axes else None))
    return index_view(x, tuple(index))
