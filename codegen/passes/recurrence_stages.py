"""The stages of a serial loop that carries linear recurrences, in chunks: what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from codegen.loops.build import integer, literal, loop, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    Let,
    Load,
    Loop,
    Reduce,
    Statement,
    Store,
    Variable,
)
from codegen.loops.operations import BOOL, DType
from codegen.loops.walk import buffers_read, statements
from codegen.passes.chunks import (
    Indices,
    Names,
    chunk_bounds,
    neutral,
    plus,
    position,
    retarget,
    times,
)
from codegen.passes.fission import Part
from codegen.passes.recurrences import Carried, Linear, product, total
from codegen.passes.rewrite import Body, rename
from codegen.passes.scan_tiles import Tiles, TileWriter
from tracer.types import INT64


@dataclass(frozen=True, slots=True)
class Plan:
    """A loop in chunks, and these in stretches of `each`, and so on: `counts` are how many there
    are on each level, iterations first, and `each` of what is below in one of those from the
    second level on; of the first they have `chunk` iterations. `columns`: neighbours in memory are
    in other iterations of the loops around it, which are `nest`. With `tiles` the threads of a
    block have neighbouring chunks, and what these access goes through shared memory. `wanted` are
    the carried scalars that something else than the loop reads."""

    loop: Loop
    carried: Carried
    nest: tuple[Loop, ...]
    chunk: int
    each: int
    counts: tuple[int, ...]
    columns: bool
    tiles: Tiles | None
    wanted: frozenset[str]


@dataclass(slots=True)
class Stages:
    """Parts of a nest: what runs `before` the branches, of which so many that it is `known` whether
    all is finite, what `then`, and what `otherwise`; `fine` says so for each iteration of the nest,
    where that is not certain. `after` gives what is carried its last values."""

    before: list[Part]
    known: int
    then: list[Part]
    otherwise: list[Part]
    after: list[Statement]
    fine: Buffer | None


@dataclass(slots=True)
class _Matrices:
    """What the stretches of one level do to what is carried, by linear group: the elements of the
    factors by rows, and those of the rest."""

    factors: list[list[list[Buffer]]]
    rests: list[list[Buffer]]


class StageWriter:
    """Writes the stages of one loop."""

    def __init__(self, names: Names, plan: Plan) -> None:
        self.names, self.plan = names, plan
        self.extents = tuple([constant_trip(part) or 0 for part in plan.nest])
        self.around = tuple([position(part) for part in plan.nest])
        self.linear = plan.carried.linear
        self.exact = all(one.dtype.kind not in "fc" for one in self.linear)

    def stages(self) -> Stages:
        """All of them."""
        plan = self.plan
        dtypes = {name: one.dtype for one in self.linear for name in one.names}
        dtypes |= {one.name: one.dtype for one in plan.carried.sums}
        starts = {name: self.names.workspace(dtype, self.extents) for name, dtype in dtypes.items()}
        ends = {name: self.names.workspace(dtype, self.extents) for name, dtype in dtypes.items()}
        kept = [
            Store(start, self.around, Variable(name, start.dtype)) for name, start in starts.items()
        ]
        before = [Part(tuple(kept))]
        levels: list[_Matrices] = []
        for level in range(1, len(plan.counts)):
            part, found = self.up(level, levels)
            before.append(part)
            levels.append(found)
        fine = None if self.exact else self.names.workspace(BOOL, self.extents)
        part, states = self.top(levels[-1], starts, ends, fine)
        before.append(part)
        tops = len(before)
        for level in range(len(plan.counts) - 2, 0, -1):
            part, states = self.down(level, levels[level - 1], states)
            before.append(part)
        then = self.last(states, starts, ends)
        otherwise = [] if fine is None else [self.alone(starts, ends)]
        after: list[Statement] = [
            Assign(name, Load(ends[name], self.around))
            for name in starts
            if name in self.plan.wanted
        ]
        return Stages(before, tops, then, otherwise, after, fine)

    # Places

    def wide(self, dtype: DType, count: int) -> Buffer:
        """Memory for an element of each stretch of a level."""
        extents = (count, *self.extents) if self.plan.columns else (*self.extents, count)
        return self.names.workspace(dtype, extents)

    def at(self, place: Expression) -> Indices:
        """Where a stretch's element is."""
        return (place, *self.around) if self.plan.columns else (*self.around, place)

    def over(self, level: int) -> tuple[Loop, Variable]:
        """The loop over a level's stretches, and its index."""
        index = Variable(self.names.fresh("i"), INT64)
        count = integer(self.plan.counts[level])
        return Loop(index.name, integer(0), count, (), "parallel"), index

    def inside(self, level: int, place: Expression) -> tuple[Statement, Loop, Variable]:
        """The loop through what a stretch consists of, and its index, behind its last bound."""
        low, high = times(place, self.plan.each), Variable(self.names.fresh("v"), INT64)
        count = integer(self.plan.counts[level])
        stop = operation("minimum", plus(low, integer(self.plan.each)), count)
        index = Variable(self.names.fresh("i"), INT64)
        return Let(high.name, stop), Loop(index.name, low, high, (), "serial"), index

    # Stages

    def chunks(self, body: Body, make: Callable[[Expression], tuple[Body, Body]]) -> Part:
        """All chunks of the loop with that body. `make` has what comes before a chunk and behind
        it, whose number, in the order of the loop, it is given."""
        plan = self.plan
        whole = replace(plan.loop, body=body)
        if plan.tiles is None:
            over, place = self.over(1)
            bounds, begin, end = chunk_bounds(self.names, whole, plan.chunk, plan.counts[1], place)
            inner = replace(whole, start=begin, stop=end, most=plan.chunk)
            before, after = make(place)
            return Part((*bounds, *before, inner, *after), (over,), plan.columns)
        read = {part.root for one in statements(body) for part in buffers_read(one)}
        written = {one.buffer.root for one in statements(body) if isinstance(one, Store)}
        shape = replace(
            plan.tiles,
            loads=[part for part in plan.tiles.loads if part.buffer in read],
            stores=[part for part in plan.tiles.stores if part.buffer in written],
        )
        tile, thread = (Variable(self.names.fresh("i"), INT64) for _ in range(2))
        count = plan.counts[1] // shape.threads
        writer = TileWriter(self.names, shape, whole, (), (), tile, count, {})
        first = writer.begin()
        base = Variable(first.name, INT64)
        bounds, begin, end = writer.own(base, thread)
        place = Variable(self.names.fresh("v"), INT64)
        number = plus(times(tile, shape.threads), writer.order(thread))
        near = writer.nearby(body, thread, begin, whole.index)
        inner = replace(whole, start=begin, stop=end, body=near, most=plan.chunk)
        before, after = make(place)
        own = (*bounds, Let(place.name, number), *before, inner, *after)
        in_tile = (
            first,
            *[writer.copy(part, base, inwards=True) for part in shape.loads],
            loop(thread.name, shape.threads, *own),
            *[writer.copy(part, base, inwards=False) for part in shape.stores],
        )
        return Part(in_tile, (loop(tile.name, count),))

    def up(self, level: int, levels: list[_Matrices]) -> tuple[Part, _Matrices]:
        """What each stretch of a level does to what is carried."""
        steps: list[Statement] = []
        if level == 1:
            steps += self.plan.carried.terms
            declared, changes, found = self.effect(self.linear, steps, level)

            def around(place: Expression) -> tuple[Body, Body]:
                return declared, self.stored(found, declared, place)

            return self.chunks((*steps, *changes), around), found
        over, place = self.over(level)
        bound, inner, index = self.inside(level - 1, place)
        declared, changes, found = self.effect(self.loaded(levels[-1], index), steps, level)
        through = replace(inner, body=(*steps, *changes))
        body = (*declared, bound, through, *self.stored(found, declared, place))
        return Part(body, (over,), self.plan.columns), found

    def effect(
        self, linear: Sequence[Linear], steps: list[Statement], level: int
    ) -> tuple[Body, Body, _Matrices]:
        """What steps do together: declarations, assignments that follow `steps`, to which is added
        what they assign, and memory for each stretch of a level."""
        declared: list[Statement] = []
        changes: list[Statement] = []
        found = _Matrices([], [])
        count = self.plan.counts[level]
        for one in linear:
            size = len(one.names)
            rows = [[self.names.fresh("s") for _ in range(size)] for _ in range(size)]
            rests = [self.names.fresh("s") for _ in range(size)]
            for row, names in enumerate(rows):
                declared += [
                    Declare(name, literal(row == column, one.dtype))
                    for column, name in enumerate(names)
                ]
            declared += [Declare(name, literal(0, one.dtype)) for name in rests]
            for column in range(size):
                names = [row[column] for row in rows]
                changes += self.step(one, names, steps, with_rest=False)
            changes += self.step(one, rests, steps, with_rest=True)
            found.factors.append([[self.wide(one.dtype, count) for _ in row] for row in rows])
            found.rests.append([self.wide(one.dtype, count) for _ in rests])
        return tuple(declared), tuple(changes), found

    def stored(self, found: _Matrices, declared: Body, place: Expression) -> Body:
        """A stretch's elements, which were declared in the order of their memory."""
        targets = [
            target
            for rows, rests in zip(found.factors, found.rests, strict=True)
            for row in (*rows, rests)
            for target in row
        ]
        names = [part.name for part in declared if isinstance(part, Declare)]
        return tuple(
            [
                Store(target, self.at(place), Variable(name, target.dtype))
                for target, name in zip(targets, names, strict=True)
            ]
        )

    def step(
        self, one: Linear, names: Sequence[str], steps: list[Statement], *, with_rest: bool
    ) -> list[Statement]:
        """The assignments that follow `steps`, to which is added what they assign."""
        now = [Variable(name, one.dtype) for name in names]
        result: list[Statement] = []
        for name, old, factors, rest in zip(names, now, one.factors, one.rest, strict=True):
            terms = [
                None if factor is None else product(factor, value)
                for factor, value in zip(factors, now, strict=True)
            ]
            value = total([*terms, rest if with_rest else None], one.dtype)
            if value != old:
                new = Variable(self.names.fresh("v"), one.dtype)
                steps.append(Let(new.name, value))
                result.append(Assign(name, new))
        return result

    def loaded(self, matrices: _Matrices, place: Expression) -> list[Linear]:
        """What a stretch does, from memory."""
        where = self.at(place)
        return [
            replace(
                one,
                factors=tuple([tuple([Load(part, where) for part in row]) for row in factors]),
                rest=tuple([Load(part, where) for part in rests]),
            )
            for one, factors, rests in zip(
                self.linear, matrices.factors, matrices.rests, strict=True
            )
        ]

    def through(
        self, level: int, matrices: _Matrices, begin: Callable[[str], Expression], index: Variable
    ) -> tuple[list[Statement], list[Statement], dict[str, Buffer], dict[str, str]]:
        """For what is carried, through stretches of a level: declarations, the statements of one
        turn, where these keep what comes before it, and the names."""
        declared: list[Statement] = []
        kept: list[Statement] = []
        steps: list[Statement] = []
        changes: list[Statement] = []
        states: dict[str, Buffer] = {}
        own: dict[str, str] = {}
        for one in self.loaded(matrices, index):
            for name in one.names:
                own[name] = self.names.fresh("s")
                declared.append(Declare(own[name], begin(name)))
                states[name] = self.wide(one.dtype, self.plan.counts[level])
                kept.append(Store(states[name], self.at(index), Variable(own[name], one.dtype)))
            changes += self.step(one, [own[name] for name in one.names], steps, with_rest=True)
        return declared, [*kept, *steps, *changes], states, own

    def top(
        self,
        matrices: _Matrices,
        starts: dict[str, Buffer],
        ends: dict[str, Buffer],
        fine: Buffer | None,
    ) -> tuple[Part, dict[str, Buffer]]:
        """What is carried before each stretch of the last level, and behind all; and whether all
        of that is finite."""
        level = len(self.plan.counts) - 1
        index = Variable(self.names.fresh("i"), INT64)
        body, turn, states, own = self.through(
            level, matrices, lambda name: Load(starts[name], self.around), index
        )
        count = integer(self.plan.counts[level])
        after: list[Statement] = []
        dtypes = {name: one.dtype for one in self.linear for name in one.names}
        if fine is not None:
            well = Variable(self.names.fresh("s"), BOOL)
            body.append(Declare(well.name, literal(True, BOOL)))
            values = [*_elements(self.loaded(matrices, index))]
            values += [Variable(own[name], dtype) for name, dtype in dtypes.items()]
            for value in values:
                if value.dtype.kind in "fc":
                    good = operation("isfinite", value)
                    turn.append(Assign(well.name, operation("logical_and", well, good)))
            after.append(Store(fine, self.around, well))
        after += [Store(ends[name], self.around, Variable(own[name], dtypes[name])) for name in own]
        loop = Loop(index.name, integer(0), count, tuple(turn), "serial")
        return Part((*body, loop, *after)), states

    def down(
        self, level: int, matrices: _Matrices, states: dict[str, Buffer]
    ) -> tuple[Part, dict[str, Buffer]]:
        """What is carried before each stretch of a level, from those of the level above."""
        over, place = self.over(level + 1)
        bound, inner, index = self.inside(level, place)
        body, turn, found, _ = self.through(
            level, matrices, lambda name: Load(states[name], self.at(place)), index
        )
        loop = replace(inner, body=tuple(turn))
        return Part((*body, bound, loop), (over,), self.plan.columns), found

    def last(
        self, states: dict[str, Buffer], starts: dict[str, Buffer], ends: dict[str, Buffer]
    ) -> list[Part]:
        """The loop's own statements in each chunk, and the sums over all chunks."""
        sums, count = self.plan.carried.sums, self.plan.counts[1]
        own = {name: self.names.fresh("s") for name in (*states, *(one.name for one in sums))}
        partial = {one.name: self.wide(one.dtype, count) for one in sums}

        def around(place: Expression) -> tuple[Body, Body]:
            before = [
                Declare(own[name], Load(state, self.at(place))) for name, state in states.items()
            ]
            before += [Declare(own[one.name], neutral(one.operation, one.dtype)) for one in sums]
            after = [
                Store(partial[one.name], self.at(place), Variable(own[one.name], one.dtype))
                for one in sums
            ]
            return tuple(before), tuple(after)

        parts = [self.chunks(self.renamed(own), around)]
        added: list[Statement] = []
        for one in sums:
            whole, index = self.names.fresh("s"), Variable(self.names.fresh("i"), INT64)
            added.append(Declare(whole, Load(starts[one.name], self.around)))
            step = Reduce(whole, one.operation, Load(partial[one.name], self.at(index)))
            added.append(loop(index.name, count, step, kind="reduce"))
            added.append(Store(ends[one.name], self.around, Variable(whole, one.dtype)))
        return [*parts, Part(tuple(added))] if added else parts

    def alone(self, starts: dict[str, Buffer], ends: dict[str, Buffer]) -> Part:
        """The loop as it stands, on names of its own."""
        own = {name: self.names.fresh("s") for name in starts}
        body: list[Statement] = [
            Declare(own[name], Load(start, self.around)) for name, start in starts.items()
        ]
        index = Variable(self.names.fresh("i"), INT64)
        inner = rename(self.renamed(own), {self.plan.loop.index: index})
        body.append(replace(self.plan.loop, index=index.name, body=inner))
        body += [
            Store(end, self.around, Variable(own[name], end.dtype)) for name, end in ends.items()
        ]
        return Part(tuple(body))

    def renamed(self, own: dict[str, str]) -> Body:
        """The loop's statements, with other names for what it carries."""
        dtypes = {one.name: one.dtype for one in self.plan.carried.sums}
        dtypes |= {name: one.dtype for one in self.linear for name in one.names}
        names: dict[str, Expression] = {
            name: Variable(new, dtypes[name]) for name, new in own.items()
        }
        return rename(retarget(self.plan.loop.body, own), names)


def _elements(linear: Sequence[Linear]) -> Iterator[Expression]:
    """All factors and rests."""
    for one in linear:
        for row in (*one.factors, one.rest):
            yield from (value for value in row if value is not None)
