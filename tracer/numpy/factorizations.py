"""`numpy.linalg`: QR, singular values, eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import ConcretizationError, DerivativeError
from tracer.numpy.common import array_function, where_text
from tracer.numpy.linear_systems import (
    as_matrices,
    check_stacked,
    is_empty,
    result_class,
    square_matrix,
)
from tracer.primitives import orthogonal, spectral
from tracer.primitives.arithmetic import absolute, sign
from tracer.primitives.broadcast import broadcast_to, full
from tracer.primitives.cast import cast, real_part
from tracer.primitives.matrices import adjoint, as_row, identity, swap
from tracer.primitives.ordering import argsort
from tracer.trace import Tracer
from tracer.types import is_complex, real_dtype


def _identities(x: Any, size: int) -> Any:
    """What orthogonal factors of an empty matrix are."""
    return identity((*x.shape[:-2], size, size), x.dtype)


@array_function(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Q and R; "r": R alone. `mode="raw"` has no derivative and is not traced."""
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"Unrecognized mode '{mode}'")
    (x,) = as_matrices(a)
    check_stacked(x)
    if mode == "raw":
        raise DerivativeError(
            f'{where_text()}qr(mode="raw") gives LAPACK\'s reflections, which have no derivative '
            'here; use mode="reduced" or "complete"'
        )
    rows, columns = x.shape[-2:]
    if is_empty(x):
        lead, size = x.shape[:-2], rows if mode == "complete" else 0
        r = full((*lead, size, columns), 0, x.dtype)
        q = _identities(x, rows)[..., :size]
    else:
        q_t, r = orthogonal.qr(x, complete=mode == "complete")
        q = swap(q_t)
    return r if mode == "r" else result_class(np.linalg.qr)(q, r)


@array_function(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Singular values from large to small, and both kinds of singular vectors."""
    (x,) = as_matrices(a)
    check_stacked(x)
    if hermitian:
        return _hermitian_svd(square_matrix(x), compute_uv)
    if not compute_uv:
        return svdvals(x)
    rows, columns = x.shape[-2:]
    if is_empty(x):
        values = full((*x.shape[:-2], 0), 0, real_dtype(x.dtype))
        u, vh = _identities(x, rows), _identities(x, columns)
        if not full_matrices:
            u, vh = u[..., :0], vh[..., :0, :]
        return result_class(np.linalg.svd)(u, values, vh)
    values, u_t, v_c = orthogonal.svd(x, complete=full_matrices and rows != columns)
    return result_class(np.linalg.svd)(swap(u_t), values, swap(v_c))


def _hermitian_svd(x: Any, vectors: bool) -> Any:
    """By eigenvalues: those of largest absolute value first."""
    from tracer.numpy.gathering import take_along_axis

    values, rows = spectral.eigh(x)
    order = argsort(-absolute(values), len(values.shape) - 1)
    values = take_along_axis(values, order, -1)
    if not vectors:
        return absolute(values)
    places = broadcast_to(order[..., None], rows.shape)
    rows = take_along_axis(rows, places, -2)
    signs = as_row(sign(values))
    signs = cast(signs, x.dtype) if is_complex(x.dtype) else signs
    u = swap(rows)
    return result_class(np.linalg.svd)(u, absolute(values), adjoint(u * signs))


@array_function(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """Singular values from large to small."""
    (a,) = as_matrices(x)
    check_stacked(a)
    if is_empty(a):
        return full((*a.shape[:-2], 0), 0, real_dtype(a.dtype))
    return orthogonal.singular_values(a)


def _half(UPLO: str) -> bool:
    half = UPLO.upper()
    if half not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return half == "L"


@array_function(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues and eigenvectors of Hermitian matrices, of which one triangle is read."""
    in_lower, x = _half(UPLO), square_matrix(a)
    if is_empty(x):
        empty = full(x.shape[:-1], 0, real_dtype(x.dtype)), full(x.shape, 0, x.dtype)
        return result_class(np.linalg.eigh)(*empty)
    values, rows = spectral.eigh(x, lower=in_lower)
    return result_class(np.linalg.eigh)(values, swap(rows))


@array_function(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues of Hermitian matrices, of which one triangle is read."""
    in_lower, x = _half(UPLO), square_matrix(a)
    if is_empty(x):
        return full(x.shape[:-1], 0, real_dtype(x.dtype))
    return spectral.eigvalsh(x, lower=in_lower)


def _known_real(x: Any, values: Any) -> bool:
    """Whether a real matrix is known to have real eigenvalues only: NumPy's results are then
    real. Without values (under `jit`, `vmap`) they are complex."""
    if is_complex(x.dtype):
        return False
    try:
        known = values.concrete("eigenvalues") if type(values) is Tracer else values
    except ConcretizationError:
        return False
    return not np.any(np.imag(known))


@array_function(np.linalg.eig)
def eig(a: Any) -> Any:
    """Eigenvalues and eigenvectors of square matrices."""
    x = square_matrix(a)
    kind = result_class(np.linalg.eig)
    if is_empty(x):
        return kind(full(x.shape[:-1], 0, x.dtype), full(x.shape, 0, x.dtype))
    values, rows = spectral.eig(x)
    if _known_real(x, values):
        values, rows = real_part(values), real_part(rows)
    return kind(values, swap(rows))


@array_function(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Eigenvalues of square matrices."""
    x = square_matrix(a)
    if is_empty(x):
        return full(x.shape[:-1], 0, x.dtype)
    values = spectral.eigvals(x)
    return real_part(values) if _known_real(x, values) else values
