"""Universal functions of `scipy.special` that are composed of NumPy's and of primitives."""

from __future__ import annotations

import math
from typing import Any

from tracer.primitives import arithmetic, transcendental
from tracer.primitives.arithmetic import absolute, floor, power, rint, sqrt
from tracer.primitives.comparison import (
    equal,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    select,
)
from tracer.primitives.special import integrals
from tracer.primitives.transcendental import erfc, log1p, sin
from tracer.scipy.special.wrap import composed

log: Any = arithmetic.log


def _number(x: Any, value: float) -> Any:
    return x.dtype.type(value)


def _chosen(condition: Any, x: Any, y: Any) -> Any:
    """`select` with Python numbers in the dtype of the other side."""
    dtype = x.dtype if hasattr(x, "dtype") else y.dtype
    return select(condition, *[dtype.type(v) if isinstance(v, float) else v for v in (x, y)])


@composed("logit")
def logit(x: Any) -> Any:
    """log(x/(1 − x)); near ½ by log1p, which keeps its digits there."""
    middle = greater_equal(x, _number(x, 0.3)) & less(x, _number(x, 0.65))
    inside = _chosen(middle, x, 0.5)
    shift = (inside - _number(x, 0.5)) * _number(x, 2)
    outside = _chosen(middle, 0.5, x)
    return select(middle, log1p(shift) - log1p(-shift), log(outside) - log1p(-outside))


@composed("ndtr")
def ndtr(x: Any) -> Any:
    """Φ(x), the normal distribution function."""
    return erfc(x * _number(x, -math.sqrt(0.5))) * _number(x, 0.5)


@composed("exp2")
def exp2(x: Any) -> Any:
    """2ˣ."""
    return transcendental.exp2(x)


@composed("exp10")
def exp10(x: Any) -> Any:
    """10ˣ."""
    return power(_number(x, 10), x)


@composed("expm1")
def expm1(x: Any) -> Any:
    """eˣ − 1."""
    return transcendental.expm1(x)


@composed("log1p")
def log_one_plus(x: Any) -> Any:
    """log(1 + x)."""
    return log1p(x)


@composed("cbrt")
def cbrt(x: Any) -> Any:
    """The cube root."""
    return arithmetic.cbrt(x)


@composed("cosm1")
def cosm1(x: Any) -> Any:
    """cos(x) − 1 = −2·sin²(x/2)."""
    half = sin(x * _number(x, 0.5))
    return half * half * _number(x, -2)


@composed("powm1")
def powm1(x: Any, y: Any) -> Any:
    """xʸ − 1."""
    positive = greater(x, _number(x, 0))
    exponent = y * log(_chosen(positive, x, 1.0))
    near = positive & less(absolute(exponent), _number(x, 0.5))
    small = transcendental.expm1(_chosen(near, exponent, 0.0))
    base = _chosen(near, 1.0, x)
    return select(near, small, power(base, y) - _number(x, 1))


@composed("huber")
def huber(delta: Any, r: Any) -> Any:
    """r²/2 up to |r| = δ, straight beyond; ∞ for δ < 0."""
    size = absolute(r)
    inside = less_equal(size, delta)
    slope = _chosen(inside, 1.0, delta)
    half = _number(r, 0.5)
    value = select(inside, r * r * half, slope * (size - slope * half))
    value = _chosen(less(delta, _number(r, 0)), math.inf, value)
    return _chosen(isnan(delta) | isnan(r), math.nan, value)


@composed("pseudo_huber")
def pseudo_huber(delta: Any, r: Any) -> Any:
    """δ²·(√(1 + (r/δ)²) − 1), without its cancellation; ∞ for δ < 0."""
    zero = equal(delta, _number(delta, 0))
    ratio = r / _chosen(zero, 1.0, delta)
    one = _number(r, 1)
    value = r * r / (sqrt(one + ratio * ratio) + one)
    value = _chosen(zero, 0.0, value)
    return _chosen(less(delta, _number(r, 0)), math.inf, value)


def _power_transform(logarithm: Any, exponent: Any) -> Any:
    """(e^(λL) − 1)/λ, L where λ is 0."""
    lowest = equal(logarithm, _number(logarithm, -math.inf))
    inside = _chosen(lowest, 0.0, logarithm)
    value = inside * integrals.exprel(exponent * inside)
    positive = greater(exponent, _number(exponent, 0))
    edge = _chosen(positive, -_number(exponent, 1) / _chosen(positive, exponent, 1.0), -math.inf)
    return select(lowest, edge, value)


@composed("boxcox")
def boxcox(x: Any, lmbda: Any) -> Any:
    """(x^λ − 1)/λ, log x where λ is 0."""
    return _power_transform(log(x), lmbda)


@composed("boxcox1p")
def boxcox1p(x: Any, lmbda: Any) -> Any:
    """((1 + x)^λ − 1)/λ, log(1 + x) where λ is 0."""
    return _power_transform(log1p(x), lmbda)


@composed("gammasgn")
def gammasgn(x: Any) -> Any:
    """The sign of Γ(x); NaN at its poles below 0, the sign of x at 0."""
    whole = floor(x)
    half = whole * _number(x, 0.5)
    even = equal(floor(half), half)
    below = _chosen(even, _number(x, 1), -1.0)
    below = _chosen(equal(whole, x), math.nan, below)
    value = _chosen(less(x, _number(x, 0)), below, 1.0)
    value = select(equal(x, _number(x, 0)), arithmetic.copysign(_number(x, 1), x), value)
    return _chosen(isnan(x), math.nan, value)


def _sine_of_quarters(x: Any, quarter: float) -> Any:
    """sin(x + quarter·90°) of degrees; 0 beyond 10¹⁴, as in SciPy."""
    beyond = greater(absolute(x), _number(x, 1e14))
    x = _chosen(beyond, 0.0, x)
    turns = rint(x / _number(x, 90))
    rest = (x - turns * _number(x, 90)) * _number(x, math.pi / 180)
    place = arithmetic.remainder(turns + _number(x, quarter), _number(x, 4))
    odd = equal(place, _number(x, 1)) | equal(place, _number(x, 3))
    value = select(odd, transcendental.cos(rest), sin(rest))
    value = select(greater_equal(place, _number(x, 2)), -value, value)
    return _chosen(beyond, 0.0, value)


def _quotient_of_quarters(x: Any, first: int, second: int) -> Any:
    beyond = greater(absolute(x), _number(x, 1e14))
    divisor = _chosen(beyond, 1.0, _sine_of_quarters(x, second))
    return _sine_of_quarters(x, first) / divisor


@composed("sindg")
def sindg(x: Any) -> Any:
    """The sine of degrees."""
    return _sine_of_quarters(x, 0)


@composed("cosdg")
def cosdg(x: Any) -> Any:
    """The cosine of degrees."""
    return _sine_of_quarters(x, 1)


@composed("tandg")
def tandg(x: Any) -> Any:
    """The tangent of degrees."""
    return _quotient_of_quarters(x, 0, 1)


@composed("cotdg")
def cotdg(x: Any) -> Any:
    """The cotangent of degrees."""
    return _quotient_of_quarters(x, 1, 0)


@composed("radian")
def radian(degrees: Any, minutes: Any, seconds: Any) -> Any:
    """Degrees, minutes and seconds as radians."""
    total = degrees + minutes / _number(degrees, 60) + seconds / _number(degrees, 3600)
    return total * _number(degrees, math.pi / 180)


__all__ = [
    "boxcox", "boxcox1p", "cbrt", "cosdg", "cosm1", "cotdg", "exp10", "exp2", "expm1", "gammasgn",
    "huber", "log_one_plus", "logit", "ndtr", "powm1", "pseudo_huber", "radian", "sindg",
    "tandg",
]  # fmt: skip
