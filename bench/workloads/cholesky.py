"""How likely a Gaussian process makes some measurements, and the gradient by its parameters.

C. Rasmussen, C. Williams, "Gaussian Processes for Machine Learning" (2006), equation 5.8 and
algorithm 2.1: with K = s² exp(−½ ‖x − x'‖² / l²) + σ² I and its Cholesky factor L,
−log p(y) = ½ yᵀ K⁻¹ y + Σ log L[i, i] + ½ n log 2π. The data are the diabetes study's that
scikit-learn carries: 442 patients, ten features each.
"""

import math
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient
from bench.workloads.packaged_data import read_table

PATIENTS, FEATURES = 442, 10


def build(size: Size) -> Function:
    n = size["n"]
    identity, rest = np.eye(n), 0.5 * n * math.log(2.0 * math.pi)

    def likelihood(scale: Any, lengths: Any, noise: Any, features: Any, measured: Any) -> Any:
        scaled = features / np.exp(lengths)
        squares = np.sum(scaled**2, axis=1)
        distances = squares[:, np.newaxis] + squares - 2.0 * (scaled @ scaled.T)
        kernel = np.exp(2.0 * scale - 0.5 * distances) + np.exp(2.0 * noise) * identity
        factor = np.linalg.cholesky(kernel)
        whitened = np.linalg.solve(factor, measured)
        return 0.5 * np.sum(whitened**2) + np.sum(np.log(np.diag(factor))) + rest

    return likelihood


def torch_build(torch: ModuleType, size: Size) -> Function:
    n = size["n"]
    identity = torch.eye(n, dtype=torch.float64)
    rest = 0.5 * n * math.log(2.0 * math.pi)

    def likelihood(scale: Any, lengths: Any, noise: Any, features: Any, measured: Any) -> Any:
        scaled = features / torch.exp(lengths)
        squares = torch.sum(scaled**2, 1)
        distances = squares[:, None] + squares - 2.0 * (scaled @ scaled.T)
        kernel = torch.exp(2.0 * scale - 0.5 * distances) + torch.exp(2.0 * noise) * identity
        factor = torch.linalg.cholesky(kernel)
        whitened = torch.linalg.solve_triangular(factor, measured[:, None], upper=False)
        return 0.5 * torch.sum(whitened**2) + torch.sum(torch.log(torch.diagonal(factor))) + rest

    return likelihood


@cache
def diabetes() -> tuple[Any, Any]:
    """Features and measurements, each with mean 0 and deviation 1."""
    files = ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz")
    table = read_table(files, "load_diabetes", scaled=False)
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    return table[:, :FEATURES], table[:, FEATURES]


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """Logarithms of scale, of a length for each feature, and of the noise; then the patients."""
    features, measured = diabetes()
    rows = np.arange(size["n"]) % PATIENTS
    lengths = rng.normal(1.0, 0.1, FEATURES)
    # Patients who come twice, where there are too few, differ a little.
    jitter = rng.normal(0.0, 1e-2, (size["n"], FEATURES)) * (np.arange(size["n"])[:, None] >= 442)
    scale, noise = np.array([0.1]), np.array([-0.4])
    return scale, lengths, noise, features[rows] + jitter, measured[rows]


def work(size: Size) -> Work:
    """The factor n³/3, its adjoint about twice that; kernel, function values and their adjoint."""
    n = float(size["n"])
    return Work(n**3 + n * n * (4 * FEATURES + 30.0), 8.0 * (3 * n * n + 2 * FEATURES * n))


WORKLOAD = Workload(
    name="cholesky",
    description="a Gaussian process on the diabetes data: likelihood and gradient",
    sizes={
        "small": {"n": 50},
        "medium": {"n": 200},
        "large": {"n": 442},
    },
    default_sizes=("small", "medium", "large"),
    smoke={"n": 6},
    tiny={"n": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={"gradient": gradient({0: "scale", 1: "lengths", 2: "noise"})},
    tolerance=Tolerance(1e-9, "a factor of a matrix whose condition is some thousands"),
    work={"gradient": work},
)
