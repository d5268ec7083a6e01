"""Which nodes of a graph each kernel computes, after fusion: for pictures and profiles."""

from __future__ import annotations

from codegen.loops.nodes import Assign, Call, If, Loop, Reduce, Statement, Store, Update, While
from codegen.loops.nodes import Variable as Name
from codegen.loops.walk import statements
from codegen.lower.context import Place, Scalar, Stored
from codegen.lower.graph import lower_with_places
from codegen.passes.pipeline import optimize
from tracer.graph.nodes import Graph, Variable

KERNELS = (Loop, Call, If, While)
"""Statements of the program's outermost block that are kernels; the others are scalar."""


def kernel_groups(graph: Graph) -> list[list[int]]:
    """For each kernel, in the order in which they run, the positions of the nodes it computes.

    A node whose value is never stored belongs to the kernel of its first user. Nodes that are
    computed as single numbers between kernels are in none.
    """
    lowered, places = lower_with_places(graph)
    program = optimize(lowered)
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


def _name(place: Place | None) -> str:
    if isinstance(place, Stored):
        return place.buffer.root.name
    if isinstance(place, Scalar) and isinstance(place.expression, Name):
        return place.expression.name
    return ""


def _written(kernel: Statement) -> list[str]:
    """The names of what a kernel computes: buffers that it writes, scalars that it changes."""
    names = []
    for statement in statements((kernel,)):
        match statement:
            case Store(buffer=buffer) | Update(buffer=buffer):
                names.append(buffer.root.name)
            case Assign(name=name) | Reduce(name=name):
                names.append(name)
            case Call(results=results):
                names.extend(view.buffer.root.name for view in results)
    return names
