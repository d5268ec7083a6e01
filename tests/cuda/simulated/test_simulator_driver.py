"""Kernels on the simulator's driver: memory in place, quiet arithmetic, strict parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codegen.cuda.driver import Span
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Call

F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)

HEAD = "import math\nimport numpy as np\nfrom numba import cuda\n\n"


def make_kernel(body: str, *arguments: Argument) -> Kernel:
    names = ", ".join(argument.name for argument in arguments)
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return Kernel("kernel", f"{HEAD}def kernel({names}):\n{lines}", arguments)


def source(name: str, dtype: np.dtype[Any] = F64) -> Argument:
    return Argument(name, dtype)


def target(name: str, dtype: np.dtype[Any] = F64) -> Argument:
    return Argument(name, dtype, written=True)


@pytest.fixture
def driver() -> SimulatorDriver:
    return SimulatorDriver()


def test_memory_is_updated_in_place(driver: SimulatorDriver) -> None:
    arena = driver.allocate(256 + 8 * 8)
    first, second = Span(arena, 0, F64, 8), Span(arena, 256, F64, 8)
    driver.view(first, (8,))[...] = np.arange(8.0)
    driver.zero(second)
    body = "i = cuda.grid(1)\ny[i] = x[i] + 1.0"
    loaded = driver.load(make_kernel(body, source("x"), target("y")))
    driver.launch(loaded, 2, 4, [first, second])
    driver.launch(loaded, 2, 4, [second, first])
    assert driver.read(first).tolist() == list(np.arange(8.0) + 2)
    assert driver.read(second).tolist() == list(np.arange(8.0) + 1)


def test_one_memory_under_two_names(driver: SimulatorDriver) -> None:
    span = driver.span(driver.upload(np.arange(4.0)))
    body = "i = cuda.threadIdx.x\nvalue = x[3 - i]\ncuda.syncthreads()\ny[i] = value"
    loaded = driver.load(make_kernel(body, source("x"), target("y")))
    driver.launch(loaded, 1, 4, [span, span])
    assert driver.read(span).tolist() == [3.0, 2.0, 1.0, 0.0]


def test_scalars_and_atomics(driver: SimulatorDriver) -> None:
    total = driver.span(driver.upload(np.zeros(2, I64)))
    body = "cuda.atomic.add(total, 1, step)\ncuda.atomic.cas(total, 0, 0, 7)"
    scalar = Argument("step", I64, "scalar")
    loaded = driver.load(make_kernel(body, target("total", I64), scalar))
    driver.launch(loaded, 2, 4, [total, np.int64(3)])
    assert driver.read(total).tolist() == [7, 24]


def test_arithmetic_is_quiet_in_every_thread(driver: SimulatorDriver) -> None:
    span = driver.span(driver.upload(np.array([0.0, 1e308, -1.0, np.inf])))
    body = "i = cuda.threadIdx.x\ny[i] = math.sqrt(y[i]) / y[0] + y[i] * y[i] - y[i]"
    loaded = driver.load(make_kernel(body, target("y")))
    with np.errstate(all="raise"):
        driver.launch(loaded, 1, 1, [span])
    assert np.isnan(driver.read(span)[0])


def test_no_blocks_run_nothing(driver: SimulatorDriver) -> None:
    span = driver.span(driver.upload(np.zeros(1)))
    loaded = driver.load(make_kernel("y[0] = 1.0", target("y")))
    driver.launch(loaded, 0, 4, [span])
    assert driver.read(span).tolist() == [0.0]


@pytest.mark.parametrize("index", [-1, 4])
def test_indices_outside_are_found(driver: SimulatorDriver, index: int) -> None:
    span = driver.span(driver.upload(np.zeros(4)))
    loaded = driver.load(make_kernel(f"y[{index}] = 1.0", target("y")))
    with pytest.raises(IndexError, match=rf"y\[{index}\] of 4 elements"):
        driver.launch(loaded, 1, 1, [span])


def test_stores_to_what_is_only_read_are_found(driver: SimulatorDriver) -> None:
    span = driver.span(driver.upload(np.zeros(4)))
    loaded = driver.load(make_kernel("x[0] = 1.0", source("x")))
    with pytest.raises(TypeError, match="parameter x is not declared as written"):
        driver.launch(loaded, 1, 1, [span])


def test_fresh_memory_is_not_zero(driver: SimulatorDriver) -> None:
    assert np.isnan(driver.empty((2, 3), F64)).all()
    assert (driver.empty((2,), I64) == -1).all()
    assert driver.empty((0, 3), F64).shape == (0, 3)
    assert driver.allocate(10).ctypes.data % 256 == 0


def test_spans_must_fit(driver: SimulatorDriver) -> None:
    with pytest.raises(ValueError, match="16 bytes from 8 on are not in 16"):
        driver.read(Span(driver.allocate(16), 8, F64, 2))
    with pytest.raises(ValueError, match="C-ordered"):
        driver.span(np.zeros((2, 3)).T)


def test_library_calls_write_their_results(driver: SimulatorDriver) -> None:
    left, right = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    result = driver.empty((2,), F64)
    driver.call(Call("matmul", (), ()), [result], [left, right])
    assert result.tolist() == (left @ right).tolist()


def test_what_numba_put_on_the_device_is_adopted(driver: SimulatorDriver) -> None:
    from numba import cuda

    held = cuda.to_device(np.arange(3.0))
    adopted = driver.adopt(held)
    assert adopted is not None
    adopted[0] = 5.0
    assert held.copy_to_host()[0] == 5.0
    assert driver.adopt(np.arange(3.0)) is None
    assert driver.download(driver.upload(np.arange(3.0))).tolist() == [0.0, 1.0, 2.0]


def test_graphs_run_later_on_the_same_memory(driver: SimulatorDriver) -> None:
    first, second = (driver.span(driver.upload(np.zeros(4))) for _ in range(2))
    loaded = driver.load(make_kernel("y[0] = y[0] + 1.0", target("y")))
    result = driver.upload(np.zeros(1))

    def record() -> None:
        driver.launch(loaded, 1, 1, [first])
        driver.call(Call("matmul", (), ()), [result], [driver.view(first, (1, 4)), np.ones(4)])
        driver.launch(loaded, 1, 1, [first])

    graph = driver.capture(record)
    assert driver.read(first)[0] == 0.0
    driver.replay(graph)
    assert (driver.read(first)[0], result[0]) == (2.0, 1.0)
    driver.update(graph, 1, [second])
    driver.replay(graph)
    assert (driver.read(first)[0], driver.read(second)[0]) == (3.0, 1.0)
    driver.copy(second, first)
    assert driver.read(second)[0] == 3.0
    assert driver.address(second) != driver.address(first)


def test_memory_is_handed_out_again(driver: SimulatorDriver) -> None:
    array = driver.upload(np.arange(5.0))
    address, part = driver.address(driver.span(array)), array[2:]
    del array
    assert driver.address(driver.span(driver.empty((5,), F64))) != address
    assert part.tolist() == [2.0, 3.0, 4.0]
    del part
    again = driver.empty((5,), F64)
    assert driver.address(driver.span(again)) == address
    assert np.isnan(again).all()
