"""The incomplete gamma and beta functions and their inverses.

Prefactors are written with the deviance log(1 + μ) − μ and Stirling's error (C. Loader, Fast and
accurate computation of binomial probabilities, 2000), so that large parameters do not cancel.
"""

from __future__ import annotations

import math
from typing import Any

from tracer.primitives.arithmetic import absolute, log, maximum, minimum, power, sqrt
from tracer.primitives.programs import AUTOMATIC, of_scipy, program
from tracer.primitives.special.common import (
    NEGLIGIBLE,
    TINY,
    branch,
    log_gamma_above_one,
    log_less,
    repeat,
    stirling_error,
    where,
)
from tracer.primitives.special.gamma import betaln, log_beta_positive, rgamma_program
from tracer.primitives.transcendental import erfc, exp, expm1, log1p

LONGEST = 1e5  # terms of a series or fraction, so that every call ends


def log_poisson_density(a: Any, x: Any) -> Any:
    """log(xᵃ·e⁻ˣ/Γ(a + 1)) for a ≥ 10, x > 0."""
    deviance = a * log_less(x / a, (x - a) / a)
    return deviance - stirling_error(a) - 0.5 * log(2 * math.pi * a)


def poisson_density(a: Any, x: Any) -> Any:
    """xᵃ·e⁻ˣ/Γ(a + 1)."""
    return branch(
        a >= 10.0,
        lambda: exp(log_poisson_density(a, x)),
        lambda: power(x, a) * exp(-x) * rgamma_program(a + 1.0),
    )


def _gamma_series(a: Any, x: Any) -> Any:
    """P(a, x) = density·Σ xⁿ/((a + 1)…(a + n)) (Abramowitz and Stegun 6.5.29)."""

    def step(n: Any, term: Any, total: Any) -> Any:
        term = term * (x / (a + n))
        return n + 1.0, term, total + term

    _, _, total = repeat(
        lambda n, term, total: (term > total * NEGLIGIBLE) & (n < LONGEST), step, 1.0, 1.0, 1.0
    )
    return total * poisson_density(a, x)


def _gamma_fraction(a: Any, x: Any) -> Any:
    """Q(a, x) = a·density/(x + 1 − a − 1·(1 − a)/(x + 3 − a − …)) (6.5.31), by Lentz's method."""
    first = x + 1.0 - a

    def step(n: Any, b: Any, c: Any, d: Any, h: Any, change: Any) -> Any:
        factor = n * (a - n)
        b = b + 2.0
        d = 1.0 / _away(factor * d + b)
        c = _away(b + factor / c)
        return n + 1.0, b, c, d, h * (c * d), c * d

    # For whole a the fraction ends at n = a, but its derivative in a does not: it needs as many
    # steps as that of any other a, about (36 / 4)² / x of them.
    least = 12.0 + 160.0 / x
    start = 1.0 / _away(first)
    result = repeat(
        lambda n, b, c, d, h, change: (
            ((absolute(change - 1.0) > 1e-16) | _just_after(n, a, least))
            & (n < LONGEST)
        ),
        step, 1.0, first, 1.0 / TINY + 0.0 * x, start, start, 2.0,
    )  # fmt: skip
    # Two more steps: the fraction's derivatives converge a little later than the fraction.
    for _ in range(2):
        result = step(*result)
    return a * poisson_density(a, x) * result[4]


def _just_after(n: Any, end: Any, least: Any) -> Any:
    """Whether step n comes less than `least` steps after that at which a fraction may end."""
    return (n > end - 0.5) & (n < end + least)


def _away(x: Any) -> Any:
    return where(absolute(x) < TINY, TINY, x)


def _small_complement(a: Any, x: Any) -> Any:
    """Q(a, x) for a ≤ ½ and x ≤ 1.1, where P is near 1: 1 − xᵃ/Γ(1 + a)·(1 + a·Σ …)."""

    def step(n: Any, term: Any, total: Any) -> Any:
        term = term * (-x / n)
        return n + 1.0, term, total + term / (a + n)

    _, _, total = repeat(
        lambda n, term, total: absolute(term) > NEGLIGIBLE, step, 1.0, 1.0, 0.0 * x
    )
    exponent = a * log(x) - log_gamma_above_one(a)
    return -expm1(exponent) - a * exp(exponent) * total


def _gammainc_program(a: Any, x: Any) -> Any:
    """The regularised lower incomplete gamma function."""
    usual = (a > 0.0) & (x > 0.0) & (a < float("inf")) & (x < float("inf"))

    def inside() -> Any:
        return branch(
            x < a + 1.0, lambda: _gamma_series(a, x), lambda: 1.0 - _gamma_fraction(a, x)
        )

    usual = usual & ~_far(a, x)
    return branch(usual, inside, lambda: _gamma_limit(a, x, lower=True))


def _far(a: Any, x: Any) -> Any:
    """Whether large a and x lie so far apart that the smaller tail is 0 in float64."""
    distance = (x - a) / sqrt(maximum(a, x))
    return (maximum(a, x) > 1e4) & (absolute(distance) > 60.0)


def _gamma_limit(a: Any, x: Any, *, lower: bool) -> Any:
    """P or Q at the ends of their ranges, NaN outside; not smooth there."""
    one, nothing = (1.0, 0.0) if lower else (0.0, 1.0)
    value = where((x == 0.0) | (x < a), nothing, one)
    value = where(a == float("inf"), where(x == float("inf"), float("nan"), nothing), value)
    value = where((a == 0.0) & (x == 0.0), float("nan"), value)
    undefined = (a < 0.0) | (x < 0.0) | (a != a) | (x != x)
    return where(undefined, float("nan"), value)


def _gammaincc_program(a: Any, x: Any) -> Any:
    """The regularised upper incomplete gamma function."""
    usual = (a > 0.0) & (x > 0.0) & (a < float("inf")) & (x < float("inf"))

    def inside() -> Any:
        return branch(
            x < a + 1.0,
            lambda: branch(
                (a <= 0.5) & (x <= 1.1),
                lambda: _small_complement(a, x),
                lambda: 1.0 - _gamma_series(a, x),
            ),
            lambda: _gamma_fraction(a, x),
        )

    usual = usual & ~_far(a, x)
    return branch(usual, inside, lambda: _gamma_limit(a, x, lower=False))


def _gamma_slope(t: Any, a: Any, x: Any) -> Any:
    """t·xᵃ⁻¹·e⁻ˣ/Γ(a)."""
    return t * gamma_density(a, x)


def _gamma_density_program(a: Any, x: Any) -> Any:
    """xᵃ⁻¹·e⁻ˣ/Γ(a), the derivative of the incomplete gamma function in x."""
    usual = (a > 0.0) & (x > 0.0) & (x < float("inf"))
    start = where(a == 1.0, 1.0, where(a < 1.0, float("inf"), 0.0))
    other = where((x == 0.0) & (a > 0.0), start, 0.0)
    other = where((a <= 0.0) | (x < 0.0) | (x != x) | (a != a), float("nan"), other)
    return branch(usual, lambda: a / x * poisson_density(a, x), lambda: other)


def log_beta_density(a: Any, b: Any, x: Any) -> Any:
    """log(xᵃ·(1 − x)ᵇ/B(a, b)) for 0 < x < 1."""

    def large() -> Any:
        total = a + b
        shift = x * b - a * (1.0 - x)
        first = log_less(x * total / a, shift / a)
        second = log_less((1.0 - x) * total / b, -shift / b)
        deviance = a * first + b * second
        error = stirling_error(a) + stirling_error(b) - stirling_error(total)
        return deviance - error + 0.5 * log(a / total * (b / (2 * math.pi)))

    return branch(
        minimum(a, b) >= 10.0,
        large,
        lambda: a * log(x) + b * log1p(-x) - log_beta_positive(a, b),
    )


def _beta_fraction(a: Any, b: Any, x: Any) -> Any:
    """The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8)."""
    total = a + b

    def step(m: Any, c: Any, d: Any, h: Any, change: Any) -> Any:
        even = m * (b - m) * x / ((a + (2.0 * m - 1.0)) * (a + 2.0 * m))
        d = 1.0 / _away(1.0 + even * d)
        c = _away(1.0 + even / c)
        h = h * (c * d)
        odd = -(a + m) * (total + m) * x / ((a + 2.0 * m) * (a + (2.0 * m + 1.0)))
        d = 1.0 / _away(1.0 + odd * d)
        c = _away(1.0 + odd / c)
        return m + 1.0, c, d, h * (c * d), c * d

    start = 1.0 / _away(1.0 - total * x / (a + 1.0))
    result = repeat(
        lambda m, c, d, h, change: (
            ((absolute(change - 1.0) > 1e-16) | _just_after(m, b, 40.0))
            & (m < LONGEST)
        ),
        step, 1.0, 1.0 + 0.0 * x, start, start, 2.0,
    )  # fmt: skip
    for _ in range(2):
        result = step(*result)
    return result[3]


def _betainc_inside(a: Any, b: Any, x: Any, *, lower: bool) -> Any:
    """I(a, b, x), or 1 − I, from the side on which the fraction converges fast."""
    density = exp(log_beta_density(a, b, x))

    def from_below() -> Any:
        part = density / a * _beta_fraction(a, b, x)
        return part if lower else 1.0 - part

    def from_above() -> Any:
        part = density / b * _beta_fraction(b, a, 1.0 - x)
        return 1.0 - part if lower else part

    return branch(x * (a + b + 2.0) <= a + 1.0, from_below, from_above)


def _beta_limit(a: Any, b: Any, x: Any, *, lower: bool) -> Any:
    one, nothing = (1.0, 0.0) if lower else (0.0, 1.0)
    value = where(x <= 0.0, nothing, one)
    inside = (x > 0.0) & (x < 1.0)
    value = where(inside & (a == 0.0), one, value)
    value = where(inside & (b == 0.0), nothing, value)
    undefined = (a < 0.0) | (b < 0.0) | (x < 0.0) | (x > 1.0) | (a != a) | (b != b) | (x != x)
    return where(undefined | ((a == 0.0) & (b == 0.0)), float("nan"), value)


def _betainc(a: Any, b: Any, x: Any, *, lower: bool) -> Any:
    finite = (a < float("inf")) & (b < float("inf"))
    usual = (a > 0.0) & (b > 0.0) & (x > 0.0) & (x < 1.0) & finite
    return branch(
        usual,
        lambda: _betainc_inside(a, b, x, lower=lower),
        lambda: _beta_limit(a, b, x, lower=lower),
    )


def _beta_density_program(a: Any, b: Any, x: Any) -> Any:
    """xᵃ⁻¹·(1 − x)ᵇ⁻¹/B(a, b), the derivative of the incomplete beta function in x."""
    inside = (a > 0.0) & (b > 0.0) & (x > 0.0) & (x < 1.0)
    left = where(a == 1.0, b, where(a < 1.0, float("inf"), 0.0))
    right = where(b == 1.0, a, where(b < 1.0, float("inf"), 0.0))
    edge = where(x == 0.0, left, where(x == 1.0, right, float("nan")))
    edge = where((a > 0.0) & (b > 0.0), edge, float("nan"))
    return branch(
        inside,
        lambda: exp(log_beta_density(a, b, x)) / (x * (1.0 - x)),
        lambda: edge,
    )


gamma_density: Any = program(
    of_scipy("gammainc"),
    _gamma_density_program,
    AUTOMATIC,
    AUTOMATIC,
    name="gamma_density",
    evaluate="program",
)
beta_density: Any = program(
    of_scipy("betainc"),
    _beta_density_program,
    AUTOMATIC,
    AUTOMATIC,
    AUTOMATIC,
    name="beta_density",
    evaluate="program",
)
gammainc: Any = program(
    of_scipy("gammainc"),
    _gammainc_program,
    AUTOMATIC,
    lambda t, out, a, x: _gamma_slope(t, a, x),
)
gammaincc: Any = program(
    of_scipy("gammaincc"),
    _gammaincc_program,
    AUTOMATIC,
    lambda t, out, a, x: -_gamma_slope(t, a, x),
)
betainc: Any = program(
    of_scipy("betainc"),
    lambda a, b, x: _betainc(a, b, x, lower=True),
    AUTOMATIC,
    AUTOMATIC,
    lambda t, out, a, b, x: t * beta_density(a, b, x),
)
betaincc: Any = program(
    of_scipy("betaincc"),
    lambda a, b, x: _betainc(a, b, x, lower=False),
    AUTOMATIC,
    AUTOMATIC,
    lambda t, out, a, b, x: -t * beta_density(a, b, x),
)


def _stdtr_program(df: Any, t: Any) -> Any:
    """Student's distribution function, by the incomplete beta function of the shorter way."""
    square = t * t
    near = square < df
    usual = (df > 0.0) & (df < 1e15) & (absolute(t) < float("inf"))
    half = 0.5 * where(usual, df, 1.0)
    total = 2.0 * half + square

    def inside() -> Any:
        tail = 0.5 * branch(
            near,
            lambda: _betainc(0.5 + 0.0 * t, half, square / total, lower=False),
            lambda: _betainc(half, 0.5 + 0.0 * t, 2.0 * half / total, lower=True),
        )
        return where(t < 0.0, tail, 1.0 - tail)

    def limit() -> Any:
        normal = 0.5 * erfc(-math.sqrt(0.5) * t)
        value = where(df >= 1e15, normal, where(t < 0.0, 0.0, 1.0))
        return where((df <= 0.0) | (df != df) | (t != t), float("nan"), value)

    return branch(usual, inside, limit)


def student_density(df: Any, t: Any) -> Any:
    """The density of Student's distribution, of arrays."""
    half = df.dtype.type(0.5)
    exponent = -half * (df + df.dtype.type(1)) * log1p(t * t / df)
    return exp(exponent - betaln(half * df, half)) / sqrt(df)


stdtr: Any = program(
    of_scipy("stdtr"),
    _stdtr_program,
    AUTOMATIC,
    lambda t, out, df, x: t * student_density(df, x),
)
