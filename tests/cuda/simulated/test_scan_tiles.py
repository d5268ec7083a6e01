"""Running sums in tiles, in the simulator: tiles of 4 threads with 16 elements each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.program import CudaProgram, kernels_of
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import DeviceMachine
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer import jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(29)
TILE = 64


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
        np.testing.assert_allclose(driver.download(found), wanted, rtol=1e-9, atol=1e-9)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


def values(*shape: int) -> Array:
    return random.normal(size=shape)


@pytest.mark.parametrize("length", [2 * TILE, 2 * TILE + 1, 3 * TILE - 1, 5 * TILE + 17])
def test_every_length(length: int) -> None:
    assert "shared.array(68" in run(lambda x: np.cumsum(x), values(length))


@pytest.mark.parametrize("length", [3 * TILE, 200])
def test_from_the_end(length: int) -> None:
    weights = values(length)
    run(tracer.grad(lambda x: (np.cumsum(x) * weights).sum()), values(length))
    run(lambda x: np.cumsum(x[::-1])[::-1] + x, values(length))


def test_other_operations() -> None:
    run(lambda x: np.maximum.accumulate(x), values(200))
    run(lambda x: np.cumprod(x), 1 + 0.1 * values(200))
    run(lambda x: np.cumsum(x), random.integers(-9, 9, 200))
    run(lambda x: np.cumsum(x), random.integers(0, 2, 200).astype(bool))


def test_terms_that_are_computed() -> None:
    run(lambda x, y: np.cumsum(np.exp(x) * y) + y, values(150), values(150))


def test_rows_and_columns() -> None:
    run(lambda x: np.cumsum(x, axis=1), values(3, 150))
    run(lambda x: np.cumsum(x, axis=0), values(150, 3))
    run(lambda x: np.cumsum(x[:, 1], axis=0), values(150, 3))


@pytest.mark.parametrize("shape", [(9, 9), (5, 32), (5, 33), (3, 64), (2, 3, 20)], ids=str)
def test_many_rows(shape: tuple[int, ...]) -> None:
    """A row is a tile of a warp's or a block's."""
    source = run(lambda x: np.cumsum(x, axis=-1), values(*shape))
    assert "cuda.shared.array" in source
    weights = values(*shape)
    run(tracer.grad(lambda x: (np.cumsum(np.exp(x), axis=-1) * weights).sum()), values(*shape))
    run(lambda x: np.maximum.accumulate(x, axis=-1) + np.cumsum(x * x, axis=-1), values(*shape))


def test_what_is_used_after_a_row() -> None:
    run(lambda x: np.cumsum(x, axis=1) / x.sum(axis=1, keepdims=True), values(6, 20))


def test_special_values() -> None:
    x = values(200)
    x[[20, 70, 130]] = np.inf, -0.0, np.nan
    with np.errstate(invalid="ignore"):
        run(lambda x: np.cumsum(x), x)
    zeros = np.full(150, -0.0)
    with np.errstate(divide="ignore"):
        run(lambda x: 1.0 / np.cumsum(x), zeros)


def test_two_at_once() -> None:
    def both(x: Any) -> Any:
        return np.cumsum(x), np.maximum.accumulate(x * x)

    run(both, values(190))
