"""What the machine can do at best: bytes a second by where they lie, and operations a second.

Both are measured, not looked up. Bandwidth is that of copy and triad (J. McCalpin, STREAM, 1995) on
arrays of several sizes, so that what lies in a cache is compared with that cache; as there, the
reading of a line before it is written is not counted. Operations are multiply-adds in registers,
two each, by a loop which LLVM vectorizes, and those of the BLAS on square matrices, whichever is
more. The share of a measurement is the time that the binding limit allows over the time it took.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.display import Table
from bench.workload import Work

FUNCTION_FLOPS = 20.0
"""What a value of exp, log, sin or tanh counts: ten multiply-adds, the least that their polynomials
and the steps around them need in double precision. A division or a root counts as much: processors
begin one in the time of ten to sixteen multiply-adds."""
WORKING_SETS = {"L1": 24 * 2**10, "L2": 384 * 2**10, "L3": 6 * 2**20, "memory": 192 * 2**20}
"""Bytes of the three arrays together, by the level of the memory that is meant."""
LINKS = 16
"""Multiply-adds on an element between its load and its store."""
MATRIX = 512
SECONDS = 0.15
"""Of repeated runs of each kernel; the fastest counts."""


@dataclass(frozen=True)
class Limits:
    """Operations a second in float64 and float32, and bytes a second by the bytes touched."""

    flops64: float
    flops32: float
    bandwidths: Mapping[int, float]

    def seconds(self, work: Work) -> float:
        """The least time in which some work could be done here, in float64."""
        return max(work.flops / self.flops64, work.bytes / self.bandwidth(work.bytes))

    def bandwidth(self, touched: float) -> float:
        """Bytes a second where that many lie; that of the largest size for all beyond it."""
        fitting = [size for size in self.bandwidths if size >= touched]
        return self.bandwidths[min(fitting) if fitting else max(self.bandwidths)]

    def bound(self, work: Work) -> str:
        """Which limit binds: "flops" or "bytes"."""
        by_flops = work.flops / self.flops64 >= work.bytes / self.bandwidth(work.bytes)
        return "flops" if by_flops else "bytes"

    def best(self, other: "Limits") -> "Limits":
        """The larger of each: what disturbed one measurement need not have disturbed the other."""
        bandwidths = {
            size: max(value, other.bandwidths.get(size, 0.0))
            for size, value in self.bandwidths.items()
        }
        return Limits(
            max(self.flops64, other.flops64), max(self.flops32, other.flops32), bandwidths
        )

    def as_json(self) -> dict[str, Any]:
        """For a result file."""
        return {
            "flops64": self.flops64,
            "flops32": self.flops32,
            "bandwidths": {str(size): value for size, value in self.bandwidths.items()},
        }


def limits_of_json(content: Mapping[str, Any]) -> Limits:
    """What `as_json` wrote; KeyError or ValueError for anything else."""
    return Limits(
        float(content["flops64"]),
        float(content["flops32"]),
        {int(size): float(value) for size, value in content["bandwidths"].items()},
    )


def measure_limits(seconds: float = SECONDS) -> Limits:
    """Measure this machine with the threads that the process has; it takes a few seconds."""
    multiply_adds, copy, triad = _compile_kernels()
    flops = {
        dtype: max(_multiply_add_rate(multiply_adds, dtype, seconds), _matrix_rate(dtype, seconds))
        for dtype in (np.float64, np.float32)
    }
    bandwidths = {size: _bandwidth(copy, triad, size, seconds) for size in WORKING_SETS.values()}
    return Limits(flops[np.float64], flops[np.float32], bandwidths)


def limits_table(limits: Limits) -> Table:
    """Limits as rows of text."""
    names = {size: name for name, size in WORKING_SETS.items()}
    rows = [
        ("operations, float64", f"{limits.flops64 / 1e9:.1f} Gflop/s"),
        ("operations, float32", f"{limits.flops32 / 1e9:.1f} Gflop/s"),
    ]
    rows += [
        (
            f"copy and triad, {_size_text(size)} ({names.get(size, 'other')})",
            f"{value / 1e9:.1f} GB/s",
        )
        for size, value in sorted(limits.bandwidths.items())
    ]
    return Table("limits of this machine, with the run's threads", ("limit", "measured"), rows)


def _size_text(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


def _compile_kernels() -> tuple[Callable[..., Any], ...]:
    """The three loops, as anybody would write them for Numba."""
    import numba

    def multiply_adds(x: Any, factor: Any, term: Any, rounds: int) -> None:
        for _ in range(rounds):
            for i in range(x.size):
                y = x[i]
                # Sixteen, written out: an inner loop would be vectorized in the place of this one.
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                y = y * factor + term
                x[i] = y

    def copy(a: Any, b: Any, c: Any, rounds: int) -> None:
        for _ in range(rounds):
            for i in range(a.size):
                a[i] = b[i]

    def triad(a: Any, b: Any, c: Any, rounds: int) -> None:
        for _ in range(rounds):
            for i in range(a.size):
                a[i] = b[i] + 0.5 * c[i]

    compiler = numba.njit(fastmath={"contract"}, error_model="numpy")
    return tuple(compiler(kernel) for kernel in (multiply_adds, copy, triad))


def _multiply_add_rate(kernel: Callable[..., Any], dtype: Any, seconds: float) -> float:
    x = np.linspace(0.5, 1.5, 1024, dtype=dtype)
    rounds, factor, term = 50, dtype(0.5), dtype(0.5)
    fastest = _fastest(lambda: kernel(x, factor, term, rounds), seconds)
    return 2.0 * LINKS * x.size * rounds / fastest


def _matrix_rate(dtype: Any, seconds: float) -> float:
    a = np.linspace(-1.0, 1.0, MATRIX * MATRIX, dtype=dtype).reshape(MATRIX, MATRIX)
    result = np.empty_like(a)
    return 2.0 * MATRIX**3 / _fastest(lambda: np.matmul(a, a, out=result), seconds)


def _bandwidth(
    copy: Callable[..., Any], triad: Callable[..., Any], size: int, seconds: float
) -> float:
    count = size // 24
    arrays = [np.full(count, value) for value in (0.0, 1.0, 2.0)]
    rounds = max(1, 2**20 // size)
    copied = _fastest(lambda: copy(*arrays, rounds), seconds)
    added = _fastest(lambda: triad(*arrays, rounds), seconds)
    return count * rounds * max(16.0 / copied, 24.0 / added)


def _fastest(call: Callable[[], object], seconds: float) -> float:
    call()
    fastest, started = float("inf"), time.perf_counter()
    while time.perf_counter() - started < seconds or fastest == float("inf"):
        before = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - before)
    return fastest
