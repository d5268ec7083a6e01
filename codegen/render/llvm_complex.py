"""Operations on complex numbers: NumPy's name → instructions on pairs of registers.

Products and quotients are NumPy's; elementary functions are the C library's, a lane at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codegen.render.llvm_emit import Value
from codegen.render.llvm_operands import Lanes

Pair = tuple[str, str]
ComplexRule = Callable[..., Pair]
LOG2_E = 1.4426950408889634
LOG10_E = 0.4342944819032518
LN_2 = 0.6931471805599453


def _multiply(lanes: Lanes, a: Pair, b: Pair) -> Pair:
    real = lanes.op("fsub", lanes.op("fmul", a[0], b[0]), lanes.op("fmul", a[1], b[1]))
    imaginary = lanes.op("fadd", lanes.op("fmul", a[0], b[1]), lanes.op("fmul", a[1], b[0]))
    return real, imaginary


def _parts(instruction: str) -> ComplexRule:
    def rule(lanes: Lanes, a: Pair, b: Pair) -> Pair:
        return lanes.op(instruction, a[0], b[0]), lanes.op(instruction, a[1], b[1])

    return rule


def _absolute(lanes: Lanes, x: str) -> str:
    return lanes.intrinsic("llvm.fabs", x)


def _divide(lanes: Lanes, a: Pair, b: Pair) -> Pair:
    """Smith's method, as NumPy divides; by a zero, each part by its size."""
    real_size, imaginary_size = _absolute(lanes, b[0]), _absolute(lanes, b[1])
    by_real = lanes.compare("oge", real_size, imaginary_size)
    large = lanes.select(by_real, b[0], b[1])
    small = lanes.select(by_real, b[1], b[0])
    ratio = lanes.op("fdiv", small, large)
    scale = lanes.op("fadd", large, lanes.op("fmul", small, ratio))
    scale = lanes.op("fdiv", lanes.number(1.0), scale)
    first, second = lanes.select(by_real, a[0], a[1]), lanes.select(by_real, a[1], a[0])
    real = lanes.op("fmul", lanes.op("fadd", first, lanes.op("fmul", second, ratio)), scale)
    product = lanes.op("fmul", first, ratio)
    difference = lanes.select(
        by_real, lanes.op("fsub", second, product), lanes.op("fsub", product, second)
    )
    imaginary = lanes.op("fmul", difference, scale)
    by_zero = lanes.mask_op("and", lanes.is_zero(b[0]), lanes.is_zero(b[1]))
    return (
        lanes.select(by_zero, lanes.op("fdiv", a[0], real_size), real),
        lanes.select(by_zero, lanes.op("fdiv", a[1], real_size), imaginary),
    )


def _reciprocal(lanes: Lanes, x: Pair) -> Pair:
    by_real = lanes.compare("ole", _absolute(lanes, x[1]), _absolute(lanes, x[0]))
    large, small = lanes.select(by_real, x[0], x[1]), lanes.select(by_real, x[1], x[0])
    ratio = lanes.op("fdiv", small, large)
    scale = lanes.op("fadd", large, lanes.op("fmul", small, ratio))
    one = lanes.op("fdiv", lanes.number(1.0), scale)
    other = lanes.op("fdiv", ratio, scale)
    return (
        lanes.select(by_real, one, other),
        lanes.negated(lanes.select(by_real, other, one)),
    )


def _sign(lanes: Lanes, x: Pair) -> Pair:
    size = lanes.function("hypot", *x)
    quotient = _divide(lanes, x, (size, lanes.number(0.0)))
    zero = lanes.mask_op("and", lanes.is_zero(x[0]), lanes.is_zero(x[1]))
    return _select(lanes, zero, (lanes.number(0.0), lanes.number(0.0)), quotient)


def _select(lanes: Lanes, mask: str, a: Pair, b: Pair) -> Pair:
    return lanes.select(mask, a[0], b[0]), lanes.select(mask, a[1], b[1])


def _scaled(lanes: Lanes, x: Pair, factor: float) -> Pair:
    number = lanes.number(factor)
    return lanes.op("fmul", x[0], number), lanes.op("fmul", x[1], number)


def _by_library(name: str, before: float = 1.0, after: float = 1.0) -> ComplexRule:
    """A function of the C library, its argument and result scaled."""

    def rule(lanes: Lanes, *operands: Pair) -> Pair:
        if before != 1.0:
            operands = tuple(_scaled(lanes, operand, before) for operand in operands)
        result = call_library(lanes, name, *operands)
        return result if after == 1.0 else _scaled(lanes, result, after)

    return rule


def call_library(lanes: Lanes, name: str, *operands: Pair) -> Pair:
    """`name` of <complex.h> in double precision, one lane at a time."""
    emitter, dtype = lanes.emitter, np.dtype(np.complex64 if lanes.dtype.itemsize == 4 else "c16")
    results = []
    values = [Value(operand, dtype, lanes.width, emitter.depth) for operand in operands]
    for number in range(lanes.width):
        arguments = []
        for value in values:
            for part in emitter.lane(value, number).parts:
                if lanes.dtype.itemsize == 4:
                    part = emitter.write(f"fpext float {part} to double")
                arguments.append(f"double {part}")
        symbol = f"@tracer_libm_{name}"
        emitter.declare(f"{{ double, double }} {symbol}({', '.join(['double'] * len(arguments))})")
        pair = emitter.write(f"call {{ double, double }} {symbol}({', '.join(arguments)})")
        parts = [emitter.write(f"extractvalue {{ double, double }} {pair}, {k}") for k in (0, 1)]
        if lanes.dtype.itemsize == 4:
            parts = [emitter.write(f"fptrunc double {part} to float") for part in parts]
        results.append(emitter.made(dtype, 1, *parts))
    value = results[0] if lanes.width == 1 else emitter.gathered(results)
    return value.parts[0], value.parts[1]


def _power(lanes: Lanes, a: Pair, b: Pair) -> Pair:
    """0 to a power with positive real part is 0, anything to the power 0 is 1."""
    zero = lanes.mask_op("and", lanes.is_zero(a[0]), lanes.is_zero(a[1]))
    zero = lanes.mask_op("and", zero, lanes.compare("ogt", b[0], lanes.number(0.0)))
    none = lanes.number(0.0)
    result = _select(lanes, zero, (none, none), call_library(lanes, "cpow", a, b))
    unit = lanes.mask_op("and", lanes.is_zero(b[0]), lanes.is_zero(b[1]))
    return _select(lanes, unit, (lanes.number(1.0), none), result)


def _expm1(lanes: Lanes, x: Pair) -> Pair:
    half = lanes.function("sin", lanes.op("fmul", x[1], lanes.number(0.5)))
    product = lanes.op("fmul", lanes.function("expm1", x[0]), lanes.function("cos", x[1]))
    twice = lanes.op("fmul", lanes.op("fmul", lanes.number(2.0), half), half)
    imaginary = lanes.op("fmul", lanes.function("exp", x[0]), lanes.function("sin", x[1]))
    return lanes.op("fsub", product, twice), imaginary


def _log1p(lanes: Lanes, x: Pair) -> Pair:
    real = lanes.op("fadd", x[0], lanes.number(1.0))
    size = lanes.function("hypot", real, x[1])
    return lanes.function("log", size), lanes.function("arctan2", x[1], real)


LIBRARY = {
    "sqrt": "csqrt", "exp": "cexp", "log": "clog", "sin": "csin", "cos": "ccos", "tan": "ctan",
    "sinh": "csinh", "cosh": "ccosh", "tanh": "ctanh", "arcsin": "casin", "arccos": "cacos",
    "arctan": "catan", "arcsinh": "casinh", "arccosh": "cacosh", "arctanh": "catanh",
}  # fmt: skip

COMPLEX: dict[str, ComplexRule] = {
    "add": _parts("fadd"),
    "subtract": _parts("fsub"),
    "multiply": _multiply,
    "divide": _divide,
    "power": _power,
    "negative": lambda lanes, x: (lanes.negated(x[0]), lanes.negated(x[1])),
    "conjugate": lambda lanes, x: (x[0], lanes.negated(x[1])),
    "positive": lambda lanes, x: x,
    "square": lambda lanes, x: _multiply(lanes, x, x),
    "reciprocal": _reciprocal,
    "sign": _sign,
    "rint": lambda lanes, x: (lanes.function("rint", x[0]), lanes.function("rint", x[1])),
    "expm1": _expm1,
    "log1p": _log1p,
    "exp2": _by_library("cexp", before=LN_2),
    "log2": _by_library("clog", after=LOG2_E),
    "log10": _by_library("clog", after=LOG10_E),
    **{name: _by_library(symbol) for name, symbol in LIBRARY.items()},
}
"""Operations with a complex result."""


def _ordered(strict: str, weak: str) -> Callable[..., str]:
    """NumPy's order: by real part, then by imaginary part."""

    def rule(lanes: Lanes, a: Pair, b: Pair) -> str:
        number = lanes.compare("ord", a[1], b[1])
        first = lanes.mask_op("and", lanes.compare(strict, a[0], b[0]), number)
        equal = lanes.compare("oeq", a[0], b[0])
        second = lanes.mask_op("and", equal, lanes.compare(weak, a[1], b[1]))
        return lanes.mask_op("or", first, second)

    return rule


def _is_nan(lanes: Lanes, x: Pair) -> str:
    return lanes.compare("uno", x[0], x[1])


def _not_zero(lanes: Lanes, x: Pair) -> str:
    return lanes.mask_op("or", lanes.not_zero(x[0]), lanes.not_zero(x[1]))


def _logical(instruction: str) -> Callable[..., str]:
    return lambda lanes, a, b: lanes.mask_op(instruction, _not_zero(lanes, a), _not_zero(lanes, b))


def _both(predicate: str, instruction: str) -> Callable[..., str]:
    def rule(lanes: Lanes, a: Pair, b: Pair) -> str:
        parts = [lanes.compare(predicate, x, y) for x, y in zip(a, b, strict=True)]
        return lanes.mask_op(instruction, *parts)

    return rule


def _any_part(predicate: str, instruction: str) -> Callable[..., str]:
    def rule(lanes: Lanes, x: Pair) -> str:
        infinity = lanes.number(float("inf"))
        parts = [lanes.compare(predicate, _absolute(lanes, part), infinity) for part in x]
        return lanes.mask_op(instruction, *parts)

    return rule


TESTS: dict[str, Callable[..., str]] = {
    "equal": _both("oeq", "and"),
    "not_equal": _both("une", "or"),
    "less": _ordered("olt", "olt"),
    "less_equal": _ordered("olt", "ole"),
    "greater": _ordered("ogt", "ogt"),
    "greater_equal": _ordered("ogt", "oge"),
    "logical_and": _logical("and"),
    "logical_or": _logical("or"),
    "logical_xor": _logical("xor"),
    "logical_not": lambda lanes, x: lanes.inverted(_not_zero(lanes, x)),
    "isnan": _is_nan,
    "isinf": _any_part("oeq", "or"),
    "isfinite": _any_part("olt", "and"),
    "to_bool": _not_zero,
}
"""Operations with a bool result."""


def _chosen(comparison: str, nan_wins: int) -> ComplexRule:
    def rule(lanes: Lanes, a: Pair, b: Pair) -> Pair:
        first = TESTS[comparison](lanes, a, b)
        first = lanes.mask_op("or", first, _is_nan(lanes, (a, b)[nan_wins]))
        return _select(lanes, first, a, b)

    return rule


COMPLEX["maximum"] = _chosen("greater_equal", 0)
COMPLEX["minimum"] = _chosen("less_equal", 0)
COMPLEX["fmax"] = _chosen("greater_equal", 1)
COMPLEX["fmin"] = _chosen("less_equal", 1)
