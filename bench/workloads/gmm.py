"""The Gaussian mixture of ADBench: log-likelihood with a Wishart prior.

Formula: F. Šrajer, Z. Kukelova, A. Fitzgibbon, "A benchmark of selected algorithmic differentiation
tools on some problems in computer vision and machine learning", Optimization Methods and Software
33 (2018), section on Gaussian mixture models. With N points x of d dimensions and K components,

    L = Σᵢ log Σₖ exp(αₖ + Σ qₖ − ½ ‖Q(qₖ, lₖ) (xᵢ − μₖ)‖²) − N log Σₖ exp αₖ
        + Σₖ (½ γ² (‖exp qₖ‖² + ‖lₖ‖²) − m Σ qₖ) + a constant,

where Q(q, l) is lower triangular with exp q on its diagonal and l, column by column, below it.
"""

import math
from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient

WISHART_GAMMA = 1.0
WISHART_M = 0


def lower_index(d: int) -> Any:
    """For each entry of a d × d matrix its place in l, and l's length for those that are zero."""
    zero = d * (d - 1) // 2
    starts = [column * (2 * d - column - 1) // 2 - column - 1 for column in range(d)]
    rows = [
        [starts[column] + row if row > column else zero for column in range(d)] for row in range(d)
    ]
    return np.array(rows)


def constant(size: Size) -> float:
    """What depends on none of the parameters: the Gaussian's and the Wishart prior's factors."""
    n, k, d = size["n"], size["k"], size["d"]
    freedom = d + WISHART_M + 1
    log_gamma = 0.25 * d * (d - 1) * math.log(math.pi) + sum(
        math.lgamma(0.5 * (freedom - j)) for j in range(d)
    )
    prior = freedom * d * (math.log(WISHART_GAMMA) - 0.5 * math.log(2.0)) - log_gamma
    return -0.5 * n * d * math.log(2.0 * math.pi) - k * prior


def logsumexp(x: Any) -> Any:
    """Over the last axis."""
    largest = np.max(x, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - largest), axis=-1)) + largest[..., 0]


def build(size: Size) -> Function:
    n, k, d = size["n"], size["k"], size["d"]
    index, rest = lower_index(d), constant(size)

    def gmm(alphas: Any, means: Any, factors: Any, points: Any) -> Any:
        log_diagonals, below = factors[:, :d], factors[:, d:]
        diagonals, log_determinants = np.exp(log_diagonals), np.sum(log_diagonals, axis=1)
        zeros = np.zeros((k, 1), below.dtype)
        lower = np.concatenate([below, zeros], axis=1)[:, index]
        centred = points[:, np.newaxis, :] - means
        whitened = diagonals * centred + np.einsum("kij,nkj->nki", lower, centred)
        exponents = alphas + log_determinants - 0.5 * np.sum(whitened**2, axis=2)
        likelihood = np.sum(logsumexp(exponents)) - n * logsumexp(alphas)
        prior = 0.5 * WISHART_GAMMA**2 * (np.sum(diagonals**2) + np.sum(below**2))
        return likelihood + prior - WISHART_M * np.sum(log_determinants) + rest

    return gmm


def torch_build(torch: ModuleType, size: Size) -> Function:
    n, k, d = size["n"], size["k"], size["d"]
    index, rest = torch.tensor(lower_index(d)), constant(size)

    def gmm(alphas: Any, means: Any, factors: Any, points: Any) -> Any:
        log_diagonals, below = factors[:, :d], factors[:, d:]
        diagonals, log_determinants = torch.exp(log_diagonals), torch.sum(log_diagonals, 1)
        lower = torch.cat([below, below.new_zeros((k, 1))], 1)[:, index]
        centred = points[:, None, :] - means
        whitened = diagonals * centred + torch.einsum("kij,nkj->nki", lower, centred)
        exponents = alphas + log_determinants - 0.5 * torch.sum(whitened**2, 2)
        likelihood = torch.logsumexp(exponents, 1).sum() - n * torch.logsumexp(alphas, 0)
        prior = 0.5 * WISHART_GAMMA**2 * (torch.sum(diagonals**2) + torch.sum(below**2))
        return likelihood + prior - WISHART_M * torch.sum(log_determinants) + rest

    return gmm


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    n, k, d = size["n"], size["k"], size["d"]
    alphas = rng.normal(size=k)
    means = rng.uniform(size=(k, d))
    factors = 0.5 * rng.normal(size=(k, d + d * (d - 1) // 2))
    points = rng.normal(size=(n, d))
    return alphas, means, factors, points


def work(size: Size) -> Work:
    """Products with triangles, d (d + 1) operations each, forward, and twice on the way back."""
    n, k, d = size["n"], size["k"], size["d"]
    flops = n * k * (3.0 * d * (d + 1) + 6.0 * d + 30.0)
    return Work(flops, 8.0 * (n * d + 2 * k * (1 + 2 * d + d * (d - 1) // 2)))


WORKLOAD = Workload(
    name="gmm",
    description="ADBench's Gaussian mixture: log-likelihood with Wishart prior and its gradient",
    sizes={
        "small": {"n": 1_000, "k": 5, "d": 2},
        "medium": {"n": 1_000, "k": 25, "d": 10},
        "large": {"n": 10_000, "k": 25, "d": 10},
    },
    smoke={"n": 12, "k": 3, "d": 2},
    tiny={"n": 1, "k": 1, "d": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    cpp={"gradient": "gmm.cpp"},
    programs={"gradient": gradient({0: "alphas", 1: "means", 2: "factors"})},
    work={"gradient": work},
    tolerance=Tolerance(1e-10, "exponents of some hundreds magnify their last bits by as much"),
)
