"""Sums of columns in the pass over rows, in the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optree import tree_leaves

from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.codegen.test_row_sums import CASES
from tracer import jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(19)


def run(function: Callable[..., Any], *inputs: Array) -> str:
    """The kernels' text; the values are those of the numpy backend."""
    driver = SimulatorDriver()
    driver.machine = DeviceMachine(warp=2, threads=4, processors=2, small=0, simulated=True)
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    compiled = CudaProgram(program, driver)
    due = tree_leaves(jit(function, backend="numpy")(*inputs))
    for found, wanted in zip(compiled(list(inputs)), due, strict=True):
        np.testing.assert_allclose(driver.download(found), wanted, rtol=1e-9, atol=1e-11)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


@pytest.mark.parametrize("name", CASES)
def test_programs(name: str) -> None:
    function, shapes = CASES[name]
    run(function, *(random.normal(size=shape) for shape in shapes))


def test_columns_lie_in_registers() -> None:
    function, shapes = CASES["normalized"]
    source = run(function, *(random.normal(size=shape) for shape in shapes))
    assert source.count("cuda.local.array") >= 2
    assert "cuda.shared.array(16" not in source


@pytest.mark.parametrize("columns", [5, 64, 130])
def test_rows_of_every_length(columns: int) -> None:
    shapes = ((33, columns), (columns,), (33, columns))
    run(CASES["bias"][0], *(random.normal(size=shape) for shape in shapes))
