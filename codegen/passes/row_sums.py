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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import is_wide, size_of, widest_trips
from codegen.loops.build import integer, operation
from codegen.loops.linear import constant_trip
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
    While,
)
from codegen.loops.operations import DType
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions
from codegen.passes.chunks import Names, neutral, perfect_nest, retarget, trips, wrap
from codegen.passes.contract import device_contract
from codegen.passes.device_fuse import DEVICE, MOST_STATEMENTS
from codegen.passes.effects import Effects, effects
from codegen.passes.fission import is_distinct
from codegen.passes.forward import forward
from codegen.passes.parallel import REAL_REDUCTIONS
from codegen.passes.rewrite import Body, map_blocks, rename
from codegen.passes.row_chunks import Scalar, Sums, in_chunks, most_columns, most_rows
from codegen.passes.unroll import with_own_names
from codegen.passes.unused import remove_unused
from tracer.types import INT64

LOOK_AHEAD = 48
"""Statements after a loop among which others are looked for."""
GAIN = 3
"""How many times the bytes of partial sums the loops must have in common."""
LEAST = 2**20
"""Bytes that they must have in common: less lies in a cache."""


def row_sums(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops joined."""
    joiner = _Joiner(Names(program), machine)
    body = joiner.block(program.body)
    if not joiner.found:
        return program
    program = joiner.names.finish(program, body)
    for change in (forward, remove_unused, device_contract, forward, remove_unused):
        program = change(program)
    return in_chunks(program, joiner.found, machine)


@dataclass(slots=True)
class _Member:
    """A loop that may join: its loops over rows, what an iteration of them runs, what it reads and
    writes. `kind` is "rows", "columns" or "all".

    around   of sums of columns, the loops over columns
    before   and what stands before the sum in an iteration of these, and after it
    sums     what it adds up: the operation and the dtype by scalar
    """

    kind: str
    place: int
    rows: list[Loop]
    body: Body
    facts: Effects
    around: list[Loop] = field(default_factory=list)
    before: Body = ()
    after: Body = ()
    sums: dict[str, tuple[str, DType]] = field(default_factory=dict)


class _Joiner:
    def __init__(self, names: Names, machine: DeviceMachine) -> None:
        self.names, self.machine = names, machine
        self.found: list[Sums] = []

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        entries = [self.inside(statement) for statement in body]
        start = 0
        while (made := self.join_some(entries, start)) is not None:
            start = made
        return tuple(entries)

    def inside(self, statement: Statement) -> Statement:
        """The statement with blocks of its own joined, where they are the host's."""
        is_loop = isinstance(statement, Loop) and statement.kind == "serial"
        if isinstance(statement, If | While) or is_loop:
            return map_blocks(statement, self.block)
        return statement

    def join_some(self, entries: list[Statement], start: int) -> int | None:
        """Join the first loops after a place that gain by it; where to go on, None at the end."""
        keys = list(dict.fromkeys(self.extents(part) for part in entries[start:]))
        wanted = [extents for extents in keys if extents is not None]
        if not wanted:
            return None
        known: dict[int, Effects] = {}
        for extents in wanted:
            for place in range(start, len(entries)):
                leader = self.member(entries, place, extents, known)
                if leader is None:
                    continue
                group = _Group(extents, leader, known)
                for other in range(place + 1, min(len(entries), place + LOOK_AHEAD)):
                    member = self.member(entries, other, extents, known)
                    if member is not None:
                        group.take(member, entries, known)
                if self.gains(group):
                    made = self.write(group)
                    if made is not None:
                        taken = {member.place for member in group.members} | set(group.needed)
                        moved = [entries[position] for position in sorted(group.needed)]
                        rest = [
                            part
                            for position, part in enumerate(entries)
                            if position > place and position not in taken
                        ]
                        entries[place:] = [*moved, *made, *rest]
                        return place + len(moved) + len(made)
        return None

    # What may join

    def extents(self, statement: Statement) -> tuple[int, ...] | None:
        """The extents of the rows that sums of columns go through."""
        if not isinstance(statement, Loop) or statement.kind != "parallel":
            return None
        found = _sums_of_columns(statement)
        if found is None:
            return None
        around, rows = found[0], found[2]
        if not self.machine.warp // 2 <= trips(around) <= most_columns(self.machine):
            return None
        return tuple([constant_trip(loop) or 0 for loop in rows])

    def member(
        self,
        entries: list[Statement],
        place: int,
        extents: tuple[int, ...],
        known: dict[int, Effects],
    ) -> _Member | None:
        """A statement as a loop through such rows; None for others."""
        loop = entries[place]
        if not isinstance(loop, Loop) or loop.kind not in ("parallel", "reduce"):
            return None
        if loop.kind == "parallel" and self.extents(loop) == extents:
            found = _sums_of_columns(loop)
            assert found is not None, "it has extents"
            around, before, rows, after = found
            body = rows[-1].body
            sums = _sums(body)
            member = _Member("columns", place, rows, body, Effects(), around, before, after, sums)
        else:
            rows = perfect_nest(loop, loop.kind)[: len(extents)]
            if tuple([constant_trip(part) for part in rows]) != extents:
                return None
            body = rows[-1].body
            if widest_trips(body) < self.machine.warp // 2:
                return None
            sums = _sums(body) if loop.kind == "reduce" else {}
            kind = "all" if loop.kind == "reduce" else "rows"
            member = _Member(kind, place, rows, body, Effects(), sums=sums)
        if not all(_counts_from_zero(part) for part in (*member.rows, *member.around)):
            return None
        if any(name not in REAL_REDUCTIONS for name, _ in member.sums.values()):
            return None
        member.facts = _facts(entries, place, known)
        return None if member.facts.has_call or member.facts.has_check else member

    def gains(self, group: _Group) -> bool:
        """Whether the loops of a group, as one, move much less."""
        columns = [member for member in group.members if member.kind == "columns"]
        if not 0 < len(columns) < len(group.members):
            return False
        if sum(size_of(member.body) for member in group.members) > MOST_STATEMENTS:
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

    def width(self, group: _Group) -> int:
        """Iterations of a row that threads may share."""
        return max(width or 0 for member in group.members for width in _widths(member))

    # What becomes of them

    def write(self, group: _Group) -> list[Statement] | None:
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
        self, member: _Member, sums: Sums, before: list[Statement], after: list[Statement]
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
        member: _Member,
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
        needed = _needed(member.before, member.body)
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


class _Group:
    """Loops that may run as one: the first of them, and later ones that move up to it.

    needed   other statements that later ones depend on, and that move up before the first
    common   bytes of memory that the loops touch together, once for each that another has touched
    """

    def __init__(
        self, extents: tuple[int, ...], leader: _Member, known: dict[int, Effects]
    ) -> None:
        self.extents, self.leader = extents, leader
        self.members = [leader]
        self.facts = Effects()
        self.facts.include(leader.facts)
        self.needed: list[int] = []
        self.common = 0
        self.touched = set(_large(leader))

    def take(self, member: _Member, entries: list[Statement], known: dict[int, Effects]) -> None:
        """Let a loop join, if it may and has memory in common with the others."""
        touched = set(_large(member))
        if touched.isdisjoint(self.touched) or not self.is_pointwise(member):
            return
        taken = {part.place for part in self.members}
        wanted = Effects(set(member.facts.reads), set(member.facts.writes))
        needed: list[int] = []
        for place in range(member.place - 1, self.leader.place, -1):
            if place in taken:
                continue
            facts = _facts(entries, place, known)
            if facts.conflicts(wanted):
                if self.facts.conflicts(facts):
                    return
                needed.append(place)
                wanted.reads |= facts.reads
                wanted.writes |= facts.writes
        names = {
            own.index: loop.index for own, loop in zip(member.rows, self.leader.rows, strict=True)
        }
        found = member.facts
        for own, name in names.items():
            found = found.renamed(own, name)
        self.facts.include(found)
        self.needed = sorted({*self.needed, *needed})
        self.common += sum(buffer.size * buffer.dtype.itemsize for buffer in touched & self.touched)
        self.touched |= touched
        self.members.append(member)

    def is_pointwise(self, member: _Member) -> bool:
        """Whether a row of a loop depends on the same row of the others only."""
        one, two = self.facts, member.facts
        for base in one.accesses.keys() & two.accesses.keys():
            if base not in one.writes and base not in two.writes:
                continue
            buffer, before = one.accesses[base]
            other, after = two.accesses[base]
            if buffer is None or buffer is not other:
                return False
            pairs = list(zip(before, after, strict=True))
            for mine, its in zip(self.leader.rows, member.rows, strict=True):
                if (mine.index, its.index) not in pairs:
                    return False
        names = {name for name in two.reads if isinstance(name, str)}
        written = {name for name in two.writes if isinstance(name, str)}
        return names.isdisjoint(one.writes) and written.isdisjoint(one.writes | one.reads)


def _widths(member: _Member) -> Iterator[int | None]:
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


def _facts(entries: list[Statement], place: int, known: dict[int, Effects]) -> Effects:
    if place not in known:
        known[place] = effects(entries[place])
    return known[place]


def _large(member: _Member) -> Iterator[Buffer]:
    """Memory that has several elements for each row, and is accessed at the row's place."""
    indices = {loop.index for loop in member.rows}
    rows = trips(member.rows)
    for base, (buffer, names) in member.facts.accesses.items():
        if buffer is not None and base.size >= 4 * rows and indices <= set(names):
            yield base


def _counts_from_zero(loop: Loop) -> bool:
    return isinstance(loop.start, Literal) and loop.start.value == 0


def _once(index: str, statement: Statement) -> Loop:
    """A loop of one iteration, which becomes one through chunks."""
    return Loop(index, integer(0), integer(1), (statement,), "reduce")


def _sums_of_columns(loop: Loop) -> tuple[list[Loop], Body, list[Loop], Body] | None:
    """Sums over rows, one for each iteration of parallel loops: these, what stands before the sum
    in an iteration, the loops over rows, and what stands after."""
    around = perfect_nest(loop, "parallel")
    if not around:
        return None
    body = around[-1].body
    places = [place for place, part in enumerate(body) if isinstance(part, Loop)]
    if len(places) != 1 or not all(isinstance(part, Let | Declare | Store | Loop) for part in body):
        return None
    (place,) = places
    inner = body[place]
    assert isinstance(inner, Loop), "that is its place"
    rows = perfect_nest(inner, "reduce")
    if not rows or not all(isinstance(part, Let | Reduce | Store) for part in rows[-1].body):
        return None
    if any(isinstance(part, Store) for part in body[:place]):
        return None
    sums = _sums(rows[-1].body)
    declared = {part.name for part in body[:place] if isinstance(part, Declare)}
    return (around, body[:place], rows, body[place + 1 :]) if declared == set(sums) else None


def _sums(body: Body) -> dict[str, tuple[str, DType]]:
    """The scalars from outside that a block reduces into."""
    own = {
        part.name
        for outer in body
        for part in statements((outer,))
        if isinstance(part, Let | Declare | Assign)
    }
    return {
        part.name: (part.operation, part.value.dtype)
        for outer in body
        for part in statements((outer,))
        if isinstance(part, Reduce) and part.name not in own
    }


def _needed(before: Body, body: Body) -> Body:
    """The definitions of a block that another needs."""
    wanted = _names_read(body)
    kept: list[Statement] = []
    for part in reversed(before):
        if isinstance(part, Let) and part.name in wanted:
            kept.insert(0, part)
            wanted |= _names_read((part,))
    return tuple(kept)


def _names_read(body: Body) -> set[str]:
    return {
        piece.name
        for part in body
        for value in own_expressions(part)
        for piece in subexpressions(value)
        if isinstance(piece, Variable)
    }


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
