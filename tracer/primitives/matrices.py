"""Stacks of matrices: what the rules of linear algebra are written with.

The last two axes are a matrix, those before it number the matrices of a stack.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.primitives.arithmetic import conjugate
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import make_complex, real_part
from tracer.primitives.comparison import equal, less_equal, select
from tracer.primitives.contract import dot_general
from tracer.primitives.index import gather
from tracer.primitives.shape import iota, slice_axis, transpose
from tracer.types import INT64, ArrayType, DType, Shape, is_complex, real_dtype

Array = np.ndarray[Any, DType]


def swap(x: Any) -> Any:
    """The transposes."""
    rank = len(x.shape)
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def conjugated(x: Any) -> Any:
    """The complex conjugate; what is real as it is."""
    return conjugate(x) if is_complex(x.dtype) else x


def adjoint(x: Any) -> Any:
    """The conjugate transposes."""
    return conjugated(swap(x))


def product(x: Any, y: Any) -> Any:
    """The matrix products of two stacks of one shape."""
    lead = tuple(range(len(x.shape) - 2))
    return dot_general(x, y, ((len(lead) + 1,), (len(lead),)), (lead, lead))


LARGE = 256
"""Elements of a matrix from which on masks are computed from indices, and not constants."""


@functools.cache
def _small_triangle(rows: int, columns: int, k: int) -> Array:
    return np.tri(rows, columns, k, dtype=bool)


def _triangle(rows: int, columns: int, k: int) -> Any:
    """Where the column is at most the row plus `k`."""
    if rows * columns <= LARGE:
        return _small_triangle(rows, columns, k)
    return less_equal(iota(columns, INT64), reshape(iota(rows, INT64), (rows, 1)) + np.int64(k))


def _main_diagonal(rows: int, columns: int) -> Any:
    if rows * columns <= LARGE:
        return np.eye(rows, columns, dtype=bool)
    return equal(iota(columns, INT64), reshape(iota(rows, INT64), (rows, 1)))


def lower(x: Any, k: int = 0) -> Any:
    """The elements on and below a diagonal, 0 above."""
    return select(_triangle(x.shape[-2], x.shape[-1], k), x, x.dtype.type(0))


def upper(x: Any, k: int = 0) -> Any:
    """The elements on and above a diagonal, 0 below."""
    return select(_triangle(x.shape[-2], x.shape[-1], k - 1), x.dtype.type(0), x)


def on_diagonal(x: Any) -> Any:
    """The elements on the diagonal, 0 elsewhere."""
    return select(_main_diagonal(x.shape[-2], x.shape[-1]), x, x.dtype.type(0))


def diagonal(x: Any) -> Any:
    """The diagonals of matrices that are not empty."""
    *lead, rows, columns = x.shape
    stop = (min(rows, columns) - 1) * (columns + 1) + 1
    return slice_axis(reshape(x, (*lead, rows * columns)), len(lead), 0, stop, columns + 1)


def as_column(v: Any) -> Any:
    """Vectors as matrices of one column."""
    return reshape(v, (*v.shape, 1))


def as_row(v: Any) -> Any:
    """Vectors as matrices of one row."""
    return reshape(v, (*v.shape[:-1], 1, v.shape[-1]))


def identity(shape: Shape, dtype: DType) -> Array:
    """Identity matrices: a constant of that shape, whose last two extents may differ."""
    return np.ascontiguousarray(np.broadcast_to(np.eye(*shape[-2:], dtype=dtype), shape))


def trace(x: Any) -> Any:
    """The sums of the diagonals."""
    return reduce_sum(diagonal(x), (len(x.shape) - 2,))


def rows_of(x: Any, start: int, stop: int) -> Any:
    """Some of the rows."""
    return slice_axis(x, len(x.shape) - 2, start, stop)


def columns_of(x: Any, start: int, stop: int) -> Any:
    """Some of the columns."""
    return slice_axis(x, len(x.shape) - 1, start, stop)


def without_imaginary(x: Any) -> Any:
    """The real part, as a number of the same dtype."""
    if not is_complex(x.dtype):
        return x
    real = real_part(x)
    return make_complex(real, np.zeros(real.shape, real.dtype))


def imaginary(x: Any) -> Any:
    """A real array times i."""
    return make_complex(np.zeros(x.shape, x.dtype), x)


def permuted_rows(x: Any, permutation: Any) -> Any:
    """Row i of the result is row `permutation[…, i]`."""
    lead = x.shape[:-2]
    indices: list[Any] = []
    for axis, extent in enumerate(lead):
        shape = [1] * (len(lead) + 1)
        shape[axis] = extent
        places = np.arange(extent).reshape(shape)
        indices.append(np.ascontiguousarray(np.broadcast_to(places, permutation.shape)))
    return gather(x, [*indices, permutation], tuple(range(len(lead) + 1)))


def hermitian_part(x: Any, lower_half: bool = True) -> Any:
    """The Hermitian matrix that one triangle of `x` stands for: all that LAPACK reads."""
    half = lower(x, -1) if lower_half else upper(x, 1)
    return half + adjoint(half) + without_imaginary(on_diagonal(x))


def each_matrix(
    function: Callable[..., Sequence[Any]], types: Sequence[ArrayType], operands: Sequence[Any]
) -> tuple[Any, ...]:
    """`function` of the matrices at each place of the leading axes; results of those types.

    All operands have two axes more than there are leading ones, but those of rank one less.
    """
    lead = operands[0].shape[:-2]
    results = tuple(np.empty(type_.shape, type_.dtype) for type_ in types)
    for place in np.ndindex(lead):
        found = function(*[operand[place] for operand in operands])
        for result, value in zip(results, found, strict=True):
            result[place] = value
    return results


def all_lanes(size: int, operands: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """The operands, those that are not batched repeated for every lane."""
    return [
        operand if has else broadcast_to(operand, (size, *operand.shape))
        for operand, has in zip(operands, batched, strict=True)
    ]


def real_type(x: ArrayType, shape: Shape) -> ArrayType:
    """A type of the real dtype that belongs to that of `x`."""
    return ArrayType(real_dtype(x.dtype), shape)
