"""Kernels written by hand, of each kind that the compilers have to know."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Buffer

HEAD = """
import math

import numpy as np
from numba import cuda
"""

EXPONENTIAL = """
def exponential(x, y, count):
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        y[i] = math.exp(x[i])
"""

TOTAL = """
def total(x, y, count):
    room = cuda.shared.array(128, np.float32)
    lane = cuda.threadIdx.x
    part = np.float32(0.0)
    for i in range(lane, count, 128):
        part = part + x[i]
    room[lane] = part
    cuda.syncthreads()
    width = 64
    while width > 0:
        if lane < width:
            room[lane] = room[lane] + room[lane + width]
        cuda.syncthreads()
        width = width // 2
    if lane == 0:
        y[0] = room[0]
"""

HISTOGRAM = """
def histogram(x, y, count):
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        cuda.atomic.add(y, x[i], 1.0)
"""

PRODUCT = """
def product(x, y, count):
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        y[i] = x[i] * x[i].conjugate()
"""

MASK = """
@cuda.jit(device=True, inline="always")
def larger(a, b):
    return a if a > b else b


def mask(x, y, count):
    for i in range(cuda.grid(1), count, cuda.gridsize(1)):
        y[i] = (not x[i]) if larger(i, 5) > 5 else x[0]
"""


def example(name: str, text: str, dtype: str, result: str = "") -> Kernel:
    """A kernel of an input `x`, a result `y` and a `count`."""
    given, made = np.dtype(dtype), np.dtype(result or dtype)
    arguments = (
        Argument("x", given, "pointer", Buffer("x", given, (1000,), "input")),
        Argument("y", made, "pointer", Buffer("y", made, (1000,), "output"), written=True),
        Argument("count", np.dtype(np.int64), "scalar"),
    )
    return Kernel(name, HEAD + text, arguments)


KERNELS: Mapping[str, Kernel] = {
    kernel.name: kernel
    for kernel in (
        example("exponential", EXPONENTIAL, "f8"),
        example("total", TOTAL, "f4"),
        example("histogram", HISTOGRAM, "i8", "f8"),
        example("product", PRODUCT, "c16"),
        example("mask", MASK, "?"),
    )
}
