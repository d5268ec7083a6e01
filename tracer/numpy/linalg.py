"""`numpy.linalg`: norms and products; the namespace."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.numpy import contractions
from tracer.numpy.common import array_function, as_array, axis_tuple, where_text
from tracer.numpy.factorizations import eig as eig
from tracer.numpy.factorizations import eigh as eigh
from tracer.numpy.factorizations import eigvals as eigvals
from tracer.numpy.factorizations import eigvalsh as eigvalsh
from tracer.numpy.factorizations import qr as qr
from tracer.numpy.factorizations import svd as svd
from tracer.numpy.factorizations import svdvals as svdvals
from tracer.numpy.linear_systems import cholesky as cholesky
from tracer.numpy.linear_systems import cond as cond
from tracer.numpy.linear_systems import det as det
from tracer.numpy.linear_systems import inv as inv
from tracer.numpy.linear_systems import lstsq as lstsq
from tracer.numpy.linear_systems import matrix_power as matrix_power
from tracer.numpy.linear_systems import matrix_rank as matrix_rank
from tracer.numpy.linear_systems import pinv as pinv
from tracer.numpy.linear_systems import slogdet as slogdet
from tracer.numpy.linear_systems import solve as solve
from tracer.numpy.linear_systems import tensorinv as tensorinv
from tracer.numpy.linear_systems import tensorsolve as tensorsolve
from tracer.numpy.matrices import diagonal_of
from tracer.numpy.reductions import max as max_of
from tracer.numpy.reductions import min as min_of
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.shapes import moveaxis, swapaxes
from tracer.primitives.arithmetic import absolute, power, square
from tracer.primitives.broadcast import keep_axes, reshape
from tracer.primitives.cast import cast, imag_part, real_part
from tracer.primitives.comparison import equal, not_equal, select
from tracer.primitives.roots import magnitude
from tracer.types import FLOAT64, Shape, is_complex

Axes = tuple[int, ...]


def _squares(x: Any) -> Any:
    if is_complex(x.dtype):
        return square(real_part(x)) + square(imag_part(x))
    return square(x)


def _euclidean(x: Any, axes: Axes) -> Any:
    return magnitude(sum_of(_squares(x), axes))


def _vector_norm(x: Any, order: Any, axes: Axes) -> Any:
    if order is None or order == 2:
        return _euclidean(x, axes)
    if order == np.inf:
        return max_of(absolute(x), axes)
    if order == -np.inf:
        return min_of(absolute(x), axes)
    if order == 0:
        return sum_of(cast(not_equal(x, 0), absolute(x).dtype), axes)
    if order == 1:
        return sum_of(absolute(x), axes)
    if isinstance(order, str):
        raise ValueError(f"{where_text()}Invalid norm order '{order}' for vectors")
    total = sum_of(power(absolute(x), order), axes)
    # The derivative of total**(1/order) at 0 is taken to be 0, as that of the Euclidean norm.
    zero = equal(total, 0)
    safe = select(zero, total.dtype.type(1), total)
    at_zero = total.dtype.type(0 if order > 0 else np.inf)
    return select(zero, at_zero, power(safe, 1 / order))


def _matrix_norm(x: Any, order: Any, axes: Axes) -> Any:
    row, column = axes
    if row == column:
        raise ValueError("Duplicate axes given.")
    if order in (None, "fro", "f"):
        return _euclidean(x, axes)
    inside = {1: (row, column), -1: (row, column), np.inf: (column, row), -np.inf: (column, row)}
    if order in inside:
        first, second = inside[order]
        sums = sum_of(absolute(x), first)
        rest = second - 1 if second > first else second
        return (max_of if order > 0 else min_of)(sums, rest)
    if order in (2, -2, "nuc"):
        values = svdvals(moveaxis(x, axes, (-2, -1)))
        if order == "nuc":
            return sum_of(values, -1)
        return (max_of if order == 2 else min_of)(values, -1)
    raise ValueError(f"{where_text()}Invalid norm order for matrices.")


def _shaped(result: Any, shape: Shape, axes: Axes, keepdims: bool) -> Any:
    return reshape(result, keep_axes(shape, axes)) if keepdims else result


@array_function(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """A norm of vectors or matrices; where it is 0, so is its derivative."""
    x = as_array(x)
    if x.dtype.kind not in "fc":  # nor does NumPy take bfloat16 for a floating dtype here
        x = cast(x, FLOAT64)
    if axis is None:
        axes = tuple(range(x.ndim))
        if ord is None or x.ndim == 1 or (ord in ("f", "fro") and x.ndim == 2):
            result = _euclidean(x, axes) if ord in (None, "f", "fro", 2) else None
            result = _vector_norm(x, ord, axes) if result is None else result
            return _shaped(result, x.shape, axes, keepdims)
    else:
        axes = axis_tuple(axis, x.ndim)
    if len(axes) == 1:
        return _shaped(_vector_norm(x, ord, axes), x.shape, axes, keepdims)
    if len(axes) == 2:
        return _shaped(_matrix_norm(x, ord, axes), x.shape, axes, keepdims)
    raise ValueError(f"{where_text()}Improper number of dimensions to norm.")


@array_function(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, ord: Any = 2, keepdims: bool = False) -> Any:
    """A norm over axes, all elements taken as one vector."""
    x = as_array(x)
    x = x if x.dtype.kind in "fc" else cast(x, FLOAT64)
    axes = axis_tuple(axis, x.ndim)
    return _shaped(_vector_norm(x, ord, axes), x.shape, axes, keepdims)


@array_function(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """A norm of the matrices in the last two axes."""
    x = as_array(x)
    return norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@array_function(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    """The matrix product."""
    return contractions.matrix_product(x1, x2)


@array_function(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The dot product of vectors along an axis."""
    return contractions.vector_product(x1, x2, axis)


@array_function(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Sum of products over pairs of axes."""
    return contractions.tensordot(x1, x2, axes)


@array_function(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    """The outer product of two vectors."""
    for x in (as_array(x1), as_array(x2)):
        if x.ndim != 1:
            raise ValueError("Input arrays must be one-dimensional")
    return contractions.outer(x1, x2)


@array_function(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three elements."""
    for x in (as_array(x1), as_array(x2)):
        if x.shape[axis] != 3:
            raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    return contractions.cross(x1, x2, axis=axis)


@array_function(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of the matrices in the last two axes."""
    x = as_array(x)
    return diagonal_of(x, offset, x.ndim - 2, x.ndim - 1)


@array_function(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the diagonals of the matrices in the last two axes."""
    return sum_of(diagonal(x, offset=offset), -1, dtype)


@array_function(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


@array_function(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """The product of several matrices, in the order that needs the fewest multiplications."""
    from tracer.numpy.common import store
    from tracer.numpy.einsum import einsum

    items = [as_array(array) for array in arrays]
    if len(items) < 2:
        raise ValueError("Expecting at least two arrays.")
    operands: list[Any] = []
    last = len(items) - 1
    for place, item in enumerate(items):
        if item.ndim == 1 and place in (0, last):
            operands += [item, [1 if place == 0 else last]]
        elif item.ndim == 2:
            operands += [item, [place, place + 1]]
        else:
            raise np.linalg.LinAlgError(
                f"{item.ndim}-dimensional array given. Array must be two-dimensional"
            )
    result = [0] if items[0].ndim == 2 else []
    result += [last + 1] if items[-1].ndim == 2 else []
    return store(einsum(*operands, result), out)


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module 'tracer.numpy.linalg' has no attribute '{name}'")
    return getattr(np.linalg, name)
