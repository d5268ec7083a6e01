"""Long serial loops that carry linear recurrences, `s = a·s + b`, in chunks, for a device.

What a chunk does to s is linear, too: a product of a's, and what it makes of 0. So these are found
first, for all chunks at once; then for chunks of chunks, until few are left; then what s is before
each of those, and down again; at last each chunk runs the loop's own statements from there. Sums
that depend on s and that the loop only adds to are added up in each chunk, and then over all.

The order is fixed by the sizes and the machine. Results differ from those of one loop by rounding.
Where a product or a result overflows, or an operand is not finite, the loop runs as it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.build import integer, literal, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
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
from codegen.loops.operations import BOOL, DType
from codegen.passes.chunks import (
    Indices,
    Names,
    chunk_bounds,
    neutral,
    perfect_nest,
    plus,
    position,
    retarget,
    strides_along,
    times,
    trips,
    wrap,
)
from codegen.passes.fission import Part, apart, cut, is_distinct
from codegen.passes.parallel import buffer_uses
from codegen.passes.recurrences import Carried, Linear, carried_by, product, total
from codegen.passes.rewrite import Body, map_blocks, rename
from codegen.passes.unused import remove_unused
from tracer.types import INT64

FEWEST = 8
"""Times a block's threads: iterations from which on a loop is worth the launches of all stages."""


def split_recurrences(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops in chunks."""
    splitter = _Splitter(Names(program), machine, buffer_uses(program.body))
    body = splitter.block(program.body)
    if not splitter.changed:
        return program
    return remove_unused(splitter.names.finish(program, body))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A loop in chunks of `each` iterations, and these in chunks again: `counts` are how many there
    are, iterations first. `columns`: neighbours in memory are in other iterations of the loops
    around it, which are `nest`."""

    loop: Loop
    carried: Carried
    nest: tuple[Loop, ...]
    each: int
    counts: tuple[int, ...]
    columns: bool


@dataclass(slots=True)
class _Stages:
    """Parts of a nest: what runs `before` the look at whether all is finite, what `then`, and what
    `otherwise`; `fine` says so for each iteration of the nest, where that is not certain. `after`
    gives what is carried its last values."""

    before: list[Part]
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


class _Splitter:
    def __init__(self, names: Names, machine: DeviceMachine, uses: Counter[Buffer]) -> None:
        self.names, self.machine, self.uses = names, machine, uses
        self.changed = False

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop) and statement.kind == "parallel":
                result.extend(self.nest(statement))
            elif isinstance(statement, Loop) and (plan := self.plan(statement, ())) is not None:
                result.extend(self.split((), [statement], [plan]))
            elif isinstance(statement, If | While) or (
                isinstance(statement, Loop) and statement.kind == "serial"
            ):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def nest(self, loop: Loop) -> Sequence[Statement]:
        """Parallel loops, perhaps with such a loop inside."""
        nest = tuple(perfect_nest(loop, "parallel"))
        if not nest or not any(self.plan(part, nest) for part in nest[-1].body):
            return (loop,)
        body = apart(nest, self.uses, self.names) if is_distinct(loop) else None
        if body is None:
            return (loop,)
        return self.split(nest, body, [self.plan(part, nest) for part in body])

    def plan(self, loop: Statement, nest: tuple[Loop, ...]) -> _Plan | None:
        """How a loop inside of a nest is split; None where it stays."""
        machine, around = self.machine, trips(nest)
        if not isinstance(loop, Loop) or loop.kind != "serial":
            return None
        count = constant_trip(loop) or 0
        if count < FEWEST * machine.threads or around * work_of((loop,)) < machine.small:
            return None
        # Loops that are many fill the device as they are, and read their operands once.
        if not 0 < 4 * around <= machine.processors * machine.threads:
            return None
        carried = carried_by(loop)
        if carried is None:
            return None
        most = max(1, machine.blocks * machine.threads // around)
        each = max(4, machine.threads // 8, -(-count // most))
        counts = [count, -(-count // each)]
        while counts[-1] > 2 * each:
            counts.append(-(-counts[-1] // each))
        moving = [part.index for part in nest if (constant_trip(part) or 0) > 1]
        columns = False
        if moving:
            along, across = strides_along(loop.body, moving[-1], loop.index)
            columns = along > across
        return _Plan(loop, carried, nest, each, tuple(counts), columns)

    def split(
        self, nest: tuple[Loop, ...], body: Sequence[Statement], plans: Sequence[_Plan | None]
    ) -> list[Statement]:
        """The statements of a nest's body, of which some are such loops, as nests of their own."""
        self.changed = True
        parts: list[Part] = []
        branches: list[tuple[int, int, int, Buffer | None]] = []
        light: list[Statement] = []
        for statement, plan in zip(body, plans, strict=True):
            if plan is None:
                light.append(statement)
                continue
            stages = _Writer(self.names, plan).stages()
            parts += [Part((*light, *stages.before[0].body)), *stages.before[1:]]
            first = len(parts)
            parts += [*stages.then, *stages.otherwise]
            branches.append((first, first + len(stages.then), len(parts), stages.fine))
            light = list(stages.after)
        parts.append(Part(tuple(light)))
        return self.joined(nest, _written(nest, parts, self.names), branches)

    def joined(
        self,
        nest: tuple[Loop, ...],
        written: list[list[Statement]],
        branches: Sequence[tuple[int, int, int, Buffer | None]],
    ) -> list[Statement]:
        """What the parts became, with those in branches that are."""
        result: list[Statement] = []
        done = 0
        for first, middle, last, fine in branches:
            result += [one for part in written[done:first] for one in part]
            then = [one for part in written[first:middle] for one in part]
            otherwise = [one for part in written[middle:last] for one in part]
            if fine is None:
                result += then
            else:
                condition = Variable(self.names.fresh("v"), BOOL)
                result += self.all_fine(nest, fine, condition.name)
                result.append(If(condition, tuple(then), tuple(otherwise)))
            done = last
        return result + [one for part in written[done:] for one in part]

    def all_fine(self, nest: tuple[Loop, ...], fine: Buffer, name: str) -> list[Statement]:
        """Whether all iterations of a nest say so, under a name."""
        if not nest:
            return [Let(name, Load(fine, ()))]
        both = self.names.fresh("s")
        inner: list[Loop] = [
            Loop(self.names.fresh("i"), integer(0), integer(extent), (), "reduce")
            for extent in fine.shape
        ]
        indices = tuple([Variable(part.index, INT64) for part in inner])
        body: Statement = Reduce(both, "logical_and", Load(fine, indices))
        for part in reversed(inner):
            body = replace(part, body=(body,))
        return [Declare(both, literal(True, BOOL)), body, Let(name, Variable(both, BOOL))]


def _written(nest: tuple[Loop, ...], parts: list[Part], names: Names) -> list[list[Statement]]:
    """The statements of each part."""
    if nest:
        whole = iter(cut(nest, parts, names))
        return [[next(whole)] if part.body else [] for part in parts]
    return [
        [wrap(list(part.inner), part.body)] if part.inner else list(part.body) for part in parts
    ]


class _Writer:
    """Writes the stages of one loop."""

    def __init__(self, names: Names, plan: _Plan) -> None:
        self.names, self.plan = names, plan
        self.extents = tuple([constant_trip(part) or 0 for part in plan.nest])
        self.around = tuple([position(part) for part in plan.nest])
        self.linear = plan.carried.linear
        self.exact = all(one.dtype.kind != "f" for one in self.linear)

    def stages(self) -> _Stages:
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
        for level in range(len(plan.counts) - 2, 0, -1):
            part, states = self.down(level, levels[level - 1], states)
            before.append(part)
        then = self.last(states, starts, ends)
        otherwise = [] if fine is None else [self.alone(starts, ends)]
        after: list[Statement] = [Assign(name, Load(ends[name], self.around)) for name in starts]
        return _Stages(before, then, otherwise, after, fine)

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

    def up(self, level: int, levels: list[_Matrices]) -> tuple[Part, _Matrices]:
        """What each stretch of a level does to what is carried."""
        plan = self.plan
        over, place = self.over(level)
        found = _Matrices([], [])
        declared: list[Statement] = []
        stored: list[Statement] = []
        steps: list[Statement] = []
        inner: Loop
        bounds: Body
        if level == 1:
            bounds, begin, end = chunk_bounds(
                self.names, plan.loop, plan.each, plan.counts[1], place
            )
            inner = replace(plan.loop, start=begin, stop=end)
            steps += plan.carried.terms
            linear = list(self.linear)
        else:
            bound, inner, index = self.inside(level - 1, place)
            bounds = (bound,)
            linear = self.loaded(levels[-1], index)
        changes: list[Statement] = []
        for one in linear:
            size = len(one.names)
            rows = [[self.names.fresh("s") for _ in range(size)] for _ in range(size)]
            rests = [self.names.fresh("s") for _ in range(size)]
            for row in range(size):
                for column in range(size):
                    start = literal(row == column, one.dtype)
                    declared.append(Declare(rows[row][column], start))
                declared.append(Declare(rests[row], literal(0, one.dtype)))
            for column in range(size):
                names = [row[column] for row in rows]
                changes += self.step(one, names, steps, with_rest=False)
            changes += self.step(one, rests, steps, with_rest=True)
            buffers = [[self.wide(one.dtype, plan.counts[level]) for _ in row] for row in rows]
            ends = [self.wide(one.dtype, plan.counts[level]) for _ in rests]
            for names, targets in zip((*rows, rests), (*buffers, ends), strict=True):
                for name, target in zip(names, targets, strict=True):
                    stored.append(Store(target, self.at(place), Variable(name, one.dtype)))
            found.factors.append(buffers)
            found.rests.append(ends)
        body = (*declared, *bounds, replace(inner, body=(*steps, *changes)), *stored)
        return Part(body, (over,), plan.columns), found

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
                if value.dtype.kind == "f":
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
        plan, sums = self.plan, self.plan.carried.sums
        over, place = self.over(1)
        own = {name: self.names.fresh("s") for name in (*states, *(one.name for one in sums))}
        body: list[Statement] = [
            Declare(own[name], Load(state, self.at(place))) for name, state in states.items()
        ]
        body += [Declare(own[one.name], neutral(one.operation, one.dtype)) for one in sums]
        bounds, begin, end = chunk_bounds(self.names, plan.loop, plan.each, plan.counts[1], place)
        body += [*bounds, self.renamed(own, begin, end)]
        added: list[Statement] = []
        for one in sums:
            partial = self.wide(one.dtype, plan.counts[1])
            body.append(Store(partial, self.at(place), Variable(own[one.name], one.dtype)))
            whole, index = self.names.fresh("s"), Variable(self.names.fresh("i"), INT64)
            added.append(Declare(whole, Load(starts[one.name], self.around)))
            step = Reduce(whole, one.operation, Load(partial, self.at(index)))
            count = integer(plan.counts[1])
            added.append(Loop(index.name, integer(0), count, (step,), "reduce"))
            added.append(Store(ends[one.name], self.around, Variable(whole, one.dtype)))
        parts = [Part(tuple(body), (over,), plan.columns)]
        return [*parts, Part(tuple(added))] if added else parts

    def alone(self, starts: dict[str, Buffer], ends: dict[str, Buffer]) -> Part:
        """The loop as it stands, on names of its own."""
        own = {name: self.names.fresh("s") for name in starts}
        body: list[Statement] = [
            Declare(own[name], Load(start, self.around)) for name, start in starts.items()
        ]
        body.append(self.renamed(own, self.plan.loop.start, self.plan.loop.stop))
        body += [
            Store(end, self.around, Variable(own[name], end.dtype)) for name, end in ends.items()
        ]
        return Part(tuple(body))

    def renamed(self, own: dict[str, str], begin: Expression, end: Expression) -> Loop:
        """The loop between bounds, with other names for its index and what it carries."""
        loop = self.plan.loop
        index = Variable(self.names.fresh("i"), INT64)
        dtypes = {one.name: one.dtype for one in self.plan.carried.sums}
        dtypes |= {name: one.dtype for one in self.linear for name in one.names}
        names: dict[str, Expression] = {
            name: Variable(new, dtypes[name]) for name, new in own.items()
        }
        body = rename(retarget(loop.body, own), {**names, loop.index: index})
        return replace(loop, index=index.name, start=begin, stop=end, body=body)


def _elements(linear: Sequence[Linear]) -> Iterator[Expression]:
    """All factors and rests."""
    for one in linear:
        for row in (*one.factors, one.rest):
            yield from (value for value in row if value is not None)
