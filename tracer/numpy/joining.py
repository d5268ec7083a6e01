"""Arrays joined, split and repeated."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.dispatch import method
from tracer.errors import ShapeError
from tracer.numpy import shapes
from tracer.numpy.common import (
    Axis,
    array_function,
    as_array,
    as_arrays,
    as_dtype,
    renewed,
    result_dtype,
    store,
    where_text,
)
from tracer.numpy.indexing import index_view, take_along
from tracer.primitives import broadcast as wide
from tracer.primitives import shape as primitive
from tracer.primitives.cast import cast
from tracer.trace import Tracer
from tracer.types import normalize_axis


def _items(arrays: Any) -> list[Any]:
    """The arrays to be joined; a traced array gives its rows."""
    if isinstance(arrays, (Tracer, np.ndarray)):
        return [arrays[place] for place in range(len(arrays))]
    return as_arrays(*arrays)


@array_function(np.concatenate)
def concatenate(
    arrays: Any,
    /,
    axis: int | None = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    """Arrays joined along an axis they have (None: each as one row)."""
    parts = _items(arrays)
    if not parts:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        parts = [shapes.ravel(part) for part in parts]
        axis = 0
    common = as_dtype(dtype) if dtype is not None else result_dtype(*[part.dtype for part in parts])
    for place, part in enumerate(parts):
        if not part.shape:
            raise ShapeError(
                f"{where_text()}zero-dimensional arrays cannot be concatenated (array {place})"
            )
        if not np.can_cast(part.dtype, common, casting):  # type: ignore[arg-type]
            raise TypeError(
                f"Cannot cast array data from {part.dtype!r} to {common!r} according to the rule "
                f"'{casting}'"
            )
    place = normalize_axis(axis, len(parts[0].shape))
    joined = primitive.concatenate([cast(part, common) for part in parts], place)
    return store(renewed(joined), out)


@array_function(np.stack)
def stack(
    arrays: Any,
    axis: int = 0,
    out: Any = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> Any:
    """Arrays of one shape joined along a new axis."""
    parts = _items(arrays)
    if not parts:
        raise ValueError("need at least one array to stack")
    first = parts[0].shape
    if any(part.shape != first for part in parts):
        raise ShapeError(
            f"{where_text()}all input arrays must have the same shape, not "
            f"{[part.shape for part in parts]}"
        )
    place = normalize_axis(axis, len(first) + 1)
    wanted = (*first[:place], 1, *first[place:])
    grown = [wide.reshape(part, wanted) for part in parts]
    return concatenate(grown, place, out, dtype=dtype, casting=casting)


@array_function(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays one above the other."""
    parts = [shapes.atleast_2d(part) for part in _items(tup)]
    return concatenate(parts, 0, dtype=dtype, casting=casting)


@array_function(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Arrays side by side."""
    parts = [shapes.atleast_1d(part) for part in _items(tup)]
    axis = 0 if parts and len(parts[0].shape) == 1 else 1
    return concatenate(parts, axis, dtype=dtype, casting=casting)


@array_function(np.dstack)
def dstack(tup: Any) -> Any:
    """Arrays one behind the other."""
    return concatenate([shapes.atleast_3d(part) for part in _items(tup)], 2)


@array_function(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Rows as the columns of a matrix."""
    parts = []
    for part in _items(tup):
        rank = len(part.shape)
        parts.append(part if rank > 1 else wide.reshape(part, (math.prod(part.shape), 1)))
    return concatenate(parts, 1)


def _depth(arrays: Any) -> int:
    return 1 + max(map(_depth, arrays), default=0) if isinstance(arrays, list) else 0


def _rank(arrays: Any) -> int:
    if isinstance(arrays, list):
        return max(map(_rank, arrays), default=0)
    return len(as_array(arrays).shape)


def _block(arrays: Any, depth: int, rank: int) -> Any:
    if isinstance(arrays, list):
        if not arrays:
            raise ValueError("List at arrays cannot be empty")
        return concatenate([_block(item, depth - 1, rank) for item in arrays], -depth)
    x = as_array(arrays)
    return wide.reshape(x, (1,) * (rank - len(x.shape)) + x.shape)


@array_function(np.block)
def block(arrays: Any) -> Any:
    """An array made of nested lists of blocks."""
    depth = _depth(arrays)
    return renewed(_block(arrays, depth, max(depth, _rank(arrays))))


@array_function(np.append)
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """`values` after `arr`."""
    return concatenate([as_array(arr), as_array(values)], axis)


def _pieces(x: Any, bounds: Sequence[int], axis: int) -> list[Any]:
    edges = [0, *bounds, x.shape[axis]]
    before = (slice(None),) * axis
    return [
        index_view(x, (*before, slice(begin, end)))
        for begin, end in itertools.pairwise(edges)
    ]


@array_function(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts along an axis, as equal as can be."""
    x = as_array(ary)
    place = normalize_axis(axis, len(x.shape))
    if np.ndim(indices_or_sections):
        return _pieces(x, [operator.index(bound) for bound in indices_or_sections], place)
    sections = operator.index(indices_or_sections)
    if sections <= 0:
        raise ValueError("number sections must be larger than 0.")
    quotient, rest = divmod(x.shape[place], sections)
    sizes = [quotient + 1] * rest + [quotient] * (sections - rest)
    return _pieces(x, [int(bound) for bound in np.cumsum(sizes)[:-1]], place)


@array_function(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Equal parts along an axis, or parts cut at indices."""
    x = as_array(ary)
    if not np.ndim(indices_or_sections):
        length = x.shape[normalize_axis(axis, len(x.shape))]
        if length % operator.index(indices_or_sections):
            raise ValueError("array split does not result in an equal division")
    return array_split(x, indices_or_sections, axis)


@array_function(np.unstack)
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The arrays along an axis."""
    x = as_array(x)
    if not x.shape:
        raise ValueError("Input array must be at least 1-d.")
    before = (slice(None),) * normalize_axis(axis, len(x.shape))
    length = x.shape[len(before)]
    return tuple(index_view(x, (*before, place)) for place in range(length))


def _split_along(name: str, axis: int, least: int) -> Any:
    def function(ary: Any, indices_or_sections: Any) -> list[Any]:
        x = as_array(ary)
        if len(x.shape) < least:
            raise ValueError(f"{name} only works on arrays of {least} or more dimensions")
        place = 0 if name == "hsplit" and len(x.shape) == 1 else axis
        return split(x, indices_or_sections, place)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Parts along axis {axis}."
    return array_function(getattr(np, name))(function)


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


@array_function(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """The whole array repeated along each axis."""
    x = as_array(A)
    times = tuple(operator.index(count) for count in np.atleast_1d(np.asarray(reps)))
    rank = max(len(times), len(x.shape))
    times = (1,) * (rank - len(times)) + times
    shape = (1,) * (rank - len(x.shape)) + x.shape
    if all(count == 1 for count in times):
        return renewed(wide.reshape(x, shape))
    split_up = wide.reshape(x, tuple(e for extent in shape for e in (1, extent)))
    repeated = tuple(e for pair in zip(times, shape, strict=True) for e in pair)
    whole = tuple(count * extent for count, extent in zip(times, shape, strict=True))
    return wide.reshape(wide.broadcast_to(split_up, repeated), whole)


@method("repeat")
@array_function(np.repeat)
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element repeated, along an axis or in one row."""
    x = as_array(a)
    if axis is None or not x.shape:
        axis = normalize_axis(axis or 0, 1) if not x.shape else 0
        x = wide.reshape(x, (math.prod(x.shape),))
    place = normalize_axis(axis, len(x.shape))
    counts = repeats.concrete("the repeats") if type(repeats) is Tracer else np.asarray(repeats)
    if counts.size == 1:
        count = operator.index(counts.reshape(()).item())
        if count < 0:
            raise ValueError("repeats may not contain negative values.")
        before, after = x.shape[:place], x.shape[place:]
        column = wide.reshape(x, (*before, after[0], 1, *after[1:]))
        repeated = wide.broadcast_to(column, (*before, after[0], count, *after[1:]))
        result = wide.reshape(repeated, (*before, after[0] * count, *after[1:]))
        return renewed(result) if result is x else result
    places = np.repeat(np.arange(x.shape[place]), counts)
    return take_along(x, places, place)


def _normalized_places(obj: Any, length: int) -> np.ndarray:
    if isinstance(obj, slice):
        return np.arange(*obj.indices(length))
    return np.asarray(obj)


@array_function(np.delete)
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """Without the elements at some places."""
    x = as_array(arr)
    if axis is None:
        x, axis = wide.reshape(x, (math.prod(x.shape),)), 0
    place = normalize_axis(axis, len(x.shape))
    length = x.shape[place]
    kept = np.delete(np.arange(length), _normalized_places(obj, length))
    return take_along(x, kept, place)


@array_function(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Axis = None) -> Any:
    """With values put before some places."""
    x, new = as_array(arr), as_array(values)
    if axis is None:
        x, axis = wide.reshape(x, (math.prod(x.shape),)), 0
    place = normalize_axis(axis, len(x.shape))  # type: ignore[arg-type]
    length = x.shape[place]
    where = _normalized_places(obj, length)
    new = cast(new, x.dtype)
    if where.dtype == np.bool_:
        where = np.flatnonzero(where)
    if where.ndim == 0 and new.ndim:
        new = wide.reshape(new, (1,) * (len(x.shape) - new.ndim) + new.shape)
        new = shapes.moveaxis(new, 0, place)
    count = new.shape[place] if where.size == 1 and new.ndim == len(x.shape) else where.size
    shape = (*x.shape[:place], count, *x.shape[place + 1 :])
    new = wide.broadcast_to(new, shape)
    # NumPy says where by doing it to the places themselves: negative ones stand for the new values
    order = np.insert(np.arange(length), where, -1 - np.arange(count))
    order = np.where(order < 0, length - 1 - order, order)
    return take_along(primitive.concatenate([x, new], place), order, place)


