"""Triangular systems, and the Cholesky factor."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import LinAlgError, ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import reshape
from tracer.primitives.matrices import (
    adjoint,
    all_lanes,
    each_matrix,
    hermitian_part,
    lower,
    on_diagonal,
    product,
    swap,
    upper,
)
from tracer.primitives.shape import move_axis
from tracer.trace import bind
from tracer.types import ArrayType, is_complex

SINGULAR = "singular matrix: resolution failed at diagonal {0}"


def check_square(x: ArrayType, name: str) -> None:
    """ShapeError unless `x` is a stack of square matrices."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name} takes square matrices, not {x}")


def _solve_type(
    a: ArrayType, b: ArrayType, *, lower: bool, unit: bool, transposed: bool, checked: bool
) -> ArrayType:
    check_square(a, "triangular_solve")
    if a.dtype != b.dtype or a.shape[:-1] != b.shape[:-1] or a.ndim != b.ndim:
        raise ShapeError(f"triangular_solve takes matrices that fit, not {a} and {b}")
    return b


def _check_diagonal(a: Any) -> None:
    """LinAlgError where a diagonal has a zero."""
    zeros = np.nonzero(np.diagonal(a, axis1=-2, axis2=-1) == 0)[-1]
    if zeros.size:
        raise LinAlgError(SINGULAR.format(zeros[0]))


def _solve_evaluate(
    a: Any, b: Any, *, lower: bool, unit: bool, transposed: bool, checked: bool
) -> Any:
    from scipy.linalg import get_blas_funcs

    (trsm,) = get_blas_funcs(("trsm",), (a, b))

    def solve(one: Any, right: Any) -> Any:
        return (trsm(1, one, right, lower=lower, trans_a=int(transposed), diag=int(unit)),)

    if checked:
        _check_diagonal(a)
    if b.shape[-1] == 0 or b.shape[-2] == 0:
        return np.zeros(b.shape, b.dtype)
    return each_matrix(solve, [ArrayType(b.dtype, b.shape)], [a, b])[0]


def _half(a: Any, in_lower: bool, unit: bool) -> Any:
    """The triangle that is read."""
    offset = 1 if unit else 0
    return lower(a, -offset) if in_lower else upper(a, offset)


def _solve_jvp(
    primals: Any,
    tangents: Any,
    x: Any,
    *,
    lower: bool,
    unit: bool,
    transposed: bool,
    checked: bool,
) -> Any:
    a, _ = primals
    da, db = tangents
    right = db
    if da is not None:
        half = _half(da, lower, unit)
        moved = -product(swap(half) if transposed else half, x)
        right = moved if right is None else right + moved
    return triangular_solve(a, right, lower=lower, unit=unit, transposed=transposed)


def _solve_vjp(
    ct: Any,
    primals: Any,
    x: Any,
    active: Any,
    *,
    lower: bool,
    unit: bool,
    transposed: bool,
    checked: bool,
) -> list[Any]:
    multiplier = triangular_solve(primals[0], ct, lower=lower, unit=unit, transposed=not transposed)
    of_a = None
    if active[0]:
        first, second = (x, multiplier) if transposed else (multiplier, x)
        of_a = -_half(product(first, swap(second)), lower, unit)
    return [of_a, multiplier if active[1] else None]


def one_more_column(size: int, b: Any) -> Any:
    """Lanes of right-hand sides as more columns of one."""
    moved = move_axis(b, 0, len(b.shape) - 2)
    return reshape(moved, (*moved.shape[:-2], size * b.shape[-1]))


def lanes_of_columns(size: int, x: Any) -> Any:
    """The inverse of `one_more_column`."""
    apart = reshape(x, (*x.shape[:-1], size, x.shape[-1] // size if size else 0))
    return move_axis(apart, len(x.shape) - 1, 0)


def _solve_batch(size: int, operands: Any, batched: Any, **params: Any) -> Any:
    a, b = operands
    if not batched[0]:
        solved = triangular_solve(a, one_more_column(size, b), **params)
        return lanes_of_columns(size, solved)
    return triangular_solve(*all_lanes(size, operands, batched), **params)


triangular_solve_p: Primitive = register(
    Primitive(
        "triangular_solve",
        _solve_type,
        _solve_evaluate,
        jvp_rule=_solve_jvp,
        vjp_rule=_solve_vjp,
        batch_rule=_solve_batch,
        lowering=Lowering("lapack", "triangular_solve"),
    )
)


def triangular_solve(
    a: Any,
    b: Any,
    *,
    lower: bool,
    unit: bool = False,
    transposed: bool = False,
    checked: bool = False,
) -> Any:
    """The x of a·x = b, or aᵀ·x = b, of whose `a` one triangle is read; with `unit` its diagonal is
    taken to be 1. `a` (…, n, n), `b` (…, n, k). A zero on the diagonal gives infinities, and
    LinAlgError where that is `checked`."""
    params = {"lower": lower, "unit": unit, "transposed": transposed, "checked": checked}
    return bind(triangular_solve_p, a, b, **params)


def _cholesky_type(a: ArrayType) -> ArrayType:
    check_square(a, "cholesky")
    return a


def _cholesky_evaluate(a: Any) -> Any:
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(str(error)) from None


def _cholesky_jvp(primals: Any, tangents: Any, factor: Any) -> Any:
    """dL = L·Φ(L⁻¹·dA·L⁻ᴴ), Φ the lower triangle with half of the diagonal (Murray 2016, eq. 8)."""
    moved = hermitian_part(tangents[0])
    left = triangular_solve(factor, moved, lower=True)
    both = adjoint(triangular_solve(factor, adjoint(left), lower=True))
    half = factor.dtype.type(0.5)
    return product(factor, lower(both, -1) + on_diagonal(both) * half)


def _cholesky_vjp(ct: Any, primals: Any, factor: Any, active: Any) -> list[Any]:
    """The transpose of the rule above: both triangles of S = L⁻ᵀ·Φ(Lᵀ·ct)·L⁻¹ belong to one."""
    from tracer.transforms.reverse import vjp_by_transposing

    if is_complex(factor.dtype):
        return vjp_by_transposing(cholesky_p, [ct], primals, factor, active, {})
    moved = product(swap(factor), ct)
    half = factor.dtype.type(0.5)
    moved = lower(moved, -1) + on_diagonal(moved) * half
    left = triangular_solve(factor, moved, lower=True, transposed=True)
    both = triangular_solve(factor, swap(left), lower=True, transposed=True)
    return [lower(both + swap(both), -1) + on_diagonal(both)]


cholesky_p: Primitive = register(
    Primitive(
        "cholesky",
        _cholesky_type,
        _cholesky_evaluate,
        jvp_rule=_cholesky_jvp,
        vjp_rule=_cholesky_vjp,
        batch_rule=lambda size, operands, batched: cholesky(operands[0]),
        lowering=Lowering("lapack", "cholesky"),
    )
)


def cholesky(a: Any) -> Any:
    """The lower triangular factor of Hermitian matrices, of which the lower triangle is read.

    LinAlgError where one is not positive definite."""
    return bind(cholesky_p, a)
