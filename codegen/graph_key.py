"""A graph as a key: two graphs with the same key are compiled to the same code."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.graph.primitive import REGISTRY

PLAIN = (bool, int, float, complex, str, type(None))


class _NoKeyError(Exception):
    """The graph holds something that only this process knows."""


def graph_key(graph: Graph) -> str | None:
    """The key of a graph; None for one that calls Python, or has parameters without a text.

    The user's lines are in it, since errors name them.
    """
    writer = _Writer()
    try:
        writer.graph(graph)
    except _NoKeyError:
        return None
    return "\n".join(writer.lines)


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[Variable, str] = {}

    def defined(self, variable: Variable) -> str:
        name = self.names[variable] = f"%{len(self.names)}"
        return f"{name}:{variable.type.dtype.str}{variable.type.shape}"

    def operand(self, operand: Any) -> str:
        if type(operand) is Variable:
            return self.names[operand]
        if type(operand) is Constant:
            return _array(operand.value)
        raise _NoKeyError

    def graph(self, graph: Graph) -> None:
        lines = self.lines
        lines.append(f"graph {graph.name} {' '.join(map(self.defined, graph.inputs))}")
        for variable, value in graph.constants:
            lines.append(f"{self.defined(variable)} {_array(np.asarray(value))}")
        for node in graph.nodes:
            self.node(node)
        lines.append(f"return {' '.join(map(self.operand, graph.outputs))}")

    def node(self, node: Node) -> None:
        primitive = node.primitive
        if REGISTRY.get(primitive.name) is not primitive or primitive.lowering is None:
            raise _NoKeyError
        if primitive.lowering.kind == "callback":
            raise _NoKeyError
        operands = " ".join([self.operand(operand) for operand in node.operands])
        params = " ".join([f"{name}={self.param(value)}" for name, value in node.params.items()])
        results = " ".join([self.defined(result) for result in node.results])
        self.lines.append(f"{results}={primitive.name} {operands} [{params}] {node.source}")

    def param(self, value: Any) -> str:
        if type(value) in PLAIN:
            return repr(value)
        if isinstance(value, np.dtype):
            return value.str
        if isinstance(value, (tuple, list)):
            return f"({','.join([self.param(item) for item in value])})"
        if isinstance(value, Graph):
            self.graph(value)
            return "above"
        if isinstance(value, (np.ndarray, np.generic)):
            return _array(np.asarray(value))
        raise _NoKeyError


def _array(value: np.ndarray[Any, Any]) -> str:
    if value.dtype.hasobject:
        raise _NoKeyError
    data = np.ascontiguousarray(value).tobytes()
    text = data.hex() if len(data) <= 16 else hashlib.sha256(data).hexdigest()
    return f"{value.dtype.str}{value.shape}{text}"
