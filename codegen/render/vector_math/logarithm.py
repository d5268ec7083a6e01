"""log and its relatives.

x = 2ᵏ·m with m in [√½, √2); log m = log((1 + s)/(1 − s)) with s = f/(2 + f), f = m − 1, a series
in s² (the arrangement of the sum that keeps the rounding errors small is the one published with
the freely distributable library of Sun Microsystems, 1993).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from codegen.render.vector_math.lanes import Format, Lanes, Value
from codegen.render.vector_math.registry import vector_function


@dataclass(frozen=True, slots=True)
class Decomposition:
    """x = 2ᵏ·(1 + f), 1 + f in [√½, √2), f exact."""

    k: Value
    f: Value
    encoded: Value


def _bits_of(form: Format, value: float) -> int:
    code = ">d" if form.bits == 64 else ">f"
    return int.from_bytes(struct.pack(code, value), "big")


def decompose(lanes: Lanes, x: Value, *, subnormal: bool = True) -> Decomposition:
    """k and f of x; nonsense, but no trap, where x is not positive and finite.

    `encoded` holds k plus the format's bias. `subnormal=False` leaves out the scaling that only
    subnormal x need.
    """
    form = lanes.form
    shift = form.fraction_bits
    bias = float(form.bias)
    extra: Value | float = bias
    if subnormal:
        tiny = x < form.smallest_normal
        x = lanes.select(tiny, x * 2.0 ** (shift + 2), x)
        extra = lanes.select(tiny, bias + shift + 2, lanes.number(bias))
    one, start = _bits_of(form, 1.0), _bits_of(form, 0.5**0.5)
    moved = x.bits() + (one - start)
    encoded = moved >> shift
    significand = (moved & ((1 << shift) - 1)) + start
    f = significand.as_float() - 1.0
    # An integer below 2^fraction_bits, or-ed into the bits of that power, is their sum.
    base = 2.0**shift
    k = (encoded | _bits_of(form, base)).as_float() - base
    return Decomposition(k - extra, f, encoded)


def tail_of_log(lanes: Lanes, f: Value, half_square: Value) -> Value:
    """log(1 + f) − f + f²/2 for 1 + f in [√½, √2)."""
    s = f / (f + 2.0)
    z = s * s
    rest = z * lanes.polynomial(z, lanes.coefficients("atanh_tail"))
    return s * (half_square + rest)


def log_of_decomposed(lanes: Lanes, parts: Decomposition) -> Value:
    """k·log 2 + log(1 + f)."""
    high, low = lanes.coefficients("ln2")
    half_square = parts.f * parts.f * 0.5
    tail = lanes.fma(parts.k, low, tail_of_log(lanes, parts.f, half_square))
    return lanes.fma(parts.k, high, parts.f - (half_square - tail))


def log_specials(lanes: Lanes, x: Value, result: Value) -> Value:
    """`result`, but −inf at zero, NaN below, and inf and NaN as they are."""
    result = lanes.select(x < float("inf"), result, x)
    below = lanes.select(x == 0.0, float("-inf"), lanes.number(float("nan")))
    return lanes.select(x > 0.0, result, below)


@vector_function("log", native_single=True)
def log(lanes: Lanes, x: Value) -> Value:
    """Natural logarithm."""
    return log_specials(lanes, x, log_of_decomposed(lanes, decompose(lanes, x)))
