"""odeint against SciPy's integrator and against solutions in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tests.helpers import assert_near
from tests.transforms.derivatives import difference, direction_at
from tracer import grad, jit, jvp, odeint, vmap
from tracer.errors import DerivativeError, ShapeError, StructureError

TIMES = np.array([0.0, 0.3, 1.0, 1.1, 2.5])
START = np.array([1.0, 0.5])
RATES = np.array([0.9, 0.4])
TIGHT = {"rtol": 1e-11, "atol": 1e-11}
BOTH = pytest.mark.parametrize("adjoint", ["discrete", "continuous"])


def predators(y: Any, t: Any, rates: Any) -> Any:
    """Lotka and Volterra's equations, with a season."""
    prey, hunters = y[0], y[1]
    births = rates[0] * prey * (1.0 + 0.2 * np.sin(t))
    meetings = prey * hunters
    return np.stack([births - meetings, rates[1] * meetings - hunters * 0.7])


def test_against_scipy() -> None:
    found = odeint(predators, START, TIMES, RATES, **TIGHT)
    due = solve_ivp(
        lambda t, y: predators(y, t, RATES),
        (TIMES[0], TIMES[-1]),
        START,
        "DOP853",
        TIMES,
        rtol=1e-12,
        atol=1e-12,
    ).y.T
    assert found.shape == (5, 2)
    assert_near(found, due, 1e-9)
    assert_near(jit(lambda y: odeint(predators, y, TIMES, RATES, **TIGHT))(START), due, 1e-9)


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9])
def test_error_follows_the_tolerance(tolerance: float) -> None:
    found = odeint(lambda y, t: -y * 2.0, 1.0, np.array([0.0, 0.7, 2.0]), rtol=tolerance, atol=0.0)
    due = np.exp([0.0, -1.4, -4.0])
    assert np.max(np.abs(found / due - 1)) < 30 * tolerance


def test_decreasing_times_go_back() -> None:
    ahead = odeint(predators, START, TIMES, RATES, **TIGHT)
    back = odeint(predators, ahead[-1], TIMES[::-1], RATES, **TIGHT)
    assert_near(back[-1], START, 1e-8)
    assert_near(back[::-1], ahead, 1e-8)


def test_one_time_and_equal_times() -> None:
    assert_near(odeint(predators, START, np.array([0.5]), RATES), START[None], 0)
    found = odeint(lambda y, t: y, 1.0, np.array([0.0, 1.0, 1.0, 2.0]), **TIGHT)
    assert_near(found, np.exp([0.0, 1.0, 1.0, 2.0]), 1e-8)


def total(adjoint: str) -> Any:
    def f(y0: Any, rates: Any, times: Any) -> Any:
        ys = odeint(predators, y0, times, rates, adjoint=adjoint, **TIGHT)
        return np.sum(ys * direction_at(np.ones((5, 2))))

    return f


@BOTH
def test_gradients(adjoint: str) -> None:
    """By the start, the parameters and every time."""
    f = total(adjoint)
    found = grad(f, (0, 1, 2))(START, RATES, TIMES)
    compiled = jit(f)
    points = [START, RATES, TIMES]
    for place, gradient in enumerate(found):

        def moved(value: Any, place: int = place) -> Any:
            return compiled(*points[:place], value, *points[place + 1 :])

        for k in range(len(points[place])):
            unit = np.eye(len(points[place]))[k] * 0.1
            due = difference(moved, points[place], unit) / 0.1
            assert_near(gradient[k], due, 1e-6, f"argument {place}, element {k}")


@BOTH
def test_gradients_under_jit_and_vmap(adjoint: str) -> None:
    f = total(adjoint)
    due = grad(f)(START, RATES, TIMES)
    assert_near(jit(grad(f), backend="numpy")(START, RATES, TIMES), due, 1e-9)
    starts = np.stack([START, START * 1.2])
    rows = vmap(grad(f), in_axes=(0, None, None))(starts, RATES, TIMES)
    assert_near(rows, np.stack([grad(f)(y, RATES, TIMES) for y in starts]), 1e-7)


def test_compiled_gradient() -> None:
    f = total("discrete")
    found = jit(grad(f, (0, 1)))(START, RATES, TIMES)
    for one, two in zip(found, grad(f, (0, 1))(START, RATES, TIMES), strict=True):
        assert_near(one, two, 1e-8)


def test_forward_mode_and_second_order() -> None:
    """y' = a·y: y(t) = y₀·exp(a·t), and all its derivatives are known."""
    times = np.array([0.0, 0.5, 1.0])

    def end(a: Any) -> Any:
        return odeint(lambda y, t: a * y, 2.0, times, **TIGHT)[-1]

    due = 2 * np.exp(0.3)
    assert_near(jvp(end, (0.3,), (1.0,)), (due, due), 1e-9)
    assert_near(grad(end)(0.3), due, 1e-9)
    assert_near(grad(grad(end))(0.3), due, 1e-7)
    assert_near(jvp(grad(end), (0.3,), (1.0,))[1], due, 1e-7)


@BOTH
def test_pytrees(adjoint: str) -> None:
    """An oscillator whose state is a dict, and whose parameters are a tuple."""
    times = np.linspace(0.0, 2.0, 5)

    def slope(state: Any, t: Any, parameters: Any) -> Any:
        stiffness, damping = parameters
        return {"x": state["v"], "v": -stiffness * state["x"] - damping * state["v"]}

    def end(stiffness: Any) -> Any:
        start = {"x": np.ones(2), "v": np.zeros(2)}
        result = odeint(slope, start, times, (stiffness, 0.0), adjoint=adjoint, **TIGHT)
        assert result["x"].shape == (5, 2)
        return result["x"][-1, 0]

    assert_near(end(4.0), np.cos(4.0), 1e-8)
    assert_near(grad(end)(4.0), -0.5 * np.sin(4.0), 1e-7)


def test_closures() -> None:
    """The discrete adjoint sees what f closes over; the continuous one says that it does not."""
    times = np.array([0.0, 1.0])

    def end(a: Any, adjoint: str) -> Any:
        return odeint(lambda y, t: a * y, 1.0, times, adjoint=adjoint, **TIGHT)[-1]

    assert_near(grad(lambda a: end(a, "discrete"))(0.5), np.exp(0.5), 1e-8)
    with pytest.raises(DerivativeError, match="closes over a value that is differentiated"):
        grad(lambda a: end(a, "continuous"))(0.5)


def test_too_many_steps_are_nan() -> None:
    found = odeint(predators, START, TIMES, RATES, max_steps=2, rtol=1e-12, atol=1e-12)
    assert_near(found[0], START, 0)
    assert np.isnan(found[-1]).all()


def test_errors() -> None:
    with pytest.raises(ShapeError, match=r"vector of times, not of shape \(\)"):
        odeint(predators, START, 1.0, RATES)
    with pytest.raises(StructureError, match="odeint: f returns"):
        odeint(lambda y, t: (y, y), START, TIMES)
    with pytest.raises(ValueError, match="adjoint is 'discrete' or 'continuous', not 'both'"):
        odeint(predators, START, TIMES, RATES, adjoint="both")
