"""Cases of `numpy.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.numpy.compare import Case
from tests.numpy.core_cases import complex_normal, integers, normal

SQ, STACK, TALL, WIDE = normal(4, 4), normal(2, 3, 3), normal(5, 3), normal(3, 5)
CSQ, CTALL, CSTACK = complex_normal(3, 3), complex_normal(4, 2), complex_normal(2, 3, 3)
B4, B42, B232 = normal(4), normal(4, 2), normal(2, 3, 2)
WHOLE = integers(3, 3) + 7 * np.eye(3, dtype=int)
APART = np.diag([1.0, 3.0, 6.0, 10.0])
EMPTY, NONE = normal(0, 0), normal(0, 3, 3)
SINGULAR = np.outer([1.0, 2.0, 3.0], [1.0, -1.0, 2.0]) + np.outer([0.0, 1.0, 1.0], [1.0, 0.0, 1.0])
SINGULAR5 = normal(5, 4) @ normal(4, 5)


def _positive(xp: Any, x: Any) -> Any:
    return x @ xp.conj(xp.swapaxes(x, -1, -2)) + np.eye(x.shape[-1], dtype=x.dtype)


def _hermitian(xp: Any, x: Any) -> Any:
    return x + xp.conj(xp.swapaxes(x, -1, -2))


def _systems() -> list[Case]:
    return [
        Case("solve", lambda xp, a, b: xp.linalg.solve(a, b), (SQ, B42), 2),
        Case("solve vector", lambda xp, a, b: xp.linalg.solve(a, b), (SQ, B4), 2),
        Case("solve stack", lambda xp, a, b: xp.linalg.solve(a, b), (STACK, B232), 2),
        Case("solve one vector", lambda xp, a, b: xp.linalg.solve(a, b), (STACK, normal(3)), 2),
        Case("solve one matrix", lambda xp, a, b: xp.linalg.solve(a, b), (CSQ, B232), 2),
        Case("solve broadcast", lambda xp, a, b: xp.linalg.solve(a, b), (STACK, normal(3, 2)), 1),
        Case("solve whole", lambda xp, a, b: xp.linalg.solve(a, b), (WHOLE, B232[0]), 1),
        Case("solve view", lambda xp, a, b: xp.linalg.solve(a.T, b[::-1]), (SQ, B42), 1),
        Case("solve empty", lambda xp, a: xp.linalg.solve(a, a), (EMPTY,), 0),
        Case("solve no stack", lambda xp, a: xp.linalg.solve(a, a), (NONE,), 0),
        Case("inv", lambda xp, a: xp.linalg.inv(a), (SQ,), 2),
        Case("inv stack", lambda xp, a: xp.linalg.inv(a), (CSTACK,), 2),
        Case("inv empty", lambda xp, a: xp.linalg.inv(a), (EMPTY,), 0),
        Case("det", lambda xp, a: xp.linalg.det(a), (SQ,), 2),
        Case("det stack", lambda xp, a: xp.linalg.det(a), (STACK,), 2),
        Case("det complex", lambda xp, a: xp.linalg.det(a), (complex_normal(4, 4),), 2),
        Case(
            "det small", lambda xp, a: xp.linalg.det(a[:2, :2]) * xp.linalg.det(a[:1, :1]), (SQ,), 2
        ),
        Case("det singular", lambda xp, a: xp.linalg.det(a), (SINGULAR,), 2, sweep=False),
        Case("det singular 5", lambda xp, a: xp.linalg.det(a), (SINGULAR5,), 1, sweep=False),
        Case("det empty", lambda xp, a: xp.linalg.det(a), (EMPTY,), 0),
        Case("slogdet", lambda xp, a: xp.linalg.slogdet(a), (SQ,), 2),
        Case("slogdet complex", lambda xp, a: xp.linalg.slogdet(a), (CSTACK,), 2),
        Case("cholesky", lambda xp, a: xp.linalg.cholesky(_positive(xp, a)), (SQ,), 2),
        Case("cholesky stack", lambda xp, a: xp.linalg.cholesky(_positive(xp, a)), (CSTACK,), 2),
        Case(
            "cholesky upper",
            lambda xp, a: xp.linalg.cholesky(_positive(xp, a), upper=True),
            (CSTACK,),
            2,
        ),
        Case(
            "tensorsolve",
            lambda xp, a, b: xp.linalg.tensorsolve(a, b),
            (normal(2, 3, 6), normal(2, 3)),
        ),
        Case(
            "tensorsolve axes",
            lambda xp, a, b: xp.linalg.tensorsolve(a, b, axes=(0, 2)),
            (normal(2, 6, 3), normal(6)),
        ),
        Case(
            "tensorinv",
            lambda xp, a: xp.linalg.tensorinv(a + 5 * np.eye(6).reshape(6, 2, 3), ind=1),
            (normal(6, 2, 3),),
        ),
        Case(
            "matrix_power",
            lambda xp, a: (
                xp.linalg.matrix_power(a, 5),
                xp.linalg.matrix_power(a, -2),
                xp.linalg.matrix_power(a, 0),
            ),
            (SQ,),
        ),
        Case("matrix_power whole", lambda xp, a: xp.linalg.matrix_power(a, 3), (WHOLE,), 0),
        Case("pinv", lambda xp, a: xp.linalg.pinv(a), (TALL,), 2),
        Case("pinv wide", lambda xp, a: xp.linalg.pinv(a, rcond=1e-10), (WIDE,), 2),
        Case("pinv rtol", lambda xp, a: xp.linalg.pinv(a, rtol=1e-10), (CTALL,), 2),
        Case(
            "pinv hermitian", lambda xp, a: xp.linalg.pinv(_hermitian(xp, a), hermitian=True), (SQ,)
        ),
        Case("lstsq", lambda xp, a, b: xp.linalg.lstsq(a, b), (TALL, normal(5)), 2, False, False),
        Case("lstsq x", lambda xp, a, b: xp.linalg.lstsq(a, b)[0], (TALL, normal(5, 2)), 2),
        Case("lstsq wide", lambda xp, a, b: xp.linalg.lstsq(a, b)[0], (WIDE, normal(3)), 2),
        Case("lstsq complex", lambda xp, a, b: xp.linalg.lstsq(a, b), (CTALL, normal(4, 2)), 1),
        Case("matrix_rank", lambda xp, a: xp.linalg.matrix_rank(a), (STACK,), 0),
        Case("matrix_rank tol", lambda xp, a: xp.linalg.matrix_rank(a, 0.5), (STACK,), 0),
        Case("matrix_rank vector", lambda xp, a: xp.linalg.matrix_rank(a), (B4,), 0),
        Case(
            "multi_dot three",
            lambda xp, a, b, c: xp.linalg.multi_dot([a, b, c]),
            (SQ, B42, normal(2)),
            2,
        ),
    ]


def _factorizations() -> list[Case]:
    cases = [
        Case(f"qr {name}", lambda xp, a: xp.linalg.qr(a), (array,), 2)
        for name, array in [("tall", TALL), ("wide", WIDE), ("stack", STACK), ("complex", CTALL)]
    ]
    cases += [
        Case("qr complete", lambda xp, a: xp.linalg.qr(a, "complete"), (TALL,), 2),
        Case("qr complete complex", lambda xp, a: xp.linalg.qr(a, mode="complete"), (CTALL,), 2),
        Case("qr r", lambda xp, a: xp.linalg.qr(a, mode="r"), (TALL,), 2),
        Case("qr empty", lambda xp, a: xp.linalg.qr(a[:, :0], "complete"), (TALL,), 0),
        Case("svd", lambda xp, a: xp.linalg.svd(a, full_matrices=False), (TALL,), 2),
        Case("svd wide", lambda xp, a: xp.linalg.svd(a, full_matrices=False), (WIDE,), 2),
        Case("svd stack", lambda xp, a: xp.linalg.svd(a), (STACK,), 2),
        Case("svd full", lambda xp, a: xp.linalg.svd(a), (TALL,), 0),
        Case("svd full by one", lambda xp, a: xp.linalg.svd(a), (normal(4, 3),), 2),
        Case("svd complex", lambda xp, a: xp.linalg.svd(a, False), (CTALL,), 2),
        Case("svd values", lambda xp, a: xp.linalg.svd(a, compute_uv=False), (WIDE,), 2),
        Case("svdvals", lambda xp, a: xp.linalg.svdvals(a), (CSTACK,), 2),
        Case(
            "svd hermitian",
            lambda xp, a: xp.linalg.svd(_hermitian(xp, a), hermitian=True),
            (SQ,),
            1,
        ),
        Case("svd empty", lambda xp, a: xp.linalg.svd(a[:, :0]), (TALL,), 0),
        Case("eigh", lambda xp, a: xp.linalg.eigh(a), (SQ,), 2),
        Case("eigh upper", lambda xp, a: xp.linalg.eigh(a, UPLO="U"), (CSQ,), 2),
        Case("eigh stack", lambda xp, a: xp.linalg.eigh(a), (CSTACK,), 2),
        Case("eigvalsh", lambda xp, a: xp.linalg.eigvalsh(a, "U"), (STACK,), 2),
        Case("eigh empty", lambda xp, a: xp.linalg.eigh(a), (EMPTY,), 0),
        Case("eig", lambda xp, a: xp.linalg.eig(a), (CSQ,), 2),
        Case("eig of real", lambda xp, a: xp.linalg.eig(a + APART), (SQ * 0.3,), 2, False, False),
        Case("eigvals", lambda xp, a: xp.linalg.eigvals(a), (CSTACK,), 2),
        Case("eigvals of real", lambda xp, a: xp.linalg.eigvals(a), (SQ,), 1, False, False),
        Case("eig 1", lambda xp, a: xp.linalg.eig(a[:1, :1]), (SQ,), 1, False, False),
    ]
    return cases


def _norms() -> list[Case]:
    orders = [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf]
    cases = [
        Case(f"norm of matrix {order}", lambda xp, a, o=order: xp.linalg.norm(a, o), (TALL,), 2)
        for order in orders
    ]
    cases += [
        Case(
            f"norm of stack {order}",
            lambda xp, a, o=order: xp.linalg.matrix_norm(a, ord=o, keepdims=True),
            (STACK,),
            1,
        )
        for order in ("fro", "nuc", 2, -2)
    ]
    cases += [
        Case(f"cond {order}", lambda xp, a, o=order: xp.linalg.cond(a, o), (STACK,), 2)
        for order in (None, 2, -2, "fro", 1, -1, np.inf)
    ]
    return cases


CASES: list[Case] = [*_systems(), *_factorizations(), *_norms()]
