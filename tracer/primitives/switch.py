"""Branches: one of several graphs is run."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.graph.build import build_closed, cached_by_graph
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.arithmetic import maximum, minimum
from tracer.primitives.broadcast import reshape, zeros
from tracer.primitives.comparison import equal, select
from tracer.trace import bind
from tracer.types import INT64, ArrayType, is_inexact

Branches = tuple[Graph, ...]


def _switch_type(index: ArrayType, *operands: ArrayType, branches: Branches) -> Any:
    if index != ArrayType(INT64, ()):
        raise TypeError(f"the index of a switch is an int64 scalar, not {index}")
    for branch in branches:
        if branch.input_types != operands:
            raise TypeError(f"{branch.name} takes {branch.input_types}, not {operands}")
        if branch.output_types != branches[0].output_types:
            raise TypeError(f"branches return {branches[0].output_types} and {branch.output_types}")
    return branches[0].output_types


def _switch_evaluate(index: Any, *operands: Any, branches: Branches) -> Any:
    chosen = branches[int(np.clip(index, 0, len(branches) - 1))]
    return tuple(evaluate(chosen, operands))


def switch(index: Any, operands: Any, branches: Branches) -> Any:
    """The outputs of `branches[index]` as a tuple; an index outside counts as the nearest."""
    return bind(switch_p, index, *operands, branches=branches)


def _switch_jvp(primals: Any, tangents: Any, results: Any, *, branches: Branches) -> Any:
    from tracer.transforms.graphs import depends, jvp_graph

    active = tuple(tangent is not None for tangent in tangents[1:])
    wanted = tuple(
        any(flags) for flags in zip(*[depends(b, active) for b in branches], strict=True)
    )
    pushed = tuple(jvp_graph(branch, active, wanted) for branch in branches)
    given = [tangent for tangent in tangents[1:] if tangent is not None]
    outputs = switch(primals[0], [*primals[1:], *given], pushed)
    rest = iter(outputs[len(branches[0].outputs) :])
    return [next(rest) if want else None for want in wanted]


def _switch_vjp(cts: Any, primals: Any, results: Any, active: Any, *, branches: Branches) -> Any:
    from tracer.transforms.graphs import vjp_graph

    flags = tuple(active[1:])
    types = branches[0].output_types
    given = [
        zeros(type_) if ct is None else ct
        for ct, type_ in zip(cts, types, strict=True)
        if is_inexact(type_.dtype)
    ]
    pulled = tuple(vjp_graph(branch, flags) for branch in branches)
    outputs = iter(switch(primals[0], [*primals[1:], *given], pulled))
    return [None, *(next(outputs) if flag else None for flag in flags)]


def _switch_batch(size: int, operands: Any, batched: Any, *, branches: Branches) -> Any:
    from tracer.transforms.vmap import batch_graph

    flags = tuple(batched[1:])
    found = [batch_graph(branch, size, flags)[1] for branch in branches]
    wanted = tuple(any(row) for row in zip(*found, strict=True))
    if not batched[0]:
        inner = tuple(batch_graph(branch, size, flags, wanted)[0] for branch in branches)
        return switch(operands[0], operands[1:], inner), wanted
    every = (True,) * len(wanted)
    inner = tuple(batch_graph(branch, size, flags, every)[0] for branch in branches)
    index = minimum(maximum(operands[0], INT64.type(0)), INT64.type(len(branches) - 1))
    with np.errstate(all="ignore"):  # lanes run through branches that are not theirs
        rows = [evaluate(graph, operands[1:]) for graph in inner]
    results = []
    for outputs in zip(*rows, strict=True):
        chosen = outputs[-1]
        for place in range(len(outputs) - 2, -1, -1):
            mask = equal(index, INT64.type(place))
            mask = reshape(mask, (size, *(1,) * (chosen.ndim - 1)))
            chosen = select(mask, outputs[place], chosen)
        results.append(chosen)
    return tuple(results), every


switch_p = register(
    Primitive(
        "switch",
        _switch_type,
        _switch_evaluate,
        jvp_rule=_switch_jvp,
        vjp_rule=_switch_vjp,
        batch_rule=_switch_batch,
        lowering=Lowering("switch"),
        multiple=True,
    )
)


@cached_by_graph
def with_unused(graph: Graph, before: tuple[ArrayType, ...], places: tuple[int, ...]) -> Graph:
    """The graph taking operands of types `before`, of which it uses those at `places`."""

    def function(*operands: Any) -> list[Any]:
        return evaluate(graph, [operands[place] for place in places])

    return build_closed(function, before, graph.name)
