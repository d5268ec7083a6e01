"""A small convolutional network on the handwritten digits: two layers of 3 × 3 filters and a third.

Convolution is a matrix product of the windows of each pixel with the filters, which is what one
writes in plain NumPy. JAX and PyTorch are given their own convolutions instead.
"""

import math
from types import ModuleType
from typing import Any

import numpy as np

from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient
from bench.workloads.digits_data import CLASSES, batch

SIDE, FILTER = 8, 3
INNER = SIDE - 2 * (FILTER - 1)
"""Pixels along a side after two layers without a margin."""


def convolve(images: Any, filters: Any) -> Any:
    """Images (n, h, w, c) with filters (3·3·c, d), by the windows; (n, h − 2, w − 2, d)."""
    height, width = images.shape[1] - FILTER + 1, images.shape[2] - FILTER + 1
    windows = np.concatenate(
        [images[:, i : i + height, j : j + width, :] for i in range(FILTER) for j in range(FILTER)],
        axis=3,
    )
    return windows @ filters


def build(size: Size) -> Function:
    rows = size["rows"]

    def network(first: Any, second: Any, weights: Any, bias: Any, images: Any, labels: Any) -> Any:
        hidden = np.maximum(convolve(images, first), 0.0)
        hidden = np.maximum(convolve(hidden, second), 0.0)
        logits = np.reshape(hidden, (rows, -1)) @ weights + bias
        largest = np.max(logits, axis=1, keepdims=True)
        normalizer = largest[:, 0] + np.log(np.sum(np.exp(logits - largest), axis=1))
        return np.mean(normalizer - np.sum(labels * logits, axis=1))

    return network


def jax_build(jax: ModuleType, size: Size) -> Function:
    """By XLA's own convolution, channels last."""
    rows, numpy = size["rows"], jax.numpy

    def convolve(images: Any, filters: Any) -> Any:
        shaped = filters.reshape(FILTER, FILTER, images.shape[3], -1)
        return jax.lax.conv_general_dilated(
            images, shaped, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def network(first: Any, second: Any, weights: Any, bias: Any, images: Any, labels: Any) -> Any:
        hidden = numpy.maximum(convolve(images, first), 0.0)
        hidden = numpy.maximum(convolve(hidden, second), 0.0)
        logits = hidden.reshape(rows, -1) @ weights + bias
        normalizer = jax.scipy.special.logsumexp(logits, axis=1)
        return numpy.mean(normalizer - numpy.sum(labels * logits, axis=1))

    return network


def torch_build(torch: ModuleType, size: Size) -> Function:
    """By PyTorch's own convolution, which wants channels first."""
    rows = size["rows"]

    def convolve(images: Any, filters: Any) -> Any:
        shaped = filters.reshape(FILTER, FILTER, images.shape[1], -1).permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(images, shaped)

    def network(first: Any, second: Any, weights: Any, bias: Any, images: Any, labels: Any) -> Any:
        hidden = torch.relu(convolve(images.permute(0, 3, 1, 2), first))
        hidden = torch.relu(convolve(hidden, second)).permute(0, 2, 3, 1)
        logits = hidden.reshape(rows, -1) @ weights + bias
        return torch.mean(torch.logsumexp(logits, 1) - torch.sum(labels * logits, 1))

    return network


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    filters = size["filters"]
    images, labels = batch(size["rows"])
    window, inner = FILTER * FILTER, INNER * INNER * 2 * filters

    def scaled(rows: int, columns: int) -> Any:
        return rng.normal(0.0, math.sqrt(2.0 / rows), (rows, columns))

    return (
        scaled(window, filters),
        scaled(window * filters, 2 * filters),
        scaled(inner, CLASSES),
        np.zeros(CLASSES),
        images.reshape(-1, SIDE, SIDE, 1),
        labels,
    )


def work(size: Size) -> Work:
    """Three products a layer, but for the first, whose images need no gradient."""
    rows, filters = size["rows"], size["filters"]
    window, outer = FILTER * FILTER, (SIDE - FILTER + 1) ** 2
    first = 2.0 * rows * outer * window * filters
    second = 2.0 * rows * INNER**2 * window * filters * 2 * filters
    last = 2.0 * rows * INNER**2 * 2 * filters * CLASSES
    weights = filters * window * (1 + 2 * filters) + INNER**2 * 2 * filters * CLASSES
    layers = rows * filters * (outer + 2 * INNER**2)
    return Work(2 * first + 3 * second + 3 * last, 8.0 * (2 * weights + rows * 74 + 4 * layers))


WORKLOAD = Workload(
    name="conv",
    description="a network with two convolutions on the handwritten digits: loss and gradient",
    sizes={
        "small": {"rows": 16, "filters": 8},
        "medium": {"rows": 64, "filters": 16},
        "large": {"rows": 256, "filters": 32},
    },
    default_sizes=("medium", "large"),
    smoke={"rows": 3, "filters": 2},
    tiny={"rows": 1, "filters": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    jax_build=jax_build,
    programs={"gradient": gradient({0: "first", 1: "second", 2: "weights", 3: "bias"})},
    tolerance=Tolerance(1e-10, "products over all windows, summed in another order"),
    work={"gradient": work},
)
