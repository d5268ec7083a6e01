"""Products of vectors, matrices and tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.dispatch import FUNCTIONS, METHODS, method
from tracer.errors import ShapeError
from tracer.numpy.common import array_function, as_array, as_arrays, result_dtype, store, where_text
from tracer.primitives.arithmetic import conjugate, multiply
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.contract import dot_general
from tracer.primitives.shape import move_axis
from tracer.trace import Tracer
from tracer.types import is_brain, is_complex, normalize_axis, resolve_ufunc


def alike(*values: Any) -> list[Any]:
    """The operands as arrays of one dtype."""
    arrays = [value if type(value) is Tracer else as_array(value) for value in values]
    dtype = arrays[0].dtype
    if all(array.dtype == dtype for array in arrays):
        return arrays
    dtype = result_dtype(*[array.dtype for array in arrays])
    return [cast(array, dtype) for array in arrays]


def _wide(*values: Any) -> list[Any]:
    """The operands as arrays of one dtype, and that is float32 at least where one is bfloat16: of
    that NumPy's ufuncs of matrices have none.
    """
    arrays = [value if type(value) is Tracer else as_array(value) for value in values]
    if not any(is_brain(array.dtype) for array in arrays):
        return alike(*arrays)
    first, second = (array.dtype for array in arrays)
    dtype = resolve_ufunc(np.matmul, (first, second))[0]
    return [cast(array, dtype) for array in arrays]


def _mismatch(name: str, x: Any, y: Any) -> ShapeError:
    return ShapeError(f"{where_text()}{name}: shapes {x.shape} and {y.shape} not aligned")


@method("dot")
@array_function(np.dot)
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """Sum of products over the last axis of `a` and the last but one of `b`."""
    x, y = alike(a, b)
    if not x.shape or not y.shape:
        return store(multiply(x, y), out)
    last, other = x.ndim - 1, max(y.ndim - 2, 0)
    if x.shape[last] != y.shape[other]:
        raise _mismatch("dot", x, y)
    return store(dot_general(x, y, ((last,), (other,))), out)


def matrix_product(a: Any, b: Any) -> Any:
    """`a @ b`."""
    x, y = _wide(a, b)
    if not x.shape or not y.shape:
        raise ValueError(
            f"{where_text()}matmul: Input operand {0 if not x.shape else 1} does not have enough "
            "dimensions (it is a scalar; use * instead)"
        )
    last, other = x.ndim - 1, max(y.ndim - 2, 0)
    if x.shape[last] != y.shape[other]:
        raise _mismatch("matmul", x, y)
    if y.ndim <= 2:
        return dot_general(x, y, ((last,), (other,)))
    if x.ndim <= 2:
        product = dot_general(x, y, ((last,), (other,)))
        return move_axis(product, 0, product.ndim - 2) if x.ndim == 2 else product
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x = broadcast_to(x, (*batch, *x.shape[-2:]))
    y = broadcast_to(y, (*batch, *y.shape[-2:]))
    places = tuple(range(len(batch)))
    return dot_general(x, y, ((x.ndim - 1,), (y.ndim - 2,)), (places, places))


FUNCTIONS[np.matmul] = METHODS["__matmul__"] = matrix_product


@method("__rmatmul__")
def reflected_product(self: Any, other: Any) -> Any:
    """`other @ self`."""
    return matrix_product(other, self)


def vector_product(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sum of `conj(x1) * x2` over one axis."""
    x, y = _wide(x1, x2)
    axis_x, axis_y = normalize_axis(axis, x.ndim), normalize_axis(axis, y.ndim)
    x, y = move_axis(x, axis_x, x.ndim - 1), move_axis(y, axis_y, y.ndim - 1)
    if x.shape[-1] != y.shape[-1]:
        raise _mismatch("vecdot", x, y)
    products = multiply(conjugate(x) if is_complex(x.dtype) else x, y)
    return reduce_sum(products, (products.ndim - 1,))


FUNCTIONS[np.vecdot] = vector_product


def _matrix_vector(x1: Any, x2: Any) -> Any:
    x, y = alike(x1, x2)
    if len(x.shape) < 2 or not y.shape:
        raise _mismatch("matvec", x, y)
    product = matrix_product(x, reshape(y, (*y.shape, 1)))
    return reshape(product, product.shape[:-1])


def _vector_matrix(x1: Any, x2: Any) -> Any:
    x, y = alike(x1, x2)
    if len(y.shape) < 2 or not x.shape:
        raise _mismatch("vecmat", x, y)
    x = conjugate(x) if is_complex(x.dtype) else x
    product = matrix_product(reshape(x, (*x.shape[:-1], 1, x.shape[-1])), y)
    return reshape(product, (*product.shape[:-2], product.shape[-1]))


FUNCTIONS[np.matvec] = _matrix_vector
FUNCTIONS[np.vecmat] = _vector_matrix


@array_function(np.vdot)
def vdot(a: Any, b: Any, /) -> Any:
    """Sum of `conj(a) * b` over all elements."""
    x, y = alike(a, b)
    size_x, size_y = math.prod(x.shape), math.prod(y.shape)
    if size_x != size_y:
        raise _mismatch("vdot", x, y)
    x = conjugate(x) if is_complex(x.dtype) else x
    return dot_general(reshape(x, (size_x,)), reshape(y, (size_y,)), ((0,), (0,)))


@array_function(np.inner)
def inner(a: Any, b: Any, /) -> Any:
    """Sum of products over the last axis of both."""
    x, y = alike(a, b)
    if not x.shape or not y.shape:
        return multiply(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise _mismatch("inner", x, y)
    return dot_general(x, y, ((x.ndim - 1,), (y.ndim - 1,)))


@array_function(np.outer)
def outer(a: Any, b: Any, out: Any = None) -> Any:
    """All products of an element of `a` and one of `b`."""
    x, y = as_arrays(a, b)
    column = reshape(x, (math.prod(x.shape), 1))
    return store(multiply(column, reshape(y, (1, math.prod(y.shape)))), out)


def _axes_of(axes: Any, rank_x: int, rank_y: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if np.ndim(axes) == 0 and not isinstance(axes, (tuple, list)):
        count = int(axes)
        return tuple(range(rank_x - count, rank_x)), tuple(range(count))
    first, second = axes
    in_x = first if isinstance(first, (tuple, list)) else (first,)
    in_y = second if isinstance(second, (tuple, list)) else (second,)
    return (
        tuple(normalize_axis(axis, rank_x) for axis in in_x),
        tuple(normalize_axis(axis, rank_y) for axis in in_y),
    )


@array_function(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over pairs of axes."""
    x, y = alike(a, b)
    in_x, in_y = _axes_of(axes, x.ndim, y.ndim)
    same = len(in_x) == len(in_y) and all(
        x.shape[i] == y.shape[j] for i, j in zip(in_x, in_y, strict=True)
    )
    if not same:
        raise ShapeError(
            f"{where_text()}shape-mismatch for sum: axes {in_x} of {x.shape}, {in_y} of {y.shape}"
        )
    return dot_general(x, y, (in_x, in_y))


@array_function(np.kron)
def kron(a: Any, b: Any) -> Any:
    """The Kronecker product."""
    x, y = as_arrays(a, b)
    rank = max(x.ndim, y.ndim)
    if not rank:
        return multiply(x, y)
    rows = (1,) * (rank - x.ndim) + x.shape
    columns = (1,) * (rank - y.ndim) + y.shape
    x = reshape(x, tuple(extent for n in rows for extent in (n, 1)))
    y = reshape(y, tuple(extent for n in columns for extent in (1, n)))
    whole = tuple(n * m for n, m in zip(rows, columns, strict=True))
    return reshape(multiply(x, y), whole)


@array_function(np.cross)
def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    """The cross product of vectors of three elements (of two: its third element)."""
    from tracer.numpy.indexing import index_view
    from tracer.numpy.joining import stack

    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = as_arrays(a, b)
    x = move_axis(x, normalize_axis(axisa, x.ndim), x.ndim - 1)
    y = move_axis(y, normalize_axis(axisb, y.ndim), y.ndim - 1)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ShapeError(
            f"{where_text()}incompatible dimensions for cross product (dimension must be 2 or 3)"
        )
    x0, x1 = index_view(x, (..., 0)), index_view(x, (..., 1))
    y0, y1 = index_view(y, (..., 0)), index_view(y, (..., 1))
    third = x0 * y1 - x1 * y0
    if x.shape[-1] == 2 and y.shape[-1] == 2:
        return third
    x2 = index_view(x, (..., 2)) if x.shape[-1] == 3 else None
    y2 = index_view(y, (..., 2)) if y.shape[-1] == 3 else None
    if x2 is None:
        parts = [x1 * y2, -(x0 * y2), third]
    elif y2 is None:
        parts = [-(x2 * y1), x2 * y0, third]
    else:
        parts = [x1 * y2 - x2 * y1, x2 * y0 - x0 * y2, third]
    return stack(parts, axisc)
