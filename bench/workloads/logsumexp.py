"""log Σ exp x of one vector: two reductions, the first of which the second waits for."""

from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient


def build(size: Size) -> Function:
    """The largest element is taken out first, so that nothing overflows."""

    def logsumexp(x: Any) -> Any:
        largest = np.max(x)
        return largest + np.log(np.sum(np.exp(x - largest)))

    return logsumexp


def torch_build(torch: ModuleType, size: Size) -> Function:
    def logsumexp(x: Any) -> Any:
        largest = torch.max(x)
        return largest + torch.log(torch.sum(torch.exp(x - largest)))

    return logsumexp


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    return (rng.normal(0.0, 3.0, size["n"]),)


def work(size: Size) -> Work:
    """An exponential, a comparison, a difference, a sum and a product of each element."""
    return Work(24.0 * size["n"], 16.0 * size["n"])


WORKLOAD = Workload(
    name="logsumexp",
    description="log-sum-exp of a vector and its gradient, the softmax",
    sizes={
        "small": {"n": 2_500},
        "medium": {"n": 160_000},
        "large": {"n": 1_280_000},
    },
    default_sizes=("small", "medium", "large"),
    smoke={"n": 50},
    tiny={"n": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    cpp={"gradient": "logsumexp.cpp"},
    programs={"gradient": gradient({0: "x"})},
    work={"gradient": work},
    tolerance=Tolerance(
        1e-11, "the gradient at the largest element is 1 minus a sum over all in another order"
    ),
)
