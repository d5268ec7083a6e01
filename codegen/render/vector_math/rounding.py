"""Rounding, signs, square roots and remainders: one instruction each, or few."""

from __future__ import annotations

from codegen.render.vector_math.branch import where_any
from codegen.render.vector_math.lanes import Lanes, Value
from codegen.render.vector_math.registry import vector_function


@vector_function("sqrt", native_single=True)
def sqrt(lanes: Lanes, x: Value) -> Value:
    """Square root, correctly rounded."""
    return x.square_root()


@vector_function("floor", native_single=True)
def floor(lanes: Lanes, x: Value) -> Value:
    """The greatest integer not above x."""
    return lanes.call("llvm.floor", x)


@vector_function("ceil", native_single=True)
def ceil(lanes: Lanes, x: Value) -> Value:
    """The least integer not below x."""
    return lanes.call("llvm.ceil", x)


@vector_function("trunc", native_single=True)
def trunc(lanes: Lanes, x: Value) -> Value:
    """The integer next to x towards zero."""
    return lanes.call("llvm.trunc", x)


@vector_function("rint", native_single=True)
def rint(lanes: Lanes, x: Value) -> Value:
    """The nearest integer, of two the even one."""
    return lanes.call("llvm.rint", x)


@vector_function("copysign", 2, native_single=True)
def copysign(lanes: Lanes, x: Value, y: Value) -> Value:
    """|x| with the sign bit of y."""
    return x.with_sign_of(y)


@vector_function("nextafter", 2, native_single=True)
def nextafter(lanes: Lanes, x: Value, y: Value) -> Value:
    """The number next to x towards y."""
    away = (x < y) ^ (x < 0.0)
    moved = (x.bits() + lanes.select(away, 1, lanes.integer(-1))).as_float()
    least = lanes.integer(1).as_float().with_sign_of(y)
    moved = lanes.select(x == 0.0, least, moved)
    result = lanes.select(x == y, y, moved)
    return lanes.select(x.is_nan() | y.is_nan(), float("nan"), result)


@vector_function("spacing", native_single=True)
def spacing(lanes: Lanes, x: Value) -> Value:
    """The distance to the next number away from zero, with the sign of x; NaN at ±inf.

    As in NumPy, infinite at the largest number and positive at −0.
    """
    form = lanes.form
    exponent = x.bits() & ((2 * form.bias + 1) << form.fraction_bits)
    unit = exponent.as_float() * 2.0**-form.fraction_bits
    unit = lanes.select(unit == 0.0, lanes.integer(1).as_float(), unit)
    magnitude = x.absolute()
    unit = lanes.select(magnitude == form.largest, float("inf"), unit)
    unit = lanes.select(x < 0.0, -unit, unit)
    return lanes.select(magnitude < float("inf"), unit, float("nan"))


def _long_division(lanes: Lanes, x: Value, y: Value) -> Value:
    """The exact remainder by LLVM's `frem`, a library call a lane, out of line."""
    builder = lanes.builder
    vector = x.type
    name = f"@tracer_long_division_{lanes.form.short}x{lanes.width}"
    builder.definitions[name] = (
        f"define internal {vector} {name}({vector} %x, {vector} %y) noinline cold {{\n"
        f"  %r = frem {vector} %x, %y\n  ret {vector} %r\n}}"
    )
    return lanes.write(
        "float", f"call {vector} {name}({vector} {x.register}, {vector} {y.register})"
    )


@vector_function("fmod", 2, native_single=True)
def fmod(lanes: Lanes, x: Value, y: Value) -> Value:
    """The exact remainder of truncated division, with the sign of x.

    The quotient's integer part is at most one too large, which shows in the remainder's sign.
    A branch leads to long division where a quotient has more digits than the format.
    """
    if not lanes.target.fma:
        return _long_division(lanes, x, y)
    dividend, divisor = x.absolute(), y.absolute()
    quotient = dividend / divisor
    whole = lanes.call("llvm.trunc", quotient)
    rest = lanes.fma(-whole, divisor, dividend)
    rest = lanes.select(rest < 0.0, rest + divisor, rest)
    rest = lanes.select(dividend < divisor, dividend, rest)
    usual = rest.with_sign_of(x)
    too_long = quotient >= 2.0**lanes.form.fraction_bits
    return where_any(lanes, too_long, usual, lambda: _long_division(lanes, x, y))


@vector_function("remainder", 2, native_single=True)
def remainder(lanes: Lanes, x: Value, y: Value) -> Value:
    """The remainder of floored division, with the sign of y, as `numpy.remainder`."""
    rest = fmod(lanes, x, y)
    moved = lanes.select((rest < 0.0) ^ (y < 0.0), rest + y, rest)
    return lanes.select(rest == 0.0, lanes.number(0.0).with_sign_of(y), moved)


@vector_function("floor_divide", 2, native_single=True)
def floor_divide(lanes: Lanes, x: Value, y: Value) -> Value:
    """⌊x/y⌋ consistent with `remainder`, as `numpy.floor_divide`."""
    rest = fmod(lanes, x, y)
    quotient = (x - rest) / y
    below = (rest != 0.0) & ((rest < 0.0) ^ (y < 0.0))
    quotient = lanes.select(below, quotient - 1.0, quotient)
    whole = lanes.call("llvm.floor", quotient)
    whole = lanes.select(quotient - whole > 0.5, whole + 1.0, whole)
    ratio = x / y
    whole = lanes.select(quotient == 0.0, lanes.number(0.0).with_sign_of(ratio), whole)
    return lanes.select(y == 0.0, ratio, whole)
