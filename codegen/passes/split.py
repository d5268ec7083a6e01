"""Long programs in sections: parts that a renderer may write as functions of their own, since the
time and the stack that one function takes to compile grow faster than its length.

A section is an `If` whose condition is the constant true. No scalar is seen outside of its section:
those that later ones read lie in workspace between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    Variable,
)
from codegen.loops.operations import BOOL, DType
from codegen.loops.walk import blocks, own_expressions, statements
from codegen.passes.rewrite import Body
from codegen.passes.unused import parts_read
from tracer.types import INT64

LONG_PROGRAM = 1500
SECTION = 500
"""Statements; loops of few iterations count each, since renderers write them out."""
UNROLLED = 4
EXTENT = 16
"""Extents of the buffers between sections: positions in them are constants even where programs of
other sizes share the code."""


def split(program: Program) -> Program:
    """The program in sections, where it is long. Programs with tapes stay whole."""
    sizes = [_size(statement) for statement in program.body]
    if sum(sizes) <= LONG_PROGRAM or any(buffer.is_tape for buffer in program.workspace):
        return program
    reads = [set(_names_read((statement,))) for statement in program.body]
    sections = _sections(program.body, sizes, reads)
    if len(sections) < 2:
        return program
    shared, slots = _shared(sections, reads)
    body = []
    position = 0
    for section in sections:
        names = dict.fromkeys(n for here in reads[position : position + len(section)] for n in here)
        position += len(section)
        body.append(If(Literal(True, BOOL), tuple(_section(section, names, slots))))
    return replace(program, body=tuple(body), workspace=(*program.workspace, *shared))


def is_section(statement: Statement) -> bool:
    """Whether a statement is a block that always runs."""
    return (
        isinstance(statement, If)
        and isinstance(statement.condition, Literal)
        and statement.condition.value is True
        and not statement.otherwise
    )


def _size(statement: Statement) -> int:
    """How much code a statement becomes, in statements."""
    inside = sum(_size(part) for block in blocks(statement) for part in block)
    if isinstance(statement, Loop) and isinstance(statement.stop, Literal):
        trips = int(statement.stop.value.real)
        if 0 < trips <= UNROLLED:
            return trips * inside
    return 1 + inside


def _names_read(body: Iterable[Statement]) -> Iterable[str]:
    """The scalars that statements read or change."""
    found: list[Any] = []
    for statement in statements(tuple(body)):
        for expression in own_expressions(statement):
            parts_read(expression, found)
        if isinstance(statement, (Assign, Reduce)):
            found.append(statement.name)
    return [part for part in found if type(part) is str]


def _sections(body: Body, sizes: Sequence[int], reads: Sequence[set[str]]) -> list[Body]:
    """Neighbouring statements; mutable scalars and what changes them stay together."""
    last = {name: position for position, names in enumerate(reads) for name in names}
    sections: list[Body] = []
    begin, size, bound = 0, 0, -1
    for position, statement in enumerate(body):
        if size and size + sizes[position] > SECTION and position > bound:
            sections.append(body[begin:position])
            begin, size = position, 0
        size += sizes[position]
        if isinstance(statement, Declare):
            bound = max(bound, last.get(statement.name, position))
    return [*sections, body[begin:]]


Slot = tuple[Buffer, tuple[Expression, ...]]


def _shared(
    sections: Sequence[Body], reads: Sequence[set[str]]
) -> tuple[list[Buffer], dict[str, Slot]]:
    """Buffers for the scalars that are read in another section, and the place of each."""
    home: dict[str, tuple[int, DType]] = {}
    crossing: dict[DType, dict[str, None]] = {}
    position = 0
    for number, section in enumerate(sections):
        for statement in section:
            for name in reads[position]:
                if name in home and home[name][0] != number:
                    crossing.setdefault(home[name][1], {})[name] = None
            position += 1
            if isinstance(statement, Let):
                home[statement.name] = (number, statement.value.dtype)
    buffers: list[Buffer] = []
    slots: dict[str, Slot] = {}
    for dtype, names in crossing.items():
        rank = 1
        while EXTENT**rank < len(names):
            rank += 1
        first = -(-len(names) // EXTENT ** (rank - 1))
        buffer = Buffer(f"shared_{dtype.name}", dtype, (first, *[EXTENT] * (rank - 1)), "workspace")
        buffers.append(buffer)
        for number, name in enumerate(names):
            digits = [number // EXTENT ** (rank - 1 - place) for place in range(rank)]
            indices = [digits[0], *[digit % EXTENT for digit in digits[1:]]]
            slots[name] = (buffer, tuple([Literal(index, INT64) for index in indices]))
    return buffers, slots


def _section(body: Body, names: Iterable[str], slots: dict[str, Slot]) -> Iterable[Statement]:
    """The statements of a section between loads and stores of what it shares with others."""
    own = {statement.name for statement in body if isinstance(statement, Let)}
    for name in names:
        if name in slots and name not in own:
            yield Let(name, Load(*slots[name]))
    for statement in body:
        yield statement
        if isinstance(statement, Let) and statement.name in slots:
            value = Variable(statement.name, statement.value.dtype)
            yield Store(*slots[statement.name], value)
