"""The text of a graph: one line a node, and a parser that reads it back.

graph f(%0: f64[3], %1: f64[]) {
  %2: f64[3] = multiply %0 %1   # model.py:12
  return %2
}
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.errors import GraphError
from tracer.graph.nodes import Constant, Graph, Node, Source, Variable
from tracer.graph.primitive import REGISTRY
from tracer.types import LONG_NAMES, SHORT_NAMES, parse_type


def print_graph(graph: Graph) -> str:
    """The graph as text."""
    return "\n".join(_Printer().graph(graph, ""))


class _Printer:
    def __init__(self) -> None:
        self.names: dict[Variable, str] = {}

    def name(self, variable: Variable) -> str:
        return self.names.setdefault(variable, f"%{len(self.names)}")

    def operand(self, operand: Any) -> str:
        if type(operand) is Constant:
            return f"{_literal(operand.value[()])}:{SHORT_NAMES[operand.type.dtype.name]}"
        return self.name(operand)

    def graph(self, graph: Graph, indent: str) -> list[str]:
        inputs = ", ".join(f"{self.name(v)}: {v.type}" for v in graph.inputs)
        lines = [f"{indent}graph {graph.name}({inputs}) {{"]
        for variable, array in graph.constants:
            data = _literal(array.tolist())
            lines.append(f"{indent}  {self.name(variable)}: {variable.type} = constant {data}")
        for node in graph.nodes:
            lines.extend(self.node(node, indent + "  "))
        ends = " ".join(self.operand(output) for output in graph.outputs)
        return [*lines, f"{indent}  return {ends}".rstrip(), f"{indent}}}"]

    def node(self, node: Node, indent: str) -> list[str]:
        operands = "".join(f" {self.operand(operand)}" for operand in node.operands)
        results = ", ".join(f"{self.name(r)}: {r.type}" for r in node.results)
        plain, bodies = [], []
        for key, value in node.params.items():
            if isinstance(value, Graph):
                bodies.append((key, value))
            elif isinstance(value, tuple) and value and isinstance(value[0], Graph):
                bodies.extend((f"{key}.{i}", body) for i, body in enumerate(value))
            else:
                plain.append(f"{key}={_param(value)}")
        suffix = f" [{', '.join(plain)}]" if plain else ""
        comment = f"   # {node.source}" if node.source else ""
        lines = [f"{indent}{results} = {node.primitive.name}{operands}{suffix}{comment}"]
        for key, body in bodies:
            lines.append(f"{indent}  with {key}:")
            lines.extend(self.graph(body, indent + "    "))
        return lines


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (complex, np.complexfloating)):
        return f"({float(value.real)!r},{float(value.imag)!r})"
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return repr(int(value))


def _param(value: Any) -> str:
    if isinstance(value, np.dtype):
        return SHORT_NAMES[value.name]
    if isinstance(value, tuple):
        return "(" + "".join(f"{_param(item)}," for item in value) + ")"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    return f"<{getattr(value, '__name__', type(value).__name__)}>"


_NODE = re.compile(
    r"(?P<results>.+?) = (?P<name>\w+)(?P<operands>[^\[#]*?(?:\[[^\]]*\][^\[#]*?)*?)"
    r"(?: \[(?P<params>\w+=.*)\])?(?:   # (?P<source>.+))?$"
)


def parse_graph(text: str) -> Graph:
    """The graph that prints as `text`."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    parser = _Parser(lines)
    graph = parser.graph()
    if parser.position != len(lines):
        raise GraphError(f"line {parser.position + 1}: text after the end of the graph")
    return graph


class _Parser:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.position = 0
        self.variables: dict[str, Variable] = {}

    def take(self) -> str:
        if self.position >= len(self.lines):
            raise GraphError("the text ends before the graph does")
        self.position += 1
        return self.lines[self.position - 1]

    def fail(self, why: str) -> GraphError:
        return GraphError(f"line {self.position}: {why}: {self.lines[self.position - 1]}")

    def declare(self, text: str) -> Variable:
        name, _, type_ = text.partition(":")
        variable = Variable(parse_type(type_))
        self.variables[name.strip()] = variable
        return variable

    def operand(self, text: str) -> Any:
        if text.startswith("%"):
            if text not in self.variables:
                raise self.fail(f"{text} is used before it is defined")
            return self.variables[text]
        value, _, dtype = text.rpartition(":")
        return Constant(np.asarray(_read(value), np.dtype(LONG_NAMES[dtype])))

    def graph(self) -> Graph:
        match = re.fullmatch(r"graph (\S+)\((.*)\) \{", self.take())
        if match is None:
            raise self.fail("a graph begins with 'graph name(…) {'")
        inputs = tuple(self.declare(part) for part in _split(match[2]))
        constants: list[tuple[Variable, np.ndarray]] = []
        nodes: list[Node] = []
        while True:
            line = self.take()
            if line.startswith("return"):
                outputs = tuple(self.operand(part) for part in line.split()[1:])
                break
            constant = re.fullmatch(r"(%\d+: \S+) = constant (.*)", line)
            if constant is not None:
                variable = self.declare(constant[1])
                data = np.asarray(_read(constant[2]), variable.type.dtype)
                constants.append((variable, data.reshape(variable.type.shape)))
                continue
            nodes.append(self.node(line))
        if self.take() != "}":
            raise self.fail("'}' was due")
        return Graph(inputs, tuple(constants), tuple(nodes), outputs, match[1])

    def node(self, line: str) -> Node:
        match = _NODE.fullmatch(line)
        if match is None or match["name"] not in REGISTRY:
            raise self.fail("this is not a node")
        operands = tuple(self.operand(part) for part in match["operands"].split())
        results = tuple(self.declare(part) for part in _split(match["results"]))
        params = _read_params(match["params"] or "")
        bodies: dict[str, Any] = {}
        while self.position < len(self.lines) and self.lines[self.position].startswith("with "):
            key = self.take()[5:-1]
            bodies[key] = self.graph()
        _add_bodies(params, bodies)
        source = None
        if match["source"]:
            file, _, number = match["source"].rpartition(":")
            source = Source(file, int(number), "")
        return Node(REGISTRY[match["name"]], operands, params, results, source)


def _add_bodies(params: dict[str, Any], bodies: dict[str, Any]) -> None:
    for key, body in bodies.items():
        name, dot, _ = key.partition(".")
        if dot:
            params[name] = (*params.get(name, ()), body)
        else:
            params[name] = body


def _split(text: str) -> list[str]:
    """Parts at commas outside of brackets."""
    parts, depth, begin = [], 0, 0
    for position, letter in enumerate(text):
        depth += letter in "[("
        depth -= letter in "])"
        if letter == "," and depth == 0:
            parts.append(text[begin:position])
            begin = position + 1
    return [part.strip() for part in [*parts, text[begin:]] if part.strip()]


def _read(text: str) -> Any:
    tree = ast.parse(text.replace("nan", "NaN").replace("inf", "Inf"), mode="eval").body
    return _constant(tree)


def _constant(node: ast.AST) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id="NaN"):
            return float("nan")
        case ast.Name(id="Inf"):
            return float("inf")
        case ast.Name(id=name) if name in LONG_NAMES:
            return np.dtype(LONG_NAMES[name])
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_constant(operand)
        case ast.List(elts=items):
            return [_constant(item) for item in items]
        case ast.Tuple(elts=items):
            values = tuple(_constant(item) for item in items)
            if len(values) == 2 and all(isinstance(value, float) for value in values):
                return complex(*values)
            return values
    raise GraphError(f"cannot read {ast.unparse(node)}")


def _read_params(text: str) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for part in _split(text):
        key, _, value = part.partition("=")
        params[key] = _read_param(value)
    return params


def _read_param(text: str) -> Any:
    value = ast.parse(text, mode="eval").body
    reader: Callable[[ast.AST], Any] = _constant
    return reader(value)
