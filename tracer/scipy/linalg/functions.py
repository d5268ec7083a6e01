"""Functions of matrices, and matrices of a special form."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import ConcretizationError
from tracer.numpy.common import as_array
from tracer.numpy.joining import concatenate
from tracer.numpy.linear_systems import as_matrices, square_matrix
from tracer.primitives import matrix_functions
from tracer.primitives.broadcast import full, reshape
from tracer.primitives.cast import cast, imag_part, real_part
from tracer.scipy.linalg.wrap import linalg_function
from tracer.trace import Tracer
from tracer.types import complex_dtype, is_complex


@linalg_function
def expm(A: Any) -> Any:
    """The exponential of square matrices."""
    x = square_matrix(A)
    return full(x.shape, 0, x.dtype) if 0 in x.shape[-2:] else matrix_functions.exponential(x)


@linalg_function
def expm_frechet(
    A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """The exponential of A, and its derivative along E."""
    a, e = as_matrices(A, E)
    moved = matrix_functions.exponential_derivative(a, e)
    return (matrix_functions.exponential(a), moved) if compute_expm else moved


def _with_real_result(x: Any, name: str) -> Any:
    """The matrix, made complex where its values are known and need that."""
    import scipy.linalg

    if is_complex(x.dtype):
        return x
    try:
        known = x.concrete(name) if type(x) is Tracer else x
    except ConcretizationError:
        return x
    found = np.asarray(getattr(scipy.linalg, name)(known))
    return cast(x, complex_dtype(x.dtype)) if found.dtype.kind == "c" else x


@linalg_function
def sqrtm(A: Any, disp: Any = True, blocksize: int = 64) -> Any:
    """The principal square root. Without values (under `jit`) that of a real matrix is real, and
    LinAlgError where it is not."""
    x = _with_real_result(square_matrix(A), "sqrtm")
    return full(x.shape, 0, x.dtype) if 0 in x.shape[-2:] else matrix_functions.square_root(x)


@linalg_function
def logm(A: Any, disp: Any = True) -> Any:
    """The principal logarithm; real as in `sqrtm`."""
    x = _with_real_result(square_matrix(A), "logm")
    return full(x.shape, 0, x.dtype) if 0 in x.shape[-2:] else matrix_functions.logarithm(x)


def _turned(x: Any) -> Any:
    """i·x"""
    wide = x if is_complex(x.dtype) else cast(x, complex_dtype(x.dtype))
    return wide * wide.dtype.type(1j)


@linalg_function
def cosm(A: Any) -> Any:
    """The cosine of square matrices."""
    x = square_matrix(A)
    found = matrix_functions.exponential(_turned(x))
    if not is_complex(x.dtype):
        return real_part(found)
    back = matrix_functions.exponential(-_turned(x))
    return (found + back) * x.dtype.type(0.5)


@linalg_function
def sinm(A: Any) -> Any:
    """The sine of square matrices."""
    x = square_matrix(A)
    found = matrix_functions.exponential(_turned(x))
    if not is_complex(x.dtype):
        return imag_part(found)
    back = matrix_functions.exponential(-_turned(x))
    return (found - back) * x.dtype.type(-0.5j)


@linalg_function
def block_diag(*arrs: Any) -> Any:
    """The matrix with the given ones on its diagonal."""
    blocks = [np.zeros((1, 0))] if not arrs else [as_array(array) for array in arrs]
    blocks = [
        reshape(x, (1, x.shape[0] if x.shape else 1)) if len(x.shape) < 2 else x for x in blocks
    ]
    if any(len(x.shape) > 2 for x in blocks):
        raise ValueError("arguments in the following positions have dimension greater than 2")
    dtype = np.result_type(*[x.dtype for x in blocks])
    width = sum(x.shape[1] for x in blocks)
    rows, start = [], 0
    for block in blocks:
        height, columns = block.shape
        before = np.zeros((height, start), dtype)
        after = np.zeros((height, width - start - columns), dtype)
        rows.append(concatenate([before, cast(block, dtype), after], 1))
        start += columns
    return concatenate(rows, 0)


def _flat(x: Any) -> Any:
    x = as_array(x)
    return reshape(x, (int(np.prod(x.shape)),))


@linalg_function
def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix with `c` as first column and `r` as first row, constant along diagonals."""
    column = _flat(c)
    if r is None:
        row = np.conjugate(column) if is_complex(column.dtype) else column
    else:
        row = _flat(r)
    values = concatenate([column[::-1], row[1:]])
    height, width = column.shape[0], row.shape[0]
    places = height - 1 + np.arange(width) - np.arange(height)[:, None]
    return values[places]


@linalg_function
def circulant(c: Any) -> Any:
    """The matrix whose columns are `c` turned round."""
    column = as_array(c)
    size = column.shape[-1]
    places = (np.arange(size)[:, None] - np.arange(size)) % size
    return column[..., places]


@linalg_function
def hankel(c: Any, r: Any = None) -> Any:
    """The matrix with `c` as first column and `r` as last row, constant along antidiagonals."""
    column = _flat(c)
    row = np.zeros(column.shape, column.dtype) if r is None else _flat(r)
    values = concatenate([column, row[1:]])
    return values[np.arange(column.shape[0])[:, None] + np.arange(row.shape[0])]


@linalg_function
def companion(a: Any) -> Any:
    """The companion matrix of a polynomial, coefficients from the highest power on."""
    values = _flat(a)
    if values.shape[0] < 2:
        raise ValueError("The length of `a` along the last axis must be at least 2.")
    first = -values[1:] / values[0]
    size = first.shape[0]
    return concatenate([reshape(first, (1, size)), np.eye(size, dtype=first.dtype)[:-1]], 0)
