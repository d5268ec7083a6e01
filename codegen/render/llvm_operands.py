"""Operands of one dtype and width, and the instructions on them: how operations are spelled."""

from __future__ import annotations

from collections.abc import Callable

from codegen.loops.operations import DType
from codegen.render.llvm_emit import (
    Emitter,
    element_type,
    of_width,
    part_dtype,
    real_literal,
    vector_type,
)
from codegen.render.vector_math import emit, emit_inline
from codegen.render.vector_math.builder import splat

MOST_IN_PLACE = 4
"""How often one elementary function is written in place: more takes long to compile."""
SHORT = frozenset(("sqrt", "floor", "ceil", "trunc", "rint", "copysign"))
"""Functions of one instruction or two."""


class Lanes:
    """Instructions on registers of one real dtype and width; for complex numbers, on parts.

    With `exact` products and sums are never fused.
    """

    def __init__(self, emitter: Emitter, dtype: DType, width: int) -> None:
        self.emitter = emitter
        self.exact = dtype.kind == "c"
        self.dtype = part_dtype(dtype)
        self.width = width
        self.type = vector_type(self.dtype, width)
        self.mask_type = of_width("i1", width)

    @property
    def suffix(self) -> str:
        """`v4f64`: how intrinsics name the type."""
        letter = "f" if self.dtype.kind == "f" else "i"
        bits = 1 if self.dtype.kind == "b" else self.dtype.itemsize * 8
        return f"{'' if self.width == 1 else f'v{self.width}'}{letter}{bits}"

    def number(self, value: float | int) -> str:
        """A constant in every lane."""
        return splat(element_type(self.dtype), real_literal(value, self.dtype), self.width)

    def op(self, name: str, left: str, right: str) -> str:
        """A binary instruction."""
        if name[0] == "f" and not self.exact:
            name = f"{name} contract"
        return self.emitter.write(f"{name} {self.type} {left}, {right}")

    def negated(self, value: str) -> str:
        """-value."""
        if self.dtype.kind == "f":
            return self.emitter.write(f"fneg {self.type} {value}")
        return self.op("sub", self.number(0), value)

    def compare(self, predicate: str, left: str, right: str) -> str:
        """A mask: `olt`, `une`, … for floating numbers, `slt`, `eq`, … for integers."""
        instruction = "fcmp" if self.dtype.kind == "f" else "icmp"
        return self.emitter.write(f"{instruction} {predicate} {self.type} {left}, {right}")

    def mask_op(self, name: str, left: str, right: str) -> str:
        """`and`, `or`, `xor` of masks."""
        return self.emitter.write(f"{name} {self.mask_type} {left}, {right}")

    def inverted(self, mask: str) -> str:
        """The other lanes."""
        return self.mask_op("xor", mask, splat("i1", "true", self.width))

    def select(self, mask: str, if_true: str, if_false: str) -> str:
        """By lane."""
        return self.emitter.write(
            f"select {self.mask_type} {mask}, {self.type} {if_true}, {self.type} {if_false}"
        )

    def intrinsic(self, name: str, *operands: str) -> str:
        """An overloaded intrinsic on operands of this type."""
        symbol = f"@{name}.{self.suffix}"
        self.emitter.declare(f"{self.type} {symbol}({', '.join([self.type] * len(operands))})")
        arguments = ", ".join(f"{self.type} {operand}" for operand in operands)
        return self.emitter.write(f"call {self.type} {symbol}({arguments})")

    def function(self, name: str, *operands: str) -> str:
        """An elementary function: written in place the first times, then called."""
        emitter, dtype = self.emitter, self.dtype.name
        key = (name, dtype, self.width)
        emitter.function_uses[key] += 1
        if name in SHORT or emitter.function_uses[key] <= MOST_IN_PLACE:
            return emit_inline(emitter.out, name, dtype, self.width, operands, emitter.target)
        form = emit(name, dtype, self.width, emitter.target, emitter.out)
        emitter.out.definitions[form.name] = form.definition
        arguments = ", ".join(f"{self.type} {operand}" for operand in operands)
        return emitter.write(f"call {self.type} {form.name}({arguments})")

    def is_nan(self, value: str) -> str:
        """The lanes that are NaN."""
        return self.compare("uno", value, value)

    def is_zero(self, value: str) -> str:
        """The lanes that are 0."""
        return self.compare("oeq" if self.dtype.kind == "f" else "eq", value, self.number(0))

    def not_zero(self, value: str) -> str:
        """The lanes that are not 0, NaN included."""
        return self.compare("une" if self.dtype.kind == "f" else "ne", value, self.number(0))

    def as_bits(self, value: str) -> str:
        """A floating number's bits as an integer."""
        return self.emitter.write(f"bitcast {self.type} {value} to {self.bits_type}")

    @property
    def bits_type(self) -> str:
        """The integers as wide as this type."""
        return of_width(f"i{self.dtype.itemsize * 8}", self.width)


Rule = Callable[..., str]
"""Takes lanes and registers, gives a register: of the operands' dtype, or a mask."""
