"""Sums by index in a fixed order, for devices: sorted by where they go, then added up in segments.

A loop of kind "scatter" meets itself in updates at places that are data. Here it becomes

    a nest that computes the place of each iteration,
    a stable sort of the places, with the iteration each belongs to,
    a nest that finds the first and the last place of each segment of equal ones,
    a nest in which the first of each segment adds up its terms, in the order of the loop,

all of them parallel. What a term needs is computed again from the number of its iteration. Results
are the same bits as those of the loop run in order; but of more than `LONGEST` terms for one place
each further `LONGEST` are added up by themselves, and then what they gave: in a fixed order too.

Where order does not matter, as in sums of integers, atomic operations do: such loops stay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from codegen.device.items import can_add_at_once
from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import subexpressions
from codegen.lower.context import BOOL, INT64, ZERO, Context, Indices, integer
from codegen.lower.device_sequence import bisect, sort_rows
from codegen.lower.reduction import identity
from codegen.passes.chunks import Names
from codegen.passes.rewrite import Body, map_blocks
from tracer.types import ArrayType, kind_of

COMBINERS = frozenset(["add", "multiply", "maximum", "minimum", "logical_and", "logical_or"])

LONGEST = 1024
"""Terms that one thread adds up."""


def sorted_scatter(program: Program, machine: DeviceMachine) -> Program:
    """The program with its scatters sorted, at the top and in serial loops, where each index of an
    update is either data or that of a parallel loop inside. Those stay as they are which have
    little to do, or whose order does not matter and which the device can run at once."""
    names = Names(program)
    context = Context("device")
    context.count = names.last
    body = _block(context, program.body, machine)
    if context.count == names.last:
        return program
    return replace(program, body=body, workspace=(*program.workspace, *context.workspace))


def _block(context: Context, body: Body, machine: DeviceMachine) -> Body:
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop) and statement.kind == "scatter":
            stays = can_add_at_once(statement) or work_of((statement,)) <= machine.small
            result.extend((statement,) if stays else _sorted(context, statement))
        elif isinstance(statement, Loop) and statement.kind != "serial":
            result.append(statement)
        else:
            result.append(map_blocks(statement, lambda inner: _block(context, inner, machine)))
    return tuple(result)


@dataclass(slots=True)
class _Term:
    """One update: the loops of kind scatter and the parallel ones around it, outer ones first,
    and the scalars that are named before it."""

    scatter: list[Loop]
    parallel: list[Loop]
    lets: list[Let]
    update: Update


class _UnsupportedError(Exception):
    """The loop does something that is not sorted."""


def _sorted(context: Context, loop: Loop) -> list[Statement]:
    """What a scatter becomes; itself where it cannot be sorted."""
    try:
        plans = [_Plan(term) for term in _terms(loop, [], [], [])]
        updates = [plan.term.update for plan in plans]
        if not all(_apart(*pair) for pair in combinations(updates, 2)):
            raise _UnsupportedError
    except _UnsupportedError:
        return [loop]
    sorts: dict[object, _Segments] = {}
    with context.inner_block() as block:
        for plan in plans:
            if not plan.axes:
                _write_reduction(context, plan)
                continue
            key = plan.key()
            if key not in sorts:
                sorts[key] = _segments(context, plan)
            _write_sums(context, plan, sorts[key])
    return list(block.statements)


def _terms(loop: Loop, scatter: list[Loop], parallel: list[Loop], lets: list[Let]) -> list[_Term]:
    """The updates of a nest, each with all that it needs."""
    if not isinstance(loop.start, Literal) or not constant_trip(loop) or loop.reverse:
        raise _UnsupportedError
    if loop.kind == "scatter" and not parallel:
        scatter = [*scatter, loop]
    elif loop.kind == "parallel":
        parallel = [*parallel, loop]
    else:
        raise _UnsupportedError
    lets = list(lets)
    found: list[_Term] = []
    for statement in loop.body:
        if isinstance(statement, Let):
            lets.append(statement)
        elif isinstance(statement, Loop):
            found += _terms(statement, scatter, parallel, lets)
        elif isinstance(statement, Update):
            found.append(_Term(scatter, parallel, list(lets), statement))
        else:
            raise _UnsupportedError
    return found


def _apart(one: Update, two: Update) -> bool:
    """Whether two updates never meet: their memory differs, or some index always does."""
    if one.buffer.root is not two.buffer.root:
        return True
    return one.buffer is two.buffer and any(
        isinstance(left, Literal) and isinstance(right, Literal) and left != right
        for left, right in zip(one.indices, two.indices, strict=True)
    )


class _Plan:
    """Which of an update's indices are data, and which are those of the parallel loops."""

    def __init__(self, term: _Term) -> None:
        self.term = term
        self.varying = self._dependents(term.scatter)
        self.inner = self._dependents(term.parallel)
        update = term.update
        if update.buffer.is_tape or update.operation not in COMBINERS:
            raise _UnsupportedError
        self.axes: list[int] = []
        for axis, index in enumerate(update.indices):
            used = _names((index,))
            if used & self.varying:
                if used & self.inner:
                    raise _UnsupportedError
                self.axes.append(axis)
        self.extents = [update.buffer.shape[axis] for axis in self.axes]
        self.trips = [constant_trip(loop) or 0 for loop in term.scatter]
        self.count = math.prod(self.trips)

    def _dependents(self, loops: list[Loop]) -> set[str]:
        found = {loop.index for loop in loops}
        for let in self.term.lets:
            if _names((let.value,)) & found:
                found.add(let.name)
        return found

    def needed(self, wanted: set[str]) -> list[Let]:
        """The scalars that those names need."""
        wanted = set(wanted)
        found = []
        for let in reversed(self.term.lets):
            if let.name in wanted:
                wanted |= _names((let.value,))
                found.append(let)
        return found[::-1]

    def place(self) -> tuple[Expression, ...]:
        """The indices that are data."""
        return tuple(self.term.update.indices[axis] for axis in self.axes)

    def key(self) -> object:
        """Equal for updates whose places are sorted alike."""
        loops = tuple(loop.index for loop in self.term.scatter)
        return loops, self.place(), tuple(self.extents)


def _names(parts: tuple[Expression, ...]) -> set[str]:
    return {
        part.name
        for expression in parts
        for part in subexpressions(expression)
        if isinstance(part, Variable)
    }


@dataclass(frozen=True, slots=True)
class _Segments:
    """The places sorted, and for each: the iteration it belongs to, where its segment of equal
    places begins, and where the terms end that are added up from there on, or itself."""

    places: Buffer
    order: Buffer
    first: Buffer
    end: Buffer
    stop: Buffer


def _segments(context: Context, plan: _Plan) -> _Segments:
    """Write the loops that compute places, sort them, and find where equal ones begin and end."""
    count = plan.count
    kind = _fitting(math.prod(plan.extents))
    places, ordered = [context.new_buffer(ArrayType(kind, (count,))) for _ in range(2)]
    numbers = [context.new_buffer(ArrayType(_fitting(count), (count,))) for _ in range(4)]
    found = _Segments(ordered, *numbers)
    with context.loop(count) as number:
        _name_iteration(context, plan, number)
        for let in plan.needed(_names(plan.place())):
            context.add(let)
        flat: Expression = ZERO
        for index, extent in zip(plan.place(), plan.extents, strict=True):
            flat = context.operation("multiply", flat, integer(extent))
            flat = context.operation("add", flat, index)
        _save(context, places, number, flat)

    def key_of(rest: Indices, where: Expression) -> Expression:
        return context.load(places, (*rest, where))

    def finish(at: Indices, key: Expression, position: Expression) -> None:
        context.store(found.places, at, key)
        _save(context, found.order, at[0], position)

    sort_rows(context, kind, (count,), key_of, finish)
    with context.loop(count) as where:
        place = context.load(found.places, (where,))
        first = _counted(context, found.places, count, "less", place)
        stop = _counted(context, found.places, count, "less_equal", place)
        offset = context.operation("subtract", where, first)
        part = context.operation("remainder", offset, integer(LONGEST))
        begins = context.operation("equal", part, ZERO, dtype=BOOL)
        reach = context.operation("add", where, integer(LONGEST))
        end = context.operation("minimum", reach, stop)
        _save(context, found.first, where, first)
        _save(context, found.stop, where, stop)
        _save(context, found.end, where, Operation("select", (begins, end, where), INT64))
    return found


def _write_reduction(context: Context, plan: _Plan) -> None:
    """Write loops for an update whose place is no data: each element a sum of all iterations."""
    update = plan.term.update
    with context.inner_block() as block:
        fixed = plan.needed({name for index in update.indices for name in _names((index,))})
        for let in fixed:
            context.add(let)
        total = context.declare("s", Load(update.buffer, update.indices))
        with context.inner_block() as inner:
            for let in plan.needed(_names((update.value,))):
                if let not in fixed:
                    context.add(let)
            context.reduce(total, update.operation, update.value)
        body: Body = tuple(inner.statements)
        for loop in reversed(plan.term.scatter):
            body = (replace(loop, body=body, kind="reduce"),)
        context.add(body[0])
        context.store(update.buffer, update.indices, context.settled(total))
    body = tuple(block.statements)
    for loop in reversed(plan.term.parallel):
        body = (replace(loop, body=body),)
    for statement in body:
        context.add(statement)


def _fitting(size: int) -> np.dtype:
    """The integers that number so many things, in as few bytes as a device likes."""
    return np.dtype(np.int32) if size <= np.iinfo(np.int32).max else INT64


def _save(context: Context, buffer: Buffer, where: Expression, value: Expression) -> None:
    if value.dtype != buffer.dtype:
        value = Operation("cast", (value,), buffer.dtype)
    context.store(buffer, (where,), context.let(value))


def _read(context: Context, buffer: Buffer, where: Expression) -> Expression:
    value = context.load(buffer, (where,))
    return value if value.dtype == INT64 else context.operation("cast", value, dtype=INT64)


def _counted(
    context: Context, table: Buffer, count: int, comparison: str, value: Expression
) -> Expression:
    """How many of a sorted table are less than a value, or at most as large."""
    steps = count.bit_length()

    def holds(position: Expression) -> Expression:
        where = context.operation("minimum", position, integer(count - 1))
        return context.operation(comparison, context.load(table, (where,)), value, dtype=BOOL)

    return bisect(context, integer(1 << (steps - 1)), integer(steps), integer(count), holds)


def _name_iteration(context: Context, plan: _Plan, number: Expression) -> None:
    """Give the scatter's own indices the values of its iteration with that number."""
    rest = number
    loops = list(zip(plan.term.scatter, plan.trips, strict=True))
    for position, (loop, trip) in reversed(list(enumerate(loops))):
        index = rest
        if position:
            index = Operation("remainder", (rest, integer(trip)), INT64)
            rest = context.operation("floor_divide", rest, integer(trip))
        if isinstance(loop.start, Literal) and loop.start.value != 0:
            index = Operation("add", (index, loop.start), INT64)
        context.add(Let(loop.index, index))


def _write_sums(context: Context, plan: _Plan, found: _Segments) -> None:
    """Write the loops that add up segments, or parts of long ones, and then those parts."""
    partial: Buffer | None = None
    if plan.count > LONGEST:
        columns = tuple(constant_trip(loop) or 0 for loop in plan.term.parallel)
        shape = (-(-plan.count // LONGEST), *columns)
        partial = context.new_buffer(ArrayType(plan.term.update.buffer.dtype, shape))
    sums = _Sums(context, plan, found, partial)
    _each_element(context, plan, sums.sum_part)
    if partial is not None:
        _each_element(context, plan, lambda where: sums.add_parts(where, partial))


@dataclass(frozen=True, slots=True)
class _Sums:
    """What an update adds up; `partial` takes parts of long segments, where there may be any."""

    context: Context
    plan: _Plan
    found: _Segments
    partial: Buffer | None

    def begin(self, where: Expression) -> Indices:
        """Name the element that a segment is added to; its indices."""
        context, plan, found, update = self.context, self.plan, self.found, self.plan.term.update
        place = _read(context, found.places, where)
        indices = list(update.indices)
        for axis, extent in reversed(list(zip(plan.axes, plan.extents, strict=True))):
            indices[axis] = context.operation("remainder", place, integer(extent))
            place = context.operation("floor_divide", place, integer(extent))
        fixed = {name for index in indices for name in _names((index,))}
        for let in plan.needed(fixed):
            context.add(let)
        return tuple(indices)

    def slot(self, where: Expression) -> Indices:
        """Where the sum of a part that begins there lies: parts of one segment, but its first,
        and those of others begin in different stretches of LONGEST."""
        number = self.context.operation("floor_divide", where, integer(LONGEST))
        own = [_from_zero(self.context, loop) for loop in self.plan.term.parallel]
        return (number, *own)

    def sum_part(self, where: Expression) -> None:
        """Write the sum of what is added up from a place on."""
        context, plan, found, partial = self.context, self.plan, self.found, self.partial
        update, dtype = plan.term.update, plan.term.update.buffer.dtype
        end = _read(context, found.end, where)
        with context.inner_block() as block:
            first = _read(context, found.first, where)
            leads = context.operation("equal", first, where, dtype=BOOL)
            indices = self.begin(where)
            old = Load(update.buffer, indices)
            neutral = _neutral(update.operation, dtype)
            total = context.declare(
                "s",
                Operation("select", (leads, old, neutral), dtype) if partial is not None else old,
            )
            name = context.fresh("i")
            with context.inner_block() as inner:
                _name_iteration(context, plan, _read(context, found.order, Variable(name, INT64)))
                known = {let.name for let in block.statements if isinstance(let, Let)}
                for let in plan.needed(_names((update.value,))):
                    if let.name not in known:
                        context.add(let)
                value = Operation(update.operation, (total, update.value), dtype)
                context.add(Assign(total.name, value))
            context.add(Loop(name, where, end, tuple(inner.statements), "serial"))
            result = context.settled(total)
            if partial is None:
                context.store(update.buffer, indices, result)
            else:
                _store_either(
                    context, leads, (update.buffer, indices), (partial, self.slot(where)), result
                )
        context.branch(context.operation("less", where, end, dtype=BOOL), block)

    def add_parts(self, where: Expression, partial: Buffer) -> None:
        """Write the sum of the parts of a long segment that begins at a place."""
        context, found, update = self.context, self.found, self.plan.term.update
        first = _read(context, found.first, where)
        stop = _read(context, found.stop, where)
        leads = context.operation("equal", first, where, dtype=BOOL)
        reach = context.operation("add", where, integer(LONGEST))
        more = context.operation("less", reach, stop, dtype=BOOL)
        with context.inner_block() as block:
            indices = self.begin(where)
            total = context.declare("s", Load(update.buffer, indices))
            missing = context.operation("subtract", stop, where)
            above = context.operation("add", missing, integer(LONGEST - 1))
            parts = context.operation("floor_divide", above, integer(LONGEST))
            others = context.operation("subtract", parts, integer(1))
            with context.loop(others, "serial") as part:
                ahead = context.operation("add", part, integer(1))
                moved = context.operation("multiply", ahead, integer(LONGEST))
                at = self.slot(context.operation("add", where, moved))
                value = Operation(update.operation, (total, Load(partial, at)), total.dtype)
                context.add(Assign(total.name, value))
            context.store(update.buffer, indices, context.settled(total))
        context.branch(context.operation("logical_and", leads, more, dtype=BOOL), block)


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


def _store_either(
    context: Context,
    condition: Expression,
    one: tuple[Buffer, Indices],
    other: tuple[Buffer, Indices],
    value: Expression,
) -> None:
    with context.inner_block() as then:
        context.add(Store(*one, value))
    with context.inner_block() as otherwise:
        context.add(Store(*other, value))
    context.branch(condition, then, otherwise)


def _each_element(context: Context, plan: _Plan, write: Callable[[Expression], None]) -> None:
    """The loops over sorted places, and inside of them the parallel ones of the update."""
    name = context.fresh("i")
    with context.inner_block() as block:
        write(Variable(name, INT64))
    body: Body = tuple(block.statements)
    for loop in reversed(plan.term.parallel):
        body = (replace(loop, body=body),)
    context.add(Loop(name, ZERO, integer(plan.count), body))
