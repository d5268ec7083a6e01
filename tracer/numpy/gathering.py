"""Elements taken from, and put at, given places or where a condition holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tracer.dispatch import METHODS, method
from tracer.errors import ShapeError
from tracer.numpy import masks
from tracer.numpy.common import (
    PUBLIC,
    array_function,
    as_array,
    as_arrays,
    cast_to,
    renewed,
    store,
    unsupported,
    where_text,
)
from tracer.numpy.elementwise import wrapped_places
from tracer.numpy.indexing import as_value, take_along, updated
from tracer.numpy.masks import is_unknown_mask, masked_read
from tracer.numpy.reductions import truth
from tracer.numpy.selection import check_place, concrete_mask
from tracer.numpy.shapes import ravel as shapes_ravel
from tracer.numpy.views import rebind
from tracer.primitives import running
from tracer.primitives.arithmetic import floor_divide, remainder
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import less, select
from tracer.primitives.index import gather, scatter
from tracer.primitives.ordering import searchsorted
from tracer.primitives.shape import concatenate
from tracer.trace import Tracer
from tracer.types import BOOL, INT64, PYTHON_SCALARS, broadcast_shapes, normalize_axis


def checked_places(index: Any, extent: int, axis: int, mode: str = "raise") -> Any:
    """Integer places; those whose values are known are checked and counted from the front."""
    index = wrapped_places(index, extent, mode)
    if type(index) is Tracer:
        return index
    index = np.asarray(index)
    if index.dtype.kind not in "iu":
        if index.size:
            raise TypeError(f"Cannot cast array data from {index.dtype!r} to dtype('int64')")
        index = index.astype(np.int64)
    for extreme in (index.max(initial=0), index.min(initial=0)) if index.size else ():
        check_place(int(extreme), axis, extent)
    return np.where(index < 0, index + extent, index).astype(np.int64)


@method("take")
@array_function(np.take)
def take(
    a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise"
) -> Any:
    """The elements at integer places along an axis, or of all in one row."""
    x = as_array(a)
    if axis is None or not x.shape:
        axis = normalize_axis(axis or 0, 1) if not x.shape else 0
        x = reshape(x, (math.prod(x.shape),))
    place = normalize_axis(axis, len(x.shape))
    places = checked_places(as_array(indices), x.shape[place], place, mode)
    return store(take_along(x, places, place), out)


def _grid_and_index(x: Any, indices: Any, axis: int) -> tuple[list[Any], int]:
    """The index arrays that name, for each element of `indices`, a place along the axis."""
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if len(x.shape) != len(indices.shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    rank = len(x.shape)
    grid = []
    for place, extent in enumerate(x.shape):
        shape = tuple(-1 if other == place else 1 for other in range(rank))
        grid.append(np.arange(extent).reshape(shape))
    grid[axis] = checked_places(indices, x.shape[axis], axis)
    return grid, rank


@array_function(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """For each element of `indices`, the element at that place along the axis."""
    x, places = as_arrays(arr, indices)
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    grid, rank = _grid_and_index(x, places, normalize_axis(axis, len(x.shape)))
    return gather(x, grid, tuple(range(rank)))


def _traced_target(target: Any, name: str) -> Any:
    if type(target) is not Tracer:
        raise unsupported(
            f"numpy.{name}",
            "into a plain ndarray",
            "make the array with tracer.numpy.zeros or tracer.numpy.array",
        )
    return target


@array_function(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    """Values put at places along an axis, in place."""
    x = _traced_target(arr, "put_along_axis")
    places, new = as_array(indices), as_value(values, x.dtype)
    flat = reshape(x, (math.prod(x.shape),)) if axis is None else x
    grid, rank = _grid_and_index(flat, places, normalize_axis(axis or 0, len(flat.shape)))
    shape = broadcast_shapes(*[index.shape for index in grid])
    new = scatter(flat, broadcast_to(as_array(new), shape), grid, tuple(range(rank)), "set")
    rebind(x, reshape(new, x.shape))


@method("put")
@array_function(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Values put at places of the elements in one row, in place; repeated as needed."""
    x = _traced_target(a, "put")
    size = math.prod(x.shape)
    places = checked_places(as_array(ind), size, 0, mode)
    count = math.prod(places.shape)
    new = as_array(as_value(v, x.dtype))
    if count == 0 or math.prod(new.shape) == 0:
        return
    repeated = take(new, np.arange(count) % math.prod(new.shape))
    changed = updated(reshape(x, (size,)), reshape(places, (count,)), repeated)
    rebind(x, reshape(changed, x.shape))


@array_function(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Values put where the mask holds, each from its own place, in place."""
    x = _traced_target(a, "putmask")
    new = as_array(as_value(values, x.dtype))
    size = math.prod(x.shape)
    spread = reshape(take(new, np.arange(size) % math.prod(new.shape)), x.shape)
    rebind(x, select(reshape(truth(mask), x.shape), spread, x))


@array_function(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """The values, one after the other, put where the mask holds, in place."""
    x = _traced_target(arr, "place")
    new = as_array(as_value(vals, x.dtype))
    size, count = math.prod(x.shape), math.prod(new.shape)
    if count == 0:
        raise ValueError("Cannot insert from an empty array!")
    flat = reshape(truth(mask), (size,))
    order = running.cumsum(cast(flat, INT64), 0) - 1
    places = remainder(select(less(order, 0), np.int64(0), order), count)
    spread = take(reshape(new, (count,)), places)
    rebind(x, reshape(select(flat, spread, reshape(x, (size,))), x.shape))


@array_function(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """`dst` made equal to `src`, where `where` holds, in place."""
    x = _traced_target(dst, "copyto")
    source = as_array(src)
    kept = np.can_cast(source.dtype, x.dtype, casting)  # type: ignore[arg-type]
    if type(src) in PYTHON_SCALARS:
        kept = casting == "unsafe" or np.result_type(src, x.dtype) == x.dtype
    if not kept:
        raise TypeError(
            f"Cannot cast array data from {source.dtype!r} to {x.dtype!r} according to the rule "
            f"'{casting}'"
        )
    new = broadcast_to(cast(source, x.dtype), x.shape)
    if where is not True:
        new = select(broadcast_to(cast_to(where, BOOL), x.shape), new, x)
    rebind(x, new)


@method("compress")
def _compress_method(self: Any, condition: Any, axis: int | None = None, out: Any = None) -> Any:
    return compress(condition, self, axis, out)


@array_function(np.compress)
def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """The elements along an axis for which the condition, whose values must be known, holds."""
    x = as_array(a)
    if axis is None:
        x, axis = reshape(x, (math.prod(x.shape),)), 0
    chosen = truth(condition)
    if is_unknown_mask(chosen) and out is None:
        return _compressed(x, chosen, normalize_axis(axis, len(x.shape)))
    kept = np.flatnonzero(concrete_mask(chosen))
    return take(x, kept, axis, out)


def _compressed(x: Any, chosen: Any, axis: int) -> Any:
    """What a condition, which only the run knows, selects along an axis."""
    missing = x.shape[axis] - chosen.shape[0]
    if missing < 0:
        raise ShapeError(
            f"{where_text()}a condition of length {chosen.shape[0]} that only the run knows is "
            f"longer than the axis, {x.shape[axis]}"
        )
    mask = concatenate([chosen, np.zeros(missing, bool)], 0) if missing else chosen
    return masked_read(x, (*(slice(None),) * axis, mask))


@array_function(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """The elements where the condition holds, in one row."""
    return compress(shapes_ravel(truth(condition)), arr)


def _counted_places(mask: Any, size: int, fill_value: Any) -> tuple[Any, ...]:
    """The first `size` places where the mask holds; `fill_value` where there are fewer."""
    shape = mask.shape
    running_count = running.cumsum(cast(reshape(mask, (math.prod(shape),)), INT64), 0)
    flat = searchsorted(running_count, np.arange(1, size + 1), "left")
    found = less(np.arange(size), reduce_sum(cast(mask, INT64), tuple(range(len(shape)))))
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * len(shape)
    result = []
    for axis, fill in enumerate(fills):
        stride = math.prod(shape[axis + 1 :])
        index = remainder(floor_divide(flat, max(stride, 1)), max(shape[axis], 1))
        result.append(select(found, index, np.int64(fill)))
    return tuple(result)


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = 0) -> tuple[Any, ...]:
    """Where the elements are other than 0, one array an axis.

    How many there are must be known, or given as `size`: where there are fewer, the last are
    `fill_value`.
    """
    x = as_array(a)
    if not x.shape:
        raise ValueError(
            "Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() "
            "instead."
        )
    if size is not None:
        return _counted_places(truth(x), size, fill_value)
    mask = truth(x)
    if is_unknown_mask(mask):
        return masks.nonzero(mask)
    return np.nonzero(concrete_mask(mask))


array_function(np.nonzero)(nonzero)
METHODS["nonzero"] = PUBLIC[np.nonzero] = nonzero


@array_function(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    """Where the elements, in one row, are other than 0."""
    x = as_array(a)
    return nonzero(reshape(x, (math.prod(x.shape),)))[0]


@array_function(np.argwhere)
def argwhere(a: Any) -> Any:
    """Where the elements are other than 0, one row each."""
    return np.argwhere(concrete_mask(truth(a)))


@array_function(np.ravel_multi_index)
def ravel_multi_index(
    multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C"
) -> Any:
    """Places of several axes as places of all elements in one row."""
    modes = mode if isinstance(mode, tuple) else (mode,) * len(dims)
    pairs = list(zip(as_arrays(*multi_index), dims, modes, strict=True))
    total: Any = np.int64(0)
    for axis, (index, extent, rule) in enumerate(pairs if order == "C" else pairs[::-1]):
        total = total * extent + checked_places(index, extent, axis, rule)
    return total


@array_function(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    """Places of all elements in one row as places of several axes."""
    extents = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    rest = checked_places(as_array(indices), math.prod(extents), 0)
    result = []
    for extent in reversed(extents) if order == "C" else extents:
        result.append(remainder(rest, extent))
        rest = floor_divide(rest, extent)
    return tuple(reversed(result)) if order == "C" else tuple(result)


@array_function(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any,
    window_shape: Any,
    axis: Any = None,
    *,
    subok: bool = False,
    writeable: bool = False,
) -> Any:
    """Windows that slide over axes; theirs come last."""
    x = as_array(x)
    windows = (window_shape,) if isinstance(window_shape, int) else tuple(window_shape)
    axes = tuple(range(len(x.shape))) if axis is None else axis
    places = (axes,) if isinstance(axes, int) else tuple(axes)
    if len(windows) != len(places):
        raise ValueError("Must provide matching length window_shape and axis")
    for window, place in zip(windows, places, strict=True):
        axis_now = normalize_axis(place, x.ndim)
        count = x.shape[axis_now] - window + 1
        if count <= 0 or window < 0:
            raise ShapeError(
                f"{where_text()}window shape cannot be larger than input array shape {x.shape}"
            )
        index = np.arange(count)[:, None] + np.arange(window)
        taken = take_along(x, index, axis_now)
        order = [n for n in range(taken.ndim) if n != axis_now + 1] + [axis_now + 1]
        x = taken.transpose(order)
    return x


class Flat:
    """`x.flat`: the elements of a traced array in one row."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def _row(self) -> Any:
        return reshape(self.array, (math.prod(self.array.shape),))

    def __len__(self) -> int:
        return math.prod(self.array.shape)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._row())

    def __getitem__(self, index: Any) -> Any:
        return renewed(self._row()[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        row = self._row()
        new = as_array(as_value(value, row.dtype))
        count = math.prod(row[index].shape)
        if math.prod(new.shape) > 1:  # NumPy repeats, or leaves off, what is assigned
            new = take(new, np.arange(count) % math.prod(new.shape))
            new = reshape(new, row[index].shape)
        rebind(self.array, reshape(updated(row, index, new), self.array.shape))


@method("__flat__")
def flat(self: Any) -> Flat:
    """`x.flat`."""
    return Flat(self)
