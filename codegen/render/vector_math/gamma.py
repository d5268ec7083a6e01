"""The logarithm of |Γ| and its derivative."""

from __future__ import annotations

from codegen.render.vector_math import exact
from codegen.render.vector_math.branch import where_any
from codegen.render.vector_math.exact import (
    Pair,
    cancelling_fma,
    fast_two_sum,
    two_product,
    two_sum,
)
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.logarithm import decompose, log_of_decomposed
from codegen.render.vector_math.power import log_pair
from codegen.render.vector_math.registry import vector_function
from codegen.render.vector_math.trigonometric import pair_sin_of_turns, sin_of_turns

# From here on the asymptotic series are accurate.
ASYMPTOTIC = 8.0
# x·(log x − 1) is log Γ(x) to full accuracy far below this.
HUGE = 2.0**100
# Closer to zero from below, log|Γ(x)| is −log|x|, and the reflection's product would vanish.
REFLECTED = -(2.0**-60)


def _descend(lanes: Lanes, x: Value) -> tuple[Value, Pair]:
    """(y, product) with 1.5 ≤ y ≤ 2.5 and Γ(x) = Γ(y)·product, for 2.5 < x < 8."""
    y, product = x, Pair(lanes.number(1.0), lanes.number(0.0))
    for _ in range(6):
        lower = y > 2.5
        y = lanes.select(lower, y - 1.0, y)
        factor = lanes.select(lower, y, 1.0)
        if lanes.rounds_to_single:
            product = Pair(product.high * factor, product.low)
        else:
            product = exact.multiply_value(product, factor)
    return y, product


def _log(lanes: Lanes, x: Value) -> Pair:
    """log x, as a pair where the result needs one."""
    if lanes.rounds_to_single:
        return Pair(log_of_decomposed(lanes, decompose(lanes, x)), lanes.number(0.0))
    return log_pair(lanes, x)


def _log_gamma_small(lanes: Lanes, x: Value) -> Pair:
    """log Γ(x) for 0 < x < 8: ±log(a) + p(d), the latter about 2."""
    one, zero = lanes.number(1.0), lanes.number(0.0)
    above, below, tiny = x > 2.5, x < 1.5, x < 0.5
    y, product = _descend(lanes, x)
    # Below 1.5, Γ(x) = Γ(x + 1)/x = Γ(x + 2)/(x·(x + 1)). Where x + 1 is not exact, x is so small
    # that log x is all that counts.
    raised = lanes.select(tiny, x + 1.0, one)
    divisor = two_product(x, raised)
    d = lanes.select(below, lanes.select(tiny, x, x - 1.0), y - 2.0)
    argument = lanes.select(below, divisor.high, product.high)
    logarithm = _log(lanes, argument)
    sign = lanes.select(above, one, lanes.number(-1.0))
    first, *others = lanes.short_coefficients("loggamma")
    rest = d * d * lanes.polynomial(d, others)
    if lanes.rounds_to_single:
        value = lanes.fma(d, first, rest) + logarithm.high * sign
        return Pair(value, zero)
    lost = lanes.select(below, lanes.select(tiny, divisor.low, zero), product.low)
    logarithm = Pair(logarithm.high, logarithm.low + lost / argument)
    series = two_product(d, first)
    series = fast_two_sum(series.high, series.low + rest)
    return exact.add(Pair(logarithm.high * sign, logarithm.low * sign), series)


def _log_gamma_large(lanes: Lanes, x: Value) -> Pair:
    """log Γ(x) for 8 ≤ x ≤ HUGE, by Stirling's series."""
    logarithm = _log(lanes, x)
    inverse = 1.0 / x
    tail = inverse * lanes.polynomial(inverse * inverse, lanes.coefficients("stirling"))
    high, low = lanes.coefficients("half_log_two_pi")
    if lanes.rounds_to_single:
        value = lanes.fma(x - 0.5, logarithm.high, (high - x) + tail)
        return Pair(value, lanes.number(0.0))
    main = exact.multiply_value(logarithm, x - 0.5)
    rest = two_sum(-x, lanes.number(high))
    return exact.add(main, Pair(rest.high, rest.low + (tail + low)))


def _log_gamma_reflected(lanes: Lanes, magnitude: Value, positive: Value) -> Value:
    """log|Γ(−z)| = log(π/(z·|sin πz|)) − log Γ(z)."""
    sine = sin_of_turns(lanes, magnitude).absolute()
    log_product = _log(lanes, sine * magnitude)
    high, low = lanes.coefficients("log_pi")
    total = two_sum(positive, log_product.high)
    difference = two_sum(lanes.number(high), -total.high)
    return difference.high + (difference.low + (low - (total.low + log_product.low)))


@vector_function("gammaln")
def gammaln(lanes: Lanes, x: Value) -> Value:
    """log |Γ(x)|; infinite at zero and the negative integers; ±inf and NaN stay.

    Each range's code is branched past where no lane is in it.
    """
    magnitude = x.absolute()
    large = magnitude >= ASYMPTOTIC
    zero = lanes.number(0.0)
    small_part = lanes.select(large, 1.0, magnitude)
    result = where_any(lanes, ~large, zero, lambda: _log_gamma_small(lanes, small_part).rounded())
    huge = magnitude > HUGE
    large_part = lanes.select(large & ~huge, magnitude, ASYMPTOTIC)
    result = where_any(lanes, large, result, lambda: _log_gamma_large(lanes, large_part).rounded())
    usual = result
    result = where_any(
        lanes,
        x < REFLECTED,
        result,
        lambda: _log_gamma_reflected(lanes, lanes.at_most(magnitude, HUGE), usual),
    )

    def beyond() -> Value:
        logarithm = log_of_decomposed(lanes, decompose(lanes, magnitude, subnormal=False))
        return magnitude * (logarithm - 1.0)

    result = where_any(lanes, huge, result, beyond)
    # Without fractional part, a negative number is an integer, and so is every huge one.
    pole = (x <= 0.0) & (lanes.call("llvm.trunc", x) == x)
    result = lanes.select(pole, float("inf"), result)
    # −inf stays negative, as in SciPy.
    return lanes.select(magnitude < float("inf"), result, x)


def _digamma_near_root(lanes: Lanes, x: Value) -> tuple[Value, Pair]:
    """(mask x < 1, ψ(y) + Σ 1/(y + i)) for 0 < x < 8, y = x − k in [1, 2], or y = x + 1 below 1.

    The latter leaves out the −1/x that belongs to ψ(x) then.
    """
    zero = lanes.number(0.0)
    tiny = x < 1.0
    y, total = x, Pair(zero, zero)
    for _ in range(6):
        lower = y > 2.0
        y = lanes.select(lower, y - 1.0, y)
        inverse = 1.0 / y
        if lanes.rounds_to_single:
            total = Pair(total.high + lanes.select(lower, inverse, zero), zero)
            continue
        residual = cancelling_fma(-inverse, y, lanes.number(1.0)) * inverse
        term = two_sum(total.high, lanes.select(lower, inverse, zero))
        low = term.low + lanes.select(lower, residual, zero)
        total = Pair(term.high, total.low + low)
    root_high, root_low = lanes.coefficients("digamma_root")
    d = lanes.select(tiny, x - 0.5, y - 1.5)
    distance = lanes.select(tiny, x - (root_high - 1.0), y - root_high)
    first, *others = lanes.short_coefficients("digamma")
    if lanes.rounds_to_single:
        near = lanes.fma(d, lanes.polynomial(d, others), first) * (distance - root_low)
        return tiny, Pair(total.high + near, zero)
    slope = fast_two_sum(lanes.number(first), d * lanes.polynomial(d, others))
    product = exact.multiply(slope, Pair(distance, lanes.number(-root_low)))
    sum_high = two_sum(total.high, product.high)
    return tiny, Pair(sum_high.high, sum_high.low + (total.low + product.low))


def _digamma_small(lanes: Lanes, x: Value, negative: Value) -> Value:
    """ψ(x) for 0 < x < 8, but ψ(1 + x) where `negative`."""
    tiny, near = _digamma_near_root(lanes, x)
    inverse = 1.0 / x
    # ∓1/x as a pair, since the rest may nearly cancel a third of it; near zero it is all.
    residual = cancelling_fma(-inverse, x, lanes.number(1.0)) * inverse
    usual = inverse < 2.0**60
    term = lanes.select(negative, inverse, -inverse)
    term_low = lanes.select(negative, residual, -residual)
    total = two_sum(term, near.high)
    summed = total.high + (total.low + (near.low + term_low))
    moved = lanes.select(usual, summed, term)
    # ψ(x) is `near` but for −1/x below 1; ψ(1 + x) is `near` but for 1/x from 1 on.
    return lanes.select(tiny ^ negative, moved, near.rounded())


def _digamma_large(lanes: Lanes, x: Value, negative: Value) -> Value:
    """ψ(x) = log x − 1/(2x) − 1/(12x²) + … for x ≥ 8, but ψ(1 + x) where `negative`."""
    inverse = 1.0 / x
    z = inverse * inverse
    series = z * lanes.polynomial(z, lanes.coefficients("digamma_tail"))
    logarithm = log_of_decomposed(lanes, decompose(lanes, x, subnormal=False))
    half = lanes.select(negative, 0.5, lanes.number(-0.5))
    return logarithm + lanes.fma(inverse, half, series)


def _cotangent_term(lanes: Lanes, turns: Value) -> Pair:
    """π·cot(π·turns) for |turns| ≤ ½."""
    sine = pair_sin_of_turns(lanes, turns)
    cosine = pair_sin_of_turns(lanes, 0.5 - turns.absolute())
    high, low, _ = lanes.coefficients("pi")
    return exact.multiply(exact.divide(cosine, sine), Pair(lanes.number(high), lanes.number(low)))


@vector_function("digamma")
def digamma(lanes: Lanes, x: Value) -> Value:
    """ψ(x) = Γ′(x)/Γ(x); ∓inf at ±0, NaN at the other poles and at −inf.

    Below zero by reflection, ψ(−z) = ψ(1 + z) + π·cot πz. Each range's code is branched past
    where no lane is in it.
    """
    z = x.absolute()
    negative = x < 0.0
    large = z >= ASYMPTOTIC
    small_part, large_part = lanes.select(large, 1.0, z), lanes.at_least(z, ASYMPTOTIC)
    zero = lanes.number(0.0)
    result = where_any(lanes, ~large, zero, lambda: _digamma_small(lanes, small_part, negative))
    result = where_any(lanes, large, result, lambda: _digamma_large(lanes, large_part, negative))
    after = result

    def reflected() -> Value:
        turns = z - lanes.call("llvm.rint", z)
        cotangent = _cotangent_term(lanes, turns)
        total = two_sum(cotangent.high, after)
        value = total.high + (total.low + cotangent.low)
        # So close to zero that the pair would overflow, −1/x is all that counts.
        value = lanes.select(z < 2.0**-100, -1.0 / x, value)
        pole = (turns == 0.0) | (z == float("inf"))
        return lanes.select(pole, float("nan"), value)

    result = where_any(lanes, negative, result, reflected)
    result = lanes.select(x == float("inf"), x, result)
    infinity = lanes.number(float("-inf")).flip_sign_by(x)
    return lanes.select(x == 0.0, infinity, result)
