"""Sorts of which only some places are read: the greatest few, the least few, a median of a row.

What reads a sorted row at places that the program tells is found, the sort is asked for those
places alone, and the reads are of what it then leaves. A copy of the rows in another order of their
axes, as sorts along another axis than the last make one, is looked through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from codegen.loops.build import integer, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Statement,
    Store,
    Variable,
)
from codegen.loops.walk import (
    blocks,
    buffers_read,
    buffers_written,
    own_expressions,
    statements,
    subexpressions,
    views,
)
from codegen.lower.context import RANGE_RULES
from codegen.passes.chunks import plus
from codegen.passes.rewrite import Body, map_blocks, map_own
from tracer.types import INT64, is_half, kind_of

Part = tuple[int, int]
Fits = Callable[[tuple[Part, ...]], bool]
MOST_PARTS = 8
"""Parts of a row that a kernel leaves, at most: those nearest to each other become one."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a nest copies, and which axis of the source is which of the target."""

    target: Buffer
    source: Buffer
    axes: tuple[int, ...]

    @property
    def straight(self) -> bool:
        """Whether both lie alike."""
        return self.axes == tuple(range(len(self.axes)))


def copied(statement: Statement) -> Copied | None:
    """What a nest copies all of, if it does nothing else."""
    nest: list[Loop] = []
    body: Body = (statement,)
    while len(body) == 1 and isinstance(body[0], Loop):
        nest.append(body[0])
        body = body[0].body
    values: dict[str, Expression] = {}
    for part in body[:-1]:
        if not isinstance(part, Let):
            return None
        values[part.name] = part.value
    last = body[-1] if body else None
    if not nest or not isinstance(last, Store):
        return None
    value = _loaded(last.value, values)
    if value is None or value.dtype != last.buffer.dtype:
        return None
    whole = {loop.index: constant_trip(loop) for loop in nest if loop.start == integer(0)}
    names = [index.name if isinstance(index, Variable) else "" for index in last.indices]
    read = [index.name if isinstance(index, Variable) else "" for index in value.indices]
    if len(nest) != len(names) or set(whole) != set(names) or set(read) != set(names):
        return None
    extents = tuple([whole[name] for name in names])
    if len(read) != len(names) or extents != last.buffer.shape or last.buffer.base is not None:
        return None
    axes = tuple([names.index(name) for name in read])
    if tuple([last.buffer.shape[axis] for axis in axes]) != value.buffer.shape:
        return None
    return Copied(last.buffer, value.buffer, axes)


def _loaded(value: Expression, values: Mapping[str, Expression]) -> Load | None:
    """The element of memory that a value is, perhaps a short float that was long meanwhile."""
    dtype = value.dtype
    while not isinstance(value, Load):
        if isinstance(value, Variable) and value.name in values:
            value = values[value.name]
        elif isinstance(value, Operation) and value.name == "cast" and is_half(dtype):
            value = value.operands[0]
            if value.dtype != dtype and (is_half(value.dtype) or kind_of(value.dtype) != "f"):
                return None
        else:
            return None
    return value if value.dtype == dtype else None


@dataclass(slots=True)
class Reads:
    """At which places of its last axis memory is read, as far as the program tells."""

    held: Buffer
    axis: int
    found: set[Part] = field(default_factory=set)
    known: bool = True

    def look(self, body: Body, ranges: Mapping[str, Part], lets: dict[str, Expression]) -> None:
        """Go through a block."""
        for statement in body:
            for expression in own_expressions(statement):
                for part in subexpressions(expression):
                    if isinstance(part, Load) and part.buffer.root is self.held:
                        self.read(part, ranges, lets)
            if any(view.buffer.root is self.held for view in views(statement)):
                self.known = False
            if isinstance(statement, Let) and statement.value.dtype == INT64:
                lets[statement.name] = statement.value
            inner = inside(statement, ranges, lets)
            for block in blocks(statement):
                self.look(block, inner, lets)

    def read(self, load: Load, ranges: Mapping[str, Part], lets: Mapping[str, Expression]) -> None:
        """An access."""
        if load.buffer is not self.held:
            self.known = False
            return
        index = load.indices[self.axis]
        table = table_of(index, lets)
        if table is not None:
            assert table.buffer.value is not None, "tables are constants"
            self.found |= {(int(value), int(value) + 1) for value in np.unique(table.buffer.value)}
            return
        bounds = bounds_of(index, ranges, lets)
        if bounds is None or bounds[1] < bounds[0]:
            self.known = False
            return
        self.found.add((bounds[0], bounds[1] + 1))

    def parts(self) -> tuple[Part, ...] | None:
        """The parts that are read, in order; None where that is not known."""
        if not self.known or not self.found:
            return None
        merged: list[Part] = []
        for first, last in sorted(self.found):
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        while len(merged) > MOST_PARTS:
            gaps = [two[0] - one[1] for one, two in pairwise(merged)]
            place = gaps.index(min(gaps))
            merged[place : place + 2] = [(merged[place][0], merged[place + 1][1])]
        return tuple(merged)


def inside(
    statement: Statement, ranges: Mapping[str, Part], lets: Mapping[str, Expression]
) -> Mapping[str, Part]:
    """The least and the greatest values of loop indices in a statement's blocks."""
    if not isinstance(statement, Loop):
        return ranges
    low, high = (bounds_of(part, ranges, lets) for part in (statement.start, statement.stop))
    if low is None or high is None:
        return {name: known for name, known in ranges.items() if name != statement.index}
    return {**ranges, statement.index: (low[0], high[1] - 1)}


def table_of(index: Expression, lets: Mapping[str, Expression]) -> Load | None:
    """The read of a known table that an index is."""
    while isinstance(index, Variable) and index.name in lets:
        index = lets[index.name]
    is_table = isinstance(index, Load) and index.buffer.value is not None and index.buffer.size
    return index if is_table else None  # type: ignore[return-value]


def bounds_of(
    expression: Expression, ranges: Mapping[str, Part], lets: Mapping[str, Expression]
) -> Part | None:
    """The least and the greatest value of an integer."""
    match expression:
        case Literal(value):
            return int(value.real), int(value.real)
        case Variable(name):
            if name in ranges:
                return ranges[name]
            return bounds_of(lets[name], ranges, lets) if name in lets else None
        case Operation(name, operands) if name in RANGE_RULES:
            known = [bounds_of(part, ranges, lets) for part in operands]
            return None if None in known else RANGE_RULES[name](*known)
    return None


def narrowed(
    body: Body, place: int, outputs: frozenset[Buffer], used: Mapping[Buffer, int], fits: Fits
) -> tuple[Body, dict[Buffer, Buffer | None], list[Buffer]] | None:
    """The block whose statement `place` is a sort, with the sort asked for what is read only.

    With it what became of memory, which now has another shape or is not needed, and new tables.
    None where more is read than `fits` allows, or where the program does not tell. `used` says how
    often memory is accessed in all of the program.
    """
    call = body[place]
    assert isinstance(call, Call), "the statement is a sort"
    length = call.operands[0].shape[-1]
    sides = _sides(body, place, call, outputs, used)
    if sides is None:
        return None
    found = Reads(call.results[0].buffer, 0)
    for held, _, axis in sides:
        reads = Reads(held, axis)
        reads.look(body[place + 1 :], {}, {})
        found.known = found.known and reads.known
        found.found |= reads.found
    parts = found.parts()
    if parts is None or parts[0][0] < 0 or parts[-1][1] > length or not fits(parts):
        return None
    return _Narrowing(length, parts).block(body, place, call, sides)


Side = tuple[Buffer, int | None, int]
"""Memory that is read, the place of the nest that has copied it from a result, and the axis that is
sorted."""


def _sides(
    body: Body, place: int, call: Call, outputs: frozenset[Buffer], used: Mapping[Buffer, int]
) -> list[Side] | None:
    """The results, or the only copies of them."""
    sides: list[Side] = []
    for view in call.results:
        held = view.buffer
        if view.indices or held.base is not None or held in outputs or held.role != "workspace":
            return None
        if accesses(body[place:], held) != used[held]:
            return None
        axis = len(held.shape) - 1
        side: Side = (held, None, axis)
        for later, statement in enumerate(body[place + 1 :], place + 1):
            copy = copied(statement)
            if copy is None or copy.source is not held or accesses((statement,), held) != 1:
                continue
            target = copy.target
            if (
                used[held] == 2
                and target not in outputs
                and target.role == "workspace"
                and accesses(body[later:], target) == used[target]
                and _writes(body, target) == 1
            ):
                side = (target, later, copy.axes[axis])
        sides.append(side)
    return sides


def accesses(body: Body, buffer: Buffer) -> int:
    """How often a block reads or writes some memory."""
    return sum(1 for found in all_accesses(body) if found is buffer)


def all_accesses(body: Body) -> Iterator[Buffer]:
    """The memory of each access of a block."""
    for statement in statements(body):
        for buffer in (*buffers_read(statement), *buffers_written(statement)):
            yield buffer.root


def _writes(body: Body, buffer: Buffer) -> int:
    return sum(
        1
        for statement in statements(body)
        for found in buffers_written(statement)
        if found.root is buffer
    )


class _Narrowing:
    """Reads of what a sort has left of rows of `length`."""

    def __init__(self, length: int, parts: tuple[Part, ...]) -> None:
        self.length, self.parts = length, parts
        self.kept = sum(last - first for first, last in parts)
        self.tables: dict[Buffer, Buffer] = {}
        self.memory: dict[Buffer, Buffer | None] = {}

    def block(
        self, body: Body, place: int, call: Call, sides: list[Side]
    ) -> tuple[Body, dict[Buffer, Buffer | None], list[Buffer]]:
        """The block with them."""
        result: list[Statement | None] = list(body)
        results = []
        for view, (held, copy, axis) in zip(call.results, sides, strict=True):
            before = view.buffer
            made = replace(before, shape=(*before.shape[:-1], self.kept))
            self.memory[before] = made
            results.append(replace(view, buffer=made))
            axes = tuple(range(len(made.shape)))
            if copy is not None:
                found = copied(body[copy])
                assert found is not None, "it was found before"
                axes = found.axes
                result[copy] = None
                self.memory[held] = None
            reads = _Moved(self, held, made, axes, axis)
            lets: dict[str, Expression] = {}
            for later in range(place + 1, len(body)):
                statement = result[later]
                if statement is not None:
                    (result[later],) = reads.changed((statement,), {}, lets)
        params = {**call.params, "parts": self.parts}
        result[place] = replace(call, results=tuple(results), params=params)
        kept = tuple([part for part in result if part is not None])
        return kept, self.memory, list(self.tables.values())

    def place(
        self, index: Expression, ranges: Mapping[str, Part], lets: Mapping[str, Expression]
    ) -> Expression:
        """Where a place of the sorted row is now."""
        table = table_of(index, lets)
        if table is not None:
            return Load(self.table(table.buffer), table.indices)
        bounds, before = bounds_of(index, ranges, lets), 0
        assert bounds is not None, "all places are known"
        for first, last in self.parts:
            if first <= bounds[0] and bounds[1] < last:
                return plus(index, integer(before - first))
            before += last - first
        result: Expression | None = None
        before = self.kept
        for first, last in reversed(self.parts):
            before -= last - first
            moved = plus(index, integer(before - first))
            if result is None:
                result = moved
            else:
                is_there = operation("less", index, integer(last))
                result = Operation("select", (is_there, moved, result), INT64)
        assert result is not None, "there are parts"
        return result

    def table(self, buffer: Buffer) -> Buffer:
        """A table of places with the places where they are now."""
        if buffer not in self.tables:
            every = np.concatenate([np.arange(*part) for part in self.parts])
            assert buffer.value is not None, "tables are constants"
            value = np.searchsorted(every, buffer.value).astype(np.int64)
            name = f"{buffer.name}_{len(self.parts)}_{self.kept}"
            self.tables[buffer] = replace(buffer, name=name, value=value)
        return self.tables[buffer]


@dataclass(frozen=True, slots=True)
class _Moved:
    """Reads of `held`, sorted along `axis`, as reads of `made`, whose axes are `axes` of it."""

    narrowing: _Narrowing
    held: Buffer
    made: Buffer
    axes: tuple[int, ...]
    axis: int

    def changed(self, body: Body, ranges: Mapping[str, Part], lets: dict[str, Expression]) -> Body:
        """A block with them."""

        def change(expression: Expression) -> Expression:
            if isinstance(expression, Operation):
                operands = tuple([change(part) for part in expression.operands])
                return Operation(expression.name, operands, expression.dtype)
            if not isinstance(expression, Load):
                return expression
            if expression.buffer is not self.held:
                return Load(expression.buffer, tuple([change(i) for i in expression.indices]))
            where = self.narrowing.place(expression.indices[self.axis], ranges, lets)
            indices = [
                where if axis == self.axis else expression.indices[axis] for axis in self.axes
            ]
            return Load(self.made, tuple([change(index) for index in indices]))

        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Let) and statement.value.dtype == INT64:
                lets[statement.name] = statement.value
            inner = inside(statement, ranges, lets)
            found = map_own(statement, change)
            result.append(map_blocks(found, lambda b, r=inner: self.changed(b, r, lets)))  # type: ignore[misc]
        return tuple(result)
