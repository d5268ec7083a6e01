"""What rendered Numba programs take along as `numba.extending.intrinsic`s.

An intrinsic writes a few LLVM instructions and costs next to nothing to compile. They stand here
undecorated, so that importing this module does not import Numba; the source of each goes into the
programs that use it, so it uses no names but those that `IMPORTS` imports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
