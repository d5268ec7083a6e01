"""Sums of columns in the pass over rows that reads the same memory, for a device.

A normalisation reads its rows once for their means, and its adjoint reads them again for sums over
all of them. Row by row both are one pass: a group of threads takes a chunk of the rows, one after
the other, and keeps what it has added to each column near its threads. What the chunks gave is
added afterwards, in their order. How many chunks there are follows from the sizes and the machine.

Loops join that go through the same rows, and read, or exchange, the same memory at the place of the
row: parallel loops over rows, sums of columns, and sums of everything. At first they become one
serial loop, so that what one row leaves for itself needs no memory of all rows; that is then run in
chunks (see `row_chunks`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import is_wide, size_of
from codegen.loops.build import integer, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Declare,
    Expression,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    Variable,
)
from codegen.loops.walk import blocks
from codegen.passes.chunks import Names, neutral, perfect_nest, retarget, trips, wrap
from codegen.passes.contract import device_contract
from codegen.passes.device_fuse import DEVICE, MOST_STATEMENTS
from codegen.passes.fission import is_distinct
from codegen.passes.forward import forward
from codegen.passes.parallel import buffer_uses
from codegen.passes.rewrite import Body, rename
from codegen.passes.row_chunks import Scalar, Sums, in_chunks, most_columns, most_rows
from codegen.passes.row_groups import Group, Joiner, Member, large_in, needed_by
from codegen.passes.unroll import with_own_names
from codegen.passes.unused import remove_unused
from tracer.types import INT64

GAIN = 3
"""How many times the bytes of partial sums the loops must have in common."""
LEAST = 2**20
"""Bytes that they must have in common: less lies in a cache."""


def row_sums(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops joined that leave nothing of the rows' size for others."""
    return _joined(program, _Joiner(Names(program), machine, buffer_uses(program.body)))


def more_row_sums(program: Program, machine: DeviceMachine) -> Program:
    """The program with all such loops joined; what others need is found again by now, where that
    is less work than to keep it."""
    return _joined(program, _Joiner(Names(program), machine, None))


def _joined(program: Program, joiner: _Joiner) -> Program:
    body = joiner.block(program.body)
    if not joiner.found:
        return program
    program = joiner.names.finish(program, body)
    for change in (forward, remove_unused, device_contract, forward, remove_unused):
        program = change(program)
    return in_chunks(program, joiner.found, joiner.machine)


class _Joiner(Joiner):
    """Joins rows as wide as a group of threads."""

    def __init__(self, names: Names, machine: DeviceMachine, uses: Counter[Buffer] | None) -> None:
        super().__init__(names, machine)
        self.uses = uses
        self.found: list[Sums] = []

    def most(self) -> int:
        """As many as a block has room for."""
        return most_columns(self.machine)

    def gains(self, group: Group) -> bool:
        """Whether the loops of a group, as one, move much less."""
        columns = [member for member in group.members if member.kind == "columns"]
        if not 0 < len(columns) < len(group.members):
            return False
        if sum(size_of(member.body) for member in group.members) > MOST_STATEMENTS:
            return False
        if self.uses is not None and not self.is_closed(group, self.uses):
            return False
        widths = {width for member in group.members for width in _widths(member)}
        if len(widths) != 1 or None in widths:
            return False
        widest = self.width(group)
        chunks = most_rows(self.machine, trips(group.leader.rows), widest)
        words = sum(
            trips(member.around) * -(-dtype.itemsize // 4)
            for member in columns
            for _, dtype in member.sums.values()
        )
        if chunks == 0 or words > most_columns(self.machine, widest):
            return False
        least = max(LEAST, GAIN * 8 * words * chunks)
        return group.common >= (0 if self.machine.simulated else least)

    def is_closed(self, group: Group, uses: Counter[Buffer]) -> bool:
        """Whether nothing of the rows' size that the loops leave in workspace is used elsewhere."""
        within = buffer_uses([member.statement for member in group.members])
        return all(
            uses[buffer] == within[buffer]
            for member in group.members
            for buffer in large_in(member)
            if buffer.role == "workspace" and buffer in member.facts.writes
        )

    def width(self, group: Group) -> int:
        """Iterations of a row that threads may share."""
        return max(width or 0 for member in group.members for width in _widths(member))

    # What becomes of them

    def write(self, group: Group) -> list[Statement] | None:
        """The loops of a group as one, with what comes before and after it."""
        rows = [replace(loop, kind="serial", reverse=False) for loop in group.leader.rows]
        sums = Sums(
            tuple([loop.index for loop in rows]),
            group.extents,
            self.width(group),
        )
        before: list[Statement] = []
        body: list[Statement] = []
        after: list[Statement] = []
        for member in group.members:
            names: dict[str, Expression] = {
                own.index: Variable(loop.index, INT64)
                for own, loop in zip(member.rows, rows, strict=True)
            }
            if member.kind == "columns":
                self.write_columns(member, names, sums, before, body, after)
            else:
                part = self.write_all(member, sums, before, after)
                body.extend(rename(part, names))
        fused = DEVICE.block(tuple(body), shared=True)
        loop = replace(rows[-1], body=fused)
        for outer in reversed(rows[:-1]):
            loop = replace(outer, body=(loop,))
        if not is_distinct(loop):
            return None
        self.found.append(sums)
        return [*before, loop, *after]

    def write_all(
        self, member: Member, sums: Sums, before: list[Statement], after: list[Statement]
    ) -> Body:
        """What a loop does in a row; sums of everything go into scalars of their own."""
        own: dict[str, str] = {}
        for name, (combiner, dtype) in member.sums.items():
            own[name] = self.names.fresh("s")
            final = self.names.fresh("i")
            before.append(Declare(own[name], neutral(combiner, dtype)))
            value = Variable(own[name], dtype)
            after.append(_once(final, Reduce(name, combiner, value)))
            sums.scalars.append(Scalar(own[name], combiner, dtype, final))
        return retarget(member.body, own) if own else member.body

    def write_columns(
        self,
        member: Member,
        names: dict[str, Expression],
        sums: Sums,
        before: list[Statement],
        body: list[Statement],
        after: list[Statement],
    ) -> None:
        """What sums of columns do in a row, in memory of a column each; then the rest of them."""
        extents = tuple([constant_trip(loop) or 0 for loop in member.around])
        kept: dict[str, Buffer] = {}
        first: list[Statement] = []
        last: list[Statement] = []
        final = self.names.fresh("i")
        places = tuple([Variable(loop.index, INT64) for loop in member.around])
        for name, (combiner, dtype) in member.sums.items():
            kept[name] = self.names.workspace(dtype, extents)
            first.append(Store(kept[name], places, neutral(combiner, dtype)))
            last.append(Reduce(name, combiner, Load(kept[name], places)))
            sums.columns.append((kept[name], combiner))
        sums.finals.append(final)
        begin, renamed = self.copied(member.around, tuple(first), {})
        sums.begins.append(renamed[0].index)
        before.append(begin)
        needed = needed_by(member.before, member.body)
        row = _in_memory((*needed, *member.body), kept, places)
        body.append(self.copied(member.around, row, names)[0])
        loop = Loop(final, integer(0), integer(1), tuple(last), "reduce")
        after.append(wrap(member.around, (*member.before, loop, *member.after)))

    def copied(
        self, around: Sequence[Loop], body: Body, names: dict[str, Expression]
    ) -> tuple[Statement, list[Loop]]:
        """A nest with a copy of statements in it, all with names of their own."""
        loops = [replace(loop, index=self.names.fresh("i")) for loop in around]
        known = dict(names)
        for loop, new in zip(around, loops, strict=True):
            known[loop.index] = Variable(new.index, INT64)
        body = with_own_names(body, self.names.fresh("u"), known)
        return wrap(loops, rename(body, known)), loops


def _widths(member: Member) -> Iterator[int | None]:
    """How wide the loops are that threads may share in a row; None for what is no nest around
    straight code."""
    if member.kind == "columns":
        yield trips(member.around)
        return
    for part in member.body:
        if isinstance(part, Loop):
            nest = perfect_nest(part, part.kind)
            flat = nest and is_wide(part) and all(not blocks(inner) for inner in nest[-1].body)
            yield trips(nest) if flat else None
        elif blocks(part):
            yield None


def _once(index: str, statement: Statement) -> Loop:
    """A loop of one iteration, which becomes one through chunks."""
    return Loop(index, integer(0), integer(1), (statement,), "reduce")


def _in_memory(body: Body, kept: dict[str, Buffer], places: tuple[Expression, ...]) -> Body:
    """Statements which add to memory in place of scalars."""
    result: list[Statement] = []
    for part in body:
        if isinstance(part, Reduce):
            buffer = kept[part.name]
            value = operation(part.operation, Load(buffer, places), part.value)
            part = Store(buffer, places, value)
        result.append(part)
    return tuple(result)
