"""The method of Runge and Kutta through Lorenz's equations, for an ensemble of starting points.

E. Lorenz, "Deterministic nonperiodic flow", Journal of the Atmospheric Sciences 20 (1963):
x' = σ (y − x), y' = x (ρ − z) − y, z' = x y − β z. The loss is the mean squared distance of the
last points from given ones, and the derivatives are by the starting points and by (σ, ρ, β): what
fitting the equations to observations needs.
"""

from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient

STEP = 0.01
FLOPS_A_SLOPE = 9
FLOPS_A_STEP = 4 * FLOPS_A_SLOPE + 3 * (3 * 2 + 8)


def slope(point: Any, sigma: Any, rho: Any, beta: Any) -> Any:
    x, y, z = point
    return sigma * (y - x), x * (rho - z) - y, x * y - beta * z


def moved(point: Any, along: Any, length: float) -> Any:
    return tuple(value + length * change for value, change in zip(point, along, strict=True))


def build(size: Size) -> Function:
    steps = size["steps"]

    def ode(start: Any, parameters: Any, observed: Any) -> Any:
        sigma, rho, beta = parameters[0], parameters[1], parameters[2]

        def step(point: Any, _: None) -> Any:
            first = slope(point, sigma, rho, beta)
            second = slope(moved(point, first, 0.5 * STEP), sigma, rho, beta)
            third = slope(moved(point, second, 0.5 * STEP), sigma, rho, beta)
            fourth = slope(moved(point, third, STEP), sigma, rho, beta)
            return tuple(
                value + STEP / 6.0 * (a + 2.0 * (b + c) + d)
                for value, a, b, c, d in zip(point, first, second, third, fourth, strict=True)
            ), None

        (x, y, z), _ = tracer.scan(step, (start[0], start[1], start[2]), None, steps)
        return np.mean((x - observed[0]) ** 2 + (y - observed[1]) ** 2 + (z - observed[2]) ** 2)

    return ode


def torch_build(torch: ModuleType, size: Size) -> Function:
    steps = size["steps"]

    def ode(start: Any, parameters: Any, observed: Any) -> Any:
        sigma, rho, beta = parameters

        def slopes(point: Any) -> Any:
            x, y, z = point
            return torch.stack((sigma * (y - x), x * (rho - z) - y, x * y - beta * z))

        point = start
        for _ in range(steps):
            first = slopes(point)
            second = slopes(point + 0.5 * STEP * first)
            third = slopes(point + 0.5 * STEP * second)
            fourth = slopes(point + STEP * third)
            point = point + STEP / 6.0 * (first + 2.0 * (second + third) + fourth)
        return torch.mean(torch.sum((point - observed) ** 2, 0))

    return ode


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """Points near the attractor, Lorenz's own parameters, and points as if observed."""
    n = size["n"]
    centre = np.array([[0.0], [0.0], [25.0]])
    start = centre + rng.normal(0.0, 8.0, (3, n))
    observed = centre + rng.normal(0.0, 8.0, (3, n))
    return start, np.array([10.0, 28.0, 8.0 / 3.0]), observed


def work(size: Size) -> Work:
    """The way back computes a step's slopes again, and twice as much on top."""
    n, steps = size["n"], size["steps"]
    return Work(4.0 * FLOPS_A_STEP * n * steps, 8.0 * n * (9 + 6 * steps))


WORKLOAD = Workload(
    name="ode",
    description="Runge and Kutta's method for n Lorenz systems: gradient by start and parameters",
    sizes={
        "small": {"n": 1, "steps": 1_000},
        "medium": {"n": 100, "steps": 200},
        "large": {"n": 10_000, "steps": 200},
    },
    default_sizes=("small", "medium", "large"),
    smoke={"n": 3, "steps": 5},
    tiny={"n": 1, "steps": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    cpp={"gradient": "ode.cpp"},
    programs={"gradient": gradient({0: "start", 1: "parameters"})},
    tolerance=Tolerance(1e-7, "a chaotic system: in 10 units of time an error grows by e⁹"),
    work={"gradient": work},
)
