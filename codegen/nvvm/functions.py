"""What kernels may call of `math`, `np` and Python itself: functions of numbers.

The names after `__nv_` are those of libdevice, NVIDIA's library of functions of floats, which has
each for float64 and, with an f behind it, for float32.
"""

from __future__ import annotations

from collections.abc import Callable

from codegen.nvvm import arithmetic
from codegen.nvvm.arithmetic import cast, compare, complex_of, parts_of
from codegen.nvvm.builder import Builder
from codegen.nvvm.kinds import (
    BOOL,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INT32,
    SCALARS,
    Scalar,
    arithmetic_kind,
)
from codegen.nvvm.values import KernelError, Value, constant, several

Function = Callable[[Builder, list[Value]], Value]

UNARY = (
    "acos acosh asin asinh atan atanh cbrt ceil cos cosh erf erfc exp exp2 expm1 fabs floor lgamma "
    "log log10 log1p log2 sin sinh sqrt tan tanh trunc"
)
BINARY = "atan2 copysign fmod hypot nextafter pow remainder"
"""Functions of `math` that libdevice has under the same name, of one float and of two."""
CONSTANTS = {
    "inf": float("inf"),
    "nan": float("nan"),
    "pi": 3.141592653589793,
    "e": 2.718281828459045,
}
"""Numbers that `math` and `np` have names for."""


def floating(builder: Builder, values: list[Value]) -> tuple[list[Value], Scalar]:
    """Numbers as floats of one kind, which libdevice has functions of."""
    kind = values[0].scalar
    for value in values[1:]:
        kind = arithmetic_kind(kind, value.scalar)
    if kind.family == "c":
        raise KernelError("the functions of math are of real numbers")
    if kind.family != "f":
        kind = FLOAT64
    if kind is FLOAT16:
        kind = FLOAT32
    return [cast(builder, value, kind) for value in values], kind


def library(name: str, count: int = 1) -> Function:
    """A function of libdevice on `count` floats, with a result of their kind."""

    def call(builder: Builder, values: list[Value]) -> Value:
        if len(values) != count:
            raise ValueError(f"{name} is a function of {count}")
        values, kind = floating(builder, values)
        return library_call(builder, name, kind, values)

    return call


def library_call(builder: Builder, name: str, kind: Scalar, values: list[Value]) -> Value:
    """The result of libdevice's function for floats of `kind`."""
    full = f"__nv_{name}" + ("f" if kind is FLOAT32 else "")
    types = (kind.llvm,) * len(values)
    return Value(kind, (builder.call(full, kind.llvm, types, [v.text for v in values]),))


def absolute(builder: Builder, values: list[Value]) -> Value:
    """`abs`: of an integer an integer, which for the lowest is itself."""
    (value,) = values
    kind = value.scalar
    if kind.family == "c":
        return library("hypot", 2)(builder, list(parts_of(value)))
    if kind.family in "bu":
        return value
    if kind.family == "f":
        if kind is FLOAT16:
            return cast(builder, absolute(builder, [cast(builder, value, FLOAT32)]), FLOAT16)
        return library_call(builder, "fabs", kind, [value])
    below = builder.value(f"icmp slt {kind.llvm} {value.text}, 0")
    minus = builder.value(f"sub {kind.llvm} 0, {value.text}")
    found = builder.value(f"select i1 {below}, {kind.llvm} {minus}, {kind.llvm} {value.text}")
    return Value(kind, (found,))


def extreme(name: str, sign: str) -> Function:
    """`max` and `min` of two or more numbers, of floats as libdevice has them: not NaN."""

    def two(builder: Builder, first: Value, second: Value) -> Value:
        first, second = arithmetic.alike(builder, first, second)
        kind = first.scalar
        if kind in (FLOAT32, FLOAT64):
            return library_call(builder, name, kind, [first, second])
        return arithmetic.select(builder, compare(builder, sign, first, second), first, second)

    def call(builder: Builder, values: list[Value]) -> Value:
        found, *others = values
        for other in others:
            found = two(builder, found, other)
        return found

    return call


def _size_compared(sign: str) -> Function:
    """Whether the absolute value of a float compares so with infinity."""

    def call(builder: Builder, values: list[Value]) -> Value:
        (value,), kind = floating(builder, values)
        size = library_call(builder, "fabs", kind, [value])
        return compare(builder, sign, size, constant(kind, float("inf")))

    return call


def isnan(builder: Builder, values: list[Value]) -> Value:
    """Whether a float is no number."""
    (value,), kind = floating(builder, values)
    text = f"fcmp uno {kind.llvm} {value.text}, {constant(kind, 0.0).text}"
    return Value(BOOL, (builder.value(text),))


def frexp(builder: Builder, values: list[Value]) -> Value:
    """The mantissa and the exponent, an int32."""
    (value,), kind = floating(builder, values)
    slot = builder.slot("i32")
    name = "__nv_frexp" + ("f" if kind is FLOAT32 else "")
    mantissa = builder.call(name, kind.llvm, (kind.llvm, "i32*"), [value.text, slot])
    exponent = builder.value(f"load i32, i32* {slot}")
    return several([Value(kind, (mantissa,)), Value(INT32, (exponent,))])


def ldexp(builder: Builder, values: list[Value]) -> Value:
    """A float times a power of two."""
    value, exponent = values
    (value,), kind = floating(builder, [value])
    whole = cast(builder, exponent, INT32)
    name = "__nv_ldexp" + ("f" if kind is FLOAT32 else "")
    types = (kind.llvm, "i32")
    return Value(kind, (builder.call(name, kind.llvm, types, [value.text, whole.text]),))


def complex_number(builder: Builder, values: list[Value]) -> Value:
    """`complex`: a complex128, but of two float32."""
    if len(values) == 1:
        return cast(builder, values[0], SCALARS["complex128"])
    kind = FLOAT32 if all(value.scalar is FLOAT32 for value in values) else FLOAT64
    real, imaginary = (cast(builder, value, kind) for value in values)
    return complex_of(real, imaginary)


def conversion(kind: Scalar) -> Function:
    """A constructor of NumPy's: a number as one of a kind."""

    def call(builder: Builder, values: list[Value]) -> Value:
        (value,) = values
        return cast(builder, value, kind)

    return call


def power(builder: Builder, values: list[Value]) -> Value:
    """`**` of floats."""
    values, kind = floating(builder, values)
    return library_call(builder, "pow", kind, values)


FUNCTIONS: dict[str, Function] = {
    **{f"math.{name}": library(name) for name in UNARY.split()},
    **{f"math.{name}": library(name, 2) for name in BINARY.split()},
    "math.gamma": library("tgamma"),
    "math.isnan": isnan,
    "math.isinf": _size_compared("=="),
    "math.isfinite": _size_compared("<"),
    "math.frexp": frexp,
    "math.ldexp": ldexp,
    "cuda.cbrt": library("cbrt"),
    "abs": absolute,
    "max": extreme("fmax", ">"),
    "min": extreme("fmin", "<"),
    "complex": complex_number,
    "bool": conversion(BOOL),
    "int": conversion(SCALARS["int64"]),
    "float": conversion(FLOAT64),
    **{f"np.{name}": conversion(kind) for name, kind in SCALARS.items()},
    "np.bool_": conversion(BOOL),
}
