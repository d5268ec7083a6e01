"""Sums of columns in the pass over short rows, of which each thread runs one.

Points and their distances to some centres: what a point adds to each centre is a row of a table
that has the size of all points times all centres. A block of threads takes a tile of points
instead, each thread one of them, leaves their rows of the table in shared memory, and then adds
them up, each thread some of the columns. Tiles follow one another, and what a block has added up it
leaves in memory at the end, where it is added to that of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.device.machine import DeviceMachine
from codegen.device.staged import SHARE, Rows, copy_rows, find_rows, moved_near
from codegen.device.work import size_of, work_of
from codegen.loops.build import integer, loop, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Call,
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
from codegen.loops.walk import statements
from codegen.passes.chunks import Names, neutral, perfect_nest, plus, retarget, times, trips, wrap
from codegen.passes.contract import MOST_REGISTERS
from codegen.passes.device_fuse import DEVICE
from codegen.passes.fission import is_distinct
from codegen.passes.forward import forward
from codegen.passes.parallel import buffer_uses
from codegen.passes.rewrite import Body, rename
from codegen.passes.row_groups import Group, Joiner, Member, needed_by
from codegen.passes.unroll import with_own_names
from codegen.passes.unused import remove_unused
from tracer.types import INT64

GAIN = 2
"""How many times the bytes of partial sums the loops must have in common."""
LEAST = 2**20
"""Bytes that they must have in common: less lies in a cache."""
MOST_COLUMNS = 4096
"""Columns of a sum, at most."""
FEWEST_COLUMNS = 4
MOST_STATEMENTS = 200
"""Of what is joined."""
LONGEST = 2**14
"""Iterations of a row's loops that one thread may as well run."""


def row_tiles(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops joined."""
    joiner = _Joiner(Names(program), machine, buffer_uses(program.body))
    body = joiner.block(program.body)
    if not joiner.changed:
        return program
    return remove_unused(forward(joiner.names.finish(program, body)))


@dataclass(frozen=True, slots=True)
class _Tile:
    """Rows of a tile: how many, what lies near the threads, which of that stays there, and which
    is each thread's own."""

    threads: int
    found: tuple[Rows, ...]
    kept: frozenset[Buffer]
    own: frozenset[Buffer]


class _Joiner(Joiner):
    """Joins rows that single threads run."""

    kinds = frozenset({"rows", "columns"})

    def __init__(self, names: Names, machine: DeviceMachine, uses: Counter[Buffer]) -> None:
        super().__init__(names, machine)
        self.uses = uses
        self.fewest = min(self.fewest, FEWEST_COLUMNS)
        self.changed = False

    def most(self) -> int:
        """As many as threads have some of each."""
        return MOST_COLUMNS

    def gains(self, group: Group) -> bool:
        """Whether the loops of a group, as one, move much less."""
        kinds = [member.kind for member in group.members]
        if group.leader.kind != "rows" or "columns" not in kinds:
            return False
        if trips(group.leader.rows) < 2 * self.machine.threads or len(group.extents) != 1:
            return False
        if any(_is_heavy(member) for member in group.members):
            return False
        if sum(size_of(member.body) for member in group.members) > MOST_STATEMENTS:
            return False
        tile = self.tile(group)
        if tile is None:
            return False
        sizes = sum(size for _, size in _sums_of(group))
        moved = GAIN * 2 * sizes * self.chunks(group, tile)
        return self.machine.simulated or group.common >= max(LEAST, moved)

    def chunks(self, group: Group, tile: _Tile) -> int:
        """Blocks that run tiles."""
        tiles = -(-trips(group.leader.rows) // tile.threads)
        return min(tiles, max(2, self.machine.blocks // 2))

    def tile(self, group: Group) -> _Tile | None:
        """How many rows a tile has; None where they do not fit."""
        index = group.leader.rows[0]
        pseudo: list[Statement] = []
        for member in group.members:
            names: dict[str, Expression] = {member.rows[0].index: Variable(index.index, INT64)}
            body = rename((*needed_by(member.before, member.body), *member.body), names)
            pseudo.extend((wrap(member.around, body),) if member.around else body)
        within = buffer_uses(pseudo)
        rows = find_rows(tuple(pseudo), (index,), 1)
        kept = frozenset(
            buffer
            for buffer, part in rows.items()
            if buffer.role == "workspace"
            and self.uses[buffer] == within[buffer]
            and part.is_written
        )
        found = tuple([part for part in rows.values() if part.buffer in kept or _is_moved(part)])
        if any(_is_far(member, {part.buffer for part in found}) for member in group.members):
            return None
        added = {
            buffer
            for member in group.members
            if member.kind == "columns"
            for buffer in member.facts.reads
        }
        own = frozenset(kept - added)
        widths = sum(p.apart * p.buffer.dtype.itemsize for p in found if p.buffer not in own)
        sums = sum(size for _, size in _sums_of(group))
        threads = self.machine.threads
        while threads >= max(self.machine.threads // 4, 2):
            if widths * threads + sums <= self.machine.shared * SHARE and found:
                return _Tile(threads, found, kept, own)
            threads //= 2
        return None

    # What becomes of a group

    def write(self, group: Group) -> list[Statement] | None:
        """The loops of a group as one, in tiles, with what adds up what its blocks leave."""
        tile = self.tile(group)
        assert tile is not None, "it gains by it"
        rows = group.leader.rows[0]
        total = trips(group.leader.rows)
        tiles, chunks = -(-total // tile.threads), self.chunks(group, tile)
        chunk, step = (Variable(self.names.fresh("i"), INT64) for _ in range(2))
        first, last = (Variable(self.names.fresh("v"), INT64) for _ in range(2))
        near = {
            part.buffer: self.names.workspace(
                part.buffer.dtype,
                (part.length,) if part.buffer in tile.own else (tile.threads, part.apart),
            )
            for part in tile.found
        }
        each = -(-tiles // chunks)
        here = times(plus(times(step, chunks), chunk), tile.threads)
        high = operation("minimum", plus(first, integer(tile.threads)), integer(total))
        bounds = Let(first.name, here), Let(last.name, high)
        begin: list[Statement] = []
        end: list[Statement] = []
        after: list[Statement] = []
        adding = [
            self.columns(member, chunk, chunks, (first, last), begin, end, after)
            for member in group.members
            if member.kind == "columns"
        ]
        body = self.rows_body(group)
        inside = If(operation("less", Variable(rows.index, INT64), integer(total)), body)
        stop = plus(first, integer(tile.threads))
        through = replace(rows, start=first, stop=stop, body=(inside,), most=tile.threads)
        tiled = moved_near(
            (*DEVICE.block((through,), shared=True), *_fused(adding)), tile.found, near, first
        )
        copies = self.copies(tile, near, first, total)
        turns = self.turns(tiles, chunks, each, chunk)
        outer = Loop(
            step.name, integer(0), turns, (*bounds, *copies[0], *tiled, *copies[1]), "serial"
        )
        outer = replace(outer, most=each)
        body = (*_fused(begin), outer, *_fused(end))
        made = Loop(chunk.name, integer(0), integer(chunks), body, "parallel")
        if not is_distinct(made):
            return None
        self.changed = True
        return [made, *after]

    def turns(self, tiles: int, chunks: int, each: int, chunk: Expression) -> Expression:
        """How many tiles a chunk has."""
        full = tiles - (each - 1) * chunks
        if full == chunks:
            return integer(each)
        has_last = operation("less", chunk, integer(full))
        return operation("select", has_last, integer(each), integer(each - 1))

    def rows_body(self, group: Group) -> Body:
        """What a thread runs of its row."""
        body: list[Statement] = []
        own = Variable(group.leader.rows[0].index, INT64)
        for member in group.members:
            if member.kind == "rows":
                body.extend(rename(member.body, {member.rows[0].index: own}))
        return tuple(body)

    def columns(
        self,
        member: Member,
        chunk: Variable,
        chunks: int,
        bounds: tuple[Variable, Variable],
        begin: list[Statement],
        end: list[Statement],
        after: list[Statement],
    ) -> Statement:
        """The loop over columns in which a tile is added up; what goes before and after tiles, and
        after the chunks."""
        extents = tuple([constant_trip(part) or 0 for part in member.around])
        loops = [replace(part, index=self.names.fresh("i")) for part in member.around]
        places = tuple([Variable(part.index, INT64) for part in loops])
        columns = tuple([Variable(part.index, INT64) for part in member.around])
        known: dict[str, Expression] = dict(
            zip([part.index for part in member.around], places, strict=True)
        )
        row = Variable(self.names.fresh("i"), INT64)
        known[member.rows[0].index] = row
        own = {name: self.names.fresh("s") for name in member.sums}
        needed = needed_by(member.before, member.body)
        body = with_own_names((*needed, *member.body), self.names.fresh("u"), known)
        body = rename(retarget(body, own), known)
        through = Loop(row.name, *bounds, body[len(needed) :], "serial")
        starts: list[Statement] = list(body[: len(needed)])
        ends: list[Statement] = []
        final = Variable(self.names.fresh("i"), INT64)
        added: list[Statement] = []
        for name, (combiner, dtype) in member.sums.items():
            kept: Buffer = self.names.workspace(dtype, extents)
            partial: Buffer = self.names.workspace(dtype, (chunks, *extents))
            starts.append(Declare(own[name], Load(kept, places)))
            ends.append(Store(kept, places, Variable(own[name], dtype)))
            begin.append(self.each(kept, neutral(combiner, dtype), None))
            end.append(self.each(partial, None, (chunk, kept)))
            added.append(Reduce(name, combiner, Load(partial, (final, *columns))))
        adding = Loop(final.name, integer(0), integer(chunks), tuple(added), "reduce")
        after.append(wrap(member.around, (*member.before, adding, *member.after)))
        return wrap(loops, (*starts, through, *ends))

    def each(
        self, buffer: Buffer, value: Expression | None, source: tuple[Variable, Buffer] | None
    ) -> Statement:
        """A loop that gives columns a first value, or leaves those of a chunk in memory."""
        shape = buffer.shape if source is None else buffer.shape[1:]
        places = tuple([Variable(self.names.fresh("i"), INT64) for _ in shape])
        if source is None:
            assert value is not None, "one of both is given"
            store = Store(buffer, places, value)
        else:
            chunk, kept = source
            store = Store(buffer, (chunk, *places), Load(kept, places))
        loops = [loop(place.name, extent) for place, extent in zip(places, shape, strict=True)]
        return wrap(loops, (store,))

    def copies(
        self, tile: _Tile, near: dict[Buffer, Buffer], first: Expression, total: int
    ) -> tuple[Body, Body]:
        """The loops that bring rows near, and those that take them back."""
        begin: list[Statement] = []
        end: list[Statement] = []
        for part in tile.found:
            if part.buffer in tile.kept:
                continue
            number = self.names.fresh("")
            if part.is_read:
                begin.append(
                    copy_rows(
                        part, near[part.buffer], first, total, tile.threads, prefix=f"in{number}_"
                    )
                )
            if part.is_written:
                end.append(
                    copy_rows(
                        part, near[part.buffer], first, total, tile.threads, prefix=f"out{number}_"
                    )
                )
        return tuple(begin), tuple(end)


def _fused(nests: Sequence[Statement]) -> Body:
    """Loops over columns, those of as many as one."""
    alike: dict[tuple[int | None, ...], list[Statement]] = {}
    for nest in nests:
        assert isinstance(nest, Loop), "columns are a nest of loops"
        extents = tuple([constant_trip(part) for part in perfect_nest(nest, "parallel")])
        alike.setdefault(extents, []).append(nest)
    return tuple(
        [part for some in alike.values() for part in DEVICE.block(tuple(some), shared=True)]
    )


def _sums_of(group: Group) -> list[tuple[DType, int]]:
    """The sums of columns: dtype and bytes."""
    return [
        (dtype, trips(member.around) * dtype.itemsize)
        for member in group.members
        if member.kind == "columns"
        for _, dtype in member.sums.values()
    ]


def _is_moved(rows: Rows) -> bool:
    """Whether rows of memory are to be brought near."""
    return rows.length > 1 and rows.is_worthwhile()


def _is_far(member: Member, near: set[Buffer]) -> bool:
    """Whether rows that neighbours run lie apart in memory, and are not brought near."""
    row = member.rows[0].index
    return member.kind == "rows" and any(
        row in names[:-1] and names[-1] != row and base not in near
        for base, (_, names) in member.facts.accesses.items()
    )


def _is_heavy(member: Member) -> bool:
    """Whether a row of a loop is too much for one thread."""
    if member.kind == "columns":
        return False
    row = member.rows[0].index
    for base, (_, names) in member.facts.accesses.items():
        if base in member.facts.writes and row not in names and base.size > MOST_REGISTERS:
            return True  # what a row has for itself would lie far away
    parts = [part for outer in member.body for part in statements((outer,))]
    known = all(constant_trip(part) is not None for part in parts if isinstance(part, Loop))
    return (
        not known
        or any(isinstance(part, Call | While) for part in parts)
        or work_of(member.body) > LONGEST
    )
