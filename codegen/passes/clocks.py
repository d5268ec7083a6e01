"""A program with clocks: between its kernels stand calls of `clock`, which add up what each takes.

A kernel is a loop nest, a call, a branch or a loop of unknown length, with the scalars that are
computed on the way to it. Where one runs its parts in order, and these are large against a look at
the clock, they are the kernels in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from codegen.loops.nodes import (
    Buffer,
    Call,
    If,
    Literal,
    Loop,
    Program,
    Statement,
    View,
    While,
)
from codegen.passes.cost import block_cost
from codegen.passes.rewrite import Body, map_blocks
from codegen.passes.split import is_section
from tracer.types import INT64

KERNELS = (Loop, Call, If, While)
"""Statements that are kernels; the others are scalar, or say where memory is."""
WORTH = 400.0
"""Operations and elements of a kernel inside of a loop, from which on a look at the clock, which
takes some nanoseconds, tells more than it costs."""
TICKS, VISITS = 0, 1
"""Columns of the table: time, and how often a kernel ran."""
LAST, FIRST = 0, 1
"""The same of the row behind the kernels: when clocks were read last, and first."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """Statements that are timed together; `inside` a loop or a branch, where that is so.

    `beside` are scalar statements before and behind that loop, of which this is the nearest kernel.
    """

    body: Body
    inside: bool
    beside: Body = ()


def with_clocks(program: Program) -> tuple[Program, tuple[Kernel, ...]]:
    """The program with its clocks, and the kernels between them.

    Behind the outputs there is one more, of int64: for each kernel its time, in ticks, and its
    visits, then when the clock was read last and first.
    """
    shape = (1 + _count(program.body, inside=False), 2)
    writer = _Writer(Buffer("ticks", np.dtype(np.int64), shape, "output"))
    body = (Call("clock", (View(writer.table),), ()), *writer.block(program.body, inside=False))
    assert len(writer.kernels) == shape[0] - 1, "kernels are counted as they are written"
    changed = replace(program, outputs=(*program.outputs, writer.table), body=body)
    return changed, tuple(writer.kernels)


def kernel_bodies(body: Body) -> list[Body]:
    """A block in pieces with one kernel each: scalars go with the kernel that follows, those at the
    end with the last.
    """
    pieces: list[list[Statement]] = [[]]
    for statement in body:
        pieces[-1].append(statement)
        if isinstance(statement, KERNELS):
            pieces.append([])
    last = pieces.pop()
    if pieces:
        pieces[-1].extend(last)
    elif last:
        pieces.append(last)
    return [tuple(piece) for piece in pieces]


def _parted(statement: Statement) -> bool:
    """Whether a statement's parts are kernels in its place."""
    if is_section(statement):
        return True
    match statement:
        case Loop(body=body, kind="serial"):
            inside = [body]
        case While(body=body):
            inside = [body]
        case If(then=then, otherwise=otherwise):
            inside = [then, otherwise]
        case _:
            return False
    found = [piece for block in inside for piece in kernel_bodies(block) if block]
    return len(found) > 1 and _work(found) >= WORTH * len(found)


def _work(bodies: Iterable[Body]) -> float:
    """Operations and elements of eight bytes."""
    costs = [block_cost(body) for body in bodies]
    return sum(cost.flops + cost.bytes / 8 for cost in costs)


def _parts(statement: Statement) -> tuple[Body, ...]:
    """The blocks of a parted statement that hold kernels; a test holds none."""
    if isinstance(statement, If):
        return statement.then, statement.otherwise
    assert isinstance(statement, (Loop, While)), "only these have parts"
    return (statement.body,)


def _count(body: Body, inside: bool) -> int:
    """How many kernels there are."""
    count = 0
    for piece in kernel_bodies(body):
        parted = [part for part in piece if _parted(part)]
        count += sum(_count(block, True) for part in parted for block in _parts(part))
        count += not parted
    return count


class _Writer:
    def __init__(self, table: Buffer) -> None:
        self.table = table
        self.kernels: list[Kernel] = []

    def block(self, body: Body, inside: bool) -> Body:
        """A block with a look at the clock behind each kernel."""
        result: list[Statement] = []
        for piece in kernel_bodies(body):
            if not any(_parted(statement) for statement in piece):
                result.extend((*piece, self.look()))
                self.kernels.append(Kernel(piece, inside))
                continue
            first = len(self.kernels)
            place = next(i for i, statement in enumerate(piece) if _parted(statement))
            result.extend((*piece[:place], self.parted(piece[place], inside), *piece[place + 1 :]))
            self.beside(first, piece[:place])
            self.beside(len(self.kernels) - 1, piece[place + 1 :])
        return tuple(result)

    def beside(self, number: int, body: Body) -> None:
        """Count statements with a kernel that does not hold them."""
        kernel = self.kernels[number]
        self.kernels[number] = replace(kernel, beside=(*kernel.beside, *body))

    def parted(self, statement: Statement, inside: bool) -> Statement:
        """A statement whose parts are kernels."""
        if isinstance(statement, While):
            return replace(statement, body=self.block(statement.body, True))
        inside = inside or not is_section(statement)
        return map_blocks(statement, lambda block: self.block(block, inside))

    def look(self) -> Call:
        """Add the time since the last look to the kernel that is next in the table."""
        rows = len(self.kernels), self.table.shape[0] - 1
        views = tuple(View(self.table, (Literal(row, INT64),)) for row in rows)
        return Call("clock", views, ())
