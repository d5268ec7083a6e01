"""sin and cos by one odd polynomial on [−π/2, π/2], tan by one on [−π/4, π/4].

x = n·π + r by three parts of π (Cody and Waite 1980), each product with FMA; where any lane is
too large for that, a branch goes to `large_argument`, which multiplies by as many bits of 1/π as
it takes (Payne and Hanek 1983).
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.render.vector_math.exact import (
    Pair,
    cancelling_fma,
    fast_two_sum,
    two_product,
    two_sum,
)
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.large_argument import Period, reduce_large
from codegen.render.vector_math.registry import vector_function

# The parts of π give r to full relative accuracy, and n below the rounder's capacity, up to here.
MODERATE = {"float64": 2.0**30, "float32": 2.0**14}


@dataclass(frozen=True, slots=True)
class HalfTurns:
    """x = n·π + r, for cos (n − ½)·π + r; `parity` is an integer whose lowest bit is that of n."""

    r: Value
    parity: Value


def reduce_moderate(lanes: Lanes, x: Value, period: Period) -> HalfTurns:
    """The nearest n and its r, for |x| ≤ MODERATE."""
    (inverse_pi,) = lanes.coefficients("inverse_pi")
    rounder = lanes.form.rounder
    if period == "cos":
        shifted = lanes.fma(x, inverse_pi, 0.5) + rounder
        turns = (shifted - rounder) - 0.5
    else:
        shifted = lanes.fma(x, inverse_pi, rounder)
        turns = shifted - rounder
    r = x
    for part in lanes.coefficients("pi"):
        r = cancelling_fma(turns, -part, r)
    return HalfTurns(r, shifted.bits())


def reduce_any(lanes: Lanes, x: Value, period: Period) -> HalfTurns:
    """The reduction of any x: a branch leaves the usual path where a lane is large."""
    usual = reduce_moderate(lanes, x, period)
    limit = MODERATE[lanes.form.name]
    return HalfTurns(*reduce_large(lanes, x, limit, period, usual.r, usual.parity))


def sine_of_half_turns(lanes: Lanes, turns: HalfTurns) -> Value:
    """(−1)ⁿ·sin r."""
    r = turns.r
    z = r * r
    tail = lanes.polynomial(z, lanes.coefficients("sin_tail"))
    sine = lanes.fma(z * r, tail, r)
    # Rounding errors must not leave the domain of arcsin.
    sine = lanes.at_least(lanes.at_most(sine, 1.0), -1.0)
    sign = turns.parity << (lanes.form.bits - 1)
    return (sine.bits() ^ sign).as_float()


@vector_function("sin", native_single=True)
def sin(lanes: Lanes, x: Value) -> Value:
    """Sine; NaN at ±inf."""
    result = sine_of_half_turns(lanes, reduce_any(lanes, x, "sin"))
    return lanes.select(x == 0.0, x, result)


@vector_function("cos", native_single=True)
def cos(lanes: Lanes, x: Value) -> Value:
    """Cosine, as ±sin about the odd multiples of π/2; NaN at ±inf."""
    return sine_of_half_turns(lanes, reduce_any(lanes, x.absolute(), "cos"))


def reduce_quarter_turns(lanes: Lanes, x: Value) -> tuple[Pair, Value]:
    """x = n·π/2 + (high + low), and an integer with the lowest bit of n."""
    (inverse_pi,) = lanes.coefficients("inverse_pi")
    rounder = lanes.form.rounder
    shifted = lanes.fma(x, 2 * inverse_pi, rounder)
    turns = shifted - rounder
    first, second, third = (part / 2 for part in lanes.coefficients("pi"))
    exact = cancelling_fma(turns, -first, x)
    product = two_product(turns, -second)
    rest = two_sum(exact, product.high)
    low = rest.low + lanes.fma(turns, -third, product.low)
    r = fast_two_sum(rest.high, low)
    limit = MODERATE[lanes.form.name]
    high, parity = reduce_large(lanes, x, limit, "tan", r.high, shifted.bits())
    return Pair(high, lanes.select(x.absolute() > limit, 0.0, r.low)), parity


@vector_function("tan", native_single=True)
def tan(lanes: Lanes, x: Value) -> Value:
    """Tangent; in odd quarter turns −1/tan r, corrected for both roundings."""
    r, parity = reduce_quarter_turns(lanes, x)
    z = r.high * r.high
    tail = lanes.polynomial(z, lanes.coefficients("tan_tail"))
    # tan(r + δ) ≈ tan r + δ·(1 + tan² r); to first order r² is near enough to tan² r.
    rest = lanes.fma(r.high * z, tail, lanes.fma(r.low, z, r.low))
    tangent = fast_two_sum(r.high, rest)
    inverse = -1.0 / tangent.high
    residual = cancelling_fma(inverse, tangent.high, lanes.number(1.0))
    residual = lanes.fma(inverse, tangent.low, residual)
    inverse = lanes.fma(inverse, residual, inverse)
    odd = (parity & 1) != 0
    return lanes.select(x == 0.0, x, lanes.select(odd, inverse, tangent.high))


def pair_sin_of_turns(lanes: Lanes, x: Value) -> Pair:
    """sin(π·r) with r = x − (nearest integer), so ±sin πx, for any |x| below 2⁵¹."""
    r = x - lanes.call("llvm.rint", x)
    high, low, _ = lanes.coefficients("pi")
    angle = two_product(r, high)
    rest = lanes.fma(r, low, angle.low)
    z = angle.high * angle.high
    tail = lanes.polynomial(z, lanes.coefficients("sin_tail"))
    # The derivative of the sine, cos ≈ 1 − z/2, is near enough where the rest matters.
    correction = lanes.fma(rest * z, -0.5, rest)
    return fast_two_sum(angle.high, lanes.fma(angle.high * z, tail, correction))


def sin_of_turns(lanes: Lanes, x: Value) -> Value:
    """As `pair_sin_of_turns`, rounded."""
    return pair_sin_of_turns(lanes, x).high
