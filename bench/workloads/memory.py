"""Peak workspace of a loop's gradient against the number of its steps, by what is stored of a step.

The function is a scan whose step is a small network, each layer of which the adjoint needs. `none`
stores them all, `full` the carry of each step, `sqrt` that of every √n-th. The workspace is what a
call of the compiled gradient uses beside its arguments and results. It is counted from the program,
so that a busy machine changes nothing.
"""

from typing import Any

import numpy as np

import tracer
from bench.context import Context
from bench.display import Table
from bench.errors import describe_error
from bench.results import Failure, Measurement
from bench.subjects import BACKENDS, Stopwatch, TracerSubject
from bench.workload import Function, Inputs, Size, Tolerance, Workload, gradient

LAYERS = 4
"""Of the network in one step; the adjoint needs the output of each."""
MODES = ("none", "full", "sqrt")
COMPILED = [backend for backend in BACKENDS if backend not in ("numpy", "eager")]


def build(size: Size) -> Function:
    """The scan without a checkpoint."""
    return checkpointed(size, "none")


def checkpointed(size: Size, mode: str) -> Function:
    """The sum of the state after some steps, which store by `mode`."""

    def last(start: Any, weights: Any) -> Any:
        def step(state: Any, _: None) -> tuple[Any, None]:
            change = state
            for layer in range(LAYERS):
                change = np.tanh(weights[layer] @ change)
            return state + 0.1 * change, None

        how = "" if mode == "none" else mode
        return np.sum(tracer.scan(step, start, None, length=size["steps"], checkpoint=how)[0])

    return last


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """The state before the first step, and the matrices of the layers in a step."""
    width = size["width"]
    return (rng.uniform(0.5, 1.5, width), rng.standard_normal((LAYERS, width, width)) / width**0.5)


def workspace(size: Size, mode: str, backend: str) -> tuple[float, dict[str, float]]:
    """Bytes of workspace of the gradient's call, and the seconds of its stages."""
    inputs = make_inputs(size, np.random.default_rng(0))
    stopwatch = Stopwatch()
    jitted = tracer.jit(tracer.grad(checkpointed(size, mode), (0, 1)), backend=backend)
    traced = stopwatch.time("trace", jitted.trace, *inputs)
    lowered = stopwatch.time("lower", traced.lower, backend=backend)
    compiled = stopwatch.time("compile", lowered.compile)
    return compiled.cost()["workspace"], stopwatch.stages


def measure(context: Context, size_name: str, size: Size) -> list[Measurement]:
    """One measurement for each compiling backend of the run."""
    found = []
    for subject in context.subjects:
        if not isinstance(subject, TracerSubject) or subject.backend not in COMPILED:
            continue
        figures: dict[str, float] = {}
        stages: dict[str, float] = {}
        try:
            for number, mode in enumerate(MODES):
                label = f"memory {size_name}: {subject.name}, {mode}"
                context.display.progress(label, number, len(MODES))
                figures[mode], seconds = workspace(size, mode, subject.backend)
                stages.update({f"{stage}, {mode}": time for stage, time in seconds.items()})
        except Exception as error:
            message = describe_error(error)
            context.fail(Failure("memory", size_name, "gradient", subject.name, message), error)
            continue
        found.append(
            Measurement(
                "memory", size_name, dict(size), "gradient", subject.name, subject.kind, stages,
                figures=figures,
            )
        )  # fmt: skip
    if found:
        context.display.table(_table(size_name, size, found))
    elif not context.report.failures:
        context.display.line("memory: none of the backends compiles anything")
    return found


def _table(size_name: str, size: Size, measurements: list[Measurement]) -> Table:
    rows = [
        (item.subject, *(f"{item.figures[mode] / 1024:,.0f} KiB" for mode in MODES))
        for item in measurements
    ]
    title = (
        f"memory {size_name}: workspace of the gradient of a scan, n={size['steps']}, "
        f"{size['width']} numbers a step"
    )
    return Table(title, ("subject", *MODES), rows)


WORKLOAD = Workload(
    name="memory",
    description="peak workspace of the gradient of a scan of n steps: checkpoint none, full, sqrt",
    sizes={
        "small": {"steps": 100, "width": 64},
        "medium": {"steps": 1_000, "width": 64},
        "large": {"steps": 10_000, "width": 64},
    },
    default_sizes=("small", "medium", "large"),
    smoke={"steps": 30, "width": 4},
    make_inputs=make_inputs,
    build=build,
    programs={"gradient": gradient({0: "start", 1: "weights"})},
    tolerance=Tolerance(1e-12, "its results are not measured"),
    measure=measure,
)
