"""Derivatives inside derivatives: perturbations never mix."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracer import grad, hessian, hvp, jacfwd, jacrev, jit, jvp, linearize, vjp, vmap

Derivative = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]


def by_jvp(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: jvp(f, (x,), (np.ones_like(x),))[1]


def by_vjp(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def derivative(x: Any) -> Any:
        out, pullback = vjp(f, x)
        return pullback(np.ones_like(out))[0]

    return derivative


def by_linearize(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: linearize(f, x)[1](np.ones_like(x))


WAYS: dict[str, Derivative] = {
    "grad": grad,
    "jvp": by_jvp,
    "vjp": by_vjp,
    "linearize": by_linearize,
    "jacfwd": jacfwd,
    "jacrev": jacrev,
}
PAIRS = list(itertools.product(WAYS, repeat=2))
TRIPLES = [
    ("grad", "jvp", "grad"),
    ("jvp", "grad", "jvp"),
    ("vjp", "linearize", "grad"),
    ("linearize", "linearize", "linearize"),
    ("jacrev", "jvp", "vjp"),
    ("grad", "grad", "grad"),
    ("jvp", "jvp", "jvp"),
]


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_classic_confusion(outer: str, inner: str) -> None:
    """d/dx [x · d/dy (x + y)] is 1, and 2 where the two perturbations are mixed up."""
    f = WAYS[outer](lambda x: x * WAYS[inner](lambda y: x + y)(1.0))
    assert f(1.0) == 1.0


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_inner_derivative_of_an_outer_variable(outer: str, inner: str) -> None:
    """d/dx [x · d/dy (x·y²)] = d/dx [2·x²·y] = 4·x·y."""
    f = WAYS[outer](lambda x: x * WAYS[inner](lambda y: x * y * y)(x * 0 + 2.0))
    assert f(3.0) == 24.0


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_second_derivative(outer: str, inner: str) -> None:
    f = WAYS[outer](WAYS[inner](lambda x: np.sin(x) * x))
    x = 0.7
    np.testing.assert_allclose(f(x), 2 * np.cos(x) - x * np.sin(x), rtol=1e-14)


@pytest.mark.parametrize(("first", "second", "third"), TRIPLES)
def test_triples(first: str, second: str, third: str) -> None:
    """d/dx [x · d/dy (y · d/dz (x·y·z²) at z = y) at y = x] at 2.

    The innermost is 2·x·y·z = 2·x·y², the next d/dy (2·x·y³) = 6·x·y² = 6·x³, the last 24·x³.
    """

    def after_z(x: Any, y: Any) -> Any:
        return WAYS[third](lambda z: x * y * z * z)(y)

    def after_y(x: Any) -> Any:
        return WAYS[second](lambda y: y * after_z(x, y))(x)

    result = WAYS[first](lambda x: x * after_y(x))(2.0)
    np.testing.assert_allclose(result, 24 * 2.0**3, rtol=1e-14)


@pytest.mark.parametrize("order", range(1, 7))
def test_high_orders(order: int) -> None:
    """All derivatives of x⁶ by nested grads."""
    f: Callable[[Any], Any] = lambda x: x**6  # noqa: E731
    factor = 1.0
    for k in range(order):
        f = grad(f)
        factor *= 6 - k
    np.testing.assert_allclose(f(1.3), factor * 1.3 ** (6 - order), rtol=1e-13)


def test_derivative_of_a_function_that_differentiates_under_jit() -> None:
    @jit(backend="numpy")
    def slope(x: Any) -> Any:
        return grad(lambda y: x * y * y)(x)

    assert slope(3.0) == 18.0
    assert grad(slope)(3.0) == 12.0


def test_vmap_between_derivatives() -> None:
    x = np.array([0.3, 0.5, 0.7])

    def f(x: Any) -> Any:
        return np.sum(vmap(grad(lambda y: np.sin(y) * y))(x) * x)

    slope = np.sin(x) + x * np.cos(x)
    curvature = 2 * np.cos(x) - x * np.sin(x)
    np.testing.assert_allclose(grad(f)(x), slope + x * curvature, rtol=1e-14)


def test_vmap_closed_over_an_outer_variable() -> None:
    rows = np.arange(6.0).reshape(3, 2)

    def f(w: Any) -> Any:
        return np.sum(vmap(lambda row: np.sin(row @ w))(rows))

    w = np.array([0.1, 0.2])
    expected = (np.cos(rows @ w)[:, None] * rows).sum(0)
    np.testing.assert_allclose(grad(f)(w), expected, rtol=1e-13)


def test_hessian_and_products() -> None:
    a = np.arange(9.0).reshape(3, 3)

    def f(x: Any) -> Any:
        return x @ a @ x + np.sum(np.exp(x))

    x, v = np.array([0.1, 0.2, 0.3]), np.array([1.0, -1.0, 2.0])
    expected = a + a.T + np.diag(np.exp(x))
    np.testing.assert_allclose(hessian(f)(x), expected, rtol=1e-14)
    np.testing.assert_allclose(jacfwd(jacrev(f))(x), jacrev(jacfwd(f))(x), rtol=1e-14)
    np.testing.assert_allclose(hvp(f, (x,), (v,))[0], expected @ v, rtol=1e-14)
