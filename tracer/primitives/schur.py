"""The Schur form A = Z·T·Zᴴ."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import DerivativeError, ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.matrices import (
    adjoint,
    columns_of,
    each_matrix,
    identity,
    lower,
    product,
    rows_of,
    swap,
    upper,
)
from tracer.primitives.shape import concatenate
from tracer.primitives.triangular import triangular_solve
from tracer.trace import bind
from tracer.types import ArrayType, is_complex


def _schur_type(a: ArrayType) -> tuple[ArrayType, ...]:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] == 0:
        raise ShapeError(f"schur takes square matrices that are not empty, not {a}")
    return a, a


def _schur_evaluate(a: Any) -> Any:
    import scipy.linalg

    def factor(one: Any) -> Any:
        t, z = scipy.linalg.schur(one)
        return t.T, z.T

    return each_matrix(factor, [ArrayType(a.dtype, a.shape)] * 2, [a])


def _schur_jvp(primals: Any, tangents: Any, results: Any) -> Any:
    """dZ = Z·Ω with Ω skew-Hermitian: below the diagonal Ω·T − T·Ω is that of −M, M = Zᴴ·dA·Z,
    column after column; and dT = M + T·Ω − Ω·T."""
    t, z = swap(results[0]), swap(results[1])
    if not is_complex(t.dtype):
        raise DerivativeError(
            'the real Schur form has no derivative here; use schur(…, output="complex")'
        )
    size = t.shape[-1]
    rank = len(t.shape)
    moved = product(product(adjoint(z), tangents[0]), z)
    columns: list[Any] = []
    known = np.zeros((*t.shape[:-1], 0), t.dtype)
    for place in range(size - 1):
        right = -rows_of(columns_of(moved, place, place + 1), place + 1, size)
        if place:
            before = rows_of(columns_of(t, place, place + 1), 0, place)
            right = right + product(rows_of(known, place + 1, size), before)
        corner = rows_of(columns_of(t, place + 1, size), place + 1, size)
        pivot = rows_of(columns_of(t, place, place + 1), place, place + 1)
        shifted = corner - pivot * identity(corner.shape, t.dtype)
        solved = triangular_solve(shifted, right, lower=False)
        head = np.zeros((*t.shape[:-2], place + 1, 1), t.dtype)
        columns.append(concatenate([head, solved], rank - 2))
        known = concatenate(columns, rank - 1)
    columns.append(np.zeros((*t.shape[:-1], 1), t.dtype))
    below = lower(concatenate(columns, rank - 1), -1)
    turn = below - adjoint(below)
    dt = upper(moved + product(t, turn) - product(turn, t))
    return swap(dt), swap(product(z, turn))


schur_p: Primitive = register(
    Primitive(
        "schur",
        _schur_type,
        _schur_evaluate,
        jvp_rule=_schur_jvp,
        batch_rule=lambda size, operands, batched: (bind(schur_p, operands[0]), (True, True)),
        lowering=Lowering("lapack", "schur"),
        multiple=True,
    )
)


def schur(a: Any) -> tuple[Any, Any]:
    """T and Z, both transposed: upper triangular, with blocks of two rows where `a` is real."""
    return bind(schur_p, a)  # type: ignore[no-any-return]
