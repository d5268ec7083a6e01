"""Memory as compiled kernels access it: neighbours at once, arrays of blocks, atomic changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.cuda.native.scalars import Call

HEAD = "import math\n\nimport numpy as np\nfrom numba import cuda\n\n\ndef kernel(x, y):\n"
CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
RNG = np.random.default_rng(3)


def values(code: str, count: int) -> np.ndarray[Any, Any]:
    dtype = np.dtype(code)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return RNG.integers(limits.min, limits.max, count, dtype, endpoint=True)
    drawn = RNG.normal(size=count)
    if code == "?":
        return drawn > 0
    return (drawn + 1j * drawn[::-1] if dtype.kind == "c" else drawn).astype(dtype)


def run(lines: str, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], threads: int = 64) -> Any:
    """What a kernel of these lines leaves in y."""
    call = Call()
    call.array("x", x)
    made = call.array("y", y, written=True)
    call.run(HEAD + "".join(f"    {line}\n" for line in lines.strip().split("\n")), 1, threads)
    return made.view(y.dtype)


@pytest.mark.parametrize("code", CODES)
def test_neighbours_at_once(code: str) -> None:
    """Two, four and eight, from places that are aligned; written backwards."""
    lines = ["t = cuda.threadIdx.x", "whole = aligned(x)"]
    parts = []
    for count, start in ((2, 0), (4, 64), (8, 192)):
        names = [f"v{count}_{part}" for part in range(count)]
        place = f"{start} + {count} * t"
        lines += [
            f"{', '.join(names)} = load{count}(x, {place})",
            f"store{count}(y, {place}, {', '.join(reversed(names))})",
        ]
        parts.append((start, start + 32 * count, count))
    lines += ["if not whole:", "    y[0] = x[1]"]
    x = values(code, 448)
    found = run("\n".join(lines), x, np.zeros_like(x), threads=32)
    for start, stop, count in parts:
        due = x[start:stop].reshape(-1, count)[:, ::-1].ravel()
        np.testing.assert_array_equal(found[start:stop], due)


@pytest.mark.parametrize("code", CODES)
def test_shared_and_own_arrays(code: str) -> None:
    """Through an array of the block's, one that lies behind it, and one of the thread's."""
    name = f"np.{np.dtype(code).name}".replace("np.bool", "np.bool_")
    lines = f"""
first = cuda.shared.array(64, {name})
second = cuda.shared.array(64, {name})
own = cuda.local.array(3, {name})
t = cuda.threadIdx.x
first[t] = x[t]
second[63 - t] = x[t]
cuda.syncthreads()
for k in range(3):
    own[k] = first[(t + k) & 63]
y[3 * t] = own[1]
y[3 * t + 1] = own[2]
y[3 * t + 2] = second[t]
"""
    x = values(code, 64)
    found = run(lines, x, np.zeros(192, x.dtype)).reshape(64, 3)
    np.testing.assert_array_equal(found[:, 0], np.roll(x, -1))
    np.testing.assert_array_equal(found[:, 1], np.roll(x, -2))
    np.testing.assert_array_equal(found[:, 2], x[::-1])


@pytest.mark.parametrize("code", ["i4", "u4", "i8", "u8", "f4", "f8"])
def test_shuffles_keep_every_bit(code: str) -> None:
    x = values(code, 64)
    found = run("t = cuda.threadIdx.x\ny[t] = cuda.shfl_xor_sync(0xFFFFFFFF, x[t], 9)", x, x.copy())
    np.testing.assert_array_equal(found, x[np.arange(64) ^ 9])


@pytest.mark.parametrize("code", ["i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("shared", [False, True])
def test_atomic_sums(code: str, shared: bool) -> None:
    """What was there before comes back; several threads add to one element."""
    name = np.dtype(code).name
    target = "room" if shared else "y"
    lines = [f"room = cuda.shared.array(4, np.{name})"] if shared else []
    lines += ["t = cuda.threadIdx.x"]
    lines += ["if t < 4:", "    room[t] = y[t]", "cuda.syncthreads()"] if shared else []
    lines += [f"before = cuda.atomic.add({target}, t & 3, x[t])", "y[4 + t] = before"]
    lines += ["cuda.syncthreads()", "if t < 4:", "    y[t] = room[t]"] if shared else []
    x = np.arange(64).astype(code)
    y = np.zeros(68, code)
    y[:4] = 100
    found = run("\n".join(lines), x, y)
    np.testing.assert_array_equal(found[:4], 100 + x.reshape(16, 4).sum(axis=0).astype(code))
    for lane in range(4):
        befores = np.sort(found[4 + lane :: 4])
        sums = 100 + np.concatenate([[0], np.cumsum(x[lane::4])[:-1]])
        np.testing.assert_array_equal(befores, np.sort(sums.astype(code)))


@pytest.mark.parametrize(("name", "due"), [("max", np.maximum), ("min", np.minimum)])
@pytest.mark.parametrize("code", ["i4", "u4", "i8", "u8"])
def test_atomic_extremes(code: str, name: str, due: np.ufunc) -> None:
    x = values(code, 64)
    y = values(code, 1)
    found = run(f"cuda.atomic.{name}(y, 0, x[cuda.threadIdx.x])", x, y.copy())
    assert found[0] == due(due.reduce(x), y[0])


@pytest.mark.parametrize("code", ["i4", "u4", "i8", "u8"])
def test_atomic_exchange(code: str) -> None:
    """The first thread alone finds what it expects."""
    y = np.zeros(65, code)
    text = "t = cuda.threadIdx.x\ny[t + 1] = cuda.atomic.cas(y, 0, 0, x[t] | 1)"
    found = run(text, values(code, 64), y)
    assert found[0]
    assert found[0] & 1
    assert np.count_nonzero(found[1:] == 0) == 1
    assert set(found[1:]) == {0, found[0]}


def test_special_places() -> None:
    lines = """
i = cuda.grid(1)
y[5 * i] = cuda.threadIdx.x + 100 * cuda.blockIdx.x
y[5 * i + 1] = cuda.blockDim.x
y[5 * i + 2] = cuda.gridDim.x
y[5 * i + 3] = cuda.gridsize(1)
y[5 * i + 4] = cuda.threadIdx.y + cuda.blockIdx.z + cuda.blockDim.y
"""
    call = Call()
    call.array("x", np.zeros(1))
    y = call.array("y", np.zeros(5 * 96, np.int32), written=True)
    call.run(HEAD + "".join(f"    {line}\n" for line in lines.strip().split("\n")), 3, 32)
    i = np.arange(96)
    ones = np.ones(96)
    due = [i % 32 + 100 * (i // 32), 32 * ones, 3 * ones, 96 * ones, ones]
    np.testing.assert_array_equal(y.reshape(96, 5), np.stack(due, axis=1))
