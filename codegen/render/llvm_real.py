"""Operations on floating numbers and bools: NumPy's name → instructions."""

from __future__ import annotations

import math

from codegen.render.llvm_operands import Lanes, Rule
from codegen.render.vector_math import FUNCTIONS


def _op(name: str) -> Rule:
    return lambda lanes, a, b: lanes.op(name, a, b)


def _compare(predicate: str) -> Rule:
    return lambda lanes, a, b: lanes.compare(predicate, a, b)


def _larger(lanes: Lanes, a: str, b: str) -> str:
    """NaN where either is."""
    first = lanes.mask_op("or", lanes.compare("ogt", a, b), lanes.is_nan(a))
    return lanes.select(first, a, b)


def _smaller(lanes: Lanes, a: str, b: str) -> str:
    first = lanes.mask_op("or", lanes.compare("olt", a, b), lanes.is_nan(a))
    return lanes.select(first, a, b)


def _larger_number(lanes: Lanes, a: str, b: str) -> str:
    """The other one where one is NaN."""
    first = lanes.mask_op("or", lanes.compare("ogt", a, b), lanes.is_nan(b))
    return lanes.select(first, a, b)


def _smaller_number(lanes: Lanes, a: str, b: str) -> str:
    first = lanes.mask_op("or", lanes.compare("olt", a, b), lanes.is_nan(b))
    return lanes.select(first, a, b)


def _sign(lanes: Lanes, x: str) -> str:
    zero = lanes.number(0.0)
    below = lanes.select(
        lanes.compare("olt", x, zero), lanes.number(-1.0), lanes.op("fadd", x, zero)
    )
    return lanes.select(lanes.compare("ogt", x, zero), lanes.number(1.0), below)


def _absolute(lanes: Lanes, x: str) -> str:
    return lanes.intrinsic("llvm.fabs", x)


def _logical(instruction: str) -> Rule:
    return lambda lanes, a, b: lanes.mask_op(instruction, lanes.not_zero(a), lanes.not_zero(b))


def _signbit(lanes: Lanes, x: str) -> str:
    return lanes.emitter.write(f"icmp slt {lanes.bits_type} {lanes.as_bits(x)}, zeroinitializer")


def _next_away(lanes: Lanes, x: str) -> str:
    """The neighbour of a finite number away from zero."""
    kind = lanes.bits_type
    one = "1" if lanes.width == 1 else f"splat (i{lanes.dtype.itemsize * 8} 1)"
    bits = lanes.emitter.write(f"add {kind} {lanes.as_bits(x)}, {one}")
    return lanes.emitter.write(f"bitcast {kind} {bits} to {lanes.type}")


def _spacing(lanes: Lanes, x: str) -> str:
    gap = lanes.op("fsub", _next_away(lanes, x), x)
    infinite = lanes.compare("oeq", _absolute(lanes, x), lanes.number(math.inf))
    return lanes.select(infinite, lanes.number(math.nan), gap)


def _nextafter(lanes: Lanes, x: str, y: str) -> str:
    """One step on the bits: towards larger magnitudes where y lies that way."""
    kind, emitter = lanes.bits_type, lanes.emitter
    bits = lanes.as_bits(x)
    zero = lanes.number(0.0)
    upwards = lanes.compare("ogt", y, x)
    positive = lanes.compare("ogt", x, zero)
    away = emitter.write(f"icmp eq {lanes.mask_type} {upwards}, {positive}")
    step = emitter.write(f"zext {lanes.mask_type} {away} to {kind}")
    step = emitter.write(f"add {kind} {step}, {step}")
    ones = "-1" if lanes.width == 1 else f"splat (i{lanes.dtype.itemsize * 8} -1)"
    step = emitter.write(f"add {kind} {step}, {ones}")
    moved = emitter.write(f"add {kind} {bits}, {step}")
    result = emitter.write(f"bitcast {kind} {moved} to {lanes.type}")
    least = 5e-324 if lanes.dtype.itemsize == 8 else 1e-45
    from_zero = lanes.intrinsic("llvm.copysign", lanes.number(least), y)
    result = lanes.select(lanes.is_zero(x), from_zero, result)
    result = lanes.select(lanes.compare("oeq", x, y), y, result)
    return lanes.select(lanes.compare("uno", x, y), lanes.op("fadd", x, y), result)


def binary_exponent(lanes: Lanes, x: str) -> str:
    """The exponent of `frexp` as an integer as wide as x."""
    emitter, kind = lanes.emitter, lanes.bits_type
    fraction, bias, scale = (52, 1022, 54) if lanes.dtype.itemsize == 8 else (23, 126, 25)
    bits = lanes.dtype.itemsize * 8

    def number(value: int) -> str:
        return str(value) if lanes.width == 1 else f"splat (i{bits} {value})"

    size = _absolute(lanes, x)
    tiny = lanes.compare("olt", size, lanes.number(2.0 ** (1 - bias)))
    scaled = lanes.select(tiny, lanes.op("fmul", size, lanes.number(2.0**scale)), size)
    exponent = emitter.write(f"lshr {kind} {lanes.as_bits(scaled)}, {number(fraction)}")
    mask = lanes.mask_type
    offset = emitter.write(
        f"select {mask} {tiny}, {kind} {number(bias + scale)}, {kind} {number(bias)}"
    )
    exponent = emitter.write(f"sub {kind} {exponent}, {offset}")
    ordinary = lanes.compare("one", lanes.op("fmul", x, lanes.number(0.0)), lanes.number(1.0))
    ordinary = lanes.mask_op("and", ordinary, lanes.not_zero(x))
    return emitter.write(f"select {mask} {ordinary}, {kind} {exponent}, {kind} zeroinitializer")


FLOATING: dict[str, Rule] = {
    "add": _op("fadd"),
    "subtract": _op("fsub"),
    "multiply": _op("fmul"),
    "divide": _op("fdiv"),
    "negative": lambda lanes, x: lanes.negated(x),
    "positive": lambda lanes, x: x,
    "conjugate": lambda lanes, x: x,
    "real": lambda lanes, x: x,
    "imag": lambda lanes, x: lanes.number(0.0),
    "absolute": _absolute,
    "square": lambda lanes, x: lanes.op("fmul", x, x),
    "reciprocal": lambda lanes, x: lanes.op("fdiv", lanes.number(1.0), x),
    "sign": _sign,
    "maximum": _larger,
    "minimum": _smaller,
    "fmax": _larger_number,
    "fmin": _smaller_number,
    "equal": _compare("oeq"),
    "not_equal": _compare("une"),
    "less": _compare("olt"),
    "less_equal": _compare("ole"),
    "greater": _compare("ogt"),
    "greater_equal": _compare("oge"),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": lambda lanes, x: lanes.is_zero(x),
    "isnan": lambda lanes, x: lanes.is_nan(x),
    "isinf": lambda lanes, x: lanes.compare("oeq", _absolute(lanes, x), lanes.number(math.inf)),
    "isfinite": lambda lanes, x: lanes.compare("olt", _absolute(lanes, x), lanes.number(math.inf)),
    "signbit": _signbit,
    "spacing": _spacing,
    "nextafter": _nextafter,
    **{
        name: (lambda lanes, *operands, name=name: lanes.function(name, *operands))
        for name in FUNCTIONS
    },
    "sqrt": lambda lanes, x: lanes.intrinsic("llvm.sqrt", x),
    "erfinv": lambda lanes, x: lanes.op("fadd", lanes.function("erfinv", x), lanes.number(0.0)),
}
"""Operations on floating numbers but `zeta`, `complex` and `binary_exponent`."""


def _same(lanes: Lanes, x: str) -> str:
    return x


def _false(lanes: Lanes, x: str) -> str:
    return lanes.number(False)


BOOLEAN: dict[str, Rule] = {
    **dict.fromkeys(("add", "maximum", "fmax", "logical_or", "bitwise_or"), _op("or")),
    **dict.fromkeys(("multiply", "minimum", "fmin", "logical_and", "bitwise_and"), _op("and")),
    **dict.fromkeys(("logical_xor", "bitwise_xor", "not_equal"), _op("xor")),
    **dict.fromkeys(("logical_not", "invert"), lambda lanes, x: lanes.inverted(x)),
    **dict.fromkeys(("absolute", "conjugate", "floor", "ceil", "trunc"), _same),
    **dict.fromkeys(("isnan", "isinf", "signbit"), _false),
    "isfinite": lambda lanes, x: lanes.number(True),
    "equal": _compare("eq"),
    "less": _compare("ult"),
    "less_equal": _compare("ule"),
    "greater": _compare("ugt"),
    "greater_equal": _compare("uge"),
}
"""Operations on bools, which are masks."""
