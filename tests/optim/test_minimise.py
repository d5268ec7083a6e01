"""The minimisers that run inside jit, and the bridge to SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

import tracer
from tracer import optim
from tracer.errors import DTypeError, ShapeError, StructureError
from tracer.optim import minimise

METHODS = [optim.lbfgs, optim.newton_cg]


def rosenbrock(params):
    x = params["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def start(n=6):
    return {"x": np.linspace(0.2, 1.4, n)}


@pytest.mark.parametrize("jitted", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_rosenbrock(method, jitted):
    def solve(params):
        return method(rosenbrock, params)

    found = (tracer.jit(solve) if jitted else solve)({"x": np.zeros(6)})
    assert found.converged
    assert found.gradient_norm <= 1e-8
    np.testing.assert_allclose(found.x["x"], 1, atol=1e-6)
    assert found.steps <= found.evaluations


@pytest.mark.parametrize(
    "method", [*METHODS, minimise.gradient_descent], ids=lambda method: method.__name__
)
def test_a_convex_function_against_its_solution(method):
    random = np.random.default_rng(3)
    root = random.normal(size=(20, 5))
    target = random.normal(size=20)
    found = tracer.jit(lambda x: method(lambda y: 0.5 * ((root @ y - target) ** 2).sum(), x))(
        np.zeros(5)
    )
    assert found.converged
    np.testing.assert_allclose(
        found.x, np.linalg.lstsq(root, target, rcond=None)[0], rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
def test_float32_stays_float32(method):
    found = method(lambda x: ((x - 2) ** 2).sum(), np.zeros(3, np.float32), tolerance=1e-4)
    assert found.x.dtype == found.value.dtype == np.float32
    np.testing.assert_allclose(found.x, 2, rtol=1e-4)


def test_one_that_has_no_minimum_is_not_called_converged():
    found = optim.lbfgs(lambda x: x.sum(), np.ones(2), max_steps=20)
    assert not found.converged


def test_infinite_values_on_the_way_are_stepped_around():
    def barrier(x):
        return -tracer.numpy.log(x) + 3 * x

    with np.errstate(invalid="ignore"):
        found = optim.lbfgs(lambda x: barrier(x).sum(), np.array([0.01, 5.0]))
    assert found.converged
    np.testing.assert_allclose(found.x, 1 / 3, rtol=1e-6)


def test_a_batch_of_problems():
    targets = np.linspace(-1, 1, 8).reshape(4, 2)

    def solve(target):
        return optim.lbfgs(lambda x: ((x - target) ** 4 + (x - target) ** 2).sum(), 0 * target).x

    got = tracer.jit(tracer.vmap(solve))(targets)
    np.testing.assert_allclose(got, targets, atol=1e-6)


def test_bad_input():
    with pytest.raises(DTypeError, match="make its integers floats"):
        optim.lbfgs(lambda x: x.sum(), np.arange(3))
    with pytest.raises(ShapeError, match="needs one number"):
        optim.lbfgs(lambda x: x, np.ones(3))
    with pytest.raises(ValueError, match="history"):
        optim.lbfgs(lambda x: x.sum(), np.ones(3), history=0)


def test_scipy_methods():
    problem = optim.as_scipy(rosenbrock, start())
    for method, extra in (
        ("BFGS", {"jac": problem.jac}),
        ("L-BFGS-B", {"jac": problem.jac}),
        ("Newton-CG", {"jac": problem.jac, "hessp": problem.hessp}),
        ("trust-ncg", {"jac": problem.jac, "hess": problem.hess}),
        ("trust-exact", {"jac": problem.jac, "hess": problem.hess}),
    ):
        found = scipy.optimize.minimize(problem.fun, problem.x0, method=method, tol=1e-9, **extra)
        np.testing.assert_allclose(found.x, 1, atol=1e-4, err_msg=method)


def test_scipy_derivatives_are_those_of_the_function():
    problem = optim.as_scipy(rosenbrock, start())
    x = problem.x0
    assert problem.fun(x) == pytest.approx(scipy.optimize.rosen(x))
    np.testing.assert_allclose(problem.jac(x), scipy.optimize.rosen_der(x))
    np.testing.assert_allclose(problem.hess(x), scipy.optimize.rosen_hess(x))
    v = np.arange(6.0)
    np.testing.assert_allclose(problem.hessp(x, v), scipy.optimize.rosen_hess_prod(x, v))
    for result in (problem.jac(x), problem.hess(x), problem.hessp(x, v)):
        assert type(result) is np.ndarray
        assert result.dtype == np.float64
    assert type(problem.fun(x)) is float


def test_scipy_bounds_and_constraints_over_pytrees():
    def f(params):
        return ((params["a"] - 3) ** 2).sum() + (params["b"] + 1) ** 2

    x0 = {"a": np.ones((2, 2), np.float32), "b": np.float64(0.5)}
    problem = optim.as_scipy(
        f,
        x0,
        bounds=({"a": None, "b": 0.0}, None),
        constraints=[(lambda p: {"sum": p["a"].sum()}, -np.inf, 8.0)],
    )
    found = scipy.optimize.minimize(
        problem.fun,
        problem.x0,
        jac=problem.jac,
        hess=problem.hess,
        bounds=problem.bounds,
        constraints=problem.constraints,
        method="trust-constr",
        tol=1e-9,
    )
    solution = problem.unravel(found.x)
    assert solution["a"].dtype == np.float32
    np.testing.assert_allclose(solution["a"], 2, atol=1e-3)
    np.testing.assert_allclose(solution["b"], 0, atol=1e-3)
    equal = optim.as_scipy(
        f, x0, constraints=[{"type": "eq", "fun": lambda p: p["a"][0] - p["a"][1] - 1}]
    )
    found = scipy.optimize.minimize(
        equal.fun, equal.x0, jac=equal.jac, constraints=equal.constraints, method="SLSQP"
    )
    np.testing.assert_allclose(equal.unravel(found.x)["a"], [[3.5] * 2, [2.5] * 2], atol=1e-3)


def test_scipy_bad_input():
    with pytest.raises(DTypeError, match="make integers floats"):
        optim.as_scipy(rosenbrock, {"x": np.arange(4)})
    with pytest.raises(DTypeError, match="two real ones"):
        optim.as_scipy(rosenbrock, {"x": np.ones(4, complex)})
    with pytest.raises(StructureError, match="pair"):
        optim.as_scipy(rosenbrock, start(), bounds=3)
    with pytest.raises(StructureError, match="a bound"):
        optim.as_scipy(rosenbrock, start(), bounds=({"y": 0}, None))
    with pytest.raises(StructureError, match="a constraint is"):
        optim.as_scipy(rosenbrock, start(), constraints=[5])
