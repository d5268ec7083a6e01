"""Elementwise arithmetic, powers, rounding, and the larger and smaller of two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.primitives.cast import cast, imag_part, real_part
from tracer.primitives.comparison import equal, greater, isnan, less, logical_or, select
from tracer.primitives.pointwise import apply_ufunc, as_operand, pointwise
from tracer.trace import bind
from tracer.types import FLOAT32, ArrayType, is_brain, is_complex, is_inexact

Function = Callable[..., Any]

add_p = pointwise("add", np.add, lambda t, out, x, y: t, lambda t, out, x, y: t)
add = apply_ufunc(add_p, np.add)

subtract_p = pointwise("subtract", np.subtract, lambda t, out, x, y: t, lambda t, out, x, y: -t)
subtract = apply_ufunc(subtract_p, np.subtract)

multiply_p = pointwise(
    "multiply", np.multiply, lambda t, out, x, y: t * y, lambda t, out, x, y: t * x
)
multiply = apply_ufunc(multiply_p, np.multiply)

divide_p = pointwise(
    "divide", np.divide, lambda t, out, x, y: t / y, lambda t, out, x, y: -(t / y) * out
)
divide = apply_ufunc(divide_p, np.divide)

floor_divide = apply_ufunc(pointwise("floor_divide", np.floor_divide), np.floor_divide)

remainder_p = pointwise(
    "remainder",
    np.remainder,
    lambda t, out, x, y: t,
    lambda t, out, x, y: -t * floor_divide(x, y),
)
remainder = apply_ufunc(remainder_p, np.remainder)

fmod_p = pointwise("fmod", np.fmod, lambda t, out, x, y: t, lambda t, out, x, y: -t * trunc(x / y))
fmod = apply_ufunc(fmod_p, np.fmod)

negative_p = pointwise("negative", np.negative, lambda t, out, x: -t)
negative = apply_ufunc(negative_p, np.negative)
positive_p = pointwise("positive", np.positive, lambda t, out, x: t)
positive = apply_ufunc(positive_p, np.positive)
conjugate_p = pointwise("conjugate", np.conjugate, lambda t, out, x: conjugate(t))
conjugate: Function = apply_ufunc(conjugate_p, np.conjugate)

sign = apply_ufunc(pointwise("sign", np.sign), np.sign)

absolute_p = pointwise("absolute", np.absolute, lambda t, out, x: t * sign(x))
_absolute = apply_ufunc(absolute_p, np.absolute)


def absolute(x: Any) -> Any:
    """NumPy's `absolute`; the derivative at 0 is 0, of a complex number too."""
    x = as_operand(x)
    if hasattr(x, "dtype") and is_complex(x.dtype):
        return hypot(real_part(x), imag_part(x))
    return _absolute(x)


def fabs(x: Any) -> Any:
    """NumPy's `fabs`."""
    return _absolute(_as_float(x))


def _as_float(x: Any) -> Any:
    return positive(x) if is_inexact(np.dtype(getattr(x, "dtype", float))) else divide(x, 1)


square_p = pointwise("square", np.square, lambda t, out, x: t * (x + x))
square = apply_ufunc(square_p, np.square)
reciprocal_p = pointwise("reciprocal", np.reciprocal, lambda t, out, x: -t * out * out)
reciprocal = apply_ufunc(reciprocal_p, np.reciprocal)
sqrt_p = pointwise("sqrt", np.sqrt, lambda t, out, x: t * (x.dtype.type(0.5) / out))
sqrt = apply_ufunc(sqrt_p, np.sqrt)
cbrt_p = pointwise("cbrt", np.cbrt, lambda t, out, x: t / (out * out * x.dtype.type(3)))
cbrt = apply_ufunc(cbrt_p, np.cbrt)


def _over(numerator: Any, denominator: Any) -> Any:
    """The quotient, 0 where the denominator is 0."""
    zero = equal(denominator, denominator.dtype.type(0))
    one = denominator.dtype.type(1)
    return select(zero, denominator.dtype.type(0), numerator / select(zero, one, denominator))


hypot_p = pointwise(
    "hypot",
    np.hypot,
    lambda t, out, x, y: t * _over(x, out),
    lambda t, out, x, y: t * _over(y, out),
)
hypot = apply_ufunc(hypot_p, np.hypot)


def _power_base(t: Any, out: Any, x: Any, y: Any) -> Any:
    zero, one = y.dtype.type(0), y.dtype.type(1)
    constant = equal(y, zero)  # x**0 is 1, and its derivative 0, at x = 0 too
    return t * select(constant, zero, y * power(x, select(constant, one, y) - one))


def _power_exponent(t: Any, out: Any, x: Any, y: Any) -> Any:
    zero, one = x.dtype.type(0), x.dtype.type(1)
    vanishes = equal(x, zero)  # 0**y is constant in y > 0
    return t * select(vanishes, zero, out * log(select(vanishes, one, x)))


power_p = pointwise("power", np.power, _power_base, _power_exponent)
_power = apply_ufunc(power_p, np.power)


def _integer_power_type(x: ArrayType, *, exponent: int) -> ArrayType:
    return x


def _integer_power_evaluate(x: Any, *, exponent: int) -> Any:
    return np.power(x, x.dtype.type(exponent))


def _integer_power_partial(t: Any, out: Any, x: Any, *, exponent: int) -> Any:
    if exponent == 0:
        return t * x.dtype.type(0)
    return t * (x.dtype.type(exponent) * integer_power(x, exponent - 1))


integer_power_p = pointwise(
    "integer_power",
    np.power,
    _integer_power_partial,
    type_rule=_integer_power_type,
    evaluate=_integer_power_evaluate,
)


def integer_power(x: Any, exponent: int) -> Any:
    """`x` to a fixed integer power."""
    if exponent == 1:
        return x
    if exponent == 2:
        return bind(square_p, x)
    return bind(integer_power_p, x, exponent=exponent)


def power(x: Any, y: Any) -> Any:
    """NumPy's `power`; small fixed exponents become products and roots."""
    if type(y) in (int, float) and hasattr(x, "dtype") and is_inexact(x.dtype):
        if type(y) is float and is_brain(x.dtype):
            x = cast(x, FLOAT32)
        if y == 0.5 and not is_complex(x.dtype):
            return bind(sqrt_p, x)  # as NumPy: NaN at −∞, −0 at −0
        if int(y) == y if abs(y) < 64 else False:
            exponent = int(y)
            if not is_complex(x.dtype) or exponent == 2:
                return integer_power(x, exponent) if exponent else _power(x, y)
    return _power(x, y)


def _larger(t: Any, out: Any, x: Any, y: Any) -> Any:
    """The share of `t` that x has in max(x, y): all, half of a tie, or nothing; a NaN takes
    part.
    """
    zero, half = t.dtype.type(0), t.dtype.type(0.5)
    wins = logical_or(greater(x, y), isnan(x))
    return select(wins, t, select(equal(x, y), t * half, zero))


def _smaller(t: Any, out: Any, x: Any, y: Any) -> Any:
    zero, half = t.dtype.type(0), t.dtype.type(0.5)
    wins = logical_or(less(x, y), isnan(x))
    return select(wins, t, select(equal(x, y), t * half, zero))


def _swapped(share: Any) -> Any:
    return lambda t, out, x, y: share(t, out, y, x)


maximum_p = pointwise("maximum", np.maximum, _larger, _swapped(_larger))
maximum = apply_ufunc(maximum_p, np.maximum)
minimum_p = pointwise("minimum", np.minimum, _smaller, _swapped(_smaller))
minimum = apply_ufunc(minimum_p, np.minimum)


def _larger_number(t: Any, out: Any, x: Any, y: Any) -> Any:
    zero, half = t.dtype.type(0), t.dtype.type(0.5)
    wins = logical_or(greater(x, y), isnan(y))
    return select(wins, t, select(equal(x, y), t * half, zero))


def _smaller_number(t: Any, out: Any, x: Any, y: Any) -> Any:
    zero, half = t.dtype.type(0), t.dtype.type(0.5)
    wins = logical_or(less(x, y), isnan(y))
    return select(wins, t, select(equal(x, y), t * half, zero))


fmax = apply_ufunc(pointwise("fmax", np.fmax, _larger_number, _swapped(_larger_number)), np.fmax)
fmin = apply_ufunc(pointwise("fmin", np.fmin, _smaller_number, _swapped(_smaller_number)), np.fmin)

floor = apply_ufunc(pointwise("floor", np.floor), np.floor)
ceil = apply_ufunc(pointwise("ceil", np.ceil), np.ceil)
trunc: Function = apply_ufunc(pointwise("trunc", np.trunc), np.trunc)
rint = apply_ufunc(pointwise("rint", np.rint), np.rint)
nextafter = apply_ufunc(pointwise("nextafter", np.nextafter), np.nextafter)

copysign_p = pointwise(
    "copysign",
    np.copysign,
    lambda t, out, x, y: t * sign(x) * copysign(x.dtype.type(1), y),
    None,
)
copysign: Function = apply_ufunc(copysign_p, np.copysign)

log_p = pointwise("log", np.log, lambda t, out, x: t / x)
log = apply_ufunc(log_p, np.log)
