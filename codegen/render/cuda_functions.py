"""Scalar functions that rendered CUDA programs take along as device functions.

They are plain Python here, so that importing this module does not import Numba, and use no names
but each other's, `np`, `math` and `cuda`. The renderer writes their sources into a program, each
decorated with `@cuda.jit(device=True, inline="always")`: the compiler puts them in place of calls.
What is short stands in the templates, and the functions choose by `cuda.selp`, without a branch,
where they can. Constants come as arguments where a function serves several dtypes: a Python
constant in it would make float64 of a float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codegen.render import cuda_complex, numba_functions
from codegen.render.numba_functions import (
    brain_of_single,
    digamma,
    digamma_at_root,
    digamma_positive,
    erfinv,
    hurwitz_zeta,
    integer_power,
    single_of_brain,
)


def where(condition: Any, if_true: Any, if_false: Any) -> Any:
    """if_true where condition else if_false, both of them computed."""
    return if_true if condition else if_false


def maximum(a: Any, b: Any) -> Any:
    """The larger one; NaN where either is NaN."""
    return a if (a > b) | (a != a) else b


def minimum(a: Any, b: Any) -> Any:
    """The smaller one; NaN where either is NaN."""
    return a if (a < b) | (a != a) else b


def fmax(a: Any, b: Any) -> Any:
    """The larger one; the other where one is NaN."""
    return a if (a > b) | (b != b) else b


def fmin(a: Any, b: Any) -> Any:
    """The smaller one; the other where one is NaN."""
    return a if (a < b) | (b != b) else b


def gcd(a: Any, b: Any) -> Any:
    """The greatest common divisor of two unsigned integers."""
    while b != 0:
        a, b = b, a % b
    return a


def lcm(a: Any, b: Any, zero: Any) -> Any:
    """The least common multiple of two unsigned integers, with wrap-around."""
    divisor = gcd(a, b)
    return zero if divisor == zero else a // divisor * b


def floor_divide_floats(a: Any, b: Any, zero: Any, one: Any) -> Any:
    """The largest whole number not above a / b, as NumPy rounds it; a / b where b is 0."""
    rest = math.fmod(a, b)
    quotient = (a - rest) / b
    quotient = quotient - one if (rest != zero) & ((b < zero) != (rest < zero)) else quotient
    whole = math.floor(quotient)
    whole = whole + one if quotient - whole > one / (one + one) else whole
    whole = math.copysign(zero, a / b) if quotient == zero else whole
    return a / b if b == zero else whole


def remainder_floats(a: Any, b: Any, zero: Any) -> Any:
    """What is left of a after division by b, with the sign of b; NaN where b is 0."""
    rest = math.fmod(a, b)
    shifted = rest + b if (b < zero) != (rest < zero) else rest
    return math.copysign(zero, b) if rest == zero else shifted


def half_step(x: Any, up: Any) -> Any:
    """The number of float16 next to x, a number of float16 as a float32, upwards or downwards."""
    size = abs(x)
    if size > np.float32(65504.0):
        return math.copysign(np.float32(65504.0), x) if up != (x > np.float32(0.0)) else x
    if size == np.float32(0.0):
        return np.float32(5.9604644775390625e-08) if up else np.float32(-5.9604644775390625e-08)
    away = up == (x > np.float32(0.0))
    exponent = math.frexp(size)[1]
    # Below a power of two the numbers lie twice as close.
    power = math.ldexp(np.float32(1.0), np.int32(exponent - 1))  # type: ignore[arg-type]
    exponent = exponent - (11 if away or size != power else 12)
    step = math.ldexp(np.float32(1.0), np.int32(max(exponent, -24)))  # type: ignore[arg-type]
    return math.copysign(size + step if away else size - step, x)


FUNCTIONS = (
    single_of_brain,
    brain_of_single,
    where,
    maximum,
    minimum,
    fmax,
    fmin,
    gcd,
    lcm,
    floor_divide_floats,
    remainder_floats,
    half_step,
    integer_power,
    digamma_positive,
    digamma_at_root,
    digamma,
    erfinv,
    hurwitz_zeta,
    *cuda_complex.FUNCTIONS,
)
"""In an order in which each function comes after those that it calls."""

NEEDS = {"lcm": ("gcd",), **numba_functions.NEEDS, **cuda_complex.NEEDS}
