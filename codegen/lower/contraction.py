"""Contractions: a kernel for matrices of some size, loops for the small and the slender."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codegen.loops.nodes import Buffer, Call, Expression, View
from codegen.lower.context import Context, Indices, Inline, Stored
from codegen.lower.reduction import identity
from tracer.graph.nodes import Node, Variable
from tracer.types import ArrayType, is_half, kind_of

SINGLE = np.dtype(np.float32)
SMALL_PRODUCT = 4096
SMALL_TILES = 512
SHORTEST, SHORT = 4, 16
"""Multiplications from which on a kernel beats loops, fewer where tiles of rows and columns are
well filled; and sums that are too short for either (`docs/decisions/011-matrix-products.md`).
"""


class Sides:
    """The axes of a contraction by their part."""

    def __init__(self, node: Node) -> None:
        self.x, self.y = node.operands
        contract, batch = node.params["contract"], node.params["batch"]
        self.batch_x, self.batch_y = batch
        self.contract_x, self.contract_y = contract
        self.free_x = _rest(len(self.x.type.shape), contract[0] + batch[0])
        self.free_y = _rest(len(self.y.type.shape), contract[1] + batch[1])
        shape_x, shape_y = self.x.type.shape, self.y.type.shape
        self.batch = [shape_x[axis] for axis in self.batch_x]
        self.rows = [shape_x[axis] for axis in self.free_x]
        self.columns = [shape_y[axis] for axis in self.free_y]
        self.depth = [shape_x[axis] for axis in self.contract_x]


def _rest(ndim: int, used: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axis for axis in range(ndim) if axis not in used)


def uses_kernel(node: Node, target: str) -> bool:
    """Whether a matrix product is called; else loops are written. A device multiplies float16."""
    return (target == "device" or not is_half(node.results[0].type.dtype)) and _pays(node)


def _pays(node: Node) -> bool:
    """Whether a product is large enough for a call, if there is one for its dtype."""
    sides = Sides(node)
    if kind_of(node.results[0].type.dtype) not in "fc":
        return False
    rows, columns, depth = (math.prod(part) for part in (sides.rows, sides.columns, sides.depth))
    work = rows * columns * depth
    if min(rows, columns) <= 1 or depth < SHORTEST or (columns < SHORTEST and depth < SHORT):
        return False
    compact = rows >= SHORTEST and kind_of(node.results[0].type.dtype) == "f"
    return bool(work >= (SMALL_TILES if compact else SMALL_PRODUCT))


def operand_order(sides: Sides, first: bool) -> tuple[tuple[int, ...], list[int], list[int]]:
    """Axes of an operand as (batch, outer, inner), with the shapes of outer and inner."""
    if first:
        return (*sides.batch_x, *sides.free_x, *sides.contract_x), sides.rows, sides.depth
    return (*sides.batch_y, *sides.contract_y, *sides.free_y), sides.depth, sides.columns


def is_widening(node: Node) -> bool:
    """Whether a node makes float32 of float16 or bfloat16."""
    source, target = node.operands[0].type.dtype, node.results[0].type.dtype
    return node.primitive.name == "cast" and target == SINGLE and is_half(source)


def matrix_view(
    context: Context,
    operand: Any,
    order: tuple[int, ...],
    lead: int,
    split: int,
    narrow: bool = False,
) -> Any:
    """A stored operand as (batch…, outer, inner) without a copy, or None: (buffer, prefix,
    flipped). `narrow`: what it was widened from, if it was.
    """
    axes = list(order)
    while isinstance(operand, Variable) and isinstance(context.places.get(operand), Inline):
        place = context.places[operand]
        assert isinstance(place, Inline), "only inline values are followed"
        if narrow and is_widening(place.node):
            operand = place.node.operands[0]
            continue
        if place.node.primitive.name != "transpose":
            return None
        axes = [place.node.params["axes"][axis] for axis in axes]
        operand = place.node.operands[0]
    place_found = context.places.get(operand) if isinstance(operand, Variable) else None
    if not isinstance(place_found, Stored):
        return None
    shape = operand.type.shape
    significant = [axis for axis in axes if shape[axis] != 1]
    if [axis for axis in axes[:lead] if shape[axis] != 1] != significant[
        : _count(shape, axes[:lead])
    ]:
        return None
    outer = [axis for axis in axes[lead : lead + split] if shape[axis] != 1]
    inner = [axis for axis in axes[lead + split :] if shape[axis] != 1]
    batch = [axis for axis in axes[:lead] if shape[axis] != 1]
    sizes = (math.prod(shape[a] for a in outer), math.prod(shape[a] for a in inner))
    lengths = [shape[axis] for axis in axes[:lead]]
    straight, flipped = batch + outer + inner, batch + inner + outer
    for order_found, swapped in ((straight, False), (flipped, True)):
        if order_found == sorted(order_found):
            matrix = sizes[::-1] if swapped else sizes
            prefix_shape = place_found.buffer.shape[: len(place_found.prefix)]
            buffer = context.alias(place_found.buffer, (*prefix_shape, *lengths, *matrix))
            return buffer, place_found.prefix, swapped
    return None


def _count(shape: Any, axes: Any) -> int:
    return sum(1 for axis in axes if shape[axis] != 1)


def emit_contraction(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write a contraction; of float16 or bfloat16 on the CPU one in float32, rounded at its end."""
    dtype = node.results[0].type.dtype
    if is_half(dtype) and context.target == "cpu":
        single = context.new_buffer(ArrayType(SINGLE, target.shape[len(place) :]))
        emit = _emit_kernel if _pays(node) else _emit_loops
        emit(context, node, single, ())
        with context.loops(single.shape) as indices:
            value = context.operation("cast", context.load(single, indices), dtype=dtype)
            context.store(target, (*place, *indices), value)
    elif uses_kernel(node, context.target):
        _emit_kernel(context, node, target, place)
    else:
        _emit_loops(context, node, target, place)


def _factor(context: Context, operand: Any, indices: Indices, dtype: Any) -> Expression:
    """An element of an operand in the dtype of the sum."""
    element = context.element(operand, indices)
    return element if element.dtype == dtype else context.operation("cast", element, dtype=dtype)


def _stored_matrix(context: Context, operand: Any, sides: Sides, first: bool, dtype: Any) -> Any:
    order, outer, inner = operand_order(sides, first)
    lead = len(sides.batch)
    if operand.type.dtype == dtype:
        view = matrix_view(context, operand, order, lead, len(outer))
        if view is not None:
            return view
    copy = context.new_buffer(ArrayType(dtype, (*sides.batch, *outer, *inner)))
    with context.loops(copy.shape) as indices:
        source: list[Expression] = list(indices)
        for position, axis in enumerate(order):
            source[axis] = indices[position]
        context.store(copy, indices, context.element(operand, tuple(source)))
    matrix = (math.prod(outer), math.prod(inner))
    return context.alias(copy, (*sides.batch, *matrix)), (), False


def _narrow_matrices(context: Context, sides: Sides) -> tuple[Any, Any] | None:
    """Both operands as they were before they became float32, if they are of one dtype: a device
    multiplies those, and its sums are float32 anyhow.
    """
    views = []
    for operand, first in ((sides.x, True), (sides.y, False)):
        order, outer, _ = operand_order(sides, first)
        view = matrix_view(context, operand, order, len(sides.batch), len(outer), narrow=True)
        if view is None or not is_half(view[0].dtype):
            return None
        views.append(view)
    left, right = views
    return (left, right) if left[0].dtype == right[0].dtype else None


def _emit_kernel(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    sides, dtype = Sides(node), target.dtype
    short = context.target == "device" and dtype == SINGLE
    found = _narrow_matrices(context, sides) if short else None
    wide = found is not None
    if found is None:
        found = (
            _stored_matrix(context, sides.x, sides, True, dtype),
            _stored_matrix(context, sides.y, sides, False, dtype),
        )
    (left, left_prefix, left_flipped), (right, right_prefix, right_flipped) = found
    shape = (
        *target.shape[: len(place)],
        *sides.batch,
        math.prod(sides.rows),
        math.prod(sides.columns),
    )
    result = context.alias(target, shape)
    with context.loops(sides.batch) as batch:
        context.add(
            Call(
                "matmul",
                (View(result, (*place, *batch)),),
                (
                    View(left, (*left_prefix, *batch), (1, 0) if left_flipped else None),
                    View(right, (*right_prefix, *batch), (1, 0) if right_flipped else None),
                ),
                {"wide": True} if wide else {},
            )
        )


def _emit_loops(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    sides, dtype = Sides(node), target.dtype
    combine = "logical_or" if dtype.kind == "b" else "add"
    times = "logical_and" if dtype.kind == "b" else "multiply"
    start = identity(combine, dtype)

    def product(batch: Indices, row: Indices, column: Indices, depth: Indices) -> Expression:
        x = _gathered(sides.batch_x + sides.free_x + sides.contract_x, (*batch, *row, *depth))
        y = _gathered(sides.batch_y + sides.free_y + sides.contract_y, (*batch, *column, *depth))
        left, right = _factor(context, sides.x, x, dtype), _factor(context, sides.y, y, dtype)
        return context.operation(times, left, right, dtype=dtype)

    last_free = bool(sides.free_y) and sides.free_y[-1] == len(sides.y.type.shape) - 1
    in_memory = last_free and context.target == "cpu"  # a device adds each element up in a register
    if in_memory and math.prod(sides.columns) > 1 and math.prod(sides.depth) > 1:
        with context.loops(target.shape[len(place) :]) as indices:
            context.store(target, (*place, *indices), start)
        with (
            context.loops(sides.batch) as batch,
            context.loops(sides.rows) as row,
            context.loops(sides.depth, "serial") as depth,
            context.loops(sides.columns) as column,
        ):
            value = product(batch, row, column, depth)
            context.update(target, (*place, *batch, *row, *column), combine, value)
        return
    with (
        context.loops(sides.batch) as batch,
        context.loops(sides.rows) as row,
        context.loops(sides.columns) as column,
    ):
        total = context.declare("s", start)
        with context.loops(sides.depth, "reduce") as depth:
            context.reduce(total, combine, product(batch, row, column, depth))
        context.store(target, (*place, *batch, *row, *column), context.settled(total))


def _gathered(axes: tuple[int, ...], values: Indices) -> Indices:
    result = list(values)
    for axis, value in zip(axes, values, strict=True):
        result[axis] = value
    return tuple(result)
