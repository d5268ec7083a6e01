"""log and its relatives.

x = 2ᵏ·m with m in [√½, √2); log m = log((1 + s)/(1 − s)) with s = f/(2 + f), f = m − 1, a series
in s² (the arrangement of the sum that keeps the rounding errors small is the one published with
the freely distributable library of Sun Microsystems, 1993).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from codegen.render.vector_math.exact import Pair, fast_two_sum, two_product
from codegen.render.vector_math.exponential import exp, exp2
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


def log_of_sum(lanes: Lanes, total: Pair, doublings: Value | None = None) -> Value:
    """log(high + low), with the low part's share also where the sum is near 1.

    `doublings` counts further factors of two. `high` must be a normal number.
    """
    parts = decompose(lanes, total.high, subnormal=False)
    # 2⁻ᵏ; where that is out of range, the low part does not matter.
    shift = lanes.form.fraction_bits
    unscale = ((2 * lanes.form.bias - parts.encoded) << shift).as_float()
    scaled = lanes.select(parts.k < lanes.form.bias / 2, total.low * unscale, 0.0)
    f = fast_two_sum(parts.f, scaled)
    if doublings is not None:
        parts = replace(parts, k=parts.k + doublings)
    return log_of_decomposed(lanes, replace(parts, f=f.high)) + f.low


@vector_function("log1p", native_single=True)
def log1p(lanes: Lanes, x: Value) -> Value:
    """log(1 + x): what rounding takes from 1 + x comes back as the sum's low part."""
    total = x + 1.0
    # x − (total − 1) is that part where x is small, 1 − (total − x) where it is large.
    lost = lanes.select(x < 1.0, x - (total - 1.0), 1.0 - (total - x))
    result = lanes.select(x == 0.0, x, log_of_sum(lanes, Pair(total, lost)))
    return log_specials(lanes, total, result)


def scaled_log(lanes: Lanes, x: Value, factor: str, unit: str) -> Value:
    """log(x)·factor + …, with the product in two parts: exact at powers of the base.

    `factor` names 1/log(base) in two parts, `unit` log 2/log(base) in two parts.
    """
    parts = decompose(lanes, x)
    f = parts.f
    half_square = f * f * 0.5
    leading = fast_two_sum(f, -half_square)
    low = leading.low + tail_of_log(lanes, f, half_square)
    high_factor, low_factor = lanes.coefficients(factor)
    product = two_product(leading.high, high_factor)
    low = lanes.fma(low, high_factor, lanes.fma(leading.high, low_factor, product.low))
    high_unit, low_unit = lanes.coefficients(unit)
    total = fast_two_sum(parts.k * high_unit, product.high)
    low = lanes.fma(parts.k, low_unit, low + total.low)
    return log_specials(lanes, x, total.high + low)


@vector_function("log2", native_single=True)
def log2(lanes: Lanes, x: Value) -> Value:
    """Base-2 logarithm."""
    return scaled_log(lanes, x, "log2e_parts", "one")


@vector_function("log10", native_single=True)
def log10(lanes: Lanes, x: Value) -> Value:
    """Base-10 logarithm."""
    return scaled_log(lanes, x, "log10e_parts", "log10_2")


@vector_function("logaddexp2", 2)
def logaddexp2(lanes: Lanes, x: Value, y: Value) -> Value:
    """log₂(2ˣ + 2ʸ), as the greater plus log₂(1 + 2^−|x − y|)."""
    greater = lanes.select(x > y, x, y)
    (log2e,) = lanes.coefficients("log2e")
    rest = log1p(lanes, exp2(lanes, -(x - y).absolute()))
    return lanes.select(x == y, x + 1.0, lanes.fma(rest, log2e, greater))


@vector_function("logaddexp", 2)
def logaddexp(lanes: Lanes, x: Value, y: Value) -> Value:
    """log(eˣ + eʸ), as the greater plus log(1 + e^−|x − y|)."""
    greater = lanes.select(x > y, x, y)
    difference = lanes.select(x == y, 0.0, x - y)
    return greater + log1p(lanes, exp(lanes, -difference.absolute()))
