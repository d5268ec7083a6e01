"""Reading and assigning through masks whose values only the run knows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.numpy.common import as_array, cast_to
from tracer.numpy.selected import Selected, ranks, refuse, require, same_value
from tracer.primitives.arithmetic import maximum
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.primitives.comparison import equal, select
from tracer.primitives.index import gather, scatter
from tracer.primitives.shape import concatenate, slice_axis
from tracer.trace import Tracer, is_abstract
from tracer.types import BOOL


def is_unknown_mask(item: Any) -> bool:
    """Whether an item of an index is a mask that selects a number of elements not known yet."""
    if isinstance(item, Selected):
        return True
    return type(item) is Tracer and item.dtype == BOOL and bool(item.shape) and is_abstract(item)


def has_unknown_mask(index: Any) -> bool:
    """Whether an index has such a mask in it."""
    if type(index) is tuple:
        return any(map(is_unknown_mask, index))
    return is_unknown_mask(index)


def _spread(x: Any, index: Any) -> tuple[Any, Any, int]:
    """An index with slices in the place of its mask; the mask; and the axes before it."""
    items = list(index) if type(index) is tuple else [index]
    places = [place for place, item in enumerate(items) if is_unknown_mask(item)]
    if len(places) != 1 or isinstance(items[places[0]], Selected):
        raise refuse("an index of several selections")
    place = places[0]
    mask = items[place]
    before, after = items[:place], items[place + 1 :]
    if any(not (item is None or isinstance(item, (int, slice))) for item in before + after):
        raise refuse("an index of a mask beside arrays")
    if any(item is None or isinstance(item, int) for item in before):
        raise refuse("an index with a number or a new axis before a mask")
    spread = (*before, *(slice(None),) * len(mask.shape), *after)
    covered = x.shape[len(before) : len(before) + len(mask.shape)]
    if covered != mask.shape:
        raise IndexError(
            f"boolean index did not match indexed array: its shape is {mask.shape}, that of the "
            f"axes {covered}"
        )
    return spread, mask, len(before)


def masked_read(x: Any, index: Any) -> Any:
    """`x[index]`, of which a mask is part."""
    from tracer.numpy.indexing import index_view

    places = _places_of(index)
    if places is not None:
        return _gathered(x, places)
    spread, mask, lead = _spread(x, index)
    values = index_view(x, spread)
    return Selected(Tracer(values.variable) if type(values) is Tracer else values, mask, lead)


def masked_write(x: Any, index: Any, value: Any) -> Any:
    """A copy of `x` with `x[index] = value`, where a mask is part of the index."""
    from tracer.numpy.indexing import index_view, updated

    places = _places_of(index)
    if places is not None:
        return _scattered(x, places, value)
    spread, mask, lead = _spread(x, index)
    old = index_view(x, spread)
    target = Selected(old, mask, lead)
    if isinstance(value, Selected):
        if value.lead != lead or not same_value(value.mask, mask):
            raise refuse("an assignment of what another mask selects")
        new = cast_to(value.values, x.dtype)
    else:
        new = _row_of_values(target, value)
    new = select(target.wide_mask(), broadcast_to(new, old.shape), old)
    if all(type(item) is slice and item == slice(None) for item in spread):
        return new
    return updated(x, spread, new)


def _row_of_values(target: Selected, value: Any) -> Any:
    """A value for each element that is meant: one for all, or as many as there will be."""
    from tracer.numpy.indexing import as_value

    value = as_array(as_value(value, target.dtype))
    depth = len(target.rest)
    place = len(value.shape) - depth - 1
    if place < 0:
        return value
    shape = value.shape
    if shape[place] == 1:
        ones = (1,) * len(target.mask.shape)
        return reshape(value, (*shape[:place], *ones, *shape[place + 1 :]))
    if place or target.lead:
        raise refuse("an assignment of rows through a mask on a later axis")
    flat = reshape(target.mask, (math.prod(target.mask.shape),))
    value = require(equal(target.count, shape[0]), value)
    number = maximum(ranks(flat) - 1, 0)
    inside = select(flat, number, np.int64(0))
    if shape[0] == 0:
        raise ValueError("NumPy boolean array indexing assignment cannot assign 0 input values")
    inside = select(inside < shape[0], inside, np.int64(0))
    rows = gather(value, [inside], (0,))
    return reshape(rows, (*target.mask.shape, *shape[1:]))


# Places that a mask selects, as `np.nonzero` gives them


def nonzero(mask: Any) -> tuple[Selected, ...]:
    """Where a mask holds: one selection of places for each axis."""
    grids = np.indices(mask.shape)
    return tuple(Selected(grid, mask) for grid in grids)


def _places_of(index: Any) -> tuple[Any, ...] | None:
    """The items of an index, where selections of places are among them."""
    items = index if type(index) is tuple else (index,)
    if any(isinstance(item, Selected) and item.dtype.kind in "iu" for item in items):
        return items
    return None


def _inside(x: Any, items: tuple[Any, ...]) -> tuple[Selected, list[Any]]:
    """Index arrays for all elements of a mask, 0 in those that are not meant."""
    first = next(item for item in items if isinstance(item, Selected))
    places = []
    for item in items:
        if isinstance(item, Selected):
            if not same_value(item.mask, first.mask) or item.rest or item.lead:
                raise refuse("an index of selections by two masks")
            places.append(select(first.mask, cast_to(item.values, np.int64), np.int64(0)))
        elif isinstance(item, int):
            places.append(broadcast_to(np.int64(item), first.mask.shape))
        else:
            raise refuse("an index of a selection beside slices or arrays")
    return first, places


def _gathered(x: Any, items: tuple[Any, ...]) -> Selected:
    first, places = _inside(x, items)
    return Selected(gather(as_array(x), places, tuple(range(len(places)))), first.mask)


def _scattered(x: Any, items: tuple[Any, ...], value: Any) -> Any:
    """`x` with values put at selected places; those that are not meant go to a row of waste."""
    first, places = _inside(x, items)
    target = Selected(gather(x, places, tuple(range(len(places)))), first.mask)
    if isinstance(value, Selected):
        if not same_value(value.mask, first.mask):
            raise refuse("an assignment of what another mask selects")
        new = cast_to(value.values, x.dtype)
    else:
        new = _row_of_values(target, value)
    new = broadcast_to(new, target.values.shape)
    extent = x.shape[0]
    waste = concatenate([x, slice_axis(x, 0, 0, 1)], 0)
    negative = places[0] < 0
    counted = select(negative, places[0] + extent, places[0])
    rows = select(first.mask, counted, np.int64(extent))
    written = scatter(waste, new, [rows, *places[1:]], tuple(range(len(places))), "set")
    return slice_axis(written, 0, 0, extent)
