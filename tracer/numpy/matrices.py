"""Diagonals, triangles and other parts of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.dispatch import method
from tracer.numpy.common import array_function, as_array, as_arrays, store, where_text
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.views import as_view, read_only
from tracer.primitives.arithmetic import power
from tracer.primitives.broadcast import reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import select
from tracer.primitives.shape import pad, slice_axis, transpose
from tracer.trace import Tracer
from tracer.types import normalize_axis


def _diagonal_length(rows: int, columns: int, offset: int) -> int:
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def diagonal_of(x: Any, offset: int, axis1: int, axis2: int) -> Any:
    """The diagonal of two axes, as the last axis: every (columns + 1)-th element of the rows."""
    rest = [axis for axis in range(len(x.shape)) if axis not in (axis1, axis2)]
    x = transpose(x, (*rest, axis1, axis2))
    *lead, rows, columns = x.shape
    length = _diagonal_length(rows, columns, offset)
    flat = reshape(x, (*lead, rows * columns))
    start = offset if offset >= 0 else -offset * columns
    if length == 0:
        return slice_axis(flat, len(lead), 0, 0)
    stop = start + (length - 1) * (columns + 1) + 1
    return slice_axis(flat, len(lead), start, stop, columns + 1)


def matrix_with_diagonal(v: Any, offset: int) -> Any:
    """The square matrix with the vector `v` on a diagonal and 0 elsewhere."""
    length = v.shape[0]
    size = length + abs(offset)
    start = offset if offset >= 0 else -offset * size
    covered = max(0, length - 1) * (size + 1) + 1 if length else 0
    flat = pad(v, v.dtype.type(0), (start,), (size * size - start - covered,), (size,))
    return reshape(flat, (size, size))


@method("diagonal")
@array_function(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes, as the last axis."""
    x = as_array(a)
    if len(x.shape) < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    first, second = normalize_axis(axis1, len(x.shape)), normalize_axis(axis2, len(x.shape))
    if first == second:
        raise ValueError("axis1 and axis2 cannot be the same")
    return as_view(x, lambda base: diagonal_of(base, offset, first, second), read_only)


@method("trace")
@array_function(np.trace)
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """The sum of a diagonal."""
    return store(sum_of(diagonal(a, offset, axis1, axis2), -1, dtype), out)


@array_function(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix that has a vector on its diagonal."""
    x = as_array(v)
    if len(x.shape) == 1:
        return matrix_with_diagonal(x, k)
    if len(x.shape) != 2:
        raise ValueError("Input must be 1- or 2-d.")
    return diagonal_of(x, k, 0, 1)


@array_function(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """The matrix that has all elements of `v` on its diagonal."""
    x = as_array(v)
    return matrix_with_diagonal(reshape(x, (int(np.prod(x.shape)),)), k)


def _triangle(m: Any, k: int, lower: bool) -> Any:
    x = as_array(m)
    if not x.shape:
        raise TypeError(f"{where_text()}tril and triu take an array of at least one axis")
    if len(x.shape) == 1:  # NumPy repeats a vector as the rows of a square
        rows = columns = x.shape[0]
    else:
        rows, columns = x.shape[-2:]
    mask = np.tri(rows, columns, k if lower else k - 1, dtype=bool)
    return select(mask if lower else ~mask, x, x.dtype.type(0))


@array_function(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """The elements on and below a diagonal, 0 above."""
    return _triangle(m, k, True)


@array_function(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """The elements on and above a diagonal, 0 below."""
    return _triangle(m, k, False)


@array_function(np.vander)
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The matrix of powers of `x`."""
    x = as_array(x)
    if len(x.shape) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    count = x.shape[0] if N is None else N
    exponents = np.arange(count) if increasing else np.arange(count - 1, -1, -1)
    wide = np.promote_types(x.dtype, int)
    base = cast(reshape(x, (x.shape[0], 1)), wide)
    return power(base, exponents.reshape(1, count).astype(wide))


@array_function(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """The main diagonal of `a` replaced, in place."""
    if type(a) is not Tracer:
        a = as_array(a)
    rank = len(a.shape)
    if rank < 2:
        raise ValueError("array must be at least 2-d")
    size = int(np.prod(a.shape))
    if rank == 2:
        step = a.shape[1] + 1
        end = size if wrap else min(size, a.shape[1] * a.shape[1])
    else:
        if len(set(a.shape)) != 1:
            raise ValueError("All dimensions of input must be of equal length")
        step, end = 1 + int(np.cumprod(a.shape[:-1]).sum()), size
    places = np.unravel_index(np.arange(0, end, step), a.shape)
    (values,) = as_arrays(val)
    count = len(places[0])
    if values.shape and values.shape != (count,):
        values = reshape(values, (int(np.prod(values.shape)),))
        values = values[np.arange(count) % values.shape[0]]
    a[places] = values
