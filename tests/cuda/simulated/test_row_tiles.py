"""Sums of columns in the pass over short rows, in the simulator: tiles of four rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optree import tree_leaves

from codegen.cuda.program import CudaProgram, kernels_of
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import DeviceMachine
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.codegen.test_row_tiles import CASES, inputs_of
from tracer import jit

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(37)


def run(function: Callable[..., Any], *inputs: Array) -> str:
    """The kernels' text; the values are those of the numpy backend."""
    driver = SimulatorDriver()
    driver.machine = DeviceMachine(warp=2, threads=4, processors=2, small=0, simulated=True)
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    compiled = CudaProgram(program, driver)
    due = tree_leaves(jit(function, backend="numpy")(*inputs))  # type: ignore[arg-type]
    for found, wanted in zip(compiled(list(inputs)), due, strict=True):
        np.testing.assert_allclose(driver.download(found), wanted, rtol=1e-9, atol=1e-11)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


@pytest.mark.parametrize("name", CASES)
def test_programs(name: str) -> None:
    run(CASES[name][0], *inputs_of(name))


def test_what_rows_add_to_columns_lies_near() -> None:
    source = run(CASES["clusters"][0], *inputs_of("clusters"))
    assert source.count("cuda.shared.array") >= 3


@pytest.mark.parametrize("rows", [8, 15, 17])
def test_rows_of_every_number(rows: int) -> None:
    run(CASES["clusters"][0], random.normal(size=(6, 4)), random.normal(size=(rows, 4)))
