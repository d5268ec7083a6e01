"""`numpy.linalg` beyond the checks that test_core.py makes: backends, errors, special matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.helpers import COMPILED, FAST
from tests.numpy.compare import Case, all_same, results
from tests.numpy.linalg_cases import CASES
from tracer.errors import DerivativeError, LinAlgError


@pytest.mark.parametrize("case", [case for case in CASES if case.abstract], ids=str)
def test_compiled_value_is_that_of_numpy(case: Case) -> None:
    arrays = [np.array(array) for array in case.arrays]
    compiled = tracer.jit(lambda *args: case.function(tnp, *args), backend=FAST)
    found, due = results(compiled(*arrays)), case.plain()
    if FAST == "cuda" and case.name.startswith(("svd", "eigh")):
        found, due = without_signs(case, found), without_signs(case, due)
    all_same(found, due)


def without_signs(case: Case, values: list[Any]) -> list[Any]:
    """What of vectors is not the routine's affair: signs are, and how a basis is completed."""
    parts = [np.abs(value) for value in values]
    if case.name == "svd full":
        parts[0] = parts[0][:, : parts[1].size]
    return parts


def test_every_name_is_there() -> None:
    ours = {name for name in np.linalg.__all__ if name != "LinAlgError"}
    assert not [
        name for name in sorted(ours) if getattr(tnp.linalg, name) is getattr(np.linalg, name)
    ]


@pytest.mark.parametrize("backend", ["numpy", *COMPILED])
def test_singular_matrices_raise_what_numpy_raises(backend: str) -> None:
    solve = tracer.jit(tnp.linalg.solve, backend=backend)
    cholesky = tracer.jit(tnp.linalg.cholesky, backend=backend)
    ones = np.ones((3, 3))
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        solve(ones, ones)
    with pytest.raises(LinAlgError, match="Matrix is not positive definite"):
        cholesky(-ones)


def test_eager_errors() -> None:
    for name, argument in [
        ("inv", np.ones((2, 3))),
        ("det", np.ones(3)),
        ("eigh", np.ones((2, 1))),
    ]:
        with pytest.raises(np.linalg.LinAlgError) as expected:
            getattr(np.linalg, name)(argument)
        with pytest.raises(np.linalg.LinAlgError, match=str(expected.value)):
            tracer.grad(lambda x, n=name: np.sum(getattr(np.linalg, n)(x)))(argument)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        tracer.grad(lambda x: np.sum(np.linalg.inv(x)))(np.ones((2, 2)))
    with pytest.raises(DerivativeError, match="raw"):
        tracer.grad(lambda x: np.sum(np.linalg.qr(x, "raw")[0]))(np.ones((2, 2)))


def test_eigenvalues_that_are_equal() -> None:
    """The derivative of what does not depend on the choice of vectors is right."""
    half = np.full((3, 3), 0.5) + np.eye(3)  # eigenvalues 1, 1, 2.5
    power = tracer.grad(lambda x: np.sum(np.linalg.eigvalsh(x) ** 3))
    np.testing.assert_allclose(_symmetric(power(half)), 3 * half @ half, rtol=1e-12)
    nuclear = tracer.grad(lambda x: np.linalg.norm(x, "nuc"))
    np.testing.assert_allclose(nuclear(half), np.eye(3), atol=1e-12)


def _symmetric(gradient: np.ndarray) -> np.ndarray:
    """The gradient in the space of symmetric matrices, of one that reads a triangle."""
    return np.asarray(gradient + gradient.T) / 2


def test_determinant_of_a_matrix_of_low_rank() -> None:
    """All partial derivatives vanish where two singular values do; so does NaN not arise."""
    matrix = np.outer(np.arange(1.0, 6.0), np.ones(5))
    np.testing.assert_allclose(tracer.grad(np.linalg.det)(matrix), np.zeros((5, 5)), atol=1e-9)
    hessian = tracer.hessian(np.linalg.det)(np.zeros((2, 2)))
    expected = np.zeros((2, 2, 2, 2))
    expected[0, 0, 1, 1] = expected[1, 1, 0, 0] = 1
    expected[0, 1, 1, 0] = expected[1, 0, 0, 1] = -1
    np.testing.assert_array_equal(hessian, expected)


def test_a_factor_serves_the_solution_and_its_derivative() -> None:
    """One factorisation in the program of a value and its gradient."""
    graph = tracer.make_graph(
        tracer.value_and_grad(lambda a, b: tnp.sum(tnp.linalg.solve(a, b) ** 2))
    )(np.eye(5), np.ones(5))
    assert sum(node.primitive.name == "lu" for node in graph.nodes) == 1


NAN = np.array([[1.0, np.nan, 0.0], [0.0, 2.0, 1.0], [0.0, 1.0, 3.0]])
SPECIAL = {
    "nan": NAN,
    "inf": np.where(np.isnan(NAN), np.inf, NAN),
    "zero": np.zeros((3, 3)),
    "identity": np.eye(3),
    "ones": np.ones((3, 3)),
}
AT_SPECIAL: dict[str, Any] = {
    "solve": lambda xp, a: xp.linalg.inv(a),
    "det": lambda xp, a: (xp.linalg.det(a), xp.linalg.slogdet(a)),
    "cholesky": lambda xp, a: xp.linalg.cholesky(a),
    "qr": lambda xp, a: xp.linalg.qr(a),
    "svd": lambda xp, a: xp.linalg.svdvals(a),
    "eigh": lambda xp, a: xp.linalg.eigvalsh(a),
    "eig": lambda xp, a: xp.linalg.eigvals(a),
    "pinv": lambda xp, a: xp.linalg.pinv(a),
    "rank": lambda xp, a: xp.linalg.matrix_rank(a),
    "cond": lambda xp, a: (xp.linalg.cond(a), xp.linalg.cond(a, 1)),
    "norm": lambda xp, a: xp.linalg.norm(a, 2),
}


def _outcome(function: Any) -> list[Any] | None:
    """The results; None where there is a LinAlgError."""
    try:
        return results(function())
    except np.linalg.LinAlgError:
        return None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("matrix", sorted(SPECIAL))
@pytest.mark.parametrize("name", sorted(AT_SPECIAL))
def test_special_matrices(name: str, matrix: str) -> None:
    """NumPy's values, or its error, eagerly and compiled."""
    function, a = AT_SPECIAL[name], SPECIAL[matrix]
    expected = _outcome(lambda: function(np, a))
    eager = _outcome(lambda: tracer.jvp(lambda x: function(np, x), (a,), (np.zeros((3, 3)),))[0])
    compiled = _outcome(lambda: tracer.jit(lambda x: function(tnp, x))(a))
    for found in (eager, compiled):
        assert (found is None) == (expected is None)
        for value, due in zip(found or [], expected or [], strict=True):
            np.testing.assert_allclose(value, due, atol=1e-13)
