"""Reverse mode through loops: a scalar ODE, small matrices, many scalars, and sweeps in place."""

from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.workload import Function, Inputs, Size, Tolerance, Workload, gradient
from bench.workloads.loops_by_hand import by_hand
from bench.workloads.loops_jax import jax_build

ODE, MATRICES, LEAVES, SWEEP = range(4)
RATE = 0.001
DECAY = 0.999


def scalar_ode(size: Size) -> Function:
    """Euler's method for x' = sin x − x²/10."""

    def ode(start: Any) -> Any:
        def step(x: Any, _: None) -> Any:
            return x + RATE * (np.sin(x) - 0.1 * x * x), None

        return tracer.scan(step, start[0], None, size["steps"])[0]

    return ode


def matrices(size: Size) -> Function:
    """A product of 3×3 matrices."""
    turn = np.eye(3) + RATE

    def product(start: Any) -> Any:
        def step(a: Any, _: None) -> Any:
            return a @ turn * DECAY, None

        return np.sum(tracer.scan(step, start, None, size["steps"])[0])

    return product


def leaves(size: Size) -> Function:
    """A ring of 64 scalars, each a carry of its own."""
    count = 64

    def ring(start: Any) -> Any:
        def step(x: Any, _: None) -> Any:
            return [np.tanh(x[i] + 0.1 * x[(i + 1) % count]) for i in range(count)], None

        last = tracer.scan(step, [start[i] for i in range(count)], None, size["steps"])[0]
        return sum(last)

    return ring


def sweep(size: Size) -> Function:
    """Gauss–Seidel sweeps over a square, by plain Python loops and assignments."""
    sweeps = size["steps"]

    def relax(a: Any) -> Any:
        n = a.shape[0]
        for _ in range(sweeps):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    a[i, j] = 0.25 * (a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        return np.sum(a * a)

    return relax


def build(size: Size) -> Function:
    return (scalar_ode, matrices, leaves, sweep)[size["case"]](size)


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    case, n = size["case"], size["n"]
    shape = {ODE: (1,), MATRICES: (3, 3), LEAVES: (64,), SWEEP: (n, n)}[case]
    return (rng.uniform(0.1, 1.0, shape),)


def jax_version(jax: ModuleType, size: Size) -> Function:
    return jax_build(jax, size, RATE, DECAY)


WORKLOAD = Workload(
    name="loops",
    description="value and gradient through scan and through in-place Python loops",
    sizes={
        "small": {"case": SWEEP, "steps": 4, "n": 10},
        "medium": {"case": SWEEP, "steps": 4, "n": 40},
        "large": {"case": SWEEP, "steps": 4, "n": 200},
        "ode": {"case": ODE, "steps": 2000, "n": 1},
        "matrices": {"case": MATRICES, "steps": 2000, "n": 3},
        "leaves": {"case": LEAVES, "steps": 500, "n": 64},
        "sweep": {"case": SWEEP, "steps": 4, "n": 40},
    },
    default_sizes=("ode", "matrices", "leaves", "sweep"),
    smoke={"case": SWEEP, "steps": 2, "n": 8},
    tiny={"case": ODE, "steps": 1, "n": 1},
    make_inputs=make_inputs,
    build=build,
    jax_build=jax_version,
    handwritten={"gradient": lambda size: by_hand(size["case"], size["steps"], RATE, DECAY)},
    programs={"gradient": gradient({0: "start"})},
    tolerance=Tolerance(1e-9, "some thousand steps, each rounded in an order of its own"),
)
