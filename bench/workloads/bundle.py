"""Bundle adjustment: what many cameras see of many points, each a little function of its own.

The model of ADBench (F. Šrajer, Z. Kukelova, A. Fitzgibbon, Optimization Methods and Software 33
(2018)): a point is turned by Rodrigues' formula about the camera's vector, projected, distorted
radially, and scaled. `gradient` is that of half the sum of squares, by all cameras and points at
once; `blocks` are the 2 × 11 and 2 × 3 Jacobians of each observation, of which the sparse matrix of
a Gauss–Newton step is made. Scenes are made up, in the sizes of ADBench's first three files.
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
    gradient,
)

CAMERA = 11
"""Numbers of a camera: rotation 3, place 3, focal length 1, principal point 2, distortion 2."""


def turned(vector: Any, points: Any) -> Any:
    """Rodrigues' formula: points turned about a vector by its length, along the last axis."""
    angle = np.sqrt(np.sum(vector * vector, axis=-1, keepdims=True))
    axis = vector / angle
    cosine, sine = np.cos(angle), np.sin(angle)
    ax, ay, az = axis[..., 0], axis[..., 1], axis[..., 2]
    px, py, pz = points[..., 0], points[..., 1], points[..., 2]
    across = np.stack([ay * pz - az * py, az * px - ax * pz, ax * py - ay * px], axis=-1)
    along = np.sum(axis * points, axis=-1, keepdims=True) * (1.0 - cosine)
    return points * cosine + across * sine + axis * along


def residual(camera: Any, point: Any, observed: Any) -> Any:
    """Where a camera sees a point, less where it was observed; (…, 2)."""
    seen = turned(camera[..., 0:3], point - camera[..., 3:6])
    flat = seen[..., 0:2] / seen[..., 2:3]
    square = np.sum(flat * flat, axis=-1, keepdims=True)
    distortion = 1.0 + square * (camera[..., 9:10] + square * camera[..., 10:11])
    return flat * distortion * camera[..., 6:7] + camera[..., 7:9] - observed


def build(size: Size) -> Function:
    def objective(cameras: Any, points: Any, observed: Any, which: Any, what: Any) -> Any:
        errors = residual(cameras[which], points[what], observed)
        return 0.5 * np.sum(errors * errors)

    return objective


def build_residual(size: Size) -> Function:
    return residual


def torch_residual(torch: ModuleType, size: Size) -> Function:
    def residual(camera: Any, point: Any, observed: Any) -> Any:
        moved = point - camera[..., 3:6]
        angle = torch.sqrt(torch.sum(camera[..., 0:3] ** 2, -1, keepdim=True))
        axis = camera[..., 0:3] / angle
        cosine, sine = torch.cos(angle), torch.sin(angle)
        across = torch.linalg.cross(axis, moved)
        along = torch.sum(axis * moved, -1, keepdim=True) * (1.0 - cosine)
        seen = moved * cosine + across * sine + axis * along
        flat = seen[..., 0:2] / seen[..., 2:3]
        square = torch.sum(flat * flat, -1, keepdim=True)
        distortion = 1.0 + square * (camera[..., 9:10] + square * camera[..., 10:11])
        return flat * distortion * camera[..., 6:7] + camera[..., 7:9] - observed

    return residual


def torch_build(torch: ModuleType, size: Size) -> Function:
    residual = torch_residual(torch, size)

    def objective(cameras: Any, points: Any, observed: Any, which: Any, what: Any) -> Any:
        errors = residual(cameras[which], points[what], observed)
        return 0.5 * torch.sum(errors * errors)

    return objective


def jacobian_blocks(differentiation: Differentiation, function: Function) -> Function:
    """The Jacobians of every observation by its camera and by its point."""
    assert differentiation.batched_jacobian is not None, "asked of a library without vmap"
    jacobians = differentiation.batched_jacobian(function, (0, 1))

    def blocks(cameras: Any, points: Any, observed: Any, which: Any, what: Any) -> tuple[Any, ...]:
        by_camera, by_point = jacobians(cameras[which], points[what], observed)
        return by_camera, by_point

    return blocks


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """Cameras about ten units from a cloud of points, all of which they have in front of them."""
    cameras, points, views = size["cameras"], size["points"], size["views"]
    parameters = np.concatenate(
        [
            rng.normal(0.0, 0.1, (cameras, 3)),
            rng.normal(0.0, 0.5, (cameras, 3)) + np.array([0.0, 0.0, -10.0]),
            rng.uniform(400.0, 600.0, (cameras, 1)),
            rng.normal(0.0, 5.0, (cameras, 2)),
            rng.normal(0.0, 0.01, (cameras, 2)),
        ],
        axis=1,
    )
    places = rng.normal(0.0, 1.0, (points, 3))
    which, what = rng.integers(0, cameras, views), rng.integers(0, points, views)
    exact = residual(parameters[which], places[what], np.zeros(2))
    return parameters, places, exact + rng.normal(0.0, 1.0, (views, 2)), which, what


def work(size: Size) -> Work:
    """Five functions, roots and divisions an observation, 70 operations, twice those backward."""
    views = size["views"]
    numbers = 2 * (CAMERA * size["cameras"] + 3 * size["points"]) + 4 * views
    return Work(views * (3 * 70.0 + 5 * 20.0), 8.0 * numbers)


WORKLOAD = Workload(
    name="bundle",
    description="bundle adjustment: gradient of the squares, and Jacobian blocks by vmap",
    sizes={
        "small": {"cameras": 10, "points": 100, "views": 500},
        "medium": {"cameras": 49, "points": 7_776, "views": 31_843},
        "large": {"cameras": 161, "points": 48_126, "views": 182_072},
    },
    default_sizes=("small", "medium"),
    smoke={"cameras": 2, "points": 3, "views": 5},
    tiny={"cameras": 1, "points": 1, "views": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={
        "gradient": gradient({0: "cameras", 1: "points"}),
        "blocks": Program(
            ("by camera", "by point"),
            jacobian_blocks,
            needs_batching=True,
            build=build_residual,
            torch_build=torch_residual,
        ),
    },
    tolerance=Tolerance(1e-10, "some hundred operations an observation, sums over thousands"),
    work={"gradient": work},
)
