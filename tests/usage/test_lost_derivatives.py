"""Code that takes numbers out of traced arrays: the derivative is kept, or an error says that it is
not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import tracer
from tracer import errors, grad, jit

X = np.array([0.3, 0.7, 1.1])


def unread(text: str) -> Any:
    """A function whose source cannot be read."""
    names: dict[str, Any] = {}
    exec(f"import math, numpy as np, tracer\n{text}", names)
    return names["f"]


@pytest.mark.parametrize(
    "text",
    ["float(x) * 2.0 + x", "math.sin(x) + x", "sum(map(float, [x, x])) + x", "complex(x) * x"],
)
def test_python_numbers_where_the_source_is_not_read(text: str) -> None:
    f = unread(f"def f(x): return {text}")
    with pytest.raises(errors.ConcretizationError, match=r"<string>:2: .*would lose that deriv"):
        grad(f)(2.0)
    with pytest.raises(errors.ConcretizationError, match="would lose that deriv"):
        tracer.jvp(f, (2.0,), (1.0,))


def test_numbers_of_which_no_derivative_is_taken() -> None:
    f = unread("def f(x): return float(tracer.stop_gradient(x * 2.0)) * x + int(x)")
    assert grad(f)(3.5) == 7.0
    assert grad(unread("def f(x): return float(np.argmax(x)) * x[0]"))(X) == pytest.approx(
        [2, 0, 0]
    )


def test_formatting_takes_no_derivative_away() -> None:
    shown = []

    def f(x: Any) -> Any:
        shown.append("%.2f %d" % (x, 3) + f" {x:.1f}")  # noqa: UP031 -- the operator is meant
        return x * x

    assert grad(f)(2.0) == 4.0
    assert shown == ["2.00 3 2.0"]


def test_a_solver_that_asks_for_numbers() -> None:
    with pytest.raises(errors.ConcretizationError, match=r"test_lost_derivatives\.py:\d+: float"):
        grad(lambda b: scipy.integrate.quad(np.sin, 0, b)[0])(1.0)
    with pytest.raises(errors.ConcretizationError, match=r"tracer\.primitive"):
        grad(lambda a: scipy.optimize.brentq(lambda z: z * z - a, 0.0, 3.0))(2.0)
    with pytest.raises(errors.ConcretizationError, match="would lose"):
        grad(grad(lambda b: scipy.integrate.quad(np.sin, 0, b)[0]))(1.0)


@pytest.mark.parametrize("way", [lambda f: f, jit], ids=["eager", "jit"])
def test_item(way: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(x.item(0) * x) + x[1].item() * 2 + x.reshape(1, 3).item((0, 1))

    assert way(grad(f))(X) == pytest.approx([2.4, 3.3, 0.3])
    assert way(f)(X) == pytest.approx(f(X))
    single = way(lambda x: x.item(1) * np.ones(3, np.float32))(X)
    assert single.dtype == np.float32
    with pytest.raises(ValueError, match="size 1"):
        way(lambda x: x.item())(X)


def test_one_element_into_a_plain_array_from_outside() -> None:
    outside = np.zeros(3)

    def f(x: Any) -> Any:
        outside[0] = x[0]
        return outside.sum()

    for way in (grad(f), jit(f)):
        with pytest.raises(
            errors.ArrayConversionError,
            match=r"test_lost_derivatives\.py:\d+: .*tracer.numpy.zeros",
        ):
            way(X)
    assert not outside.any()


@pytest.mark.parametrize(
    "other",
    [np.ma.array(X, mask=[True, False, False]), np.eye(3).view(np.matrix)],
    ids=["masked", "matrix"],
)
def test_arrays_with_rules_of_their_own(other: Any) -> None:
    with pytest.raises(errors.NotAnArrayError, match=r"np\.asarray"):
        jit(lambda x: x * x)(other)
    with pytest.raises(errors.NotAnArrayError, match=r"np\.asarray"):
        grad(lambda x: np.sum(x * x))(other)
    with pytest.raises((errors.NotAnArrayError, errors.ArrayConversionError)):
        grad(lambda x: np.sum(x * other))(X)
