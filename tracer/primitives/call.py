"""A call of a graph as one node: what `jit` inside an eager trace and `checkpoint` record."""

from __future__ import annotations

from typing import Any

from tracer import backend as backends
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import zeros
from tracer.trace import bind
from tracer.types import ArrayType


def _call_type(*operands: ArrayType, graph: Graph, backend: str, kind: str) -> Any:
    if operands != graph.input_types:
        raise TypeError(f"{graph.name} takes {graph.input_types}, not {operands}")
    return graph.output_types


def _call_evaluate(*operands: Any, graph: Graph, backend: str, kind: str) -> Any:
    return tuple(backends.run(graph, operands, backend))


def call(graph: Graph, operands: Any, backend: str = "numpy", kind: str = "jit") -> Any:
    """The outputs of the graph as a tuple. `kind` "checkpoint" recomputes them for the adjoint."""
    return bind(call_p, *operands, graph=graph, backend=backend, kind=kind)


def _call_jvp(
    primals: Any, tangents: Any, results: Any, *, graph: Graph, backend: str, kind: str
) -> Any:
    from tracer.transforms.graphs import inexact_flags, jvp_graph

    active = tuple(tangent is not None for tangent in tangents)
    given = [tangent for tangent in tangents if tangent is not None]
    outputs = call(jvp_graph(graph, active), [*primals, *given], backend, kind)
    pushed = iter(outputs[len(graph.outputs) :])
    return [next(pushed) if wanted else None for wanted in inexact_flags(graph.output_types)]


def _call_vjp(
    cts: Any, primals: Any, results: Any, active: Any, *, graph: Graph, backend: str, kind: str
) -> Any:
    from tracer.transforms.graphs import inexact_flags, vjp_graph

    flags = tuple(active)
    given = [
        zeros(type_) if ct is None else ct
        for ct, type_, wanted in zip(
            cts, graph.output_types, inexact_flags(graph.output_types), strict=True
        )
        if wanted
    ]
    outputs = iter(call(vjp_graph(graph, flags), [*primals, *given], backend, kind))
    return [next(outputs) if wanted else None for wanted in active]


def _call_batch(
    size: int, operands: Any, batched: Any, *, graph: Graph, backend: str, kind: str
) -> Any:
    from tracer.transforms.vmap import batch_graph

    inner, flags = batch_graph(graph, size, tuple(batched))
    return call(inner, operands, backend, kind), flags


call_p = register(
    Primitive(
        "call",
        _call_type,
        _call_evaluate,
        jvp_rule=_call_jvp,
        vjp_rule=_call_vjp,
        batch_rule=_call_batch,
        lowering=Lowering("call"),
        multiple=True,
    )
)
