"""Programs as textbooks have them, which know nothing of tracing: values, and derivatives against
central differences."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import integrate, linalg, stats

from tracer import grad, jit

X = np.array([0.4, 1.3, 2.6])
LINKS = np.array([[0.1, 1.0, 1.0], [0.5, 0.1, 2.0], [1.0, 0.3, 0.1]])


def binomial_tree(x: Any) -> Any:
    values = np.maximum(x[0] * np.linspace(1.0, 3.0, 21) - x[1], 0.0)
    for i in np.arange(20, 0, -1):
        values = 0.6 * values[1 : i + 1] + 0.39 * values[0:i]
    return values[0]


def counting_down(x: Any) -> Any:
    steps = np.arange(20, 0, -1)
    row = np.repeat(x, 7)
    total = 0.0
    for i in steps:
        row = row[:i] * 0.9
        total += row.sum() * i
    return total


def page_rank(x: Any) -> Any:
    matrix = LINKS * x / (LINKS * x).sum(axis=0)
    rank = np.ones(3) / 3
    while True:
        following = 0.85 * matrix @ rank + 0.05
        if np.linalg.norm(following - rank, 1) < 1e-10:
            return following[0]
        rank = following


def branches_in_a_row(x: Any) -> Any:
    total = 0.0
    for p in [v * v - 1 for v in x]:
        if p > 0:
            total += p
        else:
            total -= 0.5 * p
    return total


def with_math(x: Any) -> Any:
    distance = math.dist(x, [0.0, 1.0, 2.0])
    near = 1.0 if math.isclose(x[0], 0.4, rel_tol=1e-3) else 5.0
    return near * distance + math.gamma(x[1]) * math.erf(x[2]) + math.fsum([a * a for a in x])


class Pair:
    """A vector whose members branch on values, and make arrays of them."""

    def __init__(self, x: Any, y: Any) -> None:
        self.parts = np.zeros(2)
        self.parts[0] = x
        self.parts[1] = y

    def __add__(self, other: Any) -> Pair:
        return Pair(*(self.parts + (other.parts if isinstance(other, Pair) else other)))

    __radd__ = __add__

    def __mul__(self, factor: Any) -> Pair:
        out = np.empty(2)
        for i in range(2):
            out[i] = self.parts[i] * (factor if self.parts[i] > 0 else 2 * factor)
        return Pair(out[0], out[1])

    __rmul__ = __mul__

    def __neg__(self) -> Pair:
        return Pair(*np.array([-self.parts[0], -self.parts[1]]))

    @property
    def norm(self) -> Any:
        length = np.sqrt(self.parts @ self.parts)
        if length > 2:
            return length
        return length / 2

    @functools.cached_property
    def positive(self) -> Any:
        return self.parts[0] if self.parts[0] > 0 else 0.0


def with_classes(x: Any) -> Any:
    place, speed = Pair(x[0], x[1]), Pair(x[1], -x[2])
    for _ in range(3):
        speed = speed + (-place) * 0.1
        place += 2.0 * speed
    return place.norm + speed.positive + sum([place, speed, place]).norm


def black_scholes(x: Any) -> Any:
    spot, strike, sigma = x[0], x[1], x[2] / 5
    ratio = (np.log(spot / strike) + 0.5 * sigma**2) / sigma
    return spot * stats.norm.cdf(ratio) - strike * stats.norm.cdf(ratio - sigma)


def with_scipy(x: Any) -> Any:
    matrix = np.outer(x, x) + np.eye(3)
    factor = linalg.cholesky(matrix, lower=True)
    solution = linalg.solve(matrix, x)
    area = integrate.trapezoid(np.exp(-x[0] * np.linspace(0.0, 1.0, 20)), dx=0.05)
    return factor.sum() + solution @ x + linalg.expm(matrix * 0.1)[0, 1] + area


PROGRAMS = (
    binomial_tree,
    counting_down,
    page_rank,
    branches_in_a_row,
    with_math,
    with_classes,
    black_scholes,
    with_scipy,
)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_value_and_gradient(program: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(jit(program)(X), program(X), rtol=1e-13)
    step = 1e-6
    expected = [
        (program(X + step * unit) - program(X - step * unit)) / (2 * step) for unit in np.eye(3)
    ]
    np.testing.assert_allclose(grad(program)(X), expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(jit(grad(program))(X), expected, rtol=1e-6, atol=1e-7)
