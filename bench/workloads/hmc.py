"""Hamiltonian Monte Carlo: one trajectory through the posterior of a logistic regression.

R. Neal, "MCMC using Hamiltonian dynamics", Handbook of Markov Chain Monte Carlo (2011), 5.2.3:
leapfrog steps, each with a gradient of −log p(w | X, y) = Σ log(1 + exp(−yᵢ xᵢ·w)) + ½ ‖w‖², where
y = ±1 says whether a handwritten digit is odd, and the prior is standard normal. The gradient
stands inside the loop, and both inside `jit`.
"""

from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import (
    Differentiation,
    Function,
    Inputs,
    Program,
    Size,
    Tolerance,
    Work,
    Workload,
)
from bench.workloads.digits_data import PIXELS, batch

STEP = 0.02
STEPS = 20


def build(size: Size) -> Function:
    def potential(weights: Any, images: Any, signs: Any) -> Any:
        margins = signs * (images @ weights)
        return np.sum(np.logaddexp(0.0, -margins)) + 0.5 * np.sum(weights**2)

    return potential


def torch_build(torch: ModuleType, size: Size) -> Function:
    zero = torch.zeros((), dtype=torch.float64)

    def potential(weights: Any, images: Any, signs: Any) -> Any:
        margins = signs * (images @ weights)
        return torch.sum(torch.logaddexp(zero, -margins)) + 0.5 * torch.sum(weights**2)

    return potential


def leapfrog(differentiation: Differentiation, potential: Function, steps: int) -> Function:
    """The last position and momentum, and by how much the energy missed staying the same."""
    value_and_grad = differentiation.value_and_grad(potential, (0,))

    def trajectory(position: Any, momentum: Any, images: Any, signs: Any) -> tuple[Any, ...]:
        def step(state: Any) -> Any:
            here, speed, slope, _ = state
            speed = speed - 0.5 * STEP * slope
            here = here + STEP * speed
            value, (slope,) = value_and_grad(here, images, signs)
            return here, speed - 0.5 * STEP * slope, slope, value

        value, (slope,) = value_and_grad(position, images, signs)
        state = (position, momentum, slope, value)
        here, speed, _, last = differentiation.repeat(steps, step, state)
        before = value + 0.5 * (momentum**2).sum()
        return here, speed, last + 0.5 * (speed**2).sum() - before

    return trajectory


def trajectory(steps: int) -> Program:
    """A program of that many leapfrog steps."""
    outputs = ("position", "momentum", "energy error")
    return Program(outputs, lambda differentiation, function: leapfrog(
        differentiation, function, steps
    ))  # fmt: skip


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    images, labels = batch(size["rows"])
    signs = 2.0 * (np.argmax(labels, axis=1) % 2) - 1.0
    return rng.normal(0.0, 0.1, PIXELS), rng.normal(size=PIXELS), images, signs


def work(size: Size) -> Work:
    """In each step two products with all images, and two function values an image."""
    rows = size["rows"]
    return Work((STEPS + 1) * rows * (4.0 * PIXELS + 50.0), 8.0 * rows * (PIXELS + 1))


WORKLOAD = Workload(
    name="hmc",
    description="a leapfrog trajectory through a logistic posterior: a gradient in each step",
    sizes={
        "small": {"rows": 64},
        "medium": {"rows": 1_437},
        "large": {"rows": 10_000},
    },
    default_sizes=("small", "medium"),
    smoke={"rows": 4},
    tiny={"rows": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={"trajectory": trajectory(STEPS)},
    work={"trajectory": work},
    tolerance=Tolerance(1e-8, "an energy error is the small difference of large energies"),
)
