"""Loops that go through the same rows, and what is known of them: which may run as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from codegen.device.machine import DeviceMachine
from codegen.device.work import widest_trips
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    If,
    Let,
    Literal,
    Loop,
    Reduce,
    Statement,
    Store,
    Variable,
    While,
)
from codegen.loops.operations import DType
from codegen.loops.walk import own_expressions, statements, subexpressions
from codegen.passes.chunks import Names, perfect_nest, trips
from codegen.passes.effects import Effects, effects
from codegen.passes.parallel import REAL_REDUCTIONS
from codegen.passes.rewrite import Body, map_blocks

LOOK_AHEAD = 48
"""Statements after a loop among which others are looked for."""


@dataclass(slots=True)
class Member:
    """A loop that may join: its loops over rows, what an iteration of them runs, what it reads and
    writes. `kind` is "rows", "columns" or "all".

    around   of sums of columns, the loops over columns
    before   and what stands before the sum in an iteration of these, and after it
    sums     what it adds up: the operation and the dtype by scalar
    """

    kind: str
    statement: Loop
    place: int
    rows: list[Loop]
    body: Body
    facts: Effects
    around: list[Loop] = field(default_factory=list)
    before: Body = ()
    after: Body = ()
    sums: dict[str, tuple[str, DType]] = field(default_factory=dict)


class Joiner(ABC):
    """Joins groups of loops in blocks; which, and how, says who inherits it."""

    kinds = frozenset({"rows", "columns", "all"})

    def __init__(self, names: Names, machine: DeviceMachine) -> None:
        self.names, self.machine = names, machine
        self.fewest = machine.warp // 2  # columns, or elements of a row, that are worthwhile

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
                group = Group(extents, leader, known)
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
        found = sums_of_columns(statement)
        if found is None:
            return None
        around, rows = found[0], found[2]
        if not self.fewest <= trips(around) <= self.most():
            return None
        return tuple([constant_trip(loop) or 0 for loop in rows])

    def member(
        self,
        entries: list[Statement],
        place: int,
        extents: tuple[int, ...],
        known: dict[int, Effects],
    ) -> Member | None:
        """A statement as a loop through such rows; None for others."""
        loop = entries[place]
        if not isinstance(loop, Loop) or loop.kind not in ("parallel", "reduce"):
            return None
        if loop.kind == "parallel" and self.extents(loop) == extents:
            found = sums_of_columns(loop)
            assert found is not None, "it has extents"
            around, before, rows, after = found
            body = rows[-1].body
            sums = sums_in(body)
            member = Member(
                "columns", loop, place, rows, body, Effects(), around, before, after, sums
            )
        else:
            rows = perfect_nest(loop, loop.kind)[: len(extents)]
            if tuple([constant_trip(part) for part in rows]) != extents:
                return None
            body = rows[-1].body
            if widest_trips(body) < self.fewest:
                return None
            sums = sums_in(body) if loop.kind == "reduce" else {}
            kind = "all" if loop.kind == "reduce" else "rows"
            if kind not in self.kinds:
                return None
            member = Member(kind, loop, place, rows, body, Effects(), sums=sums)
        if not all(counts_from_zero(part) for part in (*member.rows, *member.around)):
            return None
        if any(name not in REAL_REDUCTIONS for name, _ in member.sums.values()):
            return None
        member.facts = facts_of(entries, place, known)
        return None if member.facts.has_call or member.facts.has_check else member

    @abstractmethod
    def most(self) -> int:
        """Columns that lie near a group of threads, at most."""

    @abstractmethod
    def gains(self, group: Group) -> bool:
        """Whether the loops of a group, as one, move much less."""

    @abstractmethod
    def write(self, group: Group) -> list[Statement] | None:
        """The loops of a group as one, with what comes before and after it; None where they cannot
        be."""


class Group:
    """Loops that may run as one: the first of them, and later ones that move up to it.

    needed   other statements that later ones depend on, and that move up before the first
    common   bytes of memory that the loops touch together, once for each that another has touched
    """

    def __init__(self, extents: tuple[int, ...], leader: Member, known: dict[int, Effects]) -> None:
        self.extents, self.leader = extents, leader
        self.members = [leader]
        self.facts = Effects()
        self.facts.include(leader.facts)
        self.needed: list[int] = []
        self.common = 0
        self.touched = set(large_in(leader))

    def take(self, member: Member, entries: list[Statement], known: dict[int, Effects]) -> None:
        """Let a loop join, if it may and has memory in common with the others."""
        touched = set(large_in(member))
        if touched.isdisjoint(self.touched) or not self.is_pointwise(member):
            return
        taken = {part.place for part in self.members}
        wanted = Effects(set(member.facts.reads), set(member.facts.writes))
        needed: list[int] = []
        for place in range(member.place - 1, self.leader.place, -1):
            if place in taken:
                continue
            facts = facts_of(entries, place, known)
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

    def is_pointwise(self, member: Member) -> bool:
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


def facts_of(entries: list[Statement], place: int, known: dict[int, Effects]) -> Effects:
    if place not in known:
        known[place] = effects(entries[place])
    return known[place]


def large_in(member: Member) -> Iterator[Buffer]:
    """Memory that has several elements for each row, and is accessed at the row's place."""
    indices = {loop.index for loop in member.rows}
    rows = trips(member.rows)
    for base, (buffer, names) in member.facts.accesses.items():
        if buffer is not None and base.size >= 4 * rows and indices <= set(names):
            yield base


def counts_from_zero(loop: Loop) -> bool:
    return isinstance(loop.start, Literal) and loop.start.value == 0


def sums_of_columns(loop: Loop) -> tuple[list[Loop], Body, list[Loop], Body] | None:
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
    sums = sums_in(rows[-1].body)
    declared = {part.name for part in body[:place] if isinstance(part, Declare)}
    return (around, body[:place], rows, body[place + 1 :]) if declared == set(sums) else None


def sums_in(body: Body) -> dict[str, tuple[str, DType]]:
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


def needed_by(before: Body, body: Body) -> Body:
    """The definitions of a block that another needs."""
    wanted = names_read(body)
    kept: list[Statement] = []
    for part in reversed(before):
        if isinstance(part, Let) and part.name in wanted:
            kept.insert(0, part)
            wanted |= names_read((part,))
    return tuple(kept)


def names_read(body: Body) -> set[str]:
    return {
        piece.name
        for part in body
        for value in own_expressions(part)
        for piece in subexpressions(value)
        if isinstance(piece, Variable)
    }
