"""`numpy.linalg`: systems of equations, inverses, determinants, powers, least squares."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from tracer.errors import DTypeError, LinAlgError
from tracer.numpy.common import NO_VALUE, array_function, as_array, where_text
from tracer.numpy.contractions import matrix_product
from tracer.numpy.reductions import max as max_of
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.shapes import moveaxis
from tracer.primitives import determinant as determinants
from tracer.primitives import lu, matrices, orthogonal, spectral, triangular
from tracer.primitives.arithmetic import absolute, divide, square
from tracer.primitives.broadcast import broadcast_to, full, reshape
from tracer.primitives.cast import cast, imag_part, real_part
from tracer.primitives.comparison import greater, isnan, logical_and, select
from tracer.trace import Tracer
from tracer.types import (
    INT64,
    DType,
    Shape,
    broadcast_shapes,
    is_complex,
    real_dtype,
)

Matrix = Any


@functools.cache
def result_class(function: Any) -> Any:
    """The named tuple that a function of `numpy.linalg` returns."""
    return type(function(np.eye(1)))


def common_dtype(*arrays: Any) -> DType:
    """The dtype in which LAPACK computes: double precision for whole numbers."""
    found: Any = None
    for array in arrays:
        dtype = array.dtype
        if dtype == np.float16:
            raise DTypeError(f"{where_text()}array type float16 is unsupported in linalg")
        dtype = dtype if dtype.kind in "fc" else np.dtype(np.float64)
        found = dtype if found is None else np.result_type(found, dtype)
    result: DType = found
    return result


def as_matrices(*values: Any) -> list[Any]:
    """The values as arrays of one dtype that LAPACK knows."""
    arrays = [as_array(value) for value in values]
    dtype = common_dtype(*arrays)
    return [array if array.dtype == dtype else cast(array, dtype) for array in arrays]


def check_stacked(*arrays: Any) -> None:
    """LinAlgError for what has less than two dimensions."""
    for array in arrays:
        if len(array.shape) < 2:
            raise LinAlgError(
                f"{where_text()}{len(array.shape)}-dimensional array given. Array must be at least "
                "two-dimensional"
            )


def check_square(*arrays: Any) -> None:
    """LinAlgError for matrices that are not square."""
    check_stacked(*arrays)
    for array in arrays:
        if array.shape[-1] != array.shape[-2]:
            raise LinAlgError(f"{where_text()}Last 2 dimensions of the array must be square")


def square_matrix(a: Any) -> Any:
    """One stack of square matrices, from what the user gave."""
    (x,) = as_matrices(a)
    check_square(x)
    return x


def is_empty(x: Any) -> bool:
    """Whether the matrices have no elements."""
    return 0 in x.shape[-2:]


def solve_columns(a: Any, b: Any) -> Any:
    """The solutions of systems (…, n, n) for right-hand sides (…, n, k), leading axes broadcast."""
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"{where_text()}solve: the matrix has {a.shape[-1]} rows, the right-hand side "
            f"{b.shape[-2]}"
        )
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*lead, *b.shape[-2:])
    if 0 in shape[-2:]:
        return full(shape, 0, a.dtype)
    if len(a.shape) == 2 and len(shape) > 2:  # one matrix: all are columns of one right-hand side
        columns = math.prod(lead) * shape[-1]
        flat = reshape(moveaxis(b, -2, 0), (shape[-2], columns))
        found = reshape(lu.solve(a, flat), (shape[-2], *lead, shape[-1]))
        return moveaxis(found, 0, -2)
    a, b = (x if x.shape[:-2] == lead else broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
    return lu.solve(a, b)


@array_function(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """The x of a·x = b; `b` is one vector, or matrices (…, n, k)."""
    a, b = as_matrices(a, b)
    check_square(a)
    if len(b.shape) == 1:
        column = reshape(b, (b.shape[0], 1))
        found = solve_columns(a, column)
        return reshape(found, found.shape[:-1])
    check_stacked(b)
    return solve_columns(a, b)


@array_function(np.linalg.inv)
def inv(a: Any) -> Any:
    """The inverses of square matrices."""
    x = square_matrix(a)
    if is_empty(x):
        return full(x.shape, 0, x.dtype)
    return lu.solve(x, matrices.identity(x.shape, x.dtype))


@array_function(np.linalg.det)
def det(a: Any) -> Any:
    """The determinants of square matrices."""
    x = square_matrix(a)
    if is_empty(x):
        return full(x.shape[:-2], 1, x.dtype)
    return determinants.determinant(x)


@array_function(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Sign and logarithm of the absolute value of determinants."""
    x = square_matrix(a)
    if is_empty(x):
        sign, logarithm = full(x.shape[:-2], 1, x.dtype), full(x.shape[:-2], 0, real_dtype(x.dtype))
    else:
        sign, logarithm = lu.Factored(x, nonsingular=False).log_determinant()
    return result_class(np.linalg.slogdet)(sign, logarithm)


@array_function(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """The Cholesky factor of Hermitian matrices, of which one triangle is read."""
    x = square_matrix(a)
    if is_empty(x):
        return full(x.shape, 0, x.dtype)
    if upper:
        return matrices.adjoint(triangular.cholesky(matrices.adjoint(x)))
    return triangular.cholesky(x)


@array_function(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The x of a·x = b, a sum over all axes of x."""
    a, b = as_matrices(a, b)
    rank = len(a.shape)
    if axes is not None:
        order = list(range(rank))
        for axis in axes:
            order.remove(axis)
            order.insert(rank, axis)
        a = a.transpose(order)
    rest = a.shape[-(rank - len(b.shape)) :]
    size = math.prod(rest)
    if math.prod(a.shape) != size**2:
        raise LinAlgError(
            f"{where_text()}Input arrays must satisfy the requirement "
            "prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    found = solve(reshape(a, (size, size)), reshape(b, (math.prod(b.shape),)))
    return reshape(found, rest)


@array_function(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of a sum of products over the last axes."""
    x = as_array(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = (*x.shape[ind:], *x.shape[:ind])
    rows = math.prod(x.shape[ind:])
    flat = reshape(x, (math.prod(x.shape) // rows if rows else 0, rows))
    return reshape(inv(flat), shape)


@array_function(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    """Whole powers of square matrices, by squaring."""
    x = as_array(a)
    check_square(x)
    try:
        n = operator.index(n)
    except TypeError as error:
        raise TypeError("exponent must be an integer") from error
    if n == 0:
        return cast(full(x.shape, 0, x.dtype) + matrices.identity(x.shape, x.dtype), x.dtype)
    if n < 0:
        x, n = inv(x), -n
    result = None
    while n:
        if n % 2:
            result = x if result is None else matrix_product(result, x)
        n //= 2
        if n:
            x = matrix_product(x, x)
    return result


def _cutoff(x: Any, rcond: Any, rtol: Any, default: Any, dtype: DType) -> Any:
    """The part of the largest singular value up to which others count as 0, one a matrix."""
    if rcond is None:
        rcond = default if rtol is NO_VALUE else rtol
        if rcond is None:
            rcond = max(x.shape[-2:]) * np.finfo(dtype).eps
    elif rtol is not NO_VALUE:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    lead: Shape = x.shape[:-2]
    return broadcast_to(cast(as_array(rcond), real_dtype(dtype)), lead)


@array_function(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = NO_VALUE) -> Any:
    """Pseudoinverses; the derivative is that where the rank stays."""
    (x,) = as_matrices(a)
    check_stacked(x)
    if is_empty(x):
        return full((*x.shape[:-2], x.shape[-1], x.shape[-2]), 0, x.dtype)
    default = 1e-15 if rtol is NO_VALUE else rtol
    cutoff = _cutoff(x, rcond, rtol, default, x.dtype)
    if hermitian:
        x = matrices.hermitian_part(x)
    return determinants.pseudoinverse(x, cutoff)


@array_function(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """How many singular values are not 0 up to rounding; it has no derivative."""
    if rtol is not None and tol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    x = as_array(A)
    if len(x.shape) < 2:
        return cast(~np.logical_and.reduce(x == 0, axis=None), INT64)
    (x,) = as_matrices(x)
    if is_empty(x):
        return full(x.shape[:-2], 0, INT64)
    values = absolute(spectral.eigvalsh(x)) if hermitian else orthogonal.singular_values(x)
    if tol is None:
        part = max(x.shape[-2:]) * np.finfo(x.dtype).eps if rtol is None else as_array(rtol)
        part = part if rtol is None or not part.shape else matrices.as_column(part)
        limit = max_of(values, -1, keepdims=True) * part
    else:
        limit = as_array(tol)
        limit = matrices.as_column(limit) if limit.shape else limit
    return sum_of(cast(greater(values, limit), INT64), -1)


@array_function(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Condition numbers: by singular values, or a norm times that of the inverse."""
    from tracer.numpy.linalg import norm

    a = as_array(x)
    if a.shape and 0 in a.shape[-2:]:
        raise LinAlgError(f"{where_text()}cond is not defined on empty arrays")
    check_stacked(a)
    (a,) = as_matrices(a)
    if p is None or p in (2, -2):
        values = orthogonal.singular_values(a)
        last = values.shape[-1] - 1
        small, large = values[..., last], values[..., 0]
        result = divide(small, large) if p == -2 else divide(large, small)
    else:
        check_square(a)
        inverse = lu.Factored(a, nonsingular=False).solve(matrices.identity(a.shape, a.dtype))
        result = norm(a, p, (-2, -1)) * norm(inverse, p, (-2, -1))
    # What is infinite times 0 counts as infinite, unless the matrix has NaN itself.
    given_nan = sum_of(cast(isnan(a), INT64), (-2, -1)) > 0
    spoilt = logical_and(isnan(result), ~given_nan)
    return select(spoilt, result.dtype.type(np.inf), result)


@array_function(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """(x, residuals, rank, singular values) of the shortest x of least |a·x − b|.

    Without values (under `jit`) the rank is not known: residuals are then those of full rank."""
    a, b = as_matrices(a, b)
    vector = len(b.shape) == 1
    if vector:
        b = reshape(b, (b.shape[0], 1))
    for x in (a, b):
        if len(x.shape) != 2:
            raise LinAlgError(
                f"{where_text()}{len(x.shape)}-dimensional array given. Array must be "
                "two-dimensional"
            )
    rows, columns = a.shape
    if rows != b.shape[0]:
        raise LinAlgError(f"{where_text()}Incompatible dimensions")
    real = real_dtype(a.dtype)
    if rcond is None:
        rcond = np.finfo(a.dtype).eps * max(rows, columns)
    elif rcond == -1:
        rcond = np.finfo(a.dtype).eps
    if 0 in a.shape or b.shape[1] == 0:
        return _empty_least_squares(a, b, vector)
    x, rank, values = determinants.least_squares(a, b, cast(as_array(rcond), real))
    residuals = full((0,), 0, real)
    if rows > columns and _full_rank(rank, columns):
        difference = b - matrix_product(a, x)
        squares = square(real_part(difference)) if is_complex(a.dtype) else square(difference)
        if is_complex(a.dtype):
            squares = squares + square(imag_part(difference))
        residuals = sum_of(squares, 0)
    x = reshape(x, (columns,)) if vector else x
    return x, residuals, cast(rank, np.dtype(np.int32)), values


def _full_rank(rank: Any, columns: int) -> bool:
    if type(rank) is Tracer:
        from tracer.errors import ConcretizationError

        try:
            rank = rank.concrete("the rank")
        except ConcretizationError:
            return True
    return bool(rank == columns)


def _empty_least_squares(a: Any, b: Any, vector: bool) -> Any:
    """NumPy's answers where there is nothing to solve."""
    found = np.linalg.lstsq(np.zeros(a.shape, a.dtype), np.zeros(b.shape, b.dtype))
    x, residuals, rank, values = found
    if residuals.size:
        residuals = sum_of(square(absolute(b)), 0)
    return (x[:, 0] if vector else x), residuals, rank, values
