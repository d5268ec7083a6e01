"""arcsin, arccos, arctan and arctan2."""

from __future__ import annotations

import math

from codegen.render.vector_math.exact import (
    Pair,
    cancelling_fma,
    fast_two_sum,
)
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.registry import vector_function

# tan(π/8): up to here the arctangent's polynomial is used as it stands.
TAN_EIGHTH = math.sqrt(2.0) - 1.0


def _arcsin_parts(lanes: Lanes, magnitude: Value) -> tuple[Value, Value, Value]:
    """(mask, s, w): arcsin s = s + w with s = |x| where the mask says |x| < ½.

    Elsewhere s = √((1 − |x|)/2), and arccos |x| = 2·(s + w).
    """
    small = magnitude < 0.5
    z_large = lanes.fma(magnitude, -0.5, 0.5)
    z = lanes.select(small, magnitude * magnitude, z_large)
    s = lanes.select(small, magnitude, z_large.square_root())
    tail = lanes.polynomial(z, lanes.coefficients("arcsin_tail"))
    return small, s, (s * z) * tail


@vector_function("arcsin", native_single=True)
def arcsin(lanes: Lanes, x: Value) -> Value:
    """Arcsine; NaN beyond ±1."""
    small, s, rest = _arcsin_parts(lanes, x.absolute())
    high, low = (2 * part for part in lanes.coefficients("quarter_pi"))
    large = high - ((s + s) + (rest + rest - low))
    return lanes.select(small, s + rest, large).with_sign_of(x)


@vector_function("arccos", native_single=True)
def arccos(lanes: Lanes, x: Value) -> Value:
    """Arccosine; NaN beyond ±1."""
    small, s, rest = _arcsin_parts(lanes, x.absolute())
    high, low = (2 * part for part in lanes.coefficients("quarter_pi"))
    signed = s.flip_sign_by(x)
    near_zero = high - (signed - (low - rest.flip_sign_by(x)))
    near_one = s + rest
    near_one = near_one + near_one
    beyond = 2 * high - ((s + s) + (rest + rest - 2 * low))
    large = lanes.select(x < 0.0, beyond, near_one)
    return lanes.select(small, near_zero, large)


@vector_function("arctan", native_single=True)
def arctan(lanes: Lanes, x: Value) -> Value:
    """Arctangent, about 0, π/4 or π/2 by one quotient."""
    magnitude = x.absolute()
    middle, large = magnitude > TAN_EIGHTH, magnitude > 1.0 / TAN_EIGHTH
    numerator = lanes.select(middle, magnitude - 1.0, magnitude)
    denominator = lanes.select(middle, magnitude + 1.0, lanes.number(1.0))
    numerator = lanes.select(large, -1.0, numerator)
    denominator = lanes.select(large, magnitude, denominator)
    turn = lanes.select(large, 2.0, lanes.select(middle, 1.0, lanes.number(0.0)))
    t = numerator / denominator
    z = t * t
    tail = lanes.polynomial(z, lanes.coefficients("arctan_tail"))
    high, low = lanes.coefficients("quarter_pi")
    rest = t + lanes.fma(t * z, tail, turn * low)
    return lanes.fma(turn, high, rest).with_sign_of(x)


def _scaled_sides(lanes: Lanes, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """(lesser, greater, mask |y| > |x|) of finite numbers with the ratio of |x| and |y|."""
    a, b = y.absolute(), x.absolute()
    infinity = float("inf")
    infinite = (a == infinity) | (b == infinity)
    a = lanes.select(infinite, lanes.select(a == infinity, 1.0, lanes.number(0.0)), a)
    b = lanes.select(infinite, lanes.select(b == infinity, 1.0, lanes.number(0.0)), b)
    swapped = a > b
    greater, lesser = lanes.select(swapped, a, b), lanes.select(swapped, b, a)
    if not lanes.rounds_to_single:
        scaling = lanes.select(greater > 2.0**900, 2.0**-200, lanes.number(1.0))
        # The quotient's residual must not underflow.
        small = (lesser < 2.0**-700) & (greater < 2.0**600)
        scaling = lanes.select(small, 2.0**300, scaling)
        greater, lesser = greater * scaling, lesser * scaling
    return lesser, greater, swapped


def _ratio(lanes: Lanes, numerator: Pair, denominator: Pair) -> Pair:
    """A quotient with its rounding error, by one division; 0 for 0/0."""
    empty = denominator.high == 0.0
    if lanes.rounds_to_single:
        ratio = numerator.high / denominator.high
        return Pair(lanes.select(empty, 0.0, ratio), lanes.number(0.0))
    inverse = 1.0 / denominator.high
    quotient = numerator.high * inverse
    residual = cancelling_fma(-quotient, denominator.high, numerator.high)
    residual = residual + lanes.fma(-quotient, denominator.low, numerator.low)
    return Pair(lanes.select(empty, 0.0, quotient), lanes.select(empty, 0.0, residual * inverse))


@vector_function("arctan2", 2)
def arctan2(lanes: Lanes, y: Value, x: Value) -> Value:
    """The angle of the point (x, y) in (−π, π], signed zeros and infinities as in C99."""
    lesser, greater, swapped = _scaled_sides(lanes, x, y)
    middle = lesser > greater * TAN_EIGHTH
    difference = fast_two_sum(-greater, lesser)
    total = fast_two_sum(greater, lesser)
    zero = lanes.number(0.0)
    t = _ratio(
        lanes,
        Pair(
            lanes.select(middle, difference.high, lesser),
            lanes.select(middle, difference.low, zero),
        ),
        Pair(lanes.select(middle, total.high, greater), lanes.select(middle, total.low, zero)),
    )
    z = t.high * t.high
    tail = lanes.polynomial(z, lanes.short_coefficients("arctan_tail"))
    rest = lanes.fma(t.high * z, tail, t.low)
    # The angle is `turn` quarters of π plus or minus arctan t.
    turn = lanes.select(middle, 1.0, zero)
    turn = lanes.select(swapped, 2.0 - turn, turn)
    left = x.negative_bit()
    turn = lanes.select(left, 4.0 - turn, turn)
    minus = lanes.select(swapped ^ left, -1.0, lanes.number(1.0))
    high, low = lanes.coefficients("quarter_pi")
    inner = lanes.fma(minus, t.high, lanes.fma(minus, rest, turn * low))
    angle = lanes.fma(turn, high, inner).with_sign_of(y)
    undefined = x.is_nan() | y.is_nan()
    return lanes.select(undefined, lanes.number(float("nan")), angle)
