"""Fusion for a device: which loops become one kernel, or one phase of it.

Two loops that may run as one (see `fuse`) do so as long as no parallelism is lost:

- parallel loops join, and stay parallel. Of two nests that are loops over the same extents down to
  straight code one such nest is made, where the elements allow it;
- a reduction over such a nest takes parallel nests of the same extents, whose stores it then does;
- rows, which are parallel loops with other loops in each iteration, take rows and nests that they
  exchange memory with: a group of threads runs an iteration, and keeps the row. Where there are few
  iterations of much work each, that would keep most of the device idle, and they stay apart;
- serial loops join serial loops where there are loops in both, or where they run in one thread;
- loops that add by index are left alone: their order is made anew.

Nests that walk through memory along different axes stay apart. A kernel of 200 statements takes
some 124 registers, so a loop grows to `MOST_STATEMENTS` only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Expression,
    Load,
    Loop,
    Program,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions
from codegen.passes.effects import Effects
from codegen.passes.fuse import Policy, fuse
from codegen.passes.rewrite import Body, rename
from codegen.passes.unroll import MOST_TRIPS
from tracer.types import INT64

MOST_STATEMENTS = 120
"""Of one loop. Each takes most of a register."""
ENOUGH_ROWS = 512
"""Iterations that keep a device busy when a group of threads runs each."""
SHORT_ROW = 4096
"""Iterations of inner loops which one group of threads may as well run alone."""


def device_fuse(program: Program) -> Program:
    """The program with loops fused as a device needs them."""
    return fuse(program, DEVICE)


def joined(first: Loop, second: Loop, one: Effects, two: Effects, shared: bool) -> Loop | None:
    """One loop for two neighbours of one range; None where two are better.

    `shared` tells that a loop around them is spread over threads already.
    """
    kinds = {first.kind, second.kind}
    if "scatter" in kinds or ("serial" in kinds and len(kinds) > 1):
        return None
    before, after = _Nest.of(first), _Nest.of(second)
    if kinds == {"serial"}:
        worthwhile = shared or not (before.is_flat or after.is_flat)
        return _together(first, second, "serial", shared) if worthwhile else None
    alike = before.is_flat and after.is_flat and before.ranges == after.ranges
    if "reduce" in kinds:
        made = _together(first, second, "reduce", shared) if alike else None
        return made if made is not None and _Nest.of(made).is_flat else None
    if not shared and _walk_apart(first, second):
        return None
    if shared:
        return _together(first, second, "parallel", shared)
    if alike:
        made = _together(first, second, "parallel", shared)
        if _Nest.of(made).is_flat:
            return made
    is_nest = before.is_flat or after.is_flat
    if is_nest and one.writes.isdisjoint(two.reads) and one.reads.isdisjoint(two.writes):
        return None
    if _is_uneven(first, second):
        return None
    return _together(first, second, "parallel", shared)


DEVICE = Policy(MOST_STATEMENTS, joined)


def _together(first: Loop, second: Loop, kind: str, shared: bool) -> Loop:
    """The second loop's body after the first one's in one loop, with what is inside fused."""
    index: dict[str, Expression] = {second.index: Variable(first.index, INT64)}
    body = (*first.body, *rename(second.body, index))
    return replace(first, kind=kind, body=DEVICE.block(body, shared=shared or kind != "serial"))


@dataclass(frozen=True, slots=True)
class _Nest:
    """The ranges of a loop and of those that fill it; flat where straight code fills the last."""

    ranges: tuple[tuple[object, object, bool], ...]
    is_flat: bool

    @staticmethod
    def of(loop: Loop) -> _Nest:
        """The nest that a loop begins."""
        ranges: list[tuple[object, object, bool]] = []
        body: Body = (loop,)
        while (
            len(body) == 1
            and isinstance(inner := body[0], Loop)
            and not (ranges and is_straight(inner))
        ):
            ranges.append((inner.start, inner.stop, inner.reverse))
            body = inner.body
        return _Nest(tuple(ranges), all(is_straight(part) for part in body))


def is_straight(statement: Statement) -> bool:
    """Whether a statement has no loops but those that will be written out."""
    if isinstance(statement, While):
        return False
    if isinstance(statement, Loop):
        trips = constant_trip(statement)
        if trips is None or trips > MOST_TRIPS or statement.kind == "serial":
            return False
    return all(is_straight(part) for block in blocks(statement) for part in block)


def row_work(loop: Loop) -> int:
    """How many iterations of inner loops, other than serial ones, an iteration of a loop has;
    unknown ones count as 1."""
    return max((_iterations(part) for part in loop.body), default=0)


def _is_uneven(first: Loop, second: Loop) -> bool:
    """Whether the iterations of two loops, or of those that fill both alike, are few and long."""
    rows = constant_trip(first)
    while rows is not None:
        one, two = (part.body[0] if len(part.body) == 1 else None for part in (first, second))
        if not (isinstance(one, Loop) and isinstance(two, Loop)):
            break
        bounds = (one.start, one.stop, one.kind) == (two.start, two.stop, "parallel")
        trips = constant_trip(one)
        if not bounds or two.kind != "parallel" or trips is None:
            break
        first, second, rows = one, two, rows * trips
    work = max(row_work(first), row_work(second))
    return (rows is None or rows < ENOUGH_ROWS) and work > SHORT_ROW


def _iterations(statement: Statement) -> int:
    inner = max((_iterations(part) for block in blocks(statement) for part in block), default=1)
    if not isinstance(statement, Loop) or statement.kind == "serial":
        return inner
    trips = constant_trip(statement)
    return inner * (1 if trips is None else trips)


def _walk_apart(first: Loop, second: Loop) -> bool:
    """Whether two loops walk through memory along different axes."""
    one, two = _axes(first), _axes(second)
    return bool(one and two) and one != two


def _axes(loop: Loop) -> set[str]:
    """Along which axes neighbouring elements of what a nest touches lie: "columns" where they are
    those of neighbouring iterations of the loop itself, "rows" where those of loops inside."""
    inner = {part.index for part in statements(loop.body) if isinstance(part, Loop)}
    found: set[str] = set()
    for statement in statements(loop.body):
        places: list[tuple[Expression, ...]] = []
        if isinstance(statement, (Store, Update)):
            places.append(statement.indices)
        for expression in own_expressions(statement):
            places.extend(p.indices for p in subexpressions(expression) if isinstance(p, Load))
        for indices in places:
            names = [index.name if isinstance(index, Variable) else None for index in indices]
            if loop.index not in names or len(names) < 2:
                continue
            if names[-1] == loop.index and not inner.isdisjoint(names):
                found.add("columns")
            elif names[-1] in inner:
                found.add("rows")
    return found
