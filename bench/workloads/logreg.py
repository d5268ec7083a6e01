"""Multinomial logistic regression on the handwritten digits, with a ridge."""

from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient
from bench.workloads.digits_data import CLASSES, PIXELS, batch

RIDGE = 1e-3


def build(size: Size) -> Function:
    def logreg(weights: Any, bias: Any, images: Any, labels: Any) -> Any:
        logits = images @ weights + bias
        largest = np.max(logits, axis=1, keepdims=True)
        normalizer = largest[:, 0] + np.log(np.sum(np.exp(logits - largest), axis=1))
        loss = np.mean(normalizer - np.sum(labels * logits, axis=1))
        return loss + 0.5 * RIDGE * np.sum(weights**2)

    return logreg


def torch_build(torch: ModuleType, size: Size) -> Function:
    def logreg(weights: Any, bias: Any, images: Any, labels: Any) -> Any:
        logits = images @ weights + bias
        loss = torch.mean(torch.logsumexp(logits, 1) - torch.sum(labels * logits, 1))
        return loss + 0.5 * RIDGE * torch.sum(weights**2)

    return logreg


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    weights = rng.normal(0.0, 0.1, (PIXELS, CLASSES))
    bias = rng.normal(0.0, 0.1, CLASSES)
    return (weights, bias, *batch(size["rows"]))


def work(size: Size) -> Work:
    """Two products: the images have no gradient. Each logit has an exponential."""
    rows = size["rows"]
    flops = rows * CLASSES * (4.0 * PIXELS + 30.0)
    return Work(flops, 8.0 * (rows * (PIXELS + CLASSES) + 2 * PIXELS * CLASSES))


WORKLOAD = Workload(
    name="logreg",
    description="logistic regression on the handwritten digits: loss and gradient",
    sizes={
        "small": {"rows": 128},
        "medium": {"rows": 1_437},
        "large": {"rows": 20_000},
    },
    smoke={"rows": 8},
    tiny={"rows": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    cpp={"gradient": "logreg.cpp"},
    programs={"gradient": gradient({0: "weights", 1: "bias"})},
    work={"gradient": work},
    tolerance=Tolerance(1e-11, "matrix products over all images, summed in another order"),
)
