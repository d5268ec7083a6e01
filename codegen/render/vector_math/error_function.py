"""erf, erfc and erfinv."""

from __future__ import annotations

from codegen.render.vector_math.exact import divide, fast_two_sum, two_product
from codegen.render.vector_math.exponential import (
    exponential_of_reduced,
    power_of_two,
    reduce,
)
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.logarithm import decompose, log_of_decomposed
from codegen.render.vector_math.power import exponential_for_single, exponential_of_pair
from codegen.render.vector_math.registry import vector_function

# From here on erf rounds to 1.
ERF_SATURATION = {"float64": 6.0, "float32": 4.0}
# erfc is 0 in float64 from here on.
ERFC_HIGH = 28.0
ERFC_POLE = 3.75


@vector_function("erf", native_single=True)
def erf(lanes: Lanes, x: Value) -> Value:
    """Error function: an odd polynomial up to 1, beyond it 1 − e^−p(|x|)."""
    magnitude = lanes.at_most(x.absolute(), ERF_SATURATION[lanes.form.name])
    exponent = lanes.polynomial(magnitude, lanes.coefficients("erf_large"))
    reduction = reduce(lanes, -exponent)
    power = power_of_two(lanes, reduction.encoded)
    large = lanes.fma(-exponential_of_reduced(lanes, reduction.r), power, 1.0)
    z = x * x
    small = lanes.fma(magnitude, lanes.polynomial(z, lanes.coefficients("erf_small")), magnitude)
    return lanes.select(magnitude < 1.0, small, large).with_sign_of(x)


@vector_function("erfc")
def erfc(lanes: Lanes, x: Value) -> Value:
    """1 − erf x without cancellation: e^−x²·p(t)/(1 + 2x) with t = (x − 3.75)/(x + 3.75)."""
    magnitude = lanes.at_most(x.absolute(), ERFC_HIGH)
    t = (magnitude - ERFC_POLE) / (magnitude + ERFC_POLE)
    coefficients = lanes.short_coefficients("erfc")
    one = lanes.number(1.0)
    square = two_product(magnitude, magnitude)
    if lanes.rounds_to_single:
        value = lanes.polynomial(t, coefficients) / (magnitude + magnitude + 1.0)
        positive = value * exponential_for_single(lanes, -square.high)
    else:
        rest = t * lanes.polynomial(t, coefficients[1:])
        value_pair = fast_two_sum(lanes.number(coefficients[0]), rest)
        doubled = magnitude + magnitude
        above = lanes.select(doubled > 1.0, doubled, one)
        below = lanes.select(doubled > 1.0, one, doubled)
        factor = divide(value_pair, fast_two_sum(above, below))
        positive = exponential_of_pair(lanes, -square, factor)
    result = lanes.select(x < 0.0, 2.0 - positive, positive)
    if lanes.rounds_to_single:
        return result
    # Near zero the quotient's rounding errors would be those of numbers greater than the result.
    near = lanes.polynomial(x * x, lanes.coefficients("erf_small"))
    return lanes.select(magnitude < 0.45, 1.0 - lanes.fma(x, near, x), result)


@vector_function("erfinv")
def erfinv(lanes: Lanes, y: Value) -> Value:
    """Inverse error function: y·p(w), w = −log(1 − y²), in three ranges of w (Giles 2010).

    For large w, polynomials of √w stand for the difference from y·√w.
    """
    product = (1.0 - y) * (y + 1.0)
    w = -log_of_decomposed(lanes, decompose(lanes, product, subnormal=False))
    root = w.square_root()
    middle = lanes.polynomial(w, lanes.short_coefficients("erfinv_middle"))
    excess = lanes.polynomial(root - 3.0, lanes.short_coefficients("erfinv_tail"))
    if not lanes.rounds_to_single:
        far = lanes.polynomial(root - 5.0, lanes.coefficients("erfinv_far"))
        excess = lanes.select(w < 16.0, excess, far)
    result = lanes.select(w < 5.0, y * middle, lanes.fma(y, root, y * excess))
    magnitude = y.absolute()
    edge = lanes.select(magnitude == 1.0, lanes.number(float("inf")).with_sign_of(y), float("nan"))
    return lanes.select(magnitude < 1.0, result, edge)
