"""Short rows that blocks bring near together, in the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device import choice
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.schedule import kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer import jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(23)


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """With few threads little is gained by it: take it wherever it can be taken."""

    def estimate(plan: KernelPlan, _machine: DeviceMachine) -> float:
        return 0.0 if any(buffer.name.startswith("near_") for buffer in plan.own) else 1.0

    monkeypatch.setattr(choice, "_time", estimate)


def run(function: Callable[..., Any], *inputs: Array) -> str:
    """The kernels' text; the values are those of the numpy backend."""
    driver = SimulatorDriver()
    driver.machine = DeviceMachine(warp=2, threads=4, processors=2, small=0, simulated=True)
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    compiled = CudaProgram(program, driver)
    due = jit(function, backend="numpy")(*inputs)
    due = due if isinstance(due, tuple) else (due,)
    for found, wanted in zip(compiled(list(inputs)), due, strict=True):
        np.testing.assert_allclose(driver.download(found), wanted, rtol=1e-5, atol=1e-6)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


def values(dtype: str, *shape: int) -> Array:
    if dtype.startswith("c"):
        return (random.normal(size=shape) + 1j * random.normal(size=shape)).astype(dtype)
    return (random.normal(size=shape) * 3).astype(dtype)


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def lengths(x: Any) -> Any:
    return np.sqrt((x * x).sum(axis=1)).sum()


def centred(x: Any) -> Any:
    return x - x.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("rows", [8, 9, 31, 32])
@pytest.mark.parametrize("columns", [8, 9])
def test_rows_of_every_number(rows: int, columns: int) -> None:
    assert "near_" in run(softmax, values("float64", rows, columns))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "complex64", "complex128"])
def test_dtypes(dtype: str) -> None:
    assert "near_" in run(centred, values(dtype, 30, 8))


def test_rows_in_several_dimensions() -> None:
    def function(x: Any) -> Any:
        return x - x.sum(axis=(1, 2), keepdims=True)

    run(function, values("float64", 30, 2, 4))
    run(softmax, values("float64", 3, 19, 8))


def test_gradients() -> None:
    run(tracer.grad(lengths), values("float64", 30, 8))
    weights = values("float64", 30, 8)
    run(tracer.grad(lambda x: (softmax(x) * weights).sum()), values("float64", 30, 8))


def test_elements_at_places_that_are_data() -> None:
    def function(x: Any, i: Any) -> Any:
        shifted = x - x.max(axis=1, keepdims=True)
        return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(i)), i]

    run(function, values("float64", 20, 8), random.integers(-8, 8, 20))


def test_parts_of_rows() -> None:
    def few(x: Any) -> Any:
        return x[:, 1] * x[:, 2] + x[:, 0]

    def written_in_parts(x: Any) -> Any:
        shares = softmax(x[:, 1:])
        return np.concatenate((x[:, :1], shares), axis=1)

    assert "near_x" not in run(few, values("float64", 30, 40))
    run(written_in_parts, values("float64", 30, 9))


def test_pairwise_distances() -> None:
    def nearest(x: Any, centres: Any) -> Any:
        return ((x[:, None, :] - centres) ** 2).sum(axis=2).min(axis=1)

    assert "near_x" in run(nearest, values("float64", 40, 8), values("float64", 5, 8))
