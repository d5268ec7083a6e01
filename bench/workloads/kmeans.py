"""k-means' objective: each point's squared distance to the nearest centre, summed.

The plain way subtracts every centre from every point; the expanded one (`expanded=1`) writes the
square out, ‖x − c‖² = ‖x‖² − 2 x·c + ‖c‖², so that a matrix product does most of the work.
"""

from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient


def build(size: Size) -> Function:
    def expanded(centres: Any, points: Any) -> Any:
        distances = np.sum(centres**2, axis=1) - 2.0 * (points @ centres.T)
        return np.sum(points**2) + np.sum(np.min(distances, axis=1))

    def kmeans(centres: Any, points: Any) -> Any:
        distances = np.sum((points[:, np.newaxis, :] - centres) ** 2, axis=2)
        return np.sum(np.min(distances, axis=1))

    return expanded if size["expanded"] else kmeans


def torch_build(torch: ModuleType, size: Size) -> Function:
    def expanded(centres: Any, points: Any) -> Any:
        distances = torch.sum(centres**2, 1) - 2.0 * (points @ centres.T)
        return torch.sum(points**2) + torch.sum(torch.amin(distances, 1))

    def kmeans(centres: Any, points: Any) -> Any:
        distances = torch.sum((points[:, None, :] - centres) ** 2, 2)
        return torch.sum(torch.amin(distances, 1))

    return expanded if size["expanded"] else kmeans


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    points = rng.normal(size=(size["n"], size["d"]))
    return rng.normal(size=(size["k"], size["d"])), points


def work(size: Size) -> Work:
    """A difference, a square and a sum of each centre, point and dimension, or a product of two."""
    k, n, d = size["k"], size["n"], size["d"]
    flops = n * (k * d * (2.0 if size["expanded"] else 3.0) + k + 2.0 * d)
    return Work(flops, 8.0 * (n * d + 2 * k * d))


WORKLOAD = Workload(
    name="kmeans",
    description="k-means' objective and its gradient by the centres",
    sizes={
        "small": {"k": 10, "n": 1_000, "d": 8, "expanded": 0},
        "medium": {"k": 100, "n": 1_000, "d": 32, "expanded": 0},
        "expanded": {"k": 100, "n": 1_000, "d": 32, "expanded": 1},
        "large": {"k": 25, "n": 10_000, "d": 32, "expanded": 0},
    },
    default_sizes=("medium", "expanded"),
    smoke={"k": 3, "n": 10, "d": 2, "expanded": 0},
    tiny={"k": 1, "n": 1, "d": 1, "expanded": 0},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={"gradient": gradient({0: "centres"})},
    work={"gradient": work},
    tolerance=Tolerance(1e-11, "sums over all points and dimensions, in whatever order"),
)
