"""Reductions within rows and their gradients: logsumexp, softmax cross-entropy, layer norm."""

from types import ModuleType
from typing import Any

import numpy as np

from bench.gpu.case import Case, simple_workload
from bench.workload import Function, Inputs, Size, Tolerance, Work, gradient
from bench.workloads import logsumexp

EPSILON = 1e-5
MATRIX_SIZES = {
    "toy": {"rows": 5, "columns": 7},
    "tiny": {"rows": 64, "columns": 128},
    "medium": {"rows": 1_024, "columns": 1_024},
    "large": {"rows": 65_536, "columns": 1_024},
}


def logsumexp_work(size: Size, itemsize: int) -> Work:
    """Reads x for the sum, and once more for the gradient where the chip cannot keep it."""
    passes = 3.0 if size["n"] * itemsize > 2**25 else 2.0
    return Work(24.0 * size["n"], passes * itemsize * size["n"])


def build_cross_entropy(size: Size) -> Function:
    rows = size["rows"]

    def cross_entropy(logits: Any, labels: Any) -> Any:
        largest = np.max(logits, axis=1, keepdims=True)
        normalizer = largest[:, 0] + np.log(np.sum(np.exp(logits - largest), axis=1))
        return np.mean(normalizer - logits[np.arange(rows), labels])

    return cross_entropy


def torch_cross_entropy(torch: ModuleType, size: Size) -> Function:
    def cross_entropy(logits: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(logits, labels)

    return cross_entropy


def cross_entropy_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    rows, columns = size["rows"], size["columns"]
    logits = rng.standard_normal((rows, columns), dtype=np.float32)
    return 3.0 * logits, rng.integers(0, columns, rows)


def cross_entropy_work(size: Size, itemsize: int) -> Work:
    """Reads the logits, writes their gradient: a row stays on the chip between the two."""
    elements = size["rows"] * size["columns"]
    return Work(24.0 * elements, 2.0 * itemsize * elements + 8.0 * size["rows"])


def build_layer_norm(size: Size) -> Function:
    def layer_norm(x: Any, gain: Any, offset: Any, cotangent: Any) -> Any:
        centred = x - np.mean(x, axis=1, keepdims=True)
        variance = np.mean(centred**2, axis=1, keepdims=True)
        normalised = centred / np.sqrt(variance + EPSILON) * gain + offset
        return np.sum(normalised * cotangent)

    return layer_norm


def torch_layer_norm(torch: ModuleType, size: Size) -> Function:
    columns = size["columns"]

    def layer_norm(x: Any, gain: Any, offset: Any, cotangent: Any) -> Any:
        normalised = torch.nn.functional.layer_norm(x, (columns,), gain, offset, EPSILON)
        return torch.sum(normalised * cotangent)

    return layer_norm


def layer_norm_inputs(size: Size, rng: np.random.Generator) -> Inputs:
    shape = size["rows"], size["columns"]
    return (
        rng.standard_normal(shape, dtype=np.float32) + np.float32(0.5),
        rng.uniform(0.5, 1.5, size["columns"]),
        rng.normal(size=size["columns"]),
        rng.standard_normal(shape, dtype=np.float32),
    )


def layer_norm_work(size: Size, itemsize: int) -> Work:
    """Reads x and the cotangent, writes x's gradient."""
    elements = size["rows"] * size["columns"]
    return Work(20.0 * elements, 3.0 * itemsize * elements)


CASES = (
    Case(
        name="logsumexp",
        title="logsumexp of a vector, gradient",
        workload=logsumexp.WORKLOAD,
        program_name="gradient",
        sizes={
            "toy": {"n": 50},
            "tiny": {"n": 8_192},
            "medium": {"n": 2**20},
            "large": {"n": 2**26},
        },
        work=logsumexp_work,
        tolerance=Tolerance(2e-5, "an exponential of up to 20, and a sum of all"),
    ),
    Case(
        name="softmax-cross-entropy",
        title="softmax cross-entropy, gradient",
        workload=simple_workload(
            "softmax-cross-entropy",
            "mean cross-entropy of rows of logits with labels",
            make_inputs=cross_entropy_inputs,
            build=build_cross_entropy,
            torch_build=torch_cross_entropy,
            program=gradient({0: "logits"}),
            tolerance=Tolerance(1e-11, "sums over a row in another order"),
            toy=MATRIX_SIZES["toy"],
        ),
        program_name="program",
        sizes=MATRIX_SIZES,
        work=cross_entropy_work,
        tolerance=Tolerance(2e-5, "an exponential of up to 20, and sums of rows"),
    ),
    Case(
        name="layer-norm",
        title="layer norm, forward and backward",
        workload=simple_workload(
            "layer-norm",
            "layer normalisation of rows, its product with a cotangent, and all gradients",
            make_inputs=layer_norm_inputs,
            build=build_layer_norm,
            torch_build=torch_layer_norm,
            program=gradient({0: "x", 1: "gain", 2: "offset"}),
            tolerance=Tolerance(1e-10, "sums over rows and columns in another order"),
            toy=MATRIX_SIZES["toy"],
        ),
        program_name="program",
        sizes=MATRIX_SIZES,
        work=layer_norm_work,
        tolerance=Tolerance(5e-4, "the value is a sum whose terms all but cancel"),
    ),
)
