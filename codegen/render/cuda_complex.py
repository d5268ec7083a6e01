"""Complex functions that rendered CUDA programs take along as device functions.

Each takes the real and the imaginary part as float64 and returns both, with the branch cuts that
C99 and NumPy have: W. Kahan, "Branch cuts for complex elementary functions" (1987). complex64
goes through float64 too, where nothing overflows on the way.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numba import cuda


def complex_of(parts: Any) -> Any:
    """The complex number of two parts."""
    return complex(parts[0], parts[1])


def divide_parts(x: Any, y: Any, real: Any, imaginary: Any) -> tuple[Any, Any]:
    """(x + iy) / (real + i imaginary), by Smith's method (1962)."""
    flip = abs(real) < abs(imaginary)
    large = cuda.selp(flip, imaginary, real)
    small = cuda.selp(flip, real, imaginary)
    by_zero = large == small - small
    ratio = cuda.selp(by_zero, small, small / large)
    divisor = cuda.selp(by_zero, abs(large), large + small * ratio)
    first = cuda.selp(flip, y, x)
    second = cuda.selp(flip, -x, y)
    return (
        (first + cuda.selp(flip, -second, second) * ratio) / divisor,
        (second + cuda.selp(flip, first, -first) * ratio) / divisor,
    )


def reciprocal_parts(x: Any, y: Any, one: Any) -> tuple[Any, Any]:
    """1 / (x + iy), by Smith's method."""
    flip = abs(x) < abs(y)
    large = cuda.selp(flip, y, x)
    small = cuda.selp(flip, x, y)
    ratio = small / large
    divisor = large + small * ratio
    return cuda.selp(flip, ratio, one) / divisor, -cuda.selp(flip, one, ratio) / divisor


def sqrt_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The square root with a real part that is not negative."""
    larger = max(abs(x), abs(y))
    huge = larger > 1e300
    tiny = larger < 1e-290
    before = cuda.selp(huge, 0.0625, cuda.selp(tiny, 2.0**108, 1.0))
    after = cuda.selp(huge, 4.0, cuda.selp(tiny, 2.0**-54, 1.0))
    x *= before
    y *= before
    root = math.sqrt(0.5 * (abs(x) + math.hypot(x, y)))
    other = cuda.selp((root == 0.0) | math.isinf(y), y, 0.5 * y / root)
    right = x >= 0.0
    return (
        cuda.selp(right, root, abs(other)) * after,
        cuda.selp(right, other, math.copysign(root, y)) * after,
    )


def log_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The logarithm; its imaginary part lies between -pi and pi."""
    larger = max(abs(x), abs(y))
    smaller = min(abs(x), abs(y))
    huge = larger > 8e307
    tiny = larger < 1e-300
    scale = cuda.selp(huge, 0.5, cuda.selp(tiny, 2.0**64, 1.0))
    shift = cuda.selp(huge, 0.6931471805599453, cuda.selp(tiny, -44.3614195558365, 0.0))
    size = math.hypot(scale * x, scale * y)
    near = (size > 0.7) & (size < 1.5) & (larger < 2.0)
    square = (larger - 1.0) * (larger + 1.0) + smaller * smaller
    real = cuda.selp(near, 0.5 * math.log1p(square), math.log(size) + shift)
    return real, math.atan2(y, x)


def scaled_log_parts(x: Any, y: Any, factor: Any) -> tuple[Any, Any]:
    """The logarithm times a factor, which makes a logarithm to another base."""
    parts = log_parts(x, y)
    return parts[0] * factor, parts[1] * factor


def log1p_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The logarithm of the number plus 1."""
    return math.log(math.hypot(x + 1.0, y)), math.atan2(y, x + 1.0)


def exp_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The exponential function, by halves where its size alone would overflow."""
    halves = x > 709.0
    size = math.exp(cuda.selp(halves, 0.5 * x, x))
    rest = cuda.selp(halves, size, 1.0)
    cosine = math.cos(y)
    sine = math.sin(y)
    none = size == 0.0
    real = cuda.selp(none, math.copysign(0.0, cosine), size * cosine * rest)
    imaginary = cuda.selp(none, math.copysign(0.0, sine), size * sine * rest)
    return cuda.selp(y == 0.0, size * rest, real), cuda.selp(y == 0.0, y, imaginary)


def expm1_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The exponential function less 1."""
    half = math.sin(0.5 * y)
    return math.expm1(x) * math.cos(y) - 2.0 * half * half, math.exp(x) * math.sin(y)


def sinh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The hyperbolic sine, by halves where it would overflow before the product."""
    halves = abs(x) > 709.0
    half = math.exp(0.5 * abs(x))
    sine = cuda.selp(halves, math.copysign(0.5 * half, x), math.sinh(x))
    cosine = cuda.selp(halves, 0.5 * half, math.cosh(x))
    rest = cuda.selp(halves, half, 1.0)
    real = cuda.selp(x == 0.0, x, sine * math.cos(y) * rest)
    imaginary = cosine * math.sin(y) * rest
    return cuda.selp(y == 0.0, sine * rest, real), cuda.selp(y == 0.0, y, imaginary)


def cosh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The hyperbolic cosine, by halves where it would overflow before the product."""
    halves = abs(x) > 709.0
    half = math.exp(0.5 * abs(x))
    sine = cuda.selp(halves, math.copysign(0.5 * half, x), math.sinh(x))
    cosine = cuda.selp(halves, 0.5 * half, math.cosh(x))
    rest = cuda.selp(halves, half, 1.0)
    imaginary = cuda.selp(y == 0.0, math.copysign(1.0, x) * y, sine * math.sin(y) * rest)
    return cuda.selp(y == 0.0, cosine * rest, cosine * math.cos(y) * rest), imaginary


def tanh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The hyperbolic tangent; far out, 1 and an imaginary part that vanishes."""
    far = abs(x) > 22.0
    tangent = math.tan(y)
    slope = 1.0 + tangent * tangent
    sine = math.sinh(cuda.selp(far, 1.0, x))
    cosine = math.sqrt(1.0 + sine * sine)
    divisor = 1.0 + slope * sine * sine
    vanishing = 4.0 * (tangent / slope) * math.exp(-2.0 * abs(x))
    vanishing = cuda.selp(math.isinf(x), math.copysign(0.0, y), vanishing)
    return (
        cuda.selp(far, math.copysign(1.0, x), slope * cosine * sine / divisor),
        cuda.selp(far, vanishing, tangent / divisor),
    )


def arcsinh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse hyperbolic sine."""
    left = sqrt_parts(1.0 + y, -x)
    right = sqrt_parts(1.0 - y, x)
    real = math.asinh(left[0] * right[1] - right[0] * left[1])
    base = left[0] * right[0] - left[1] * right[1]
    return real, math.atan2(y, cuda.selp(math.isinf(y), abs(x), base))


def arccosh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse hyperbolic cosine."""
    left = sqrt_parts(x - 1.0, y)
    right = sqrt_parts(x + 1.0, y)
    real = math.asinh(left[0] * right[0] + left[1] * right[1])
    return real, 2.0 * math.atan2(left[1], right[0])


def arccos_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse cosine."""
    left = sqrt_parts(1.0 - x, -y)
    right = sqrt_parts(1.0 + x, y)
    imaginary = math.asinh(right[0] * left[1] - right[1] * left[0])
    return 2.0 * math.atan2(left[0], right[0]), imaginary


def arctanh_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse hyperbolic tangent, which is odd: computed to the right of zero."""
    sign = math.copysign(1.0, x)
    x *= sign
    y *= sign
    distance = math.hypot(1.0 - x, y)
    quotient = cuda.selp(math.isinf(x), 0.0, x / distance / distance)
    real = 0.25 * math.log1p(4.0 * quotient)
    real = cuda.selp(distance < 1e-150, 0.5 * (0.6931471805599453 - math.log(distance)), real)
    finite = math.copysign(min(abs(y), 1e200), y)
    imaginary = 0.5 * math.atan2(2.0 * finite, (1.0 - x) * (1.0 + x) - y * y)
    return sign * real, sign * imaginary


def sin_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The sine."""
    parts = sinh_parts(-y, x)
    return parts[1], -parts[0]


def cos_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The cosine."""
    return cosh_parts(-y, x)


def tan_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The tangent."""
    parts = tanh_parts(-y, x)
    return parts[1], -parts[0]


def arcsin_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse sine."""
    parts = arcsinh_parts(-y, x)
    return parts[1], -parts[0]


def arctan_parts(x: Any, y: Any) -> tuple[Any, Any]:
    """The inverse tangent."""
    parts = arctanh_parts(-y, x)
    return parts[1], -parts[0]


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
    "arcsinh_parts": ("sqrt_parts",),
    "arccosh_parts": ("sqrt_parts",),
    "arccos_parts": ("sqrt_parts",),
    "sin_parts": ("sinh_parts",),
    "cos_parts": ("cosh_parts",),
    "tan_parts": ("tanh_parts",),
    "arcsin_parts": ("sqrt_parts", "arcsinh_parts"),
    "arctan_parts": ("arctanh_parts",),
    "power_parts": ("reciprocal_parts", "log_parts", "exp_parts"),
}
