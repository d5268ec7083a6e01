"""Which nodes of a graph each kernel computes, after fusion: for pictures and profiles."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from codegen.loops.nodes import (
    Assign,
    Call,
    Declare,
    Let,
    Literal,
    Program,
    Reduce,
    Statement,
    Store,
    Update,
)
from codegen.loops.nodes import Variable as Name
from codegen.loops.walk import statements
from codegen.lower.context import Place, Scalar, Stored
from codegen.lower.graph import lower_with_places
from codegen.passes.clocks import KERNELS, Kernel
from codegen.passes.pipeline import optimize
from tracer.graph.nodes import Graph, Node, Variable

_PANEL = re.compile(r"p\d+$")


def kernel_groups(graph: Graph, target: str = "cpu") -> list[list[int]]:
    """For each kernel, in the order in which they run, the positions of the nodes it computes.

    A node whose value is never stored belongs to the kernel of its first user. Nodes that are
    computed as single numbers between kernels are in none.
    """
    lowered, places = lower_with_places(graph, target)
    program = optimize(lowered, target)
    kernels = [statement for statement in program.body if isinstance(statement, KERNELS)]
    owner: dict[str, int] = {}
    for place, kernel in enumerate(kernels):
        for name in _written(kernel):
            owner.setdefault(name, place)
    found: dict[Variable, int] = {}
    groups: list[list[int]] = [[] for _ in kernels]
    for position in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[position]
        number = next(
            (owner[name] for r in node.results if (name := _name(places.get(r))) in owner), None
        )
        if number is None:
            number = next((found[result] for result in node.results if result in found), None)
        if number is None:
            continue
        groups[number].insert(0, position)
        for operand in node.operands:
            if type(operand) is Variable:
                found[operand] = min(number, found.get(operand, number))
    return groups


def kernel_nodes(
    graph: Graph,
    lowered: Program,
    places: Mapping[Variable, Place],
    kernels: Sequence[Kernel],
) -> list[tuple[list[Node], list[Node]]]:
    """The same for the kernels that clocks stand between, as nodes; those of bodies are among them.
    With each kernel's nodes come those which it only gives a first value.

    `lowered` is the program before any pass, and `places` says where it kept each value. Where
    several kernels write to one place, a node that has a body belongs to the largest of them, one
    inside of a body to the largest inside of a loop or a branch, any other to the first.
    """
    writers: dict[str, list[int]] = {}
    fills: dict[str, list[int]] = {}
    for number, kernel in enumerate(kernels):
        body = (*kernel.body, *kernel.beside)
        for name, filled in dict.fromkeys(_computed(body)):
            (fills if filled else writers).setdefault(name, []).append(number)
    sizes = [sum(1 for _ in statements(kernel.body)) for kernel in kernels]
    copies = _copies(lowered)
    groups: list[list[Node]] = [[] for _ in kernels]
    begun: list[list[Node]] = [[] for _ in kernels]
    users: dict[Variable, int] = {}
    for node, within in reversed(list(_all_nodes(graph))):
        names = [_name(places.get(result)) for result in node.results]
        names = [_origin(name, copies, writers) for name in names]
        found = [n for name in names for n in writers.get(name) or fills.get(name) or []]
        if within or _bodies(node):
            inside = [number for number in found if kernels[number].inside]
            chosen = max(inside or found, key=lambda number: sizes[number], default=None)
        else:
            chosen = min(found, default=None)
        if chosen is None:
            chosen = next((users[result] for result in node.results if result in users), None)
        if chosen is None:
            continue
        groups[chosen].insert(0, node)
        for number in {n for name in names for n in (*writers.get(name, ()), *fills.get(name, ()))}:
            begun[number].insert(0, node)
        for operand in node.operands:
            if type(operand) is Variable:
                users[operand] = min(chosen, users.get(operand, chosen))
    return list(zip(groups, begun, strict=True))


def _copies(program: Program) -> dict[str, str]:
    """Names of scalars, and of buffers of one element, by the scalar that they are a copy of."""
    found: dict[str, str] = {}
    for statement in statements(program.body):
        match statement:
            case Let(name, Name(source)):
                found[name] = source
            case Store(buffer, (), Name(source)):
                found[buffer.root.name] = source
    return found


def _origin(name: str, copies: dict[str, str], writers: dict[str, list[int]]) -> str:
    """What a name is a copy of, as far back as kernels have it."""
    origin, seen = name, {name}
    while (name := copies.get(name, "")) and name not in seen:
        seen.add(name)
        origin = name if name in writers else origin
    return origin


def _bodies(node: Node) -> list[Graph]:
    """The graphs among a node's parameters."""
    found: list[Graph] = []
    for value in node.params.values():
        parts = value if isinstance(value, (tuple, list)) else (value,)
        found.extend(part for part in parts if isinstance(part, Graph))
    return found


def _all_nodes(graph: Graph, within: bool = False) -> Iterator[tuple[Node, bool]]:
    """The nodes of a graph, each before those of its bodies, and whether they are in a body."""
    pending = [(node, within) for node in reversed(graph.nodes)]
    while pending:
        node, inside = pending.pop()
        yield node, inside
        for body in reversed(_bodies(node)):
            pending.extend((inner, True) for inner in reversed(body.nodes))


def _computed(body: tuple[Statement, ...]) -> Iterator[tuple[str, bool]]:
    """The names of what statements compute, and whether they only give it a first value.

    Parts of a matrix product that is made by panels have the product's name.
    """
    for part in statements(body):
        if isinstance(part, (Let, Declare)):
            yield part.name, isinstance(part, Declare)
        filled = isinstance(part, Store) and isinstance(part.value, Literal)
        for name in _written_by(part):
            yield _PANEL.sub("", name), filled


def _name(place: Place | None) -> str:
    if isinstance(place, Stored):
        return place.buffer.root.name
    if isinstance(place, Scalar) and isinstance(place.expression, Name):
        return place.expression.name
    return ""


def _written(kernel: Statement) -> list[str]:
    """The names of what a kernel computes: buffers that it writes, scalars that it changes."""
    return [name for statement in statements((kernel,)) for name in _written_by(statement)]


def _written_by(statement: Statement) -> list[str]:
    match statement:
        case Store(buffer=buffer) | Update(buffer=buffer):
            return [buffer.root.name]
        case Assign(name=name) | Reduce(name=name):
            return [name]
        case Call(results=results):
            return [view.buffer.root.name for view in results]
    return []
