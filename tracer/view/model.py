"""A drawing as data: vertices and edges with the texts they carry, before any layout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.types import kind_of
from tracer.view.correspondence import Adjoint
from tracer.view.numbers import array
from tracer.view.symbols import rule, sign
from tracer.view.values import Local, Numbers


@dataclass(slots=True)
class Vertex:
    """One node of the picture.

    `kind` is "input", "constant", "node" or "output"; `side` is "forward" or "backward"; `origin`
    is the key of the forward vertex that a backward one differentiates; `inside` is the key of the
    vertex in whose body it lies.
    """

    key: str
    title: str
    kind: str
    type: str
    value: str = ""
    adjoint: str = ""
    source: str = ""
    line: str = ""
    function: str = ""
    rule: str = ""
    side: str = "forward"
    origin: str = ""
    inside: str = ""
    details: str = ""


@dataclass(slots=True)
class Edge:
    """`head` uses `tail`, `times` times; `derivative` is the text of ∂head/∂tail, `factor` its
    number where it is a scalar.
    """

    tail: str
    head: str
    derivative: str = ""
    factor: float | None = None
    kind: str = "data"
    times: int = 1


@dataclass(slots=True)
class Drawing:
    """What is to be drawn. `kernels` are groups of vertex keys that one kernel computes."""

    name: str
    vertices: list[Vertex] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    kernels: list[list[str]] = field(default_factory=list)
    note: str = ""


class _Builder:
    def __init__(self, drawing: Drawing, numbers: Numbers | None, prefix: str, inside: str) -> None:
        self.drawing = drawing
        self.numbers = numbers
        self.prefix = prefix
        self.inside = inside
        self.keys: dict[Variable, str] = {}
        self.titles: dict[Variable, str] = {}

    def texts(self, variable: Variable) -> tuple[str, str]:
        """Value and adjoint of a variable."""
        if self.numbers is None:
            return "", ""
        value = self.numbers.values.get(variable)
        adjoint = self.numbers.adjoints.get(variable)
        return (
            "" if value is None else array(value),
            "" if adjoint is None else array(adjoint),
        )

    def leaf(self, variable: Variable, kind: str, title: str) -> None:
        """An input or an array constant."""
        key = f"{self.prefix}{kind[0]}{len(self.keys)}"
        value, adjoint = self.texts(variable)
        self.keys[variable] = key
        self.drawing.vertices.append(
            Vertex(key, title, kind, str(variable.type), value, adjoint, inside=self.inside)
        )

    def constant(self, operand: Constant, head: str, position: int) -> str:
        """A number that stands in a node has a vertex of its own, beside its user."""
        key = f"{head}c{position}"
        self.drawing.vertices.append(
            Vertex(key, array(operand.value), "constant", str(operand.type), inside=self.inside)
        )
        return key

    def node(self, node: Node, position: int) -> str:
        """A node with its edges; the graphs among its parameters as its body."""
        key = f"{self.prefix}n{position}"
        value, adjoint = self.texts(node.results[0]) if node.results else ("", "")
        source = node.source
        self.drawing.vertices.append(
            Vertex(
                key,
                sign(node.primitive.name),
                "node",
                ", ".join(str(result.type) for result in node.results),
                value,
                adjoint,
                str(source) if source else "",
                source_text(source) if source else "",
                source.function if source else "",
                rule(node.primitive.name),
                inside=self.inside,
                details=_details(node),
            )
        )
        for result in node.results:
            self.keys[result] = key
        for place, operand in enumerate(node.operands):
            tail = (
                self.constant(operand, key, place)
                if type(operand) is Constant
                else self.keys[operand]
            )
            local = None if self.numbers is None else self.numbers.locals.get((position, place))
            self.edge(tail, key, *_derivative(local))
        for name, body in _bodies(node):
            self.body(key, name, body)
        return key

    def edge(self, tail: str, head: str, derivative: str, factor: float | None) -> None:
        """An edge; one that is there already gets the sum of both derivatives."""
        for known in reversed(self.drawing.edges):
            if known.head != head:
                break
            if known.tail == tail:
                known.times += 1
                known.derivative = f"{known.derivative} + {derivative}" if derivative else ""
                both = known.factor is not None and factor is not None
                known.factor = known.factor + factor if both else None  # type: ignore[operator]
                return
        self.drawing.edges.append(Edge(tail, head, derivative, factor))

    def body(self, owner: str, name: str, graph: Graph) -> None:
        """The graph of a loop's body or of a branch, without values: it runs many times or not."""
        inner = _Builder(self.drawing, None, f"{owner}.{name}.", owner)
        inner.graph(graph, [f"{name} {place}" for place in range(len(graph.inputs))])
        for variable in graph.inputs:
            self.drawing.edges.append(Edge(owner, inner.keys[variable], kind="body"))

    def graph(self, graph: Graph, names: Sequence[str]) -> None:
        """All of a graph."""
        for variable, name in zip(graph.inputs, names, strict=True):
            self.leaf(variable, "input", name)
        for variable, _ in graph.constants:
            self.leaf(variable, "constant", "constant")
        for position, node in enumerate(graph.nodes):
            self.node(node, position)


def _bodies(node: Node) -> Iterator[tuple[str, Graph]]:
    for name, value in node.params.items():
        if isinstance(value, Graph):
            yield name, value
        elif isinstance(value, tuple):
            for place, item in enumerate(value):
                if isinstance(item, Graph):
                    yield f"{name}{place}", item


def _details(node: Node) -> str:
    plain = {
        name: value
        for name, value in node.params.items()
        if not isinstance(value, Graph)
        and not (isinstance(value, tuple) and any(isinstance(item, Graph) for item in value))
    }
    parts = [node.primitive.name, *(f"{name}={_short(value)}" for name, value in plain.items())]
    return " ".join(parts)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _derivative(local: Local | None) -> tuple[str, float | None]:
    if local is None:
        return "", None
    if local.value is None:
        return "linear map", None
    if local.kind == "scalar" and not np.iscomplexobj(local.value):
        return array(local.value), float(local.value)
    return array(local.value), None


def source_text(source: Any) -> str:
    """The user's line of code, where its file can be read."""
    import linecache

    return linecache.getline(source.file, source.line).strip()


def drawing_of(graph: Graph, names: Sequence[str], numbers: Numbers | None = None) -> Drawing:
    """The drawing of a graph. `names` are those of its inputs."""
    drawing = Drawing(graph.name)
    builder = _Builder(drawing, numbers, "", "")
    builder.graph(graph, names)
    _outputs(drawing, builder, graph, "result")
    return drawing


def _outputs(drawing: Drawing, builder: _Builder, graph: Graph, name: str) -> None:
    many = len(graph.outputs) > 1
    for place, output in enumerate(graph.outputs):
        key = f"o{place}"
        title = f"{name} {place}" if many else name
        if type(output) is Constant:
            drawing.vertices.append(
                Vertex(key, title, "output", str(output.type), array(output.value))
            )
            continue
        value, adjoint = builder.texts(output)
        drawing.vertices.append(Vertex(key, title, "output", str(output.type), value, adjoint))
        drawing.edges.append(Edge(builder.keys[output], key, kind="result"))


def drawing_of_adjoint(
    adjoint: Adjoint, forward: Graph, names: Sequence[str], numbers: Numbers | None = None
) -> Drawing:
    """The drawing of forward and adjoint graph in one, with what corresponds to what."""
    graph = adjoint.graph
    seeds = len(graph.inputs) - len(forward.inputs)
    every = [*names, *(f"seed {k}" if seeds > 1 else "seed" for k in range(seeds))]
    drawing = drawing_of(graph, every, numbers)
    keys: dict[int, str] = {}
    for position, node in enumerate(graph.nodes):
        first = node.results[0]
        if first not in adjoint.backward:
            keys.setdefault(adjoint.origin.get(first, -1), f"n{position}")
    by_key = {vertex.key: vertex for vertex in drawing.vertices}
    for position, node in enumerate(graph.nodes):
        if node.results[0] in adjoint.backward:
            vertex = by_key[f"n{position}"]
            vertex.side = "backward"
            vertex.origin = keys.get(adjoint.origin[node.results[0]], "")
    for vertex in drawing.vertices:
        owner = by_key.get(vertex.inside)
        if owner is not None:
            vertex.side = owner.side
    _mark_results(drawing, forward, names, by_key)
    _mark_constants(drawing, by_key)
    return drawing


def _mark_constants(drawing: Drawing, by_key: dict[str, Vertex]) -> None:
    """A constant stands on the side where all its users are."""
    users: dict[str, set[str]] = {}
    for edge in drawing.edges:
        users.setdefault(edge.tail, set()).add(by_key[edge.head].side)
    for vertex in drawing.vertices:
        if vertex.kind == "constant" and users.get(vertex.key) == {"backward"}:
            vertex.side = "backward"


def _mark_results(
    drawing: Drawing, forward: Graph, names: Sequence[str], by_key: dict[str, Vertex]
) -> None:
    """Name the outputs: first the function's, then one derivative an inexact input."""
    count = len(forward.outputs)
    inexact = [
        name
        for name, variable in zip(names, forward.inputs, strict=True)
        if kind_of(variable.type.dtype) in "fc"
    ]
    for place in range(count, count + len(inexact)):
        vertex = by_key[f"o{place}"]
        vertex.side, vertex.title = "backward", f"∂/∂{inexact[place - count]}"
    if count == 1:
        by_key["o0"].title = "result"
    for vertex in drawing.vertices:
        if vertex.title.startswith("seed") and vertex.kind == "input":
            vertex.side = "backward"
