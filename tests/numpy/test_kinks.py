"""Derivatives where a function has none, or where its formula divides 0 by 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracer import grad, hessian, jvp

KINKS: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("abs at 0", lambda x: np.abs(x), 0.0, 0.0),
    ("abs of complex at 0", lambda z: np.abs(z), 0j, 0j),
    ("max of ties", lambda x: np.max(x), [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    ("min of ties", lambda x: np.min(x), [1.0, 1.0, 3.0], [0.5, 0.5, 0.0]),
    ("maximum of a tie", lambda x: np.maximum(x, 2.0), 2.0, 0.5),
    ("clip at its bound", lambda x: np.clip(x, 0.0, 1.0), 2.0, 0.0),
    ("norm at 0", lambda x: np.linalg.norm(x), [0.0, 0.0], [0.0, 0.0]),
    (
        "norm along an axis at 0",
        lambda x: np.linalg.norm(x, axis=1).sum(),
        [[0.0, 0.0], [3.0, 4.0]],
        [[0.0, 0.0], [0.6, 0.8]],
    ),
    ("norm of order 3 at 0", lambda x: np.linalg.norm(x, 3), [0.0, 0.0], [0.0, 0.0]),
    ("norm of order 1 at 0", lambda x: np.linalg.norm(x, 1), [0.0, 2.0], [0.0, 1.0]),
    ("Frobenius norm at 0", lambda x: np.linalg.norm(x), [[0.0, 0.0]], [[0.0, 0.0]]),
    ("norm of complex at 0", lambda z: np.linalg.norm(z), [0j, 0j], [0j, 0j]),
    ("std of one", lambda x: np.std(x), [2.0], [0.0]),
    ("std of equals", lambda x: np.std(x), [2.0, 2.0], [0.0, 0.0]),
    ("prod with a zero", lambda x: np.prod(x), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    ("prod with zeros", lambda x: np.prod(x), [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    ("cumprod with zeros", lambda x: np.cumprod(x).sum(), [2.0, 0.0, 3.0], [1.0, 8.0, 0.0]),
    ("sinc at 0", lambda x: np.sinc(x), 0.0, 0.0),
    ("hypot at 0", lambda x: np.hypot(x[0], x[1]), [0.0, 0.0], [0.0, 0.0]),
    ("power 0", lambda x: x**0, 0.0, 0.0),
    ("array power 0", lambda x: (x ** np.zeros(2)).sum(), [0.0, 1.0], [0.0, 0.0]),
    ("power at 0 by the exponent", lambda y: 0.0**y, 2.0, 0.0),
    (
        "masked branch",
        lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum(),
        [-1.0, 0.0, 4.0],
        [0.0, 0.0, 0.25],
    ),
    (
        "masked sum",
        lambda x: np.sum(np.log(x), where=x > 0),
        [-1.0, 0.0, 4.0],
        [0.0, 0.0, 0.25],
    ),
    ("nansum", lambda x: np.nansum(x), [np.nan, 2.0], [0.0, 1.0]),
    ("cummax of a tie", lambda x: np.maximum.accumulate(x)[-1], [3.0, 3.0, 1.0], [0.5, 0.5, 0.0]),
    ("floor", lambda x: np.floor(x), 1.5, 0.0),
    ("sign at 0", lambda x: np.sign(x), 0.0, 0.0),
    ("logaddexp of infinities", lambda x: np.logaddexp(x, -np.inf), 1.0, 1.0),
    ("overwritten value", lambda x: _overwritten(x), [2.0, 3.0], [12.0, 0.0]),
    ("duplicate indices", lambda x: _duplicates(x), [1.0, 2.0], [0.0, 10.0]),
]


def _overwritten(x: Any) -> Any:
    y = x * x
    z = y * x  # needs y as it is now
    y[0] = 0.0
    return z[0] + y[0]


def _duplicates(x: Any) -> Any:
    y = x * 0.0
    y[np.array([0, 0])] = x * 10.0  # the last one stays
    return y.sum()


@pytest.mark.parametrize(
    ("name", "function", "place", "expected"), KINKS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_gradient_at_a_kink(name: str, function: Any, place: Any, expected: Any) -> None:
    x = np.array(place) if isinstance(place, list) else place
    with np.errstate(all="ignore"):
        found = grad(function)(x)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=0, err_msg=name)


def test_gradient_at_a_kink_is_finite_in_forward_mode_too() -> None:
    _, tangent = jvp(np.linalg.norm, (np.zeros(3),), (np.ones(3),))
    assert tangent == 0.0


def test_sinc_has_the_second_derivative_of_its_series_at_0() -> None:
    second = grad(grad(np.sinc))
    np.testing.assert_allclose(second(0.0), -(np.pi**2) / 3, rtol=1e-14)
    np.testing.assert_allclose(second(1e-9), -(np.pi**2) / 3, rtol=1e-12)


def test_second_derivative_of_prod_with_zeros() -> None:
    found = hessian(np.prod)(np.array([0.0, 0.0, 3.0]))
    np.testing.assert_array_equal(found, [[0, 3, 0], [3, 0, 0], [0, 0, 0]])


def test_second_derivative_where_a_branch_has_a_cotangent_of_0() -> None:
    def f(x: Any) -> Any:
        return np.where(x < 1.0, np.sin(x) * x * x, x)

    assert grad(grad(grad(f)))(0.0) == 6.0
    assert grad(grad(lambda x: np.where(x < 1.0, x * x * np.cos(x), np.sqrt(x))))(0.0) == 2.0


def test_ten_factors_of_two() -> None:
    def product(x: Any) -> Any:
        total = 1.0
        for _ in range(5):
            total = total * x
        return total

    assert grad(product)(2.0) == 80.0
