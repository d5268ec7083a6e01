"""The verifier: what every graph must satisfy, after every pass."""

from __future__ import annotations

from typing import Any

from tracer.errors import GraphError
from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.graph.primitive import REGISTRY


def check_graph(graph: Graph) -> None:
    """Raise `GraphError` unless each variable is defined once and before its uses, each node's
    types follow
    from its primitive's type rule, and the bodies in its parameters are graphs that satisfy the
    same.
    """
    defined: set[Variable] = set()
    for variable in (*graph.inputs, *(variable for variable, _ in graph.constants)):
        _define(variable, defined, graph)
    for variable, array in graph.constants:
        if (array.dtype, array.shape) != (variable.type.dtype, variable.type.shape):
            raise GraphError(
                f"{graph.name}: a constant of type {variable.type} holds {array.dtype}"
            )
    for node in graph.nodes:
        _check_node(node, defined, graph)
    for output in graph.outputs:
        _check_operand(output, defined, f"{graph.name}: an output")


def _define(variable: Variable, defined: set[Variable], graph: Graph) -> None:
    if variable in defined:
        raise GraphError(f"{graph.name}: a variable of type {variable.type} is defined twice")
    defined.add(variable)


def _check_operand(operand: Any, defined: set[Variable], what: str) -> None:
    if type(operand) is Constant:
        if operand.value.ndim != 0:
            raise GraphError(f"{what} is a constant of shape {operand.value.shape}, not a scalar")
    elif type(operand) is not Variable:
        raise GraphError(f"{what} is a {type(operand).__name__}, not a variable or constant")
    elif operand not in defined:
        raise GraphError(f"{what}, of type {operand.type}, is used before it is defined")


def _check_node(node: Node, defined: set[Variable], graph: Graph) -> None:
    where = f"{graph.name}: {node.primitive.name}" + (f" at {node.source}" if node.source else "")
    if REGISTRY.get(node.primitive.name) is not node.primitive:
        raise GraphError(f"{where}: the primitive is not registered")
    for operand in node.operands:
        _check_operand(operand, defined, f"{where}: an operand")
    types = [operand.type for operand in node.operands]
    try:
        expected = node.primitive.result_types(types, node.params)
    except (TypeError, ValueError) as error:
        raise GraphError(f"{where}: {error}") from error
    found = tuple(result.type for result in node.results)
    if expected != found:
        raise GraphError(
            f"{where}: results are {', '.join(map(str, found))}, but the rule gives "
            f"{', '.join(map(str, expected))}"
        )
    for result in node.results:
        _define(result, defined, graph)
    for value in node.params.values():
        for body in value if isinstance(value, tuple) else (value,):
            if isinstance(body, Graph):
                check_graph(body)
