"""What an index points at: NumPy's rules for every form of index, worked out from shapes.

An index is, in this order: a reshape that makes room for 0-d masks, a slice with positive steps
along every axis, a reversal of some axes, a gather along others, a permutation, and a last reshape.
Reading goes through them forwards, writing backwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracer.errors import ConcretizationError, OutOfBoundsError, ShapeError
from tracer.numpy.common import as_operand, where_text
from tracer.primitives.broadcast import broadcast_to, reshape, without_axes
from tracer.primitives.index import gather, scatter
from tracer.primitives.shape import flip, inverse_permutation, slice_update, take_slice, transpose
from tracer.trace import Tracer, is_abstract
from tracer.types import BOOL, Shape, broadcast_shapes

_INVALID = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean "
    "arrays are valid indices"
)


@dataclass(slots=True)
class Selection:
    """The parts of an index into an array of shape `shape`, and the shape of what it selects."""

    shape: Shape
    grown: Shape = ()
    start: list[int] = field(default_factory=list)
    stop: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    flipped: list[int] = field(default_factory=list)
    indices: list[Any] = field(default_factory=list)
    axes: list[int] = field(default_factory=list)
    order: tuple[int, ...] = ()
    result: Shape = ()
    arrays: bool = False  # whether arrays are among the indices: what they select is a copy
    # The places of the index: "new" axis, "slice", "int", "index", in the user's order.
    kinds: list[tuple[str, int]] = field(default_factory=list)

    @property
    def sliced(self) -> Shape:
        """The shape once slices are taken."""
        bounds = zip(self.start, self.stop, self.step, strict=True)
        return tuple([max(0, -(-(stop - start) // step)) for start, stop, step in bounds])

    def read(self, x: Any) -> Any:
        """What the index selects of `x`."""
        x = take_slice(
            reshape(x, self.grown), tuple(self.start), tuple(self.stop), tuple(self.step)
        )
        x = flip(x, tuple(self.flipped))
        if self.indices:
            x = transpose(gather(x, self.indices, tuple(self.axes)), self.order)
        return reshape(x, self.result)

    def write(self, x: Any, value: Any, mode: str = "set") -> Any:
        """`x` with `value`, shaped as `read` would return, written there."""
        grown = reshape(x, self.grown)
        start, step = tuple(self.start), tuple(self.step)
        if self.indices:
            axes = tuple(self.axes)
            index_shape = broadcast_shapes(*[index.shape for index in self.indices])
            block = (*index_shape, *without_axes(self.sliced, axes))
            value = reshape(value, tuple([block[axis] for axis in self.order]))
            value = transpose(value, inverse_permutation(self.order))
            old = flip(take_slice(grown, start, tuple(self.stop), step), tuple(self.flipped))
            unique = mode != "add" and distinct(self.indices, old.shape, axes)
            value = scatter(old, value, self.indices, axes, mode, unique=unique)
        else:
            value = reshape(value, self.sliced)
        value = flip(value, tuple(self.flipped))
        if value.shape == grown.shape and all(by == 1 for by in step) and self.indices:
            return reshape(value, self.shape)
        return reshape(slice_update(grown, value, start, step), self.shape)


def distinct(indices: Sequence[Any], shape: Shape, axes: Sequence[int]) -> bool:
    """Whether it is certain that no place is indexed twice."""
    if math.prod(broadcast_shapes(*[index.shape for index in indices])) <= 1:
        return True
    if any(type(index) is Tracer for index in indices):
        return False
    arrays = np.broadcast_arrays(*indices)
    extents = [shape[axis] for axis in axes]
    places = np.zeros(arrays[0].shape, np.int64)
    for array, extent in zip(arrays, extents, strict=True):
        places = places * extent + array
    flat = places.ravel()
    return bool(np.all(flat[1:] > flat[:-1])) or np.unique(flat).size == flat.size


def _classified(item: Any) -> tuple[str, Any]:
    """The kind of one item of an index, and the item as Python or NumPy value or tracer."""
    kind = type(item)
    if item is None:
        return "new", None
    if item is Ellipsis:
        return "ellipsis", None
    if kind is slice:
        return "slice", item
    if kind is int or isinstance(item, np.integer):
        return "int", int(item)
    if kind is not Tracer:
        try:
            item = as_operand(item)
        except (TypeError, ValueError):
            raise IndexError(f"{where_text()}{_INVALID}") from None
    if kind in (list, tuple) and item.shape == (0,):
        item = np.zeros(0, np.int64)
    if type(item) is not Tracer:
        item = np.asarray(item)
    if item.dtype == BOOL:
        return "mask", item
    if item.dtype.kind not in "iu":
        if kind is Tracer or kind is np.ndarray:
            raise IndexError(
                f"{where_text()}arrays used as indices must be of integer (or boolean) type"
            )
        raise IndexError(f"{where_text()}{_INVALID}")
    if item.shape == () and type(item) is not Tracer:
        return "int", int(item)
    return "index", item


def classify(index: Any, rank: int) -> list[tuple[str, Any]]:
    """The items of an index, an ellipsis written out as a "gap", which separates, and slices."""
    items = [_classified(item) for item in (index if type(index) is tuple else (index,))]
    used = sum(
        item.ndim if kind == "mask" else kind in ("slice", "int", "index") for kind, item in items
    )
    if used > rank:
        raise IndexError(
            f"{where_text()}too many indices for array: array is {rank}-dimensional, but {used} "
            "were indexed"
        )
    gaps = [place for place, (kind, _) in enumerate(items) if kind == "ellipsis"]
    if len(gaps) > 1:
        raise IndexError(f"{where_text()}an index can only have a single ellipsis ('...')")
    rest: list[tuple[str, Any]] = [("slice", slice(None))] * (rank - used)
    if not gaps:
        return [*items, *rest]
    return [*items[: gaps[0]], ("gap", None), *rest, *items[gaps[0] + 1 :]]


def concrete_mask(mask: Any) -> np.ndarray:
    """The values of a mask; an error that names what has a fixed size, where there are none."""
    if type(mask) is not Tracer:
        return mask  # type: ignore[no-any-return]
    if is_abstract(mask):
        raise ConcretizationError(
            f"{where_text()}the number of elements that a traced mask of type {mask.type} selects "
            "is known only when the compiled function runs; write np.where(mask, x, other), or "
            "tracer.numpy.nonzero(mask, size=n, fill_value=0) and index with that"
        )
    return np.asarray(mask.concrete("a boolean mask"))


def check_place(place: int, axis: int, extent: int) -> int:
    """An int index counted from the front; `OutOfBoundsError` outside."""
    if not -extent <= place < extent:
        raise OutOfBoundsError(
            f"{where_text()}index {place} is out of bounds for axis {axis} with size {extent}"
        )
    return place + extent if place < 0 else place


def _checked(index: Any, axis: int, extent: int) -> Any:
    """An index array, counted from the front and inside where its values are known."""
    if type(index) is Tracer:
        return Tracer(index.variable)  # a view keeps it, whatever becomes of the name
    index = np.asarray(index).astype(np.int64)
    if index.size:
        low, high = int(index.min()), int(index.max())
        if high >= extent or low < -extent:
            check_place(high if high >= extent else low, axis, extent)
        if low < 0:
            index = np.where(index < 0, index + extent, index)
    return index


def _add_slice(chosen: Selection, axis: int, part: slice, extent: int) -> None:
    start, stop, step = part.indices(extent)
    length = max(0, -(-(stop - start) // step))
    if step < 0:
        chosen.flipped.append(axis)
        start, step = start + (length - 1) * step, -step
    if length == 0:
        start = stop = 0
    else:
        stop = start + (length - 1) * step + 1
    if length == 1:
        step = 1
    chosen.start.append(start)
    chosen.stop.append(stop)
    chosen.step.append(step)


def _add_index(chosen: Selection, index: Any, extent: int) -> None:
    axis = len(chosen.start)
    chosen.indices.append(_checked(index, axis, extent))
    chosen.axes.append(axis)
    chosen.kinds.append(("index", axis))
    _add_slice(chosen, axis, slice(None), extent)


def _add_mask(chosen: Selection, mask: Any, extents: Shape) -> None:
    mask = concrete_mask(mask)
    if mask.ndim == 0:
        _add_index(chosen, np.zeros(int(bool(mask)), np.int64), 1)
        return
    for offset, (have, extent) in enumerate(zip(mask.shape, extents, strict=True)):
        if have != extent:
            raise IndexError(
                f"{where_text()}boolean index did not match indexed array along axis "
                f"{len(chosen.start) + offset}; size of axis is {extent} but size of corresponding "
                f"boolean axis is {have}"
            )
    for index, extent in zip(np.nonzero(mask), extents, strict=True):
        _add_index(chosen, index, extent)


def select_by(index: Any, shape: Shape) -> Selection:
    """The selection that an index makes in an array of that shape."""
    items = classify(index, len(shape))
    chosen = Selection(shape)
    grown: list[int] = []
    extents = iter(shape)
    arrays = any(
        kind == "mask" or (kind == "index" and item.shape != ()) for kind, item in items
    )
    for kind, item in items:
        if kind in ("new", "gap"):
            chosen.kinds.append((kind, -1))
            continue
        if kind == "mask":
            covered = tuple([next(extents) for _ in range(item.ndim)])
            grown.extend(covered or (1,))
            _add_mask(chosen, item, covered)
            continue
        extent = next(extents)
        axis = len(grown)
        grown.append(extent)
        if kind == "slice":
            _add_slice(chosen, axis, item, extent)
            chosen.kinds.append(("slice", axis))
        elif kind == "index" or arrays:
            _add_index(chosen, np.asarray(item) if kind == "int" else item, extent)
        else:
            place = check_place(item, axis, extent)
            _add_slice(chosen, axis, slice(place, place + 1), extent)
            chosen.kinds.append(("int", axis))
    chosen.grown = tuple(grown)
    _set_result(chosen, arrays)
    return chosen


def _set_result(chosen: Selection, arrays: bool) -> None:
    """Where the axes of index arrays go: in the place of the first where all are adjacent."""
    sliced = chosen.sliced
    places = [place for place, (kind, _) in enumerate(chosen.kinds) if kind == "index"]
    adjacent = not places or places[-1] - places[0] + 1 == len(places)
    index_shape: Shape = ()
    chosen.arrays = arrays
    if chosen.indices:
        try:
            index_shape = broadcast_shapes(*[index.shape for index in chosen.indices])
        except ShapeError:
            text = " ".join(str(index.shape) for index in chosen.indices)
            raise IndexError(
                f"{where_text()}shape mismatch: indexing arrays could not be broadcast together "
                f"with shapes {text}"
            ) from None
    # Ints beside 0-d traced ones only are dropped where they stand.
    lead = places[0] if arrays and adjacent else 0
    result: list[int] = [] if lead else list(index_shape)
    before = 0
    for place, (kind, axis) in enumerate(chosen.kinds):
        if place == lead and lead:
            result.extend(index_shape)
        if kind == "slice":
            result.append(sliced[axis])
            before += place < lead
        elif kind == "new":
            result.append(1)
        elif kind == "int":
            before += place < lead
    depth = len(index_shape)
    free = len(sliced) - len(chosen.axes)
    chosen.order = (
        *range(depth, depth + before),
        *range(depth),
        *range(depth + before, depth + free),
    )
    chosen.result = tuple(result)


def fit(value: Any, shape: Shape, message: Callable[[], str]) -> Any:
    """`value` broadcast to what is assigned to; more leading axes of length 1 are let pass."""
    extra = len(value.shape) - len(shape)
    if extra > 0 and all(extent == 1 for extent in value.shape[:extra]):
        value = reshape(value, value.shape[extra:])
    try:
        return broadcast_to(value, shape)
    except ValueError:
        raise ShapeError(message()) from None
