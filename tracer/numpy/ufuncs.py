"""NumPy's universal functions: each a primitive, or composed of primitives."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import FUNCTIONS, LATE
from tracer.numpy.common import as_array, as_arrays, cast_to
from tracer.primitives import arithmetic, comparison, numbers, transcendental
from tracer.primitives.cast import imag_part, make_complex, real_part
from tracer.primitives.comparison import select
from tracer.primitives.pointwise import as_operand, promotion_key
from tracer.types import is_brain, is_complex, resolve_ufunc

_FAMILIES = (arithmetic, comparison, transcendental, numbers)
_SAME_NAME = (
    "add subtract multiply divide floor_divide remainder fmod negative positive conjugate sign "
    "absolute square reciprocal sqrt cbrt hypot power maximum minimum fmax fmin floor ceil "
    "trunc rint nextafter copysign log exp exp2 expm1 log2 log10 log1p sin cos tan arcsin arccos "
    "arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh logaddexp logaddexp2 equal not_equal "
    "less less_equal greater greater_equal logical_and logical_or logical_xor logical_not isnan "
    "isinf isfinite signbit bitwise_and bitwise_or bitwise_xor invert left_shift right_shift "
    "gcd lcm spacing bitwise_count"
)
_SPECIAL = {name: name for name in ("erf", "erfc", "erfinv", "expit", "gammaln")}
_SPECIAL["psi"] = "digamma"
"""SciPy's universal functions that are primitives, by the names they have themselves."""


def _register() -> None:
    for name in _SAME_NAME.split():
        for family in _FAMILIES:
            if hasattr(family, name):
                FUNCTIONS[getattr(np, name)] = getattr(family, name)
                break
    for name, ours in _SPECIAL.items():
        LATE[name] = ("scipy.special", getattr(transcendental, ours))


_register()


def ufunc(numpy_ufunc: np.ufunc) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: our version of a universal function."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS[numpy_ufunc] = function
        return function

    return add


def _as_float(numpy_ufunc: np.ufunc, x: Any) -> Any:
    """`x` in the dtype in which a one-operand ufunc of floats would take it."""
    x = as_operand(x)
    dtype = resolve_ufunc(numpy_ufunc, (promotion_key(x),))[0]
    return cast_to(x, dtype)


@ufunc(np.fabs)
def fabs(x: Any) -> Any:
    """The absolute value of real numbers, as a float."""
    return arithmetic.absolute(_as_float(np.fabs, x))


@ufunc(np.sign)
def sign(x: Any) -> Any:
    """−1, 0 or 1; of a complex number the one of length 1 in its direction, or 0."""
    x = as_operand(x)
    if not hasattr(x, "dtype") or not is_complex(x.dtype):
        return arithmetic.sign(x)
    length = arithmetic.absolute(x)
    nowhere = comparison.equal(length, 0)
    length = select(nowhere, length.dtype.type(1), length)
    parts = (select(nowhere, length.dtype.type(0), part(x)) for part in (real_part, imag_part))
    return make_complex(*[part / length for part in parts])


@ufunc(np.deg2rad)
def deg2rad(x: Any) -> Any:
    """Degrees as radians."""
    return _turned(_as_float(np.deg2rad, x), math.pi / 180.0)


@ufunc(np.radians)
def radians(x: Any) -> Any:
    """Degrees as radians."""
    return deg2rad(_as_float(np.radians, x))


@ufunc(np.rad2deg)
def rad2deg(x: Any) -> Any:
    """Radians as degrees."""
    return _turned(_as_float(np.rad2deg, x), 180.0 / math.pi)


@ufunc(np.degrees)
def degrees(x: Any) -> Any:
    """Radians as degrees."""
    return rad2deg(_as_float(np.degrees, x))


def _turned(x: Any, factor: float) -> Any:
    """x times a number, which bfloat16 is too short for."""
    if is_brain(x.dtype):
        return cast_to(cast_to(x, np.float32) * np.float32(factor), x.dtype)
    return x * x.dtype.type(factor)


@ufunc(np.float_power)
def float_power(x: Any, y: Any) -> Any:
    """`x ** y` in float64 or complex128 at least."""
    x, y = as_arrays(x, y)
    dtype = resolve_ufunc(np.float_power, (x.dtype, y.dtype))[0]
    return arithmetic.power(cast_to(x, dtype), cast_to(y, dtype))


@ufunc(np.heaviside)
def heaviside(x: Any, y: Any) -> Any:
    """0 where x < 0, y where x = 0, 1 where x > 0, NaN where x is."""
    x, y = as_operand(x), as_operand(y)
    dtype = resolve_ufunc(np.heaviside, (promotion_key(x), promotion_key(y)))[0]
    x, y = cast_to(x, dtype), cast_to(y, dtype)
    step = select(comparison.greater(x, 0), dtype.type(1), dtype.type(0))
    step = select(comparison.isnan(x), dtype.type(np.nan), step)
    return select(comparison.equal(x, 0), y, step)


@ufunc(np.ldexp)
def ldexp(x: Any, exponent: Any) -> Any:
    """`x · 2**exponent`, by two factors so that a large exponent does not overflow on the way."""
    x, exponent = as_operand(x), as_operand(exponent)
    dtype = resolve_ufunc(np.ldexp, (promotion_key(x), promotion_key(exponent)))[0]
    x, exponent = cast_to(x, dtype), as_array(exponent)
    exponent = cast_to(exponent, np.int64)
    half = arithmetic.floor_divide(exponent, 2)
    first = transcendental.exp2(cast_to(half, x.dtype))
    second = transcendental.exp2(cast_to(exponent - half, x.dtype))
    return x * first * second


@ufunc(np.frexp)
def frexp(x: Any) -> tuple[Any, Any]:
    """Mantissa in [0.5, 1) and exponent of 2."""
    x = _as_float(np.spacing, x)
    exponent = numbers.binary_exponent(x)
    return ldexp(x, arithmetic.negative(exponent)), exponent


@ufunc(np.divmod)
def divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient rounded down, and remainder."""
    return arithmetic.floor_divide(x, y), arithmetic.remainder(x, y)


@ufunc(np.modf)
def modf(x: Any) -> tuple[Any, Any]:
    """Fractional and whole part, both with the sign of x."""
    x = _as_float(np.modf, x)
    whole = arithmetic.trunc(x)
    infinite = comparison.isinf(x)
    zero = x.dtype.type(0)
    fraction = x - select(infinite, zero, whole)
    return arithmetic.copysign(select(infinite, zero, fraction), x), whole
