"""What kernels of elementwise programs become: wide accesses, and short divisions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import Kernel, kernels_of
from codegen.loops.build import literal
from codegen.loops.nodes import Buffer, Load, Loop, Program, Store, Variable
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tracer import jit
from tracer.types import INT64

MACHINE = DeviceMachine()
PLAIN = DeviceMachine(vector=0)
CAPABILITIES = ((8, 0), (9, 0), (10, 0))
ROWS, COLUMNS = 1000, 1024


def kernel_of(
    function: Callable[..., Any], *dtypes: str, shape: tuple[int, ...] = (ROWS * COLUMNS + 3,)
) -> Kernel:
    inputs = [np.ones(shape, dtype) for dtype in dtypes]
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    (kernel,) = kernels_of(plan_program(program, MACHINE, render_kernel).steps)
    return kernel


def ptx_of(kernel: Kernel, capability: tuple[int, int] = (9, 0)) -> str:
    ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, capability)
    found = figures(ptx, capability)
    assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)
    return ptx


def wide(ptx: str) -> set[str]:
    return set(re.findall(r"(?:ld|st)\.global(?:\.nc)?\.(v\d\.\w+|u32)", ptx))


def chain(x: Any) -> Any:
    return np.exp(x) * 2 + x


@pytest.mark.parametrize("capability", CAPABILITIES, ids=str)
@pytest.mark.parametrize(("dtype", "access"), [("float32", "v4.f32"), ("float64", "v2.f64")])
def test_a_chain_has_accesses_of_16_bytes(
    dtype: str, access: str, capability: tuple[int, int]
) -> None:
    ptx = ptx_of(kernel_of(chain, dtype), capability)
    assert f"ld.global.nc.{access}" in ptx
    assert f"st.global.{access}" in ptx


@pytest.mark.parametrize(
    ("function", "dtypes", "accesses"),
    [
        (lambda x: x * 2, ["float16"], {"v4.u32"}),
        (lambda x: x * x, ["complex64"], {"v4.f32"}),
        (lambda x: x * 2, ["int32"], {"v4.u32", "u32"}),
        (lambda x, y: (x > y) & (x > 0), ["float32", "float32"], {"v4.f32", "u32"}),
        (lambda x: x.astype(np.float64) * 2, ["float32"], {"v4.f32", "v2.f64"}),
    ],
    ids=["half", "complex", "int32", "boolean", "cast"],
)
def test_other_dtypes(function: Callable[..., Any], dtypes: list[str], accesses: set[str]) -> None:
    assert wide(ptx_of(kernel_of(function, *dtypes))) == accesses


def test_rows_and_columns_that_are_broadcast() -> None:
    shape = (ROWS, COLUMNS)
    bias = kernel_of(lambda x: np.maximum(x + x[0], x[:, :1]), "float32", shape=shape)
    assert bias.source.count("load4(") == 2, "x and its first row"
    assert "v4.f32" in wide(ptx_of(bias))
    odd = kernel_of(lambda x: x + x[0], "float32", shape=(10 * ROWS, 50))
    assert "load2(" in odd.source, "rows of 50 are no multiple of four"
    assert "load" not in kernel_of(lambda x: x + x[0], "float32", shape=(10 * ROWS, 51)).source


def test_few_elements_and_long_bodies_are_not_put_together() -> None:
    assert "load4(" not in kernel_of(chain, "float32", shape=(50_000,)).source

    def long(x: Any) -> Any:
        for _ in range(40):
            x = np.sqrt(x * x + 1)
        return x

    assert "load4(" not in kernel_of(long, "float32").source


def copying(trips: tuple[int, ...]) -> Kernel:
    """A copy into longer rows, by a grid of that many iterations."""
    x = Buffer("x1", np.dtype(np.float32), trips, "input")
    y = Buffer("y2", np.dtype(np.float32), (*trips[:-1], trips[-1] + 1), "output")
    names = [f"i{position}" for position in range(len(trips))]
    indices = tuple(Variable(name, INT64) for name in names)
    body: Any = Store(y, indices, Load(x, indices))
    for name, trip in zip(names[::-1], trips[::-1], strict=True):
        body = Loop(name, literal(0, INT64), literal(trip, INT64), (body,), "parallel")
    program = Program("copy", (x,), (y,), (), (), (body,))
    (kernel,) = kernels_of(plan_program(program, PLAIN, render_kernel).steps)
    return kernel


@pytest.mark.parametrize("trips", [(4000, 3000), (200, 300, 100)], ids=str)
def test_indices_are_divided_in_32_bits(trips: tuple[int, ...]) -> None:
    ptx = ptx_of(copying(trips))
    assert not re.search(r"(?:div|rem|mul\.hi)\.s64", ptx)


def test_more_than_2_to_the_31_are_divided_in_64_bits() -> None:
    kernel = copying((2**16, 2**15 + 1))
    assert "uint32" not in kernel.source
    assert "2147549184" in kernel.source
    assert "uint32" in copying((2**16, 2**15)).source
