"""A long short-term memory network that reads handwritten digits row by row and guesses the next.

S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), in the usual
form with a forget gate. A sequence is a strip of digits, one below the other, of which a step sees
one row of 8 pixels; the loss is the mean square of what the guesses miss.
"""

import math
from types import ModuleType
from typing import Any

import numpy as np

import tracer
from bench.workload import Function, Inputs, Size, Tolerance, Work, Workload, gradient
from bench.workloads.digits_data import PIXELS, batch

WIDTH = 8
"""Pixels of a row, and rows of a digit."""
FUNCTION_VALUES = 8
"""Of a unit in a step: three sigmoids, each with a division, and two hyperbolic tangents."""


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def build(size: Size) -> Function:
    hidden = size["hidden"]
    start = np.zeros((size["batch"], hidden))

    def lstm(
        into: Any, across: Any, bias: Any, out: Any, out_bias: Any, rows: Any
    ) -> Any:  # fmt: skip
        def step(state: Any, entered: Any) -> Any:
            output, cell = state
            gates = entered + output @ across
            enter = sigmoid(gates[:, :hidden])
            keep = sigmoid(gates[:, hidden : 2 * hidden])
            change = np.tanh(gates[:, 2 * hidden : 3 * hidden])
            leave = sigmoid(gates[:, 3 * hidden :])
            cell = keep * cell + enter * change
            output = leave * np.tanh(cell)
            return (output, cell), output

        _, outputs = tracer.scan(step, (start, start), rows[:-1] @ into + bias)
        return np.mean((outputs @ out + out_bias - rows[1:]) ** 2)

    return lstm


def torch_build(torch: ModuleType, size: Size) -> Function:
    """By PyTorch's own LSTM layer, whose gates have the same order."""
    hidden = size["hidden"]
    start = torch.zeros((1, size["batch"], hidden), dtype=torch.float64)
    nothing = torch.zeros(4 * hidden, dtype=torch.float64)

    def lstm(
        into: Any, across: Any, bias: Any, out: Any, out_bias: Any, rows: Any
    ) -> Any:  # fmt: skip
        weights = [into.T, across.T, bias, nothing]
        outputs, _, _ = torch.lstm(
            rows[:-1], (start, start), weights, True, 1, 0.0, True, False, False
        )
        return torch.mean((outputs @ out + out_bias - rows[1:]) ** 2)

    return lstm


def make_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    """Weights of the usual scale, and rows of pixels: (steps + 1, batch, 8)."""
    steps, count, hidden = size["steps"], size["batch"], size["hidden"]
    digits = math.ceil((steps + 1) / WIDTH)
    images, _ = batch(count * digits)
    strips = images.reshape(count, digits * PIXELS // WIDTH, WIDTH)[:, : steps + 1]
    scale = 1.0 / math.sqrt(hidden)
    return (
        rng.uniform(-scale, scale, (WIDTH, 4 * hidden)),
        rng.uniform(-scale, scale, (hidden, 4 * hidden)),
        rng.uniform(-scale, scale, 4 * hidden),
        rng.uniform(-scale, scale, (hidden, WIDTH)),
        rng.uniform(-scale, scale, WIDTH),
        np.ascontiguousarray(strips.transpose(1, 0, 2)),
    )


def work(size: Size) -> Work:
    """Three products a matrix (forward, and two backward), but for the pixels' own gradient."""
    steps, count, hidden = size["steps"], size["batch"], size["hidden"]
    entries = steps * count
    products = 2.0 * entries * 4 * hidden * (2 * WIDTH + 3 * hidden) + 6.0 * entries * hidden * 8
    pointwise = entries * hidden * (FUNCTION_VALUES * 20.0 + 40.0)
    weights = 4 * hidden * (WIDTH + hidden + 1) + hidden * WIDTH
    return Work(products + pointwise, 8.0 * (2 * weights + 12 * entries * hidden))


WORKLOAD = Workload(
    name="lstm",
    description="an LSTM over rows of handwritten digits: loss and gradients of all weights",
    sizes={
        "small": {"steps": 8, "batch": 1, "hidden": 32},
        "medium": {"steps": 64, "batch": 16, "hidden": 64},
        "large": {"steps": 64, "batch": 64, "hidden": 128},
    },
    default_sizes=("small", "medium"),
    smoke={"steps": 4, "batch": 2, "hidden": 3},
    tiny={"steps": 1, "batch": 1, "hidden": 1},
    make_inputs=make_inputs,
    build=build,
    torch_build=torch_build,
    programs={
        "gradient": gradient(
            {0: "into", 1: "across", 2: "bias", 3: "out", 4: "out_bias"},
        )
    },
    tolerance=Tolerance(1e-10, "products over all rows and units, through as many steps"),
    work={"gradient": work},
)
