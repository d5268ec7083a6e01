"""Rows of which each thread has its elements in registers, in the simulator."""

from __future__ import annotations

import re
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
from tracer import grad, jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(13)


def run(function: Callable[..., Any], *inputs: Array) -> str:
    """The kernels' text; the values are those of the numpy backend."""
    driver = SimulatorDriver()
    driver.machine = DeviceMachine(warp=2, threads=4, processors=2, small=0, simulated=True)
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    compiled = CudaProgram(program, driver)
    (found,) = compiled(list(inputs))
    due = jit(function, backend="numpy")(*inputs)
    np.testing.assert_allclose(driver.download(found), due, rtol=1e-10, atol=1e-12)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


def logsumexp(x: Any) -> Any:
    largest = x.max(axis=1, keepdims=True)
    return (np.log(np.exp(x - largest).sum(axis=1)) + largest[:, 0]).sum()


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def normalized(x: Any) -> Any:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("shape", [(9, 16), (9, 17), (9, 19), (30, 5), (3, 30)], ids=str)
@pytest.mark.parametrize("function", [grad(logsumexp), softmax, normalized], ids=str)
def test_rows_of_every_length(function: Callable[..., Any], shape: tuple[int, int]) -> None:
    run(function, random.normal(size=shape))


def test_a_row_lies_in_registers() -> None:
    source = run(softmax, random.normal(size=(9, 30)))
    assert re.search(r"w\d+ = cuda\.local\.array\((8|15), np\.float64\)", source)
    assert not re.search(r"w\d+ = cuda\.shared", source)


def test_a_row_that_is_read_in_another_order_does_not() -> None:
    def turned(x: Any) -> Any:
        powers = np.exp(x - x.max(axis=1, keepdims=True))
        return powers[:, ::-1] * powers / powers.sum(axis=1, keepdims=True)

    assert "cuda.local.array" not in run(turned, random.normal(size=(9, 21)))


def test_a_long_row_does_not() -> None:
    assert "cuda.local.array" not in run(softmax, random.normal(size=(3, 300)))
