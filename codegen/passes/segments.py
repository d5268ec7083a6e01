"""Places that are data, sorted: where segments of equal ones begin and end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from codegen.loops.nodes import Buffer, Expression, Let, Literal, Operation, View
from codegen.lower.context import BOOL, INT64, ZERO, Context, integer
from codegen.lower.device_sequence import add_sort, bisect
from codegen.passes.scatter_terms import Plan, names_of
from tracer.types import ArrayType


@dataclass(frozen=True, slots=True)
class Segments:
    """The places of `count` iterations, sorted, and the iteration that each belongs to."""

    places: Buffer
    order: Buffer
    count: int


def write_segments(context: Context, plan: Plan) -> Segments:
    """Write the loops that compute places and sort them."""
    count = plan.count
    kind = fitting(math.prod(plan.extents))
    places, ordered = [context.new_buffer(ArrayType(kind, (count,))) for _ in range(2)]
    found = Segments(ordered, context.new_buffer(ArrayType(fitting(count), (count,))), count)
    with context.loop(count) as number:
        name_iteration(context, plan, number)
        for let in plan.needed(names_of(plan.place())):
            context.add(let)
        flat: Expression = ZERO
        for index, extent in zip(plan.place(), plan.extents, strict=True):
            flat = context.operation("multiply", flat, integer(extent))
            flat = context.operation("add", flat, index)
        save(context, places, number, flat)

    bits = max(1, (math.prod(plan.extents) - 1).bit_length())
    add_sort(context, View(places), View(found.places), View(found.order), bits)
    return found


def inside(context: Context, found: Segments, where: Expression) -> Expression:
    """A place of one of the terms: the last where there is none."""
    return context.operation("minimum", where, integer(found.count - 1))


def begins_at(context: Context, found: Segments, where: Expression) -> Expression:
    """Whether a segment begins at a place."""
    before = context.operation("subtract", where, integer(1))
    left = context.load(found.places, (context.operation("maximum", before, ZERO),))
    own = context.load(found.places, (where,))
    differs = context.operation("not_equal", left, own, dtype=BOOL)
    first = context.operation("equal", where, ZERO, dtype=BOOL)
    return context.operation("logical_or", first, differs, dtype=BOOL)


def end_of(context: Context, found: Segments, where: Expression, longest: int) -> Expression:
    """Where the terms end that are added up from a place on: of its segment, at most `longest`."""
    place = context.load(found.places, (where,))
    most = min(longest, found.count)
    missing = context.operation("subtract", integer(found.count), where)
    extent = context.operation("minimum", missing, integer(most))

    def belongs(position: Expression) -> Expression:
        at = inside(context, found, context.operation("add", where, position))
        return context.operation("equal", context.load(found.places, (at,)), place, dtype=BOOL)

    steps = most.bit_length()
    length = bisect(context, integer(1 << (steps - 1)), integer(steps), extent, belongs)
    return context.operation("add", where, length)


def count_places(
    context: Context, found: Segments, comparison: str, value: Expression
) -> Expression:
    """How many of the places are less than a value, or at most as large: as `comparison` says."""
    steps = found.count.bit_length()

    def holds(position: Expression) -> Expression:
        probe = read(context, found.places, inside(context, found, position))
        return context.operation(comparison, probe, value, dtype=BOOL)

    first = integer(1 << (steps - 1))
    return bisect(context, first, integer(steps), integer(found.count), holds)


def fitting(size: int) -> np.dtype:
    """The integers that number so many things, in as few bytes as a device likes."""
    return np.dtype(np.int32) if size <= np.iinfo(np.int32).max else INT64


def save(context: Context, buffer: Buffer, where: Expression, value: Expression) -> None:
    """Write an integer in as many bytes as the memory has for it."""
    if value.dtype != buffer.dtype:
        value = Operation("cast", (value,), buffer.dtype)
    context.store(buffer, (where,), context.let(value))


def read(context: Context, buffer: Buffer, where: Expression) -> Expression:
    """An integer from memory, as int64."""
    value = context.load(buffer, (where,))
    return value if value.dtype == INT64 else context.operation("cast", value, dtype=INT64)


def name_iteration(context: Context, plan: Plan, number: Expression) -> None:
    """Give the indices of the loops that meet the values of their iteration with that number."""
    rest = number
    loops = list(zip(plan.meeting, plan.trips, strict=True))
    for position, (loop, trip) in reversed(list(enumerate(loops))):
        index = rest
        if position:
            index = Operation("remainder", (rest, integer(trip)), INT64)
            rest = context.operation("floor_divide", rest, integer(trip))
        if isinstance(loop.start, Literal) and loop.start.value != 0:
            index = Operation("add", (index, loop.start), INT64)
        context.add(Let(loop.index, index))
