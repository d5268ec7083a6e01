"""Gather and scatter: indices checked in a loop of their own, then data moved without checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.loops.nodes import Buffer, Expression, Literal, Operation
from codegen.lower.context import (
    BOOL,
    INT64,
    ZERO,
    Context,
    Indices,
    Inline,
    Scalar,
    Stored,
    integer,
)
from codegen.lower.elementwise import broadcast_indices
from codegen.lower.views import unit_map
from tracer.graph.nodes import Node, Source, Variable
from tracer.types import ArrayType

_SHAPE_ONLY = frozenset({"reshape", "broadcast_to", "transpose", "flip", "slice"})


def index_range(context: Context, operand: Any) -> tuple[int, int] | None:
    """The smallest and largest value of an index array, where the graph tells."""
    while type(operand) is Variable:
        if operand in context.value_ranges:
            return context.value_ranges[operand]
        place = context.places[operand]
        if isinstance(place, Scalar):
            return context.range_of(place.expression)
        if isinstance(place, Stored) and place.buffer.value is not None and place.buffer.size:
            return int(place.buffer.value.min()), int(place.buffer.value.max())
        if not isinstance(place, Inline):
            return None
        node = place.node
        if node.primitive.name == "iota":
            return 0, max(0, node.params["length"] - 1)
        if node.primitive.name not in _SHAPE_ONLY:
            return None
        operand = node.operands[0]
    return int(operand.value), int(operand.value)


def wrapped_index(context: Context, operand: Any, indices: Indices, extent: int) -> Expression:
    """The index at `indices`, negative ones counted from the end, as int64."""
    value = context.element(operand, indices)
    if value.dtype != INT64:
        value = context.operation("cast", value, dtype=INT64)
    known = index_range(context, operand)
    if known is not None and known[0] >= 0:
        return value
    if isinstance(value, Literal):
        return integer(int(value.value.real) % extent)
    negative = context.operation("less", value, ZERO, dtype=BOOL)
    shifted = context.operation("add", value, integer(extent), dtype=INT64)
    return context.let(Operation("select", (negative, shifted, value), INT64))


def check_bounds(
    context: Context, operand: Any, extent: int, axis: int, source: Source | None
) -> None:
    """Fail with NumPy's IndexError unless all indices lie in the axis."""
    known = index_range(context, operand)
    if known is not None and -extent <= known[0] and known[1] < extent:
        return
    key = ("checked", operand, extent)
    if context.block.find(key) is not None:
        return
    context.block.known[key] = ZERO
    message = f"index {{0}} is out of bounds for axis {axis} with size {extent}"
    # On a device any of several bad indices may be the one that is named.
    kind = "parallel" if context.target == "device" else "serial"
    with context.loops(operand.type.shape, kind) as indices:
        value = context.element(operand, indices)
        if value.dtype != INT64:
            value = context.operation("cast", value, dtype=INT64)
        low = context.operation("greater_equal", value, integer(-extent), dtype=BOOL)
        high = context.operation("less", value, integer(extent), dtype=BOOL)
        inside = context.operation("logical_and", low, high, dtype=BOOL)
        context.check(inside, "IndexError", message, source, value)


def _index_shape(indices: Any) -> tuple[int, ...]:
    return np.broadcast_shapes(*[index.type.shape for index in indices])


def _element_indices(
    context: Context, shape: Any, indices: Any, axes: Any, lead: Indices, rest: Indices
) -> Indices:
    """Where an element of the gathered array lies in the source."""
    result: list[Expression | None] = [None] * len(shape)
    for operand, axis in zip(indices, axes, strict=True):
        place = broadcast_indices(operand.type.shape, lead)
        result[axis] = wrapped_index(context, operand, place, shape[axis])
    remaining = iter(rest)
    return tuple(next(remaining) if entry is None else entry for entry in result)


def _distinct_axes(context: Context, operand: Any) -> frozenset[int]:
    """Axes of an index array along all of which together no number is there twice."""
    if type(operand) is not Variable:
        return frozenset()
    if operand in context.distinct:
        return context.distinct[operand]
    place = context.places.get(operand)
    if not isinstance(place, Inline):
        return frozenset()
    node = place.node
    if node.primitive.name == "iota":
        return frozenset((0,))
    if node.primitive.name not in ("reshape", "broadcast_to"):
        return frozenset()
    source = node.operands[0]
    axes = _distinct_axes(context, source)
    own, shape = source.type.shape, operand.type.shape
    if node.primitive.name == "broadcast_to":
        lead = len(shape) - len(own)
        return frozenset(axis + lead for axis in axes if own[axis] == shape[axis + lead])
    places = unit_map(own, shape)
    assert places is not None, "reshapes that are computed where they are used rename indices"
    found = [places[axis] for axis in axes]
    return frozenset(axis for axis in found if axis is not None)


def _is_distinct(context: Context, indices: list[Any], shape: tuple[int, ...]) -> bool:
    """Whether index arrays, broadcast to `shape`, name no place twice.

    An array that has no number twice along some axes tells those apart, once all others on which
    it depends are told apart.
    """
    told = {axis for axis, extent in enumerate(shape) if extent == 1}
    while len(told) < len(shape):
        before = len(told)
        for operand in indices:
            known = index_range(context, operand)
            if known is None or known[0] < 0:
                continue
            own = operand.type.shape
            lead = len(shape) - len(own)
            axes = {
                axis + lead
                for axis in _distinct_axes(context, operand)
                if own[axis] == shape[axis + lead]
            }
            depends = {axis + lead for axis, extent in enumerate(own) if extent != 1}
            if depends - axes <= told:
                told |= axes
        if len(told) == before:
            return False
    return True


def emit_gather(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write a gather."""
    x, *indices = node.operands
    axes, shape = node.params["axes"], x.type.shape
    if node.results[0].type.size == 0:
        return
    for operand, axis in zip(indices, axes, strict=True):
        check_bounds(context, operand, shape[axis], axis, node.source)
    lead_rank = len(_index_shape(indices))
    in_order = _in_order(context, node)
    if in_order is not None:
        axis, keys = in_order
        with context.loops(target.shape[len(place) :]) as where:
            key = context.load(keys, (*where[:axis], *where[axis + 1 :], where[axis]))
            context.store(target, (*place, *where), key)
        return
    with context.loops(target.shape[len(place) :]) as where:
        lead, rest = where[:lead_rank], where[lead_rank:]
        source = _element_indices(context, shape, indices, axes, lead, rest)
        context.store(target, (*place, *where), context.element(x, source))


def take_in_order(context: Context, node: Node) -> Stored | None:
    """Where the result of a gather that sorts along the last axis lies already; it is the result's
    memory from now on."""
    lowering = node.primitive.lowering
    found = _in_order(context, node) if lowering and lowering.kind == "gather" else None
    if found is None or found[0] != len(node.operands[0].type.shape) - 1:
        return None
    for operand in node.operands[1:]:
        context.sorted.pop(operand, None)
    return Stored(found[1])


def _in_order(context: Context, node: Node) -> tuple[int, Buffer] | None:
    """The axis along which a gather sorts, and where what it gathers is in order already."""
    x, *indices = node.operands
    shape, axes = x.type.shape, node.params["axes"]
    found = next((context.sorted[i] for i in indices if i in context.sorted), None)
    if found is None or found[0] is not x or axes != tuple(range(len(shape))):
        return None
    _, along, keys = found
    if indices[along].type.shape != shape or indices[along] not in context.sorted:
        return None
    others = [axis for axis in axes if axis != along]
    same = all(_counts_along(context, indices[axis], axis, shape) for axis in others)
    return (along, keys) if same else None


def _counts_along(context: Context, operand: Any, axis: int, shape: tuple[int, ...]) -> bool:
    """Whether an index array is the index along an axis of what it indexes."""
    wanted = tuple(extent if other == axis else 1 for other, extent in enumerate(shape))
    if operand.type.shape != wanted:
        return False
    if type(operand) is not Variable:
        return shape[axis] == 1 and operand.value.item() == 0
    place = context.places[operand]
    if isinstance(place, Stored) and place.buffer.value is not None and not place.prefix:
        return bool(np.array_equal(place.buffer.value.reshape(-1), np.arange(shape[axis])))
    while isinstance(place, Inline):
        inner = place.node
        if inner.primitive.name == "iota":
            return True
        if inner.primitive.name != "reshape" or type(inner.operands[0]) is not Variable:
            return False
        place = context.places[inner.operands[0]]
    return False


def emit_scatter(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write a scatter; the target already holds x where it is updated in place."""
    x, updates, *indices = node.operands
    axes, shape = node.params["axes"], x.type.shape
    mode = node.params["mode"]
    owned = context.places.get(x) if type(x) is Variable else None
    if not (isinstance(owned, Stored) and owned.buffer is target):
        with context.loops(shape) as where:
            context.store(target, (*place, *where), context.element(x, where))
    if updates.type.size == 0:
        return
    for operand, axis in zip(indices, axes, strict=True):
        check_bounds(context, operand, shape[axis], axis, node.source)
    lead_shape = _index_shape(indices)
    distinct = context.target == "device" and (
        node.params["unique"] or _is_distinct(context, indices, lead_shape)
    )
    if mode == "set" and context.target == "device" and not distinct:
        _emit_last_wins(context, node, target, place)
        return
    with (
        context.loops(lead_shape, "parallel" if distinct else "serial") as lead,
        context.loops(updates.type.shape[len(lead_shape) :]) as rest,
    ):
        where = _element_indices(context, shape, indices, axes, lead, rest)
        value = context.element(updates, (*lead, *rest))
        if mode == "set":
            context.store(target, (*place, *where), value)
        else:
            operation = {"add": "add", "multiply": "multiply"}.get(mode, mode)
            if mode == "add" and value.dtype.kind == "b":
                operation = "logical_or"
            context.update(target, (*place, *where), operation, value)


def _emit_last_wins(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write a scatter whose indices may repeat, for a device: the last of those that name a place
    is found as the largest, in any order, and it alone writes."""
    x, updates, *indices = node.operands
    axes, shape = node.params["axes"], x.type.shape
    lead_shape = _index_shape(indices)
    winners = context.new_buffer(ArrayType(INT64, tuple(shape[axis] for axis in axes)))
    with context.loops(winners.shape) as where:
        context.store(winners, where, integer(-1))

    def position(lead: Indices) -> tuple[Expression, Indices]:
        """The number of an index in C order, and where the winner of its place stands."""
        number: Expression = ZERO
        for index, extent in zip(lead, lead_shape, strict=True):
            scaled = context.operation("multiply", number, integer(extent))
            number = context.operation("add", scaled, index)
        rest = (ZERO,) * (len(shape) - len(axes))
        found = _element_indices(context, shape, indices, axes, lead, rest)
        return number, tuple(found[axis] for axis in axes)

    with context.loops(lead_shape, "serial") as lead:
        number, winner = position(lead)
        context.update(winners, winner, "maximum", number)
    with context.loops(lead_shape) as lead:
        number, winner = position(lead)
        last = context.load(winners, winner)
        wins = context.operation("equal", last, number, dtype=BOOL)
        inner = updates.type.shape[len(lead_shape) :]
        with context.inner_block() as block, context.loops(inner) as rest:
            where = _element_indices(context, shape, indices, axes, lead, rest)
            value = context.element(updates, (*lead, *rest))
            context.store(target, (*place, *where), value)
        context.branch(wins, block)
