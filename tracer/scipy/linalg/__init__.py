"""SciPy's `linalg` on traced and concrete arrays. What is not traced is given to SciPy itself;
SciPy's own functions cannot take traced arrays. Other names are SciPy's own."""

from __future__ import annotations

import importlib
from typing import Any

from tracer.scipy.linalg.decompositions import (
    eig,
    eigh,
    eigvals,
    eigvalsh,
    lstsq,
    norm,
    pinv,
    polar,
    qr,
    schur,
    svd,
    svdvals,
)
from tracer.scipy.linalg.functions import (
    block_diag,
    circulant,
    companion,
    cosm,
    expm,
    expm_frechet,
    hankel,
    logm,
    sinm,
    sqrtm,
    toeplitz,
)
from tracer.scipy.linalg.systems import (
    cho_factor,
    cho_solve,
    cholesky,
    det,
    inv,
    lu,
    lu_factor,
    lu_solve,
    solve,
    solve_banded,
    solve_triangular,
)

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "circulant",
    "companion",
    "cosm",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "expm",
    "expm_frechet",
    "hankel",
    "inv",
    "logm",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "norm",
    "pinv",
    "polar",
    "qr",
    "schur",
    "sinm",
    "solve",
    "solve_banded",
    "solve_triangular",
    "sqrtm",
    "svd",
    "svdvals",
    "toeplitz",
]

CONSTANT = ("LinAlgError", "hilbert", "invhilbert", "hadamard", "pascal", "dft", "helmert")


def __getattr__(name: str) -> Any:
    if name in CONSTANT:
        return getattr(importlib.import_module("scipy.linalg"), name)
    raise AttributeError(
        f"module '{__name__}' has no function '{name}' for traced arrays; on plain arrays call "
        f"scipy.linalg.{name}"
    )
