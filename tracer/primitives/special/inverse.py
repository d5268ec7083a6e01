"""Inverses of the incomplete gamma and beta functions, and Student's quantiles.

The equation is solved for log x (for the logarithm of x/(1 − x)) in the logarithm of the smaller
tail, which is concave there, by Newton's method kept between bounds. Derivatives are those of the
implicit function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracer.primitives.arithmetic import absolute, log, maximum, minimum, sqrt
from tracer.primitives.programs import derivative, of_scipy, program
from tracer.primitives.special.common import branch, repeat, where
from tracer.primitives.special.incomplete import (
    _betainc,
    _gammainc_program,
    _gammaincc_program,
    beta_density,
    gamma_density,
    log_beta_density,
    poisson_density,
    student_density,
)
from tracer.primitives.transcendental import exp, gammaln

MOST_STEPS = 80.0


def _normal_quantile(p: Any) -> Any:
    """Within 5·10⁻⁴, for a first guess (Abramowitz and Stegun 26.2.23)."""
    tail = maximum(minimum(p, 1.0 - p), 1e-300)
    t = sqrt(-2.0 * log(tail))
    upper = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (
        1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    )
    return where(p < 0.5, -upper, upper)


def _solved(
    error_and_slope: Callable[[Any], tuple[Any, Any]], start: Any, low: Any, high: Any
) -> Any:
    """The root of an increasing function between low and high, by Newton's method in bounds."""

    def step(n: Any, u: Any, low: Any, high: Any, change: Any) -> Any:
        error, slope = error_and_slope(u)
        low = where(error < 0.0, u, low)
        high = where(error > 0.0, u, high)
        new = u - error / slope
        inside = (new > low) & (new < high)
        new = where(inside, new, where(error == 0.0, u, 0.5 * (low + high)))
        return n + 1.0, new, low, high, absolute(new - u)

    result = repeat(
        lambda n, u, low, high, change: (
            (change > 1e-16 * maximum(1.0, absolute(u))) & (n < MOST_STEPS)
        ),
        step, 0.0, minimum(maximum(start, low), high), low, high, 1.0 + 0.0 * start,
    )  # fmt: skip
    return result[1]


def _gamma_quantile(a: Any, p: Any, q: Any) -> Any:
    """The x with P(a, x) = p, Q(a, x) = q."""
    lower = p < q
    target = log(where(lower, p, q))

    def error_and_slope(u: Any) -> tuple[Any, Any]:
        x = exp(u)
        tail = branch(
            lower, lambda: _gammainc_program(a, x), lambda: _gammaincc_program(a, x)
        )
        tail = maximum(tail, 1e-320)
        side = where(lower, 1.0, -1.0)
        return side * (log(tail) - target), a * poisson_density(a, x) / tail

    spread = 1.0 / (9.0 * a)
    cube = 1.0 - spread + _normal_quantile(where(lower, p, 1.0 - q)) * sqrt(spread)
    small = (log(where(lower, p, 1.0 - q)) + gammaln(a + 1.0)) / a
    central = (a > 0.5) & (cube > 0.3)
    start = where(central, log(a) + 3.0 * log(where(central, cube, 1.0)), small)
    return exp(_solved(error_and_slope, start, -750.0 + 0.0 * a, log(2.0 * a + 2000.0)))


def _gamma_inverse(a: Any, p: Any, *, complement: bool) -> Any:
    usual = (a > 0.0) & (a < float("inf")) & (p > 0.0) & (p < 1.0)
    first, second = (1.0 - p, p) if complement else (p, 1.0 - p)
    zero, one = (float("inf"), 0.0) if complement else (0.0, float("inf"))
    edge = where(p == 0.0, zero, where(p == 1.0, one, float("nan")))
    edge = where(a > 0.0, edge, float("nan"))
    return branch(usual, lambda: _gamma_quantile(a, first, second), lambda: edge)


def _beta_quantile(a: Any, b: Any, p: Any) -> Any:
    """The x with I(a, b, x) = p."""
    lower = p < 0.5
    target = log(where(lower, p, 1.0 - p))

    def at(u: Any) -> Any:
        e = exp(-absolute(u))
        return minimum(where(u < 0.0, e, 1.0) / (1.0 + e), 1.0 - 2.0**-53)

    def error_and_slope(u: Any) -> tuple[Any, Any]:
        x = at(u)
        tail = branch(
            lower,
            lambda: _betainc(a, b, x, lower=True),
            lambda: _betainc(a, b, x, lower=False),
        )
        tail = maximum(tail, 1e-320)
        side = where(lower, 1.0, -1.0)
        return side * (log(tail) - target), exp(log_beta_density(a, b, x)) / tail

    return at(_solved(error_and_slope, log(a / b), -700.0 + 0.0 * a, 37.0 + 0.0 * a))


def _beta_inverse_program(a: Any, b: Any, p: Any) -> Any:
    positive = (a > 0.0) & (b > 0.0) & (a < float("inf")) & (b < float("inf"))
    usual = positive & (p > 0.0) & (p < 1.0)
    edge = where(positive & ((p == 0.0) | (p == 1.0)), p, float("nan"))
    return branch(usual, lambda: _beta_quantile(a, b, p), lambda: edge)


def _stdtrit_program(df: Any, p: Any) -> Any:
    """Student's quantile, by that of the beta distribution."""
    usual = (df > 0.0) & (df < 1e15) & (p > 0.0) & (p < 1.0)
    half = 0.5 * where(usual, df, 1.0)
    tail = minimum(p, 1.0 - p)
    far = tail < 0.25
    first, second = where(far, half, 0.5), where(far, 0.5, half)
    target = where(far, 2.0 * tail, 1.0 - 2.0 * tail)

    def inside() -> Any:
        share = _beta_inverse_program(first, second, target)
        odds = where(far, (1.0 - share) / share, share / (1.0 - share))
        size = sqrt(2.0 * half * odds)
        return where(p < 0.5, -size, size)

    edge = where(p == 0.0, float("-inf"), where(p == 1.0, float("inf"), float("nan")))
    edge = where(df > 0.0, edge, float("nan"))
    return branch(usual, inside, lambda: edge)


gammaincinv: Any = program(
    of_scipy("gammaincinv"),
    lambda a, p: _gamma_inverse(a, p, complement=False),
    lambda t, out, a, p: (
        -t * (derivative("gammainc", (1, 0), a, out) / gamma_density(a, out))
    ),
    lambda t, out, a, p: t / gamma_density(a, out),
)
gammainccinv: Any = program(
    of_scipy("gammainccinv"),
    lambda a, q: _gamma_inverse(a, q, complement=True),
    lambda t, out, a, q: (
        t * (derivative("gammaincc", (1, 0), a, out) / gamma_density(a, out))
    ),
    lambda t, out, a, q: -t / gamma_density(a, out),
)
betaincinv: Any = program(
    of_scipy("betaincinv"),
    _beta_inverse_program,
    lambda t, out, a, b, p: (
        -t * (derivative("betainc", (1, 0, 0), a, b, out) / beta_density(a, b, out))
    ),
    lambda t, out, a, b, p: (
        -t * (derivative("betainc", (0, 1, 0), a, b, out) / beta_density(a, b, out))
    ),
    lambda t, out, a, b, p: t / beta_density(a, b, out),
)
stdtrit: Any = program(
    of_scipy("stdtrit"),
    _stdtrit_program,
    lambda t, out, df, p: (
        -t * (derivative("stdtr", (1, 0), df, out) / student_density(df, out))
    ),
    lambda t, out, df, p: t / student_density(df, out),
)
