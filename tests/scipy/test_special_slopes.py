"""Derivatives of the incomplete functions in their parameters, against mpmath.

Whole parameters are the trap: there the continued fractions end early, their derivatives do not.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import tracer
from tracer.scipy import special

DIGITS = 40


def slope_of(function, point, place):
    with mpmath.workdps(DIGITS):
        start = [mpmath.mpf(value) for value in point]

        def moved(value):
            return function(*start[:place], value, *start[place + 1 :])

        return float(mpmath.diff(moved, start[place]))


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0, 3.0, 7.5, 20.0])
@pytest.mark.parametrize("ratio", [0.3, 1.0, 1.5, 3.0])
def test_incomplete_gamma(a, ratio):
    x = a * ratio + 0.25
    for function, lower in ((special.gammainc, True), (special.gammaincc, False)):

        def exact(a, x, lower=lower):
            ends = (0, x) if lower else (x, mpmath.inf)
            return mpmath.gammainc(a, *ends, regularized=True)

        got = tracer.jit(tracer.grad(function))(a, x)
        np.testing.assert_allclose(got, slope_of(exact, (a, x), 0), rtol=1e-10, err_msg=f"{a} {x}")


@pytest.mark.parametrize("a", [0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("b", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("x", [0.1, 0.5, 0.9])
def test_incomplete_beta(a, b, x):
    def exact(a, b, x):
        return mpmath.betainc(a, b, 0, x, regularized=True)

    got = tracer.jit(tracer.grad(special.betainc, argnums=(0, 1)))(a, b, x)
    expected = [slope_of(exact, (a, b, x), place) for place in (0, 1)]
    np.testing.assert_allclose(got, expected, rtol=1e-9)
