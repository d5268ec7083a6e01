"""tanh, sinh, cosh and expm1."""

from __future__ import annotations

from codegen.render.vector_math.exact import Pair, fast_two_sum
from codegen.render.vector_math.exponential import exponential_of_reduced, power_of_two, reduce
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.registry import vector_function

# Above this, tanh(x/2) is 1 to within half an ulp; below minus this, expm1 is −1.
SATURATION = 44.0
# sinh and cosh are infinite above; below, a quarter of 2ⁿ is finite.
COSH_HIGH = {"float64": 710.5, "float32": 89.5}
# expm1 is infinite above; below, half of 2ⁿ is finite.
EXPM1_HIGH = {"float64": 710.0, "float32": 89.0}


def half_expm1(lanes: Lanes, x: Value) -> Pair:
    """(eˣ − 1)/2 for −44 ≤ x ≤ 710 (float32: 89), with a correction that halves its error.

    The half keeps 2ⁿ finite up to where the result overflows.
    """
    reduction = reduce(lanes, x)
    half_power = power_of_two(lanes, reduction.encoded, -1)
    linear = half_power * reduction.r
    leading = fast_two_sum(half_power - 0.5, linear)
    tail = lanes.polynomial(reduction.r, lanes.coefficients("exp_tail"))
    return Pair(leading.high, lanes.fma(linear * reduction.r, tail, leading.low))


@vector_function("tanh", native_single=True)
def tanh(lanes: Lanes, x: Value) -> Value:
    """Hyperbolic tangent, from h = (e²ˣ − 1)/2.

    h − h·h/(h + 1) where that is a small correction of h, else 1 − 1/(h + 1): either way the
    quotient's rounding errors are those of a smaller term.
    """
    magnitude = x.absolute()
    half = half_expm1(lanes, lanes.at_most(magnitude + magnitude, SATURATION)).rounded()
    inverse = 1.0 / (half + 1.0)
    small = lanes.fma(-half, half * inverse, half)
    return lanes.select(magnitude < 0.5, small, 1.0 - inverse).with_sign_of(x)


@vector_function("expm1", native_single=True)
def expm1(lanes: Lanes, x: Value) -> Value:
    """eˣ − 1 without cancellation near zero."""
    bounded = lanes.at_most(x, EXPM1_HIGH[lanes.form.name])
    half = half_expm1(lanes, lanes.at_least(bounded, -SATURATION)).rounded()
    # A subnormal would lose its last bit by halving; the test also keeps −0.
    return lanes.select(x.absolute() < lanes.form.smallest_normal * 4, x, half + half)


def half_exponentials(lanes: Lanes, magnitude: Value) -> tuple[Value, Value]:
    """eˣ/2 and e⁻ˣ/2 for x ≥ 0, the former finite as long as cosh x is."""
    bounded = lanes.at_most(magnitude, COSH_HIGH[lanes.form.name])
    reduction = reduce(lanes, bounded)
    power = power_of_two(lanes, reduction.encoded, -2)
    quarter = exponential_of_reduced(lanes, reduction.r) * power
    return quarter + quarter, 0.125 / quarter


@vector_function("cosh", native_single=True)
def cosh(lanes: Lanes, x: Value) -> Value:
    """Hyperbolic cosine."""
    growth, decay = half_exponentials(lanes, x.absolute())
    return lanes.at_least(growth + decay, 1.0)


@vector_function("sinh", native_single=True)
def sinh(lanes: Lanes, x: Value) -> Value:
    """Hyperbolic sine: its series up to 1, above that the difference of two exponentials."""
    magnitude = x.absolute()
    growth, decay = half_exponentials(lanes, magnitude)
    large = (growth - decay).with_sign_of(x)
    z = x * x
    tail = lanes.polynomial(z, lanes.coefficients("sinh_tail"))
    small = lanes.select(z < lanes.form.smallest_normal, x, lanes.fma(x * z, tail, x))
    return lanes.select(magnitude < 1.0, small, large)
