"""Derivatives of the incomplete functions in their parameters, against mpmath.

Whole parameters are the trap: there the continued fractions end early, their derivatives do not.
One program serves all points of a function: it compiles for longer than it runs.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import tracer
from tracer.scipy import special

DIGITS = 40
GAMMA_POINTS = [
    (a, a * ratio + 0.25)
    for a, ratio in itertools.product((0.5, 1.0, 2.0, 3.0, 7.5, 20.0), (0.3, 1.0, 1.5, 3.0))
]
BETA_POINTS = list(itertools.product((0.5, 1.0, 3.0, 10.0), (0.5, 1.0, 2.0, 4.0), (0.1, 0.5, 0.9)))


def slope_of(function: Callable[..., Any], point: tuple[float, ...], place: int) -> float:
    """The derivative of a function of mpmath in one argument."""
    with mpmath.workdps(DIGITS):
        start = [mpmath.mpf(value) for value in point]

        def moved(value: Any) -> Any:
            return function(*start[:place], value, *start[place + 1 :])

        return float(mpmath.diff(moved, start[place]))


def check_slopes(
    function: Callable[..., Any],
    exact: Callable[..., Any],
    points: list[tuple[float, ...]],
    places: tuple[int, ...],
    relative: float,
) -> None:
    """Compiled derivatives in these arguments at every point."""
    gradient = tracer.grad(lambda *xs: tracer.numpy.sum(function(*xs)), argnums=places)
    found = tracer.jit(gradient)(*np.array(points).T)
    for place, slopes in zip(places, found, strict=True):
        expected = [slope_of(exact, point, place) for point in points]
        for point, one, other in zip(points, slopes, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=relative, err_msg=f"{place} at {point}")


@pytest.mark.parametrize("lower", [True, False], ids=["gammainc", "gammaincc"])
def test_incomplete_gamma(lower: bool) -> None:
    def exact(a: Any, x: Any) -> Any:
        return mpmath.gammainc(a, *((0, x) if lower else (x, mpmath.inf)), regularized=True)

    function = special.gammainc if lower else special.gammaincc
    check_slopes(function, exact, GAMMA_POINTS, (0,), 1e-10)


def test_incomplete_beta() -> None:
    def exact(a: Any, b: Any, x: Any) -> Any:
        return mpmath.betainc(a, b, 0, x, regularized=True)

    check_slopes(special.betainc, exact, BETA_POINTS, (0, 1), 1e-9)
