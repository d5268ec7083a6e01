"""Distributions on the positive numbers, and on intervals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.numpy.elementwise import where
from tracer.scipy import special
from tracer.scipy.stats.base import INFINITY, Continuous, Standard
from tracer.scipy.stats.continuous import LOG_ROOT_TWO_PI, _constant

LOG_TWO = math.log(2)


def _beyond(shape: Any, least: float, value: Any, otherwise: float = INFINITY) -> Any:
    """`value(shape)` where the shape exceeds `least`, which it is called with only there."""
    inside = shape > least
    return where(inside, value(where(inside, shape, least + 1.0)), otherwise)


expon = Continuous(
    Standard(
        "expon",
        (),
        lambda x: -x,
        cdf=lambda x: -tnp.expm1(-x),
        logsf=lambda x: -x,
        ppf=lambda q: -tnp.log1p(-q),
        isf=lambda q: -tnp.log(q),
        low=0.0,
        mean=_constant(1.0),
        var=_constant(1.0),
        entropy=_constant(1.0),
    )
)
uniform = Continuous(
    Standard(
        "uniform",
        (),
        lambda x: 0.0 * x,
        cdf=lambda x: x,
        ppf=lambda q: q,
        low=0.0,
        high=1.0,
        inside=0.5,
        mean=_constant(0.5),
        var=_constant(1 / 12),
        entropy=_constant(0.0),
    )
)
gamma = Continuous(
    Standard(
        "gamma",
        ("a",),
        lambda x, a: special.xlogy(a - 1.0, x) - x - special.gammaln(a),
        cdf=lambda x, a: special.gammainc(a, x),
        sf=lambda x, a: special.gammaincc(a, x),
        ppf=lambda q, a: special.gammaincinv(a, q),
        isf=lambda q, a: special.gammainccinv(a, q),
        low=0.0,
        mean=lambda a: a,
        var=lambda a: a,
        entropy=lambda a: special.digamma(a) * (1.0 - a) + a + special.gammaln(a),
    )
)
chi2 = Continuous(
    Standard(
        "chi2",
        ("df",),
        lambda x, df: (
            special.xlogy(0.5 * df - 1.0, x)
            - 0.5 * x
            - special.gammaln(0.5 * df)
            - 0.5 * LOG_TWO * df
        ),
        cdf=lambda x, df: special.gammainc(0.5 * df, 0.5 * x),
        sf=lambda x, df: special.gammaincc(0.5 * df, 0.5 * x),
        ppf=lambda q, df: 2.0 * special.gammaincinv(0.5 * df, q),
        isf=lambda q, df: 2.0 * special.gammainccinv(0.5 * df, q),
        low=0.0,
        mean=lambda df: df,
        var=lambda df: 2.0 * df,
    )
)
invgamma = Continuous(
    Standard(
        "invgamma",
        ("a",),
        lambda x, a: _at_zero(
            x, lambda y: -(a + 1.0) * tnp.log(y) - special.gammaln(a) - 1.0 / y
        ),
        cdf=lambda x, a: special.gammaincc(a, 1.0 / x),
        sf=lambda x, a: special.gammainc(a, 1.0 / x),
        ppf=lambda q, a: 1.0 / special.gammainccinv(a, q),
        isf=lambda q, a: 1.0 / special.gammaincinv(a, q),
        low=0.0,
        mean=lambda a: _beyond(a, 1.0, lambda s: 1.0 / (s - 1.0)),
        var=lambda a: _beyond(a, 2.0, lambda s: 1.0 / ((s - 1.0) * (s - 1.0) * (s - 2.0))),
    )
)


def _at_zero(x: Any, log_density: Any) -> Any:
    """A logarithm of a density that is 0 at 0, where its formula is not defined."""
    zero = x == 0.0
    return where(zero, -INFINITY, log_density(where(zero, 1.0, x)))


beta = Continuous(
    Standard(
        "beta",
        ("a", "b"),
        lambda x, a, b: (
            special.xlogy(a - 1.0, x) + special.xlog1py(b - 1.0, -x) - special.betaln(a, b)
        ),
        cdf=lambda x, a, b: special.betainc(a, b, x),
        sf=lambda x, a, b: special.betaincc(a, b, x),
        ppf=lambda q, a, b: special.betaincinv(a, b, q),
        low=0.0,
        high=1.0,
        inside=0.5,
        mean=lambda a, b: a / (a + b),
        var=lambda a, b: a * b / ((a + b) * (a + b) * (a + b + 1.0)),
        entropy=lambda a, b: (
            special.betaln(a, b)
            - (a - 1.0) * special.digamma(a)
            - (b - 1.0) * special.digamma(b)
            + (a + b - 2.0) * special.digamma(a + b)
        ),
    )
)
f = Continuous(
    Standard(
        "f",
        ("dfn", "dfd"),
        lambda x, n, d: (
            0.5 * n * tnp.log(n)
            + 0.5 * d * tnp.log(d)
            + special.xlogy(0.5 * n - 1.0, x)
            - 0.5 * (n + d) * tnp.log(d + n * x)
            - special.betaln(0.5 * n, 0.5 * d)
        ),
        cdf=lambda x, n, d: special.betaincc(0.5 * d, 0.5 * n, d / (d + n * x)),
        sf=lambda x, n, d: special.betainc(0.5 * d, 0.5 * n, d / (d + n * x)),
        ppf=lambda q, n, d: _f_quantile(q, 1.0 - q, n, d),
        isf=lambda q, n, d: _f_quantile(1.0 - q, q, n, d),
        low=0.0,
        mean=lambda n, d: _beyond(d, 2.0, lambda s: s / (s - 2.0)) + 0.0 * n,
        var=lambda n, d: _beyond(
            d,
            4.0,
            lambda s: 2.0 * s * s * (n + s - 2.0) / (n * (s - 2.0) * (s - 2.0) * (s - 4.0)),
        ),
    )
)
def _f_quantile(p: Any, q: Any, n: Any, d: Any) -> Any:
    """The x with cdf p and survival q, by the smaller one."""
    lower = p < q
    small = where(lower, p, q)
    first, second = where(lower, 0.5 * n, 0.5 * d), where(lower, 0.5 * d, 0.5 * n)
    share = special.betaincinv(first, second, small)
    odds = where(lower, share / (1.0 - share), (1.0 - share) / share)
    return odds * d / n


lognorm = Continuous(
    Standard(
        "lognorm",
        ("s",),
        lambda x, s: _at_zero(x, lambda y: _lognorm_log_density(y, s)),
        cdf=lambda x, s: special.ndtr(tnp.log(x) / s),
        sf=lambda x, s: special.ndtr(-tnp.log(x) / s),
        logcdf=lambda x, s: special.log_ndtr(tnp.log(x) / s),
        logsf=lambda x, s: special.log_ndtr(-tnp.log(x) / s),
        ppf=lambda q, s: tnp.exp(s * special.ndtri(q)),
        isf=lambda q, s: tnp.exp(-s * special.ndtri(q)),
        low=0.0,
        mean=lambda s: tnp.exp(0.5 * s * s),
        var=lambda s: tnp.expm1(s * s) * tnp.exp(s * s),
        entropy=lambda s: 0.5 + LOG_ROOT_TWO_PI + tnp.log(s),
    )
)


def _lognorm_log_density(x: Any, s: Any) -> Any:
    z = tnp.log(x) / s
    return -0.5 * z * z - tnp.log(s * x) - LOG_ROOT_TWO_PI


pareto = Continuous(
    Standard(
        "pareto",
        ("b",),
        lambda x, b: tnp.log(b) - (b + 1.0) * tnp.log(x),
        cdf=lambda x, b: -tnp.expm1(-b * tnp.log(x)),
        logsf=lambda x, b: -b * tnp.log(x),
        ppf=lambda q, b: tnp.exp(-tnp.log1p(-q) / b),
        isf=lambda q, b: tnp.exp(-tnp.log(q) / b),
        low=1.0,
        inside=2.0,
        mean=lambda b: _beyond(b, 1.0, lambda s: s / (s - 1.0)),
        var=lambda b: _beyond(b, 2.0, lambda s: s / ((s - 2.0) * (s - 1.0) * (s - 1.0))),
    )
)
weibull_min = Continuous(
    Standard(
        "weibull_min",
        ("c",),
        lambda x, c: tnp.log(c) + special.xlogy(c - 1.0, x) - x**c,
        cdf=lambda x, c: -tnp.expm1(-(x**c)),
        logsf=lambda x, c: -(x**c),
        ppf=lambda q, c: (-tnp.log1p(-q)) ** (1.0 / c),
        isf=lambda q, c: (-tnp.log(q)) ** (1.0 / c),
        low=0.0,
        mean=lambda c: special.gamma(1.0 + 1.0 / c),
        var=lambda c: special.gamma(1.0 + 2.0 / c) - special.gamma(1.0 + 1.0 / c) ** 2,
    )
)
rayleigh = Continuous(
    Standard(
        "rayleigh",
        (),
        lambda x: tnp.log(x) - 0.5 * x * x,
        cdf=lambda x: -tnp.expm1(-0.5 * x * x),
        logsf=lambda x: -0.5 * x * x,
        ppf=lambda q: tnp.sqrt(-2.0 * tnp.log1p(-q)),
        isf=lambda q: tnp.sqrt(-2.0 * tnp.log(q)),
        low=0.0,
        mean=_constant(math.sqrt(math.pi / 2)),
        var=_constant(2 - math.pi / 2),
    )
)
maxwell = Continuous(
    Standard(
        "maxwell",
        (),
        lambda x: 0.5 * math.log(2 / math.pi) + 2.0 * tnp.log(x) - 0.5 * x * x,
        cdf=lambda x: special.gammainc(np.float64(1.5), 0.5 * x * x),
        sf=lambda x: special.gammaincc(np.float64(1.5), 0.5 * x * x),
        ppf=lambda q: tnp.sqrt(2.0 * special.gammaincinv(np.float64(1.5), q)),
        isf=lambda q: tnp.sqrt(2.0 * special.gammainccinv(np.float64(1.5), q)),
        low=0.0,
        mean=_constant(2 * math.sqrt(2 / math.pi)),
        var=_constant(3 - 8 / math.pi),
    )
)
halfnorm = Continuous(
    Standard(
        "halfnorm",
        (),
        lambda x: 0.5 * math.log(2 / math.pi) - 0.5 * x * x,
        cdf=lambda x: special.erf(x * math.sqrt(0.5)),
        sf=lambda x: 2.0 * special.ndtr(-x),
        logsf=lambda x: LOG_TWO + special.log_ndtr(-x),
        ppf=lambda q: math.sqrt(2) * special.erfinv(q),
        isf=lambda q: math.sqrt(2) * special.erfcinv(q),
        low=0.0,
        mean=_constant(math.sqrt(2 / math.pi)),
        var=_constant(1 - 2 / math.pi),
        entropy=_constant(0.5 * math.log(math.pi / 2) + 0.5),
    )
)
loglaplace = Continuous(
    Standard(
        "loglaplace",
        ("c",),
        lambda x, c: (
            tnp.log(0.5 * c) + special.xlogy(where(x < 1.0, c - 1.0, -c - 1.0), x)
        ),
        cdf=lambda x, c: _loglaplace_cdf(x, c),
        sf=lambda x, c: _loglaplace_cdf(1.0 / x, c),
        ppf=lambda q, c: _loglaplace_quantile(q, c),
        isf=lambda q, c: 1.0 / _loglaplace_quantile(q, c),
        low=0.0,
        mean=lambda c: _beyond(c, 1.0, lambda s: s * s / (s * s - 1.0)),
    )
)


def _loglaplace_quantile(q: Any, c: Any) -> Any:
    return where(q < 0.5, 2.0 * q, 1.0 / (2.0 * (1.0 - q))) ** (1.0 / c)


def _loglaplace_cdf(x: Any, c: Any) -> Any:
    low = x < 1.0
    tail = 0.5 * where(low, x, 1.0 / x) ** c
    return where(low, tail, 1.0 - tail)


def _invgauss_tail(x: Any, mu: Any) -> Any:
    """e^(2/μ)·Φ(−(x/μ + 1)/√x)."""
    return tnp.exp(2.0 / mu + special.log_ndtr(-(x / mu + 1.0) / tnp.sqrt(x)))


invgauss = Continuous(
    Standard(
        "invgauss",
        ("mu",),
        lambda x, mu: _at_zero(
            x,
            lambda y: (
                -LOG_ROOT_TWO_PI - 1.5 * tnp.log(y) - ((y - mu) / mu) ** 2 / (2.0 * y)
            ),
        ),
        cdf=lambda x, mu: special.ndtr((x / mu - 1.0) / tnp.sqrt(x)) + _invgauss_tail(x, mu),
        sf=lambda x, mu: special.ndtr(-(x / mu - 1.0) / tnp.sqrt(x)) - _invgauss_tail(x, mu),
        low=0.0,
        mean=lambda mu: mu,
        var=lambda mu: mu**3,
    )
)


def _triang_log_density(x: Any, c: Any) -> Any:
    rising = x < c
    up = where(rising, x, 1.0) / where(rising & (c > 0.0), c, 1.0)
    down = where(rising, 1.0, 1.0 - x) / where(~rising & (c < 1.0), 1.0 - c, 1.0)
    down = where(~rising & (c == 1.0), 1.0, down)
    return LOG_TWO + tnp.log(where(rising, up, down))


def _triang_cdf(x: Any, c: Any) -> Any:
    rising = x < c
    up = x * x / where(c > 0.0, c, 1.0)
    down = 1.0 - (1.0 - x) * (1.0 - x) / where(c < 1.0, 1.0 - c, 1.0)
    return where(rising, up, down)


triang = Continuous(
    Standard(
        "triang",
        ("c",),
        _triang_log_density,
        cdf=_triang_cdf,
        ppf=lambda q, c: where(
            q < c, tnp.sqrt(c * q), 1.0 - tnp.sqrt((1.0 - c) * (1.0 - q))
        ),
        low=0.0,
        high=1.0,
        inside=0.5,
        valid=lambda c: (c >= 0.0) & (c <= 1.0),
        mean=lambda c: (1.0 + c) / 3.0,
        var=lambda c: (1.0 - c + c * c) / 18.0,
        entropy=lambda c: 0.5 - LOG_TWO + 0.0 * c,
    )
)


def _log_mass(a: Any, b: Any) -> Any:
    """log(Φ(b) − Φ(a)), from the side on which both tails are small."""
    right = a > 0.0
    low, high = where(right, -b, a), where(right, -a, b)
    left = high <= 0.0
    small = where(left, special.log_ndtr(low) - special.log_ndtr(high), -1.0)
    outer = special.log_ndtr(high) + tnp.log(-tnp.expm1(small))
    inner = tnp.log1p(-special.ndtr(low) - special.ndtr(-high))
    return where(left, outer, where(left, 0.0, inner))


def _truncnorm_quantile(q: Any, a: Any, b: Any) -> Any:
    """The quantile, through the tail in which the interval lies."""
    right = a > 0.0
    near, far = special.ndtr(where(right, -a, a)), special.ndtr(where(right, -b, b))
    value = special.ndtri(near + q * (far - near))
    return tnp.minimum(tnp.maximum(where(right, -value, value), a), b)


truncnorm = Continuous(
    Standard(
        "truncnorm",
        ("a", "b"),
        lambda x, a, b: -0.5 * x * x - LOG_ROOT_TWO_PI - _log_mass(a, b),
        logcdf=lambda x, a, b: _log_mass(a, x) - _log_mass(a, b),
        logsf=lambda x, a, b: _log_mass(x, b) - _log_mass(a, b),
        ppf=lambda q, a, b: _truncnorm_quantile(q, a, b),
        isf=lambda q, a, b: -_truncnorm_quantile(q, -b, -a),
        low=lambda a, b: a,
        high=lambda a, b: b,
        inside=lambda a, b: tnp.minimum(tnp.maximum(a, 0.0), b),
        valid=lambda a, b: a < b,
    )
)

__all__ = [
    "beta", "chi2", "expon", "f", "gamma", "halfnorm", "invgamma", "invgauss", "loglaplace",
    "lognorm", "maxwell", "pareto", "rayleigh", "triang", "truncnorm", "uniform", "weibull_min",
]  # fmt: skip
