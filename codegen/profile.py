"""What each kernel of a compiled graph takes: the same program, built with clocks and run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    If,
    Let,
    Literal,
    Loop,
    Operation,
    Program,
    Reduce,
    Statement,
    Store,
    Update,
    While,
)
from codegen.loops.walk import buffers_read, buffers_written, statements
from codegen.lower.graph import lower_with_places
from codegen.lower.groups import kernel_nodes
from codegen.passes.clocks import FIRST, KERNELS, LAST, TICKS, VISITS, Kernel, with_clocks
from codegen.passes.cost import block_cost
from codegen.passes.pipeline import optimize
from codegen.passes.products import use_products
from codegen.render.llvm_call import LlvmProgram
from codegen.render.llvm_machine import host_machine
from tracer.graph.nodes import Graph, Node, Source
from tracer.types import kind_of

MOST_NAMED = 5
"""Operations in a kernel's title."""


@dataclass(frozen=True, slots=True)
class KernelTime:
    """A kernel of one call.

    seconds  its least time, over all visits of a call
    visits   how often it ran
    flops, bytes  what all visits cost; `exact` as in `codegen.passes.cost.Cost`
    width    bytes of the floating-point numbers that it computes with
    nodes    what it computes
    sources  the user's lines of these; where there are none, of what it prepares
    """

    title: str
    seconds: float
    visits: int
    flops: float
    bytes: float
    exact: bool
    width: int
    nodes: tuple[Node, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class GraphTime:
    """A call: its least time, how often it was measured, its kernels, and its outputs."""

    seconds: float
    calls: int
    kernels: tuple[KernelTime, ...]
    outputs: list[Any]


def profile_graph(graph: Graph, inputs: Sequence[Any], seconds: float, calls: int) -> GraphTime:
    """Run a graph on one thread, for at least so many seconds and calls after a first one.

    Raises what the program raises.
    """
    lowered, places = lower_with_places(graph)
    program = use_products(optimize(lowered), host_machine().vector_bytes, by_panels=True)
    clocked, kernels = with_clocks(program)
    arrays = [np.asarray(value) for value in inputs]
    least, counts, repeated, outputs = _measure(clocked, arrays, seconds, calls)
    nodes = kernel_nodes(graph, lowered, places, kernels)
    following: list[Node] = []
    times: list[KernelTime] = []
    for kernel, row, (computed, begun) in reversed(list(zip(kernels, counts, nodes, strict=True))):
        following = computed or following
        times.insert(0, _kernel_time(kernel, row, computed, begun or following))
    return GraphTime(max(least, sum(k.seconds for k in times)), repeated, tuple(times), outputs)


def _measure(
    program: Program, inputs: list[Any], seconds: float, calls: int
) -> tuple[float, list[tuple[float, int]], int, list[Any]]:
    """The least time of a call, and for each kernel its least time and its visits."""
    native = LlvmProgram(program, "never")
    native(inputs)
    spans: list[float] = []
    tables: list[Any] = []
    outputs: list[Any] = []
    begin = ended = time.perf_counter()
    while len(spans) < calls or ended - begin < seconds:
        before = time.perf_counter()
        *outputs, table = native(inputs)
        ended = time.perf_counter()
        spans.append(ended - before)
        tables.append(table)
    # Both clocks, from the first call's beginning to the last's end, give the length of a tick.
    ticks = int(tables[-1][-1, LAST]) - int(tables[0][-1, FIRST])
    tick = (ended - begin) / max(1, ticks)
    least = np.min([table[:-1, TICKS] for table in tables], axis=0) * tick
    visits = tables[-1][:-1, VISITS]
    rows = [(float(one), int(many)) for one, many in zip(least, visits, strict=True)]
    return min(spans), rows, len(spans), [out if out.ndim else out[()] for out in outputs]


def _kernel_time(
    kernel: Kernel, row: tuple[float, int], nodes: list[Node], near: list[Node]
) -> KernelTime:
    """`near` are nodes that a kernel without nodes of its own is a part of."""
    seconds, visits = row
    cost, beside = block_cost(kernel.body), block_cost(kernel.beside)
    return KernelTime(
        _title(kernel.body, nodes, near),
        seconds,
        visits,
        visits * cost.flops + beside.flops,
        visits * cost.bytes + beside.bytes,
        cost.exact,
        _width(kernel.body),
        tuple(nodes),
        tuple(dict.fromkeys(node.source for node in nodes or near if node.source)),
    )


def _title(body: Sequence[Statement], nodes: Sequence[Node], near: Sequence[Node]) -> str:
    """In words: what kind of kernel it is, how large, and its operations."""
    main = next((part for part in body if isinstance(part, KERNELS)), None)
    match main:
        case Call(kernel="matmul" | "product"):
            rows, columns = (*main.results[0].shape[-2:], 1)[:2]
            return f"matrix product {rows}×{main.operands[0].shape[-1]}×{columns}"
        case Call(kernel="callback"):
            kind = "call of Python"
        case Call(params=params):
            kind = f"call of {params.get('routine', main.kernel)}"
        case Loop():
            kind = f"loop over {'×'.join(_extents(main))}"
        case While():
            kind = "loop while a condition holds"
        case If():
            kind = "branch"
        case _:
            kind = "single numbers"
    if nodes:
        return f"{kind}: {_names(nodes)}"
    if isinstance(main, Loop):
        values = [part.value for part in statements(tuple(body)) if isinstance(part, Store)]
        if values and not any(map(_works, statements(tuple(body)))):
            return f"{kind}: {'fill' if isinstance(values[0], Literal) else 'copy'}"
    return f"{kind}: part of {_names(near)}" if near else kind


def _names(nodes: Sequence[Node]) -> str:
    """The operations of nodes, each once."""
    known = list(dict.fromkeys(str(node.primitive.name) for node in nodes))
    return ", ".join([*known[:MOST_NAMED], *(["…"] if known[MOST_NAMED:] else [])])


def _works(statement: Statement) -> bool:
    """Whether a statement does more than copy: computes, combines or chooses a value."""
    if isinstance(statement, (Let, Store)):
        return isinstance(statement.value, Operation)
    return isinstance(statement, (Reduce, Update, Assign))


def _extents(loop: Loop) -> Iterator[str]:
    """The numbers of iterations of a nest, from the outermost in; of several loops inside one, that
    with the most statements.
    """
    part: Loop | None = loop
    while part is not None:
        trips = constant_trip(part)
        yield "?" if trips is None else str(trips)
        inner = [inside for inside in part.body if isinstance(inside, Loop)]
        part = max(inner, key=lambda inside: sum(1 for _ in statements((inside,))), default=None)


def _width(body: Sequence[Statement]) -> int:
    """Bytes of the floating-point numbers that are written; 8 where there are none."""
    widths = [
        buffer.dtype.itemsize // (2 if buffer.dtype.kind == "c" else 1)
        for buffer in _touched(body)
        if kind_of(buffer.dtype) in "fc"
    ]
    return max(widths, default=8)


def _touched(body: Sequence[Statement]) -> Iterator[Buffer]:
    for statement in statements(tuple(body)):
        yield from buffers_read(statement)
        yield from buffers_written(statement)
