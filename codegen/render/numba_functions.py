"""Scalar functions that rendered Numba programs take along as `numba.njit` functions.

They are plain Python here, so that importing this module does not import Numba, and use no names
but each other's, `np` and `math`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def grown(tape: Any, needed: Any) -> Any:
    """A copy of a flat array with room for `needed` elements, and as many again."""
    larger = np.empty(max(64, 2 * needed), tape.dtype)
    larger[: tape.size] = tape
    return larger


def integer_power(base: Any, exponent: Any, one: Any) -> Any:
    """base ** exponent by squaring, with wrap-around; 1 for a negative exponent."""
    result = one
    square = base
    remaining = exponent
    while remaining > 0:
        if remaining & one:
            result = result * square
        square = square * square
        remaining = remaining >> one
    return result


def lcm(a: Any, b: Any) -> Any:
    """The least common multiple of two integers of one type, with wrap-around."""
    a = abs(a)
    b = abs(b)
    divisor = a
    rest = b
    while rest != 0:
        divisor, rest = rest, divisor % rest
    return a // divisor * b if divisor != 0 else divisor


def single_of_brain(bits: Any) -> Any:
    """The float32 of a bfloat16's bits, a uint16."""
    return np.uint32(np.uint32(bits) << np.uint32(16)).view(np.float32)


def brain_of_single(x: Any) -> Any:
    """The bits of the bfloat16 nearest to a float32, of two the even one; NaN is the quiet one."""
    bits = np.float32(x).view(np.uint32)
    high = bits >> np.uint32(16)
    near = (bits + np.uint32(0x7FFF) + (high & np.uint32(1))) >> np.uint32(16)
    quiet = (high & np.uint32(0x8000)) | np.uint32(0x7FC0)
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    return np.uint16(quiet if is_nan else near)


def digamma_positive(x: float) -> float:
    """The logarithmic derivative of the gamma function for x > 0.

    Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.5 and 6.3.18).
    """
    shift = 0.0
    while x < 10.0:
        shift -= 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    series = 691 / 32760 - square / 12
    series = 1 / 240 - square * (1 / 132 - square * series)
    series = 1 / 12 - square * (1 / 120 - square * (1 / 252 - square * series))
    return shift + math.log(x) - 0.5 / x - square * series


def digamma_at_root(t: float) -> float:
    """The Taylor series of digamma around its positive root, t away from it."""
    series = -0.015424765904948959 + t * (0.010538791616612175 - t * 0.0072045343863568682)
    series = -0.033161126474847359 + t * (0.022597648232218105 + t * series)
    series = -0.072199561256454711 + t * (0.048804288164143107 + t * series)
    series = -0.16394270544240653 + t * (0.10782405069126237 + t * series)
    series = -0.44276316898359211 + t * (0.25849976095565101 + t * series)
    return t * (0.96767224544762117 + t * series)


def digamma(x: float) -> float:
    """The logarithmic derivative of the gamma function.

    Reflection for x < 0 (Abramowitz and Stegun 6.3.7), a Taylor series near the positive root.
    """
    if math.isnan(x) or x == math.inf:
        return x
    if x == 0.0:
        return -math.copysign(math.inf, x)
    if x < -4503599627370496.0:
        return math.nan  # so far out every number is a pole
    if x < 0.0:
        fraction = x - math.floor(x + 0.5)
        if fraction == 0.0:
            return math.nan
        return digamma_positive(1.0 - x) - math.pi / math.tan(math.pi * fraction)
    distance = (x - 1.4616321449683622) - 9.5499954299656977e-17
    if abs(distance) < 0.08:
        return digamma_at_root(distance)
    return digamma_positive(x)


def erfinv(x: float) -> float:
    """The inverse of the error function.

    A first guess (Winitzki 2008) within 0.002, then three steps of Halley's method, on `erfc`
    where x is near 1.
    """
    if x == 0.0 or math.isnan(x):
        return x + 0.0
    size = abs(x)
    if size >= 1.0:
        return math.copysign(math.inf, x) if size == 1.0 else math.nan
    logarithm = math.log1p(-size) + math.log1p(size)
    middle = 4.3307467508739664 + 0.5 * logarithm
    y = math.sqrt(math.sqrt(middle * middle - logarithm / 0.147) - middle)
    for _ in range(3):
        error = math.erf(y) - size if size < 0.5 else (1.0 - size) - math.erfc(y)
        step = error / (1.1283791670955126 * math.exp(-y * y))
        y -= step / (1.0 + y * step)
    return math.copysign(y, x)


def hurwitz_zeta(s: Any, q: Any) -> Any:
    """The sum of (q + k)**-s over k ≥ 0, for s > 1, by the Euler-Maclaurin formula.

    Like SciPy's: infinite for s = 1 and at the poles q = 0, -1, …; NaN for s < 1, and for other
    negative q unless s is whole.
    """
    if s == 1.0:
        return math.inf
    if s < 1.0:
        return math.nan
    if q <= 0.0:
        if q == math.floor(q):
            return math.inf
        if s != math.floor(s):
            return math.nan
    if math.isnan(s) or math.isnan(q):
        return math.nan
    total = 0.0
    while q < 10.0 + s:
        term = q**-s
        total += term
        q += 1.0
        if q > 1.0 and abs(term) <= 1e-17 * abs(total):
            return total
    inverse = 1.0 / (q * q)
    term = s * q ** (-s - 1.0)
    total += q ** (1.0 - s) / (s - 1.0) + 0.5 * q**-s
    total += term / 12
    term *= (s + 1.0) * (s + 2.0) * inverse
    total -= term / 720
    term *= (s + 3.0) * (s + 4.0) * inverse
    total += term / 30240
    term *= (s + 5.0) * (s + 6.0) * inverse
    total -= term / 1209600
    term *= (s + 7.0) * (s + 8.0) * inverse
    total += term / 47900160
    term *= (s + 9.0) * (s + 10.0) * inverse
    total -= term * (691 / 1307674368000)
    term *= (s + 11.0) * (s + 12.0) * inverse
    total += term / 74724249600
    term *= (s + 13.0) * (s + 14.0) * inverse
    return total - term * (3617 / 10670622842880000)


def binary_exponent(x: float) -> np.int32:
    """The e for which x = m * 2**e with 0.5 <= abs(m) < 1; 0 for 0, NaN and infinities."""
    if x == 0.0 or not math.isfinite(x):
        return np.int32(0)
    return np.int32(math.frexp(x)[1])


FUNCTIONS = (
    single_of_brain,
    brain_of_single,
    grown,
    integer_power,
    lcm,
    digamma_positive,
    digamma_at_root,
    digamma,
    erfinv,
    hurwitz_zeta,
    binary_exponent,
)
NEEDS = {"digamma": ("digamma_positive", "digamma_at_root")}
