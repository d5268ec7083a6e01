"""Complex functions that rendered CUDA programs take along as device functions.

Each takes the real and the imaginary part as float64 and returns both, with the branch cuts that
C99 and NumPy have: W. Kahan, "Branch cuts for complex elementary functions" (1987). complex64
goes through float64 too, where nothing overflows on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def complex_of(parts: Any) -> Any:
    """The complex number of two parts."""
    return complex(parts[0], parts[1])


def divide_parts(x: Any, y: Any, real: Any, imaginary: Any) -> tuple[Any, Any]:
    """(x + iy) / (real + i imaginary), by Smith's method (1962)."""
    if abs(real) >= abs(imaginary):
        if real == imaginary and real == -imaginary:
            return x / abs(real), y / abs(real)
        ratio = imaginary / real
        divisor = real + imaginary * ratio
        return (x + y * ratio) / divisor, (y - x * ratio) / divisor
    ratio = real / imaginary
    divisor = real * ratio + imaginary
    return (x * ratio + y) / divisor, (y * ratio - x) / divisor


def reciprocal_parts(x: Any, y: Any, one: Any) -> tuple[Any, Any]:
    """1 / (x + iy), by Smith's method."""
    if abs(x) >= abs(y):
        ratio = y / x
        divisor = x + y * ratio
        return one / divisor, -ratio / divisor
    ratio = x / y
    divisor = x * ratio + y
    return ratio / divisor, -one / divisor


def sqrt_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The square root with a real part that is not negative."""
    larger = max(abs(x), abs(y))
    if larger == 0.0:
        return 0.0, y
    if math.isinf(y):
        return math.inf, y
    if math.isinf(x):
        if x > 0.0:
            return x, y - y if y != y else math.copysign(0.0, y)
        return y if y != y else 0.0, math.copysign(math.inf, y)
    before, after = 1.0, 1.0
    if larger > 1e300:
        before, after = 0.0625, 4.0
    elif larger < 1e-290:
        before, after = 2.0**108, 2.0**-54
    x *= before
    y *= before
    root = math.sqrt(0.5 * (abs(x) + math.hypot(x, y)))
    other = 0.5 * y / root
    if x >= 0.0:
        return root * after, other * after
    return abs(other) * after, math.copysign(root, y) * after


def log_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The logarithm; its imaginary part lies between -pi and pi."""
    larger = max(abs(x), abs(y))
    smaller = min(abs(x), abs(y))
    size = math.hypot(x, y)
    if larger > 8e307:
        real = math.log(math.hypot(0.5 * x, 0.5 * y)) + 0.6931471805599453
    elif larger < 1e-300:
        real = math.log(math.hypot(2.0**64 * x, 2.0**64 * y)) - 44.3614195558365
    elif size > 0.7 and size < 1.5:
        real = 0.5 * math.log1p((larger - 1.0) * (larger + 1.0) + smaller * smaller)
    else:
        real = math.log(size)
    return real, math.atan2(y, x)


def scaled_log_parts(x: Any, y: Any, factor: Any) -> tuple[Any, Any]:
    """The logarithm times a factor, which makes a logarithm to another base."""
    real, imaginary = log_parts(x, y)
    return real * factor, imaginary * factor


def log1p_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The logarithm of the number plus 1."""
    return math.log(math.hypot(x + 1.0, y)), math.atan2(y, x + 1.0)


def exp_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The exponential function, by halves where its size alone would overflow."""
    if y == 0.0:
        return math.exp(x), y
    if math.isinf(x) and not math.isfinite(y):
        return (x, y - y) if x > 0.0 else (0.0, 0.0)
    sine = math.sin(y)
    cosine = math.cos(y)
    if x > 709.0:
        half = math.exp(0.5 * x)
        return half * cosine * half, half * sine * half
    size = math.exp(x)
    return size * cosine, size * sine


def expm1_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The exponential function less 1."""
    half = math.sin(0.5 * y)
    return math.expm1(x) * math.cos(y) - 2.0 * half * half, math.exp(x) * math.sin(y)


def sinh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The hyperbolic sine."""
    if y == 0.0:
        return math.sinh(x), y
    if x == 0.0:
        return x, math.sin(y)
    if abs(x) > 709.0:
        half = math.exp(0.5 * abs(x))
        return (
            math.copysign(0.5 * half, x) * math.cos(y) * half,
            0.5 * half * math.sin(y) * half,
        )
    return math.sinh(x) * math.cos(y), math.cosh(x) * math.sin(y)


def cosh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The hyperbolic cosine."""
    if y == 0.0:
        return math.cosh(x), math.copysign(1.0, x) * y
    if abs(x) > 709.0:
        half = math.exp(0.5 * abs(x))
        return (
            0.5 * half * math.cos(y) * half,
            math.copysign(0.5 * half, x) * math.sin(y) * half,
        )
    return math.cosh(x) * math.cos(y), math.sinh(x) * math.sin(y)


def tanh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The hyperbolic tangent."""
    if math.isinf(x):
        return math.copysign(1.0, x), math.copysign(0.0, y)
    if abs(x) > 22.0:
        return (
            math.copysign(1.0, x),
            4.0 * math.sin(y) * math.cos(y) * math.exp(-2.0 * abs(x)),
        )
    tangent = math.tan(y)
    slope = 1.0 + tangent * tangent
    sine = math.sinh(x)
    divisor = 1.0 + slope * sine * sine
    return slope * math.cosh(x) * sine / divisor, tangent / divisor


def arcsinh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse hyperbolic sine."""
    if max(abs(x), abs(y)) > 1e150:
        real, _ = log_parts(x, y)
        return math.copysign(real + 0.6931471805599453, x), math.atan2(y, abs(x))
    a, b = sqrt_parts(1.0 + y, -x)
    c, d = sqrt_parts(1.0 - y, x)
    return math.asinh(a * d - c * b), math.atan2(y, a * c - b * d)


def arccosh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse hyperbolic cosine."""
    if max(abs(x), abs(y)) > 1e150:
        real, imaginary = log_parts(x, y)
        return real + 0.6931471805599453, imaginary
    a, b = sqrt_parts(x - 1.0, y)
    c, d = sqrt_parts(x + 1.0, y)
    return math.asinh(a * c + b * d), 2.0 * math.atan2(b, c)


def arccos_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse cosine."""
    if max(abs(x), abs(y)) > 1e150:
        real, _ = log_parts(x, y)
        return math.atan2(abs(y), x), -math.copysign(real + 0.6931471805599453, y)
    a, b = sqrt_parts(1.0 - x, -y)
    c, d = sqrt_parts(1.0 + x, y)
    return 2.0 * math.atan2(a, c), math.asinh(c * b - d * a)


def arctanh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse hyperbolic tangent, which is odd: computed to the right of zero."""
    sign = math.copysign(1.0, x)
    x *= sign
    y *= sign
    if max(x, abs(y)) > 1e150:
        half = math.hypot(0.5 * x, 0.5 * y)
        real = 0.25 * x / half / half
        imaginary = math.copysign(1.5707963267948966, y)
    elif x == 1.0 and abs(y) < 1e-150:
        real = math.log(2.0 / abs(y)) * 0.5
        imaginary = y if y == 0.0 else math.copysign(0.7853981633974483, y)
    else:
        real = 0.25 * math.log1p(4.0 * x / ((1.0 - x) * (1.0 - x) + y * y))
        imaginary = -0.5 * math.atan2(-2.0 * y, (1.0 - x) * (1.0 + x) - y * y)
    return sign * real, sign * imaginary


def sin_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The sine."""
    real, imaginary = sinh_parts(-y, x)
    return imaginary, -real


def cos_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The cosine."""
    return cosh_parts(-y, x)


def tan_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The tangent."""
    real, imaginary = tanh_parts(-y, x)
    return imaginary, -real


def arcsin_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse sine."""
    real, imaginary = arcsinh_parts(-y, x)
    return imaginary, -real


def arctan_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse tangent."""
    real, imaginary = arctanh_parts(-y, x)
    return imaginary, -real


def power_parts(x: Any, y: Any, real: Any, imaginary: Any) -> tuple[Any, Any]:
    """(x + iy) ** (real + i imaginary): by products where the exponent is whole and below 100."""
    if x == 0.0 and y == 0.0 and (real != 0.0 or imaginary != 0.0):
        return (0.0, 0.0) if real > 0.0 else (math.nan, math.nan)
    if imaginary == 0.0 and abs(real) < 100.0 and real == math.floor(real):
        result_x, result_y = 1.0, 0.0
        remaining = np.int64(abs(real))
        while remaining > 0:
            if remaining & 1:
                result_x, result_y = result_x * x - result_y * y, result_x * y + result_y * x
            x, y = x * x - y * y, 2.0 * (x * y)
            remaining >>= 1
        if real < 0.0:
            return reciprocal_parts(result_x, result_y, 1.0)
        return result_x, result_y
    size, angle = log_parts(x, y)
    return exp_parts(real * size - imaginary * angle, real * angle + imaginary * size)


FUNCTIONS = (
    complex_of,
    divide_parts,
    reciprocal_parts,
    sqrt_parts,
    log_parts,
    scaled_log_parts,
    log1p_parts,
    exp_parts,
    expm1_parts,
    sinh_parts,
    cosh_parts,
    tanh_parts,
    arcsinh_parts,
    arccosh_parts,
    arccos_parts,
    arctanh_parts,
    sin_parts,
    cos_parts,
    tan_parts,
    arcsin_parts,
    arctan_parts,
    power_parts,
)
NEEDS = {
    "scaled_log_parts": ("log_parts",),
    "arcsinh_parts": ("sqrt_parts", "log_parts"),
    "arccosh_parts": ("sqrt_parts", "log_parts"),
    "arccos_parts": ("sqrt_parts", "log_parts"),
    "sin_parts": ("sinh_parts",),
    "cos_parts": ("cosh_parts",),
    "tan_parts": ("tanh_parts",),
    "arcsin_parts": ("sqrt_parts", "log_parts", "arcsinh_parts"),
    "arctan_parts": ("arctanh_parts",),
    "power_parts": ("reciprocal_parts", "log_parts", "exp_parts"),
}
