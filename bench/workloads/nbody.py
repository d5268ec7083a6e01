"""Gravity among n bodies: the gradient of the energy, or of where a simulation ends.

Forces are softened (S. Aarseth, Monthly Notices of the RAS 126 (1963)): the potential of two bodies
is −m₁ m₂ / √(r² + ε²). Without steps the function is the total energy, whose gradient are all
forces; with steps it is the mean square of the last positions after as many leapfrog steps, so that
the gradient goes back through the forces of every step. The bodies are a Plummer sphere.
"""

from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient

SOFTENING = 0.05
STEP = 0.01
FLOPS_A_PAIR = 60
"""Of forces: differences, squared distance, a root, a division, and three products added up."""


def accelerations(positions: Any, masses: Any) -> Any:
    between = positions[np.newaxis, :, :] - positions[:, np.newaxis, :]
    square = np.sum(between**2, axis=2) + SOFTENING**2
    strength = masses / (square * np.sqrt(square))
    return np.sum(strength[:, :, np.newaxis] * between, axis=1)


def energy(positions: Any, velocities: Any, masses: Any) -> Any:
    """Kinetic and potential, with each body's own constant potential left in."""
    between = positions[np.newaxis, :, :] - positions[:, np.newaxis, :]
    inverse = 1.0 / np.sqrt(np.sum(between**2, axis=2) + SOFTENING**2)
    potential = np.sum(masses[:, np.newaxis] * masses * inverse)
    return 0.5 * np.sum(masses[:, np.newaxis] * velocities**2) - 0.5 * potential


def build(size: Size) -> Function:
    steps = size["steps"]

    def trajectory(positions: Any, velocities: Any, masses: Any) -> Any:
        def step(state: Any, _: None) -> Any:
            here, speed = state
            middle = here + 0.5 * STEP * speed
            speed = speed + STEP * accelerations(middle, masses)
            return (middle + 0.5 * STEP * speed, speed), None

        (last, _), _ = tracer.scan(step, (positions, velocities), None, steps)
        return np.mean(last**2)

    return trajectory if steps else energy


def torch_build(torch: ModuleType, size: Size) -> Function:
    steps = size["steps"]

    def energy(positions: Any, velocities: Any, masses: Any) -> Any:
        between = positions[None, :, :] - positions[:, None, :]
        inverse = torch.rsqrt(torch.sum(between**2, 2) + SOFTENING**2)
        potential = torch.sum(masses[:, None] * masses * inverse)
        return 0.5 * torch.sum(masses[:, None] * velocities**2) - 0.5 * potential

    def accelerations(positions: Any, masses: Any) -> Any:
        between = positions[None, :, :] - positions[:, None, :]
        square = torch.sum(between**2, 2) + SOFTENING**2
        strength = masses / (square * torch.sqrt(square))
        return torch.sum(strength[:, :, None] * between, 1)

    def trajectory(positions: Any, velocities: Any, masses: Any) -> Any:
        for _ in range(steps):
            positions = positions + 0.5 * STEP * velocities
            velocities = velocities + STEP * accelerations(positions, masses)
            positions = positions + 0.5 * STEP * velocities
        return torch.mean(positions**2)

    return trajectory if steps else energy


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """A Plummer sphere of unit mass (S. Aarseth, M. Hénon, R. Wielen, A&A 37 (1974))."""
    n = size["n"]
    radius = 1.0 / np.sqrt(rng.uniform(0.05, 0.95, n) ** (-2.0 / 3.0) - 1.0)
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    masses = rng.uniform(0.5, 1.5, n) / n
    return radius[:, np.newaxis] * direction, rng.normal(0.0, 0.3, (n, 3)), masses


def work(size: Size) -> Work:
    """Every pair once for the energy; in a simulation forces, and thrice as much on the way back.

    Forces are counted for each pair once, although it is two that they act on.
    """
    n, steps = size["n"], size["steps"]
    pairs = 0.5 * n * (n - 1)
    flops = FLOPS_A_PAIR * pairs * (4.0 * steps if steps else 1.0)
    return Work(flops, 8.0 * n * (13 + 6 * steps))


WORKLOAD = Workload(
    name="nbody",
    description="gravity among n bodies: gradient of the energy, and through leapfrog steps",
    sizes={
        "small": {"n": 64, "steps": 0},
        "medium": {"n": 1_000, "steps": 0},
        "trajectory": {"n": 100, "steps": 20},
        "large": {"n": 2_000, "steps": 0},
    },
    default_sizes=("small", "medium", "trajectory"),
    smoke={"n": 5, "steps": 2},
    tiny={"n": 1, "steps": 0},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    cpp={"gradient": "nbody.cpp"},
    programs={"gradient": gradient({0: "positions", 1: "velocities"})},
    tolerance=Tolerance(1e-10, "sums over all bodies in whatever order, in every step"),
    work={"gradient": work},
)
