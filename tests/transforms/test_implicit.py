"""linear_solve, root and fixed_point: derivatives of what the equation says, in every transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer
from tests.helpers import assert_near
from tests.transforms.derivatives import check_compiled, check_transforms
from tracer import conjugate_gradients, fixed_point, grad, jit, linear_solve, newton, root, vmap
from tracer.errors import BackendError, ShapeError, StructureError

MATRIX = np.array([[4.0, 1.0, -0.5], [0.3, 3.0, 0.7], [-0.2, 0.9, 5.0]])
SYMMETRIC = MATRIX @ MATRIX.T
START = np.array([0.6, 1.3, -0.8])


def solution(x: Any) -> Any:
    """Closes over x in matrix and right-hand side."""
    matrix = MATRIX + np.outer(x, x)
    return linear_solve(lambda v: matrix @ v, np.sin(x))


def symmetric_solution(x: Any) -> Any:
    matrix = SYMMETRIC + np.outer(x, x)
    solver = conjugate_gradients(1e-15)
    return linear_solve(lambda v: matrix @ v, x, solver, symmetric=True)


def solution_of_pytrees(x: Any) -> Any:
    right = {"a": x[:2], "b": (x[2],)}

    def product(v: Any) -> Any:
        return {"a": v["a"] * 3 + v["b"][0] * x[0], "b": (v["b"][0] * 2 - np.sum(v["a"]),)}

    result = linear_solve(product, right)
    return np.sum(result["a"] ** 2) * result["b"][0]


def cube_root(x: Any) -> Any:
    return root(lambda y: y**3 + y - x, np.zeros(3))


def circle_and_line(x: Any) -> Any:
    """Two equations in a pytree: u² + v² = 4 + x₀², u = v·x₁."""

    def f(p: Any) -> Any:
        return {"u": p["u"] ** 2 + p["v"] ** 2 - 4 - x[0] ** 2, "v": p["u"] - p["v"] * x[1]}

    point = root(f, {"u": 1.0, "v": 1.0})
    return point["u"] * x[2] + point["v"] ** 2


def kepler(x: Any) -> Any:
    """E = x + e·sin(E)."""
    return fixed_point(lambda e: x + 0.3 * np.sin(e) * np.cos(x), np.zeros(3))


def root_in_a_loop(x: Any) -> Any:
    def step(i: Any, y: Any) -> Any:
        return root(lambda z: z + 0.1 * z**3 - y * x, y)

    return tracer.fori_loop(0, 2, step, x)


FUNCTIONS = [
    solution,
    symmetric_solution,
    solution_of_pytrees,
    cube_root,
    circle_and_line,
    kepler,
    root_in_a_loop,
]


@pytest.mark.parametrize("f", FUNCTIONS, ids=[f.__name__ for f in FUNCTIONS])
def test_every_transform(f: Any) -> None:
    check_transforms(f, START, tolerance=1e-8)


@pytest.mark.parametrize("f", [solution, kepler])
def test_compiled(f: Any) -> None:
    check_compiled(f, START)


def test_values() -> None:
    assert_near(linear_solve(lambda v: MATRIX @ v, START), np.linalg.solve(MATRIX, START), 1e-15)
    found = linear_solve(lambda v: SYMMETRIC @ v, START, conjugate_gradients(), symmetric=True)
    assert_near(found, np.linalg.solve(SYMMETRIC, START), 1e-11)
    y = cube_root(START)
    assert_near(y**3 + y, START, 1e-12)
    e = kepler(START)
    assert_near(e, START + 0.3 * np.sin(e) * np.cos(START), 1e-11)


def test_pivoting() -> None:
    matrix = np.array([[0.0, 2.0, 1.0], [1e-18, 1.0, 1.0], [3.0, 0.0, 1.0]])
    found = linear_solve(lambda v: matrix @ v, START)
    assert_near(found, np.linalg.solve(matrix, START), 1e-15)


def test_gradient_of_a_solution_is_the_textbook_one() -> None:
    """∂(w·A⁻¹b)/∂A = −λxᵀ with Aᵀλ = w, and ∂/∂b = λ."""
    w = np.array([1.0, -2.0, 0.5])

    def f(a: Any, b: Any) -> Any:
        return w @ linear_solve(lambda v: a @ v, b)

    x, multiplier = np.linalg.solve(MATRIX, START), np.linalg.solve(MATRIX.T, w)
    by_matrix, by_right = grad(f, (0, 1))(MATRIX, START)
    assert_near(by_matrix, -np.outer(multiplier, x), 1e-14)
    assert_near(by_right, multiplier, 1e-14)


def test_complex_system() -> None:
    matrix = MATRIX + 1j * MATRIX.T
    right = START + 0.5j
    found = linear_solve(lambda v: matrix @ v, right)
    assert_near(found, np.linalg.solve(matrix, right), 1e-14)
    derivative = tracer.jacfwd(lambda b: linear_solve(lambda v: matrix @ v, b))(right)
    assert_near(derivative, np.linalg.inv(matrix), 1e-14)


def test_hessian_through_the_theorem() -> None:
    """The second derivatives of y(x) with y³ + y = x are those of the inverse function."""
    y = cube_root(START)
    slope = 1 / (3 * y**2 + 1)
    curve = -6 * y * slope**3
    found = tracer.hessian(lambda x: np.sum(cube_root(x)))(START)
    assert_near(found, np.diag(curve), 1e-11)
    compiled = jit(tracer.hessian(lambda x: np.sum(cube_root(x))), backend="numpy")
    assert_near(compiled(START), np.diag(curve), 1e-11)


def test_solver_is_not_differentiated() -> None:
    """A solver that knows the answer has no derivative of its own, and the start none either."""

    def known(f: Any, x0: Any) -> Any:
        return x0 * 0 + 2.0 ** (1 / 3)

    def f(a: Any, start: Any) -> Any:
        return root(lambda y: y**3 - a, start, known)

    slopes = grad(f, (0, 1))(2.0, 5.0)
    assert_near(slopes[0], 2.0 ** (-2 / 3) / 3, 1e-14)
    assert slopes[1] == 0.0


def test_gradient_does_not_store_the_iterations() -> None:
    """A slowly converging iteration: its gradient has no tape, and no loop over its steps."""

    def f(x: Any) -> Any:
        return np.sum(fixed_point(lambda y: 0.99 * y + 0.01 * x, x))

    graph = tracer.make_graph(grad(f))(START)
    assert all("?" not in str(r.type) for node in graph.nodes for r in node.results)
    assert_near(grad(f)(START * 2), np.ones(3), 1e-12)


def test_vmap_over_systems() -> None:
    matrices = np.stack([MATRIX, MATRIX * 2, MATRIX.T])
    found = vmap(lambda a: linear_solve(lambda v: a @ v, START))(matrices)
    due = np.stack([np.linalg.solve(a, START) for a in matrices])
    assert_near(found, due, 1e-14)
    rights = np.stack([START, START * 2])
    found = vmap(lambda b: linear_solve(lambda v: MATRIX @ v, b))(rights)
    assert_near(found, np.linalg.solve(MATRIX, rights.T).T, 1e-14)


def test_newton_halves_its_steps() -> None:
    """From far away the full step of arctan diverges."""
    found = root(lambda y: np.arctan(y) - 0.5, np.array([10.0]), newton())
    assert_near(found, [np.tan(0.5)], 1e-10)


def test_errors() -> None:
    with pytest.raises(
        ShapeError, match=r"matvec turns f64\[3\] into f64\[2\]; a system is square"
    ):
        linear_solve(lambda v: v[:2], START)
    with pytest.raises(StructureError, match="matvec returns"):
        linear_solve(lambda v: (v, v), START)
    with pytest.raises(ShapeError, match="as many equations as unknowns"):
        root(lambda y: y[:2], START)
    with pytest.raises(StructureError, match="root: f returns"):
        root(lambda y: (y, y), START)

    def outer(x: Any) -> Any:
        return root(lambda y: y - 2.0, x, lambda f, x0: x0 * 0 + x)

    with pytest.raises(BackendError, match="solver of root closes over traced values"):
        grad(outer)(1.0)
