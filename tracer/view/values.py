"""The numbers of a graph: each variable's value, each edge's local derivative, and the derivative
of the output with respect to each variable (its adjoint).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.trace import bind
from tracer.transforms.gradient import vjp
from tracer.transforms.jacobian import jacrev
from tracer.types import is_inexact, kind_of

DENSE = 36
"""A local Jacobian of at most so many entries is worked out whole."""


class Local(NamedTuple):
    """The local derivative ∂result/∂operand of one edge.

    `kind` is "scalar" (one number), "entries" (one number an entry, where entry i of the result
    depends on entry i of the operand alone), "matrix" (result's shape + operand's shape), or "map"
    (too large to write down: `value` is None).
    """

    kind: str
    value: Any


class Numbers(NamedTuple):
    """Values and adjoints by variable, local derivatives by (node position, operand position).

    There are adjoints where the graph has one real scalar output.
    """

    values: dict[Variable, Any]
    adjoints: dict[Variable, Any]
    locals: dict[tuple[int, int], Local]


def numbers_of(graph: Graph, inputs: Sequence[Any]) -> Numbers:
    """Evaluate the graph node by node, forwards and backwards. `inputs` are plain arrays."""
    if len(inputs) != len(graph.inputs):
        raise ShapeError(f"{graph.name} takes {len(graph.inputs)} inputs, not {len(inputs)}")
    values: dict[Variable, Any] = dict(zip(graph.inputs, inputs, strict=True))
    values.update(graph.constants)
    pullbacks: list[Any] = []
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            results, pullback = _forward(node, [_value(op, values) for op in node.operands])
            values.update(zip(node.results, results, strict=True))
            pullbacks.append(pullback)
        edges = {
            (position, operand): local
            for position, node in enumerate(graph.nodes)
            for operand, local in _locals(node, values, pullbacks[position])
        }
        adjoints = _backward(graph, values, pullbacks)
    return Numbers(values, adjoints, edges)


def _value(operand: Any, values: dict[Variable, Any]) -> Any:
    return operand.value[()] if type(operand) is Constant else values[operand]


def _moving(node: Node) -> list[int]:
    """The operands that a derivative flows to."""
    if not node.primitive.differentiable:
        return []
    if not any(is_inexact(result.type.dtype) for result in node.results):
        return []
    return [
        position
        for position, operand in enumerate(node.operands)
        if type(operand) is Variable and is_inexact(operand.type.dtype)
    ]


def _forward(node: Node, operands: list[Any]) -> tuple[list[Any], Any]:
    """The results of a node on plain arrays, and its pullback: cotangents of the inexact results →
    of the moving operands. None where nothing flows.
    """
    moving = _moving(node)
    if not moving:
        return _applied(node, operands), None

    def function(*parts: Any) -> Any:
        return _inexact(node, _applied(node, _placed(operands, moving, parts)))

    found, pullback = vjp(function, *[operands[position] for position in moving])
    # Where integers are among the results, vjp did not hand those out.
    complete = len(found) == len(node.results)
    return list(found) if complete else _applied(node, operands), pullback


def _applied(node: Node, operands: list[Any]) -> list[Any]:
    out = bind(node.primitive, *operands, **node.params)
    return list(out) if node.primitive.multiple else [out]


def _placed(operands: list[Any], moving: list[int], parts: Sequence[Any]) -> list[Any]:
    whole = list(operands)
    for position, part in zip(moving, parts, strict=True):
        whole[position] = part
    return whole


def _inexact(node: Node, results: list[Any]) -> tuple[Any, ...]:
    return tuple(
        value
        for result, value in zip(node.results, results, strict=True)
        if is_inexact(result.type.dtype)
    )


def _locals(node: Node, values: dict[Variable, Any], pullback: Any) -> Any:
    if pullback is None or len(node.results) != 1:
        return
    result = node.results[0]
    moving = _moving(node)
    lowering = node.primitive.lowering
    elementwise = lowering is not None and lowering.kind == "elementwise"
    ones = np.ones(result.type.shape, result.type.dtype)
    for place, position in enumerate(moving):
        operand = node.operands[position]
        if result.type.shape == operand.type.shape == ():
            yield position, Local("scalar", pullback((ones,))[place])
        elif elementwise and operand.type.shape == result.type.shape:
            yield position, Local("entries", pullback((ones,))[place])
        elif result.type.size * operand.type.size <= DENSE:
            yield position, Local("matrix", _jacobian(node, values, position))
        else:
            yield position, Local("map", None)


def _jacobian(node: Node, values: dict[Variable, Any], position: int) -> Any:
    operands = [_value(operand, values) for operand in node.operands]

    def of_one(part: Any) -> Any:
        return _applied(node, _placed(operands, [position], [part]))[0]

    return jacrev(of_one)(operands[position])


def _backward(
    graph: Graph, values: dict[Variable, Any], pullbacks: Sequence[Any]
) -> dict[Variable, Any]:
    outputs = [output for output in graph.outputs if is_inexact(output.type.dtype)]
    if len(outputs) != 1 or outputs[0].type.shape != () or kind_of(outputs[0].type.dtype) != "f":
        return {}
    if type(outputs[0]) is Constant:
        return {}
    found: dict[Variable, Any] = {outputs[0]: outputs[0].type.dtype.type(1)}
    for node, pullback in zip(reversed(graph.nodes), reversed(pullbacks), strict=True):
        if pullback is None or not any(result in found for result in node.results):
            continue
        cotangents = tuple(
            found.get(result, np.zeros(result.type.shape, result.type.dtype))
            for result in node.results
            if is_inexact(result.type.dtype)
        )
        for position, ct in zip(_moving(node), pullback(cotangents), strict=True):
            operand = node.operands[position]
            found[operand] = found[operand] + ct if operand in found else ct
    for variable in graph.inputs:
        if is_inexact(variable.type.dtype):
            found.setdefault(variable, np.zeros(variable.type.shape, variable.type.dtype))
    return {variable: ct for variable, ct in found.items() if variable in values}
