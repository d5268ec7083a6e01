"""exp, exp2 and the logistic sigmoid.

All reduce x = n·log 2 + r with |r| ≤ (log 2)/2 and scale a polynomial of r by 2ⁿ.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.render.vector_math.lanes import FLOAT64, Lanes, Value
from codegen.render.vector_math.registry import vector_function

# Beyond these, exp is 0 or infinite; within them, n fits the scaling below.
EXP_LOW = {"float64": -746.0, "float32": -104.0}
EXP_HIGH = {"float64": 710.0, "float32": 89.0}


@dataclass(frozen=True, slots=True)
class Reduction:
    """x = n·log 2 + r; `encoded` holds n in its lowest bits, two's complement."""

    n: Value
    encoded: Value
    r: Value


def clamp(lanes: Lanes, x: Value) -> Value:
    """x limited to where 2ⁿ·eʳ can be scaled; the results beyond are 0 and inf all the same."""
    bounded = lanes.at_most(x, EXP_HIGH[lanes.form.name])
    return lanes.at_least(bounded, EXP_LOW[lanes.form.name])


def reduce(lanes: Lanes, x: Value) -> Reduction:
    """The reduction of x within the clamp's bounds (Cody and Waite 1980)."""
    (log2e,) = lanes.coefficients("log2e")
    high, low = lanes.coefficients("ln2")
    shifted = lanes.fma(x, log2e, lanes.form.rounder)
    n = shifted - lanes.form.rounder
    r = lanes.fma(n, -high, x)
    return Reduction(n, shifted.bits(), lanes.fma(n, -low, r))


def exponential_of_reduced(lanes: Lanes, r: Value) -> Value:
    """eʳ for a reduced r."""
    tail = lanes.polynomial(r, lanes.coefficients("exp_tail"))
    return lanes.fma(r * r, tail, r) + 1.0


def power_of_two(lanes: Lanes, encoded: Value, offset: int = 0) -> Value:
    """2ⁿ⁺ᵒᶠᶠˢᵉᵗ for n in the lowest bits of `encoded`, where the result is a normal number."""
    shift = lanes.form.fraction_bits
    return ((encoded << shift) + ((lanes.form.bias + offset) << shift)).as_float()


def scale(lanes: Lanes, significand: Value, reduction: Reduction, x: Value) -> Value:
    """significand·2ⁿ for a significand near 1, rounded once also where that is subnormal."""
    if lanes.target.avx512 and lanes.full_register:
        return scale_by_instruction(lanes, significand, reduction.n)
    form = lanes.form
    shift = form.fraction_bits
    # The exponent field holds n only after a shift away from the end that x is near to.
    negative = x.negative_bit()
    moved = lanes.select(
        negative, (form.bias + 64) << shift, lanes.integer((form.bias - 1) << shift)
    )
    power = ((reduction.encoded << shift) + moved).as_float()
    return significand * power * lanes.select(negative, 2.0**-64, lanes.number(2.0))


def scale_by_instruction(lanes: Lanes, significand: Value, exponent: Value) -> Value:
    """significand·2^⌊exponent⌋ by AVX-512's own instruction, in a 512-bit register."""
    suffix, mask = ("pd", "i8") if lanes.form is FLOAT64 else ("ps", "i16")
    name = f"@llvm.x86.avx512.mask.scalef.{suffix}.512"
    vector = lanes.type_of("float")
    lanes.builder.declarations.add(
        f"declare {vector} {name}({vector}, {vector}, {vector}, {mask}, i32)"
    )
    current_rounding = 4
    return lanes.write(
        "float",
        f"call {vector} {name}({vector} {significand.register}, {vector} {exponent.register}, "
        f"{vector} zeroinitializer, {mask} -1, i32 {current_rounding})",
    )


def exponential_by_table(lanes: Lanes, x: Value) -> Value:
    """exp by a table of 16 powers of 2^(1/16), which AVX-512 holds in two registers (float64)."""
    (log2e,) = lanes.coefficients("log2e")
    high, low = lanes.coefficients("ln2")
    rounder = lanes.form.rounder
    shifted = lanes.fma(x, 16 * log2e, rounder)
    n = shifted - rounder
    r = lanes.fma(n, -low / 16, lanes.fma(n, -high / 16, x))
    tail = lanes.horner(r, lanes.coefficients("exp_table_tail"))
    growth = lanes.fma(r * r, tail, r)
    power = look_up_sixteen(lanes, lanes.coefficients("exp_table"), shifted.bits())
    return scale_by_instruction(lanes, lanes.fma(power, growth, power), n * 0.0625)


def look_up_sixteen(lanes: Lanes, table: tuple[float, ...], index: Value) -> Value:
    """table[index mod 16] for eight doubles, by one permutation of two registers."""
    halves = [
        "<" + ", ".join(f"double {lanes.scalar_literal(value)}" for value in half) + ">"
        for half in (table[:8], table[8:])
    ]
    name = "@llvm.x86.avx512.vpermi2var.pd.512"
    lanes.builder.declarations.add(
        f"declare <8 x double> {name}(<8 x double>, <8 x i64>, <8 x double>)"
    )
    return lanes.write(
        "float",
        f"call <8 x double> {name}(<8 x double> {halves[0]}, <8 x i64> {index.register}, "
        f"<8 x double> {halves[1]})",
    )


@vector_function("exp", native_single=True)
def exp(lanes: Lanes, x: Value) -> Value:
    """eˣ."""
    x = clamp(lanes, x)
    if lanes.target.avx512 and lanes.full_register and lanes.form is FLOAT64:
        return exponential_by_table(lanes, x)
    reduction = reduce(lanes, x)
    return scale(lanes, exponential_of_reduced(lanes, reduction.r), reduction, x)


@vector_function("exp2", native_single=True)
def exp2(lanes: Lanes, x: Value) -> Value:
    """2ˣ, exact for integers."""
    form = lanes.form
    bounded = lanes.at_most(x, float(form.bias + 2))
    bounded = lanes.at_least(bounded, float(-form.bias - form.fraction_bits - 2))
    shifted = bounded + form.rounder
    n = shifted - form.rounder
    high, low = lanes.coefficients("ln2")
    fraction = bounded - n
    reduction = Reduction(n, shifted.bits(), lanes.fma(fraction, high, fraction * low))
    return scale(lanes, exponential_of_reduced(lanes, reduction.r), reduction, bounded)


@vector_function("expit", native_single=True)
def expit(lanes: Lanes, x: Value) -> Value:
    """1/(1 + e⁻ˣ), also where that is subnormal."""
    decay = exp(lanes, -x.absolute())
    return lanes.select(x < 0.0, decay, 1.0) / (decay + 1.0)
