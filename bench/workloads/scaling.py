"""What tracing, differentiating and lowering cost a node, and whether it stays linear.

The function is a chain of additions and multiplications. `trace` is the function alone, `transform`
what its gradient takes beyond that, `lower` the way to the text of the loop program; nothing is
compiled. The figures are per node of the gradient's graph.
"""

import functools
from typing import Any

import numpy as np

import tracer
from bench.context import Context
from bench.display import Table, format_seconds
from bench.errors import describe_error
from bench.results import Failure, Measurement
from bench.subjects import BACKENDS, Stopwatch, TracerSubject
from bench.workload import Function, Inputs, Size, Tolerance, Workload, gradient

REPEATS = 3
COMPILED = [backend for backend in BACKENDS if backend not in ("numpy", "eager")]


def build(size: Size) -> Function:
    nodes = size["nodes"]

    def link(y: Any, x: Any, number: int) -> Any:
        return y * x if number % 2 else y + x

    def chain(x: Any) -> Any:
        # Not a `for` loop, which `jit` may keep as one node.
        return np.sum(functools.reduce(lambda y, number: link(y, x, number), range(nodes), x))

    return chain


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (rng.uniform(0.0, 0.5, 8),)


def measure(context: Context, size_name: str, size: Size) -> list[Measurement]:
    """One measurement for each compiling backend of the run."""
    found = []
    repeats = 1 if context.smoke else REPEATS
    for subject in context.subjects:
        if not isinstance(subject, TracerSubject) or subject.backend not in COMPILED:
            continue
        label = f"scaling {size_name}: {subject.name}"
        context.display.progress(label, 0, 1)
        try:
            found.append(_measure_backend(size_name, size, subject, repeats))
        except Exception as error:
            message = describe_error(error)
            failure = Failure("scaling", size_name, "gradient", subject.name, message)
            context.fail(failure, error)
    if found:
        context.display.table(_table(size_name, size, found))
    elif not context.report.failures:
        context.display.line("scaling: none of the backends lowers anything")
    return found


def _measure_backend(
    size_name: str, size: Size, subject: TracerSubject, repeats: int
) -> Measurement:
    (x,) = make_inputs(size, np.random.default_rng(0))
    function = build(size)
    plain, both, lower, nodes = [], [], [], 0
    for _ in range(repeats):
        stopwatch = Stopwatch()
        jitted = tracer.jit(function, backend=subject.backend)
        stopwatch.time("plain", jitted.trace, x)
        jitted = tracer.jit(tracer.value_and_grad(function), backend=subject.backend)
        traced = stopwatch.time("both", jitted.trace, x)
        stopwatch.time("lower", traced.lower(backend=subject.backend).loops)
        nodes = len(traced.graph.nodes)
        plain.append(stopwatch.stages["plain"])
        both.append(stopwatch.stages["both"])
        lower.append(stopwatch.stages["lower"])
    stages = {
        "trace": min(plain),
        "transform": max(0.0, min(both) - min(plain)),
        "lower": min(lower),
    }
    total = min(both) + min(lower)
    figures = {"graph nodes": float(nodes), "microseconds a node": 1e6 * total / nodes}
    return Measurement(
        "scaling", size_name, dict(size), "gradient", subject.name, subject.kind, stages,
        figures=figures,
    )  # fmt: skip


def _table(size_name: str, size: Size, measurements: list[Measurement]) -> Table:
    columns = ("subject", "graph nodes", "trace", "transform", "lower", "µs a node")
    rows = [
        (
            item.subject,
            f"{item.figures['graph nodes']:.0f}",
            *(format_seconds(item.stages[stage]) for stage in ("trace", "transform", "lower")),
            f"{item.figures['microseconds a node']:.1f}",
        )
        for item in measurements
    ]
    title = f"scaling {size_name}: {size['nodes']} operations and their gradient"
    return Table(title, columns, rows)


WORKLOAD = Workload(
    name="scaling",
    description="seconds a node to trace, differentiate and lower chains of 100 to 10 000 nodes",
    sizes={
        "small": {"nodes": 100},
        "medium": {"nodes": 1_000},
        "3000": {"nodes": 3_000},
        "large": {"nodes": 10_000},
    },
    default_sizes=("small", "medium", "3000", "large"),
    smoke={"nodes": 50},
    make_inputs=make_inputs,
    build=build,
    programs={"gradient": gradient({0: "x"})},
    tolerance=Tolerance(1e-12, "its results are not measured"),
    measure=measure,
)
