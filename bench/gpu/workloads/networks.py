"""Training steps: loss, gradients, and the update by momentum in one function."""

import itertools
import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np

from bench.gpu.case import Case, simple_workload
from bench.workload import Differentiation, Function, Inputs, Program, Size, Tolerance, Work
from bench.workloads import conv

MOMENTUM, RATE = 0.9, 0.01
CLASSES = 10


def training_step(names: Sequence[str]) -> Program:
    """One step on the parameters of these names: the loss, new parameters, new velocities.

    The function's arguments are the parameters, then the data; the step's are the parameters, their
    velocities, then the data.
    """
    count = len(names)

    def make(differentiation: Differentiation, loss: Function) -> Function:
        value_and_grad = differentiation.value_and_grad(loss, tuple(range(count)))

        def step(*arguments: Any) -> tuple[Any, ...]:
            parameters, velocities = arguments[:count], arguments[count : 2 * count]
            value, gradients = value_and_grad(*parameters, *arguments[2 * count :])
            moved = [
                MOMENTUM * velocity + slope
                for velocity, slope in zip(velocities, gradients, strict=True)
            ]
            stepped = [
                parameter - RATE * velocity
                for parameter, velocity in zip(parameters, moved, strict=True)
            ]
            return (value, *stepped, *moved)

        return step

    outputs = ("loss", *names, *(f"velocity of {name}" for name in names))
    return Program(outputs, make)


def one_hot(rng: np.random.Generator, rows: int) -> Any:
    return np.eye(CLASSES)[rng.integers(0, CLASSES, rows)]


def build_mlp(size: Size) -> Function:
    def loss(
        weights1: Any, bias1: Any, weights2: Any, bias2: Any, weights3: Any, bias3: Any,
        images: Any, labels: Any,
    ) -> Any:  # fmt: skip
        hidden = np.tanh(images @ weights1 + bias1)
        hidden = np.maximum(hidden @ weights2 + bias2, 0.0)
        logits = hidden @ weights3 + bias3
        largest = np.max(logits, axis=1, keepdims=True)
        normalizer = largest[:, 0] + np.log(np.sum(np.exp(logits - largest), axis=1))
        return np.mean(normalizer - np.sum(labels * logits, axis=1))

    return loss


def torch_mlp(torch: ModuleType, size: Size) -> Function:
    def loss(
        weights1: Any, bias1: Any, weights2: Any, bias2: Any, weights3: Any, bias3: Any,
        images: Any, labels: Any,
    ) -> Any:  # fmt: skip
        hidden = torch.tanh(torch.addmm(bias1, images, weights1))
        hidden = torch.relu(torch.addmm(bias2, hidden, weights2))
        logits = torch.addmm(bias3, hidden, weights3)
        return torch.nn.functional.cross_entropy(logits, labels)

    return loss


def mlp_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    widths = (size["pixels"], size["hidden"], size["hidden"], CLASSES)
    parameters: list[Any] = []
    for wide, narrow in itertools.pairwise(widths):
        parameters.append(rng.normal(0.0, math.sqrt(1.0 / wide), (wide, narrow)))
        parameters.append(0.1 * rng.normal(size=narrow))
    velocities = [0.1 * rng.normal(size=parameter.shape) for parameter in parameters]
    images = rng.random((size["rows"], size["pixels"]))
    return (*parameters, *velocities, images, one_hot(rng, size["rows"]))


def mlp_work(size: Size, itemsize: int) -> Work:
    """Three products a layer but two in the first; parameters and velocities read and written."""
    rows, pixels, hidden = size["rows"], size["pixels"], size["hidden"]
    first, rest = pixels * hidden, hidden * hidden + hidden * CLASSES
    moved = 4.0 * (first + rest) + rows * (pixels + 2.0 * hidden + CLASSES)
    return Work(rows * (4.0 * first + 6.0 * rest), itemsize * moved)


def conv_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """As many images of random pixels: the time does not depend on what they show."""
    filters, window = size["filters"], conv.FILTER**2
    inner = conv.INNER**2 * 2 * filters
    shapes = ((window, filters), (window * filters, 2 * filters), (inner, CLASSES))
    parameters = [rng.normal(0.0, math.sqrt(2.0 / shape[0]), shape) for shape in shapes]
    parameters.append(0.1 * rng.normal(size=CLASSES))
    velocities = [0.1 * rng.normal(size=parameter.shape) for parameter in parameters]
    images = rng.random((size["rows"], conv.SIDE, conv.SIDE, 1))
    return (*parameters, *velocities, images, one_hot(rng, size["rows"]))


def conv_work(size: Size, itemsize: int) -> Work:
    return Work(conv.work(size).flops, conv.work(size).bytes * itemsize / 8.0)


MLP_SIZES = {
    "toy": {"rows": 4, "pixels": 6, "hidden": 5},
    "tiny": {"rows": 32, "pixels": 64, "hidden": 64},
    "medium": {"rows": 1_024, "pixels": 784, "hidden": 512},
    "large": {"rows": 8_192, "pixels": 784, "hidden": 1_024},
}
CONV_SIZES = {
    "toy": {"rows": 3, "filters": 2},
    "tiny": {"rows": 16, "filters": 8},
    "medium": {"rows": 512, "filters": 16},
    "large": {"rows": 8_192, "filters": 32},
}
CASES = (
    Case(
        name="mlp",
        title="MLP training step",
        workload=simple_workload(
            "mlp",
            "a network with two hidden layers: loss, gradients, and a step by momentum",
            make_inputs=mlp_inputs,
            build=build_mlp,
            torch_build=torch_mlp,
            program=training_step(
                ("weights1", "bias1", "weights2", "bias2", "weights3", "bias3")
            ),
            tolerance=Tolerance(1e-11, "matrix products summed in another order"),
            toy=MLP_SIZES["toy"],
        ),
        program_name="program",
        sizes=MLP_SIZES,
        work=mlp_work,
        tolerance=Tolerance(2e-4, "products of a thousand terms, one after another"),
        memory_bound=False,
    ),
    Case(
        name="conv",
        title="small convolutional network, training step",
        workload=simple_workload(
            "conv-step",
            "two layers of 3 × 3 filters and a third: loss, gradients, and a step by momentum",
            make_inputs=conv_inputs,
            build=conv.build,
            jax_build=conv.jax_build,
            torch_build=conv.torch_build,
            program=training_step(("first", "second", "weights", "bias")),
            tolerance=Tolerance(1e-10, "products over all windows, summed in another order"),
            toy=CONV_SIZES["toy"],
        ),
        program_name="program",
        sizes=CONV_SIZES,
        work=conv_work,
        tolerance=Tolerance(5e-4, "sums over all windows of all images, and relu's two sides"),
        memory_bound=False,
    ),
)  # fmt: skip
