"""What transposes become: tiles in shared memory, without spills."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import Kernel, kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tracer import jit

CAPABILITIES = ((8, 0), (9, 0), (10, 0))
SIDE = 32


def kernel_of(function: Callable[..., Any], *inputs: tuple[tuple[int, ...], str]) -> Kernel:
    graph = jit(function).trace(*(np.ones(*given) for given in inputs)).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    (kernel,) = kernels_of(plan_program(program, DeviceMachine(), render_kernel).steps)
    return kernel


@pytest.mark.parametrize("capability", CAPABILITIES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "complex128", "bool"])
def test_a_transpose_stages_one_tile(dtype: str, capability: tuple[int, int]) -> None:
    kernel = kernel_of(lambda x: x.T.copy(), ((1000, 2003), dtype))
    ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, capability)
    found = figures(ptx, capability)
    assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)
    assert found.registers <= 40
    assert found.shared == SIDE * (SIDE + 1) * np.dtype(dtype).itemsize


def test_all_reads_of_a_thread_come_before_what_waits_for_them() -> None:
    kernel = kernel_of(lambda x, z: x.T * z, ((1000, 2003), "f4"), ((2003, 1000), "f4"))
    ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, (9, 0))
    before, _, after = ptx.partition("st.shared.f32")
    assert before.count("ld.global") >= 4, "four rows of a tile"
    assert "ld.global" in after


@pytest.mark.parametrize(
    ("function", "shape", "tiled"),
    [
        (lambda x: x.transpose(0, 2, 1) * 2, (30, 500, 200), True),
        (lambda x: x.transpose(1, 0, 2) * 2, (500, 30, 200), False),
        (lambda x: x.T * 2, (500_000, 3), False),
        (lambda x: x.T * 2, (3, 500_000), False),
        (lambda x: x[0] + x[:, :1], (2000, 2000), False),
        (lambda x: x.T @ np.ones(2, np.float32), (2, 500_000), False),
    ],
    ids=["last two", "first two", "three columns", "three rows", "broadcast", "sum"],
)
def test_where_tiles_touch_less(
    function: Callable[..., Any], shape: tuple[int, ...], tiled: bool
) -> None:
    assert ("cuda.shared.array" in kernel_of(function, (shape, "float32")).source) == tiled
