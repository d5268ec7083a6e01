"""Factorisations with orthogonal factors: QR, and singular values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import LinAlgError, ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.arithmetic import divide, multiply
from tracer.primitives.broadcast import reshape
from tracer.primitives.cast import cast, imag_part, make_complex, real_part
from tracer.primitives.comparison import equal, select
from tracer.primitives.matrices import (
    adjoint,
    as_column,
    as_row,
    columns_of,
    conjugated,
    diagonal,
    identity,
    imaginary,
    lower,
    on_diagonal,
    product,
    real_type,
    rows_of,
    swap,
    upper,
)
from tracer.primitives.shape import concatenate
from tracer.primitives.triangular import triangular_solve
from tracer.trace import bind
from tracer.types import ArrayType, is_complex


def check_matrices(a: ArrayType, name: str) -> None:
    """ShapeError unless `a` is a stack of matrices that are not empty."""
    if a.ndim < 2 or 0 in a.shape[-2:]:
        raise ShapeError(f"{name} takes matrices that are not empty, not {a}")


def _qr_type(a: ArrayType, *, complete: bool) -> tuple[ArrayType, ...]:
    check_matrices(a, "qr")
    *lead, rows, columns = a.shape
    inner = rows if complete else min(rows, columns)
    return (
        ArrayType(a.dtype, (*lead, inner, rows)),
        ArrayType(a.dtype, (*lead, inner, columns)),
    )


def _qr_evaluate(a: Any, *, complete: bool) -> Any:
    q, r = np.linalg.qr(a, "complete" if complete else "reduced")
    return np.swapaxes(q, -1, -2), r


def _qr_jvp(primals: Any, tangents: Any, results: Any, *, complete: bool) -> Any:
    """dQ = Q·Ω + (1 − Q·Qᴴ)·dA·R⁻¹ and dR = (B − Ω)·R with B = Qᴴ·dA·R⁻¹ and Ω its lower triangle
    made skew-Hermitian, as LAPACK's R has a real diagonal (Walter and Lehmann 2010)."""
    (change,), q, r = tangents, swap(results[0]), results[1]
    rows, columns = change.shape[-2:]
    size = min(rows, columns)
    first, square = columns_of(q, 0, size), rows_of(columns_of(r, 0, size), 0, size)
    head = columns_of(change, 0, size)
    scaled = swap(triangular_solve(square, swap(head), lower=False, transposed=True))
    inner = product(adjoint(first), scaled)
    skew = lower(inner, -1) - adjoint(lower(inner, -1))
    if is_complex(skew.dtype):
        skew = skew + on_diagonal(_imaginary_part(inner))
    dq = product(first, skew)
    if rows > size:
        dq = dq + scaled - product(first, inner)
    dr = product(upper(inner - skew), square)
    if columns > size:
        rest = columns_of(change, size, columns)
        moved = product(adjoint(dq), columns_of(product(q, r), size, columns))
        dr = concatenate([dr, moved + product(adjoint(first), rest)], len(r.shape) - 1)
    if complete and rows > size:
        dq = _completed(q, dq, size)
        below = np.zeros((*dr.shape[:-2], rows - size, columns), dr.dtype)
        dr = concatenate([dr, below], len(r.shape) - 2)
    return swap(dq), dr


def _imaginary_part(x: Any) -> Any:
    return imaginary(imag_part(x))


def _completed(q: Any, dq: Any, size: int) -> Any:
    """The tangent of all columns of Q = 1 − V·T·Vᴴ, V and T of LAPACK's reflections, from that of
    the first: V·(T·V₁ᴴ) = E − Q₁ is a factorisation L·U without row exchanges (Ballard and others
    2014)."""
    rows = q.shape[-2]
    first = columns_of(q, 0, size)
    corner = identity(first.shape, q.dtype)
    whole = corner - first
    top = rows_of(whole, 0, size)
    unit, factor = _without_exchanges(top)
    below = swap(
        triangular_solve(factor, swap(rows_of(whole, size, rows)), lower=False, transposed=True)
    )
    moved = -dq
    # Tangents of the factors of the square part, and of what lies below it.
    left = triangular_solve(unit, rows_of(moved, 0, size), lower=True, unit=True)
    both = swap(triangular_solve(factor, swap(left), lower=False, transposed=True))
    d_unit, d_factor = product(unit, lower(both, -1)), product(upper(both), factor)
    rest = rows_of(moved, size, rows) - product(below, d_factor)
    d_below = swap(triangular_solve(factor, swap(rest), lower=False, transposed=True))
    # Q₂ = E₂ − V·T·V₂ᴴ, and T = U·V₁⁻ᴴ.
    vectors = concatenate([unit, below], len(q.shape) - 2)
    d_vectors = concatenate([d_unit, d_below], len(q.shape) - 2)
    inverse = adjoint(triangular_solve(unit, adjoint(factor), lower=True, unit=True))
    d_inverse = adjoint(
        triangular_solve(
            unit, adjoint(d_factor) - product(d_unit, adjoint(inverse)), lower=True, unit=True
        )
    )
    d_rest = (
        product(product(d_vectors, inverse), adjoint(below))
        + product(product(vectors, d_inverse), adjoint(below))
        + product(product(vectors, inverse), adjoint(d_below))
    )
    return concatenate([dq, -d_rest], len(q.shape) - 1)


def _without_exchanges(x: Any) -> tuple[Any, Any]:
    """L with a unit diagonal, and U, of small square matrices: one column after the other."""
    size = x.shape[-1]
    columns = []
    for place in range(size):
        pivot = rows_of(columns_of(x, place, place + 1), place, place + 1)
        below = np.arange(size) > place
        column = select(
            below[:, None], divide(columns_of(x, place, place + 1), pivot), x.dtype.type(0)
        )
        columns.append(column)
        x = x - product(column, rows_of(x, place, place + 1))
    unit = concatenate(columns, len(x.shape) - 1) + identity(x.shape, x.dtype)
    return unit, upper(x)


qr_p: Primitive = register(
    Primitive(
        "qr",
        _qr_type,
        _qr_evaluate,
        jvp_rule=_qr_jvp,
        batch_rule=lambda size, operands, batched, **params: (
            bind(qr_p, operands[0], **params),
            (True, True),
        ),
        lowering=Lowering("lapack", "qr"),
        multiple=True,
    )
)


def qr(a: Any, *, complete: bool = False) -> tuple[Any, Any]:
    """Q transposed and R of matrices (…, m, n), as LAPACK's Householder reflections give them."""
    return bind(qr_p, a, complete=complete)  # type: ignore[no-any-return]


def _svd_type(a: ArrayType, *, vectors: bool, complete: bool) -> tuple[ArrayType, ...]:
    check_matrices(a, "svd")
    *lead, rows, columns = a.shape
    size = min(rows, columns)
    values = real_type(a, (*lead, size))
    if not vectors:
        return (values,)
    left, right = (rows, columns) if complete else (size, size)
    return (
        values,
        ArrayType(a.dtype, (*lead, left, rows)),
        ArrayType(a.dtype, (*lead, columns, right)),
    )


def _svd_evaluate(a: Any, *, vectors: bool, complete: bool) -> Any:
    try:
        if not vectors:
            return (np.linalg.svd(a, compute_uv=False),)
        u, s, vh = np.linalg.svd(a, full_matrices=complete)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(str(error)) from None
    return s, np.swapaxes(u, -1, -2), np.swapaxes(vh, -1, -2)


def safe_inverse(x: Any) -> Any:
    """1/x; 0 where x is 0."""
    zero = equal(x, x.dtype.type(0))
    return select(zero, x.dtype.type(0), divide(x.dtype.type(1), select(zero, x.dtype.type(1), x)))


def _svd_jvp(primals: Any, tangents: Any, results: Any, *, vectors: bool, complete: bool) -> Any:
    """dS is the diagonal of dP = Uᴴ·dA·V; the vectors turn by dP over differences of squares, which
    count as 0 where two singular values, or one and 0, are equal (Townsend 2016)."""
    (change,) = tangents
    if not vectors:
        s, u_t, v_c = svd(primals[0])
        moved = product(product(conjugated(u_t), change), conjugated(v_c))
        return (_real(diagonal(moved)),)
    s = results[0]
    size = s.shape[-1]
    u, v = swap(results[1]), conjugated(results[2])
    first_u, first_v = columns_of(u, 0, size), columns_of(v, 0, size)
    moved = product(product(adjoint(first_u), change), first_v)
    ds = _real(diagonal(moved))
    rows, columns = as_column(s), as_row(s)
    gap = multiply(safe_inverse(columns - rows), safe_inverse(columns + rows))
    gap = _as(select(np.eye(size, dtype=bool), s.dtype.type(0), gap), moved.dtype)
    rows, columns = _as(rows, moved.dtype), _as(columns, moved.dtype)
    back = adjoint(moved)
    turn_u = gap * (moved * columns + rows * back)
    turn_v = gap * (rows * moved + back * columns)
    inverse = safe_inverse(s)
    if is_complex(moved.dtype):
        turn_u, turn_v = _phases(turn_u, turn_v, moved, first_u, first_v, inverse)
    scale = _as(as_row(inverse), moved.dtype)
    du, dv = product(first_u, turn_u), product(first_v, turn_v)
    outside_u = product(change, first_v) * scale
    outside_v = product(adjoint(change), first_u) * scale
    du = du + outside_u - product(first_u, product(adjoint(first_u), outside_u))
    dv = dv + outside_v - product(first_v, product(adjoint(first_v), outside_v))
    if complete:
        du, dv = _with_rest(u, du, size), _with_rest(v, dv, size)
    return ds, swap(du), conjugated(dv)


def _real(x: Any) -> Any:
    return real_part(x) if is_complex(x.dtype) else x


def _as(x: Any, dtype: Any) -> Any:
    return cast(x, dtype) if x.dtype != dtype else x


def _phases(turn_u: Any, turn_v: Any, moved: Any, u: Any, v: Any, inverse: Any) -> tuple[Any, Any]:
    """The turns with the phases that LAPACK chooses: the first row of V is real, or that of U where
    the matrix is wider than high."""
    phase = imag_part(diagonal(moved)) * inverse
    tall = u.shape[-2] >= v.shape[-2]
    fixed, turn = (v, turn_v) if tall else (u, turn_u)
    change = rows_of(product(fixed, turn), 0, 1)
    entry = rows_of(fixed, 0, 1)
    angle = -imag_part(change) * safe_inverse(real_part(entry))
    angle = _flat(angle)
    zero = np.zeros(angle.shape, angle.dtype)
    of_u, of_v = (angle + phase, angle) if tall else (angle, angle - phase)
    size = turn_u.shape[-1]

    def diagonal_of(angles: Any) -> Any:
        return as_row(make_complex(zero, angles)) * np.eye(size, dtype=turn_u.dtype)

    return turn_u + diagonal_of(of_u), turn_v + diagonal_of(of_v)


def _flat(x: Any) -> Any:
    return reshape(x, (*x.shape[:-2], x.shape[-1]))


def _with_rest(x: Any, dx: Any, size: int) -> Any:
    """The tangent of all columns of a unitary matrix from that of the first ones: the others turn
    as little as they must."""
    total = x.shape[-1]
    if total == size:
        return dx
    rest = columns_of(x, size, total)
    first = columns_of(x, 0, size)
    turned = -product(first, product(adjoint(dx), rest))
    return concatenate([dx, turned], len(x.shape) - 1)


svd_p: Primitive = register(
    Primitive(
        "svd",
        _svd_type,
        _svd_evaluate,
        jvp_rule=_svd_jvp,
        batch_rule=lambda size, operands, batched, **params: (
            bind(svd_p, operands[0], **params),
            (True,) * (3 if params["vectors"] else 1),
        ),
        lowering=Lowering("lapack", "svd"),
        multiple=True,
    )
)


def svd(a: Any, *, complete: bool = False) -> tuple[Any, Any, Any]:
    """Singular values (…, k) from large to small, U transposed, and Vᴴ transposed."""
    return bind(svd_p, a, vectors=True, complete=complete)  # type: ignore[no-any-return]


def singular_values(a: Any) -> Any:
    """Singular values alone."""
    return bind(svd_p, a, vectors=False, complete=False)[0]
