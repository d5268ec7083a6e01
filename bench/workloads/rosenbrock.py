"""Rosenbrock's valley in n dimensions: few operations an element, and neighbours in each."""

from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient


def build(size: Size) -> Function:
    """Σ 100 (x[i+1] − x[i]²)² + (1 − x[i])²."""

    def rosenbrock(x: Any) -> Any:
        ahead, here = x[1:], x[:-1]
        return np.sum(100.0 * (ahead - here**2) ** 2 + (1.0 - here) ** 2)

    return rosenbrock


def torch_build(torch: ModuleType, size: Size) -> Function:
    def rosenbrock(x: Any) -> Any:
        ahead, here = x[1:], x[:-1]
        return torch.sum(100.0 * (ahead - here**2) ** 2 + (1.0 - here) ** 2)

    return rosenbrock


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (rng.uniform(-2.0, 2.0, size["n"]),)


def work(size: Size) -> Work:
    """Seven operations an element for the value and eight more for the gradient."""
    return Work(15.0 * size["n"], 16.0 * size["n"])


WORKLOAD = Workload(
    name="rosenbrock",
    description="Rosenbrock's function of n variables and its gradient",
    sizes={
        "small": {"n": 10},
        "medium": {"n": 10_000},
        "large": {"n": 1_000_000},
    },
    smoke={"n": 10},
    tiny={"n": 2},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={"gradient": gradient({0: "x"})},
    work={"gradient": work},
    tolerance=Tolerance(1e-12, "a sum of up to 10⁶ positive terms, in whatever order"),
)
