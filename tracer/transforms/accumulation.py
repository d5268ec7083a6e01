"""Cotangents of loop constants, added where they are summed.

A nested loop gives each outer iteration a contribution to the cotangent of an array that both close
over: zeros first, then what the inner iterations add to them, often one element each. Written so,
every outer iteration moves whole arrays. Here the sum of the outer loop becomes what the inner one
starts from, to any depth, and what is moved is what is added. The order of additions changes, and
with it their rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tracer.graph.build import cached_by_graph
from tracer.graph.nodes import Graph, Node, Variable
from tracer.graph.primitive import REGISTRY
from tracer.primitives.loop import LoopShape
from tracer.transforms.simplify import is_number


def sum_in_place(graph: Graph, places: Sequence[int]) -> Graph:
    """The graph where the outputs at `places`, each an input plus contributions, are made by adding
    to that input where the contributions are computed."""
    uses = _Uses(graph)
    nodes = list(graph.nodes)
    outputs = list(graph.outputs)
    for place in places:
        total = outputs[place]
        if type(total) is Variable and total.type.shape != ():
            nodes, outputs[place] = _summed(nodes, total, uses)
    return replace(graph, nodes=tuple(nodes), outputs=tuple(outputs))


class _Uses:
    """Who makes each variable of a graph, and who reads it."""

    def __init__(self, graph: Graph) -> None:
        self.makers = {result: node for node in graph.nodes for result in node.results}
        self.readers: dict[Any, list[Node | None]] = {}
        for node in graph.nodes:
            for operand in node.operands:
                self.readers.setdefault(operand, []).append(node)
        for output in graph.outputs:
            self.readers.setdefault(output, []).append(None)

    def only_reader(self, variable: Variable) -> Node | None:
        """The one node that reads a variable, once; None where there are others, or an output."""
        readers = self.readers.get(variable, [])
        return readers[0] if len(readers) == 1 else None

    def grown(self, variable: Variable) -> Variable | None:
        """What an array is after something was added to some of its elements, if nothing else
        reads it before that."""
        node = self.only_reader(variable)
        if node is not None:
            return _grown_by(node, node.operands.index(variable))
        readers = self.readers.get(variable, [])
        if len(readers) == 2:
            return self._part_grown(variable, readers)
        return None

    def _part_grown(self, variable: Variable, readers: Sequence[Node | None]) -> Variable | None:
        """Where a part is read, added to and written back."""
        for part, update in (readers, readers[::-1]):
            if part is None or part.primitive.name != "slice":
                continue
            if update is None or update.primitive.name != "slice_update":
                continue
            added = self.only_reader(part.results[0])
            if (
                added is not None
                and added.primitive.name == "add"
                and added.results[0].type == part.results[0].type
                and self.only_reader(added.results[0]) is update
                and update.operands[0] is variable
                and part.params["start"] == update.params["start"]
                and part.params["step"] == update.params["step"]
            ):
                return update.results[0]
        return None


def _grown_by(node: Node, position: int) -> Variable | None:
    """The result of a node that adds to elements of an operand, and does nothing else with it."""
    if node.primitive.name == "scatter":
        return node.results[0] if position == 0 and node.params["mode"] == "add" else None
    if node.primitive.name != "loop" or node.params["test"] is not None:
        return None
    shape = LoopShape(**{k: v for k, v in node.params.items() if k not in ("body", "test")})
    place = position - shape.test_constants - shape.constants
    if 0 <= place < shape.carry and _accumulates(node.params["body"], 1 + shape.constants, place):
        return node.results[place]
    return None


@cached_by_graph
def _accumulates(body: Graph, first: int, place: int) -> bool:
    """Whether an iteration does nothing with a carry but add to it."""
    uses = _Uses(body)
    value: Variable | None = body.inputs[first + place]
    output = body.outputs[place]
    if value is output:
        return False
    while value is not None:
        node = uses.only_reader(value)
        if node is not None and node.primitive.name == "add":
            (value,) = node.results if node.results[0].type == value.type else (None,)
        else:
            value = uses.grown(value)
        if value is output:
            return uses.readers[value] == [None]
    return False


def _summed(nodes: list[Node], total: Variable, uses: _Uses) -> tuple[list[Node], Variable]:
    """The nodes with the contributions to one sum added in place, and the variable of the sum."""
    last = uses.makers.get(total)
    if last is None or last.primitive.name != "add" or uses.readers[total] != [None]:
        return nodes, total
    first, contribution = last.operands
    where = {result: position for position, node in enumerate(nodes) for result in node.results}
    if first in where or uses.only_reader(first) is not last:
        return nodes, total
    begun = _begun_from_zeros(nodes, total, uses)
    running, ready = first, -1
    rest: list[Any] = []
    changed = list(nodes)
    for term in sorted(_terms(contribution, total, uses), key=lambda term: where.get(term, -1)):
        position, place = begun.get(term, (-1, 0))
        if position <= ready:
            rest.append(term)
            continue
        node = changed[position]
        operands = (*node.operands[:place], running, *node.operands[place + 1 :])
        changed[position] = Node(node.primitive, operands, node.params, node.results, node.source)
        running, ready = term, where[term]
    return _joined(changed, last, running, rest)


def _begun_from_zeros(
    nodes: list[Node], total: Variable, uses: _Uses
) -> dict[Any, tuple[int, int]]:
    """Which variables are zeros that were added to in places, and where the zeros are read: the
    node and the operand."""
    found: dict[Any, tuple[int, int]] = {}
    for position, node in enumerate(nodes):
        if node.primitive.name not in ("scatter", "loop"):
            continue
        for place, operand in enumerate(node.operands):
            if operand.type != total.type or not is_number(operand, 0.0, uses.makers):
                continue
            value = _grown_by(node, place)
            while value is not None:
                found[value] = (position, place)
                value = uses.grown(value)
    return found


def _terms(value: Any, total: Variable, uses: _Uses) -> list[Any]:
    """The summands of a value, sums of sums opened."""
    pending, terms = [value], []
    while pending:
        term = pending.pop()
        maker = uses.makers.get(term) if type(term) is Variable else None
        if (
            maker is not None
            and maker.primitive.name == "add"
            and len(uses.readers[term]) == 1
            and all(operand.type == total.type for operand in maker.operands)
        ):
            pending.extend(reversed(maker.operands))
        else:
            terms.append(term)
    return terms


def _joined(
    nodes: list[Node], last: Node, running: Variable, rest: list[Any]
) -> tuple[list[Node], Variable]:
    """The last addition replaced by those of what is left."""
    end = nodes.index(last)
    added = []
    for term in rest:
        result = Variable(running.type)
        added.append(Node(REGISTRY["add"], (running, term), {}, (result,), last.source))
        running = result
    return [*nodes[:end], *added, *nodes[end + 1 :]], running
