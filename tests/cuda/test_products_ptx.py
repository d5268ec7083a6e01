"""Product kernels through NVIDIA's compiler and assembler: registers, no spills, fused sums."""

from __future__ import annotations

import re

import numpy as np
import pytest

from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.products import TILINGS, Product
from codegen.device.schedule import Argument
from codegen.loops.nodes import Buffer
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
