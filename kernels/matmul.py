"""The matrix product of NumPy's `matmul` for one- and two-dimensional operands, by BLAS where
there is one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kernels.registry import Array, ArraySpec, Kernel, Params

BLAS_DTYPES = frozenset(np.dtype(name) for name in ("f4", "f8", "c8", "c16"))


def result_spec(operands: tuple[ArraySpec, ...], params: Params) -> tuple[ArraySpec, ...]:
    """`(m, k) @ (k, n)`, where either operand may lack its outer dimension; equal dtypes.

    The parameter `kept` says whether the result is needed in memory, where something is made of
    its elements at once; `batch`, how many axes the stacks have, of which an operand that is one
    for all has none. A library's product may have a third operand, `(n,)`, which is added to each
    row, and be `relu` in the end: what is not above 0 becomes 0, and NaN stays. That of float16 or
    bfloat16 may be `wide`: float32, as its sums are.
    """
    if len(operands) not in (2, 3) or not set(params) <= {"kept", "batch", "relu", "wide"}:
        raise ValueError("matmul takes two operands and a bias, kept, batch, relu, wide, no others")
    if params.get("batch"):
        leads = [operand.shape[:-2] for operand in operands]
        inner = tuple(ArraySpec(operand.dtype, operand.shape[-2:]) for operand in operands)
        (one,) = result_spec(inner, {"wide": params.get("wide", False)})
        return (ArraySpec(one.dtype, (*np.broadcast_shapes(*leads), *one.shape)),)
    left, right, *bias = operands
    if bias and bias[0] != ArraySpec(right.dtype, right.shape[1:]):
        raise ValueError(f"a bias of {right.dtype} {right.shape[1:]} is added, not {bias[0]}")
    if left.dtype != right.dtype:
        raise TypeError(f"matmul of {left.dtype} and {right.dtype}: cast one of them first")
    if len(left.shape) not in (1, 2) or len(right.shape) not in (1, 2):
        raise ValueError(f"matmul takes vectors and matrices, not {left.shape} and {right.shape}")
    if left.shape[-1] != right.shape[0]:
        raise ValueError(f"matmul cannot contract {left.shape} with {right.shape}")
    dtype = np.dtype(np.float32) if params.get("wide") else left.dtype
    return (ArraySpec(dtype, left.shape[:-1] + right.shape[1:]),)


def evaluate(operands: tuple[Array, ...], params: Params) -> tuple[Array, ...]:
    """NumPy's own; of bfloat16 float32's, rounded at its end."""
    left, right, *bias = operands
    dtype = left.dtype
    if params.get("wide"):
        dtype = np.dtype(np.float32)
        left, right = left.astype(dtype), right.astype(dtype)
    result = np.asarray(np.matmul(left, right)).astype(dtype, copy=False)
    for row in bias:
        result = result + row
    return (np.maximum(result, 0) if params.get("relu") else result,)


def matmul_blas(result: Array, left: Array, right: Array) -> None:
    """result = left @ right by BLAS; transposed operands are passed as they lie."""
    np.dot(left, right, result)


def dot_blas(result: Array, left: Array, right: Array) -> None:
    """result[()] = left @ right for two vectors."""
    result[()] = np.dot(left, right)


def matmul_loops(result: Array, left: Array, right: Array) -> None:
    """result = left @ right for dtypes that BLAS lacks; rows of `right` are read in order."""
    for i in range(left.shape[0]):
        for j in range(right.shape[1]):
            result[i, j] = left[i, 0] * right[0, j]
        for k in range(1, left.shape[1]):
            for j in range(right.shape[1]):
                result[i, j] += left[i, k] * right[k, j]


def vector_matrix_loops(result: Array, left: Array, right: Array) -> None:
    """result = left @ right where `left` is a vector."""
    for j in range(right.shape[1]):
        total = left[0] * right[0, j]
        for k in range(1, left.shape[0]):
            total += left[k] * right[k, j]
        result[j] = total


def matrix_vector_loops(result: Array, left: Array, right: Array) -> None:
    """result = left @ right where `right` is a vector."""
    for i in range(left.shape[0]):
        total = left[i, 0] * right[0]
        for k in range(1, left.shape[1]):
            total += left[i, k] * right[k]
        result[i] = total


def dot_loops(result: Array, left: Array, right: Array) -> None:
    """result[()] = left @ right for two vectors of a dtype that BLAS lacks."""
    total = left[0] * right[0]
    for k in range(1, left.shape[0]):
        total += left[k] * right[k]
    result[()] = total


def fill_zero(result: Array, left: Array, right: Array) -> None:
    """result = 0: a sum over nothing."""
    result[...] = 0


def choose_form(operands: tuple[ArraySpec, ...], params: Params) -> Callable[..., None]:
    """BLAS for floating and complex numbers, loops for integers and bool."""
    if len(operands) != 2 or params.get("relu"):
        raise ValueError("a product with a bias or relu is a library's, on a device")
    left, right = operands
    if left.shape[-1] == 0:
        return fill_zero
    vectors = (len(left.shape) == 1, len(right.shape) == 1)
    if left.dtype in BLAS_DTYPES:
        return dot_blas if vectors == (True, True) else matmul_blas
    forms = {
        (False, False): matmul_loops,
        (True, False): vector_matrix_loops,
        (False, True): matrix_vector_loops,
        (True, True): dot_loops,
    }
    return forms[vectors]


KERNEL = Kernel("matmul", result_spec, evaluate, choose_form)
