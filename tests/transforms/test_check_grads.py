"""check_grads: silent where derivatives are right, and precise where they are not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracer import check_grads, custom_jvp, custom_vjp
from tracer.errors import GradientCheckError

X = np.array([0.3, -1.2, 2.1])


@custom_jvp
def wrong_forward(x: Any) -> Any:
    return np.sin(x)


wrong_forward.defjvp(lambda p, t: (np.sin(p[0]), t[0] * np.cos(p[0]) * 1.01))


@custom_vjp
def wrong_reverse(x: Any) -> Any:
    return np.sin(x)


wrong_reverse.defvjp(lambda x: (np.sin(x), x), lambda x, ct: (-ct * np.cos(x),))


@custom_jvp
def wrong_second(x: Any) -> Any:
    """Right at first order; the derivative's own derivative is cut."""
    return np.sin(x)


@custom_jvp
def wrong_cosine(x: Any) -> Any:
    return np.cos(x)


wrong_cosine.defjvp(lambda p, t: (np.cos(p[0]), t[0] * np.sin(p[0])))
wrong_second.defjvp(lambda p, t: (np.sin(p[0]), t[0] * wrong_cosine(p[0])))


def test_right_derivatives_pass() -> None:
    check_grads(lambda x: np.tanh(x) * np.sum(x**2), (X,), order=3)
    check_grads(lambda x, y: x @ np.outer(y, x), (X, X + 1))
    check_grads(lambda tree: tree["a"] * tree["b"], ({"a": X, "b": 2.0},))
    check_grads(lambda x: (x.sum(), {"y": x[:2]}), (X,))
    check_grads(lambda x: np.exp(x), (X.astype(np.float32),), order=1)


def test_complex_functions_pass() -> None:
    z = X + 1j * X[::-1]
    check_grads(lambda z: z**2 * np.sin(z), (z,))
    check_grads(lambda z: np.abs(z) ** 2, (z,))
    check_grads(lambda z: np.conj(z) * z.real, (z,))


@pytest.mark.parametrize(
    ("f", "modes", "order", "message"),
    [
        (
            wrong_forward,
            ("fwd",),
            1,
            r"forward mode of wrong_forward, argument leaf 0 of type f64\[3\]",
        ),
        (wrong_reverse, ("rev",), 1, r"reverse mode of wrong_reverse.*⟨Jᵀu, v⟩ is .* quotient"),
        (wrong_second, ("fwd",), 2, "forward mode of the jvp of wrong_second"),
        (wrong_second, ("rev",), 2, "reverse mode of the vjp of wrong_second"),
    ],
)
def test_wrong_derivatives_are_named(f: Any, modes: Any, order: int, message: str) -> None:
    with pytest.raises(GradientCheckError, match=message) as caught:
        check_grads(f, (X,), order=order, modes=modes)
    assert isinstance(caught.value, AssertionError)


def test_order_and_modes_limit_what_is_looked_at() -> None:
    check_grads(wrong_second, (X,), order=1)
    check_grads(wrong_forward, (X,), order=0)
    with pytest.raises(ValueError, match="modes are 'fwd' and 'rev', not \\['reverse'\\]"):
        check_grads(np.sin, (X,), modes=("reverse",))


def test_second_argument_is_the_one_that_is_named() -> None:
    with pytest.raises(GradientCheckError, match="argument leaf 1"):
        check_grads(lambda x, y: x * wrong_forward(y), (X, X), order=1)


def test_tolerances_can_be_given() -> None:
    check_grads(wrong_forward, (X,), order=1, modes=(), atol=0.1)
    with pytest.raises(GradientCheckError):
        check_grads(lambda x: x**3, (X,), order=1, atol=0.0, rtol=1e-15)


def test_kinks_are_found() -> None:
    """At 0 the derivative of |x| is 0 by agreement, and no difference quotient of one side is."""
    with pytest.raises(GradientCheckError, match="Taylor remainder"):
        check_grads(np.abs, (np.array([0.0]),), order=1)
