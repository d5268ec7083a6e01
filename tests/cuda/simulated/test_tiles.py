"""Transposes in tiles, in the simulator: tiles of two by two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer import jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(11)


def run(function: Callable[..., Any], *inputs: Array) -> str:
    """The kernels' text; the values are NumPy's."""
    driver = SimulatorDriver()
    driver.machine = DeviceMachine(warp=2, threads=4, processors=2, small=0, simulated=True)
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    compiled = CudaProgram(program, driver)
    due = function(*inputs)
    due = due if isinstance(due, tuple) else (due,)
    for found, wanted in zip(compiled(list(inputs)), due, strict=True):
        np.testing.assert_array_equal(driver.download(found), wanted)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


def values(dtype: str, *shape: int) -> Array:
    """Small numbers; eight or more bytes apart, neighbours lie in different sectors."""
    return random.integers(0, 50, shape).astype(dtype)


@pytest.mark.parametrize("shape", [(16, 16), (17, 33), (40, 9), (9, 40)], ids=str)
def test_every_shape(shape: tuple[int, int]) -> None:
    assert run(lambda x: x.T * 2, values("float64", *shape)).count("cuda.shared.array") == 1


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128", "float16", "int16"])
def test_dtypes(dtype: str) -> None:
    x = values(dtype, 33, 35)
    source = run(lambda x: x.T + x.dtype.type(1), x)
    assert f"cuda.shared.array(6, np.{dtype})" in source


def test_booleans() -> None:
    assert "np.bool_" in run(lambda x: ~x.T, values("bool", 65, 67))


def test_several_operands() -> None:
    x, y, z = (values("float64", *shape) for shape in [(9, 13), (13, 9), (9, 13)])
    source = run(lambda x, y, z: x.T * y + z.T, x, y, z)
    assert source.count("cuda.shared.array") == 2


def test_one_operand_read_both_ways() -> None:
    source = run(lambda x: x + x.T, values("float64", 15, 15))
    assert source.count("cuda.shared.array") == 1


def test_stores_that_are_transposed() -> None:
    x, y = values("float64", 11, 13), values("float64", 11, 13)
    run(lambda x, y: (x * y, (x * y).T + 1), x, y)


@pytest.mark.parametrize("axes", [(0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1), (1, 0, 2)], ids=str)
def test_three_axes(axes: tuple[int, int, int]) -> None:
    source = run(lambda x: x.transpose(axes) * 2, values("float64", 5, 9, 12))
    assert ("cuda.shared.array" in source) == (axes[-1] != 2)


def test_a_part_of_an_array() -> None:
    source = run(lambda x, y: x[2:, 1:-1].T * y[1:, 3:], *(values("float64", 14, 15),) * 2)
    assert "cuda.shared.array" not in source or "min(" in source


def test_what_may_not_be_read_is_not_staged() -> None:
    x = values("float64", 12, 14)
    run(lambda x: np.where(x.T > 3, x.T, 0.0), x)
    assert "cuda.shared.array" not in run(lambda x: x * 2, x)
