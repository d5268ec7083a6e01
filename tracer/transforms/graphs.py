"""The derivative transforms as maps from graphs to graphs: what bodies of control flow and `jit`
go through.
"""

from __future__ import annotations

from typing import Any

from tracer.graph.build import build_closed, cached_by_graph
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph, Variable
from tracer.primitives.broadcast import zeros
from tracer.trace import Tracer, ValueTrace, opened, type_of
from tracer.transforms.forward import push_forward
from tracer.transforms.reverse import accumulate, pull_back
from tracer.types import is_inexact

Flags = tuple[bool, ...]


def inexact_flags(types: Any) -> Flags:
    """Which of the types have derivatives."""
    return tuple(is_inexact(type_.dtype) for type_ in types)


def record_values(
    graph: Graph, primals: Any, active: Flags, *, reverse: bool = False
) -> tuple[ValueTrace, list[Any], list[Any]]:
    """Evaluate the graph with `active` inputs as independent variables of a new trace."""
    trace = ValueTrace(reverse=reverse)
    with opened(trace):
        inputs = [
            trace.input(value) if wanted else value
            for value, wanted in zip(primals, active, strict=True)
        ]
        outputs = evaluate(graph, inputs)
    return trace, inputs, outputs


def value_below(trace: ValueTrace, value: Any) -> Any:
    """What a value is one level below `trace`."""
    if type(value) is Tracer and value.variable.trace is trace:
        return value.variable.value
    return value


@cached_by_graph
def depends(graph: Graph, active: Flags) -> Flags:
    """Which outputs have a tangent when the active inputs have one."""
    moved = {v for v, wanted in zip(graph.inputs, active, strict=True) if wanted}
    for node in graph.nodes:
        if node.primitive.differentiable and any(operand in moved for operand in node.operands):
            moved.update(result for result in node.results if is_inexact(result.type.dtype))
    return tuple(output in moved for output in graph.outputs)


@cached_by_graph
def jvp_graph(graph: Graph, active: Flags, wanted: Flags | None = None) -> Graph:
    """(primals, tangents of the active inputs) → (outputs, tangents of the wanted outputs).

    By default the tangents of all inexact outputs are wanted.
    """
    count = len(graph.inputs)
    differentiated = inexact_flags(graph.output_types) if wanted is None else wanted

    def function(*operands: Any) -> list[Any]:
        trace, inputs, outputs = record_values(graph, operands[:count], active)
        chosen = [tracer for tracer, wanted in zip(inputs, active, strict=True) if wanted]
        tangents: dict[Variable, Any] = {
            tracer.variable: tangent
            for tracer, tangent in zip(chosen, operands[count:], strict=True)
        }
        push_forward(trace.nodes, tangents)
        results = [value_below(trace, output) for output in outputs]
        for output, wanted in zip(outputs, differentiated, strict=True):
            if not wanted:
                continue
            inside = type(output) is Tracer and output.variable.trace is trace
            tangent = tangents.get(output.variable) if inside else None
            results.append(zeros(type_of(output)) if tangent is None else tangent)
        return results

    tangent_types = [t for t, wanted in zip(graph.input_types, active, strict=True) if wanted]
    return build_closed(function, [*graph.input_types, *tangent_types], f"jvp_{graph.name}")


@cached_by_graph
def vjp_graph(graph: Graph, active: Flags) -> Graph:
    """(primals, cotangents of the inexact outputs) → cotangents of the active inputs."""
    count = len(graph.inputs)
    differentiated = inexact_flags(graph.output_types)

    def function(*operands: Any) -> list[Any]:
        trace, inputs, outputs = record_values(graph, operands[:count], active, reverse=True)
        found: dict[Variable, Any] = {}
        chosen = [o for o, wanted in zip(outputs, differentiated, strict=True) if wanted]
        for output, ct in zip(chosen, operands[count:], strict=True):
            if type(output) is Tracer and output.variable.trace is trace:
                accumulate(found, output.variable, ct)
        pull_back(trace.nodes, found)
        results = []
        for tracer, wanted in zip(inputs, active, strict=True):
            if wanted:
                ct = found.get(tracer.variable)
                results.append(zeros(tracer.type) if ct is None else ct)
        return results

    ct_types = [t for t, wanted in zip(graph.output_types, differentiated, strict=True) if wanted]
    return build_closed(function, [*graph.input_types, *ct_types], f"adjoint_{graph.name}")


def adjoint(graph: Graph) -> Graph:
    """The graph of value and gradient: inputs, then one cotangent for each inexact output →
    outputs, then one cotangent for each inexact input."""
    active = inexact_flags(graph.input_types)
    pulled = vjp_graph(graph, active)
    count = len(graph.inputs)

    def function(*operands: Any) -> list[Any]:
        return [*evaluate(graph, operands[:count]), *evaluate(pulled, operands)]

    from tracer.transforms.simplify import simplify

    return simplify(build_closed(function, pulled.input_types, f"adjoint_{graph.name}"))
