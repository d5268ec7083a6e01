"""Operations on integers: NumPy's name → instructions."""

from __future__ import annotations

import numpy as np

from codegen.loops.operations import DType
from codegen.render.llvm_operands import Lanes, Rule
from codegen.render.vector_math.builder import splat


def _op(name: str) -> Rule:
    return lambda lanes, a, b: lanes.op(name, a, b)


def _signed(lanes: Lanes) -> bool:
    return lanes.dtype.kind == "i"


def _letter(lanes: Lanes) -> str:
    return "s" if _signed(lanes) else "u"


def _ordered(predicate: str) -> Rule:
    return lambda lanes, a, b: lanes.compare(_letter(lanes) + predicate, a, b)


def _extreme(predicate: str) -> Rule:
    def rule(lanes: Lanes, a: str, b: str) -> str:
        return lanes.select(lanes.compare(_letter(lanes) + predicate, a, b), a, b)

    return rule


def _divisor(lanes: Lanes, b: str) -> tuple[str, str, str]:
    """A divisor that no division fails on; the lanes where b is 0, and those where it is -1."""
    one = lanes.number(1)
    by_zero = lanes.is_zero(b)
    if not _signed(lanes):
        return lanes.select(by_zero, one, b), by_zero, ""
    by_minus_one = lanes.compare("eq", b, lanes.number(-1))
    return lanes.select(lanes.mask_op("or", by_zero, by_minus_one), one, b), by_zero, by_minus_one


def _wrong_sign(lanes: Lanes, remainder: str, divisor: str) -> str:
    """The lanes where rounding down and rounding towards zero differ."""
    differ = lanes.compare("slt", lanes.op("xor", remainder, divisor), lanes.number(0))
    return lanes.mask_op("and", lanes.not_zero(remainder), differ)


def _floor_divide(lanes: Lanes, a: str, b: str) -> str:
    divisor, by_zero, by_minus_one = _divisor(lanes, b)
    zero = lanes.number(0)
    if not by_minus_one:
        return lanes.select(by_zero, zero, lanes.op("udiv", a, divisor))
    quotient = lanes.op("sdiv", a, divisor)
    lower = _wrong_sign(lanes, lanes.op("srem", a, divisor), divisor)
    quotient = lanes.select(lower, lanes.op("sub", quotient, lanes.number(1)), quotient)
    quotient = lanes.select(by_minus_one, lanes.negated(a), quotient)
    return lanes.select(by_zero, zero, quotient)


def _remainder(lanes: Lanes, a: str, b: str) -> str:
    divisor, by_zero, by_minus_one = _divisor(lanes, b)
    if not by_minus_one:
        return lanes.select(by_zero, lanes.number(0), lanes.op("urem", a, divisor))
    remainder = lanes.op("srem", a, divisor)
    wrong = _wrong_sign(lanes, remainder, divisor)
    return lanes.select(wrong, lanes.op("add", remainder, divisor), remainder)


def _fmod(lanes: Lanes, a: str, b: str) -> str:
    divisor, by_zero, by_minus_one = _divisor(lanes, b)
    remainder = lanes.op("srem" if by_minus_one else "urem", a, divisor)
    return lanes.select(by_zero, lanes.number(0), remainder)


def _fitting(lanes: Lanes, count: str) -> str:
    """The lanes where a shift's count is less than the width."""
    return lanes.compare("ult", count, lanes.number(lanes.dtype.itemsize * 8))


def _left_shift(lanes: Lanes, a: str, b: str) -> str:
    fits, zero = _fitting(lanes, b), lanes.number(0)
    return lanes.select(fits, lanes.op("shl", a, lanes.select(fits, b, zero)), zero)


def _right_shift(lanes: Lanes, a: str, b: str) -> str:
    fits, zero = _fitting(lanes, b), lanes.number(0)
    if _signed(lanes):
        most = lanes.number(lanes.dtype.itemsize * 8 - 1)
        return lanes.op("ashr", a, lanes.select(fits, b, most))
    return lanes.select(fits, lanes.op("lshr", a, lanes.select(fits, b, zero)), zero)


def _absolute(lanes: Lanes, x: str) -> str:
    if not _signed(lanes):
        return x
    return lanes.select(lanes.compare("slt", x, lanes.number(0)), lanes.negated(x), x)


def _sign(lanes: Lanes, x: str) -> str:
    zero, one = lanes.number(0), lanes.number(1)
    if not _signed(lanes):
        return lanes.select(lanes.is_zero(x), zero, one)
    below = lanes.select(lanes.compare("slt", x, zero), lanes.number(-1), zero)
    return lanes.select(lanes.compare("sgt", x, zero), one, below)


def reciprocal_of_zero(dtype: DType) -> int:
    """What NumPy makes of 1 / 0 in an integer dtype."""
    with np.errstate(all="ignore"):
        return int(np.reciprocal(np.zeros(2, dtype))[0])


def _reciprocal(lanes: Lanes, x: str) -> str:
    zero, one = lanes.number(0), lanes.number(1)
    kept = lanes.select(lanes.compare("eq", _absolute(lanes, x), one), x, zero)
    by_zero = lanes.number(reciprocal_of_zero(lanes.dtype))
    return lanes.select(lanes.is_zero(x), by_zero, kept)


def _logical(instruction: str) -> Rule:
    return lambda lanes, a, b: lanes.mask_op(instruction, lanes.not_zero(a), lanes.not_zero(b))


def _same(lanes: Lanes, x: str) -> str:
    return x


def _mask(value: str) -> Rule:
    return lambda lanes, x: splat("i1", value, lanes.width)


def bitwise_count(lanes: Lanes, x: str) -> str:
    """How many bits of the magnitude are set, in the operand's own dtype."""
    return lanes.intrinsic("llvm.ctpop", _absolute(lanes, x))


INTEGER: dict[str, Rule] = {
    "add": _op("add"),
    "subtract": _op("sub"),
    "multiply": _op("mul"),
    "square": lambda lanes, x: lanes.op("mul", x, x),
    "negative": lambda lanes, x: lanes.negated(x),
    "absolute": _absolute,
    "sign": _sign,
    "reciprocal": _reciprocal,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "bitwise_and": _op("and"),
    "bitwise_or": _op("or"),
    "bitwise_xor": _op("xor"),
    "invert": lambda lanes, x: lanes.op("xor", x, lanes.number(-1)),
    "left_shift": _left_shift,
    "right_shift": _right_shift,
    "maximum": _extreme("ge"),
    "fmax": _extreme("ge"),
    "minimum": _extreme("le"),
    "fmin": _extreme("le"),
    "equal": lambda lanes, a, b: lanes.compare("eq", a, b),
    "not_equal": lambda lanes, a, b: lanes.compare("ne", a, b),
    "less": _ordered("lt"),
    "less_equal": _ordered("le"),
    "greater": _ordered("gt"),
    "greater_equal": _ordered("ge"),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": lambda lanes, x: lanes.is_zero(x),
    "signbit": lambda lanes, x: lanes.compare("slt", x, lanes.number(0)),
    "isnan": _mask("false"),
    "isinf": _mask("false"),
    "isfinite": _mask("true"),
    "imag": lambda lanes, x: lanes.number(0),
    **dict.fromkeys(("positive", "conjugate", "real", "floor", "ceil", "trunc"), _same),
}
"""Operations on integers but `power`, `gcd`, `lcm` and `bitwise_count`."""
