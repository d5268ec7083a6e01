"""Exponential integrals, the dilogarithm, Lambert's W, Kummer's function, and (eˣ − 1)/x."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.late import LateUfunc
from tracer.primitives.arithmetic import absolute, floor, log, sqrt
from tracer.primitives.comparison import equal, select
from tracer.primitives.programs import AUTOMATIC, Program, of_scipy, program
from tracer.primitives.special.common import (
    NEGLIGIBLE,
    TINY,
    branch,
    horner,
    repeat,
    times,
    where,
)
from tracer.primitives.transcendental import digamma, exp, expm1, gammaln, log1p

EULER = 0.57721566490153286


def _exp1_series(x: Any) -> Any:
    """−γ − log x − Σ (−x)ᵏ/(k·k!) for x ≤ 1 (Abramowitz and Stegun 5.1.11)."""
    terms = [-((-1.0) ** k) / (k * math.factorial(k)) for k in range(1, 20)]
    return x * horner(x, terms) - (EULER + log(x))


def _exponential_fraction(n: Any, x: Any) -> Any:
    """Eₙ(x) for x > 1 as a continued fraction (5.1.22), by Lentz's method."""
    first = x + n

    def step(k: Any, b: Any, c: Any, d: Any, h: Any, change: Any) -> Any:
        factor = -k * (n - 1.0 + k)
        b = b + 2.0
        d = 1.0 / (factor * d + b)
        c = b + factor / c
        return k + 1.0, b, c, d, h * (c * d), c * d

    start = 1.0 / first
    result = repeat(
        lambda k, b, c, d, h, change: (absolute(change - 1.0) > 1e-16) & (k < 500.0),
        step, 1.0, first, 1.0 / TINY, start, start, 2.0,
    )  # fmt: skip
    return result[4] * exp(-x)


def _exp1_program(x: Any) -> Any:
    """E₁(x) = ∫ₓ^∞ e⁻ᵗ/t dt."""
    value = branch(
        (x > 1.0) & (x < 750.0),
        lambda: _exponential_fraction(1.0, x),
        lambda: where(x > 0.0, _exp1_series(where((x > 0.0) & (x <= 1.0), x, 1.0)), float("inf")),
    )
    value = where(x >= 750.0, 0.0, value)
    return where((x < 0.0) | (x != x), float("nan"), value)


def _expi_program(x: Any) -> Any:
    """Ei(x) = ∫₋∞ˣ eᵗ/t dt; −E₁(−x) below 0."""

    def series() -> Any:
        def step(k: Any, term: Any, total: Any) -> Any:
            term = term * (x / k)
            return k + 1.0, term, total + term / k

        _, _, total = repeat(
            lambda k, term, total: term > total * NEGLIGIBLE, step, 1.0, 1.0, 0.0 * x
        )
        return total + (EULER + log(x))

    def asymptotic() -> Any:
        def step(k: Any, term: Any, total: Any) -> Any:
            term = term * (k / x)
            return k + 1.0, term, total + term

        _, _, total = repeat(
            lambda k, term, total: (term > NEGLIGIBLE) & (k < x), step, 1.0, 1.0, 1.0
        )
        return exp(x) * (total / x)

    positive = branch(
        (x > 0.0) & (x <= 40.0),
        series,
        lambda: branch((x > 40.0) & (x < 1e4), asymptotic, lambda: where(x > 0.0, x, 0.0)),
    )
    positive = where(x >= 1e4, float("inf"), positive)
    value = branch(x < 0.0, lambda: -_exp1_program(-x), lambda: positive)
    value = where(x == 0.0, float("-inf"), value)
    return where(x != x, x, value)


def _expn_small(n: Any, x: Any) -> Any:
    """Eₙ(x) for n ≥ 1, 0 < x ≤ 1 (5.1.12)."""
    top = n - 1.0

    def step(k: Any, term: Any, total: Any) -> Any:
        term = term * (-x / k)
        skipped = k == top
        part = where(skipped, 0.0, term / where(skipped, 1.0, top - k))
        return k + 1.0, term, total + part

    start = where(top == 0.0, 0.0, 1.0 / where(top == 0.0, 1.0, top))
    _, _, total = repeat(
        lambda k, term, total: (k <= top + 1.0) | (k < 25.0), step, 1.0, 1.0, start
    )
    sign = where(floor(top * 0.5) * 2.0 == top, 1.0, -1.0)
    power = exp(top * log(x) - gammaln(n))
    return sign * power * (digamma(n) - log(x)) + total


def _expn_program(n: Any, x: Any) -> Any:
    """Eₙ(x) = ∫₁^∞ e⁻ˣᵗ/tⁿ dt for whole n ≥ 0."""
    usual = (n >= 1.0) & (x > 0.0) & (x < 750.0)

    def inside() -> Any:
        return branch(
            (x > 1.0) | (n > 100.0),
            lambda: _exponential_fraction(n, x),
            lambda: _expn_small(n, x),
        )

    edge = where(n > 1.0, 1.0 / where(n > 1.0, n - 1.0, 1.0), float("inf"))
    other = where(x == 0.0, edge, where(n == 0.0, exp(-x) / x, 0.0))
    value = branch(usual, inside, lambda: other)
    value = where(x >= 750.0, 0.0, value)
    undefined = (n < 0.0) | (x < 0.0) | (n != n) | (x != x) | (floor(n) != n)
    return where(undefined, float("nan"), value)


# B₂ₖ/(2k + 1)!, k = 1 … 10.
_BERNOULLI = (
    1 / 36, -1 / 3600, 1 / 211680, -1 / 10886400, 1 / 526901760,
    -691 / 16999766784000, 1 / 1120863744000, -3617 / 181400588328960000,
    43867 / 97072790126247936000, -174611 / 16860010916664115200000,
)  # fmt: skip


def _dilogarithm(u: Any) -> Any:
    """Li₂(1 − e⁻ᵘ) for |u| ≤ log 2 (Debye's expansion)."""
    return u + u * u * (u * horner(u * u, _BERNOULLI) - 0.25)


def _spence_program(z: Any) -> Any:
    """∫₁ᶻ log t/(1 − t) dt = Li₂(1 − z), folded to ½ ≤ z ≤ 2.

    Li₂(1 − z) = −½·log²z − Li₂(1 − 1/z), and = π²/6 − log z·log(1 − z) − Li₂(z).
    """
    high = z > 2.0
    inside = where(high, 1.0 / where(high, z, 1.0), where(z > 0.0, z, 1.0))
    low = inside < 0.5
    rest = where(low, inside, 0.25)
    logarithm = log(rest)
    below = math.pi**2 / 6 - logarithm * log1p(-rest) - _dilogarithm(-log1p(-rest))
    middle = _dilogarithm(-log(where(low, 1.0, inside)))
    value = where(low, below, middle)
    size = log(where(high, z, 1.0))
    value = where(high, -0.5 * size * size - value, value)
    value = where(z == 0.0, math.pi**2 / 6, value)
    value = where(z == float("inf"), float("nan"), value)  # as SciPy
    return where((z < 0.0) | (z != z), float("nan"), value + 0.0)


def _exprel_program(x: Any) -> Any:
    """(eˣ − 1)/x, 1 at 0."""
    terms = [1.0 / math.factorial(k + 1) for k in range(18)]
    return branch(absolute(x) < 0.5, lambda: horner(x, terms), lambda: _quotient(x))


def _quotient(x: Any) -> Any:
    return where(x == float("inf"), x, expm1(x) / x)


# W = −1 + p − p²/3 + …, p = ±√(2·(e·x + 1)) (R. Corless et al., On the Lambert W function, 4.22).
_BRANCH_POINT = (
    -1.0, 1.0, -1 / 3, 11 / 72, -43 / 540, 769 / 17280, -221 / 8505, 680863 / 43545600,
    -1963 / 204120,
)  # fmt: skip
# e in two parts, so that e·x + 1 keeps its digits near −1/e.
_E_HIGH, _E_LOW = math.e, 1.4456468917292502e-16


def _lambertw(x: Any, *, lower: bool) -> Any:
    """The real W(x) for x ≥ −1/e, by Halley's method; with `lower` the branch below −1."""
    rest = x * _E_HIGH + 1.0 + x * _E_LOW
    root = sqrt(where(rest > 0.0, rest + rest, 0.0))
    p = -root if lower else root
    near = horner(p, _BRANCH_POINT)
    if lower:
        small = (x < 0.0) & (x > -0.25)
        logarithm = log(where(small, -x, 0.1))
        other = log(-logarithm)
        far = logarithm - other + other / logarithm
        start = where(small, far, near)
        defined = (rest >= 0.0) & (x < 0.0)
    else:
        positive = where(x > 0.0, x, 1.0)
        logarithm = log1p(positive)
        far = logarithm * (1.0 - log1p(logarithm) / (2.0 + logarithm))
        start = where(x < 0.3, where(x < -0.2, near, x / (1.0 + x)), far)
        defined = (rest >= 0.0) & (x < float("inf"))

    def logarithmic(k: Any, w: Any) -> tuple[Any]:
        """Newton's method for w + log(−w) = log(−x), where eʷ is out of range."""
        return (w - (w + log(-w) - logarithm) / (1.0 + 1.0 / w),)

    def step(k: Any, w: Any) -> tuple[Any]:
        error = w - x * exp(-w)  # that of w·eʷ = x over eʷ, which may overflow
        more = w + 1.0
        change = error / (more - (w + 2.0) * error / (more + more))
        return (w - change,)

    def solved() -> Any:
        if not lower:
            return times(6, step, start)[0]
        return branch(
            x > -0.1, lambda: times(5, logarithmic, start)[0], lambda: times(6, step, start)[0]
        )

    value = branch(defined & (root > 0.02), solved, lambda: near)
    # The value of x that rounds −1/e counts as the branch point.
    defined = defined | ((rest < 0.0) & (rest > -1e-16))
    value = where(defined, value, float("nan"))
    if lower:
        return where(x == 0.0, float("-inf"), value)
    return where(x == float("inf"), x, where(x == 0.0, x, value))


def _kummer_series(a: Any, b: Any, x: Any) -> Any:
    """Σ (a)ₖ/(b)ₖ·xᵏ/k! (13.1.2)."""

    def step(k: Any, term: Any, total: Any) -> Any:
        term = term * ((a + k) * x / ((b + k) * (k + 1.0)))
        return k + 1.0, term, total + term

    start = 1.0 + 0.0 * x
    _, _, total = repeat(
        # Where a is 0, −1, … the series ends, but its derivative in a does not.
        lambda k, term, total: (
            ((absolute(term) > absolute(total) * NEGLIGIBLE) | (k < 40.0 + absolute(x) - a))
            & (k < 5000.0)
        ),
        step, 0.0, start, start,
    )  # fmt: skip
    return total


def _hyp1f1_program(a: Any, b: Any, x: Any) -> Any:
    """M(a, b, x); below 0 by Kummer's transformation, M(a, b, x) = eˣ·M(b − a, b, −x)."""
    return branch(
        (x < 0.0) & (b - a > 0.0),
        lambda: exp(x) * _kummer_series(b - a, b, -x),
        lambda: _kummer_series(a, b, x),
    )


# B₂ₖ/(2k)!, k = 1 … 10.
_EULER_MACLAURIN = (
    1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
    1 / 74724249600, -3617 / 10670622842880000, 43867 / 5109094217170944000,
    -174611 / 802857662698291200000,
)  # fmt: skip


def _zeta_program(s: Any, q: Any) -> Any:
    """Σ (q + k)⁻ˢ for s > 1, q > 0, by the formula of Euler and Maclaurin (23.2.9)."""

    def step(w: Any, total: Any) -> Any:
        return w + 1.0, total + exp(-s * log(w))

    w, total = repeat(lambda w, total: w < 10.0 + s, step, q, 0.0 * q)
    last = exp(-s * log(w))
    inverse = 1.0 / w
    square = inverse * inverse
    factor = s * inverse
    total = total + last * (w / (s - 1.0) + 0.5)
    for k, coefficient in enumerate(_EULER_MACLAURIN):
        total = total + last * factor * coefficient
        factor = factor * ((s + (2.0 * k + 1.0)) * (s + (2.0 * k + 2.0)) * square)
    return where((s > 1.0) & (q > 0.0), total, float("nan"))


def _riemann_zeta_program(s: Any) -> Any:
    """ζ(s): by Euler and Maclaurin's formula from 0 on, below by reflection (23.2.6)."""
    from tracer.primitives.special.common import sine_of_half_turns

    low = s < 0.0
    inside = where(low, 1.0 - s, where(s == 1.0, 2.0, s))

    def step(k: Any, total: Any) -> tuple[Any]:
        return (total + exp(-inside * log(k + 1.0)),)

    (total,) = times(15, step, 0.0 * s)
    last = exp(-inside * math.log(16.0))
    total = total + last * (16.0 / (inside - 1.0) + 0.5)
    factor = inside / 16.0
    for k, coefficient in enumerate(_EULER_MACLAURIN):
        total = total + last * factor * coefficient
        factor = factor * ((inside + (2.0 * k + 1.0)) * (inside + (2.0 * k + 2.0)) / 256.0)
    total = where(inside > 60.0, 1.0, total)
    size = where(low, inside, 1.0)
    scale = exp(gammaln(size) - size * math.log(2 * math.pi))
    value = where(low, 2.0 * scale * sine_of_half_turns(0.5 * s) * total, total)
    return where(s == 1.0, float("inf"), value)


def _one(x: Any) -> Any:
    return x.dtype.type(1)


def _spence_slope(t: Any, out: Any, z: Any) -> Any:
    """log z/(1 − z), −1 at 1."""
    one = _one(z)
    at_one = equal(z, one)
    return t * select(at_one, -one, log(z) / select(at_one, one, one - z))


def _expn_slope(t: Any, out: Any, n: Any, x: Any) -> Any:
    """−Eₙ₋₁(x), where E₋₁(x) = e⁻ˣ·(1 + x)/x²."""
    zero = equal(n, n.dtype.type(0))
    first = exp(-x) * (_one(x) + x) / (x * x)
    below = expn(select(zero, n, n - n.dtype.type(1)), x)
    return -t * select(zero, first, below)


def _w_slope(t: Any, out: Any, x: Any) -> Any:
    return t * (exp(-out) / (out + _one(x)))


def _branch_of_w(branch_number: int) -> Any:
    def evaluate(x: Any) -> Any:
        with np.errstate(all="ignore"):
            value = of_scipy("lambertw")(x, branch_number)
            real = np.where(value.imag == 0, value.real, np.nan)
            return np.asarray(real, x.dtype)[()]

    return evaluate


Program("zeta", 2, _zeta_program)
riemann_zeta: Any = program(
    of_scipy("exprel"),
    _riemann_zeta_program,
    AUTOMATIC,
    name="riemann_zeta",
    evaluate=LateUfunc("scipy.special._ufuncs", "_riemann_zeta"),
)
exp1: Any = program(
    of_scipy("exp1"), _exp1_program, lambda t, out, x: -t * (exp(-x) / x)
)
expi: Any = program(of_scipy("expi"), _expi_program, lambda t, out, x: t * (exp(x) / x))
expn: Any = program(of_scipy("expn"), _expn_program, None, _expn_slope)
spence: Any = program(of_scipy("spence"), _spence_program, _spence_slope)
exprel: Any = program(of_scipy("exprel"), _exprel_program, AUTOMATIC)
hyp1f1: Any = program(
    of_scipy("hyp1f1"),
    _hyp1f1_program,
    AUTOMATIC,
    AUTOMATIC,
    lambda t, out, a, b, x: t * (a / b * hyp1f1(a + _one(a), b + _one(b), x)),
)
lambertw_upper: Any = program(
    of_scipy("exprel"),
    lambda x: _lambertw(x, lower=False),
    _w_slope,
    name="lambertw",
    evaluate=_branch_of_w(0),
)
lambertw_lower: Any = program(
    of_scipy("exprel"),
    lambda x: _lambertw(x, lower=True),
    _w_slope,
    name="lambertw_lower",
    evaluate=_branch_of_w(-1),
)
