"""What the functions should give: mpmath's values, and NumPy's where there is no number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath  # type: ignore[import-untyped,unused-ignore]
import numpy as np
from mpmath import mp

Real = Any  # mpmath's number type, which has no annotations
Ranges = tuple[tuple[float, float], ...]

# Enough for results that come out of a cancellation between two doubles.
PRECISION = 240


@dataclass(frozen=True, slots=True)
class Reference:
    """The exact function, its limits, and the intervals from which to draw arguments.

    `limit(*scalars)` answers where an operand is not finite or `exact` has a pole or a zero, and
    everywhere where `exact` is None: functions that NumPy defines by what it computes. Each
    entry of `ranges` holds one interval an operand, which is drawn from uniformly.
    Where a result comes out of a cancellation that the function cannot avoid, errors count in
    units in the last place of `scale`, if that is larger than the result.
    """

    exact: Callable[..., Real] | None
    limit: Callable[..., float]
    ranges: tuple[Ranges, ...]
    scale: Callable[..., Real] | None = None
    extra: tuple[float, ...] = ()

    def value(self, dtype: str, *operands: float) -> Real | float:
        """The exact result, an mpmath number; or a float: zero, infinity, NaN, NumPy's own."""
        exact = self.exact
        if exact is not None and all(math.isfinite(operand) for operand in operands):
            with mp.workprec(PRECISION):
                try:
                    result = exact(*map(mpmath.mpf, operands))
                except (ValueError, ZeroDivisionError):
                    result = None
                if result is not None and mpmath.isfinite(result) and result != 0:
                    return result
        with np.errstate(all="ignore"):
            return float(self.limit(*map(np.dtype(dtype).type, operands)))


def _one(*intervals: tuple[float, float]) -> tuple[Ranges, ...]:
    return tuple((interval,) for interval in intervals)


def _expit_limit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _erfc(x: Real) -> Real:
    if x > 1000:
        raise ValueError("zero, beyond mpmath's reach")
    return mp.erfc(x)


def _erfinv_limit(x: float) -> float:
    return float(x if x == 0 else np.copysign(np.inf, x) if abs(x) == 1 else np.nan)


def _gammaln_limit(x: float) -> float:
    """As SciPy's gammaln: −inf at −inf, and infinite at every pole."""
    if math.isnan(x) or x == -math.inf:
        return x
    return math.inf if x <= 0 or x == math.inf else 0.0


def _digamma_limit(x: float) -> float:
    if x == 0:
        return -math.copysign(math.inf, x)
    return math.inf if x == math.inf else math.nan


@cache
def _bernoulli_ratios() -> tuple[Real, ...]:
    with mp.workprec(PRECISION):
        return tuple(mp.bernoulli(2 * k) / mp.factorial(2 * k) for k in range(1, 30))


def _hurwitz_zeta(s: Real, q: Real) -> Real:
    """By summing up to where Euler and Maclaurin's formula has 50 digits."""
    whole = s == mpmath.floor(s)
    if s <= 1 or q == 0 or (q < 0 and (q == mpmath.floor(q) or q < -1024 or not whole)):
        raise ValueError("infinite, or no number")
    size = mp.log(abs(q))
    nearest = abs(q - mpmath.nint(q))
    if q < 0 and s * mp.log(nearest) < -690:
        raise ValueError("terms of opposite signs may be infinite")
    if (s - 1) * size > 1000 or s * size < -1000:
        raise ValueError("out of range")
    total = mpmath.mpf(0)
    steps = min(400, max(3, int(40 + s - q))) if q > 0 else int(40 - q)
    for k in range(steps):
        total += (q + k) ** -s
    w = q + steps
    if s > 400:
        return total
    factor, rest = s / w**2, 1 / (s - 1) + 1 / (2 * w)
    square = w**2
    for k, coefficient in enumerate(_bernoulli_ratios(), 1):
        rest += coefficient * factor
        factor *= (s + (2 * k - 1)) * (s + 2 * k) / square
    return total + w ** (1 - s) * rest


def _zeta_limit(s: float, q: float) -> float:
    """As SciPy, but NaN for NaN, limits for large exponents, and NaN for very long sums."""
    import scipy.special

    if math.isnan(s) or math.isnan(q):
        return math.nan
    if s > 400 and q >= 1:
        return float(q == 1)
    if q < -1024 and math.isfinite(q) and q != math.floor(q):
        return math.inf if s == 1 else math.nan
    return float(scipy.special.zeta(float(s), float(q)))


def _angle(y: Real, x: Real) -> Real:
    if y == 0:
        raise ValueError("the sign of zero matters, which mpmath has not")
    return mp.atan2(y, x)


def _power(x: Real, y: Real) -> Real:
    if x < 0 and y != mpmath.floor(y):
        raise ValueError("not a real number")
    if x != 0 and abs(y * mpmath.mag(x)) > 1e5 and abs(y * mp.log(abs(x))) > 1000:
        raise ValueError("out of range, and slow to work out")
    return x**y


def _real(function: Callable[[Real], Real]) -> Callable[[Real], Real]:
    """The function, with an error where its value is not real."""

    def restricted(x: Real) -> Real:
        result = function(x)
        if isinstance(result, mpmath.mpc):
            raise ValueError("not a real number")
        return result

    return restricted


REFERENCES: dict[str, Reference] = {
    "exp": Reference(mp.exp, np.exp, _one((-746, 710), (-104, 89), (-1, 1))),
    "expm1": Reference(mp.expm1, np.expm1, _one((-45, 710), (-1, 1), (-20, 89))),
    "tanh": Reference(mp.tanh, np.tanh, _one((-1, 1), (-25, 25))),
    "log": Reference(_real(mp.log), np.log, _one((0.5, 2), (0, 1e3), (0, 1e-300), (0, 1e-40))),
    "sin": Reference(mp.sin, np.sin, _one((-4, 4), (-1e3, 1e3), (-1e9, 1e9), (-1e22, 1e22))),
    "cos": Reference(mp.cos, np.cos, _one((-4, 4), (-1e3, 1e3), (-1e9, 1e9), (-1e22, 1e22))),
    "expit": Reference(lambda x: 1 / (1 + mp.exp(-x)), _expit_limit, _one((-745, 40), (-5, 5))),
    "exp2": Reference(lambda x: 2**x, np.exp2, _one((-1075, 1024), (-150, 128), (-1, 1))),
    "log2": Reference(_real(lambda x: mp.log(x, 2)), np.log2, _one((0.5, 2), (0, 1e3), (0, 1e-40))),
    "log10": Reference(_real(mp.log10), np.log10, _one((0.5, 2), (0, 1e3), (0, 1e-40))),
    "log1p": Reference(_real(mp.log1p), np.log1p, _one((-1, 1), (-1, 1e3), (-0.01, 0.01))),
    "sinh": Reference(mp.sinh, np.sinh, _one((-2, 2), (-711, 711), (-90, 90))),
    "cosh": Reference(mp.cosh, np.cosh, _one((-2, 2), (-711, 711), (-90, 90))),
    "power": Reference(
        _power,
        # With arrays, since NumPy answers scalar exponents such as ½ by other functions.
        lambda x, y: np.power(np.array([x, x]), np.array([y, y]))[0],
        (
            ((0, 10), (-30, 30)),
            ((0.9, 1.1), (-8000, 8000)),
            ((0, 1e-300), (-3, 3)),
            ((0, 1e30), (-12, 12)),
            ((0.7, 1.5), (-1, 1)),
        ),
    ),
    "sqrt": Reference(_real(mp.sqrt), np.sqrt, _one((0, 4), (0, 1e300))),
    "cbrt": Reference(
        lambda x: mpmath.sign(x) * mp.cbrt(abs(x)), np.cbrt, _one((-8, 8), (0, 1e300), (0, 1e-310))
    ),
    "hypot": Reference(
        mp.hypot, np.hypot, (((-3, 3), (-3, 3)), ((0, 1e300), (0, 1e300)), ((0, 1e-40), (0, 1e-40)))
    ),
    "fmod": Reference(None, np.fmod, (((-9, 9), (-2, 2)), ((-1e9, 1e9), (-2, 2)))),
    "remainder": Reference(None, np.remainder, (((-9, 9), (-2, 2)), ((-1e9, 1e9), (-2, 2)))),
    "floor_divide": Reference(None, np.floor_divide, (((-9, 9), (-2, 2)), ((-1e9, 1e9), (-2, 2)))),
    "floor": Reference(mpmath.floor, np.floor, _one((-9, 9), (-1e7, 1e7))),
    "ceil": Reference(mpmath.ceil, np.ceil, _one((-9, 9), (-1e7, 1e7))),
    "trunc": Reference(
        lambda x: mpmath.sign(x) * mpmath.floor(abs(x)), np.trunc, _one((-9, 9), (-1e7, 1e7))
    ),
    "rint": Reference(mpmath.nint, np.rint, _one((-9, 9), (-1e7, 1e7))),
    "copysign": Reference(None, np.copysign, (((-9, 9), (-2, 2)),)),
    "nextafter": Reference(None, np.nextafter, (((-9, 9), (-2, 2)),)),
    "spacing": Reference(None, np.spacing, _one((-9, 9), (-1e7, 1e7), (-1e-310, 1e-310))),
    "logaddexp": Reference(
        lambda x, y: max(x, y) + mp.log1p(mp.exp(-abs(x - y))),
        np.logaddexp,
        (((-9, 9), (-9, 9)), ((0, 700), (0, 700)), ((-1, 1), (-1, 1))),
        scale=lambda x, y: max(abs(max(x, y)), mp.log1p(mp.exp(-abs(x - y)))),
    ),
    "logaddexp2": Reference(
        lambda x, y: max(x, y) + mp.log1p(mpmath.mpf(2) ** -abs(x - y)) / mp.ln(2),
        np.logaddexp2,
        (((-9, 9), (-9, 9)), ((0, 700), (0, 700)), ((-1, 1), (-1, 1))),
        scale=lambda x, y: max(abs(max(x, y)), mp.log1p(mpmath.mpf(2) ** -abs(x - y))),
    ),
    "tan": Reference(mp.tan, np.tan, _one((-4, 4), (-1e3, 1e3), (-1e9, 1e9), (-1e22, 1e22))),
    "arcsin": Reference(_real(mp.asin), np.arcsin, _one((-1, 1), (-0.01, 0.01), (0.999, 1))),
    "arccos": Reference(_real(mp.acos), np.arccos, _one((-1, 1), (-0.01, 0.01), (0.999, 1))),
    "arctan": Reference(mp.atan, np.arctan, _one((-3, 3), (-0.01, 0.01), (-1e3, 1e3))),
    "arctan2": Reference(
        _angle,
        np.arctan2,
        (((-3, 3), (-3, 3)), ((-1, 1), (-1e3, 1e3)), ((-1e300, 1e300), (-1e300, 1e300))),
    ),
    "arcsinh": Reference(mp.asinh, np.arcsinh, _one((-3, 3), (-0.01, 0.01), (-1e300, 1e300))),
    "arccosh": Reference(_real(mp.acosh), np.arccosh, _one((1, 3), (1, 1.001), (1, 1e300))),
    "arctanh": Reference(_real(mp.atanh), np.arctanh, _one((-1, 1), (-0.01, 0.01), (0.999, 1))),
    "erf": Reference(mp.erf, math.erf, _one((-2, 2), (-6, 6), (-0.01, 0.01))),
    "erfc": Reference(_erfc, math.erfc, _one((-2, 2), (-6, 27.3), (0, 11))),
    "erfinv": Reference(
        _real(mp.erfinv), _erfinv_limit, _one((-1, 1), (-0.01, 0.01), (0.99, 1), (-1, -0.9999999))
    ),
    "gammaln": Reference(
        lambda x: mp.log(abs(mp.gamma(x))) if abs(x) < 100 else mp.re(mp.loggamma(x)),
        _gammaln_limit,
        _one((0, 3), (0, 12), (-20, 0), (0, 1e6), (0.99, 1.01), (1.99, 2.01)),
        scale=lambda x: 1 if x < 0 else 0,
    ),
    "digamma": Reference(
        mp.digamma,
        _digamma_limit,
        _one((0, 3), (0, 12), (-20, 0), (0, 1e6), (1.46, 1.463)),
        scale=lambda x: max(mp.digamma(1 - x), abs(mp.pi * mp.cot(mp.pi * x))) if x < 0 else 0,
    ),
    "zeta": Reference(
        _hurwitz_zeta,
        _zeta_limit,
        (((1, 9), (0, 20)), ((1, 3), (0, 1e3)), ((1, 30), (0, 3)), ((2, 2.001), (0, 1e9))),
    ),
}
