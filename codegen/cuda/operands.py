"""What the libraries' products are told: dtypes as they number them, and stacks of matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

TYPE_CODES = {"f2": 2, "V2": 14, "f4": 0, "f8": 1, "c8": 4, "c16": 5}
"""cudaDataType by dtype; V2 is what NumPy calls bfloat16."""
COMPUTE_CODES = {"f2": 68, "V2": 68, "f4": 68, "f8": 70, "c8": 68, "c16": 70}
"""cublasComputeType: sums of float16 and bfloat16 in float32, and never TF32."""


class Operand(NamedTuple):
    """A stack of column-major matrices: how far apart columns and matrices are, in elements."""

    array: Any
    leading: int
    stride: int
    transposed: bool = False


Sizes = tuple[int, int, int]
"""Rows, columns and depth of a product."""
