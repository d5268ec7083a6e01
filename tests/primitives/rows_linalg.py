"""Rows of the factorisations, and of what is solved with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.linalg

import tracer
from tests.primitives.builders import plain
from tests.primitives.row import Case, Interval, Row, Shape, type_of
from tracer.primitives import determinant as dets
from tracer.primitives import (
    lu,
    matrices,
    matrix_functions,
    orthogonal,
    schur,
    spectral,
    triangular,
)
from tracer.primitives.matrices import adjoint, product

Function = Callable[..., Any]
UNIT: Interval = (-1.0, 1.0)
LAPACK = "two builds of LAPACK add in another order"


def _shift(x: Any, by: float = 3.0) -> Any:
    """`x` made well conditioned, its eigenvalues and singular values kept apart."""
    rows, columns = x.shape[-2:]
    apart = np.eye(rows, columns) * by * np.arange(1, columns + 1)
    return x + apart.astype(x.dtype)


def _positive(x: Any) -> Any:
    """A positive definite matrix made of `x`."""
    return product(x, adjoint(x)) + np.eye(x.shape[-1], dtype=x.dtype)


def _cases(function: Function, *operands: Sequence[tuple[str, Shape]]) -> tuple[Case, ...]:
    """A case for each list of operands."""

    def build(*tracers: Any) -> Sequence[Any]:
        return tracer.tree.leaves(function(*tracers))

    return tuple(
        Case(
            tuple(type_of(dtype, shape) for dtype, shape in types),
            (UNIT,) * len(types),
            {},
            build,
        )
        for types in operands
    )


def _row(reference: Function, cases: tuple[Case, ...], **options: Any) -> Row:
    settings = {"ulps": 256.0, "reason": LAPACK, "scaled": True, **options}
    return plain(reference, *cases, **settings)


def _stacks(*shapes: Shape) -> list[list[tuple[str, Shape]]]:
    """The first shape in every dtype, the others in double precision."""
    found = [[(dtype, shapes[0])] for dtype in ("f8", "f4", "c16", "c8")]
    return found + [[("f8", shape)] for shape in shapes[1:]]


def _systems(*shapes: tuple[Shape, Shape]) -> list[list[tuple[str, Shape]]]:
    found = [[(dtype, shape) for shape in shapes[0]] for dtype in ("f8", "f4", "c16", "c8")]
    return found + [[("f8", a), ("f8", b)] for a, b in shapes[1:]]


SYSTEMS = _systems(
    ((3, 3), (3, 2)),
    ((5, 5), (5, 1)),
    ((2, 3, 3), (2, 3, 1)),
    ((1, 1), (1, 1)),
    ((0, 2, 2), (0, 2, 1)),
)


def _by_each(function: Function, *stacks: Any) -> Any:
    """A function of matrices on stacks of them."""
    lead = stacks[0].shape[:-2]
    found = [function(*[stack[place] for stack in stacks]) for place in np.ndindex(lead)]
    if not found:
        return np.zeros_like(stacks[-1])
    return np.reshape(np.stack(found), (*lead, *np.shape(found[0])))


FLAGS = ((0, True, False), (1, True, True), (0, False, True), (1, False, False))


def _triangular(a: Any, b: Any) -> list[Any]:
    """All kinds of triangular systems; the right-hand side and the matrix also lie transposed."""
    found = [
        triangular.triangular_solve(
            _shift(a), b, lower=in_lower, unit=unit, transposed=bool(trans), checked=not unit
        )
        for trans, in_lower, unit in FLAGS
    ]
    turned = matrices.swap(_shift(a))
    square = matrices.product(a, matrices.swap(a))
    return [*found, triangular.triangular_solve(turned, matrices.swap(square), lower=True)]


def _triangular_reference(a: Any, b: Any) -> tuple[Any, ...]:
    def solve(trans: int, in_lower: bool, unit: bool) -> Any:
        flags = {"trans": trans, "lower": in_lower, "unit_diagonal": unit}
        found = _by_each(lambda x, y: scipy.linalg.solve_triangular(x, y, **flags), _shift(a), b)
        return found.astype(b.dtype)

    def last(x: Any, y: Any) -> Any:
        return scipy.linalg.solve_triangular(_shift(x).T, (y @ y.T).T, lower=True)

    found = tuple(solve(*flags) for flags in FLAGS)
    return (*found, _by_each(last, a, a).astype(a.dtype))


def _lu_reference(x: Any) -> Any:
    a = _mixed(x)
    factors = np.empty((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    pivots = np.empty((*a.shape[:-2], min(a.shape[-2:])), np.int32)
    orders = np.empty(a.shape[:-1], np.int64)
    for place in np.ndindex(a.shape[:-2]):
        packed, found = scipy.linalg.lu_factor(a[place])
        factors[place], pivots[place] = packed.T, found
        orders[place] = np.argmax(scipy.linalg.lu(a[place])[0], 0)
    return factors, pivots, orders


def _mixed(x: Any) -> Any:
    """Matrices whose rows are exchanged, by a clear margin."""
    return _shift(x, 4.0)[..., ::-1, :]


def _log_determinant(x: Any) -> Any:
    return lu.Factored(_mixed(x), nonsingular=False).log_determinant()


def _slogdet_reference(x: Any) -> Any:
    return tuple(np.linalg.slogdet(_mixed(x)))


def _qr_reference(x: Any) -> Any:
    q, r = np.linalg.qr(_shift(x))
    return np.swapaxes(q, -1, -2), r


def _signs(rows: Any) -> Any:
    """What makes the larger part of each row positive: signs are the routine's affair."""
    part = np.real(rows) + np.imag(rows) if rows.dtype.kind == "c" else rows
    signs = np.sign(np.sum(part * part * part, axis=-1, keepdims=True))
    return signs.astype(rows.dtype)


def _signed_svd(s: Any, u: Any, v: Any) -> tuple[Any, Any, Any]:
    """Singular vectors, rows of `u` and columns of `v`, with one of their two signs."""
    signs = _signs(u)
    return s, u * signs, v * np.swapaxes(signs, -1, -2)


def _svd_reference(x: Any) -> Any:
    u, s, vh = np.linalg.svd(_shift(x), full_matrices=False)
    return _signed_svd(s, np.swapaxes(u, -1, -2), np.swapaxes(vh, -1, -2))


def _signed_eigh(values: Any, rows: Any) -> tuple[Any, Any]:
    """Eigenvectors with one of their two signs."""
    return values, rows * _signs(rows)


def _eigh_reference(x: Any) -> Any:
    values, vectors = np.linalg.eigh(_shift(x))
    return _signed_eigh(values, np.swapaxes(vectors, -1, -2))


def _eig_reference(x: Any) -> Any:
    values, vectors = np.linalg.eig(_shift(x))
    wide = np.result_type(x.dtype, np.complex64)
    return values.astype(wide), np.swapaxes(vectors, -1, -2).astype(wide)


def _projectors(x: Any) -> list[Any]:
    """What of a Schur form does not depend on the phases of its vectors."""
    t, z = schur.schur(_shift(x))
    first = z[..., :1, :]
    return [
        matrices.diagonal(t),
        matrices.product(matrices.swap(first), matrices.conjugated(first)),
    ]


def _schur_reference(x: Any) -> Any:
    a = _shift(x)
    values = np.empty(a.shape[:-1], a.dtype)
    projectors = np.empty(a.shape, a.dtype)
    for place in np.ndindex(a.shape[:-2]):
        t, z = scipy.linalg.schur(a[place])
        values[place] = np.diag(t)
        projectors[place] = np.outer(z[:, 0], z[:, 0].conj())
    return values, projectors


def _cutoff(x: Any) -> Any:
    real = np.zeros((), x.dtype).real.dtype
    return np.full(x.shape[:-2], 1e-6, real)


def _lstsq_reference(a: Any, b: Any) -> Any:
    x, _, rank, values = np.linalg.lstsq(_shift(a), b)
    return x, np.asarray(rank, np.int64), values


ROWS: dict[str, Row] = {
    "triangular_solve": _row(_triangular_reference, _cases(_triangular, *SYSTEMS)),
    "cholesky": _row(
        lambda x: np.linalg.cholesky(_positive(x)),
        _cases(
            lambda x: triangular.cholesky(_positive(x)),
            *_stacks((3, 3), (2, 4, 4), (1, 1), (0, 2, 2)),
        ),
    ),
    "lu": _row(
        _lu_reference,
        _cases(lambda x: lu.lu(_mixed(x)), *_stacks((3, 3), (4, 2), (2, 2, 3), (1, 1), (0, 2, 2))),
    ),
    "factored_solve": _row(
        lambda a, b: np.linalg.solve(_mixed(a), b),
        _cases(lambda a, b: lu.solve(_mixed(a), b), *SYSTEMS),
    ),
    "log_determinant": _row(
        _slogdet_reference, _cases(_log_determinant, *_stacks((3, 3), (2, 2, 2), (1, 1), (0, 2, 2)))
    ),
    "qr": _row(
        _qr_reference,
        _cases(lambda x: orthogonal.qr(_shift(x)), *_stacks((3, 2), (2, 3), (2, 2, 2), (1, 1))),
    ),
    "svd": _row(
        _svd_reference,
        _cases(
            lambda x: _signed_svd(*orthogonal.svd(_shift(x))),
            *_stacks((3, 2), (2, 3), (2, 2, 2), (1, 1)),
        ),
    ),
    "eigh": _row(
        _eigh_reference,
        _cases(
            lambda x: _signed_eigh(*spectral.eigh(_shift(x))),
            *_stacks((3, 3), (2, 2, 2), (0, 2, 2)),
        ),
    ),
    "determinant": _row(
        lambda x: np.linalg.det(_mixed(x)),
        _cases(
            lambda x: dets.determinant(_mixed(x)),
            *_stacks((3, 3), (4, 4), (2, 2, 2), (1, 1), (0, 2, 2)),
        ),
    ),
    "cofactors": _row(
        lambda x: (
            np.linalg.det(_mixed(x))[..., None, None]
            * np.swapaxes(np.linalg.inv(_mixed(x)), -1, -2)
        ),
        _cases(lambda x: dets.cofactors(_mixed(x)), *_stacks((3, 3), (2, 2, 2))),
    ),
    "pseudoinverse": _row(
        lambda x: np.linalg.pinv(_shift(x)),
        _cases(
            lambda x: dets.pseudoinverse(_shift(x), _cutoff(x)),
            *_stacks((3, 2), (2, 3), (2, 2, 2), (1, 1)),
        ),
    ),
    "least_squares": _row(
        _lstsq_reference,
        _cases(
            lambda a, b: dets.least_squares(_shift(a), b, _cutoff(a)),
            *_systems(((3, 2), (3, 1)), ((2, 3), (2, 2))),
        ),
    ),
    "eig": _row(
        _eig_reference,
        _cases(lambda x: spectral.eig(_shift(x)), *_stacks((3, 3), (2, 2, 2), (0, 2, 2))),
    ),
    "matrix_exponential": _row(
        lambda x: scipy.linalg.expm(x * 6),
        _cases(
            lambda x: [matrix_functions.exponential(x * 6)], *_stacks((2, 2), (2, 3, 3), (1, 1))
        ),
        order=2,
        ulps=4096.0,
    ),
    "matrix_function": _row(
        lambda x: scipy.linalg.sqrtm(_shift(x)),
        _cases(
            lambda x: [matrix_functions.square_root(_shift(x))], [("f8", (3, 3))], [("c16", (2, 2))]
        )
        + _cases(lambda x: [matrix_functions.square_root(_shift(x))], [("f8", (2, 2, 2))]),
    ),
    "schur": _row(
        _schur_reference,
        _cases(
            _projectors,
            [("c16", (3, 3))],
            [("c8", (3, 3))],
            [("c16", (2, 2, 2))],
            [("c16", (1, 1))],
            [("c16", (0, 2, 2))],
        ),
    ),
}
