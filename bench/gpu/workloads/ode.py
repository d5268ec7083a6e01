"""A differential equation by a scan of 1 000 small steps, and its gradient.

Van der Pol's oscillator, x″ = μ (1 − x²) x′ − x, by the midpoint rule, for an ensemble of starting
points; the loss is the mean squared distance of the last points from given ones.
"""

from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.gpu.case import Case, simple_workload
from bench.workload import Function, Inputs, Size, Tolerance, Work, gradient

STEP = 0.002


def build(size: Size) -> Function:
    steps = size["steps"]

    def ode(start: Any, strength: Any, observed: Any) -> Any:
        def step(point: Any, _: None) -> Any:
            x, v = point
            middle_x = x + 0.5 * STEP * v
            middle_v = v + 0.5 * STEP * (strength * (1.0 - x * x) * v - x)
            change = strength * (1.0 - middle_x * middle_x) * middle_v - middle_x
            return (x + STEP * middle_v, v + STEP * change), None

        (x, v), _ = tracer.scan(step, (start[0], start[1]), None, steps)
        return np.mean((x - observed[0]) ** 2 + (v - observed[1]) ** 2)

    return ode


def torch_step(x: Any, v: Any, strength: Any) -> Any:
    middle_x = x + 0.5 * STEP * v
    middle_v = v + 0.5 * STEP * (strength * (1.0 - x * x) * v - x)
    change = strength * (1.0 - middle_x * middle_x) * middle_v - middle_x
    return x + STEP * middle_v, v + STEP * change


def _torch_loop(steps: int, step: Function) -> Function:
    def ode(start: Any, strength: Any, observed: Any) -> Any:
        x, v = start[0], start[1]
        for _ in range(steps):
            x, v = step(x, v, strength)
        return ((x - observed[0]) ** 2 + (v - observed[1]) ** 2).mean()

    return ode


def torch_build(torch: ModuleType, size: Size) -> Function:
    """PyTorch has no loop of its own that differentiates: Python's."""
    return _torch_loop(size["steps"], torch_step)


def torch_compiled(torch: ModuleType, size: Size) -> Function:
    """The step compiled, in Python's loop: a graph of 1 000 steps would compile for minutes."""
    return _torch_loop(size["steps"], torch.compile(torch_step, dynamic=False))


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    start = rng.normal(0.0, 1.0, (2, size["n"]))
    return start, np.array(1.5), rng.normal(0.0, 1.0, (2, size["n"]))


def work(size: Size, itemsize: int) -> Work:
    """The way back computes a step again, and twice as much on top; a point a step is kept."""
    n, steps = size["n"], size["steps"]
    return Work(4.0 * 18.0 * n * steps, itemsize * n * (6.0 + 4.0 * steps))


SIZES = {
    "toy": {"n": 3, "steps": 6},
    "tiny": {"n": 16, "steps": 1_000},
    "medium": {"n": 4_096, "steps": 1_000},
    "large": {"n": 65_536, "steps": 1_000},
}
CASES = (
    Case(
        name="ode",
        title="ODE by a scan of 1 000 steps, gradient",
        workload=simple_workload(
            "ode-scan",
            "Van der Pol's equation by a scan: gradient by start and strength",
            make_inputs=make_inputs,
            build=build,
            torch_build=torch_build,
            program=gradient({0: "start", 1: "strength"}),
            tolerance=Tolerance(1e-10, "a thousand steps, each of which moves the last bits"),
            toy=SIZES["toy"],
        ),
        program_name="program",
        sizes=SIZES,
        work=work,
        tolerance=Tolerance(1e-3, "a thousand steps, whose rounding errors add up"),
        memory_bound=False,
        torch_compiled=torch_compiled,
    ),
)
