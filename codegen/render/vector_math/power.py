"""pow, cbrt and hypot."""

from __future__ import annotations

from codegen.render.vector_math import exact
from codegen.render.vector_math.exact import Pair, fast_two_sum, two_product, two_sum
from codegen.render.vector_math.exponential import (
    Reduction,
    clamp,
    exponential_of_reduced,
    power_of_two,
    reduce,
    scale,
)
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.logarithm import decompose, log_of_decomposed
from codegen.render.vector_math.registry import vector_function


def log_pair(lanes: Lanes, x: Value) -> Pair:
    """log x for x > 0 to a relative error of about 2⁻⁶⁵ (float64).

    s = f/(2 + f) and the first two terms of the series 2s + (2/3)s³ + … are pairs.
    """
    parts = decompose(lanes, x)
    f = parts.f
    divisor = fast_two_sum(lanes.number(2.0), f)
    inverse = 1.0 / divisor.high
    s_high = f * inverse
    residual = exact.cancelling_fma(-s_high, divisor.high, f)
    residual = lanes.fma(-s_high, divisor.low, residual)
    s = fast_two_sum(s_high, residual * inverse)
    z = exact.multiply(s, s)
    third_high, third_low = lanes.coefficients("two_thirds")
    rest = z.high * lanes.polynomial(z.high, lanes.coefficients("atanh_tail_after"))
    cubic = fast_two_sum(lanes.number(third_high), rest)
    cubic = Pair(cubic.high, cubic.low + third_low)
    cubic = exact.multiply(exact.multiply(z, s), cubic)
    doubled = Pair(s.high + s.high, s.low + s.low)
    significand = fast_two_sum(doubled.high, cubic.high)
    significand = Pair(significand.high, significand.low + (doubled.low + cubic.low))
    ln2_high, ln2_low = lanes.coefficients("ln2")
    total = two_sum(parts.k * ln2_high, significand.high)
    low = total.low + lanes.fma(parts.k, ln2_low, significand.low)
    return fast_two_sum(total.high, low)


def exponential_for_single(lanes: Lanes, exponent: Value) -> Value:
    """eˣ in float64 to float32's accuracy, beyond float32's range in both directions."""
    bounded = lanes.at_least(lanes.at_most(exponent, 120.0), -120.0)
    reduction = reduce(lanes, bounded)
    r = reduction.r
    tail = lanes.polynomial(r, lanes.short_coefficients("exp_tail"))
    return (lanes.fma(r * r, tail, r) + 1.0) * power_of_two(lanes, reduction.encoded)


def exponential_of_pair(lanes: Lanes, total: Pair, factor: Pair | None = None) -> Value:
    """e^(high + low)·factor, infinite or zero beyond the range; NaN for a NaN high.

    The factor must be moderate. It is multiplied in before scaling, so that a subnormal result
    is rounded once.
    """
    inside = total.high.absolute() < 800.0
    low = lanes.select(inside, total.low, 0.0)
    high = clamp(lanes, total.high)
    reduction = reduce(lanes, high)
    reduction = Reduction(reduction.n, reduction.encoded, reduction.r + low)
    if factor is None:
        return scale(lanes, exponential_of_reduced(lanes, reduction.r), reduction, high)
    r = reduction.r
    growth = lanes.fma(r * r, lanes.polynomial(r, lanes.coefficients("exp_tail")), r)
    power = fast_two_sum(lanes.number(1.0), growth)
    cross = lanes.fma(power.high, factor.low, power.low * factor.high)
    return scale(lanes, lanes.fma(power.high, factor.high, cross), reduction, high)


def _power_magnitude(lanes: Lanes, base: Value, exponent: Value) -> Value:
    """baseᵉˣᵖᵒⁿᵉⁿᵗ for base ≥ 0 or NaN and a finite exponent."""
    if lanes.rounds_to_single:
        logarithm = Pair(log_of_decomposed(lanes, decompose(lanes, base)), lanes.number(0.0))
    else:
        logarithm = log_pair(lanes, base)
    finite = base < float("inf")
    high = lanes.select(finite, logarithm.high, base)
    high = lanes.select(base == 0.0, float("-inf"), high)
    if lanes.rounds_to_single:
        return exponential_for_single(lanes, exponent * high)
    product = two_product(high, exponent)
    low = lanes.fma(logarithm.low, exponent, product.low)
    return exponential_of_pair(lanes, Pair(product.high, low))


@vector_function("power", 2)
def power(lanes: Lanes, x: Value, y: Value) -> Value:
    """xʸ with the special values of C99: 1 for y = 0 or x = 1 even beside NaN."""
    # Larger exponents change nothing but infinity times log 1.
    exponent = lanes.at_least(lanes.at_most(y, 2.0**900), -(2.0**900))
    magnitude = _power_magnitude(lanes, x.absolute(), exponent)
    whole = lanes.call("llvm.trunc", y) == y
    half = y * 0.5
    odd = whole & (lanes.call("llvm.trunc", half) != half)
    signed = lanes.select(odd, magnitude.with_sign_of(x), magnitude)
    undefined = (x < 0.0) & (x > float("-inf")) & ~whole
    result = lanes.select(undefined, lanes.number(float("nan")), signed)
    return lanes.select((y == 0.0) | (x == 1.0), 1.0, result)


@vector_function("cbrt")
def cbrt(lanes: Lanes, x: Value) -> Value:
    """Cube root: a polynomial for nine digits, then one Newton step with an exact residual."""
    magnitude = x.absolute()
    parts = decompose(lanes, magnitude)
    rounder = lanes.form.rounder
    third = lanes.fma(parts.k, 1 / 3, rounder)
    thirds = third - rounder
    rest = lanes.fma(thirds, -3.0, parts.k)  # −1, 0 or 1
    above, below = rest > 0.0, rest < 0.0
    factor = lanes.select(above, 2.0, lanes.select(below, 0.5, lanes.number(1.0)))
    root_factor = lanes.select(
        above, 2.0 ** (1 / 3), lanes.select(below, 0.5 ** (1 / 3), lanes.number(1.0))
    )
    target = (parts.f + 1.0) * factor
    root = lanes.polynomial(parts.f, lanes.coefficients("cbrt")) * root_factor
    if lanes.rounds_to_single:
        return _finish_cbrt(lanes, x, magnitude, root * power_of_two(lanes, third.bits()))
    square = two_product(root, root)
    residual = exact.cancelling_fma(square.high, root, -target) + square.low * root
    root = root - residual / (square.high * 3.0)
    return _finish_cbrt(lanes, x, magnitude, root * power_of_two(lanes, third.bits()))


def _finish_cbrt(lanes: Lanes, x: Value, magnitude: Value, root: Value) -> Value:
    """The root with the sign of x; zeros, infinities and NaN as they are."""
    unusual = (magnitude == 0.0) | ~(magnitude < float("inf"))
    return lanes.select(unusual, x, root.with_sign_of(x))


@vector_function("hypot", 2)
def hypot(lanes: Lanes, x: Value, y: Value) -> Value:
    """√(x² + y²) without intermediate overflow; infinite if either is, even beside NaN."""
    a, b = x.absolute(), y.absolute()
    if lanes.rounds_to_single:
        root = lanes.fma(a, a, b * b).square_root()
    else:
        greater, lesser = lanes.select(a > b, a, b), lanes.select(a > b, b, a)
        large, small = greater > 2.0**500, greater < 2.0**-450
        scaling = lanes.select(large, 2.0**-600, lanes.number(1.0))
        scaling = lanes.select(small, 2.0**600, scaling)
        restoring = lanes.select(large, 2.0**600, lanes.number(1.0))
        restoring = lanes.select(small, 2.0**-600, restoring)
        greater, lesser = greater * scaling, lesser * scaling
        root = lanes.fma(greater, greater, lesser * lesser).square_root() * restoring
    infinite = (a == float("inf")) | (b == float("inf"))
    return lanes.select(infinite, float("inf"), root)
