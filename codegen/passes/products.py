"""Matrix products of our own: those which are large enough get memory for packed blocks.

That memory is a buffer of the workspace like any other, so it is placed by lifetime, and a program
without products has none. Which products stay calls of BLAS, and which become loops, is decided
here and in `codegen/render/llvm_matmul.py`, by sizes alone (`docs/decisions/011-matrix-products.md`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.loops.nodes import Buffer, Call, Program, Statement, View
from codegen.passes.rewrite import Body, map_blocks
from kernels.product import scratch_elements

PRODUCT_DTYPES = frozenset((np.dtype(np.float32), np.dtype(np.float64)))
PRODUCT_FROM = 4096
"""Multiplications from which on tiles pay; fewer are loops."""


def use_products(program: Program) -> Program:
    """The program with `product` in place of `matmul` where that is the faster one."""
    maker = _Maker()
    body = maker.block(program.body)
    if not maker.made:
        return program
    return replace(program, workspace=(*program.workspace, *maker.made), body=body)


def is_product(call: Call) -> bool:
    """Whether a call is a matrix product that runs in tiles."""
    if call.kernel != "matmul" or call.results[0].buffer.dtype not in PRODUCT_DTYPES:
        return False
    left, right = (view.shape for view in call.operands)
    if len(left) != 2 or len(right) != 2:
        return False
    rows, depth, columns = left[0], left[1], right[1]
    return min(rows, columns) > 1 and rows * depth * columns >= PRODUCT_FROM


class _Maker:
    """Rewrites calls; `made` are the buffers for packed blocks, one for each size."""

    def __init__(self) -> None:
        self.made: list[Buffer] = []

    def block(self, body: Body) -> Body:
        """The statements with products for calls of matmul."""
        return tuple([self.statement(statement) for statement in body])

    def statement(self, statement: Statement) -> Statement:
        """One statement, its blocks included."""
        if isinstance(statement, Call):
            return self.call(statement) if is_product(statement) else statement
        return map_blocks(statement, self.block)

    def call(self, call: Call) -> Call:
        """The product with memory of its own."""
        left, right = call.operands
        size = scratch_elements(left.shape[0], right.shape[1], left.shape[1])
        dtype = call.results[0].buffer.dtype
        scratch = Buffer(f"packed{len(self.made) + 1}", dtype, (size,), "workspace")
        self.made.append(scratch)
        return replace(call, kernel="product", results=(*call.results, View(scratch)))
