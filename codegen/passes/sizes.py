"""A program without its sizes: two programs that differ in large integers and in floating-point
constants only have the same text, and may share machine code.

Integers up to `SMALL` stay as they are: loops of so few iterations are written out, and broadcast
dimensions have the extent 1. Those which stand in operations that machine code does better with a
constant stay too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
    View,
    While,
)
from codegen.loops.operations import DType
from codegen.loops.sizes import SMALL, Number, Size, Sizes
from codegen.passes.rewrite import Body, map_own
from tracer.types import INT64, kind_of

SIZED = frozenset(
    """
    add subtract multiply negative minimum maximum select cast
    equal not_equal less less_equal greater greater_equal
    """.split()  # noqa: SIM905
)
"""Operations whose int64 constants may be sizes. Others, as division, are better with constants."""
PLAIN_STEPS = 8
MOST_SCALES = 8
USUAL_MULTIPLES = frozenset((0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0))


@dataclass(frozen=True, slots=True)
class Outline:
    """What remains of a program without its sizes, and what was taken out.

    text     two programs with the same text differ in `words` and `numbers` only
    words    the integers, in order of appearance, each once
    numbers  the floating-point constants that come of sizes with their dtypes, likewise. Outside of
             loops that may be any, in loops only multiples of sizes or of their inverses: reading
             many constants from memory makes loops slower
    """

    text: str
    words: tuple[int, ...]
    numbers: tuple[tuple[float, DType], ...]


def is_word(value: int) -> bool:
    """Whether an integer is read from the table, itself or its negative."""
    return value > SMALL or value < -SMALL


def is_number(literal: Literal) -> bool:
    """Whether a constant may come of sizes: small multiples of 1/8 do not."""
    value = literal.value
    if literal.dtype.char not in "fd" or not isinstance(value, float) or not math.isfinite(value):
        return False
    return not _is_plain(value)


def _is_plain(value: float) -> bool:
    return abs(value) <= SMALL and (value * PLAIN_STEPS).is_integer()


def _scales(words: Iterable[int]) -> list[float]:
    """What constants of means, variances and the like are small multiples of."""
    sizes = [float(word) for word in words]
    products = [a * b for place, a in enumerate(sizes) for b in sizes[place:]]
    return [*sizes, *(size - 1.0 for size in sizes), *products]


def _comes_of(value: float, scales: list[float]) -> bool:
    """Whether a constant is a small multiple of a size or of its inverse."""
    for scale in scales:
        for factor in (value * scale, value / scale):
            if not abs(factor) <= 2 * max(USUAL_MULTIPLES):
                continue
            near = round(abs(factor) * 4) / 4
            if near in USUAL_MULTIPLES and abs(abs(factor) - near) <= 1e-6 * near:
                return True
    return False


def outline(program: Program) -> Outline:
    """The outline of a program.

    Texts of errors, source lines, names of programs and values of constant arrays are not in it:
    code does not depend on them.
    """
    writer = _Outliner()
    writer.program(program)
    text = "\n".join(writer.lines)
    return Outline(text, tuple(writer.words), tuple(writer.numbers))


class _Outliner:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.words: dict[int, int] = {}
        self.numbers: dict[tuple[float, DType], int] = {}
        self.buffers: dict[int, str] = {}
        self.chosen: dict[tuple[float, DType], bool] = {}
        self.depth = 0
        self.scales: list[float] = []

    def program(self, program: Program) -> None:
        for role, group in (
            ("in", program.inputs),
            ("out", program.outputs),
            ("constant", program.constants),
            ("workspace", program.workspace),
        ):
            for buffer in group:
                self.lines.append(f"{role} {self.buffer(buffer)} {buffer.dtype.str}")
        self.scales = _scales(list(self.words)[:MOST_SCALES])
        self.block(program.body)

    def size(self, value: int) -> str:
        if not is_word(value):
            return str(value)
        number = self.words.setdefault(abs(value), len(self.words))
        return f"-${number}" if value < 0 else f"${number}"

    def literal(self, literal: Literal, sized: bool = True) -> str:
        if literal.dtype == INT64:
            value = int(literal.value.real)
            return self.size(value) if sized else str(value)
        if sized and self.is_number(literal):
            key = (float(literal.value.real), literal.dtype)
            return f"#{self.numbers.setdefault(key, len(self.numbers))}{literal.dtype.char}"
        return f"{literal.value!r}{literal.dtype.char}"

    def is_number(self, literal: Literal) -> bool:
        if not is_number(literal):
            return False
        key = (float(literal.value.real), literal.dtype)
        chosen = self.chosen.get(key)
        if chosen is None:  # once and for all, so that the value alone tells what becomes of it
            chosen = self.chosen[key] = not self.depth or _comes_of(key[0], self.scales)
        return chosen

    def buffer(self, buffer: Buffer) -> str:
        found = self.buffers.get(id(buffer))
        if found is None:
            name = buffer.name if buffer.base is None else buffer.base.name
            found = f"{name}({','.join([self.size(extent) for extent in buffer.shape])})"
            self.buffers[id(buffer)] = found
        return found

    def element(self, buffer: Buffer, indices: tuple[Expression, ...]) -> str:
        places = ",".join([self.expression(index) for index in indices])
        return f"{self.buffer(buffer)}[{places}]"

    def expression(self, part: Expression, sized: bool = True) -> str:
        kind = type(part)
        if kind is Variable:
            return part.name  # type: ignore[union-attr]
        if isinstance(part, Load):
            return self.element(part.buffer, part.indices)
        if isinstance(part, Literal):
            return self.literal(part, sized)
        assert isinstance(part, Operation), "the fourth kind of expression"
        inner = part.name in SIZED or kind_of(part.dtype) in "fc"
        operands = ",".join([self.expression(operand, inner) for operand in part.operands])
        return f"{part.name}{part.dtype.char}({operands})"

    def view(self, view: View) -> str:
        return f"{self.element(view.buffer, view.indices)}{view.axes or ''}"

    def block(self, body: Body) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        text, lines = self.expression, self.lines
        match statement:
            case Let(name, value):
                lines.append(f"{name}={text(value)}")
            case Store(buffer, indices, value):
                lines.append(f"{self.element(buffer, indices)}:={text(value)}")
            case Update(buffer, indices, operation, value):
                lines.append(f"{self.element(buffer, indices)} {operation}= {text(value)}")
            case Reduce(name, operation, value):
                lines.append(f"{name} {operation}= {text(value)}")
            case Loop(index, start, stop, body, kind, reverse):
                bounds = f"{text(start)}:{text(stop)}"
                lines.append(f"for {index} {bounds} {kind} {int(reverse)}")
                self.inside(body)
            case Declare(name, value):
                lines.append(f"{name}:{value.dtype.char}={text(value)}")
            case Assign(name, value):
                lines.append(f"{name}<-{text(value)}")
            case If(condition, then, otherwise):
                lines.append(f"if {text(condition)}")
                self.inside(then)
                self.inside(otherwise)
            case While(test, condition, body):
                lines.append("while")
                self.inside(test)
                lines.append(text(condition))
                self.inside(body)
            case Call(kernel, results, operands, params):
                views = " ".join([self.view(view) for view in (*results, *operands)])
                lines.append(f"call {kernel} {len(results)} {views} {sorted(params.items())}")
            case Reserve(buffer, extent):
                lines.append(f"reserve {self.buffer(buffer)} {text(extent)}")
            case Check(condition, code, details):
                lines.append(f"check {code} {' '.join(map(text, (condition, *details)))}")

    def inside(self, body: Body) -> None:
        self.lines.append("{")
        self.depth += 1
        self.block(body)
        self.depth -= 1
        self.lines.append("}")


@dataclass(frozen=True, slots=True)
class SizedProgram:
    """A program whose words are `Size`s and whose numbers are `Number`s.

    `offsets` says where each buffer of the workspace lies, in bytes: these are words too, behind
    those of the outline.
    """

    program: Program
    sizes: Sizes
    numbers: tuple[tuple[float, DType], ...]
    offsets: dict[Buffer, Size]


def with_sizes(program: Program, outlined: Outline, offsets: dict[Buffer, int]) -> SizedProgram:
    """The program that is rendered for all programs of its outline."""
    sizes = Sizes(outlined.words, tuple(offsets.values()))
    words = {value: sizes.word(number) for number, value in enumerate(outlined.words)}
    numbers = {key: Number(slot) for slot, key in enumerate(outlined.numbers)}
    sizer = _Sizer(words, numbers)
    groups = [
        tuple([sizer.buffer(buffer) for buffer in group])
        for group in (program.inputs, program.outputs, program.constants, program.workspace)
    ]
    body = sizer.block(program.body)
    inputs, outputs, constants, workspace = groups
    changed = replace(
        program,
        inputs=inputs,
        outputs=outputs,
        constants=constants,
        workspace=workspace,
        body=body,
    )
    first = len(outlined.words)
    places = {
        sizer.buffer(buffer): sizes.word(first + number) for number, buffer in enumerate(offsets)
    }
    return SizedProgram(changed, sizes, outlined.numbers, places)


class _Sizer:
    def __init__(self, words: dict[int, Size], numbers: dict[tuple[float, DType], Number]) -> None:
        self.words = words
        self.numbers = numbers
        self.buffers: dict[int, Buffer] = {}

    def size(self, value: int) -> Any:
        if not is_word(value):
            return value
        return -self.words[-value] if value < 0 else self.words[value]

    def buffer(self, buffer: Buffer) -> Buffer:
        found = self.buffers.get(id(buffer))
        if found is None:
            shape = tuple([self.size(extent) for extent in buffer.shape])
            base = None if buffer.base is None else self.buffer(buffer.base)
            found = self.buffers[id(buffer)] = replace(buffer, shape=shape, base=base)
        return found

    def literal(self, literal: Literal, sized: bool) -> Literal:
        value: Any = literal.value
        if not sized:
            return literal
        if literal.dtype == INT64:
            return Literal(self.size(int(value.real)), INT64)
        if literal.dtype.char in "fd":
            found: Any = self.numbers.get((float(value.real), literal.dtype))
            return literal if found is None else Literal(found, literal.dtype)
        return literal

    def expression(self, part: Expression, sized: bool = True) -> Expression:
        if isinstance(part, Literal):
            return self.literal(part, sized)
        if isinstance(part, Load):
            indices = tuple([self.expression(index) for index in part.indices])
            return Load(self.buffer(part.buffer), indices)
        if isinstance(part, Operation):
            inner = part.name in SIZED or kind_of(part.dtype) in "fc"
            operands = tuple([self.expression(operand, inner) for operand in part.operands])
            return Operation(part.name, operands, part.dtype)
        return part

    def block(self, body: Body) -> Body:
        return tuple([self.statement(statement) for statement in body])

    def view(self, view: View) -> View:
        return replace(view, buffer=self.buffer(view.buffer))

    def statement(self, statement: Statement) -> Statement:
        changed = map_own(statement, self.expression)
        match changed:
            case Store(buffer=buffer) | Update(buffer=buffer) | Reserve(buffer=buffer):
                return replace(changed, buffer=self.buffer(buffer))
            case Call(results=results, operands=operands):
                written = tuple([self.view(view) for view in results])
                read = tuple([self.view(view) for view in operands])
                return replace(changed, results=written, operands=read)
            case Loop(body=inner):
                return replace(changed, body=self.block(inner))
            case If(then=then, otherwise=otherwise):
                return replace(changed, then=self.block(then), otherwise=self.block(otherwise))
            case While(test=test, body=inner):
                return replace(changed, test=self.block(test), body=self.block(inner))
        return changed
