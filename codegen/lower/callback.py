"""Black-box functions: a call of Python out of the program, and a check that it went well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from codegen.loops.nodes import Buffer, Call, Operation, View
from codegen.lower.context import BOOL, INT64, ZERO, Context, Stored
from codegen.lower.plan import Plan
from kernels.callback import Function, register
from kernels.registry import ArraySpec
from tracer.graph.nodes import Node, Variable
from tracer.types import ArrayType


def emit_callback(
    context: Context, node: Node, position: int, plan: Plan, wanted: dict[Variable, Stored]
) -> None:
    """Call the function on operands in memory; its results go where they are wanted."""
    operands = [_operand(context, operand) for operand in node.operands]
    lowering = node.primitive.lowering
    if context.target == "device" and lowering is not None and lowering.operation:
        _library_call(context, node, lowering.operation, operands, wanted)
        return
    status = context.new_buffer(ArrayType(INT64, ()))
    taken = {place.buffer.root for place in operands}
    results = []
    for result in node.results:
        target = wanted.get(result)
        if target is None or target.buffer.root in taken:
            target = Stored(context.new_buffer(result.type))
        taken.add(target.buffer.root)
        results.append(target)
    handle = register(_function(node), _specs(node.operands), _specs(node.results))
    written = (View(status), *(View(place.buffer, place.prefix) for place in results))
    read = tuple(View(place.buffer, place.prefix) for place in operands)
    context.add(Call("callback", written, read, {"handle": handle}))
    _check(context, node, status)
    for result, place in zip(node.results, results, strict=True):
        context.put(result, place)


def _library_call(
    context: Context,
    node: Node,
    kernel: str,
    operands: list[Stored],
    wanted: dict[Variable, Stored],
) -> None:
    """The kernel that devices have for the function, with its parameters and its name."""
    taken = {place.buffer.root for place in operands}
    results = []
    for result in node.results:
        target = wanted.get(result)
        if target is None or target.buffer.root in taken:
            target = Stored(context.new_buffer(result.type))
        results.append(target)
        context.put(result, target)
    written = tuple(View(place.buffer, place.prefix) for place in results)
    read = tuple(View(place.buffer, place.prefix) for place in operands)
    context.add(Call(kernel, written, read, {"transform": node.primitive.name, **node.params}))


def _operand(context: Context, operand: Any) -> Stored:
    """An operand in memory; a scalar is copied there and keeps its name."""
    from codegen.lower.graph import copy, stored

    place = context.places[operand] if type(operand) is Variable else None
    if operand.type.shape or isinstance(place, Stored):
        return stored(context, operand)
    fresh = Stored(context.new_buffer(operand.type))
    copy(context, operand, fresh)
    return fresh


def _function(node: Node) -> Function:
    evaluate, params = node.primitive.evaluate, node.params

    def called_back(*operands: Any) -> Sequence[Any]:
        results: Sequence[Any] = evaluate(*operands, **params)
        return results

    return called_back


def _specs(values: Sequence[Any]) -> list[ArraySpec]:
    return [ArraySpec(value.type.dtype, value.type.shape) for value in values]


def _check(context: Context, node: Node, status: Buffer) -> None:
    """Leave the program where the function raised; the detail is the number of its exception."""
    found = context.load(status, ())
    rules = node.params.get("rules")
    name = str(node.primitive.name if rules is None else rules.name)
    escaped = name.replace("{", "{{").replace("}", "}}")
    text = f"{escaped} failed when compiled code called it"
    context.check(
        Operation("equal", (found, ZERO), BOOL), "CallbackError", text, node.source, found
    )
