"""Vector values with operators: the notation in which the functions are written.

A `Lanes` is a number format, a width and a target, writing into a line collector; a `Value` is a
register of it. Every operator writes one instruction, in the order in which Python evaluates the
expression, and without fast-math flags, so results have the same bits at every width.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from codegen.render.vector_math.builder import LineCollector, float_literal, splat
from codegen.render.vector_math.coefficients import COEFFICIENTS
from codegen.render.vector_math.target import Target

Kind = Literal["float", "int", "mask"]


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format, and LLVM's names for it."""

    name: str
    short: str
    float_type: str
    int_type: str
    bits: int
    fraction_bits: int
    bias: int

    @property
    def smallest_normal(self) -> float:
        """The least positive value with full precision."""
        return 2.0 ** (1 - self.bias)

    @property
    def largest(self) -> float:
        """The greatest finite value."""
        return (2.0 - 2.0**-self.fraction_bits) * 2.0**self.bias

    @property
    def rounder(self) -> float:
        """Adding it rounds a moderate value to an integer, left in the sum's lowest bits."""
        return 1.5 * 2.0**self.fraction_bits

    @property
    def sign_bit(self) -> int:
        """The integer with only the sign bit set."""
        return 1 << (self.bits - 1)


FLOAT64 = Format("float64", "f64", "double", "i64", 64, 52, 1023)
FLOAT32 = Format("float32", "f32", "float", "i32", 32, 23, 127)
FORMATS = {"float64": FLOAT64, "float32": FLOAT32}


class Lanes:
    """Vectors of `width` lanes of one format, written into `builder`."""

    def __init__(
        self,
        builder: LineCollector,
        form: Format,
        width: int,
        target: Target,
        *,
        rounds_to_single: bool = False,
    ) -> None:
        self.builder = builder
        self.form = form
        self.width = width
        self.target = target
        # The result will be rounded to float32, so half the digits are enough.
        self.rounds_to_single = rounds_to_single
        self._types: dict[Kind, str] = {
            "float": self.vector_type(form.float_type),
            "int": self.vector_type(form.int_type),
            "mask": self.vector_type("i1"),
        }
        shape = "" if width == 1 else f"v{width}"
        self.suffix = f"{shape}f{form.bits}"
        self.full_register = form.bits * width == 512

    def vector_type(self, element: str) -> str:
        """The LLVM type with `element` in every lane."""
        return element if self.width == 1 else f"<{self.width} x {element}>"

    def type_of(self, kind: Kind) -> str:
        """The LLVM type of values of a kind."""
        return self._types[kind]

    def value(self, register: str, kind: Kind = "float") -> Value:
        """An existing register as a value."""
        return Value(self, register, kind)

    def write(self, kind: Kind, instruction: str) -> Value:
        """Writes `instruction` into a new register of that kind."""
        register = self.builder.fresh()
        self.builder.lines.append(f"  {register} = {instruction}")
        return Value(self, register, kind)

    # Constants.

    def number(self, constant: float) -> Value:
        """A float constant in every lane, rounded to the format."""
        literal = splat(self.form.float_type, self.scalar_literal(constant), self.width)
        return Value(self, literal, "float")

    def integer(self, constant: int) -> Value:
        """An integer constant in every lane, taken modulo the word."""
        wrapped = constant & ((1 << self.form.bits) - 1)
        if wrapped >= self.form.sign_bit:
            wrapped -= 1 << self.form.bits
        return Value(self, splat(self.form.int_type, str(wrapped), self.width), "int")

    def scalar_literal(self, constant: float) -> str:
        """The literal of one lane's float constant, rounded to the format."""
        if self.form.bits == 32:
            constant = struct.unpack("<f", struct.pack("<f", constant))[0]
        return float_literal(float(constant))

    def lift(self, operand: Value | float | int, kind: Kind) -> Value:
        """A Python number as a constant of `kind`; a value as it is."""
        if isinstance(operand, Value):
            return operand
        return self.integer(int(operand)) if kind == "int" else self.number(float(operand))

    def coefficients(self, name: str) -> tuple[float, ...]:
        """The table entry `name` fitted for this format."""
        return COEFFICIENTS[f"{name}_{self.form.short}"]

    def short_coefficients(self, name: str) -> tuple[float, ...]:
        """As `coefficients`, but the float32 ones where the result is rounded to that."""
        short = "f32" if self.rounds_to_single else self.form.short
        return COEFFICIENTS[f"{name}_{short}"]

    # Operations.

    def call(self, intrinsic: str, *operands: Value) -> Value:
        """An overloaded LLVM intrinsic from floats to a float, such as `llvm.floor`."""
        name = f"@{intrinsic}.{self.suffix}"
        float_type = self._types["float"]
        types = ", ".join([float_type] * len(operands))
        self.builder.declarations.add(f"declare {float_type} {name}({types})")
        arguments = ", ".join(f"{float_type} {operand.register}" for operand in operands)
        return self.write("float", f"call {float_type} {name}({arguments})")

    def fma(self, a: Value, b: Value | float, c: Value | float) -> Value:
        """a·b + c, rounded once where the target has it, else twice."""
        b, c = self.lift(b, "float"), self.lift(c, "float")
        if self.target.fma:
            return self.call("llvm.fma", a, b, c)
        return a * b + c

    def select(
        self, mask: Value, chosen: Value | float | int, otherwise: Value | float | int
    ) -> Value:
        """`chosen` where `mask`, else `otherwise`; at least one must be a value."""
        kind: Kind = "float"
        for operand in (chosen, otherwise):
            if isinstance(operand, Value):
                kind = operand.kind
        chosen, otherwise = self.lift(chosen, kind), self.lift(otherwise, kind)
        name = self._types[kind]
        mask_type = self._types["mask"]
        return self.write(
            kind,
            f"select {mask_type} {mask.register}, {name} {chosen.register}, "
            f"{name} {otherwise.register}",
        )

    def at_most(self, x: Value, bound: float) -> Value:
        """The lesser of `x` and `bound`; NaN stays."""
        return self.select(x > bound, bound, x)

    def at_least(self, x: Value, bound: float) -> Value:
        """The greater of `x` and `bound`; NaN stays."""
        return self.select(x < bound, bound, x)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Σ coefficients[k]·xᵏ, as two interleaved Horner chains to shorten the dependency."""
        if len(coefficients) < 5:
            return self.horner(x, coefficients)
        square = x * x
        even = self.horner(square, coefficients[0::2])
        odd = self.horner(square, coefficients[1::2])
        return self.fma(odd, x, even)

    def horner(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Σ coefficients[k]·xᵏ by one Horner chain."""
        total = self.number(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            total = self.fma(total, x, coefficient)
        return total

    def any(self, mask: Value) -> str:
        """A scalar `i1` register: whether any lane of `mask` is set."""
        if self.width == 1:
            return mask.register
        integer = f"i{self.width}"
        packed = self.builder.fresh()
        self.builder.line(f"{packed} = bitcast {self._types['mask']} {mask.register} to {integer}")
        result = self.builder.fresh()
        self.builder.line(f"{result} = icmp ne {integer} {packed}, 0")
        return result

    def convert(self, x: Value) -> Value:
        """A float value of another format, as one of this format."""
        if x.lanes.form.bits == self.form.bits:
            return Value(self, x.register, x.kind)
        operation = "fpext" if self.form.bits > x.lanes.form.bits else "fptrunc"
        return self.write("float", f"{operation} {x.type} {x.register} to {self._types['float']}")


class Value:
    """One register (or constant) of a `Lanes`: floats, integers of the same size, or a mask."""

    __slots__ = ("kind", "lanes", "register")
    __hash__ = None  # type: ignore[assignment]  # == makes a mask, so no dictionary may use it

    def __init__(self, lanes: Lanes, register: str, kind: Kind) -> None:
        self.lanes = lanes
        self.register = register
        self.kind = kind

    @property
    def type(self) -> str:
        """The LLVM type of the register."""
        return self.lanes.type_of(self.kind)

    def _binary(self, names: dict[Kind, str], other: Value | float | int) -> Value:
        right = self.lanes.lift(other, self.kind)
        return self.lanes.write(
            self.kind, f"{names[self.kind]} {self.type} {self.register}, {right.register}"
        )

    def _compare(self, float_name: str, int_name: str, other: Value | float | int) -> Value:
        right = self.lanes.lift(other, self.kind)
        name = f"fcmp {float_name}" if self.kind == "float" else f"icmp {int_name}"
        return self.lanes.write("mask", f"{name} {self.type} {self.register}, {right.register}")

    def __add__(self, other: Value | float | int) -> Value:
        return self._binary({"float": "fadd", "int": "add"}, other)

    def __radd__(self, other: float | int) -> Value:
        return self.lanes.lift(other, self.kind) + self

    def __sub__(self, other: Value | float | int) -> Value:
        return self._binary({"float": "fsub", "int": "sub"}, other)

    def __rsub__(self, other: float | int) -> Value:
        return self.lanes.lift(other, self.kind) - self

    def __mul__(self, other: Value | float | int) -> Value:
        return self._binary({"float": "fmul", "int": "mul"}, other)

    def __rmul__(self, other: float | int) -> Value:
        return self * other

    def __truediv__(self, other: Value | float) -> Value:
        return self._binary({"float": "fdiv"}, other)

    def __rtruediv__(self, other: float) -> Value:
        return self.lanes.lift(other, self.kind) / self

    def __and__(self, other: Value | int) -> Value:
        return self._binary({"int": "and", "mask": "and"}, other)

    def __or__(self, other: Value | int) -> Value:
        return self._binary({"int": "or", "mask": "or"}, other)

    def __xor__(self, other: Value | int) -> Value:
        return self._binary({"int": "xor", "mask": "xor"}, other)

    def __lshift__(self, other: int) -> Value:
        return self._binary({"int": "shl"}, other)

    def __rshift__(self, other: int) -> Value:
        """Shifts in zeros, whatever the sign."""
        return self._binary({"int": "lshr"}, other)

    def __neg__(self) -> Value:
        if self.kind == "float":
            return self.lanes.write("float", f"fneg {self.type} {self.register}")
        return 0 - self

    def __invert__(self) -> Value:
        ones = splat("i1", "true", self.lanes.width)
        return self.lanes.write("mask", f"xor {self.type} {self.register}, {ones}")

    def __lt__(self, other: Value | float | int) -> Value:
        return self._compare("olt", "slt", other)

    def __le__(self, other: Value | float | int) -> Value:
        return self._compare("ole", "sle", other)

    def __gt__(self, other: Value | float | int) -> Value:
        return self._compare("ogt", "sgt", other)

    def __ge__(self, other: Value | float | int) -> Value:
        return self._compare("oge", "sge", other)

    def __eq__(self, other: Value | float | int) -> Value:  # type: ignore[override]
        return self._compare("oeq", "eq", other)

    def __ne__(self, other: Value | float | int) -> Value:  # type: ignore[override]
        return self._compare("une", "ne", other)

    def is_nan(self) -> Value:
        """The mask of lanes that are NaN."""
        return self._compare("uno", "ne", self)

    def bits(self) -> Value:
        """The float's bits as integers."""
        target = self.lanes.type_of("int")
        return self.lanes.write("int", f"bitcast {self.type} {self.register} to {target}")

    def as_float(self) -> Value:
        """The integer's bits as floats."""
        target = self.lanes.type_of("float")
        return self.lanes.write("float", f"bitcast {self.type} {self.register} to {target}")

    def negative_bit(self) -> Value:
        """The mask of lanes whose sign bit is set, −0 and NaNs included."""
        return self.bits() < 0

    def absolute(self) -> Value:
        """|value|, a sign bit cleared."""
        return self.lanes.call("llvm.fabs", self)

    def square_root(self) -> Value:
        """√value, correctly rounded."""
        return self.lanes.call("llvm.sqrt", self)

    def with_sign_of(self, other: Value) -> Value:
        """This magnitude with the sign bit of `other`."""
        return self.lanes.call("llvm.copysign", self, other)

    def flip_sign_by(self, other: Value) -> Value:
        """Negated where the sign bit of `other` (a float) is set."""
        sign = other.bits() & self.lanes.form.sign_bit
        return (self.bits() ^ sign).as_float()
