"""Terms added up by where they go: their places sorted, then each segment of equal ones by itself.

    a nest that computes the place of each iteration,
    a stable sort of the places, with the iteration each belongs to,
    a nest in which each segment is added up, by its first term or by a group of threads.

What a term needs is computed again from the number of its iteration. Of more than `LONGEST` terms
for one place each further `LONGEST` are added up by themselves, one part a stretch of that length,
and then what they gave. The order is fixed: that of the loop where a thread adds up a segment.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Buffer, Expression, Let, Literal, Load, Loop, Variable
from codegen.lower.context import BOOL, INT64, ZERO, Block, Context, Indices, integer
from codegen.lower.reduction import identity
from codegen.passes.rewrite import Body
from codegen.passes.scatter_terms import Plan, names_of
from codegen.passes.segments import (
    Segments,
    begins_at,
    count_places,
    end_of,
    fitting,
    inside,
    name_iteration,
    read,
    save,
)
from tracer.types import ArrayType, kind_of

LONGEST = 1024
"""Terms that one thread or group of threads adds up: a power of two."""
OFTEN = 32
"""Terms for each place, on average, from which on each place looks for its own."""


def write_sums(context: Context, plans: Sequence[Plan], found: Segments) -> None:
    """Write the loops that add up segments, or parts of long ones, and then those parts; for
    updates whose places are the same, and so are their loops."""
    first = plans[0]
    inner = tuple(constant_trip(loop) or 0 for loop in first.inner)
    many = found.count >= math.prod(first.extents) * OFTEN
    sums = _Dense(context, plans, found) if many else _Sparse(context, plans, found)
    stretches = -(-found.count // LONGEST)
    sums.write_first()
    if stretches > 1:
        shape = (stretches, *inner)
        partial = [
            context.new_buffer(ArrayType(plan.term.update.buffer.dtype, shape)) for plan in plans
        ]
        sums.each_element(stretches, lambda where: sums.sum_part(where, partial))
        sums.write_parts(partial)


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch's part of a long segment, which is not its first: whether there is one, where the
    segment and the part begin, and the place that it is added to."""

    exists: Expression
    first: Expression
    begin: Expression
    place: Expression


class _Sums(ABC):
    """What updates add up, and where segments begin and end."""

    def __init__(self, context: Context, plans: Sequence[Plan], found: Segments) -> None:
        self.context, self.plans, self.found = context, plans, found
        self.plan = plans[0]
        self.number = math.prod(self.plan.extents)
        self.usual = min(LONGEST, max(1, 2 * found.count // self.number))

    @abstractmethod
    def write_first(self) -> None:
        """Write the sums of the first terms of all segments."""

    @abstractmethod
    def write_parts(self, partial: Sequence[Buffer]) -> None:
        """Write the sums of the parts of long segments."""

    @abstractmethod
    def begin_of(self, place: Expression) -> Expression:
        """Where the segment of a place begins."""

    def each_element(self, count: int, write: Callable[[Expression], None]) -> None:
        """Write parallel loops over so many numbers and over the loops of the update that lie
        apart: neighbouring threads have neighbouring elements of the update's last dimension."""
        context, plan = self.context, self.plan
        name = context.fresh("i")
        with context.inner_block() as block:
            write(Variable(name, INT64))
        own = Loop(name, ZERO, integer(count), ())
        body: Body = tuple(block.statements)
        nest = [*plan.inner, own] if plan.ends_inside else [own, *plan.inner]
        for loop in reversed(nest):
            body = (replace(loop, body=body, kind="parallel"),)
        context.add(body[0])

    def sum_part(self, stretch: Expression, partial: Sequence[Buffer]) -> None:
        """Write the sum of a stretch's part of a long segment."""
        context = self.context
        part = self.part(stretch)
        with context.inner_block() as block:
            updates = [plan.term.update for plan in self.plans]
            totals = [
                context.declare("s", _neutral(update.operation, update.buffer.dtype))
                for update in updates
            ]
            self.add_terms(
                totals, part.begin, end_of(context, self.found, part.begin, LONGEST), LONGEST
            )
            for buffer, total in zip(partial, totals, strict=True):
                context.store(buffer, self.slot(stretch), context.settled(total))
        context.branch(part.exists, block)

    def sum_elements(self, place: Expression, add: Callable[[list[Variable]], None]) -> None:
        """Write what reads the elements of a place, adds to them, and stores them."""
        context = self.context
        places = [self.element(plan, place) for plan in self.plans]
        buffers = [plan.term.update.buffer for plan in self.plans]
        totals = [
            context.declare("s", Load(buffer, indices))
            for buffer, indices in zip(buffers, places, strict=True)
        ]
        add(totals)
        for buffer, indices, total in zip(buffers, places, totals, strict=True):
            context.store(buffer, indices, context.settled(total))

    def part(self, stretch: Expression) -> _Part:
        """Find the part that begins in a stretch: parts of one segment, and those of others but
        for their first, begin `LONGEST` apart at least, so there is no more than one. Its segment
        begins before the stretch, whose first place therefore belongs to it."""
        context, found = self.context, self.found
        start = context.operation("multiply", stretch, integer(LONGEST))
        place = read(context, found.places, start)
        first = self.begin_of(place)
        behind = context.operation("subtract", start, first)
        above = context.operation("remainder", behind, integer(LONGEST))
        missing = context.operation("subtract", integer(LONGEST), above)
        moved = context.operation("remainder", missing, integer(LONGEST))
        begin = context.operation("add", start, moved)
        there = read(context, found.places, inside(context, found, begin))
        exists = context.operation("less", ZERO, behind, dtype=BOOL)
        for test in (
            context.operation("less", begin, integer(found.count), dtype=BOOL),
            context.operation("equal", there, place, dtype=BOOL),
        ):
            exists = context.operation("logical_and", exists, test, dtype=BOOL)
        return _Part(exists, first, begin, place)

    def slot(self, stretch: Expression) -> Indices:
        """Where the sum of a stretch's part lies."""
        return (stretch, *[_from_zero(self.context, loop) for loop in self.plan.inner])

    def element(self, plan: Plan, place: Expression) -> Indices:
        """Name the element that a segment is added to; its indices."""
        context, update = self.context, plan.term.update
        indices = list(update.indices)
        for axis, extent in reversed(list(zip(plan.axes, plan.extents, strict=True))):
            indices[axis] = context.operation("remainder", place, integer(extent))
            place = context.operation("floor_divide", place, integer(extent))
        _define(context, plan.needed({name for index in indices for name in names_of((index,))}))
        return tuple(indices)

    def add_terms(
        self,
        totals: list[Variable],
        begin: Expression,
        end: Expression,
        most: int,
        kind: str = "reduce",
    ) -> None:
        """Write the loop that adds terms to scalars, of which there are `most`."""
        context = self.context
        name = context.fresh("i")
        before = context.block
        with context.inner_block() as inner:
            number = read(context, self.found.order, Variable(name, INT64))
            name_iteration(context, self.plan, number)
            for plan, total in zip(self.plans, totals, strict=True):
                update = plan.term.update
                _define(context, plan.needed(names_of((update.value,))), before)
                context.reduce(total, update.operation, update.value)
        context.add(Loop(name, begin, end, tuple(inner.statements), kind, most=most))

    def add_parts(
        self,
        totals: list[Variable],
        stretch: Expression,
        numbers: tuple[Expression, Expression],
        partial: Sequence[Buffer],
    ) -> None:
        """Write the loop that adds the sums of parts from one number to another, of which number 0
        lies in a stretch."""
        context = self.context
        name = context.fresh("i")
        with context.inner_block() as inner:
            at = self.slot(context.operation("add", stretch, Variable(name, INT64)))
            for plan, total, buffer in zip(self.plans, totals, partial, strict=True):
                value = context.let(Load(buffer, at))
                context.reduce(total, plan.term.update.operation, value)
        most = max(1, 2 * partial[0].shape[0] // self.number)
        context.add(Loop(name, *numbers, tuple(inner.statements), "reduce", most=most))

    def parts_between(self, begin: Expression, stop: Expression) -> Expression:
        """How many parts there are from where one begins to where the segment ends."""
        context = self.context
        missing = context.operation("subtract", stop, begin)
        above = context.operation("add", missing, integer(LONGEST - 1))
        return context.operation("floor_divide", above, integer(LONGEST))


class _Dense(_Sums):
    """Places that have many terms each: there is a table of where their segments begin."""

    def __init__(self, context: Context, plans: Sequence[Plan], found: Segments) -> None:
        super().__init__(context, plans, found)
        table = ArrayType(fitting(found.count), (self.number + 1,))
        self.starts = context.new_buffer(table)

    def write_first(self) -> None:
        """As above: each place adds up its own."""
        context, found = self.context, self.found
        with context.loop(self.number + 1) as place:
            save(context, self.starts, place, count_places(context, found, "less", place))

        def sum_first(place: Expression) -> None:
            begin, stop = self.begin_of(place), self.begin_of(_next(context, place))
            reach = context.operation("add", begin, integer(LONGEST))
            end = context.operation("minimum", reach, stop)
            self.sum_elements(place, lambda totals: self.add_terms(totals, begin, end, self.usual))

        self.each_element(self.number, sum_first)

    def write_parts(self, partial: Sequence[Buffer]) -> None:
        """As above."""
        context = self.context

        def sum_parts(place: Expression) -> None:
            begin, stop = self.begin_of(place), self.begin_of(_next(context, place))
            stretch = context.operation("floor_divide", begin, integer(LONGEST))
            numbers = integer(1), self.parts_between(begin, stop)
            self.sum_elements(
                place, lambda totals: self.add_parts(totals, stretch, numbers, partial)
            )

        self.each_element(self.number, sum_parts)

    def begin_of(self, place: Expression) -> Expression:
        """As above."""
        return read(self.context, self.starts, place)


class _Sparse(_Sums):
    """Places that have few terms each, or none: the first term of a segment looks for its last.
    Where several threads need to know, `ends` has what it finds, and 0 for other terms."""

    def write_first(self) -> None:
        """As above: the first term of each segment adds it up."""
        context, found = self.context, self.found
        if not self.plan.inner:
            self.each_element(
                found.count, lambda where: self.sum_first(where, begins_at(context, found, where))
            )
            return
        ends = context.new_buffer(ArrayType(fitting(found.count), (found.count,)))
        with context.loop(found.count) as where:
            leads = begins_at(context, found, where)
            with context.inner_block() as block:
                save(context, ends, where, end_of(context, found, where, LONGEST))
            with context.inner_block() as otherwise:
                context.store(ends, (where,), Literal(0, ends.dtype))
            context.branch(leads, block, otherwise)

        def sum_first(where: Expression) -> None:
            end = read(context, ends, where)
            self.sum_first(where, context.operation("less", where, end, dtype=BOOL), end)

        self.each_element(found.count, sum_first)

    def sum_first(
        self, where: Expression, begins: Expression, end: Expression | None = None
    ) -> None:
        """Write the sum of the first terms of the segment that begins at a place, if one does."""
        context, found = self.context, self.found
        with context.inner_block() as block:
            stop = end_of(context, found, where, LONGEST) if end is None else end
            self.sum_elements(
                read(context, found.places, where),
                lambda totals: self.add_terms(totals, where, stop, self.usual, "serial"),
            )
        context.branch(begins, block)

    def write_parts(self, partial: Sequence[Buffer]) -> None:
        """As above: the first part of a segment behind its first terms adds them up."""
        context, found = self.context, self.found

        def sum_parts(stretch: Expression) -> None:
            part = self.part(stretch)
            behind = context.operation("subtract", part.begin, part.first)
            second = context.operation("equal", behind, integer(LONGEST), dtype=BOOL)
            with context.inner_block() as block:
                stop = count_places(context, found, "less_equal", part.place)
                numbers = ZERO, self.parts_between(part.begin, stop)
                self.sum_elements(
                    part.place, lambda totals: self.add_parts(totals, stretch, numbers, partial)
                )
            context.branch(context.operation("logical_and", part.exists, second, dtype=BOOL), block)

        self.each_element(partial[0].shape[0], sum_parts)

    def begin_of(self, place: Expression) -> Expression:
        """As above."""
        return count_places(self.context, self.found, "less", place)


def _define(context: Context, lets: Iterable[Let], outside: Block | None = None) -> None:
    """Write definitions, but for those that stand in this block, or in the one outside."""
    statements = [*context.block.statements, *(outside.statements if outside else ())]
    known = {part.name for part in statements if isinstance(part, Let)}
    for let in lets:
        if let.name not in known:
            context.add(let)


def _next(context: Context, place: Expression) -> Expression:
    return context.operation("add", place, integer(1))


def _neutral(combiner: str, dtype: np.dtype) -> Literal:
    """What changes no number, not even the sign of a zero."""
    if combiner == "add" and kind_of(dtype) in "fc":
        return Literal(complex(-0.0, -0.0) if dtype.kind == "c" else -0.0, dtype)
    return identity(combiner, dtype)


def _from_zero(context: Context, loop: Loop) -> Expression:
    """The number of an iteration of a loop."""
    index = Variable(loop.index, INT64)
    if isinstance(loop.start, Literal) and loop.start.value == 0:
        return index
    return context.operation("subtract", index, loop.start)
