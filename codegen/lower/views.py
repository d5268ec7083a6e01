"""Views: index maps where they can be, pieces written side by side where they cannot."""

from __future__ import annotations

from typing import Any

from codegen.loops.nodes import Buffer, Expression, Operation
from codegen.lower.context import (
    ZERO,
    Context,
    Indices,
    Stored,
    add_index,
    mirror_index,
    scale_index,
)
from codegen.lower.elementwise import broadcast_indices
from tracer.graph.nodes import Node

INDEX_MAPS = frozenset({"transpose", "broadcast_to", "slice", "flip", "iota"})
PIECEWISE = frozenset({"pad", "concatenate", "slice_update"})


def unit_map(source: tuple[int, ...], target: tuple[int, ...]) -> list[int | None] | None:
    """For each axis of `source` the axis of `target` it becomes, if the two differ in unit axes
    only.
    """
    if [n for n in source if n != 1] != [n for n in target if n != 1]:
        return None
    places = iter([axis for axis, n in enumerate(target) if n != 1])
    return [None if n == 1 else next(places) for n in source]


def is_index_map(node: Node) -> bool:
    """Whether the node only renames indices."""
    name = node.primitive.name
    if name == "reshape":
        return unit_map(node.operands[0].type.shape, node.results[0].type.shape) is not None
    return name in INDEX_MAPS


def emit_view(context: Context, node: Node, indices: Indices) -> Expression:
    """The scalar at `indices` of an index map."""
    name = node.primitive.name
    if name == "iota":
        dtype = node.params["dtype"]
        index = indices[0]
        return index if dtype == index.dtype else context.let(Operation("cast", (index,), dtype))
    operand = node.operands[0]
    return context.element(operand, source_indices(node, indices))


def source_indices(node: Node, indices: Indices) -> Indices:
    """The operand's indices that an index map reads for the result's `indices`."""
    name = node.primitive.name
    shape = node.operands[0].type.shape
    params = node.params
    if name == "broadcast_to":
        return broadcast_indices(shape, indices)
    if name == "transpose":
        result: list[Expression] = [ZERO] * len(indices)
        for place, axis in enumerate(params["axes"]):
            result[axis] = indices[place]
        return tuple(result)
    if name == "slice":
        return tuple(
            add_index(scale_index(index, step), start)
            for index, start, step in zip(indices, params["start"], params["step"], strict=True)
        )
    if name == "flip":
        return tuple(
            mirror_index(index, extent) if axis in params["axes"] else index
            for axis, (index, extent) in enumerate(zip(indices, shape, strict=True))
        )
    places = unit_map(shape, node.results[0].type.shape)
    assert places is not None, f"{name} is no index map"
    return tuple(ZERO if place is None else indices[place] for place in places)


def emit_pieces(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write the parts of a pad, concatenate or slice_update side by side."""
    name = node.primitive.name
    params = node.params
    if name == "concatenate":
        begin = 0
        axis = params["axis"]
        for operand in node.operands:
            offsets = [begin if a == axis else 0 for a in range(len(operand.type.shape))]
            copy_into(context, operand, target, place, offsets, [1] * len(offsets))
            begin += operand.type.shape[axis]
        return
    if name == "pad":
        x, value = node.operands
        with context.loops(target.shape[len(place) :]) as indices:
            context.store(target, (*place, *indices), context.element(value, ()))
        steps = [gap + 1 for gap in params["interior"]]
        copy_into(context, x, target, place, params["low"], steps)
        return
    x, part = node.operands
    owned = context.places.get(x)
    if not (isinstance(owned, Stored) and owned.buffer is target):
        copy_into(context, x, target, place, [0] * len(x.type.shape), [1] * len(x.type.shape))
    copy_into(context, part, target, place, params["start"], params["step"])


def copy_into(
    context: Context, operand: Any, target: Buffer, place: Indices, offsets: Any, steps: Any
) -> None:
    """`target[place][offset + step·i] = operand[i]`."""
    with context.loops(operand.type.shape) as indices:
        where = tuple(
            add_index(scale_index(index, step), offset)
            for index, offset, step in zip(indices, offsets, steps, strict=True)
        )
        context.store(target, (*place, *where), context.element(operand, indices))
