"""Matrix products of our own: those which are large enough get memory for packed blocks.

That memory is a buffer of the workspace like any other, so it is placed by lifetime, and a program
without products has none. Which products are loops is decided in
`codegen/lower/contraction.py`, and which stay calls of BLAS here, by sizes alone
(`docs/decisions/011-matrix-products.md`).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.loops.nodes import Buffer, Call, Program, Statement, View
from codegen.passes.panels import panels
from codegen.passes.rewrite import Body, map_blocks
from kernels.product import scratch_elements

PRODUCT_DTYPES = frozenset((np.dtype(np.float32), np.dtype(np.float64)))
BLAS_FROM = {16: 128**3, 32: 512**3}
"""By bytes of a vector register, from how many multiplications on BLAS is called instead: it is as
fast on one core there, and has threads of its own.
"""


def use_products(program: Program, vector_bytes: int, by_panels: bool = False) -> Program:
    """The program with `product` in place of `matmul` where that is the faster one.

    With `by_panels` loops over the rows of a product run with the product, some rows at a time: one
    thread then does both.
    """
    maker = _Maker(vector_bytes)
    body = maker.block(program.body)
    if not maker.made:
        return program
    changed = replace(program, workspace=(*program.workspace, *maker.made), body=body)
    return panels(changed) if by_panels else changed


def is_product(call: Call, vector_bytes: int) -> bool:
    """Whether a call is a matrix product that runs in tiles of vectors of so many bytes."""
    if call.kernel != "matmul" or call.results[0].buffer.dtype not in PRODUCT_DTYPES:
        return False
    left, right = (view.shape for view in call.operands)
    if len(left) != 2 or len(right) != 2:
        return False
    rows, depth, columns = left[0], left[1], right[1]
    work = rows * depth * columns
    if min(rows, columns) <= 1 or work == 0:
        return False
    return vector_bytes not in BLAS_FROM or work < BLAS_FROM[vector_bytes]


class _Maker:
    """Rewrites calls; `made` are the buffers for packed blocks, one for each size."""

    def __init__(self, vector_bytes: int) -> None:
        self.vector_bytes = vector_bytes
        self.made: list[Buffer] = []

    def block(self, body: Body) -> Body:
        """The statements with products for calls of matmul."""
        return tuple([self.statement(statement) for statement in body])

    def statement(self, statement: Statement) -> Statement:
        """One statement, its blocks included."""
        if isinstance(statement, Call):
            return self.call(statement) if is_product(statement, self.vector_bytes) else statement
        return map_blocks(statement, self.block)

    def call(self, call: Call) -> Call:
        """The product with memory of its own."""
        left, right = call.operands
        size = scratch_elements(left.shape[0], right.shape[1], left.shape[1])
        dtype = call.results[0].buffer.dtype
        scratch = Buffer(f"packed{len(self.made) + 1}", dtype, (size,), "workspace")
        self.made.append(scratch)
        return replace(call, kernel="product", results=(*call.results, View(scratch)))
