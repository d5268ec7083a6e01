"""Making graphs: from Python functions on tracers, and from other graphs by the transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tracer.errors import GraphError
from tracer.graph.nodes import Graph
from tracer.trace import GraphTrace, Tracer, opened
from tracer.types import ArrayType


def build(
    function: Callable[..., Sequence[Any]],
    types: Sequence[ArrayType],
    name: str = "graph",
    weak: Sequence[bool] | None = None,
    *,
    enclosing: bool = False,
) -> tuple[Graph, list[Tracer]]:
    """The graph of `function` (tracers → sequence of values), and the outer tracers it captured.

    With `enclosing`, what the function computes from outer values alone belongs to the graph too:
    it may be
    a branch that does not run.
    """
    trace = GraphTrace(enclosing=enclosing)
    with opened(trace):
        flags = weak or (False,) * len(types)
        inputs = [trace.input(t, weak=w) for t, w in zip(types, flags, strict=True)]
        outputs = function(*inputs)
        return trace.finish(outputs, name)


def build_closed(
    function: Callable[..., Sequence[Any]], types: Sequence[ArrayType], name: str = "graph"
) -> Graph:
    """The graph of a function that captures nothing."""
    graph, captured = build(function, types, name)
    if captured:
        raise GraphError(f"{name} captured {len(captured)} outer tracers")
    return graph


def cached_by_graph(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for Graph → Graph transforms: the result is kept with the graph it came from."""

    @functools.wraps(transform)
    def cached(graph: Graph, *key: Any) -> Any:
        memory = graph.__dict__.setdefault("_transformed", {})
        place = (transform.__qualname__, key)
        if place not in memory:
            memory[place] = transform(graph, *key)
        return memory[place]

    return cached
