"""sin and cos by one odd polynomial on [−π/2, π/2].

x = n·π + r by three parts of π (Cody and Waite 1980), each product with FMA; where any lane is
too large for that, a branch goes to `large_argument`, which multiplies by as many bits of 1/π as
it takes (Payne and Hanek 1983).
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.render.vector_math.exact import cancelling_fma
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
