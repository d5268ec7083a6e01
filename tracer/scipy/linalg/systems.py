"""Systems of equations, and factors that solve them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.numpy.common import as_array, where_text
from tracer.numpy.linear_systems import as_matrices, check_square, solve_columns, square_matrix
from tracer.primitives import lu as factors
from tracer.primitives import matrices, triangular
from tracer.primitives.arithmetic import multiply, subtract
from tracer.primitives.broadcast import broadcast_to, full, reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import equal
from tracer.primitives.matrices import adjoint, conjugated, identity, lower, swap, upper
from tracer.primitives.ordering import argsort
from tracer.scipy.linalg.wrap import linalg_function
from tracer.types import broadcast_shapes


def as_columns(a: Any, b: Any) -> tuple[Any, bool]:
    """A right-hand side (n,) or (…, n, k) as matrices; whether it was one vector."""
    if len(b.shape) == 1:
        return reshape(b, (b.shape[0], 1)), True
    return b, False


def _aligned(a: Any, b: Any) -> tuple[Any, Any]:
    lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"{where_text()}shapes of a {a.shape} and b {b.shape} are incompatible")
    return tuple(
        x if x.shape[:-2] == lead else broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b)
    )


def shaped(x: Any, vector: bool) -> Any:
    """The solution for one vector as a vector."""
    return reshape(x, x.shape[:-1]) if vector else x


@linalg_function
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The x of a·x = b with a triangular `a`; LinAlgError where its diagonal has a zero."""
    a, b = as_matrices(a, b)
    check_square(a)
    b, vector = as_columns(a, b)
    a, b = _aligned(a, b)
    flag = {0: "N", 1: "T", 2: "C"}.get(trans, trans)
    if flag == "C":
        a = conjugated(a)
    if 0 in b.shape[-2:]:
        return shaped(full(b.shape, 0, b.dtype), vector)
    found = triangular.triangular_solve(
        a,
        b,
        lower=lower,
        unit=unit_diagonal,
        transposed=flag != "N",
        checked=not unit_diagonal,
    )
    return shaped(found, vector)


def _structured(a: Any, in_lower: bool, assume_a: Any) -> Any:
    """The matrix that is meant where one triangle is read."""
    if assume_a in ("her", "hermitian", "pos", "positive definite"):
        return matrices.hermitian_part(a, in_lower)
    if assume_a in ("sym", "symmetric"):
        half = lower(a, -1) if in_lower else upper(a, 1)
        return half + swap(half) + matrices.on_diagonal(a)
    return a


@linalg_function
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
) -> Any:
    """The x of a·x = b, or aᵀ·x = b; `assume_a` "pos" solves by the Cholesky factor."""
    a, b = as_matrices(a, b)
    check_square(a)
    b, vector = as_columns(a, b)
    if assume_a in ("pos", "positive definite"):
        factor = triangular.cholesky(_structured(a, lower, assume_a))
        return shaped(_factor_solve(factor, b, transposed), vector)
    a = _structured(a, lower, assume_a)
    return shaped(solve_columns(swap(a) if transposed else a, b), vector)


@linalg_function
def inv(a: Any, overwrite_a: bool = False, check_finite: bool = True, **options: Any) -> Any:
    """The inverses of square matrices."""
    from tracer.numpy.linear_systems import inv as inverse

    if options.get("assume_a") not in (None, "gen", "general"):
        raise TypeError(f"{where_text()}inv takes no assume_a here: leave it out")
    return inverse(a)


@linalg_function
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """The determinants of square matrices."""
    from tracer.numpy.linear_systems import det as determinant

    return determinant(a)


@linalg_function
def cholesky(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """The Cholesky factor, upper by default; of `a` that triangle is read."""
    x = square_matrix(a)
    if 0 in x.shape[-2:]:
        return full(x.shape, 0, x.dtype)
    return triangular.cholesky(x) if lower else adjoint(triangular.cholesky(adjoint(x)))


@linalg_function
def cho_factor(
    a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True
) -> Any:
    """(factor, lower) for `cho_solve`; the other triangle holds what `a` holds there."""
    x = square_matrix(a)
    factor = cholesky(x, lower=lower)
    rest = upper(x, 1) if lower else matrices.lower(x, -1)
    return factor + rest, lower


def _factor_solve(factor: Any, b: Any, transposed: bool = False) -> Any:
    """(L·Lᴴ)⁻¹·b, or that of the transpose."""
    factor, b = _aligned(factor, b)
    if transposed:
        factor = conjugated(factor)
    first = triangular.triangular_solve(factor, b, lower=True)
    return triangular.triangular_solve(conjugated(factor), first, lower=True, transposed=True)


@linalg_function
def cho_solve(
    c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """The x of a·x = b, given `cho_factor(a)`."""
    c, in_lower = c_and_lower
    c, b = as_matrices(c, b)
    check_square(c)
    b, vector = as_columns(c, b)
    factor = matrices.lower(c) if in_lower else adjoint(upper(c))
    return shaped(_factor_solve(factor, b), vector)


@linalg_function
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """(LU, pivots) of matrices that are not empty, for `lu_solve`."""
    (x,) = as_matrices(a)
    packed, pivots, _ = factors.lu(x)
    return swap(packed), pivots


@linalg_function
def lu_solve(
    lu_and_piv: Any,
    b: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The x of a·x = b, given `lu_factor(a)`; `trans` 1: of aᵀ·x = b, 2: of aᴴ·x = b."""
    packed, pivots = lu_and_piv
    packed, b = as_matrices(packed, b)
    b, vector = as_columns(packed, b)
    packed, b = _aligned(packed, b)
    if trans == 2:
        packed = conjugated(packed)
    order = permutation(pivots, packed.shape[-1])
    order = broadcast_to(order, b.shape[:-1])
    if trans == 0:
        b = matrices.permuted_rows(b, order)
        first = triangular.triangular_solve(packed, b, lower=True, unit=True)
        return shaped(triangular.triangular_solve(packed, first, lower=False), vector)
    first = triangular.triangular_solve(packed, b, lower=False, transposed=True)
    last = triangular.triangular_solve(packed, first, lower=True, unit=True, transposed=True)
    return shaped(matrices.permuted_rows(last, inverse_order(order)), vector)


def permutation(pivots: Any, rows: int) -> Any:
    """The order of the rows after the exchanges, one after the other."""
    pivots = as_array(pivots)
    order = np.broadcast_to(np.arange(rows), (*pivots.shape[:-1], rows))
    places = np.arange(rows)
    for row in range(pivots.shape[-1]):
        other = cast(pivots[..., row : row + 1], np.dtype(np.int64))
        here = equal(places, row)
        there = equal(places, other)
        at_row = order[..., row : row + 1]
        at_other = _sum_last(multiply(order, cast(there, np.dtype(np.int64))))
        order = order + multiply(cast(there, np.dtype(np.int64)), subtract(at_row, at_other))
        moved = multiply(
            cast(here, np.dtype(np.int64)), subtract(at_other, order[..., row : row + 1])
        )
        order = order + moved
    return order


def _sum_last(x: Any) -> Any:
    return matrices.as_column(reduce_sum(x, (len(x.shape) - 1,)))


def inverse_order(order: Any) -> Any:
    """The inverse of permutations."""
    return argsort(order, len(order.shape) - 1)


@linalg_function
def lu(
    a: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
) -> Any:
    """P, L, U with a = P·L·U; (P·L, U) with `permute_l`; P as indices with `p_indices`."""
    (x,) = as_matrices(a)
    packed_t, _, order = factors.lu(x)
    packed = swap(packed_t)
    rows, columns = packed.shape[-2:]
    size = min(rows, columns)
    left = matrices.columns_of(packed, 0, size)
    left = lower(left, -1) + identity(left.shape, left.dtype)
    right = upper(matrices.rows_of(packed, 0, size))
    back = inverse_order(order)
    if permute_l:
        return matrices.permuted_rows(left, back), right
    if p_indices:
        return cast(back, np.dtype(np.int32)), left, right
    exchanged = matrices.permuted_rows(identity((*packed.shape[:-2], rows, rows), x.dtype), back)
    real = np.zeros((), x.dtype).real.dtype
    return cast(exchanged, real), left, right


@linalg_function
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """The x of a·x = b, `ab` (l + u + 1, n) the diagonals of `a` from the highest to the lowest.

    The system is solved with the whole matrix, in the time that takes."""
    below, above = l_and_u
    ab, b = as_matrices(ab, b)
    size = ab.shape[-1]
    if below + above + 1 != ab.shape[0]:
        raise ValueError(
            f"{where_text()}invalid values for the number of lower and upper diagonals: l+u+1 "
            f"({below + above + 1}) does not equal ab.shape[0] ({ab.shape[0]})"
        )
    rows, columns = np.indices((size, size))
    offset = columns - rows
    inside = (offset <= above) & (offset >= -below)
    place = np.where(inside, above - offset, 0)
    whole = multiply(ab[place, columns], inside.astype(ab.dtype))
    b, vector = as_columns(whole, b)
    return shaped(solve_columns(whole, b), vector)
