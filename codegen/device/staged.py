"""Short rows, of which each thread has one: a block brings its rows near and takes them back.

Where thread after thread has a row of a few elements, as of points, pairs or pixels, neighbours
access memory a row apart, each in a sector of its own. A block's rows lie side by side, though: its
threads copy them together into shared memory, element by element, run their rows there, and copy
what they have written back. Rows in shared memory are an odd number of elements apart, so that
neighbours meet different banks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from codegen.device.forms import nest_of
from codegen.device.items import KernelItem
from codegen.device.machine import DeviceMachine
from codegen.device.straight import Body, all_statements
from codegen.device.work import has_failures
from codegen.loops.build import integer, loop, operation
from codegen.loops.linear import constant_trip, strides
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import own_expressions, subexpressions
from codegen.passes.chunks import map_accesses, plus, times
from tracer.types import INT64

LONGEST = 64
"""Elements of a row, at most."""
ENOUGH = 0.6
"""How much of a row a thread has to read, at least."""
SHARE = 3 / 4
"""How much of a block's shared memory rows may take."""

Indices = tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Staged:
    """A kernel whose blocks bring rows near, of `threads` rows each; `owners` is the memory that a
    block has for that, by the loop each of whose iterations has its own."""

    item: KernelItem
    threads: int
    owners: dict[Buffer, Loop]


@dataclass(slots=True)
class Rows:
    """A buffer that is accessed row by row: where the row's index stands among its indices, what
    stands before, how many elements a row has, which of them are read and written in each, and
    whether it is read before that, or written."""

    buffer: Buffer
    place: int
    before: Indices
    length: int
    read: set[int] = field(default_factory=set)
    written: set[int] = field(default_factory=set)
    is_read: bool = False
    is_written: bool = False
    stores: list[tuple[Indices, frozenset[str]]] = field(default_factory=list)

    @property
    def apart(self) -> int:
        """Elements from one row to the next in shared memory."""
        return self.length | 1

    def has(self, indices: Indices, loops: Iterable[str]) -> bool:
        """Whether what is read there, inside of loops, has been written before."""
        around = set(loops)
        return len(self.written) == self.length and all(
            indices == stored or around.isdisjoint(inside) for stored, inside in self.stores
        )

    def is_worthwhile(self) -> bool:
        """Whether whole rows are to be moved."""
        whole = not self.is_written or len(self.written) == self.length
        return whole and (self.is_written or len(self.read) >= ENOUGH * self.length)


def staged_rows(item: KernelItem, machine: DeviceMachine) -> Staged | None:
    """The kernel with rows staged; None where it has none."""
    (outer,) = item.body
    assert isinstance(outer, Loop), "a grid walks through a loop"
    grid, body = nest_of(outer)
    rows = grid[-1]
    trip = constant_trip(rows) or 0
    from_zero = isinstance(rows.start, Literal) and rows.start.value == 0
    if not from_zero or trip < 2 * machine.threads or has_failures(body):
        return None
    if any(part.kind != "parallel" for part in grid):
        return None
    if any(isinstance(part, Call) for part in all_statements(body)):
        return None
    found = [part for part in find_rows(body, grid).values() if part.is_worthwhile()]
    size = sum(part.apart * part.buffer.dtype.itemsize for part in found)
    for threads in (machine.threads, machine.threads // 2):
        if found and size * threads <= machine.shared * SHARE:
            return _written(grid, body, trip, found, threads)
    return None


# Which rows there are


def find_rows(body: Body, grid: Sequence[Loop], shortest: int = 2) -> dict[Buffer, Rows]:
    """The memory that is accessed row by row only; the last loop of a nest goes through rows."""
    outer = {part.index for part in grid[:-1]}
    found: dict[Buffer, Rows] = {}
    others: set[Buffer] = set()
    for buffer, indices, written, certain, ranges in _accesses(body, True, {}):
        rows = _rows(buffer, indices, grid[-1].index, outer, shortest)
        known = found.setdefault(buffer.root, rows) if rows is not None else None
        if (
            rows is None
            or known is None
            or (known.place, known.before) != (rows.place, rows.before)
        ):
            others.add(buffer.root)
            continue
        elements = _elements(buffer, indices[rows.place + 1 :], ranges)
        known.is_written |= written
        known.is_read |= not written and not known.has(indices, ranges)
        if certain and elements is not None:
            (known.written if written else known.read).update(elements)
            if written:
                known.stores.append((indices, frozenset(ranges)))
    return {buffer: rows for buffer, rows in found.items() if buffer not in others}


def _rows(
    buffer: Buffer, indices: Indices, index: str, outer: set[str], shortest: int
) -> Rows | None:
    places = [
        place
        for place, part in enumerate(indices)
        if isinstance(part, Variable) and part.name == index
    ]
    if len(places) != 1 or buffer.root is not buffer or buffer.is_tape:
        return None
    (place,) = places
    before = indices[:place]
    if not all(
        isinstance(part, Literal) or (isinstance(part, Variable) and part.name in outer)
        for part in before
    ):
        return None
    length = math.prod(buffer.shape[place + 1 :])
    return Rows(buffer, place, before, length) if shortest <= length <= LONGEST else None


def _elements(buffer: Buffer, indices: Indices, ranges: dict[str, range]) -> set[int] | None:
    """Which elements of a row an access is at, in all iterations of loops around it; None where
    that is data."""
    options: list[range] = []
    used: dict[str, int] = {}
    for part in indices:
        if isinstance(part, Literal):
            value = int(part.value.real)
            options.append(range(value, value + 1))
        elif isinstance(part, Variable) and part.name in ranges and part.name not in used:
            used[part.name] = 1
            options.append(ranges[part.name])
        else:
            return None
    steps = strides(buffer)[len(buffer.shape) - len(indices) :]
    return {
        sum(value * step for value, step in zip(place, steps, strict=True))
        for place in itertools.product(*options)
    }


def _accesses(
    body: Body, certain: bool, ranges: dict[str, range]
) -> Iterator[tuple[Buffer, Indices, bool, bool, dict[str, range]]]:
    """Each access: whether it writes, whether it is made in each iteration, the loops around it."""
    for statement in body:
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                if isinstance(part, Load):
                    yield part.buffer, part.indices, False, certain, ranges
        match statement:
            case Store(buffer, indices, _):
                yield buffer, indices, True, certain, ranges
            case Update(buffer, indices, _, _):
                yield buffer, indices, False, certain, ranges
                yield buffer, indices, True, False, ranges
            case Loop(index, start, stop, inner):
                known = dict(ranges)
                if isinstance(start, Literal) and isinstance(stop, Literal):
                    known[index] = range(int(start.value.real), int(stop.value.real))
                yield from _accesses(inner, certain, known)
            case If(_, then, otherwise):
                yield from _accesses(then, False, ranges)
                yield from _accesses(otherwise, False, ranges)
            case While(test, _, inner):
                yield from _accesses((*test, *inner), False, ranges)


# The kernel with staged rows


def _written(
    grid: Sequence[Loop], body: Body, trip: int, found: list[Rows], threads: int
) -> Staged:
    rows = grid[-1]
    tile, first = (Variable(f"{name}_{rows.index}", INT64) for name in ("tile", "first"))
    near = {
        part.buffer: Buffer(
            f"near_{part.buffer.name}", part.buffer.dtype, (threads, part.apart), "workspace"
        )
        for part in found
    }
    begin: list[Statement] = []
    end: list[Statement] = []
    for part in found:
        if part.is_read:
            begin.append(copy_rows(part, near[part.buffer], first, trip, threads, prefix="in"))
        if part.is_written:
            end.append(copy_rows(part, near[part.buffer], first, trip, threads, prefix="out"))
    # Where the compiler knew that a row is there, it would read what rows have in common before.
    guarded = If(operation("less", Variable(rows.index, INT64), integer(trip)), body)
    inside = moved_near((guarded,), found, near, first)
    stop = plus(first, integer(threads))
    inner = replace(rows, start=first, stop=stop, body=inside, most=threads)
    begins = Let(first.name, times(tile, threads))
    made = loop(tile.name, -(-trip // threads), begins, *begin, inner, *end)
    outermost = made
    for around in reversed(grid[:-1]):
        outermost = replace(around, body=(outermost,))
    owners = dict.fromkeys(near.values(), made)
    return Staged(KernelItem([outermost], grid=True), threads, owners)


def moved_near(
    body: Body, found: Iterable[Rows], near: Mapping[Buffer, Buffer], first: Expression
) -> Body:
    """Statements that access rows where they lie near, from the `first` on."""
    known = {part.buffer: part for part in found}

    def place(buffer: Buffer, indices: Indices) -> tuple[Buffer, Indices]:
        part = known.get(buffer)
        if part is None:
            return buffer, indices
        element = _flat(buffer, indices[part.place + 1 :])
        if len(near[buffer].shape) == 1:  # of one row
            return near[buffer], (element,)
        row = operation("subtract", indices[part.place], first)
        return near[buffer], (row, element)

    return map_accesses(body, place)


def _flat(buffer: Buffer, indices: Indices) -> Expression:
    """The number of an element in its row."""
    steps = strides(buffer)[len(buffer.shape) - len(indices) :]
    result: Expression = integer(0)
    for index, step in zip(indices, steps, strict=True):
        scaled = times(index, step)
        if isinstance(index, Literal):
            scaled = integer(int(index.value.real) * step)
        result = plus(result, scaled)
    return result


def copy_rows(
    rows: Rows, near: Buffer, first: Expression, trip: int, threads: int, *, prefix: str
) -> Statement:
    """The loop in which a block's threads copy its rows, inwards with the prefix "in" of its
    indices' names; beyond the end the last is read again."""
    buffer, inwards = rows.buffer, prefix.startswith("in")
    names = [f"{prefix}{place}_{buffer.name}" for place in range(len(buffer.shape) - rows.place)]
    line, *inside = [Variable(name, INT64) for name in names]
    row: Expression = plus(first, line)
    whole = trip % threads == 0
    if inwards and not whole:
        row = operation("minimum", row, integer(trip - 1))
    far = (*rows.before, row, *inside)
    here = (line, _flat(buffer, tuple(inside)))
    statement: Statement
    if inwards:
        statement = Store(near, here, Load(buffer, far))
    else:
        statement = Store(buffer, far, Load(near, here))
        if not whole:
            statement = If(operation("less", row, integer(trip)), (statement,))
    for name, extent in zip(names[:0:-1], buffer.shape[: rows.place : -1], strict=True):
        statement = loop(name, extent, statement)
    return loop(names[0], threads, statement)
