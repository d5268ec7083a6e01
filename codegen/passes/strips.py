"""Elementary functions of a row's sum, for many rows at a time.

Fusion joins a product with a matrix, a function of each of its elements and what is done with the
rows afterwards into one loop over rows, so that a row is read once. Nothing in such a loop can be
in lanes but its inner loops: the functions in between run one at a time, and take longer than the
row. Here the loop becomes one over strips of `STRIP` rows, and in it three loops over the rows of
a strip: what comes before the functions, the functions, what comes after. The rows of a strip are
still in the cache when they are read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from codegen.loops.nodes import (
    Buffer,
    Declare,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.operations import EXPONENTIAL, SPECIAL, TRIGONOMETRIC
from codegen.loops.walk import own_expressions, statements, subexpressions
from codegen.passes.effects import Effects, effects
from codegen.passes.rewrite import Body, map_blocks, rename, substitute
from tracer.types import INT64, kind_of

STRIP = 32
"""A power of two."""
FEWEST_ROWS = 16
FEWEST_TRIPS, MOST_TRIPS = 8, 2048
"""Iterations of the inner loops: below, rows in lanes are better as they are; above, the rows of a
strip do not stay in the cache."""
FUNCTIONS = frozenset(
    (*f"{EXPONENTIAL} {TRIGONOMETRIC} arctan2 hypot logaddexp logaddexp2 cbrt".split(), *SPECIAL)
)
PLAIN = (Let, Declare, Reduce, Store, Update, Loop)

Parts = tuple[Body, Body, Body]
"""Of a row: before the functions, the functions, after them."""


def strips(program: Program) -> Program:
    """The program with such loops in strips."""
    writer = _Writer()
    body = writer.block(program.body)
    if not writer.made:
        return program
    return replace(program, body=body, workspace=(*program.workspace, *writer.made))


class _Writer:
    def __init__(self) -> None:
        self.made: list[Buffer] = []
        self.names = 8 * 10**6

    def block(self, body: Body) -> Body:
        return tuple([part for statement in body for part in self.statement(statement)])

    def statement(self, statement: Statement) -> Sequence[Statement]:
        if isinstance(statement, Loop) and statement.kind == "serial":
            parts = _divided(statement)
            if parts is not None:
                return (self.in_strips(statement, parts),)
        return (map_blocks(statement, self.block),)

    def name(self, letter: str) -> str:
        """A name for a scalar."""
        self.names += 1
        return f"{letter}{self.names}"

    def in_strips(self, loop: Loop, parts: Parts) -> Statement:
        """The loop over strips, whose number is computed when it runs: machine code then serves
        other numbers of rows."""
        strip, count, left = self.name("i"), self.name("v"), self.name("v")
        first = _of("multiply", Variable(strip, INT64), Literal(STRIP, INT64))
        body: list[Statement] = [
            Let(left, _of("subtract", loop.stop, first)),
            Let(count, _of("minimum", Variable(left, INT64), Literal(STRIP, INT64))),
        ]
        kept: dict[str, Buffer] = {}
        recomputed: dict[str, Let] = {}
        unchanged = _not_written(loop)
        for number, part in enumerate(parts):
            later = set(_names(parts[number + 1 :]))
            place = Variable(self.name("i"), INT64)
            here: list[Statement] = []
            names: dict[str, Expression] = {loop.index: _of("add", first, place)}
            for name in dict.fromkeys(_names_in(part)):
                self.bring(name, place, kept, recomputed, names, here)
            inner = list(part)
            for statement in part:
                if not isinstance(statement, Let) or statement.name not in later:
                    continue
                if _again(statement.value, loop.index, recomputed, unchanged):
                    recomputed[statement.name] = statement
                    continue
                buffer = Buffer(self.name("w"), statement.value.dtype, (STRIP,), "workspace")
                self.made.append(buffer)
                kept[statement.name] = buffer
                inner.append(Store(buffer, (place,), Variable(statement.name, buffer.dtype)))
            here.extend(rename(tuple(inner), names))
            kind = _kind(part) if number == 1 else loop.kind
            body.append(Loop(place.name, loop.start, Variable(count, INT64), tuple(here), kind))
        number_of = _of("add", loop.stop, Literal(STRIP - 1, INT64))
        shifted = _of("right_shift", number_of, Literal(STRIP.bit_length() - 1, INT64))
        return Loop(strip, loop.start, shifted, tuple(body), loop.kind)

    def bring(
        self,
        name: str,
        place: Variable,
        kept: dict[str, Buffer],
        recomputed: dict[str, Let],
        names: dict[str, Expression],
        here: list[Statement],
    ) -> None:
        """Define what an earlier part of the row defined, under a name of its own."""
        if name in names:
            return
        if name in kept:
            buffer = kept[name]
            value: Expression = Load(buffer, (place,))
        elif name in recomputed:
            value = recomputed[name].value
            for part in subexpressions(value):
                if isinstance(part, Variable):
                    self.bring(part.name, place, kept, recomputed, names, here)
        else:
            return
        fresh = self.name("v")
        here.append(Let(fresh, substitute(value, names)))
        names[name] = Variable(fresh, value.dtype)


def _of(name: str, one: Expression, two: Expression) -> Operation:
    return Operation(name, (one, two), INT64)


def _divided(loop: Loop) -> Parts | None:
    """The parts of a loop that is to be in strips; None for all others."""
    body = loop.body
    heavy = [place for place, part in enumerate(body) if _is_heavy(part)]
    if not heavy or not _is_long(loop) or loop.reverse:
        return None
    inner = [place for place, part in enumerate(body) if isinstance(part, Loop)]
    if not inner or not all(isinstance(part, PLAIN) for part in statements(body)):
        return None
    trips = sum(_inner_trips(part) for part in body if isinstance(part, Loop))
    if not FEWEST_TRIPS <= trips <= MOST_TRIPS:
        return None
    begin = max([place + 1 for place in inner if place < heavy[0]], default=0)
    mutable = {part.name for part in body if isinstance(part, Declare)}
    while begin < heavy[0] and not mutable.isdisjoint(_names_in((body[begin],))):
        begin += 1
    end = min(
        [p for p, part in enumerate(body) if p > heavy[-1] and isinstance(part, (Loop, Declare))],
        default=len(body),
    )
    parts = body[:begin], body[begin:end], body[end:]
    if not all(isinstance(part, (Let, Reduce, Store)) for part in parts[1]):
        return None
    return parts if _independent(loop, parts) else None


def _is_heavy(statement: Statement) -> bool:
    return isinstance(statement, (Let, Store, Reduce)) and any(
        isinstance(part, Operation) and part.name in FUNCTIONS and kind_of(part.dtype) == "f"
        for expression in own_expressions(statement)
        for part in subexpressions(expression)
    )


def _is_long(loop: Loop) -> bool:
    start, stop = loop.start, loop.stop
    if not isinstance(start, Literal) or start.value != 0 or not isinstance(stop, Literal):
        return False
    return int(stop.value.real) >= FEWEST_ROWS


def _inner_trips(loop: Loop) -> int:
    """How many iterations the loops of a row have, inner loops multiplied."""
    if not isinstance(loop.start, Literal) or not isinstance(loop.stop, Literal):
        return MOST_TRIPS + 1
    trips = int(loop.stop.value.real) - int(loop.start.value.real)
    inside = sum(_inner_trips(part) for part in loop.body if isinstance(part, Loop))
    return trips * max(1, inside)


def _independent(loop: Loop, parts: Sequence[Body]) -> bool:
    """Whether a part of the row reads and writes nothing that another part does in other rows."""
    facts = []
    for part in parts:
        total = Effects()
        for statement in part:
            total.include(effects(statement))
        facts.append(total)
    declared = [_defined(part, Declare) for part in parts]
    lets = set().union(*(_defined(part, Let) for part in parts))
    for number, one in enumerate(facts):
        changed = {name for name in one.writes if isinstance(name, str)} - lets
        for other_number, two in enumerate(facts):
            if number == other_number:
                continue
            if not changed.isdisjoint(two.reads | two.writes):
                return False
            if not declared[number].isdisjoint(two.reads):
                return False
            for base in one.accesses.keys() & two.accesses.keys():
                if base in one.writes and not _same_row(loop, one, two, base):
                    return False
    middle = parts[1]
    reduced = _defined(middle, Reduce)
    stored = {part.buffer.root for part in middle if isinstance(part, Store)}
    whole = Effects()
    for fact in facts:
        whole.include(fact)
    return reduced.isdisjoint(_names_in(middle)) and all(
        _same_row(loop, whole, whole, base) for base in stored
    )


def _same_row(loop: Loop, one: Effects, two: Effects, base: Buffer) -> bool:
    """Whether all accesses of a buffer lie at the row's place along some axis."""
    buffer, before = one.accesses[base]
    other, after = two.accesses[base]
    if buffer is None or buffer is not other:
        return False
    return any(a == b == loop.index for a, b in zip(before, after, strict=True))


def _defined(body: Body, kind: Any) -> set[str]:
    return {part.name for part in body if isinstance(part, kind)}


def _names_in(body: Iterable[Statement]) -> list[str]:
    """The scalars that statements read, blocks inside included."""
    return [
        part.name
        for statement in statements(tuple(body))
        for expression in own_expressions(statement)
        for part in subexpressions(expression)
        if isinstance(part, Variable)
    ]


def _names(parts: Iterable[Body]) -> list[str]:
    return [name for part in parts for name in _names_in(part)]


def _not_written(loop: Loop) -> set[Buffer]:
    """The memory that is read in a loop, and not written."""
    total = Effects()
    for statement in loop.body:
        total.include(effects(statement))
    return {base for base in total.accesses if base not in total.writes}


def _again(
    value: Expression, index: str, recomputed: dict[str, Let], unchanged: set[Buffer]
) -> bool:
    """Whether a value is as well computed again: a load, or arithmetic of integers on the index."""
    if isinstance(value, Load):
        return value.buffer.root in unchanged and all(
            _again(part, index, recomputed, unchanged) for part in value.indices
        )
    if isinstance(value, Operation):
        return value.dtype == INT64 and all(
            not isinstance(part, Load) and _again(part, index, recomputed, unchanged)
            for part in value.operands
        )
    if isinstance(value, Variable):
        return value.name == index or value.name in recomputed
    return True


def _kind(part: Body) -> str:
    return "reduce" if any(isinstance(statement, Reduce) for statement in part) else "parallel"
