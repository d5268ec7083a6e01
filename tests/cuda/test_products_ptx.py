"""Product kernels through NVIDIA's compiler and assembler: registers, no spills, fused sums."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.products import TILINGS, Product
from codegen.device.schedule import Argument, Kernel, Launch
from codegen.loops.nodes import Buffer
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from codegen.render.cuda_products import Operand, ProductKernel, group_product

# Registers of a thread, at most: 256 threads with 128 fill half of a multiprocessor's.
BUDGETS = {("f4", 0): 96, ("f4", 1): 80, ("f4", 2): 72, ("f4", 3): 72, ("f8", 2): 96, ("f2", 0): 96}


def arguments(dtype: np.dtype) -> list[Argument]:
    """c is written; a and b are inputs, which nothing else is."""
    inputs = [Argument(name, dtype, buffer=Buffer(name, dtype, (1,), "input")) for name in "ab"]
    return [Argument("c", dtype, written=True), *inputs]


def compiled(source: str, dtype: np.dtype) -> str:
    return compile_ptx(source, "product", arguments(dtype), (9, 0))


@pytest.mark.parametrize(("code", "choice"), BUDGETS)
def test_tiles_stay_in_registers(code: str, choice: int) -> None:
    dtype, tiling = np.dtype(code), TILINGS[choice]
    kernel = ProductKernel(Product(200, 100, 180, dtype, transpose_b=True), tiling)
    ptx = compiled(kernel.source, dtype)
    found = figures(ptx, (9, 0))
    assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)
    assert found.registers <= BUDGETS[code, choice]
    kept = dtype.itemsize * tiling.depth
    assert found.shared == kept * (tiling.rows + 1 + tiling.columns + 1)
    wide = "f64" if code == "f8" else "f32"
    assert f"fma.rn.{wide}" in ptx
    assert f"mul.rn.{wide}" not in ptx
    assert "ld.global.nc" in ptx
    assert len(re.findall(r"\b(?:div|rem)\.s64", ptx)) <= 1, "one division a tile"


@pytest.mark.parametrize("code", ["f2", "f8", "c8", "i4", "?"])
def test_a_group_compiles(code: str) -> None:
    dtype = np.dtype(code)
    lines = group_product(
        Operand("c", "0", 5, 1),
        Operand("a", "0", 1, 6),
        Operand("b", "0", 5, 1),
        *(6, 7, 5),
        dtype,
        "lane",
        "32",
    )
    head = [
        "import math",
        "import numpy as np",
        "from numba import cuda",
        "",
        "def product(c, a, b):",
    ]
    body = ["lane = np.int64(cuda.threadIdx.x)", *lines]
    ptx = compiled("\n".join(head + ["    " + line for line in body]) + "\n", dtype)
    found = figures(ptx, (9, 0))
    assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)


def planned(function: Callable[..., Any], *inputs: np.ndarray) -> list[Kernel]:
    """The kernels of a function for a GPU that multiply; there are no calls of libraries."""
    graph = tracer.jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    steps = plan_program(program, DeviceMachine(), render_kernel).steps
    assert all(isinstance(step, Launch) for step in steps)
    kernels = [step.kernel for step in steps if isinstance(step, Launch)]
    return [kernel for kernel in kernels if "x_tile = cuda.shared.array" in kernel.source]


def layer(x: Any, w: Any, bias: Any) -> Any:
    return np.tanh(x @ w + bias)


def loss(x: Any, w: Any, bias: Any) -> Any:
    return np.sum(np.maximum(layer(x, w, bias) @ w.T, 0.0) ** 2)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2"])
@pytest.mark.parametrize(
    ("function", "sizes", "count"),
    [
        pytest.param(layer, ((200, 64), (64, 96), (96,)), 1, id="small tiles"),
        pytest.param(layer, ((60, 72, 48), (60, 48, 70), (70,)), 1, id="stack"),
        pytest.param(layer, ((300, 64, 64), (300, 64, 64), (64,)), 1, id="large tiles"),
        pytest.param(tracer.grad(loss), ((128, 64), (64, 96), (96,)), 4, id="gradient"),
    ],
)
def test_planned_products(
    function: Callable[..., Any], sizes: tuple[tuple[int, ...], ...], count: int, dtype: str
) -> None:
    """What is made of the elements neither spills nor takes half of a processor's registers."""
    kernels = planned(function, *(np.ones(size, dtype) for size in sizes))
    assert len(kernels) == count
    for kernel in kernels:
        ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, (9, 0))
        found = figures(ptx, (9, 0))
        assert (found.spill_stores, found.spill_loads) == (0, 0)
        assert found.registers <= 128
        assert f"fma.rn.{'f64' if dtype == 'f8' else 'f32'}" in ptx
