"""Registers, types and instructions: what the parts of the LLVM renderer write with.

The text is written as it is needed, without objects for instructions, and no pass of LLVM's
optimizer sees it: so loop-invariant address arithmetic and broadcasts are put before the loop here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from codegen.loops.errors import UnsupportedProgramError
from codegen.loops.operations import DType
from codegen.loops.sizes import Number, Size, is_size
from codegen.render.vector_math import LineCollector, Target
from codegen.render.vector_math.builder import float_literal, splat
from tracer.types import is_half, kind_of

BOOL = np.dtype(np.bool_)
INT64 = np.dtype(np.int64)
SINGLE = np.dtype(np.float32)
FLOAT_NAMES = {4: "float", 8: "double"}


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar or a vector of `width` lanes in one register, a complex one in two.

    `level` is the number of loops around the place from which on the value is known.
    """

    parts: tuple[str, ...]
    dtype: DType
    width: int = 1
    level: int = 0

    @property
    def text(self) -> str:
        """The register, or the literal."""
        return self.parts[0]

    @property
    def is_literal(self) -> bool:
        """Whether this is a constant scalar."""
        return self.width == 1 and not self.parts[0].startswith("%")


@dataclass(slots=True)
class Frame:
    """An open loop: what goes before it, and the lines in front of that."""

    lines: list[str]
    preheader: list[str] = field(default_factory=list)
    known: dict[Any, str] = field(default_factory=dict)


def require_dtype(dtype: DType) -> None:
    """Raise UnsupportedProgramError for a dtype that this renderer cannot compute with."""
    if dtype.char in "dl?":
        return
    if kind_of(dtype) not in "biufc" or dtype.itemsize > 16 or dtype.char in "gG":
        raise UnsupportedProgramError(
            f"the llvm backend has no {dtype.name}; compute in float64 (x.astype(np.float64)), or "
            'use backend="numpy"'
        )


@cache
def part_dtype(dtype: DType) -> DType:
    """The dtype of the parts of a complex number; any other dtype itself."""
    if dtype.kind != "c":
        return dtype
    return np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)


@cache
def element_type(dtype: DType) -> str:
    """LLVM's type of a scalar in a register: i1 for bool, the type of a part for complex, for
    float16 and bfloat16 their bits.
    """
    require_dtype(dtype)
    if dtype.kind == "b":
        return "i1"
    if dtype.kind in "iu" or is_half(dtype):
        return f"i{dtype.itemsize * 8}"
    return FLOAT_NAMES[part_dtype(dtype).itemsize]


@cache
def vector_type(dtype: DType, width: int) -> str:
    """LLVM's type of a register with `width` lanes."""
    return of_width(element_type(dtype), width)


def of_width(element: str, width: int) -> str:
    """A vector of an element type; the element itself where there is one lane."""
    return element if width == 1 else f"<{width} x {element}>"


@cache
def memory_type(dtype: DType) -> str:
    """LLVM's type of an element in memory, where a bool is a byte."""
    return "i8" if dtype.kind == "b" else element_type(dtype)


def real_literal(value: float | int | bool, dtype: DType) -> str:
    """The text of a constant of a dtype that is not complex."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind in "iu":
        return str(value) if is_size(value) else str(int(value))
    if is_half(dtype):
        return str(int(np.asarray(value, dtype).view(np.uint16)))
    return float_literal(float(dtype.type(value)))


def literal_value(value: complex, dtype: DType) -> Value:
    """A constant."""
    if dtype.kind == "c":
        part = part_dtype(dtype)
        both = complex(value)
        return Value((real_literal(both.real, part), real_literal(both.imag, part)), dtype)
    return Value((real_literal(value.real, dtype),), dtype)


class Emitter:
    """Writes instructions, and keeps the loops that are open."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.out = LineCollector("entry")
        self.frames: list[Frame] = []
        self.here: dict[str, str] = {}
        self.here_block = ""
        self.function_uses: Counter[tuple[str, str, int]] = Counter()
        self.table = ""
        self.words: dict[str, str] = {}  # 32-bit integers that shorter ones were cut from
        self.numbers = 0

    @property
    def depth(self) -> int:
        """How many loops are open."""
        return len(self.frames)

    def write(self, instruction: str) -> str:
        """An instruction's result in a new register."""
        register = self.out.fresh()
        self.out.lines.append(f"  {register} = {instruction}")
        return register

    def once(self, instruction: str) -> str:
        """The result of an instruction that neither reads nor writes memory; of the one in this
        block where it stands there already.
        """
        if self.here_block != self.out.block:
            self.here, self.here_block = {}, self.out.block
        register = self.here.get(instruction)
        if register is None:
            register = self.here[instruction] = self.write(instruction)
        return register

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.out.lines.append(f"  {text}")

    def declare(self, text: str) -> None:
        """A module-level declaration."""
        self.out.declarations.add(f"declare {text}")

    def made(self, dtype: DType, width: int, *parts: str) -> Value:
        """Registers written here as a value."""
        return Value(parts, dtype, width, self.depth)

    def hoisted(self, level: int, instruction: str) -> str:
        """An instruction whose operands are known at a level, before the loops inside that."""
        if level >= self.depth:
            place = instruction.startswith("alloca")  # one for each use
            return self.write(instruction) if place else self.once(instruction)
        frame = self.frames[level]
        if instruction not in frame.known:
            register = self.out.fresh()
            frame.preheader.append(f"  {register} = {instruction}")
            frame.known[instruction] = register
        return frame.known[instruction]

    # Words that are read at run time

    def number(self, number: Number, dtype: DType) -> Value:
        """A floating-point constant from the table."""
        return Value((self._from_table(number.slot, element_type(dtype)),), dtype)

    def size(self, slot: int) -> str:
        """The register that holds a size, whose entry stands behind the numbers."""
        return self._from_table(self.numbers + slot, "i64")

    def entry_place(self, value: Size) -> str:
        """A pointer to a size in the table."""
        entry = self.numbers + value.sizes.slot(value.place, value.offset)
        return self.hoisted(0, f"getelementptr i64, ptr {self.table}, i64 {entry}")

    def _from_table(self, entry: int, kind: str) -> str:
        self.out.constants["!0"] = "!0 = !{}"
        place = self.hoisted(0, f"getelementptr i64, ptr {self.table}, i64 {entry}")
        return self.hoisted(0, f"load {kind}, ptr {place}, align 8, !invariant.load !0")

    # Loops

    def open_loop(self) -> str:
        """Begin a loop; the label of its first block."""
        self.frames.append(Frame(self.out.lines))
        self.out.lines = []
        label = self.out.fresh_label("loop")
        self.out.start_block(label)
        return label

    def close_loop(self, before: list[str], phis: list[str]) -> None:
        """End a loop: `before` goes behind what was hoisted out of it, phis to its beginning."""
        frame = self.frames.pop()
        label, *body = self.out.lines
        frame.lines += [*frame.preheader, *(f"  {text}" for text in before), label]
        frame.lines += [*(f"  {text}" for text in phis), *body]
        self.out.lines = frame.lines

    # Vectors

    def widened(self, value: Value, width: int) -> Value:
        """A value in every lane of a vector."""
        if value.width == width:
            return value
        element = element_type(value.dtype)
        parts = []
        for part in value.parts:
            if not part.startswith("%"):
                parts.append(splat(element, part, width))
                continue
            vector = of_width(element, width)
            one = self.hoisted(
                value.level, f"insertelement {vector} poison, {element} {part}, i64 0"
            )
            zeros = f"<{width} x i32> zeroinitializer"
            parts.append(
                self.hoisted(value.level, f"shufflevector {vector} {one}, {vector} poison, {zeros}")
            )
        return Value(tuple(parts), value.dtype, width, value.level)

    def lane(self, value: Value, number: int) -> Value:
        """One lane of a vector as a scalar."""
        if value.width == 1:
            return value
        vector = vector_type(value.dtype, value.width)
        parts = [self.write(f"extractelement {vector} {p}, i64 {number}") for p in value.parts]
        return self.made(value.dtype, 1, *parts)

    def gathered(self, lanes: list[Value]) -> Value:
        """A vector of scalars."""
        dtype, width = lanes[0].dtype, len(lanes)
        element, vector = element_type(dtype), vector_type(dtype, width)
        parts = []
        for place in range(len(lanes[0].parts)):
            text = "poison"
            for number, value in enumerate(lanes):
                text = self.write(
                    f"insertelement {vector} {text}, {element} {value.parts[place]}, i64 {number}"
                )
            parts.append(text)
        return self.made(dtype, width, *parts)

    def chosen(self, mask: str, if_true: Value, if_false: Value) -> Value:
        """`select` on each part; the mask is i1, or a vector of them."""
        width = if_true.width
        kind = vector_type(if_true.dtype, width)
        parts = [
            self.write(f"select {of_width('i1', width)} {mask}, {kind} {a}, {kind} {b}")
            for a, b in zip(if_true.parts, if_false.parts, strict=True)
        ]
        return self.made(if_true.dtype, width, *parts)
