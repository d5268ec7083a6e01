"""arcsinh, arccosh and arctanh: logarithms of sums and quotients held as pairs."""

from __future__ import annotations

from codegen.render.vector_math import exact
from codegen.render.vector_math.exact import Pair, fast_two_sum, two_product, two_sum
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.logarithm import (
    decompose,
    log_of_decomposed,
    log_of_sum,
    log_specials,
)
from codegen.render.vector_math.registry import vector_function

# Above, √(x² ± 1) is x to within the error of a pair that is about to be rounded.
LARGE = 2.0**40


# Below, two terms of the series are enough for float32, and logarithms near 1 for float64.
SERIES = 2.0**-8


def _log_or_doubled(lanes: Lanes, x: Value, total: Value) -> Value:
    """log(total), but log(2x) where x is large, for float32; infinity and NaN stay."""
    large = x > LARGE
    argument = lanes.select(large, x + x, total)
    result = log_of_decomposed(lanes, decompose(lanes, argument, subnormal=False))
    return lanes.select(x < float("inf"), result, x)


def _log_of_sum_or_double(lanes: Lanes, x: Value, total: Pair) -> Value:
    """log(total), but log(2x) where x is large; infinity and NaN stay."""
    large = x > LARGE
    high = lanes.select(large, x, total.high)
    low = lanes.select(large, 0.0, total.low)
    doublings = lanes.select(large, 1.0, lanes.number(0.0))
    result = log_of_sum(lanes, Pair(high, low), doublings)
    return lanes.select(x < float("inf"), result, x)


@vector_function("arcsinh")
def arcsinh(lanes: Lanes, x: Value) -> Value:
    """log(|x| + √(x² + 1)), with the sign of x."""
    magnitude = x.absolute()
    bounded = lanes.at_most(magnitude, LARGE)
    if lanes.rounds_to_single:
        short_root = lanes.fma(bounded, bounded, 1.0).square_root()
        logarithm = _log_or_doubled(lanes, magnitude, short_root + bounded)
        series = lanes.fma(x * x, x * (-1 / 6), x)
        return lanes.select(magnitude < SERIES, series, logarithm).with_sign_of(x)
    square = exact.add_value(two_product(bounded, bounded), lanes.number(1.0))
    root = exact.square_root(square)
    total = two_sum(root.high, bounded)
    total = fast_two_sum(total.high, total.low + root.low)
    result = _log_of_sum_or_double(lanes, magnitude, total).with_sign_of(x)
    return lanes.select(magnitude < 2.0**-30, x, result)


@vector_function("arccosh")
def arccosh(lanes: Lanes, x: Value) -> Value:
    """log(x + √(x² − 1)) with x = 1 + t, x² − 1 = t·(2 + t); NaN below 1."""
    t = lanes.at_most(x, LARGE) - 1.0
    if lanes.rounds_to_single:
        above_one = lanes.fma(t, t, t + t).square_root() + t
        result = _log_or_doubled(lanes, x, above_one + 1.0)
        return lanes.select(x < 1.0, lanes.number(float("nan")), result)
    square = exact.add(two_product(t, t), Pair(t + t, lanes.number(0.0)))
    root = exact.square_root(square)
    # t and the root may be in either order, their sum with 1 too.
    total = two_sum(root.high, t)
    above = two_sum(total.high, lanes.number(1.0))
    total = fast_two_sum(above.high, above.low + (total.low + root.low))
    result = _log_of_sum_or_double(lanes, x, total)
    result = lanes.select(x == 1.0, 0.0, result)
    return lanes.select(x < 1.0, lanes.number(float("nan")), result)


@vector_function("arctanh")
def arctanh(lanes: Lanes, x: Value) -> Value:
    """½·log((1 + x)/(1 − x)); infinite at ±1, NaN beyond."""
    magnitude = x.absolute()
    one = lanes.number(1.0)
    if lanes.rounds_to_single:
        ratio = (x + 1.0) / (1.0 - x)
        logarithm = log_specials(
            lanes, ratio, log_of_decomposed(lanes, decompose(lanes, ratio, subnormal=False)) * 0.5
        )
        series = lanes.fma(x * x, x * (1 / 3), x)
        return lanes.select(magnitude < SERIES, series, logarithm)
    quotient = exact.divide(fast_two_sum(one, magnitude), fast_two_sum(one, -magnitude))
    result = log_of_sum(lanes, quotient) * 0.5
    # The quotient at 1 is infinite, beyond 1 negative.
    result = log_specials(lanes, quotient.high, result)
    result = lanes.select(magnitude == 1.0, float("inf"), result)
    result = lanes.select(magnitude < 2.0**-30, magnitude, result)
    result = lanes.select(magnitude > 1.0, lanes.number(float("nan")), result)
    return result.with_sign_of(x)
