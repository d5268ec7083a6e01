"""Memory of a group's own that each of its threads may have a part of, in registers.

A group that runs a row of a matrix divides each loop over the row among its threads. Where all
these loops are alike, and walk through an array of the row's in the same way, a thread meets only
elements that it has written itself: it needs no memory that others see, and no barrier.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from codegen.device.plan_kernel import KernelPlan
from codegen.device.straight import Body, all_statements, is_straight
from codegen.device.work import is_divided, is_wide, size_of
from codegen.loops.linear import constant_trip, flat_index, merge_loops
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Literal,
    Load,
    Loop,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import blocks, own_expressions, subexpressions

MOST_TURNS = 32
"""Iterations of a thread, at most: they are written out. Half as many where numbers have eight
bytes."""
MOST_STATEMENTS = 64
"""Statements of an iteration that is written out, at most: a kernel's text has it twice."""
MOST_WORK = 512
"""Statements that are written out, at most."""

Way = tuple[tuple[int, int, int], ...] | None
"""How an access walks: start, iterations and stride of each loop of a nest; None for any other."""


def shared_nest(loop: Loop) -> tuple[list[Loop], dict[str, Expression]]:
    """The loops whose iterations a group's threads share: a loop, and those that fill it; and the
    indices that are 0 since their loops are merged with inner ones.
    """
    loop, zeros = merge_loops(loop)
    nest = [loop]
    while len(nest[-1].body) == 1:
        inner = nest[-1].body[0]
        if not isinstance(inner, Loop) or not is_wide(inner) or _depends(inner, nest):
            break
        nest.append(inner)
    return nest, zeros


def _depends(inner: Loop, outer: list[Loop]) -> bool:
    """Whether a loop's bounds depend on the loops around it."""
    names = {loop.index for loop in outer}
    return any(
        isinstance(part, Variable) and part.name in names
        for bound in (inner.start, inner.stop)
        for part in subexpressions(bound)
    )


def row_turns(plan: KernelPlan) -> dict[Buffer, int]:
    """The memory that may lie in registers, and how many elements of it each thread has then."""
    if plan.group == 1:
        return {}
    ways: dict[Buffer, set[Way]] = {}
    turns: dict[Way, int] = {}
    for buffer, way, count in _accesses(plan.body, plan.group):
        ways.setdefault(buffer.root, set()).add(way)
        turns[way] = max(count, turns.get(way, 0))
    found = {}
    for buffer, used in ways.items():
        (way,) = used if len(used) == 1 else (None,)
        if way is not None:
            found[buffer] = turns[way]
    return found


def _accesses(body: Body, group: int) -> Iterator[tuple[Buffer, Way, int]]:
    """Each access of memory, how it walks, and how many iterations a thread has."""
    for statement in body:
        for buffer, _ in _own_accesses(statement):
            yield buffer, None, 0
        if isinstance(statement, Loop) and is_divided(statement, group):
            yield from _nest_accesses(statement, group)
            continue
        for block in blocks(statement):
            yield from _accesses(block, group)


def _nest_accesses(loop: Loop, group: int) -> Iterator[tuple[Buffer, Way, int]]:
    nest, zeros = shared_nest(loop)
    body = nest[-1].body
    trips = [constant_trip(part) or 0 for part in nest]
    turns = -(-math.prod(trips) // group)
    ready = is_short(nest, group)
    for statement in all_statements(body):
        for buffer, indices in _own_accesses(statement):
            way = None
            if ready and indices is not None:
                way = _way(buffer, indices, nest, trips, zeros)
            yield buffer, way, turns
    for inner in nest[1:]:
        for buffer, _ in _own_accesses(inner):
            yield buffer, None, 0


def is_short(nest: list[Loop], group: int) -> bool:
    """Whether what a thread of a group has of a nest's iterations is written out."""
    body = nest[-1].body
    turns = -(-math.prod(constant_trip(part) or 0 for part in nest) // group)
    plain = tuple(part for part in body if not isinstance(part, Reduce))
    sizes = [buffer.dtype.itemsize for part in all_statements(body) for buffer in _buffers(part)]
    words = -(-max(sizes, default=4) // 4)
    size = size_of(body)
    short = size <= MOST_STATEMENTS and size * turns <= MOST_WORK
    return short and 0 < turns * words <= MOST_TURNS and is_straight(plain)


def _buffers(statement: Statement) -> Iterator[Buffer]:
    return (buffer for buffer, _ in _own_accesses(statement))


def _way(
    buffer: Buffer,
    indices: tuple[Expression, ...],
    nest: list[Loop],
    trips: list[int],
    zeros: dict[str, Expression],
) -> Way:
    form = flat_index(buffer, indices, zeros)
    scales = {term.name: scale for term, scale in form.terms.items() if isinstance(term, Variable)}
    names = [loop.index for loop in nest]
    if form.constant or len(scales) < len(form.terms) or set(scales) != set(names):
        return None
    starts = [loop.start.value for loop in nest if isinstance(loop.start, Literal)]
    if len(starts) < len(nest):
        return None
    return tuple(
        (int(start.real), trip, scales[name])
        for start, trip, name in zip(starts, trips, names, strict=True)
    )


def _own_accesses(
    statement: Statement,
) -> Iterator[tuple[Buffer, tuple[Expression, ...] | None]]:
    """What a statement itself reads and writes; without the place where that is a part."""
    for expression in own_expressions(statement):
        for part in subexpressions(expression):
            if isinstance(part, Load):
                yield part.buffer, part.indices
    if isinstance(statement, (Store, Update)):
        yield statement.buffer, statement.indices
    elif isinstance(statement, Call):
        for view in (*statement.results, *statement.operands):
            yield view.buffer, None
