"""Operations written in the loop language itself: those that need loops of their own.

Each gives statements, and the expression that holds the result after them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from codegen.loops.nodes import (
    Assign,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Operation,
    Statement,
    Variable,
    While,
)
from codegen.loops.operations import DType, result_dtype

INT64, UINT64 = np.dtype(np.int64), np.dtype(np.uint64)
FLOAT64 = np.dtype(np.float64)
Composite = tuple[list[Statement], Expression]


def _do(name: str, *operands: Expression) -> Expression:
    return Operation(name, operands, result_dtype(name, tuple(part.dtype for part in operands)))


def _cast(value: Expression, dtype: DType) -> Expression:
    return value if value.dtype == dtype else Operation("cast", (value,), dtype)


def _real(value: float) -> Expression:
    return Literal(value, FLOAT64)


def _magnitude(value: Expression) -> Expression:
    """The size of an integer as uint64."""
    if value.dtype.kind == "i":
        value = _do("absolute", _cast(value, INT64))
    return _cast(value, UINT64)


def _greatest_divisor(
    prefix: str, a: Expression, b: Expression
) -> tuple[list[Statement], Variable]:
    divisor, rest = Variable(f"{prefix}a", UINT64), Variable(f"{prefix}b", UINT64)
    kept = Variable(f"{prefix}c", UINT64)
    loop = While(
        (),
        _do("not_equal", rest, Literal(0, UINT64)),
        (
            Let(kept.name, rest),
            Assign(rest.name, _do("remainder", divisor, rest)),
            Assign(divisor.name, kept),
        ),
    )
    return [Declare(divisor.name, a), Declare(rest.name, b), loop], divisor


def _gcd(prefix: str, dtype: DType, a: Expression, b: Expression) -> Composite:
    statements, divisor = _greatest_divisor(prefix, _magnitude(a), _magnitude(b))
    return statements, _cast(divisor, dtype)


def _lcm(prefix: str, dtype: DType, a: Expression, b: Expression) -> Composite:
    first, second = Variable(f"{prefix}x", UINT64), Variable(f"{prefix}y", UINT64)
    statements, divisor = _greatest_divisor(prefix, first, second)
    before: list[Statement] = [Let(first.name, _magnitude(a)), Let(second.name, _magnitude(b))]
    result = _do("multiply", _do("floor_divide", first, divisor), second)
    return [*before, *statements], _cast(result, dtype)


def _power(prefix: str, dtype: DType, base: Expression, exponent: Expression) -> Composite:
    """By squaring, with wrap-around; 1 for a negative exponent."""
    wide = INT64 if dtype.kind == "i" else UINT64
    result, square, rest = (Variable(f"{prefix}{letter}", wide) for letter in "rsn")
    one, zero = Literal(1, wide), Literal(0, wide)
    odd = _do("not_equal", _do("bitwise_and", rest, one), zero)
    factor = Operation("select", (odd, square, one), wide)
    loop = While(
        (),
        _do("greater", rest, zero),
        (
            Assign(result.name, _do("multiply", result, factor)),
            Assign(square.name, _do("multiply", square, square)),
            Assign(rest.name, _do("right_shift", rest, one)),
        ),
    )
    declared: list[Statement] = [
        Declare(result.name, one),
        Declare(square.name, _cast(base, wide)),
        Declare(rest.name, _cast(exponent, wide)),
    ]
    return [*declared, loop], _cast(result, dtype)


# B(2k) / (2k)! of the Euler-Maclaurin formula, as divisors (Abramowitz and Stegun 23.1.30).
_EULER_MACLAURIN = (
    12.0, -720.0, 30240.0, -1209600.0, 47900160.0, -1307674368000.0 / 691,
    74724249600.0, -10670622842880000.0 / 3617,
)  # fmt: skip


def _zeta(prefix: str, dtype: DType, exponent: Expression, start: Expression) -> Composite:
    """The sum of (q + k)**-s over k ≥ 0 for s > 1: direct terms, then the Euler-Maclaurin formula.

    Infinite for s = 1 and at the poles q = 0, -1, …; NaN for s < 1, and for other negative q
    unless s is whole.
    """
    s, first = Variable(f"{prefix}s", FLOAT64), Variable(f"{prefix}f", FLOAT64)
    result = Variable(f"{prefix}r", FLOAT64)
    whole = _do("equal", s, _do("floor", s))
    pole = _do("equal", first, _do("floor", first))
    below = _do("less_equal", first, _real(0.0))
    infinite = _do("logical_or", _do("equal", s, _real(1.0)), _do("logical_and", below, pole))
    nan = _do("logical_or", _do("isnan", s), _do("isnan", first))
    negative = _do("logical_and", below, _do("logical_not", whole))
    undefined = _do("logical_or", nan, negative)
    inner = Operation("select", (undefined, _real(np.nan), _real(1.0)), FLOAT64)
    inner = Operation("select", (infinite, _real(np.inf), inner), FLOAT64)
    too_small = _do("less", s, _real(1.0))
    known = Operation("select", (too_small, _real(np.nan), inner), FLOAT64)
    ordinary = _do("equal", result, _real(1.0))
    return [
        Let(s.name, _cast(exponent, FLOAT64)),
        Let(first.name, _cast(start, FLOAT64)),
        Declare(result.name, known),
        If(ordinary, tuple(_zeta_sum(prefix, s, first, result))),
    ], _cast(result, dtype)


def _zeta_sum(prefix: str, s: Variable, first: Variable, result: Variable) -> list[Statement]:
    q, total, term, small = (Variable(f"{prefix}{letter}", FLOAT64) for letter in "qtux")
    direct = _do("less", q, _do("add", s, _real(10.0)))
    running = _do("logical_and", direct, _do("greater", small, _real(0.0)))
    negligible = _do(
        "less_equal",
        _do("absolute", term),
        _do("multiply", _real(1e-17), _do("absolute", total)),
    )
    stop = _do("logical_and", _do("greater", q, _real(1.0)), negligible)
    loop = While(
        (),
        running,
        (
            Assign(term.name, _do("power", q, _do("negative", s))),
            Assign(total.name, _do("add", total, term)),
            Assign(q.name, _do("add", q, _real(1.0))),
            Assign(small.name, Operation("select", (stop, _real(0.0), _real(1.0)), FLOAT64)),
        ),
    )
    return [
        Declare(q.name, first),
        Declare(total.name, _real(0.0)),
        Declare(term.name, _real(0.0)),
        Declare(small.name, _real(1.0)),
        loop,
        If(_do("greater", small, _real(0.0)), tuple(_zeta_tail(prefix, s, q, total))),
        Assign(result.name, total),
    ]


def _zeta_tail(prefix: str, s: Variable, q: Variable, total: Variable) -> list[Statement]:
    power, square = Variable(f"{prefix}p", FLOAT64), Variable(f"{prefix}v", FLOAT64)
    integral = _do("power", q, _do("subtract", _real(1.0), s))
    integral = _do("divide", integral, _do("subtract", s, _real(1.0)))
    half = _do("multiply", _real(0.5), power)
    statements: list[Statement] = [
        Let(power.name, _do("power", q, _do("negative", s))),
        Let(square.name, _do("divide", _real(1.0), _do("multiply", q, q))),
        Assign(total.name, _do("add", total, _do("add", integral, half))),
    ]
    factor: Expression = _do("divide", _do("multiply", s, power), q)
    for number, divisor in enumerate(_EULER_MACLAURIN):
        name = Variable(f"{prefix}k{number}", FLOAT64)
        statements.append(Let(name.name, factor))
        change = _do("divide", name, _real(divisor))
        statements.append(Assign(total.name, _do("add", total, change)))
        rising = _do(
            "multiply",
            _do("add", s, _real(2.0 * number + 1.0)),
            _do("add", s, _real(2.0 * number + 2.0)),
        )
        factor = _do("multiply", _do("multiply", name, rising), square)
    return statements


COMPOSITES: dict[str, Callable[..., Composite]] = {
    "gcd": _gcd,
    "lcm": _lcm,
    "power": _power,
    "zeta": _zeta,
}
"""`power` is that of integers."""
