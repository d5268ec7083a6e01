"""Distributions on the whole line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.numpy.elementwise import where
from tracer.scipy import special
from tracer.scipy.stats.base import INFINITY, Continuous, Standard

LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)
EULER = 0.57721566490153286


def _constant(value: float) -> Any:
    return lambda *shapes: sum((0.0 * shape for shape in shapes), np.float64(value))


def log_normal_density(x: Any) -> Any:
    """log of the standard normal density."""
    return -0.5 * x * x - LOG_ROOT_TWO_PI


norm = Continuous(
    Standard(
        "norm",
        (),
        log_normal_density,
        cdf=special.ndtr,
        sf=lambda x: special.ndtr(-x),
        logcdf=special.log_ndtr,
        logsf=lambda x: special.log_ndtr(-x),
        ppf=special.ndtri,
        isf=lambda q: -special.ndtri(q),
        inside=0.0,
        mean=_constant(0.0),
        var=_constant(1.0),
        entropy=_constant(LOG_ROOT_TWO_PI + 0.5),
    )
)
laplace = Continuous(
    Standard(
        "laplace",
        (),
        lambda x: -tnp.abs(x) - math.log(2),
        cdf=lambda x: _laplace_cdf(x),
        sf=lambda x: _laplace_cdf(-x),
        ppf=lambda q: where(q > 0.5, -tnp.log(2.0 * (1.0 - q)), tnp.log(2.0 * q)),
        isf=lambda q: where(q > 0.5, tnp.log(2.0 * (1.0 - q)), -tnp.log(2.0 * q)),
        inside=0.0,
        mean=_constant(0.0),
        var=_constant(2.0),
        entropy=_constant(math.log(2) + 1.0),
    )
)


def _laplace_cdf(x: Any) -> Any:
    tail = 0.5 * tnp.exp(-tnp.abs(x))
    return where(x > 0.0, 1.0 - tail, tail)


logistic = Continuous(
    Standard(
        "logistic",
        (),
        lambda x: special.log_expit(x) + special.log_expit(-x),
        cdf=special.expit,
        sf=lambda x: special.expit(-x),
        logcdf=special.log_expit,
        logsf=lambda x: special.log_expit(-x),
        ppf=special.logit,
        isf=lambda q: -special.logit(q),
        inside=0.0,
        mean=_constant(0.0),
        var=_constant(math.pi**2 / 3),
        entropy=_constant(2.0),
    )
)
cauchy = Continuous(
    Standard(
        "cauchy",
        (),
        lambda x: -math.log(math.pi) - tnp.log1p(x * x),
        cdf=lambda x: tnp.arctan2(1.0, -x) / math.pi,
        sf=lambda x: tnp.arctan2(1.0, x) / math.pi,
        ppf=lambda q: _cauchy_quantile(q),
        isf=lambda q: -_cauchy_quantile(q),
        inside=0.0,
        mean=_constant(math.nan),
        var=_constant(math.nan),
        entropy=_constant(math.log(4 * math.pi)),
    )
)


def _cauchy_quantile(q: Any) -> Any:
    """−cot(πq), by the tangent of what is left to ½ in the middle."""
    middle = (q > 0.25) & (q < 0.75)
    tangent = tnp.tan(math.pi * (where(middle, q, 0.5) - 0.5))
    low = q < 0.5
    tail = where(middle, 0.25, where(low, q, 1.0 - q))
    outer = 1.0 / tnp.tan(math.pi * tail)
    return where(middle, tangent, where(low, -outer, outer))


gumbel_r = Continuous(
    Standard(
        "gumbel_r",
        (),
        lambda x: -x - tnp.exp(-x),
        cdf=lambda x: tnp.exp(-tnp.exp(-x)),
        sf=lambda x: -tnp.expm1(-tnp.exp(-x)),
        logcdf=lambda x: -tnp.exp(-x),
        ppf=lambda q: -tnp.log(-tnp.log(q)),
        isf=lambda q: -tnp.log(-tnp.log1p(-q)),
        inside=0.0,
        mean=_constant(EULER),
        var=_constant(math.pi**2 / 6),
        entropy=_constant(EULER + 1.0),
    )
)
gumbel_l = Continuous(
    Standard(
        "gumbel_l",
        (),
        lambda x: x - tnp.exp(x),
        cdf=lambda x: -tnp.expm1(-tnp.exp(x)),
        sf=lambda x: tnp.exp(-tnp.exp(x)),
        logsf=lambda x: -tnp.exp(x),
        ppf=lambda q: tnp.log(-tnp.log1p(-q)),
        isf=lambda q: tnp.log(-tnp.log(q)),
        inside=0.0,
        mean=_constant(-EULER),
        var=_constant(math.pi**2 / 6),
        entropy=_constant(EULER + 1.0),
    )
)


def _t_log_density(x: Any, df: Any) -> Any:
    limit = df == INFINITY
    freedom = where(limit, 1.0, df)
    value = (
        -special.betaln(0.5 * freedom, np.float64(0.5))
        - 0.5 * tnp.log(freedom)
        - 0.5 * (freedom + 1.0) * tnp.log1p(x * x / freedom)
    )
    return where(limit, log_normal_density(x), value)


t = Continuous(
    Standard(
        "t",
        ("df",),
        _t_log_density,
        cdf=lambda x, df: special.stdtr(df, x),
        sf=lambda x, df: special.stdtr(df, -x),
        ppf=lambda q, df: special.stdtrit(df, q),
        isf=lambda q, df: -special.stdtrit(df, q),
        inside=0.0,
        mean=lambda df: where(df > 1.0, 0.0 * df, INFINITY),
        var=lambda df: where(
            df > 2.0, df / where(df > 2.0, df - 2.0, 1.0), where(df > 1.0, INFINITY, np.nan)
        ),
    )
)
vonmises = Continuous(
    Standard(
        "vonmises",
        ("kappa",),
        lambda x, kappa: (
            kappa * special.cosm1(x) - math.log(2 * math.pi) - tnp.log(special.i0e(kappa))
        ),
        inside=0.0,
        valid=lambda kappa: kappa >= 0.0,
        mean=_constant(0.0),
    )
)
skewnorm = Continuous(
    Standard(
        "skewnorm",
        ("a",),
        lambda x, a: math.log(2) + log_normal_density(x) + special.log_ndtr(a * x),
        inside=0.0,
        valid=lambda a: a == a,
        mean=lambda a: math.sqrt(2 / math.pi) * a / tnp.sqrt(1.0 + a * a),
        var=lambda a: 1.0 - 2.0 / math.pi * a * a / (1.0 + a * a),
    )
)


def _log1p_ratio(z: Any) -> Any:
    """log(1 + z)/z, 1 at 0; a series near 0, so that its derivatives are right there too."""
    near = tnp.abs(z) < 0.03
    inside = where(near, z, 0.0)
    series: Any = 1.0 / 13
    for k in range(12, 0, -1):
        series = 1.0 / k - inside * series
    outside = where(near, 1.0, z)
    return where(near, series, tnp.log1p(outside) / outside)


def _genextreme_exponent(x: Any, c: Any) -> Any:
    """log of −log cdf: log(1 − cx)/c, −x for c = 0."""
    return -x * _log1p_ratio(-c * x)


def _genextreme_log_density(x: Any, c: Any) -> Any:
    edge = c * x == 1.0
    x = where(edge, 0.0, x)
    exponent = _genextreme_exponent(x, c)
    value = exponent - tnp.exp(exponent) - tnp.log1p(-c * x)
    last = where(c == 1.0, 0.0, where(c > 1.0, INFINITY, -INFINITY))
    return where(edge, last, value)


genextreme = Continuous(
    Standard(
        "genextreme",
        ("c",),
        _genextreme_log_density,
        logcdf=lambda x, c: -tnp.exp(_genextreme_exponent(x, c)),
        sf=lambda x, c: -tnp.expm1(-tnp.exp(_genextreme_exponent(x, c))),
        ppf=lambda q, c: _genextreme_quantile(-tnp.log(-tnp.log(q)), c),
        isf=lambda q, c: _genextreme_quantile(-tnp.log(-tnp.log1p(-q)), c),
        low=lambda c: where(c < 0.0, 1.0 / where(c < 0.0, c, -1.0), -INFINITY),
        high=lambda c: where(c > 0.0, 1.0 / where(c > 0.0, c, 1.0), INFINITY),
        inside=0.0,
        valid=lambda c: tnp.abs(c) < INFINITY,
    )
)


def _genextreme_quantile(x: Any, c: Any) -> Any:
    """(1 − e^(−cx))/c, x for c = 0."""
    return x * special.exprel(-c * x)


__all__ = [
    "cauchy", "genextreme", "gumbel_l", "gumbel_r", "laplace", "logistic", "norm", "skewnorm",
    "t", "vonmises",
]  # fmt: skip
