"""Scalar operations, run by a kernel that computes many of them over arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from codegen.device.schedule import Argument, Kernel
from tests.cuda.native.compilers import Compiler, product
from tests.cuda.native.machine import NativeKernel
from tests.cuda.scalar_kernels import Case, kernel_text

Array = np.ndarray[Any, np.dtype[Any]]
BYTE, COUNT = np.dtype(np.uint8), np.dtype(np.int64)


class Call:
    """What a kernel is called with, argument after argument."""

    def __init__(self) -> None:
        self.arguments: list[Argument] = []
        self.given: list[bytes] = []
        self.memory: list[tuple[int, int, bool]] = []
        self.held: list[Array] = []

    def number(self, name: str, value: Any) -> None:
        """A number of its own dtype."""
        self.arguments.append(Argument(name, np.asarray(value).dtype, "scalar"))
        self.given.append(np.asarray(value).tobytes())

    def array(self, name: str, array: Array, *, written: bool = False) -> Array:
        """Memory; booleans are bytes."""
        dtype = BYTE if array.dtype.kind == "b" else array.dtype
        kept = np.ascontiguousarray(array)
        self.arguments.append(Argument(name, dtype, "pointer", None, written))
        start = int(kept.ctypes.data)
        self.given.append(np.uint64(start).tobytes())
        self.memory.append((start, start + kept.nbytes, written))
        self.held.append(kept)
        return kept

    def load(self, text: str, make: Compiler = product) -> NativeKernel:
        """The function `kernel` of a text, compiled."""
        return NativeKernel(make(Kernel("kernel", text, tuple(self.arguments))), "kernel")

    def run(
        self,
        text: str,
        blocks: int,
        threads: int,
        make: Compiler = product,
        *,
        backward: bool = False,
    ) -> None:
        """Compile it, and run it once."""
        self.load(text, make).run(blocks, threads, self.given, self.memory, backward)


def run_cases(
    cases: Sequence[Case], operands: Sequence[Sequence[Array]], make: Compiler = product
) -> list[Array]:
    """The results of the cases for their operands, all of them by one kernel."""
    count = max(array.size for arrays in operands for array in arrays)
    call = Call()
    call.number("count", np.int64(count))
    results = []
    for number, (case, arrays) in enumerate(zip(cases, operands, strict=True)):
        for letter, array in zip("abc", arrays, strict=False):
            call.array(f"case{number}_{letter}", np.resize(array, count))
        made = np.zeros(count, case.result)
        results.append(call.array(f"result{number}", made, written=True)[: arrays[0].size])
    call.run(kernel_text(cases, looped=True), 1, 1, make=make)
    return results
