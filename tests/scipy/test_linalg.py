"""`tracer.scipy.linalg` against SciPy: values, types, derivatives, batches, compiled."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tracer
import tracer.scipy.linalg as tsl
from tests.numpy.compare import all_same, results

generator = np.random.default_rng(5)


def normal(*shape: int) -> Any:
    """Normal numbers."""
    return generator.normal(size=shape)


def complex_normal(*shape: int) -> Any:
    """Complex normal numbers."""
    return normal(*shape) + 1j * normal(*shape)


SQ, CSQ, TALL, WIDE = normal(4, 4), complex_normal(3, 3), normal(5, 3), normal(3, 5)
STACK, B4, B42, CB = normal(2, 3, 3), normal(4), normal(4, 2), complex_normal(3, 2)
BANDS = normal(4, 5) + np.array([[0.0], [0.0], [6.0], [0.0]])


def positive(x: Any) -> Any:
    """A positive definite matrix."""
    return x @ np.conj(np.swapaxes(x, -1, -2)) + 2 * np.eye(x.shape[-1])


def case(name: str, function: Callable[..., Any], *arrays: Any) -> Any:
    """A row: `function(linalg, *arrays)`."""
    return pytest.param(function, arrays, id=name)


CASES = [
    case("solve", lambda sl, a, b: sl.solve(a, b), SQ, B42),
    case("solve vector", lambda sl, a, b: sl.solve(a, b, transposed=True), SQ, B4),
    case("solve pos", lambda sl, a, b: sl.solve(positive(a), b, assume_a="pos"), SQ, B4),
    case("solve sym", lambda sl, a, b: sl.solve(a + a.T, b, assume_a="sym", lower=True), SQ, B4),
    case("inv det", lambda sl, a: (sl.inv(a), sl.det(a)), SQ),
    case("solve_triangular", lambda sl, a, b: sl.solve_triangular(a, b, lower=True), SQ, B42),
    case("solve_triangular upper", lambda sl, a, b: sl.solve_triangular(a, b, trans=1), SQ, B4),
    case(
        "solve_triangular adjoint",
        lambda sl, a, b: sl.solve_triangular(a, b, trans="C", lower=True, unit_diagonal=True),
        CSQ,
        CB,
    ),
    case("cholesky", lambda sl, a: sl.cholesky(positive(a)), CSQ),
    case("cholesky lower", lambda sl, a: sl.cholesky(positive(a), lower=True), SQ),
    case("cho_solve", lambda sl, a, b: sl.cho_solve(sl.cho_factor(positive(a)), b), CSQ, CB),
    case(
        "cho_solve lower",
        lambda sl, a, b: sl.cho_solve(sl.cho_factor(positive(a), lower=True), b),
        SQ,
        B4,
    ),
    case("lu", lambda sl, a: sl.lu(a), SQ),
    case("lu tall", lambda sl, a: sl.lu(a, permute_l=True), TALL),
    case("lu wide", lambda sl, a: sl.lu(a, p_indices=True), WIDE),
    case("lu_factor", lambda sl, a: sl.lu_factor(a), SQ),
    case("lu_solve", lambda sl, a, b: sl.lu_solve(sl.lu_factor(a), b), SQ, B42),
    case("lu_solve transposed", lambda sl, a, b: sl.lu_solve(sl.lu_factor(a), b, trans=1), SQ, B4),
    case("lu_solve adjoint", lambda sl, a, b: sl.lu_solve(sl.lu_factor(a), b, trans=2), CSQ, CB),
    case("expm", lambda sl, a: sl.expm(a), SQ),
    case("expm stack", lambda sl, a: sl.expm(a * 5), STACK),
    case("expm complex", lambda sl, a: sl.expm(a), CSQ),
    case("expm_frechet", lambda sl, a, e: sl.expm_frechet(a, e), SQ, normal(4, 4)),
    case("sqrtm", lambda sl, a: sl.sqrtm(positive(a)), SQ),
    case("sqrtm complex", lambda sl, a: sl.sqrtm(positive(a)), CSQ),
    case("logm", lambda sl, a: sl.logm(positive(a)), SQ),
    case("cosm sinm", lambda sl, a: (sl.cosm(a), sl.sinm(a)), SQ),
    case("cosm complex", lambda sl, a: (sl.cosm(a), sl.sinm(a)), CSQ),
    case("qr", lambda sl, a: sl.qr(a), TALL),
    case("qr economic", lambda sl, a: sl.qr(a, mode="economic"), TALL),
    case("qr r", lambda sl, a: sl.qr(a, mode="r"), WIDE),
    case("svd", lambda sl, a: sl.svd(a, full_matrices=False), TALL),
    case("svdvals", lambda sl, a: sl.svdvals(a), CSQ),
    case("eigh values", lambda sl, a: sl.eigh(positive(a), eigvals_only=True), CSQ),
    case(
        "eigh projector",
        lambda sl, a: _projector(sl.eigh(positive(a), subset_by_index=[0, 1])[1]),
        CSQ,
    ),
    case("eigh generalized", lambda sl, a, b: sl.eigvalsh(a + a.T, positive(b)), SQ, normal(4, 4)),
    case("eig", lambda sl, a: sl.eig(a), CSQ),
    case("eigvals", lambda sl, a: sl.eigvals(a), SQ),
    case("schur values", lambda sl, a: np.diagonal(sl.schur(a)[0]), CSQ),
    case("polar", lambda sl, a: sl.polar(a), SQ),
    case("polar left", lambda sl, a: sl.polar(a, side="left"), CSQ),
    case("pinv", lambda sl, a: sl.pinv(a), TALL),
    case("norm", lambda sl, a: sl.norm(a, 2), TALL),
    case("block_diag", lambda sl, a, b, c: sl.block_diag(a, b, c), SQ, B4, B42),
    case("toeplitz", lambda sl, c, r: (sl.toeplitz(c, r), sl.toeplitz(c)), B4, normal(3)),
    case("toeplitz complex", lambda sl, c: sl.toeplitz(c), complex_normal(3)),
    case("circulant", lambda sl, c: sl.circulant(c), B4),
    case("hankel", lambda sl, c, r: (sl.hankel(c), sl.hankel(c, r)), B4, normal(3)),
    case("companion", lambda sl, c: sl.companion(c), B4),
    case("solve_banded", lambda sl, ab, b: sl.solve_banded((1, 2), ab, b), BANDS, normal(5)),
]


def _projector(vectors: Any) -> Any:
    return vectors @ np.conj(vectors.T)


@pytest.mark.parametrize(("function", "arrays"), CASES)
def test_compiled_value_is_that_of_scipy(function: Any, arrays: Any) -> None:
    expected = results(function(scipy.linalg, *arrays))
    graph = tracer.make_graph(lambda *args: function(tsl, *args))(*arrays)
    graph.check()
    found = results(tracer.jit(lambda *args: function(tsl, *args))(*arrays))
    assert len(found) == len(expected)
    for value, due in zip(found, expected, strict=True):
        due = np.asarray(due)
        assert (value.shape, value.dtype) == (due.shape, due.dtype)
        size = 1 + float(np.max(np.abs(due), initial=0.0))
        np.testing.assert_allclose(value, due, rtol=1e-11, atol=1e-13 * size)


@pytest.mark.parametrize(("function", "arrays"), CASES)
def test_derivatives(function: Any, arrays: Any) -> None:
    tracer.check_grads(lambda *args: results(function(tsl, *args)), arrays, order=2)


@pytest.mark.parametrize(("function", "arrays"), CASES)
def test_what_is_not_traced_is_given_to_scipy(function: Any, arrays: Any) -> None:
    all_same(results(function(tsl, *arrays)), results(function(scipy.linalg, *arrays)))


BATCHED = SimpleNamespace(
    factors=lambda a, b: tsl.lu_solve(tsl.lu_factor(a), b),
    cholesky=lambda a, b: tsl.cho_solve(tsl.cho_factor(positive(a)), b),
    triangular=lambda a, b: tsl.solve_triangular(a, b),
    solve=lambda a, b: tsl.solve(a, b),
    exponential=lambda a, b: tsl.expm(a) @ b,
    root=lambda a, b: tsl.sqrtm(positive(a)) @ b,
)


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)], ids=str)
@pytest.mark.parametrize("name", sorted(vars(BATCHED)))
def test_batches(name: str, axes: tuple[Any, Any]) -> None:
    function = getattr(BATCHED, name)
    stacks = [normal(3, 4, 4), normal(3, 4, 2)]
    given = [stack if axis == 0 else stack[0] for stack, axis in zip(stacks, axes, strict=True)]
    found = tracer.vmap(function, in_axes=axes)(*given)
    for lane in range(3):
        one = [x[lane] if axis == 0 else x for x, axis in zip(given, axes, strict=True)]
        np.testing.assert_allclose(found[lane], function(*one), rtol=1e-10, atol=1e-12)


def test_a_real_root_that_does_not_exist() -> None:
    negative = -np.diag([1.0, 2.0])
    graph_result = tracer.jit(tsl.sqrtm)
    with pytest.raises(np.linalg.LinAlgError, match="no real square root"):
        graph_result(negative)
    seen = []
    tracer.grad(lambda x: (seen.append(tsl.sqrtm(x).dtype), np.sum(x))[1])(negative)
    assert seen == [np.dtype(complex)]


@pytest.mark.parametrize("size", [3, 6])
def test_a_zero_on_the_diagonal(size: int) -> None:
    singular, right = np.eye(size), np.ones(size)
    singular[1, 1] = 0.0
    text = "singular matrix: resolution failed at diagonal 1"
    for function in (scipy.linalg.solve_triangular, tracer.jit(tsl.solve_triangular)):
        with pytest.raises(np.linalg.LinAlgError, match=text):
            function(singular, right)
    with pytest.raises(np.linalg.LinAlgError, match=text):
        tracer.grad(lambda a: np.sum(tsl.solve_triangular(a, right)))(singular)


def test_the_real_schur_form_has_no_derivative() -> None:
    with pytest.raises(tracer.errors.DerivativeError, match="complex"):
        tracer.grad(lambda x: np.sum(tsl.schur(x)[0]))(SQ)
    found = tracer.jit(tsl.schur)(SQ)
    for value, due in zip(found, scipy.linalg.schur(SQ), strict=True):
        np.testing.assert_allclose(value, due, atol=1e-12)


def test_exponential_of_a_defective_matrix() -> None:
    """The derivative of exp at a Jordan block, where eigenvectors do not suffice."""
    block = np.array([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.5]])
    direction = np.arange(9.0).reshape(3, 3)
    _, moved = tracer.jvp(tsl.expm, (block,), (direction,))
    np.testing.assert_allclose(
        moved, scipy.linalg.expm_frechet(block, direction, compute_expm=False), rtol=1e-12
    )
