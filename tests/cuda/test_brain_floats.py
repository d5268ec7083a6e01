"""bfloat16 in machine code for a GPU: what accesses there are, and values on the host's processor,
by kernels made of the IR that NVVM gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import tracer
from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import kernels_of
from codegen.loops.nodes import Call
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tests.cuda.native.driver import NativeDriver, chosen
from tests.cuda.test_vectors import wide

BRAIN = np.dtype(ml_dtypes.bfloat16)
RNG = np.random.default_rng(8)


def number(value: float) -> Any:
    """A scalar of bfloat16."""
    return BRAIN.type(value)


def ptx_of(
    function: Callable[..., Any], *shapes: tuple[int, ...], capability: tuple[int, int] = (9, 0)
) -> list[str]:
    """The PTX of each kernel of a program, none of which spills registers."""
    inputs = [np.ones(shape, BRAIN) for shape in shapes]
    graph = tracer.jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    found = []
    for kernel in kernels_of(plan_program(program, DeviceMachine(), render_kernel).steps):
        ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, capability)
        numbers = figures(ptx, capability)
        assert (numbers.spill_stores, numbers.spill_loads, numbers.stack) == (0, 0, 0)
        found.append(ptx)
    return found


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "chain": (lambda x: np.exp(x) * 2 + x, ((1 << 20,),)),
    "rows": (lambda x: tracer.nn.softmax(x), ((1000, 512),)),
    "columns": (lambda x: x.sum(axis=0), ((5000, 300),)),
    "running": (lambda x: np.cumsum(x, axis=1), ((64, 4000),)),
    "transpose": (lambda x: x.T + number(1), ((1000, 700),)),
    "product": (lambda x, y: np.maximum(np.dot(x, y), 0), ((256, 64), (64, 256))),
    "wide product": (lambda x, y: x @ y, ((256, 64), (64, 256))),
    "stack of products": (lambda x, y: x @ y, ((8, 64, 32), (8, 32, 64))),
    "large product": (lambda x, y: (x @ y) * number(2), ((1024, 512), (512, 1024))),
    "gradient": (tracer.grad(lambda x: (np.tanh(x) ** 2).mean()), ((1 << 20,),)),
    "gathered": (tracer.grad(lambda x: (x[np.arange(999) % 7] * 2).sum()), ((7, 9),)),
    "sort": (lambda x: np.sort(x, axis=1), ((100, 300),)),
}


@pytest.mark.parametrize("capability", [(8, 0), (9, 0)], ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_compile(name: str, capability: tuple[int, int]) -> None:
    function, shapes = PROGRAMS[name]
    assert ptx_of(function, *shapes, capability=capability)


def test_accesses_have_eight_elements() -> None:
    """16 bytes each, and what is between them is integer arithmetic in registers."""
    (ptx,) = ptx_of(lambda x: x * 2, (1 << 20,))
    assert wide(ptx) == {"v4.u32"}
    assert "shl.b32" in ptx or "prmt" in ptx


@pytest.fixture
def driver() -> Iterator[NativeDriver]:
    with chosen(NativeDriver()) as made:
        yield made


def test_every_number_is_converted_as_ml_dtypes_does(driver: NativeDriver) -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(BRAIN)
    bits = RNG.integers(0, 1 << 32, 1 << 16, np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        wide_ones, narrow, copied = tracer.jit(
            lambda x, y: (x.astype(np.float32), y.astype(BRAIN), x[::-1]), backend="cuda"
        )(every, bits)
        np.testing.assert_array_equal(wide_ones, every.astype(np.float32))
        expected = bits.astype(BRAIN).view(np.uint16)
    np.testing.assert_array_equal(narrow.view(np.uint16), expected)
    np.testing.assert_array_equal(copied.view(np.uint16), every[::-1].view(np.uint16))
    assert driver.launches


VALUES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "elementwise": (lambda x: x * x * number(0.1) + x / number(3), ((5000,),)),
    "choice": (lambda x: np.where(x > 0, x, -x) * 2, ((77, 13),)),
    "sums": (lambda x: x.sum(axis=1), ((50, 300),)),
    "columns": (lambda x: x.sum(axis=0), ((300, 50),)),
    "product": (lambda x, y: np.dot(x, y), ((64, 48), (48, 64))),
    "wide product": (lambda x, y: (x @ y) * np.float32(0.5), ((64, 48), (48, 64))),
    "transposed": (lambda x, y: np.swapaxes(x, 1, 2) @ y, ((3, 48, 64), (3, 48, 64))),
    "after a product": (lambda x, y: np.maximum(np.dot(x, y), 0) * 2, ((64, 48), (48, 64))),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_on_whole_numbers(driver: NativeDriver, name: str) -> None:
    """Of which float32 has every sum, so that there is one right result, rounded once."""
    function, shapes = VALUES[name]
    inputs = [RNG.integers(-4, 5, shape).astype(BRAIN) for shape in shapes]
    found = tracer.jit(function, backend="cuda")(*inputs)
    due = tracer.jit(function, backend="numpy")(*inputs)
    assert (found.dtype, found.shape) == (due.dtype, due.shape)
    np.testing.assert_array_equal(found, due)
    assert driver.launches


def test_products_of_two_widened_operands_read_the_short_ones() -> None:
    """`@` of bfloat16 is float32: no copies of that are made of its operands."""
    x, y = np.ones((512, 1024), BRAIN), np.ones((1024, 512), BRAIN)
    for function in (
        lambda x, y: x @ y,
        lambda x, y: x.astype(np.float32) @ y.astype(np.float32),
        lambda x, y: x.astype(np.float32).T @ y.T.astype(np.float32),
    ):
        graph = tracer.jit(function).trace(x, y).graph
        program = optimize(lower_graph(graph, target="device"), target="device")
        assert not program.workspace
        (call,) = [part for part in statements(program.body) if isinstance(part, Call)]
        assert call.params["wide"]
        assert [view.buffer.dtype for view in call.operands] == [BRAIN, BRAIN]
    mixed = tracer.jit(lambda x, y: x.astype(np.float32) @ y).trace(x, y.astype(np.float32)).graph
    program = optimize(lower_graph(mixed, target="device"), target="device")
    (call,) = [part for part in statements(program.body) if isinstance(part, Call)]
    assert not call.params.get("wide")
