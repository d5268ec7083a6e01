"""The matrix product with memory to pack blocks into: the first result is the product, the second
that memory, whose contents mean nothing afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels import matmul
from kernels.registry import Array, ArraySpec, Kernel, Params

DEPTH_BLOCK = 256
ROW_BLOCK = 128
COLUMN_BLOCK = 1536
"""The extents of blocks: one of B is at most 3 MB of float64, one of A 256 KB, and a panel of B
of 12 columns 24 KB, which fit into caches of the third, second and first level.
"""
TALLEST_TILE = 8
WIDEST_TILE = 48


def scratch_elements(rows: int, columns: int, depth: int) -> int:
    """How many elements the packed blocks and one tile take at most, for tiles of any machine."""
    deep = min(depth, DEPTH_BLOCK)
    packed = min(columns, COLUMN_BLOCK) + WIDEST_TILE + min(rows, ROW_BLOCK) + TALLEST_TILE
    return TALLEST_TILE * WIDEST_TILE + deep * packed


def result_spec(operands: tuple[ArraySpec, ...], params: Params) -> tuple[ArraySpec, ...]:
    """`(m, k) @ (k, n)` of equal dtypes, and the memory.

    The parameter `panel`, where there is one, names the index of the loop around the call: the
    right operand is packed already where that is not 0.
    """
    if not set(params) <= {"panel"}:
        raise ValueError(f"product has no parameters {sorted(params)}")
    (product,) = matmul.result_spec(operands, {})
    if len(product.shape) != 2:
        raise ValueError(f"product takes matrices, not {operands[0].shape} and {operands[1].shape}")
    rows, columns = product.shape
    size = scratch_elements(rows, columns, operands[0].shape[1])
    return product, ArraySpec(product.dtype, (size,))


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """NumPy's own, and zeros."""
    (product,) = matmul.evaluate(operands, {})
    (rows, depth), columns = operands[0].shape, operands[1].shape[1]
    size = scratch_elements(rows, columns, depth)
    return product, np.zeros(size, product.dtype)


def product_blas(result: Array, scratch: Array, left: Array, right: Array, panel: str = "") -> None:
    """result = left @ right by BLAS, which has memory of its own."""
    np.dot(left, right, result)


def product_zero(result: Array, scratch: Array, left: Array, right: Array, panel: str = "") -> None:
    """result = 0: a sum over nothing."""
    result[...] = 0


def choose_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """BLAS where there is something to sum."""
    return product_blas if operands[0].shape[1] else product_zero


KERNEL = Kernel("product", result_spec, evaluate, choose_form)
