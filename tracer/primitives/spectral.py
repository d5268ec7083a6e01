"""Eigenvalues and eigenvectors of Hermitian matrices and of any others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import LinAlgError, ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.arithmetic import absolute
from tracer.primitives.broadcast import reduce_sum, reshape
from tracer.primitives.cast import cast, imag_part, make_complex, real_part
from tracer.primitives.comparison import equal, select
from tracer.primitives.lu import solve
from tracer.primitives.matrices import (
    adjoint,
    as_column,
    as_row,
    conjugated,
    diagonal,
    hermitian_part,
    product,
    real_type,
    rows_of,
    swap,
)
from tracer.primitives.orthogonal import safe_inverse
from tracer.primitives.reduce import argmax
from tracer.trace import bind
from tracer.types import ArrayType, complex_dtype, is_complex


def _check(a: ArrayType, name: str) -> None:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] == 0:
        raise ShapeError(f"{name} takes square matrices that are not empty, not {a}")


def _eigh_type(a: ArrayType, *, lower: bool, vectors: bool) -> tuple[ArrayType, ...]:
    _check(a, "eigh")
    values = real_type(a, a.shape[:-1])
    return (values, a) if vectors else (values,)


def _eigh_evaluate(a: Any, *, lower: bool, vectors: bool) -> Any:
    half: Any = "L" if lower else "U"
    try:
        if not vectors:
            return (np.linalg.eigvalsh(a, half),)
        values, found = np.linalg.eigh(a, half)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(str(error)) from None
    return values, np.swapaxes(found, -1, -2)


def _eigh_jvp(primals: Any, tangents: Any, results: Any, *, lower: bool, vectors: bool) -> Any:
    """dw is the diagonal of M = Vᴴ·dA·V; dV = V·(M over differences of eigenvalues), which count as
    0 where two are equal."""
    change = hermitian_part(tangents[0], lower)
    if not vectors:
        results = eigh(primals[0], lower=lower)
    values, v = results[0], swap(results[1])
    moved = product(product(adjoint(v), change), v)
    dw = diagonal(moved)
    dw = real_part(dw) if is_complex(dw.dtype) else dw
    if not vectors:
        return (dw,)
    gap = safe_inverse(as_row(values) - as_column(values))
    turn = moved * (cast(gap, moved.dtype) if gap.dtype != moved.dtype else gap)
    dv = product(v, turn)
    if is_complex(v.dtype):
        dv = dv + v * _phase(v, dv, lower)
    return dw, swap(dv)


def _phase(v: Any, dv: Any, lower: bool) -> Any:
    """What keeps real the row of V that LAPACK makes real: the first, or the last where the upper
    triangle is read."""
    row = 0 if lower else v.shape[-2] - 1
    entry, change = (rows_of(x, row, row + 1) for x in (v, dv))
    angle = -imag_part(change) * safe_inverse(real_part(entry))
    return make_complex(np.zeros(angle.shape, angle.dtype), angle)


eigh_p: Primitive = register(
    Primitive(
        "eigh",
        _eigh_type,
        _eigh_evaluate,
        jvp_rule=_eigh_jvp,
        batch_rule=lambda size, operands, batched, **params: (
            bind(eigh_p, operands[0], **params),
            (True,) * (2 if params["vectors"] else 1),
        ),
        lowering=Lowering("lapack", "eigh"),
        multiple=True,
    )
)


def eigh(a: Any, *, lower: bool = True) -> tuple[Any, Any]:
    """Eigenvalues (…, n) from small to large, and eigenvectors as rows, of Hermitian matrices of
    which one triangle is read."""
    return bind(eigh_p, a, lower=lower, vectors=True)  # type: ignore[no-any-return]


def eigvalsh(a: Any, *, lower: bool = True) -> Any:
    """Eigenvalues of Hermitian matrices alone."""
    return bind(eigh_p, a, lower=lower, vectors=False)[0]


def _eig_type(a: ArrayType, *, vectors: bool) -> tuple[ArrayType, ...]:
    _check(a, "eig")
    wide = complex_dtype(a.dtype) if not is_complex(a.dtype) else a.dtype
    values = ArrayType(wide, a.shape[:-1])
    return (values, ArrayType(wide, a.shape)) if vectors else (values,)


def _eig_evaluate(a: Any, *, vectors: bool) -> Any:
    wide = complex_dtype(a.dtype) if a.dtype.kind != "c" else a.dtype
    try:
        if not vectors:
            return (np.asarray(np.linalg.eigvals(a), wide),)
        values, found = np.linalg.eig(a)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(str(error)) from None
    return np.asarray(values, wide), np.swapaxes(np.asarray(found, wide), -1, -2)


def _eig_jvp(primals: Any, tangents: Any, results: Any, *, vectors: bool) -> Any:
    """dw is the diagonal of M = V⁻¹·dA·V; dV = V·(M over differences of eigenvalues), and what
    keeps LAPACK's scale: columns of length 1, the element of largest absolute value real."""
    if not vectors:
        results = eig(primals[0])
    values, v = results[0], swap(results[1])
    change = tangents[0]
    change = change if change.dtype == v.dtype else cast(change, v.dtype)
    moved = solve(v, product(change, v))
    dw = diagonal(moved)
    if not vectors:
        return (dw,)
    dv = product(v, moved * safe_inverse(as_row(values) - as_column(values)))
    overlap = reduce_sum(real_part(conjugated(v) * dv), (len(v.shape) - 2,))
    size = absolute(v)
    first = argmax(size, len(v.shape) - 2)
    rows = np.arange(v.shape[-2]).reshape(-1, 1)
    chosen = equal(rows, reshape(first, (*first.shape[:-1], 1, first.shape[-1])))
    zero = v.dtype.type(0)
    entry, moves = (reduce_sum(select(chosen, x, zero), (len(v.shape) - 2,)) for x in (v, dv))
    angle = imag_part(moves) * safe_inverse(real_part(entry))
    return dw, swap(dv - v * as_row(make_complex(overlap, angle)))


eig_p: Primitive = register(
    Primitive(
        "eig",
        _eig_type,
        _eig_evaluate,
        jvp_rule=_eig_jvp,
        batch_rule=lambda size, operands, batched, **params: (
            bind(eig_p, operands[0], **params),
            (True,) * (2 if params["vectors"] else 1),
        ),
        lowering=Lowering("lapack", "eig"),
        multiple=True,
    )
)


def eig(a: Any) -> tuple[Any, Any]:
    """Eigenvalues (…, n), always complex, and eigenvectors as rows, of square matrices."""
    return bind(eig_p, a, vectors=True)  # type: ignore[no-any-return]


def eigvals(a: Any) -> Any:
    """Eigenvalues of square matrices alone, always complex."""
    return bind(eig_p, a, vectors=False)[0]
