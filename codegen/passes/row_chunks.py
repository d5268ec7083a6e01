"""Serial loops over rows that add to columns, run in chunks of rows at the same time.

Each chunk has columns of its own, which lie near the threads that run it; at its end it leaves them
in memory, where what comes after the loop adds them up, in the order of the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from codegen.device.machine import DeviceMachine
from codegen.loops.build import integer, loop, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    Variable,
    While,
)
from codegen.loops.operations import DType
from codegen.passes.chunks import Names, neutral, plus, times, wrap
from codegen.passes.device_fuse import DEVICE
from codegen.passes.rewrite import Body, map_blocks
from codegen.passes.unused import remove_unused
from tracer.types import INT64

LONG = 512
"""Columns from which on a block runs a row, not a warp."""
MOST_WORDS = 32
"""Words of four bytes of columns that a thread has, at most."""
FEWEST_ROWS = 8
"""Rows of a chunk, at least."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A sum of everything: the scalar of a chunk, and the loop behind that adds it up."""

    name: str
    operation: str
    dtype: DType
    final: str


@dataclass(slots=True)
class Sums:
    """A loop over rows, by its indices, and what it adds up.

    widest   iterations of a row that threads may share
    columns  memory of a column each, and the operation
    begins   indices of the loops before that give the columns their first values
    finals   indices of the loops behind, of one iteration, that take what a column has
    scalars  sums of everything
    """

    rows: tuple[str, ...]
    extents: tuple[int, ...]
    widest: int
    columns: list[tuple[Buffer, str]] = field(default_factory=list)
    begins: list[str] = field(default_factory=list)
    finals: list[str] = field(default_factory=list)
    scalars: list[Scalar] = field(default_factory=list)


def most_columns(machine: DeviceMachine, widest: int | None = None) -> int:
    """Words of columns that a group of threads holds, at most; of a block if its width is not
    given."""
    warp = widest is not None and widest <= LONG and not machine.simulated
    return MOST_WORDS * (machine.warp if warp else machine.threads)


def most_rows(machine: DeviceMachine, rows: int, widest: int) -> int:
    """How many chunks there are of so many rows: as many as run at one time, or none if they would
    be too short."""
    blocks = max(2, machine.blocks // 2)
    for chunks in (blocks * (machine.threads // machine.warp), blocks):
        if (widest <= LONG or chunks == blocks) and rows >= FEWEST_ROWS * chunks:
            return chunks
    return 0


def in_chunks(program: Program, found: Sequence[Sums], machine: DeviceMachine) -> Program:
    """The program with these loops in chunks."""
    writer = _Writer(Names(program), machine, found)
    body = writer.block(program.body)
    return remove_unused(writer.names.finish(program, body))


class _Writer:
    def __init__(self, names: Names, machine: DeviceMachine, found: Sequence[Sums]) -> None:
        self.names, self.machine = names, machine
        self.rows = {sums.rows[0]: sums for sums in found}
        self.begins = {index for sums in found for index in sums.begins}
        self.scalars = {scalar.name for sums in found for scalar in sums.scalars}
        self.finals = {index for sums in found for index in sums.finals}
        self.finals |= {scalar.final for sums in found for scalar in sums.scalars}
        self.partial: dict[Buffer | str, tuple[Buffer, int]] = {}

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Declare) and statement.name in self.scalars:
                continue
            if isinstance(statement, Loop) and statement.index in self.begins:
                continue
            if isinstance(statement, Loop) and statement.index in self.rows:
                result.append(self.chunks(statement, self.rows[statement.index]))
            elif isinstance(statement, Loop) and statement.index in self.finals:
                result.append(self.final(statement))
            elif isinstance(statement, Loop | If | While):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def chunks(self, rows: Loop, sums: Sums) -> Loop:
        """The loop over chunks of rows."""
        total = 1
        for extent in sums.extents:
            total *= extent
        chunks = most_rows(self.machine, total, sums.widest)
        chunk = Variable(self.names.fresh("i"), INT64)
        before: list[Statement] = []
        after: list[Statement] = []
        for buffer, combiner in sums.columns:
            first = neutral(combiner, buffer.dtype)
            before.append(self.each(buffer, lambda at, b=buffer, v=first: Store(b, at, v)))
            partial = self.names.workspace(buffer.dtype, (chunks, *buffer.shape))
            self.partial[buffer] = partial, chunks
            after.append(
                self.each(
                    buffer, lambda at, b=buffer, p=partial: Store(p, (chunk, *at), Load(b, at))
                )
            )
        for scalar in sums.scalars:
            partial = self.names.workspace(scalar.dtype, (chunks,))
            self.partial[scalar.name] = partial, chunks
            before.append(Declare(scalar.name, neutral(scalar.operation, scalar.dtype)))
            after.append(Store(partial, (chunk,), Variable(scalar.name, scalar.dtype)))
        each = -(-total // chunks)
        full = total - (each - 1) * chunks  # chunks with as many rows as the first
        count: Expression = integer(each)
        if full < chunks:
            has_last = operation("less", chunk, integer(full))
            count = operation("select", has_last, count, integer(each - 1))
        step = Variable(self.names.fresh("i"), INT64)
        here = plus(times(step, chunks), chunk)
        body = rows.body
        for _ in sums.rows[1:]:
            (inner,) = body
            assert isinstance(inner, Loop), "rows are a nest of loops"
            body = inner.body
        lets = self.places(sums, here)
        through = Loop(step.name, integer(0), count, (*lets, *body), "serial", most=each)
        made = DEVICE.block((*before, through, *after), shared=True)
        return Loop(chunk.name, integer(0), integer(chunks), made, "parallel")

    def places(self, sums: Sums, here: Expression) -> list[Statement]:
        """The indices of a row, from its number."""
        lets: list[Statement] = []
        rest = here
        for name, extent in zip(sums.rows[:0:-1], sums.extents[:0:-1], strict=True):
            whole = Variable(self.names.fresh("v"), INT64)
            if not isinstance(rest, Variable):
                number = Variable(self.names.fresh("v"), INT64)
                lets.append(Let(number.name, rest))
                rest = number
            lets.append(Let(whole.name, operation("floor_divide", rest, integer(extent))))
            below = operation("multiply", whole, integer(extent))
            lets.append(Let(name, operation("subtract", rest, below)))
            rest = whole
        return [*lets, Let(sums.rows[0], rest)]

    def each(self, buffer: Buffer, write: Callable[..., Statement]) -> Statement:
        """A loop over all elements of memory."""
        names = [self.names.fresh("i") for _ in buffer.shape]
        at = tuple([Variable(name, INT64) for name in names])
        loops = [loop(name, extent) for name, extent in zip(names, buffer.shape, strict=True)]
        return wrap(loops, (write(at),))

    def final(self, loop: Loop) -> Statement:
        """The loop that adds up what all chunks have left."""
        index = Variable(loop.index, INT64)
        body: list[Statement] = []
        chunks = constant_trip(loop) or 1
        for part in loop.body:
            assert isinstance(part, Reduce), "sums only"
            value = part.value
            if isinstance(value, Load):
                memory, chunks = self.partial[value.buffer]
                value = Load(memory, (index, *value.indices))
            else:
                assert isinstance(value, Variable), "a scalar of a chunk"
                memory, chunks = self.partial[value.name]
                value = Load(memory, (index,))
            body.append(replace(part, value=value))
        return replace(loop, stop=integer(chunks), body=tuple(body))
