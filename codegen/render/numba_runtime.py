"""What rendered Numba programs take along: each function's source goes into the programs that
use it.

The functions of `INTRINSICS` become `numba.extending.intrinsic`s, which cost next to nothing to
compile; those of `FUNCTIONS` become `numba.njit` functions. They stand here undecorated, so that
importing this module does not import Numba, and use no names but their own, each other's, `np`,
`math`, and what `IMPORTS` imports.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numba import types
    from numba.core import cgutils
    from numba.np import arrayobj

IMPORTS = {
    "cgutils": "from numba.core import cgutils",
    "types": "from numba import types",
    "arrayobj": "from numba.np import arrayobj",
}


def where(context, condition, if_true, if_false):  # type: ignore[no-untyped-def]
    """if_true where condition else if_false, without a branch."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.select(*arguments)

    result = types.unliteral(if_true)
    return result(condition, result, result), emit


def fma(context, a, b, c):  # type: ignore[no-untyped-def]
    """a * b + c, rounded once."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), emit


def float_bits(context, x):  # type: ignore[no-untyped-def]
    """The bits of a float64 as an int64."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), emit


def bits_float(context, x):  # type: ignore[no-untyped-def]
    """The float64 with the bits of an int64."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), emit


def shift_right(context, x, count):  # type: ignore[no-untyped-def]
    """An int64 shifted right with zeros, whatever its sign."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.lshr(*arguments)

    return types.int64(types.int64, types.int64), emit


def maximum(context, left, right):  # type: ignore[no-untyped-def]
    """The larger one; NaN where either is NaN."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        if isinstance(left, types.Float):
            chosen = builder.fcmp_ordered(">", a, b)
            chosen = builder.or_(chosen, builder.fcmp_unordered("uno", a, a))
        else:
            compare = builder.icmp_signed if left.signed else builder.icmp_unsigned
            chosen = compare(">=", a, b)
        return builder.select(chosen, a, b)

    return left(left, right), emit


def minimum(context, left, right):  # type: ignore[no-untyped-def]
    """The smaller one; NaN where either is NaN."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        if isinstance(left, types.Float):
            chosen = builder.fcmp_ordered("<", a, b)
            chosen = builder.or_(chosen, builder.fcmp_unordered("uno", a, a))
        else:
            compare = builder.icmp_signed if left.signed else builder.icmp_unsigned
            chosen = compare("<=", a, b)
        return builder.select(chosen, a, b)

    return left(left, right), emit


def fmax(context, left, right):  # type: ignore[no-untyped-def]
    """The larger one; the other where one is NaN."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        chosen = builder.fcmp_ordered(">", a, b)
        chosen = builder.or_(chosen, builder.fcmp_unordered("uno", b, b))
        return builder.select(chosen, a, b)

    return left(left, right), emit


def fmin(context, left, right):  # type: ignore[no-untyped-def]
    """The smaller one; the other where one is NaN."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        chosen = builder.fcmp_ordered("<", a, b)
        chosen = builder.or_(chosen, builder.fcmp_unordered("uno", b, b))
        return builder.select(chosen, a, b)

    return left(left, right), emit


def maximum_any_order(context, largest, value):  # type: ignore[no-untyped-def]
    """The larger of two that are not NaN, for a reduction that may run in any order."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        flags = ("nnan", "nsz")
        chosen = builder.fcmp_ordered(">", *arguments, flags=flags)
        return builder.select(chosen, *arguments, flags=flags)

    return largest(largest, value), emit


def minimum_any_order(context, smallest, value):  # type: ignore[no-untyped-def]
    """The smaller of two that are not NaN, for a reduction that may run in any order."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        flags = ("nnan", "nsz")
        chosen = builder.fcmp_ordered("<", *arguments, flags=flags)
        return builder.select(chosen, *arguments, flags=flags)

    return smallest(smallest, value), emit


def add_any_order(context, total, value):  # type: ignore[no-untyped-def]
    """total + value, for a sum that may run in any order."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if isinstance(total, types.Float):
            return builder.fadd(*arguments, flags=("reassoc",))
        left, right = (context.make_complex(builder, total, value=part) for part in arguments)
        result = context.make_complex(builder, total)
        result.real = builder.fadd(left.real, right.real, flags=("reassoc",))
        result.imag = builder.fadd(left.imag, right.imag, flags=("reassoc",))
        return result._getvalue()

    return total(total, value), emit


def multiply_any_order(context, product, value):  # type: ignore[no-untyped-def]
    """product * value, for a product that may run in any order."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.fmul(*arguments, flags=("reassoc",))

    return product(product, value), emit


def floor_divide_integers(context, left, right):  # type: ignore[no-untyped-def]
    """left // right of two integers; 0 where right is 0."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        zero, one, minus_one = (a.type(value) for value in (0, 1, -1))
        by_zero = builder.icmp_signed("==", b, zero)
        if not left.signed:
            quotient = builder.udiv(a, builder.select(by_zero, one, b))
            return builder.select(by_zero, zero, quotient)
        by_minus_one = builder.icmp_signed("==", b, minus_one)
        divisor = builder.select(builder.or_(by_zero, by_minus_one), one, b)
        quotient = builder.sdiv(a, divisor)
        remainder = builder.srem(a, divisor)
        signs_differ = builder.icmp_signed("<", builder.xor(remainder, divisor), zero)
        inexact = builder.icmp_signed("!=", remainder, zero)
        lower = builder.and_(inexact, signs_differ)
        quotient = builder.select(lower, builder.sub(quotient, one), quotient)
        quotient = builder.select(by_minus_one, builder.neg(a), quotient)
        return builder.select(by_zero, zero, quotient)

    return left(left, right), emit


def remainder_integers(context, left, right):  # type: ignore[no-untyped-def]
    """left % right of two integers, with the sign of right; 0 where right is 0."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        zero, one, minus_one = (a.type(value) for value in (0, 1, -1))
        by_zero = builder.icmp_signed("==", b, zero)
        if not left.signed:
            remainder = builder.urem(a, builder.select(by_zero, one, b))
            return builder.select(by_zero, zero, remainder)
        trivial = builder.or_(by_zero, builder.icmp_signed("==", b, minus_one))
        remainder = builder.srem(a, builder.select(trivial, one, b))
        signs_differ = builder.icmp_signed("<", builder.xor(remainder, b), zero)
        inexact = builder.icmp_signed("!=", remainder, zero)
        wrong_sign = builder.and_(inexact, signs_differ)
        return builder.select(wrong_sign, builder.add(remainder, b), remainder)

    return left(left, right), emit


def fmod_integers(context, left, right):  # type: ignore[no-untyped-def]
    """The remainder of two integers with the sign of left; 0 where right is 0."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        zero, one, minus_one = (a.type(value) for value in (0, 1, -1))
        by_zero = builder.icmp_signed("==", b, zero)
        if not left.signed:
            remainder = builder.urem(a, builder.select(by_zero, one, b))
            return builder.select(by_zero, zero, remainder)
        trivial = builder.or_(by_zero, builder.icmp_signed("==", b, minus_one))
        return builder.srem(a, builder.select(trivial, one, b))

    return left(left, right), emit


def left_shift(context, left, right):  # type: ignore[no-untyped-def]
    """left << right; 0 where right is negative or not less than the width."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        fits = builder.icmp_unsigned("<", b, b.type(left.bitwidth))
        shifted = builder.shl(a, builder.select(fits, b, b.type(0)))
        return builder.select(fits, shifted, a.type(0))

    return left(left, right), emit


def right_shift(context, left, right):  # type: ignore[no-untyped-def]
    """left >> right; the sign alone where right is negative or not less than the width."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        a, b = arguments
        fits = builder.icmp_unsigned("<", b, b.type(left.bitwidth))
        if left.signed:
            return builder.ashr(a, builder.select(fits, b, b.type(left.bitwidth - 1)))
        shifted = builder.lshr(a, builder.select(fits, b, b.type(0)))
        return builder.select(fits, shifted, a.type(0))

    return left(left, right), emit


def count_bits(context, value):  # type: ignore[no-untyped-def]
    """How many bits of the magnitude of an integer are set."""

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        (a,) = arguments
        if value.signed:
            negative = builder.icmp_signed("<", a, a.type(0))
            a = builder.select(negative, builder.neg(a), a)
        return builder.ctpop(a)

    return value(value), emit


def view(context, array, offset, shape):  # type: ignore[no-untyped-def]
    """The C-ordered array of this shape that starts at an offset of a flat one; no copy, no
    check.
    """
    result = types.Array(array.dtype, len(shape), "C")

    def emit(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        made = context.make_array(result)(context, builder)
        extents = cgutils.unpack_tuple(builder, arguments[2], len(shape))
        strides = [source.itemsize]
        for extent in reversed(extents[1:]):
            strides.insert(0, builder.mul(strides[0], extent))
        arrayobj.populate_array(
            made,
            data=builder.gep(source.data, [arguments[1]]),
            shape=extents,
            strides=strides[: len(shape)],
            itemsize=source.itemsize,
            meminfo=None,
        )
        return made._getvalue()

    return result(array, offset, shape), emit


def grown(tape: Any, needed: Any) -> Any:
    """A copy of a flat array with room for `needed` elements, and as many again."""
    larger = np.empty(max(64, 2 * needed), tape.dtype)
    larger[: tape.size] = tape
    return larger


def integer_power(base: Any, exponent: Any, one: Any) -> Any:
    """base ** exponent by squaring, with wrap-around; 1 for a negative exponent."""
    result = one
    square = base
    remaining = exponent
    while remaining > 0:
        if remaining & one:
            result = result * square
        square = square * square
        remaining = remaining >> one
    return result


def lcm(a: Any, b: Any) -> Any:
    """The least common multiple of two integers of one type, with wrap-around."""
    a = abs(a)
    b = abs(b)
    divisor = a
    rest = b
    while rest != 0:
        divisor, rest = rest, divisor % rest
    return a // divisor * b if divisor != 0 else divisor


def digamma_positive(x: float) -> float:
    """The logarithmic derivative of the gamma function for x > 0.

    Recurrence up to 10, then the asymptotic series (Abramowitz and Stegun 6.3.5 and 6.3.18).
    """
    shift = 0.0
    while x < 10.0:
        shift -= 1.0 / x
        x += 1.0
    square = 1.0 / (x * x)
    series = 691 / 32760 - square / 12
    series = 1 / 240 - square * (1 / 132 - square * series)
    series = 1 / 12 - square * (1 / 120 - square * (1 / 252 - square * series))
    return shift + math.log(x) - 0.5 / x - square * series


def digamma_at_root(t: float) -> float:
    """The Taylor series of digamma around its positive root, t away from it."""
    series = -0.015424765904948959 + t * (0.010538791616612175 - t * 0.0072045343863568682)
    series = -0.033161126474847359 + t * (0.022597648232218105 + t * series)
    series = -0.072199561256454711 + t * (0.048804288164143107 + t * series)
    series = -0.16394270544240653 + t * (0.10782405069126237 + t * series)
    series = -0.44276316898359211 + t * (0.25849976095565101 + t * series)
    return t * (0.96767224544762117 + t * series)


def digamma(x: float) -> float:
    """The logarithmic derivative of the gamma function.

    Reflection for x < 0 (Abramowitz and Stegun 6.3.7), a Taylor series near the positive root.
    """
    if math.isnan(x) or x == math.inf:
        return x
    if x == 0.0:
        return -math.copysign(math.inf, x)
    if x < 0.0:
        fraction = x - math.floor(x + 0.5)
        if fraction == 0.0:
            return math.nan
        return digamma_positive(1.0 - x) - math.pi / math.tan(math.pi * fraction)
    distance = (x - 1.4616321449683622) - 9.5499954299656977e-17
    if abs(distance) < 0.08:
        return digamma_at_root(distance)
    return digamma_positive(x)


def erfinv(x: float) -> float:
    """The inverse of the error function.

    A first guess (Winitzki 2008) within 0.002, then three steps of Halley's method, on `erfc`
    where x is near 1.
    """
    if x == 0.0 or math.isnan(x):
        return x + 0.0
    size = abs(x)
    if size >= 1.0:
        return math.copysign(math.inf, x) if size == 1.0 else math.nan
    logarithm = math.log1p(-size) + math.log1p(size)
    middle = 4.3307467508739664 + 0.5 * logarithm
    y = math.sqrt(math.sqrt(middle * middle - logarithm / 0.147) - middle)
    for _ in range(3):
        error = math.erf(y) - size if size < 0.5 else (1.0 - size) - math.erfc(y)
        step = error / (1.1283791670955126 * math.exp(-y * y))
        y -= step / (1.0 + y * step)
    return math.copysign(y, x)


def hurwitz_zeta(s: Any, q: Any) -> Any:
    """The sum of (q + k)**-s over k ≥ 0, for s > 1, by the Euler-Maclaurin formula.

    Like SciPy's: infinite for s = 1 and at the poles q = 0, -1, …; NaN for s < 1, and for other
    negative q unless s is whole.
    """
    if s == 1.0:
        return math.inf
    if s < 1.0:
        return math.nan
    if q <= 0.0:
        if q == math.floor(q):
            return math.inf
        if s != math.floor(s):
            return math.nan
    if math.isnan(s) or math.isnan(q):
        return math.nan
    total = 0.0
    while q < 10.0 + s:
        term = q**-s
        total += term
        q += 1.0
        if q > 1.0 and abs(term) <= 1e-17 * abs(total):
            return total
    inverse = 1.0 / (q * q)
    term = s * q ** (-s - 1.0)
    total += q ** (1.0 - s) / (s - 1.0) + 0.5 * q**-s
    total += term / 12
    term *= (s + 1.0) * (s + 2.0) * inverse
    total -= term / 720
    term *= (s + 3.0) * (s + 4.0) * inverse
    total += term / 30240
    term *= (s + 5.0) * (s + 6.0) * inverse
    total -= term / 1209600
    term *= (s + 7.0) * (s + 8.0) * inverse
    total += term / 47900160
    term *= (s + 9.0) * (s + 10.0) * inverse
    total -= term * (691 / 1307674368000)
    term *= (s + 11.0) * (s + 12.0) * inverse
    total += term / 74724249600
    term *= (s + 13.0) * (s + 14.0) * inverse
    return total - term * (3617 / 10670622842880000)


def binary_exponent(x: float) -> np.int32:
    """The e for which x = m * 2**e with 0.5 <= abs(m) < 1; 0 for 0, NaN and infinities."""
    if x == 0.0 or not math.isfinite(x):
        return np.int32(0)
    return np.int32(math.frexp(x)[1])


INTRINSICS = (
    where,
    fma,
    float_bits,
    bits_float,
    shift_right,
    maximum,
    minimum,
    fmax,
    fmin,
    maximum_any_order,
    minimum_any_order,
    add_any_order,
    multiply_any_order,
    floor_divide_integers,
    remainder_integers,
    fmod_integers,
    left_shift,
    right_shift,
    count_bits,
    view,
)
FUNCTIONS = (
    grown,
    integer_power,
    lcm,
    digamma_positive,
    digamma_at_root,
    digamma,
    erfinv,
    hurwitz_zeta,
    binary_exponent,
)
NEEDS = {"digamma": ("digamma_positive", "digamma_at_root")}
