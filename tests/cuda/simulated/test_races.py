"""What the simulator sees that the result of a kernel does not show: races, threads that do not
meet, memory that nobody has written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from codegen.cuda.driver import Span
from codegen.cuda.races import RaceError, UnwrittenError
from codegen.cuda.simulated_blocks import DivergenceError
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Buffer, Call

F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)
HEAD = "import math\nimport numpy as np\nfrom numba import cuda\n\n"

Array = np.ndarray[Any, np.dtype[Any]]


def kernel_of(body: str, *arguments: Argument) -> Kernel:
    lines = ["t = cuda.threadIdx.x", "b = cuda.blockIdx.x", *body.strip().splitlines()]
    names = ", ".join(argument.name for argument in arguments)
    text = "".join(f"    {line}\n" for line in lines)
    return Kernel("kernel", f"{HEAD}def kernel({names}):\n{text}", arguments)


def run(body: str, blocks: int = 1, threads: int = 4) -> Array:
    """A kernel of `x`, 8 float64 values from 0 on, that it only reads, and `y`, of zeros; y after.

    A warp has two threads.
    """
    driver = SimulatorDriver()
    source, target = driver.upload(np.arange(8.0)), driver.upload(np.zeros(8))
    loaded = driver.load(kernel_of(body, Argument("x", F64), Argument("y", F64, written=True)))
    driver.launch(loaded, blocks, threads, [driver.span(source), driver.span(target)])
    return driver.download(target)


def test_each_thread_may_have_its_own() -> None:
    body = "i = cuda.grid(1)\ny[i] = x[0] + x[i]\ny[i] = y[i] + 1.0"
    assert run(body, 2, 4).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_threads_that_write_the_same_element() -> None:
    with pytest.raises(RaceError) as caught:
        run("y[3] = x[t]")
    message = str(caught.value)
    assert message == (
        "a race in kernel for y[3]: thread 0 of block 0 writes it in line 8: y[3] = x[t]; "
        "thread 1 of block 0 writes it in line 8: y[3] = x[t]"
    )


def test_equal_values_are_no_excuse() -> None:
    with pytest.raises(RaceError, match=r"y\[3\]"):
        run("y[3] = 1.0")


@pytest.mark.parametrize(
    "body",
    [
        "y[t] = 1.0\ny[t + 4] = y[t ^ 1]",
        "y[t] = 1.0\ny[t + 4] = y[(t + 2) % 4]",
        "value = y[t ^ 1]\ny[t] = value + 1.0",
        "y[t] = 1.0\nvalue = cuda.shfl_xor_sync(0xFFFFFFFF, 1.0, 1)\ny[t + 4] = y[t ^ 1]",
        "y[t] = 1.0\ncuda.syncwarp(0xFFFFFFFF)\ny[t + 4] = y[(t + 2) % 4]",
        "cuda.syncthreads()\ny[t] = 1.0\ny[t + 4] = y[t ^ 1]",
        "for turn in range(2):\n    y[t] = y[t] + 1.0\n    cuda.syncthreads()\n"
        "    value = y[3 - t]",
        "y[t] = 1.0\ncuda.syncthreads()\ny[0] = 2.0 * x[t]",
    ],
    ids=["warp", "block", "before", "exchange", "other warp", "after", "loop", "again"],
)
def test_no_barrier_where_one_is_needed(body: str) -> None:
    with pytest.raises(RaceError, match="a race in kernel for y"):
        run(body)


@pytest.mark.parametrize(
    "body",
    [
        "y[t] = x[t]\ncuda.syncwarp(0xFFFFFFFF)\ny[t + 4] = y[t ^ 1]",
        "y[t] = x[t]\ncuda.syncthreads()\ny[t + 4] = y[t ^ 1]",
        "y[t] = x[t]\ncuda.syncthreads()\ncuda.syncwarp(0xFFFFFFFF)\ny[t + 4] = y[t ^ 1]",
        "if t == 0:\n    for i in range(4):\n        y[i] = x[i]\n"
        "cuda.syncthreads()\ny[t + 4] = y[t ^ 1]",
    ],
    ids=["warp", "block", "both", "one"],
)
def test_barriers_order_accesses(body: str) -> None:
    assert run(body).tolist() == [0, 1, 2, 3, 1, 0, 3, 2]


def test_blocks_have_no_order() -> None:
    with pytest.raises(RaceError, match=r"thread 0 of block 0 .* thread 0 of block 1"):
        run("cuda.syncthreads()\ny[0] = x[b]", 2, 1)
    with pytest.raises(RaceError, match=r"writes .* thread 0 of block 1 reads"):
        run("if b == 0:\n    y[0] = 1.0\ncuda.syncthreads()\ny[b + 1] = y[0]", 2, 1)
    with pytest.raises(RaceError, match=r"reads .* thread 3 of block 1 writes"):
        run("y[cuda.grid(1)] = y[7]", 2, 4)


@pytest.mark.parametrize("kind", ["x", "y"])
def test_two_names_of_the_same_memory(kind: str) -> None:
    driver = SimulatorDriver()
    span = driver.span(driver.upload(np.arange(4.0)))
    arguments = Argument("x", F64), Argument("y", F64, written=True)
    bad = "y[t] = x[3 - t]"
    good = "value = x[3 - t]\ncuda.syncthreads()\ny[t] = value"
    driver.launch(driver.load(kernel_of(good, *arguments)), 1, 4, [span, span])
    assert driver.read(span).tolist() == [3, 2, 1, 0]
    with pytest.raises(RaceError, match=r"a race in kernel for"):
        driver.launch(driver.load(kernel_of(bad, *arguments)), 1, 4, [span, span])
    shifted = Span(span.memory, 4, np.dtype(np.float32), 2)
    narrow = Argument("x", shifted.dtype), arguments[1]
    with pytest.raises(RaceError, match="y is written in x"):
        driver.launch(driver.load(kernel_of(good, *narrow)), 1, 2, [shifted, span])


def test_what_is_fixed_is_written_under_no_name() -> None:
    driver = SimulatorDriver()
    span = driver.span(driver.upload(np.arange(4.0)))
    buffer = Buffer("x", F64, (4,), "input")
    arguments = Argument("x", F64, "pointer", buffer), Argument("y", F64, written=True)
    loaded = driver.load(kernel_of("y[t] = x[t]", *arguments))
    with pytest.raises(RaceError, match="y is written in x"):
        driver.launch(loaded, 1, 4, [span, span])


SHARED = "s = cuda.shared.array(4, np.float64)\nr = cuda.shared.array(4, np.float64)\n"


def test_shared_memory() -> None:
    good = SHARED + "s[t] = x[t]\nr[t] = 0.0\ncuda.syncthreads()\ny[4 * b + t] = s[3 - t] + r[t]"
    assert run(good, 2).tolist() == [3, 2, 1, 0, 3, 2, 1, 0]
    with pytest.raises(RaceError, match=r"shared array 0\[2\]: .* writes .* writes"):
        run(SHARED + "s[t] = 1.0\ns[3 - t] = s[t]", 1, 4)
    with pytest.raises(UnwrittenError, match=r"shared array 1\[2\] is read before"):
        run(SHARED + "y[t] = r[2]")
    with pytest.raises(IndexError, match=r"shared array 0\[-1\] of 4 elements"):
        run(SHARED + "y[t] = s[-1]")
    with pytest.raises(MemoryError, match="64000 bytes of shared memory"):
        run(SHARED.replace("4, np", "8000, np", 1) + "y[t] = 1.0")


def test_memory_of_a_threads_own() -> None:
    own = "own = cuda.local.array(2, np.float64)\n"
    assert run(own + "own[1] = x[t]\ny[t] = own[1]")[:4].tolist() == [0, 1, 2, 3]
    with pytest.raises(UnwrittenError, match=r"a local array\[1\]") as caught:
        run(own + "own[0] = x[t]\ny[t] = own[1]")
    assert caught.value.__notes__ == ["in thread 0 of block 0 of kernel"]


def test_atomic_operations_are_in_no_conflict() -> None:
    driver = SimulatorDriver()
    arguments = (Argument("y", I64, written=True),)

    def launch(body: str) -> list[int]:
        span = driver.span(driver.upload(np.zeros(4, np.int64)))
        driver.launch(driver.load(kernel_of(body, *arguments)), 2, 4, [span])
        return list(driver.read(span).tolist())

    assert launch("cuda.atomic.add(y, 0, t)\ncuda.atomic.cas(y, 1, 0, 5)") == [12, 5, 0, 0]
    with pytest.raises(RaceError, match=r"reads it .* adds to"):
        launch("cuda.atomic.add(y, 0, t)\nvalue = y[0]")
    with pytest.raises(RaceError, match=r"writes it .* adds to"):
        launch("if t + b == 0:\n    y[0] = 0\ncuda.syncthreads()\ncuda.atomic.add(y, 0, t)")


def test_status_may_be_looked_at() -> None:
    driver = SimulatorDriver()
    span = driver.span(driver.upload(np.zeros(2, np.int64)))
    status = Argument("status", I64, written=True)
    body = "if status[0] != 0:\n    return\nif cuda.atomic.cas(status, 0, 0, 3) == 0:\n"
    driver.launch(driver.load(kernel_of(body + "    status[1] = 7", status)), 2, 2, [span])
    assert driver.read(span).tolist() == [3, 7]
    driver.zero(span)
    loaded = driver.load(kernel_of("status[1] = 7", status))
    with pytest.raises(RaceError, match=r"status\[1\]"):
        driver.launch(loaded, 1, 2, [span])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if t < 2:\n    cuda.syncthreads()", "not all of the block come to the barrier"),
        ("if t < 1:\n    cuda.syncthreads()", "has left kernel"),
        ("if t < 1:\n    cuda.syncthreads()\nelse:\n    cuda.syncthreads()", "waits in line 11"),
        ("if t == 3:\n    return\ncuda.syncwarp(0xFFFFFFFF)", "not all of the warp come"),
        ("if t != 1:\n    cuda.shfl_xor_sync(0xFFFFFFFF, 1.0, 1)", "come to the exchange"),
        ("if t == 0:\n    cuda.syncthreads()\ncuda.syncwarp(0xFFFFFFFF)", "not all of the warp"),
        ("cuda.shfl_xor_sync(0xFFFFFFFF, 1.0, t)", "the warp exchanges"),
        ("cuda.shfl_xor_sync(1, 1.0, 1)", "the warp exchanges"),
    ],
    ids=["half", "left", "two places", "warp", "exchange", "mixed", "masks", "partial"],
)
def test_threads_that_do_not_meet(body: str, message: str) -> None:
    with pytest.raises(DivergenceError, match=message):
        run(body)


def test_a_warp_is_whole() -> None:
    with pytest.raises(DivergenceError, match="the warp has 1 threads"):
        run("value = cuda.shfl_xor_sync(0xFFFFFFFF, x[t], 0)", 1, 3)


def test_only_kernels_meet() -> None:
    text = "@cuda.jit(device=True)\ndef meet():\n    cuda.syncthreads()\n\n\n"
    text += "def kernel():\n    meet()\n"
    with pytest.raises(TypeError, match="threads meet in meet"):
        SimulatorDriver().load(Kernel("kernel", HEAD + text, ()))


def test_warps_exchange_values() -> None:
    assert run("y[t] = cuda.shfl_xor_sync(0xFFFFFFFF, x[t], 1)")[:4].tolist() == [1, 0, 3, 2]


def test_warps_vote_and_shift() -> None:
    vote = "y[t] = cuda.ballot_sync(0xFFFFFFFF, t != 2)"
    assert run(vote)[:4].tolist() == [3, 3, 2, 2]
    shift = "y[t] = cuda.shfl_up_sync(0xFFFFFFFF, x[t], 1)"
    assert run(shift)[:4].tolist() == [0, 0, 2, 2]
    with pytest.raises(DivergenceError, match="not all threads of the warp take part"):
        run("cuda.ballot_sync(1, t)")
    with pytest.raises(DivergenceError, match="the warp moves values by"):
        run("cuda.shfl_up_sync(0xFFFFFFFF, 1.0, t)")


def test_what_nobody_has_written() -> None:
    driver = SimulatorDriver()
    fresh, other = driver.empty((4,), F64), driver.upload(np.zeros(4))
    arguments = Argument("x", F64), Argument("y", F64, written=True)
    loaded = driver.load(kernel_of("y[t] = x[t]", *arguments))
    with pytest.raises(UnwrittenError, match=r"x\[0\] is read before anybody has written it"):
        driver.launch(loaded, 1, 4, [driver.span(fresh), driver.span(other)])
    with pytest.raises(UnwrittenError, match="what the host reads: 4 of 4 elements"):
        driver.read(driver.span(fresh))
    with pytest.raises(UnwrittenError, match="operand 1 of matmul: 2 of 2"):
        driver.call(Call("matmul", (), ()), [other[0]], [other[:2], fresh[::2]])
    driver.launch(loaded, 1, 3, [driver.span(other), driver.span(fresh)])
    with pytest.raises(UnwrittenError, match="an array: 1 of 4"):
        driver.download(fresh)
    driver.copy(driver.span(other), driver.span(fresh))
    with pytest.raises(UnwrittenError, match="1 of 4"):
        driver.download(other)
    driver.zero(driver.span(other))
    assert driver.download(other).tolist() == [0, 0, 0, 0]


def test_not_a_number_may_be_written() -> None:
    driver = SimulatorDriver()
    ones = np.full(4, -1).view(np.float64)
    assert driver.download(driver.upload(ones)).view(np.int64).tolist() == [-1] * 4
    target = driver.empty((4,), F64)
    arguments = Argument("x", F64), Argument("y", F64, written=True)
    loaded = driver.load(kernel_of("y[t] = x[t]\ny[t] = y[t]", *arguments))
    driver.launch(loaded, 1, 4, [driver.span(driver.upload(ones)), driver.span(target)])
    assert np.isnan(driver.download(target)).all()
