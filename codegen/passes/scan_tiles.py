"""Running values of a tile, by a block of threads that have a few elements each.

The tile's elements are read side by side into shared memory; each thread adds up its own; what
these give is added up in two levels; each thread goes through its own from there, and what it
leaves is written side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from codegen.device.machine import DeviceMachine
from codegen.loops.build import integer, loop, operation
from codegen.loops.linear import constant_trip, linear_form
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.operations import DType
from codegen.loops.walk import buffers_read, own_expressions, statements, subexpressions
from codegen.passes.chunks import Names, first_of, map_accesses, neutral, plus, times
from codegen.passes.effects import written_in
from codegen.passes.rewrite import Body, rename
from codegen.passes.unroll import with_own_names
from tracer.types import INT64

EACH = (16, 7, 3)
"""Elements of a thread; odd numbers need no room between threads."""
SHARE = 3 / 4
"""How much of a block's shared memory a tile may take."""

Indices = tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A scalar that each iteration combines with `value`, by an associative operation."""

    name: str
    operation: str
    value: Expression

    @property
    def dtype(self) -> DType:
        """That of the scalar."""
        return self.value.dtype


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a loop accesses memory: at its index plus `offset` in the last dimension."""

    buffer: Buffer
    before: Indices
    offset: int


@dataclass(slots=True)
class Tiles:
    """How a loop runs in tiles: threads of a tile, elements of each, and what lies near them."""

    threads: int
    each: int
    loads: list[_Place] = field(default_factory=list)
    stores: list[_Place] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Iterations of a tile."""
        return self.threads * self.each

    @property
    def places(self) -> list[_Place]:
        """What lies near."""
        return list(dict.fromkeys((*self.loads, *self.stores)))


def find_tiles(scanned: Loop, running: Sequence[Running], machine: DeviceMachine) -> Tiles | None:
    """The tiles of a loop that is long enough for some; None where they would be no use."""
    count = constant_trip(scanned) or 0
    loads, stores = _places(scanned)
    if not stores and not loads:
        return None
    for each in EACH:
        found = Tiles(machine.threads, each, loads, stores)
        near = sum(place.buffer.dtype.itemsize * (each | 1) for place in found.places)
        totals = 2 * sum(one.dtype.itemsize for one in running)
        if (near + totals) * found.threads <= machine.shared * SHARE:
            return found if count >= 2 * found.size else None
    return None


def row_tile(scanned: Loop, running: Sequence[Running], machine: DeviceMachine) -> Tiles | None:
    """The one tile that a loop is, of a warp's or a block's threads; None where it does not fit."""
    count = constant_trip(scanned) or 0
    threads = machine.warp if count <= max(EACH) * machine.warp else machine.threads
    loads, stores = _places(scanned)
    found = Tiles(threads, -(-count // threads), loads, stores)
    near = sum(place.buffer.dtype.itemsize * (found.each | 1) for place in found.places)
    totals = 2 * sum(one.dtype.itemsize for one in running)
    fits = (near + totals) * machine.threads <= machine.shared * SHARE
    return found if found.places and found.each <= max(EACH) and fits else None


def _places(scanned: Loop) -> tuple[list[_Place], list[_Place]]:
    """The accesses of a loop's body that walk through memory with it."""
    changing = {
        scanned.index,
        *(name for name in written_in(scanned.body) if isinstance(name, str)),
    }
    changing |= {part.index for part in statements(scanned.body) if isinstance(part, Loop)}

    def found(buffer: Buffer, indices: Indices) -> _Place | None:
        form = linear_form(indices[-1], {}) if indices else None
        own = Variable(scanned.index, INT64)
        if form is None or dict(form.terms) != {own: 1} or buffer.root is not buffer:
            return None
        names = {
            part.name
            for index in indices[:-1]
            for part in subexpressions(index)
            if isinstance(part, Variable)
        }
        loads = any(isinstance(p, Load) for index in indices[:-1] for p in subexpressions(index))
        if loads or not names.isdisjoint(changing) or buffer.is_tape:
            return None
        return _Place(buffer, indices[:-1], form.constant)

    read: dict[_Place, None] = {}
    written: dict[_Place, None] = {}
    others: set[Buffer] = set()
    for statement in statements(scanned.body):
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                if isinstance(part, Load):
                    place = found(part.buffer, part.indices)
                    if place is None:
                        others.add(part.buffer.root)
                    else:
                        read[place] = None
        if isinstance(statement, Store | Update):
            place = found(statement.buffer, statement.indices)
            sure = isinstance(statement, Store) and any(p is statement for p in scanned.body)
            if place is None or not sure:
                others.add(statement.buffer.root)
            else:
                written[place] = None
        elif not isinstance(statement, Let | Declare | Assign | Reduce | Loop | If):
            others.update(buffers_read(statement))
    stored = [place.buffer for place in written]
    others |= {buffer for buffer in stored if stored.count(buffer) > 1}
    others |= {p.buffer for p in read if p.buffer in stored and p not in written}
    return (
        [place for place in read if place.buffer not in others],
        [place for place in written if place.buffer not in others],
    )


@dataclass(slots=True)
class TileWriter:
    """Writes what a block does in a tile.

    scanned   the loop; `terms` its statements that the running values' terms need
    tile      the number of a tile, in the order of the loop; `tiles` of them
    starts    what stands before each tile, by running value
    """

    names: Names
    shape: Tiles
    scanned: Loop
    running: Sequence[Running]
    terms: Body
    tile: Expression
    tiles: int
    starts: Mapping[str, Expression]
    near: dict[_Place, Buffer] = field(default_factory=dict)

    def begin(self) -> Let:
        """Make memory for what lies near; where the tile begins."""
        shape, number = self.shape, self.tile
        if self.scanned.reverse:
            number = operation("subtract", integer(self.tiles - 1), number)
        for place in shape.places:
            width = (shape.threads, shape.each | 1)
            self.near[place] = self.names.workspace(place.buffer.dtype, width)
        return Let(self.names.fresh("v"), times(number, shape.size))

    def write(self) -> Body:
        """The statements of a tile."""
        shape, first = self.shape, self.begin()
        base = Variable(first.name, INT64)
        totals = [self.names.workspace(one.dtype, (shape.threads,)) for one in self.running]
        groups = 1 << (shape.threads.bit_length() - 1) // 2
        sums = [self.names.workspace(one.dtype, (groups,)) for one in self.running]
        return (
            first,
            *[self.copy(place, base, inwards=True) for place in shape.loads],
            self.add_up(base, totals),
            self.add_totals(totals, sums),
            self.go_through(base, totals, sums),
            *[self.copy(place, base, inwards=False) for place in shape.stores],
        )

    def copy(self, place: _Place, base: Expression, *, inwards: bool) -> Statement:
        """The loop that reads, or writes, a tile's elements side by side."""
        shape, near = self.shape, self.near[place]
        line, step = (Variable(self.names.fresh("i"), INT64) for _ in range(2))
        count = constant_trip(self.scanned) or 0
        whole = count % shape.size == 0
        number: Expression = plus(plus(base, times(line, shape.each)), step)
        if inwards and not whole:
            number = operation("minimum", number, integer(count - 1))
        far = (*place.before, plus(number, integer(first_of(self.scanned) + place.offset)))
        here = (line, step)
        statement: Statement
        if inwards:
            statement = Store(near, here, Load(place.buffer, far))
        else:
            statement = Store(place.buffer, far, Load(near, here))
            if not whole:
                statement = If(operation("less", number, integer(count)), (statement,))
        return loop(line.name, shape.threads, loop(step.name, shape.each, statement))

    def own(self, base: Expression, thread: Expression) -> tuple[Body, Expression, Expression]:
        """Where a thread's elements begin and end."""
        shape, first = self.shape, first_of(self.scanned)
        begin, end = (Variable(self.names.fresh("v"), INT64) for _ in range(2))
        start = plus(plus(base, times(thread, shape.each)), integer(first))
        stop = integer(first + (constant_trip(self.scanned) or 0))
        high = operation("minimum", plus(begin, integer(shape.each)), stop)
        return (Let(begin.name, start), Let(end.name, high)), begin, end

    def nearby(self, body: Body, thread: Expression, begin: Expression, index: str) -> Body:
        """Statements that access what lies near."""

        def place(buffer: Buffer, indices: Indices) -> tuple[Buffer, Indices]:
            for known, near in self.near.items():
                if known.buffer is buffer and indices[:-1] == known.before:
                    form = linear_form(indices[-1], {})
                    own = Variable(index, INT64)
                    if dict(form.terms) == {own: 1} and form.constant == known.offset:
                        return near, (thread, operation("subtract", own, begin))
            return buffer, indices

        return map_accesses(body, place)

    def order(self, thread: Expression) -> Expression:
        """The number of a thread's elements in the order of the loop."""
        if not self.scanned.reverse:
            return thread
        return operation("subtract", integer(self.shape.threads - 1), thread)

    def add_up(self, base: Expression, totals: Sequence[Buffer]) -> Statement:
        """Each thread adds up its elements."""
        thread = Variable(self.names.fresh("i"), INT64)
        bounds, begin, end = self.own(base, thread)
        index = self.names.fresh("i")
        known: dict[str, Expression] = {self.scanned.index: Variable(index, INT64)}
        terms = with_own_names(self.terms, self.names.fresh("u"), known)
        before: list[Statement] = []
        steps: list[Statement] = []
        after: list[Statement] = []
        for one, total in zip(self.running, totals, strict=True):
            name = self.names.fresh("s")
            before.append(Declare(name, neutral(one.operation, one.dtype)))
            steps.append(Reduce(name, one.operation, one.value))
            after.append(Store(total, (self.order(thread),), Variable(name, one.dtype)))
        body = self.nearby(rename((*terms, *steps), known), thread, begin, index)
        adding = Loop(index, begin, end, body, "reduce", most=self.shape.each)
        return loop(thread.name, self.shape.threads, *before, *bounds, adding, *after)

    def add_totals(self, totals: Sequence[Buffer], sums: Sequence[Buffer]) -> Statement:
        """Some threads replace what groups of threads have added up by running values."""
        (groups,) = sums[0].shape
        each = self.shape.threads // groups
        group, step = (Variable(self.names.fresh("i"), INT64) for _ in range(2))
        before: list[Statement] = []
        steps: list[Statement] = []
        after: list[Statement] = []
        place = plus(times(group, each), step)
        for one, total, whole in zip(self.running, totals, sums, strict=True):
            name, value = self.names.fresh("s"), Variable(self.names.fresh("v"), one.dtype)
            so_far = Variable(name, one.dtype)
            before.append(Declare(name, neutral(one.operation, one.dtype)))
            steps.append(Let(value.name, Load(total, (place,))))
            steps.append(Store(total, (place,), so_far))
            steps.append(Assign(name, operation(one.operation, so_far, value)))
            after.append(Store(whole, (group,), so_far))
        through = loop(step.name, each, *steps, kind="serial")
        return loop(group.name, groups, *before, through, *after)

    def go_through(
        self, base: Expression, totals: Sequence[Buffer], sums: Sequence[Buffer]
    ) -> Statement:
        """Each thread runs the loop on its elements, from what stands before them."""
        (groups,) = sums[0].shape
        each = self.shape.threads // groups
        thread = Variable(self.names.fresh("i"), INT64)
        order = Variable(self.names.fresh("v"), INT64)
        bounds, begin, end = self.own(base, thread)
        starts: list[Statement] = [Let(order.name, self.order(thread))]
        for one, total, whole in zip(self.running, totals, sums, strict=True):
            so_far, group = Variable(one.name, one.dtype), Variable(self.names.fresh("i"), INT64)
            starts.append(Declare(one.name, self.starts[one.name]))
            more = Assign(one.name, operation(one.operation, so_far, Load(whole, (group,))))
            above = operation("floor_divide", order, integer(each))
            starts.append(Loop(group.name, integer(0), above, (more,), "serial", most=groups))
            last = operation(one.operation, so_far, Load(total, (order,)))
            starts.append(Assign(one.name, last))
        body = self.nearby(self.scanned.body, thread, begin, self.scanned.index)
        through = replace(self.scanned, start=begin, stop=end, body=body, most=self.shape.each)
        return loop(thread.name, self.shape.threads, *starts, *bounds, through)
