"""What tracing, differentiating, lowering and compiling cost a node, and whether it stays linear.

The function is a chain of additions and multiplications. `trace` is the function alone, `transform`
what its gradient takes beyond that, `simplify` the walk over the gradient's graph, `lower` and
`optimize` the way to the loop program, and `compile` that to machine code, with nothing found in
memory or on disk. All are given in microseconds a node of the gradient's graph; `to loops` is the
sum without `compile`. Where a backend would take minutes, `lower` includes `optimize` and the
program's text, and nothing is compiled.
"""

import functools
from typing import Any

import numpy as np

import tracer
from bench.context import Context
from bench.display import Table
from bench.errors import describe_error
from bench.results import Failure, Measurement
from bench.subjects import BACKENDS, Stopwatch, TracerSubject
from bench.workload import Function, Inputs, Size, Tolerance, Workload, gradient

REPEATS = 3
STAGES = ("trace", "transform", "simplify", "lower", "optimize", "compile")
COMPILED_WHOLE = "llvm"
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
    before = tracer.config.get("cache_dir")
    tracer.config.set("cache_dir", "off")
    try:
        found = [_measure_once(size, subject.backend, number) for number in range(repeats)]
    finally:
        tracer.config.set("cache_dir", before)
    nodes = found[0][1]
    stages = {
        stage: min(stages[stage] * nodes / count for stages, count in found)
        for stage in found[0][0]
    }
    total = sum(seconds for stage, seconds in stages.items() if stage != "compile")
    figures = {"graph nodes": float(nodes), "microseconds a node": 1e6 * total / nodes}
    return Measurement(
        "scaling", size_name, dict(size), "gradient", subject.name, subject.kind, stages,
        figures=figures,
    )  # fmt: skip


def _measure_once(size: Size, backend: str, number: int) -> tuple[dict[str, float], int]:
    """Seconds of each stage, and the nodes of the gradient's graph.

    Each `number` has a function of another length, so that no machine code is found.
    """
    (x,) = make_inputs(size, np.random.default_rng(0))
    function = build({"nodes": size["nodes"] + number})
    stopwatch = Stopwatch()
    plain = tracer.jit(function, backend=backend).trace(x)
    traced = tracer.jit(tracer.value_and_grad(function), backend=backend).trace(x)
    stages = {
        "trace": plain.timings["trace"],
        "transform": max(0.0, traced.timings["trace"] - plain.timings["trace"]),
        "simplify": traced.timings["simplify"],
    }
    if backend == COMPILED_WHOLE:
        compiled = traced.lower(backend=backend).compile()
        stages |= {stage: compiled.timings[stage] for stage in ("lower", "optimize", "compile")}
    else:
        stopwatch.time("lower", traced.lower(backend=backend).loops)
        stages["lower"] = stopwatch.stages["lower"]
    return stages, len(traced.graph.nodes)


def _table(size_name: str, size: Size, measurements: list[Measurement]) -> Table:
    columns = ("subject", "graph nodes", *STAGES[:-1], "to loops", STAGES[-1])
    rows = []
    for item in measurements:
        nodes = item.figures["graph nodes"]
        cells = [
            f"{1e6 * item.stages[stage] / nodes:.1f}" if stage in item.stages else "-"
            for stage in STAGES
        ]
        total = f"{item.figures['microseconds a node']:.1f}"
        rows.append((item.subject, f"{nodes:.0f}", *cells[:-1], total, cells[-1]))
    title = (
        f"scaling {size_name}: {size['nodes']} operations and their gradient, microseconds a node"
    )
    return Table(title, columns, rows)


WORKLOAD = Workload(
    name="scaling",
    description="time a node to trace, differentiate, lower and compile chains of 100 to 10 000",
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
