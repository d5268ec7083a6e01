"""Scalar functions that rendered CUDA programs take along as device functions.

They are plain Python here, so that importing this module does not import Numba, and use no names
but each other's, `np`, `math` and `cuda`. The renderer writes their sources into a program, each
decorated with `@cuda.jit(device=True, inline="always")`. Constants come as arguments where a
function serves several dtypes: a Python constant in it would make float64 of a float32.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from codegen.render import cuda_complex, numba_functions
from codegen.render.numba_functions import (
    binary_exponent,
    digamma,
    digamma_at_root,
    digamma_positive,
    erfinv,
    hurwitz_zeta,
    integer_power,
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


def floor_divide_signed(a: Any, b: Any, zero: Any, one: Any) -> Any:
    """a // b of signed integers; 0 where b is 0, and no overflow where b is -1."""
    by_zero = b == zero
    by_minus_one = b == -one
    quotient = a // (one if by_zero | by_minus_one else b)
    return zero if by_zero else (-a if by_minus_one else quotient)


def floor_divide_unsigned(a: Any, b: Any, zero: Any, one: Any) -> Any:
    """a // b of unsigned integers; 0 where b is 0."""
    by_zero = b == zero
    quotient = a // (one if by_zero else b)
    return zero if by_zero else quotient


def remainder_integers(a: Any, b: Any, zero: Any, one: Any) -> Any:
    """a % b of integers, with the sign of b; 0 where b is 0."""
    trivial = (b == zero) | (b == -one)
    rest = a % (one if trivial else b)
    return zero if trivial else rest


def remainder_unsigned(a: Any, b: Any, zero: Any, one: Any) -> Any:
    """a % b of unsigned integers; 0 where b is 0."""
    by_zero = b == zero
    rest = a % (one if by_zero else b)
    return zero if by_zero else rest


def fmod_signed(a: Any, b: Any, zero: Any, one: Any) -> Any:
    """The remainder of two integers with the sign of a; 0 where b is 0."""
    trivial = (b == zero) | (b == -one)
    rest = a % (one if trivial else b)
    other_sign = (rest != zero) & ((a < zero) != (b < zero))
    return zero if trivial else (rest - b if other_sign else rest)


def gcd(a: Any, b: Any) -> Any:
    """The greatest common divisor of two unsigned integers."""
    while b != 0:
        a, b = b, a % b
    return a


def lcm(a: Any, b: Any, zero: Any) -> Any:
    """The least common multiple of two unsigned integers, with wrap-around."""
    divisor = gcd(a, b)
    return zero if divisor == zero else a // divisor * b


def left_shift(a: Any, b: Any, width: Any, zero: Any) -> Any:
    """a << b; 0 where b is negative or not less than the width."""
    fits = (b >= zero) & (b < width)
    shifted = a << (b if fits else zero)
    return shifted if fits else zero


def right_shift_signed(a: Any, b: Any, last: Any, zero: Any) -> Any:
    """a >> b; the sign alone where b is negative or greater than the width less one."""
    fits = (b >= zero) & (b <= last)
    return a >> (b if fits else last)


def right_shift_unsigned(a: Any, b: Any, last: Any, zero: Any) -> Any:
    """a >> b; 0 where b is greater than the width less one."""
    fits = b <= last
    shifted = a >> (b if fits else zero)
    return shifted if fits else zero


def float_to_integer(x: Any, smallest: Any, integer: Any, lowest: Any) -> Any:
    """`integer`, which is x as an integer, or its lowest where x is outside of its range.

    `smallest` is that bound as x has it: a GPU would give the nearest integer, or 0 for NaN.
    """
    return integer if (x >= smallest) & (x < -smallest) else lowest


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


def round_even(x: Any, large: Any) -> Any:
    """x as the nearest whole number, of two the even one.

    `large` is 2**23 or 2**52: a number from there on is whole, and one added to it is rounded so.
    """
    size = abs(x)
    rounded = math.copysign((size + large) - large, x)
    return rounded if size < large else x


def log_add_exp(a: Any, b: Any, log_2: Any) -> Any:
    """log(exp(a) + exp(b)) without overflow."""
    larger = a if a > b else b
    result = larger + math.log1p(math.exp(-abs(a - b)))
    return a + log_2 if a == b else result


def log_add_exp2(a: Any, b: Any, log2_e: Any, one: Any) -> Any:
    """log2(2**a + 2**b) without overflow."""
    larger = a if a > b else b
    result = larger + math.log1p(math.exp2(-abs(a - b))) * log2_e
    return a + one if a == b else result


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
    power = math.ldexp(np.float32(1.0), np.int32(exponent - 1))
    exponent = exponent - (11 if away or size != power else 12)
    step = math.ldexp(np.float32(1.0), np.int32(max(exponent, -24)))
    return math.copysign(size + step if away else size - step, x)


FUNCTIONS = (
    where,
    maximum,
    minimum,
    fmax,
    fmin,
    floor_divide_signed,
    floor_divide_unsigned,
    remainder_integers,
    remainder_unsigned,
    fmod_signed,
    gcd,
    lcm,
    left_shift,
    right_shift_signed,
    right_shift_unsigned,
    float_to_integer,
    floor_divide_floats,
    remainder_floats,
    round_even,
    log_add_exp,
    log_add_exp2,
    half_step,
    integer_power,
    digamma_positive,
    digamma_at_root,
    digamma,
    erfinv,
    hurwitz_zeta,
    binary_exponent,
    *cuda_complex.FUNCTIONS,
)
"""In an order in which each function comes after those that it calls."""

NEEDS = {"lcm": ("gcd",), **numba_functions.NEEDS, **cuda_complex.NEEDS}
