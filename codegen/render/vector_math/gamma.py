"""The logarithm of |Γ| and its derivative."""

from __future__ import annotations

import math

from codegen.render.vector_math import exact
from codegen.render.vector_math.exact import Pair, fast_two_sum, two_product, two_sum
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.logarithm import decompose, log_of_decomposed
from codegen.render.vector_math.power import log_pair
from codegen.render.vector_math.registry import vector_function
from codegen.render.vector_math.trigonometric import sin_of_turns

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
        product = exact.multiply_value(product, factor)
    return y, product


def _log_gamma_positive(lanes: Lanes, x: Value) -> Pair:
    """log Γ(x) for 0 < x < HUGE, as ±log(a) + p(y) near 2, else by Stirling's series."""
    one, zero = lanes.number(1.0), lanes.number(0.0)
    large = x >= ASYMPTOTIC
    above, below, tiny = x > 2.5, x < 1.5, x < 0.5
    y, product = _descend(lanes, lanes.select(large, one, x))
    # Below 1.5, Γ(x) = Γ(x + 1)/x = Γ(x + 2)/(x·(x + 1)). Where x + 1 is not exact, x is so small
    # that log x is all that counts.
    raised = lanes.select(tiny, x + 1.0, one)
    divisor = two_product(x, raised)
    divisor = Pair(divisor.high, lanes.select(tiny, divisor.low, zero))
    d = lanes.select(below, lanes.select(tiny, x, x - 1.0), y - 2.0)
    argument = Pair(
        lanes.select(below, divisor.high, product.high),
        lanes.select(below, divisor.low, product.low),
    )
    argument = Pair(lanes.select(large, x, argument.high), lanes.select(large, zero, argument.low))
    logarithm = log_pair(lanes, argument.high)
    logarithm = Pair(logarithm.high, logarithm.low + argument.low / argument.high)
    factor = lanes.select(large, x - 0.5, lanes.select(above, one, lanes.number(-1.0)))
    main = exact.multiply_value(logarithm, factor)

    near = lanes.short_coefficients("loggamma")
    series = two_product(d, near[0])
    series = fast_two_sum(series.high, series.low + d * d * lanes.polynomial(d, near[1:]))
    inverse = 1.0 / x
    tail = inverse * lanes.polynomial(inverse * inverse, lanes.coefficients("stirling"))
    high, low = lanes.coefficients("half_log_two_pi")
    stirling = two_sum(-x, lanes.number(high))
    rest = Pair(
        lanes.select(large, stirling.high, series.high),
        lanes.select(large, stirling.low + (tail + low), series.low),
    )
    return exact.add(main, rest)


@vector_function("lgamma")
def lgamma(lanes: Lanes, x: Value) -> Value:
    """log |Γ(x)|; infinite at zero and the negative integers; ±inf and NaN stay.

    Below ½ by reflection, log|Γ(x)| = log(π/|sin πx|) − log Γ(1 − x).
    """
    magnitude = x.absolute()
    huge = magnitude > HUGE
    reflected = x < REFLECTED
    bounded = lanes.select(huge, 4.0, magnitude)
    positive = _log_gamma_positive(lanes, bounded)
    # |x|·|Γ(x)|·Γ(|x|) = π/|sin πx| for x < 0.
    sine = sin_of_turns(lanes, bounded).absolute()
    product = two_product(sine, bounded)
    log_product = log_pair(lanes, product.high)
    log_high, log_low = lanes.coefficients("log_pi")
    log_low_value = lanes.number(log_low)
    total = exact.add(positive, log_product)
    mirrored = exact.add(Pair(lanes.number(log_high), log_low_value), -total)
    result = lanes.select(reflected, mirrored.rounded(), positive.rounded())
    growth = magnitude * (log_of_decomposed(lanes, decompose(lanes, magnitude)) - 1.0)
    result = lanes.select(huge, growth, result)
    infinity = lanes.number(float("inf"))
    # Without fractional part, a negative number is an integer, and so is every huge one.
    pole = (x <= 0.0) & (lanes.call("llvm.trunc", x) == x)
    result = lanes.select(pole, infinity, result)
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
        residual = lanes.fma(-inverse, y, 1.0) * inverse
        term = two_sum(total.high, lanes.select(lower, inverse, zero))
        low = term.low + lanes.select(lower, residual, zero)
        total = Pair(term.high, total.low + low)
    root_high, root_low = lanes.coefficients("digamma_root")
    d = lanes.select(tiny, x - 0.5, y - 1.5)
    distance = lanes.select(tiny, x - (root_high - 1.0), y - root_high)
    first, *others = lanes.short_coefficients("digamma")
    slope = fast_two_sum(lanes.number(first), d * lanes.polynomial(d, others))
    near = exact.multiply(slope, Pair(distance, lanes.number(-root_low)))
    sum_high = two_sum(total.high, near.high)
    return tiny, Pair(sum_high.high, sum_high.low + (total.low + near.low))


def _digamma_asymptotic(lanes: Lanes, x: Value) -> Value:
    """log x − 1/(2x) − 1/(12x²) + … for x ≥ 8."""
    inverse = 1.0 / x
    z = inverse * inverse
    series = z * lanes.polynomial(z, lanes.coefficients("digamma_tail"))
    logarithm = log_of_decomposed(lanes, decompose(lanes, x, subnormal=False))
    return logarithm + lanes.fma(inverse, -0.5, series)


@vector_function("digamma")
def digamma(lanes: Lanes, x: Value) -> Value:
    """ψ(x) = Γ′(x)/Γ(x); ∓inf at ±0, NaN at the other poles and at −inf.

    Below zero by reflection, ψ(−z) = ψ(1 + z) + π·cot πz.
    """
    z = x.absolute()
    large = z >= ASYMPTOTIC
    tiny, near = _digamma_near_root(lanes, lanes.select(large, 1.0, z))
    inverse = 1.0 / z
    asymptotic = _digamma_asymptotic(lanes, z)
    at_z = lanes.select(large, asymptotic, near.rounded())
    # −1/x as a pair, since the rest nearly cancels a third of it; near zero it is all there is.
    usual = inverse < 2.0**60
    residual = lanes.fma(-inverse, z, 1.0) * inverse
    small_sum = two_sum(-inverse, near.high)
    small = small_sum.high + (small_sum.low + (near.low - residual))
    positive = lanes.select(tiny & ~large, lanes.select(usual, small, -inverse), at_z)

    after = lanes.select(tiny & ~large, near.rounded(), at_z + inverse)
    turns = z - lanes.call("llvm.rint", z)
    quarter = 0.5 - turns.absolute()
    cotangent = sin_of_turns(lanes, quarter) / sin_of_turns(lanes, turns)
    mirrored = lanes.fma(cotangent, math.pi, after)
    result = lanes.select(x < 0.0, mirrored, positive)
    undefined = (x < 0.0) & (turns == 0.0) | (x == float("-inf"))
    result = lanes.select(undefined, float("nan"), result)
    result = lanes.select(x == float("inf"), x, result)
    pole = lanes.number(float("-inf")).flip_sign_by(x)
    return lanes.select(x == 0.0, pole, result)
