"""Iterations that a thread runs several of at a time, in the simulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import cuda

from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer import jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(7)


def compiled(function: Callable[..., Any], *inputs: Array) -> CudaProgram:
    """The program on a simulated device so small that little work fills it."""
    driver = SimulatorDriver()
    driver.machine = DeviceMachine(
        warp=2, threads=4, processors=2, small=0, simulated=True, vector=16
    )
    graph = jit(function).trace(*inputs).graph
    return CudaProgram(optimize(lower_graph(graph, target="device"), target="device"), driver)


def at(offset: int, value: Array) -> Any:
    """A device array that starts `offset` elements after a multiple of 256 bytes."""
    memory = SimulatorDriver().allocate((offset + value.size) * value.itemsize).view(value.dtype)
    memory[offset:] = value.ravel()
    return cuda.to_device(memory, copy=False)[offset:].reshape(value.shape)


def check(function: Callable[..., Any], *inputs: Array) -> str:
    """The kernel's text; its values are NumPy's wherever the inputs start."""
    program = compiled(function, *inputs)
    due = function(*inputs)
    due = due if isinstance(due, tuple) else (due,)
    for offset in (0, 1):
        placed = [at(offset, value) for value in inputs]
        for found, wanted in zip(program(placed), due, strict=True):
            np.testing.assert_array_equal(program.driver.download(found), wanted)
    (kernel,) = kernels_of(program.schedule.steps)
    return kernel.source


@pytest.mark.parametrize("size", [1, 3, 4, 5, 33, 1003])
@pytest.mark.parametrize(("dtype", "count"), [("float32", 4), ("float64", 2)])
def test_every_size_from_every_start(size: int, dtype: str, count: int) -> None:
    x, y = (random.normal(size=size).astype(dtype) for _ in range(2))
    source = check(lambda x, y: (x * 2 + y, x - y), x, y)
    assert (f"load{count}(x1" in source) == (size >= 8 * count)


@pytest.mark.parametrize("dtype", ["float16", "int8", "int64", "complex64", "bool"])
def test_dtypes(dtype: str) -> None:
    x = random.integers(0, 2, 100).astype(dtype)
    source = check(lambda x: x ^ True if dtype == "bool" else x + x, x)
    assert "load" in source


@pytest.mark.parametrize("size", [32, 63, 64, 65, 95, 96, 97, 128, 130, 163, 1003])
def test_two_turns_are_read_for_at_a_time(size: int) -> None:
    x = random.normal(size=size).astype(np.float32)
    source = check(lambda x: np.where(x > 0, x, -2 * x), x)
    assert ("t1_far" in source) == (size >= 64), "two turns of two blocks of four threads"


@pytest.mark.parametrize("shape", [(9, 8), (17, 12), (5, 100)])
def test_two_turns_through_rows(shape: tuple[int, int]) -> None:
    x, weights = random.normal(size=shape), random.normal(size=shape[0])
    source = check(lambda x, weights: x * weights[:, None], x, weights)
    assert "_far" in source
    assert "_far" not in check(lambda x, y: x * y, x, x.copy()), "two arrays are enough"


def test_mixed_sizes() -> None:
    x, y = random.normal(size=75).astype(np.float32), random.normal(size=75)
    assert "load4(x2" in check(lambda x, y, z: np.where(z, x + y, y), x, y, x > 0)


def test_what_is_broadcast_is_read_once() -> None:
    x, row, column = (random.normal(size=shape) for shape in [(9, 12), (12,), (9, 1)])
    source = check(lambda x, row, column: x * row + column, x, row, column)
    (copied,) = re.findall(r"    if aligned.*    store2\(", source, re.DOTALL)
    assert copied.count("x3[") == 1
    assert copied.count("load2(") == 2


def test_rows_that_are_gathered() -> None:
    x, rows = random.normal(size=(20, 8)), random.integers(0, 20, 15)
    program = compiled(lambda x, rows: x[rows] * 2, x, rows)
    (found,) = program([x, rows])
    np.testing.assert_array_equal(program.driver.download(found), x[rows] * 2)


def test_conditions_and_strides() -> None:
    x = random.normal(size=80)

    def function(x: Any) -> Any:
        return np.where(x[1:-1] > 0, x[:-2], x[2:]) + x[::-1][2:]

    assert "store2(" in check(function, x)
