"""The adjoint of a graph, and which of its nodes each forward node gave rise to."""

from __future__ import annotations

from typing import Any, NamedTuple

from tracer.graph.build import build_closed
from tracer.graph.nodes import Graph, Node, Variable
from tracer.primitives.broadcast import zeros
from tracer.trace import Tracer, state
from tracer.transforms.graphs import inexact_flags, record_values
from tracer.transforms.reverse import accumulate, pull_back
from tracer.transforms.simplify import remove_dead

NOWHERE = -1


class Adjoint(NamedTuple):
    """`graph`: inputs, then a cotangent for each inexact output → outputs, then a cotangent for
    each inexact input. `origin` says of each node's first result which forward node it evaluates
    or differentiates, `backward` which of them belong to the derivative.
    """

    graph: Graph
    origin: dict[Variable, int]
    backward: set[Variable]


def adjoint_with_origin(graph: Graph) -> Adjoint:
    """The adjoint graph as `tracer.adjoint` makes it, before it is simplified."""
    active = inexact_flags(graph.input_types)
    flags = inexact_flags(graph.output_types)
    types = [*graph.input_types, *(t for t, f in zip(graph.output_types, flags, strict=True) if f)]
    count = len(graph.inputs)
    origin: dict[Variable, int] = {}
    backward: set[Variable] = set()

    def function(*operands: Any) -> list[Any]:
        written = state.stack[-1].nodes
        trace, inputs, outputs = record_values(graph, operands[:count], active, reverse=True)
        position = {id(node.source): index for index, node in enumerate(graph.nodes)}
        for node in written:
            origin[node.results[0]] = position.get(id(node.source), NOWHERE)
        found: dict[Variable, Any] = {}
        seeds = iter(operands[count:])
        for output, flag in zip(outputs, flags, strict=True):
            if flag:
                seed = next(seeds)
                if type(output) is Tracer and output.variable.trace is trace:
                    accumulate(found, output.variable, seed)

        def after(node: Node) -> None:
            inside = node.results[0].value
            mine = origin.get(inside.variable, NOWHERE) if type(inside) is Tracer else NOWHERE
            for new in written[len(origin) :]:
                origin[new.results[0]] = mine
                backward.add(new.results[0])

        pull_back(trace.nodes, found, after)
        return [*(_below(trace, o) for o in outputs), *_cotangents(inputs, active, found)]

    made = build_closed(function, types, f"adjoint_{graph.name}")
    return Adjoint(remove_dead(made), origin, backward)


def _below(trace: Any, value: Any) -> Any:
    if type(value) is Tracer and value.variable.trace is trace:
        return value.variable.value
    return value


def _cotangents(inputs: Any, active: Any, found: dict[Variable, Any]) -> Any:
    for tracer, wanted in zip(inputs, active, strict=True):
        if wanted:
            ct = found.get(tracer.variable)
            yield zeros(tracer.type) if ct is None else ct
