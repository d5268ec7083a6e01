"""What runs kernels' machine code on the host does as a GPU does, and sees what a GPU would not."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.cuda.native.machine import KernelError
from tests.cuda.native.scalars import Call
from tests.cuda.native.text import plain

HEAD = """
import math

import numpy as np
from numba import cuda

def kernel(x, y):
"""


def run(body: str, x: np.ndarray, y: np.ndarray, blocks: int = 1, threads: int = 64) -> np.ndarray:
    """What a kernel leaves in `y`."""
    call = Call()
    call.array("x", x)
    made = call.array("y", y.copy(), written=True)
    indented = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    call.run(HEAD + indented, blocks, threads)
    return made


X = np.arange(64.0)
NONE = np.full(64, -1.0)


def test_types_of_pointers_go() -> None:
    typed = (
        '  %".5" = load {i8*, [1 x i64]}, {i8*, [1 x i64]} addrspace(3)* %"a"  ; i8*\n'
        "  %2 = bitcast void (double*, i64)* @f to i8*\n"
        "  store <4 x i32> %v, <4 x i32> addrspace(1)* %3, align 16"
    )
    assert plain(typed).split("\n") == [
        "  %.5 = load {ptr, [1 x i64]}, ptr %a  ; i8*",
        "  %2 = bitcast ptr @f to ptr",
        "  store <4 x i32> %v, ptr %3, align 16",
    ]


@pytest.mark.parametrize("backward", [False, True])
def test_a_barrier_shows_what_others_have_written(backward: bool) -> None:
    call = Call()
    call.array("x", X)
    y = call.array("y", NONE.copy(), written=True)
    text = HEAD + (
        "    room = cuda.shared.array(64, np.float64)\n"
        "    t = cuda.threadIdx.x\n"
        "    for turn in range(3):\n"
        "        room[t] = x[t] + turn\n"
        "        cuda.syncthreads()\n"
        "        y[t] = room[63 - t]\n"
        "        cuda.syncthreads()\n"
    )
    call.run(text, 1, 64, backward=backward)
    np.testing.assert_array_equal(y, X[::-1] + 2)


def test_the_order_of_threads_shows_a_missing_barrier() -> None:
    text = HEAD + (
        "    room = cuda.shared.array(64, np.float64)\n"
        "    t = cuda.threadIdx.x\n"
        "    room[t] = x[t]\n"
        "    y[t] = room[63 - t]\n"
    )
    found = []
    for backward in (False, True):
        call = Call()
        call.array("x", X)
        found.append(call.array("y", NONE.copy(), written=True))
        call.run(text, 1, 64, backward=backward)
    assert np.isnan(found[0][:32]).all(), "memory that nobody has written"
    assert not np.array_equal(found[0], found[1], equal_nan=True)


def test_threads_of_a_warp_exchange_numbers() -> None:
    whole = "0xFFFFFFFF"
    lanes = np.arange(64) % 32
    got = {
        call: run(f"t = cuda.threadIdx.x\ny[t] = cuda.{call}({whole}, x[t], {number})", X, NONE)
        for call, number in (
            ("shfl_xor_sync", 5),
            ("shfl_sync", 7),
            ("shfl_up_sync", 3),
            ("shfl_down_sync", 4),
        )
    }
    first = np.arange(64) // 32 * 32
    np.testing.assert_array_equal(got["shfl_xor_sync"], first + (lanes ^ 5))
    np.testing.assert_array_equal(got["shfl_sync"], first + 7)
    above = np.where(lanes < 3, lanes, lanes - 3)
    np.testing.assert_array_equal(got["shfl_up_sync"], first + above)
    np.testing.assert_array_equal(
        got["shfl_down_sync"], first + np.where(lanes > 27, lanes, lanes + 4)
    )


def test_votes() -> None:
    ballot = "y[t] = np.uint32(cuda.ballot_sync(0xFFFFFFFF, t % 2 == 1))"
    odd = run(f"t = cuda.threadIdx.x\n{ballot}", X, NONE)
    assert set(odd) == {float(0xAAAAAAAA)}
    some = run("t = cuda.threadIdx.x\ny[t] = cuda.syncthreads_or(x[t] > 62.5)", X, NONE)
    none = run("t = cuda.threadIdx.x\ny[t] = cuda.syncthreads_or(x[t] > 63.5)", X, NONE)
    assert some.all()
    assert not none.any()
    assert set(run("y[cuda.threadIdx.x] = cuda.syncthreads_count(x[0] < 9.0)", X, NONE)) == {64.0}


def test_every_thread_of_every_block_runs() -> None:
    x = np.arange(5000.0)
    loop = "for i in range(cuda.grid(1), 5000, cuda.gridsize(1)):"
    body = f"{loop}\n    y[i] = x[i] + cuda.blockIdx.x"
    found = run(body, x, np.zeros(5000), blocks=7, threads=128)
    np.testing.assert_array_equal(found, x + np.arange(5000) % 896 // 128)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("y[cuda.threadIdx.x + 1] = 0.0", "8 bytes at 512 from the start of memory 1"),
        ("y[0] = x[cuda.threadIdx.x - 1]", "8 bytes at -8 from the start of memory 0"),
        ("x[cuda.threadIdx.x] = 0.0", "outside of all memory"),
        ("a, b = load2(x, cuda.threadIdx.x + 1)\ny[0] = a + b", "not a multiple of its size"),
        ("if cuda.threadIdx.x < 40:\n    cuda.syncthreads()", "same meeting"),
        ("if cuda.threadIdx.x < 40:\n    return\ncuda.syncthreads()", "same meeting"),
        (
            "if cuda.threadIdx.x < 40:\n    cuda.syncthreads()\nelse:\n    cuda.syncthreads()",
            "same meeting",
        ),
        ("if cuda.threadIdx.x < 9:\n    cuda.syncwarp(0xFFFFFFFF)", "same meeting"),
        ("y[0] = cuda.shfl_sync(0xFFFFFFFF, x[0], 40)", "gives none"),
    ],
)
def test_what_is_wrong_is_an_error(body: str, message: str) -> None:
    with pytest.raises(KernelError, match=re.escape(message)):
        run(body, X, NONE)


def test_part_of_a_warp_cannot_exchange() -> None:
    with pytest.raises(KernelError, match="less than 32 threads"):
        run("y[0] = cuda.shfl_sync(0xFFFFFFFF, x[0], 0)", X, NONE, threads=48)


def test_an_error_is_over_with_the_call() -> None:
    call = Call()
    call.array("x", X)
    y = call.array("y", NONE.copy(), written=True)
    kernel = call.load(HEAD + "    y[cuda.blockIdx.x * 64 + cuda.threadIdx.x] = x[0]\n")
    with pytest.raises(KernelError, match="block 1"):
        kernel.run(2, 64, call.given, call.memory)
    kernel.run(1, 64, call.given, call.memory)
    assert not y.any()
