"""Factorisations: eigenvalues, singular values, QR, Schur, polar."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import UnsupportedFunctionError
from tracer.numpy import factorizations
from tracer.numpy.common import where_text
from tracer.numpy.linear_systems import as_matrices, square_matrix
from tracer.numpy.linear_systems import pinv as pseudoinverse
from tracer.primitives import matrices, spectral, triangular
from tracer.primitives.broadcast import full
from tracer.primitives.cast import cast
from tracer.primitives.matrices import adjoint, as_row, hermitian_part, product, swap
from tracer.primitives.schur import schur as schur_form
from tracer.scipy.linalg.wrap import linalg_function
from tracer.types import complex_dtype, is_complex, real_dtype


def refuse(name: str, what: str) -> UnsupportedFunctionError:
    """The error for an option that is not traced."""
    return UnsupportedFunctionError(f"{where_text()}{name} with {what} is not traced")


@linalg_function
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """Q and R; `mode` "full", "r" or "economic"."""
    if pivoting or mode == "raw":
        raise refuse("qr", "pivoting" if pivoting else 'mode="raw"')
    if mode not in ("full", "r", "economic"):
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic', 'raw']")
    q, r = factorizations.qr(a, "reduced" if mode == "economic" else "complete")
    return (r,) if mode == "r" else (q, r)


@linalg_function
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """Singular values and vectors."""
    found = factorizations.svd(a, full_matrices, compute_uv)
    return tuple(found) if compute_uv else found


@linalg_function
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Singular values from large to small."""
    return factorizations.svdvals(a)


@linalg_function
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: Any = None,
) -> Any:
    """Eigenvalues and vectors of a·v = w·v, or a·v = w·b·v with b positive definite."""
    if subset_by_value is not None or type != 1:
        raise refuse("eigh", "subset_by_value or type other than 1")
    if b is None:
        x = square_matrix(a)
        if eigvals_only:
            values, vectors = spectral.eigvalsh(x, lower=lower), None
        else:
            values, rows = spectral.eigh(x, lower=lower)
            vectors = swap(rows)
    else:
        values, vectors = _generalized(a, b, lower)
    if subset_by_index is not None:
        first, last = subset_by_index
        values = values[..., first : last + 1]
        vectors = None if vectors is None else vectors[..., first : last + 1]
    return values if eigvals_only else (values, vectors)


def _generalized(a: Any, b: Any, lower: bool) -> tuple[Any, Any]:
    """By the Cholesky factor of b: L⁻¹·a·L⁻ᴴ has the same eigenvalues."""
    a, b = as_matrices(a, b)
    a, b = hermitian_part(a, lower), hermitian_part(b, lower)
    factor = triangular.cholesky(b)
    left = triangular.triangular_solve(factor, a, lower=True)
    middle = adjoint(triangular.triangular_solve(factor, adjoint(left), lower=True))
    values, rows = spectral.eigh(middle)
    vectors = triangular.triangular_solve(
        matrices.conjugated(factor), swap(rows), lower=True, transposed=True
    )
    return values, vectors


@linalg_function
def eigvalsh(a: Any, b: Any = None, *, lower: bool = True, **options: Any) -> Any:
    """Eigenvalues of Hermitian matrices."""
    return eigh(a, b, lower=lower, eigvals_only=True, **options)


def _check_right_only(name: str, b: Any, left: bool) -> None:
    if b is not None or left:
        raise refuse(name, "b or left eigenvectors")


@linalg_function
def eig(a: Any, b: Any = None, left: bool = False, right: bool = True, **options: Any) -> Any:
    """Complex eigenvalues, and eigenvectors; real vectors are known only where values are."""
    _check_right_only("eig", b, left)
    x = square_matrix(a)
    if not right:
        return spectral.eigvals(x)
    values, rows = spectral.eig(x)
    vectors = factorizations.eig(x)[1] if not is_complex(x.dtype) else swap(rows)
    return values, vectors


@linalg_function
def eigvals(a: Any, b: Any = None, **options: Any) -> Any:
    """Complex eigenvalues."""
    _check_right_only("eigvals", b, False)
    return spectral.eigvals(square_matrix(a))


@linalg_function
def schur(
    a: Any,
    output: str = "real",
    lwork: Any = None,
    overwrite_a: bool = False,
    sort: Any = None,
    check_finite: bool = True,
) -> Any:
    """T and Z of a = Z·T·Zᴴ; the derivative needs `output="complex"` or complex numbers."""
    if sort is not None:
        raise refuse("schur", "sort")
    if output not in ("real", "complex", "r", "c"):
        raise ValueError("argument must be 'real', or 'complex'")
    x = square_matrix(a)
    if output[0] == "c" and not is_complex(x.dtype):
        x = cast(x, complex_dtype(x.dtype))
    if 0 in x.shape[-2:]:
        return full(x.shape, 0, x.dtype), full(x.shape, 0, x.dtype)
    t, z = schur_form(x)
    return swap(t), swap(z)


@linalg_function
def polar(a: Any, side: str = "right") -> Any:
    """A unitary and a positive semidefinite factor: a = u·p, or p·u."""
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    (x,) = as_matrices(a)
    w, s, vh = factorizations.svd(x, full_matrices=False)
    u = product(w, vh)
    scale = as_row(s if not is_complex(x.dtype) else cast(s, x.dtype))
    right = product(adjoint(vh) * scale, vh)
    left = product(w * scale, adjoint(w))
    return u, (right if side == "right" else left)


@linalg_function
def pinv(
    a: Any,
    *,
    atol: Any = None,
    rtol: Any = None,
    return_rank: bool = False,
    check_finite: bool = True,
) -> Any:
    """Pseudoinverses; singular values up to `rtol` times the largest count as 0."""
    if atol is not None or return_rank:
        raise refuse("pinv", "atol or return_rank")
    (x,) = as_matrices(a)
    part = max(x.shape[-2:]) * np.finfo(real_dtype(x.dtype)).eps if rtol is None else rtol
    return pseudoinverse(x, rcond=part)


@linalg_function
def lstsq(a: Any, b: Any, cond: Any = None, **options: Any) -> Any:
    """(x, residuals, rank, singular values)."""
    from tracer.numpy.linear_systems import lstsq as least_squares

    return least_squares(a, b, cond)


@linalg_function
def norm(
    a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True
) -> Any:
    """A norm of vectors or matrices."""
    from tracer.numpy.linalg import norm as numpy_norm

    return numpy_norm(a, ord, axis, keepdims)
