"""Reductions: accumulators in registers where the last axis is reduced, in memory otherwise."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import numpy as np

from codegen.loops.nodes import Assign, Buffer, Expression, Literal, Operation
from codegen.lower.context import BOOL, INT64, ZERO, Context, Indices
from tracer.graph.nodes import Node
from tracer.types import kind_of


def identity(operation: str, dtype: Any) -> Literal:
    """The neutral element of a combiner."""
    if operation in ("add", "logical_or"):
        return Literal(np.zeros((), dtype).item(), dtype)
    if operation in ("multiply", "logical_and"):
        return Literal(np.ones((), dtype).item(), dtype)
    if kind_of(dtype) == "f":
        return Literal(math.inf if operation == "minimum" else -math.inf, dtype)
    if dtype.kind == "b":
        return Literal(operation == "minimum", dtype)
    limits = np.iinfo(dtype)
    return Literal(int(limits.max if operation == "minimum" else limits.min), dtype)


def emit_reduction(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """Write the loops of a reduction."""
    assert node.primitive.lowering is not None, "a reduction names its combiner"
    operation = node.primitive.lowering.operation
    operand = node.operands[0]
    shape, axes = operand.type.shape, node.params["axes"]
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    start = identity(operation, operand.type.dtype)

    def value(indices: dict[int, Expression]) -> Expression:
        return context.element(operand, tuple(indices[axis] for axis in range(len(shape))))

    # A device has an iteration for each element of the result; on the CPU rows are added up.
    in_register = context.target == "device"
    last = max((axis for axis in range(len(shape)) if shape[axis] != 1), default=-1)
    if in_register or last in axes or not kept or all(shape[axis] == 1 for axis in kept):
        with context.loops([shape[axis] for axis in kept]) as outer:
            total = context.declare("s", start)
            with context.loops([shape[axis] for axis in axes], "reduce") as inner:
                pairs = dict(zip((*kept, *axes), (*outer, *inner), strict=True))
                context.reduce(total, operation, value(pairs))
            context.store(target, (*place, *outer), context.settled(total))
        return
    with context.loops([shape[axis] for axis in kept]) as outer:
        context.store(target, (*place, *outer), start)
    with ExitStack() as stack:
        pairs = {
            axis: stack.enter_context(
                context.loop(extent, "serial" if axis in axes else "parallel")
            )
            for axis, extent in enumerate(shape)
        }
        where = tuple(pairs[axis] for axis in kept)
        context.update(target, (*place, *where), operation, value(pairs))


def emit_arg_reduction(context: Context, node: Node, target: Buffer, place: Indices) -> None:
    """The first place of the largest or smallest along an axis; a NaN wins."""
    operand = node.operands[0]
    shape, axis = operand.type.shape, node.params["axis"]
    better = "greater" if node.primitive.name == "argmax" else "less"
    outer_shape = [extent for a, extent in enumerate(shape) if a != axis]

    def at(outer: Indices, index: Expression) -> Expression:
        return context.element(operand, (*outer[:axis], index, *outer[axis:]))

    with context.loops(outer_shape) as outer:
        best = context.declare("b", at(outer, ZERO))
        where = context.declare("w", ZERO)
        with context.loop(shape[axis], "serial") as index:
            value = at(outer, index)
            wins = context.operation(better, value, best, dtype=BOOL)
            if kind_of(operand.type.dtype) == "f":
                fresh = context.operation("isnan", value, dtype=BOOL)
                known = context.operation("isnan", best, dtype=BOOL)
                is_number = context.operation("logical_not", known, dtype=BOOL)
                first = context.operation("logical_and", fresh, is_number, dtype=BOOL)
                wins = context.operation("logical_or", wins, first, dtype=BOOL)
            chosen = Operation("select", (wins, value, best), value.dtype)
            context.add(Assign(best.name, chosen))
            context.add(Assign(where.name, Operation("select", (wins, index, where), INT64)))
        context.store(target, (*place, *outer), context.settled(where))
