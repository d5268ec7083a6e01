"""Conversions, operators, comparisons and selections, as instructions.

Whole numbers wrap around. `//` and `%` round downwards, as Python's do, and give 0 for a divisor
of 0, as Numba's do on a GPU.
"""

from __future__ import annotations

from codegen.nvvm.builder import Builder
from codegen.nvvm.kinds import (
    BOOL,
    COMPLEX64,
    COMPLEX128,
    FLOAT32,
    FLOAT64,
    INT64,
    UINT64,
    Pointer,
    Scalar,
    Several,
    arithmetic_kind,
    compared_kind,
    leaves,
    real_of,
    unified,
)
from codegen.nvvm.values import KernelError, Number, Value, constant, item, several

WHOLE = {"+": "add", "-": "sub", "*": "mul", "&": "and", "|": "or", "^": "xor"}
FLOATING = {"+": "fadd", "-": "fsub", "*": "fmul", "/": "fdiv"}
ORDERED = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


def cast(builder: Builder, value: Value, kind: Scalar) -> Value:
    """A number as one of another kind."""
    source = value.scalar
    if source is kind:
        return value
    if value.number is not None and (kind.family in "bfc" or source.family in "biu"):
        return constant(kind, value.number)
    if kind.family == "c":
        return _complex_of(builder, value, kind)
    if source.family == "c":
        raise KernelError(f"a complex number is no {kind.name}")
    if kind is BOOL:
        return compare(builder, "!=", value, constant(source, 0))
    text = value.text
    if source.llvm == kind.llvm:
        return Value(kind, (text,))
    how = _instruction(source, kind)
    return Value(kind, (builder.value(f"{how} {source.llvm} {text} to {kind.llvm}"),))


def _complex_of(builder: Builder, value: Value, kind: Scalar) -> Value:
    real = real_of(kind)
    if value.scalar.family != "c":
        return complex_of(cast(builder, value, real), constant(real, 0.0))
    parts = [cast(builder, part, real) for part in parts_of(value)]
    return complex_of(*parts)


def complex_of(real: Value, imaginary: Value) -> Value:
    """The complex number of two floats of one kind."""
    if real.scalar is not imaginary.scalar:
        raise KernelError("the parts of a complex number are of one kind")
    kind = COMPLEX64 if real.scalar is FLOAT32 else COMPLEX128
    return Value(kind, (real.text, imaginary.text))


def parts_of(value: Value) -> tuple[Value, Value]:
    """The real and the imaginary part of a complex number."""
    real = real_of(value.scalar)
    return Value(real, (value.parts[0],)), Value(real, (value.parts[1],))


def _instruction(source: Scalar, kind: Scalar) -> str:
    signed = source.family == "i"
    if kind.family == "f":
        if source.family == "f":
            return "fpext" if kind.bits > source.bits else "fptrunc"
        return "sitofp" if signed else "uitofp"
    if source.family == "f":
        return "fptosi" if kind.family == "i" else "fptoui"
    if kind.bits < source.bits:
        return "trunc"
    return "sext" if signed else "zext"


def binary(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    """An operator of Python's on two numbers."""
    if sign in ("<<", ">>"):
        return _shift(builder, sign, left, right)
    first, second = left.scalar, right.scalar
    if sign in ("&", "|", "^") and first is BOOL and second is BOOL:
        return Value(BOOL, (builder.value(f"{WHOLE[sign]} i1 {left.text}, {right.text}"),))
    kind = arithmetic_kind(first, second)
    if sign == "/" and kind.family in "iu":
        # Of the signed and the unsigned as they are.
        left, right, kind = (
            cast(builder, left, FLOAT64),
            cast(builder, right, FLOAT64),
            FLOAT64,
        )
    if kind.family in "iu":
        return _whole(builder, sign, left, right, kind)
    left, right = cast(builder, left, kind), cast(builder, right, kind)
    if sign not in FLOATING or (kind.family == "c" and sign == "/"):
        raise KernelError(f"there is no {sign} of {kind.name}")
    if kind.family == "c":
        return _complex_binary(builder, sign, left, right)
    text = f"{FLOATING[sign]} {kind.llvm} {left.text}, {right.text}"
    return Value(kind, (builder.value(text),))


def _whole(builder: Builder, sign: str, left: Value, right: Value, kind: Scalar) -> Value:
    known = _folded(sign, left.number, right.number)
    if known is not None:
        return constant(kind, known)
    left, right = cast(builder, left, kind), cast(builder, right, kind)
    if sign in WHOLE:
        return Value(kind, (builder.value(f"{WHOLE[sign]} i64 {left.text}, {right.text}"),))
    if sign not in ("//", "%"):
        raise KernelError(f"there is no {sign} of whole numbers")
    divisor = right.number
    if isinstance(divisor, int) and divisor > 0 and divisor & (divisor - 1) == 0:
        shift = "ashr" if kind is INT64 else "lshr"
        how = (
            f"{shift} i64 {left.text}, {divisor.bit_length() - 1}"
            if sign == "//"
            else f"and i64 {left.text}, {divisor - 1}"
        )
        return Value(kind, (builder.value(how),))
    if divisor is not None and divisor != 0:
        return Value(kind, (_divided(builder, sign, left.text, right.text, kind),))
    none = builder.value(f"icmp eq i64 {right.text}, 0")
    safe = builder.value(f"select i1 {none}, i64 1, i64 {right.text}")
    found = _divided(builder, sign, left.text, safe, kind)
    return Value(kind, (builder.value(f"select i1 {none}, i64 0, i64 {found}"),))


def _divided(builder: Builder, sign: str, left: str, right: str, kind: Scalar) -> str:
    if kind is UINT64:
        return builder.value(f"{'udiv' if sign == '//' else 'urem'} i64 {left}, {right}")
    quotient = builder.value(f"sdiv i64 {left}, {right}")
    product = builder.value(f"mul i64 {quotient}, {right}")
    rest = builder.value(f"sub i64 {left}, {product}")
    some = builder.value(f"icmp ne i64 {rest}, 0")
    mixed = builder.value(f"xor i64 {rest}, {right}")
    against = builder.value(f"icmp slt i64 {mixed}, 0")
    below = builder.value(f"and i1 {some}, {against}")
    if sign == "//":
        one = builder.value(f"sext i1 {below} to i64")
        return builder.value(f"add i64 {quotient}, {one}")
    more = builder.value(f"select i1 {below}, i64 {right}, i64 0")
    return builder.value(f"add i64 {rest}, {more}")


def _folded(sign: str, left: Number | None, right: Number | None) -> int | None:
    """What an operator makes of two whole numbers that the compiler knows."""
    if not isinstance(left, int) or not isinstance(right, int):
        return None
    if sign in ("//", "%"):
        if right == 0:
            return 0
        return left // right if sign == "//" else left % right
    known = {
        "+": left + right,
        "-": left - right,
        "*": left * right,
        "&": left & right,
        "|": left | right,
        "^": left ^ right,
    }
    return known.get(sign)


def _shift(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    first, second = left.scalar, right.scalar
    if "f" in first.family + second.family or "c" in first.family + second.family:
        raise KernelError(f"there is no {sign} of {first.name} and {second.name}")
    kind = UINT64 if first.family == "u" else INT64
    moved = cast(builder, left, kind)
    by = cast(builder, right, UINT64 if second.family == "u" else INT64)
    how = "shl" if sign == "<<" else "ashr" if kind is INT64 else "lshr"
    if by.number is None:
        # A shift by 64 or more has no meaning in the IR.
        amount = builder.value(f"and i64 {by.text}, 63")
    else:
        amount = str(int(by.number) & 63)
    return Value(kind, (builder.value(f"{how} i64 {moved.text}, {amount}"),))


def _complex_binary(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    a, b = parts_of(left)
    c, d = parts_of(right)
    if sign in ("+", "-"):
        return complex_of(binary(builder, sign, a, c), binary(builder, sign, b, d))
    return complex_of(
        binary(builder, "-", binary(builder, "*", a, c), binary(builder, "*", b, d)),
        binary(builder, "+", binary(builder, "*", a, d), binary(builder, "*", b, c)),
    )


def _wide(kind: Scalar) -> Scalar:
    """The kind of `-` and `~` of whole numbers, which are found in the kind of the operand."""
    return UINT64 if kind.family == "u" else INT64


def negative(builder: Builder, value: Value) -> Value:
    """Minus a number."""
    kind = value.scalar
    if value.number is not None and kind.family in "iuf":
        if kind.family == "f":
            return constant(kind, -value.number)
        return constant(_wide(kind), constant(kind, -int(value.number)).number or 0)
    if kind.family == "c":
        return complex_of(*(negative(builder, part) for part in parts_of(value)))
    if kind.family == "f":
        # 0 - x would lose the sign of zero.
        minus = constant(kind, -0.0).text
        return Value(kind, (builder.value(f"fsub {kind.llvm} {minus}, {value.text}"),))
    if kind is BOOL:
        return negative(builder, cast(builder, value, INT64))
    text = builder.value(f"sub {kind.llvm} 0, {value.text}")
    return cast(builder, Value(kind, (text,)), _wide(kind))


def inverted(builder: Builder, value: Value) -> Value:
    """`~` of a whole number or a boolean."""
    kind = value.scalar
    if kind is BOOL:
        return Value(BOOL, (builder.value(f"xor i1 {value.text}, true"),))
    if kind.family not in "iu":
        raise KernelError(f"there is no ~ of {kind.name}")
    flipped = Value(kind, (builder.value(f"xor {kind.llvm} {value.text}, -1"),))
    return cast(builder, flipped, _wide(kind))


def compare(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    """A comparison of two numbers."""
    if {left.scalar.family, right.scalar.family} == {"i", "u"} and UINT64 in (
        left.scalar,
        right.scalar,
    ):
        return _compare_signs(builder, sign, left, right)
    kind = compared_kind(left.scalar, right.scalar)
    left, right = cast(builder, left, kind), cast(builder, right, kind)
    if left.number is not None and right.number is not None and kind.family in "biu":
        a, b = left.number, right.number
        known = {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b, "==": a == b, "!=": a != b}
        return constant(BOOL, known[sign])
    if kind.family == "c":
        if sign not in ("==", "!="):
            raise KernelError("complex numbers have no order")
        both = [
            compare(builder, sign, a, b).text
            for a, b in zip(parts_of(left), parts_of(right), strict=True)
        ]
        how = "and" if sign == "==" else "or"
        return Value(BOOL, (builder.value(f"{how} i1 {both[0]}, {both[1]}"),))
    word = ORDERED[sign]
    if kind.family == "f":
        how = f"fcmp {'u' if sign == '!=' else 'o'}{word}"
    elif sign in ("==", "!="):
        how = f"icmp {word}"
    else:
        how = f"icmp {'s' if kind.family == 'i' else 'u'}{word}"
    return Value(BOOL, (builder.value(f"{how} {kind.llvm} {left.text}, {right.text}"),))


def _compare_signs(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    """A comparison of a uint64 with what may be below 0."""
    swapped = right.scalar.family == "i"
    signed = cast(builder, right if swapped else left, INT64)
    below = compare(builder, "<", signed, constant(INT64, 0))
    if_below = constant(BOOL, sign in ((">", ">=", "!=") if swapped else ("<", "<=", "!=")))
    bits = Value(UINT64, signed.parts, signed.number)
    first, second = (left, bits) if swapped else (bits, right)
    return select(builder, below, if_below, compare(builder, sign, first, second))


def truth(builder: Builder, value: Value) -> Value:
    """Whether a number is not 0."""
    return cast(builder, value, BOOL)


def select(builder: Builder, condition: Value, then: Value, otherwise: Value) -> Value:
    """One of two values, both of which have been computed."""
    then, otherwise = alike(builder, then, otherwise)
    test = truth(builder, condition)
    if test.number is not None:
        return then if test.number else otherwise
    parts = tuple(
        builder.value(f"select i1 {test.text}, {llvm} {a}, {llvm} {b}")
        for llvm, a, b in zip(leaves(then.kind), then.parts, otherwise.parts, strict=True)
    )
    return Value(then.kind, parts)


def alike(builder: Builder, first: Value, second: Value) -> tuple[Value, Value]:
    """Two values as ones of the kind that both have a place in."""
    if first.kind == second.kind:
        return first, second
    kind = joined(first.kind, second.kind)
    return converted(builder, first, kind), converted(builder, second, kind)


def joined(first: object, second: object) -> Scalar | Several | Pointer:
    """The kind of what is of the one kind or of the other."""
    if isinstance(first, Scalar) and isinstance(second, Scalar):
        return unified(first, second)
    if isinstance(first, Several) and isinstance(second, Several):
        pairs = zip(first.items, second.items, strict=True)
        return Several(tuple(unified(a, b) for a, b in pairs))
    if isinstance(first, Pointer) and first == second:
        return first
    raise KernelError(f"a value is either {first} or {second}")


def converted(builder: Builder, value: Value, kind: Scalar | Several | Pointer) -> Value:
    """A number or a tuple as one of another kind."""
    if value.kind == kind:
        return value
    if isinstance(kind, Scalar):
        return cast(builder, value, kind)
    if isinstance(kind, Several) and isinstance(value.kind, Several):
        parts = [cast(builder, item(value, at), each) for at, each in enumerate(kind.items)]
        return several(parts)
    raise KernelError(f"{value.kind} is no {kind}")
