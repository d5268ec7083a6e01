"""How much a block of statements runs, and which memory it touches."""

from __future__ import annotations

import math
from collections.abc import Iterable

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Buffer, Call, Check, If, Loop, Reserve, Statement, While
from codegen.loops.walk import blocks, buffers_read, buffers_written, statements

Body = tuple[Statement, ...]
SORTED = (32,)
"""Statements for each key that is sorted, about."""
UNKNOWN_TRIPS = 64
"""How often a loop is taken to run whose bounds only the run knows."""


def trips_of(loop: Loop) -> int:
    """How often a loop runs, or is taken to."""
    trip = constant_trip(loop)
    return loop.most or UNKNOWN_TRIPS if trip is None else trip


def work_of(body: Iterable[Statement]) -> int:
    """How many statements a block runs."""
    total = 0
    for statement in body:
        if isinstance(statement, Loop):
            total += trips_of(statement) * work_of(statement.body)
        elif isinstance(statement, While):
            total += UNKNOWN_TRIPS * (work_of(statement.test) + work_of(statement.body))
        elif isinstance(statement, If):
            total += 1 + max(work_of(statement.then), work_of(statement.otherwise))
        elif isinstance(statement, Call):
            last = SORTED if statement.kernel == "sort" else statement.operands[0].shape[-1:]
            total += math.prod((*statement.results[0].shape, *last))
        else:
            total += 1
    return total


def size_of(body: Iterable[Statement]) -> int:
    """How many statements a block has, blocks inside included."""
    return sum(1 for statement in body for _ in statements((statement,)))


def is_wide(loop: Loop) -> bool:
    """Whether the threads of a group may share a loop's iterations: of scatters only those are left
    that may add at once."""
    return loop.kind in ("parallel", "reduce", "scatter")


def widest_work(body: Iterable[Statement]) -> int:
    """The work of the largest loop of a block whose iterations may run at the same time."""
    most = 0
    for statement in body:
        if (isinstance(statement, Loop) and is_wide(statement)) or isinstance(statement, Call):
            most = max(most, work_of((statement,)))
        else:
            for block in blocks(statement):
                most = max(most, widest_work(block))
    return most


def widest_trips(body: Iterable[Statement]) -> int:
    """The most iterations of a block that may run at the same time."""
    most = 1
    for statement in body:
        if isinstance(statement, Loop) and is_wide(statement):
            most = max(most, nest_trips(statement), widest_trips(statement.body))
        elif isinstance(statement, Call):
            most = max(most, statement.results[0].buffer.size)
        else:
            for block in blocks(statement):
                most = max(most, widest_trips(block))
    return most


def nest_trips(loop: Loop) -> int:
    """Iterations of a loop and of those that fill it."""
    total = trips_of(loop)
    while len(loop.body) == 1 and isinstance(loop.body[0], Loop) and is_wide(loop.body[0]):
        loop = loop.body[0]
        total *= trips_of(loop)
    return total


def memory_read(body: Iterable[Statement]) -> set[Buffer]:
    """The memory that a block reads."""
    return {
        buffer.root
        for outer in body
        for statement in statements((outer,))
        for buffer in buffers_read(statement)
    }


def memory_written(body: Iterable[Statement]) -> set[Buffer]:
    """The memory that a block writes."""
    return {
        buffer.root
        for outer in body
        for statement in statements((outer,))
        for buffer in buffers_written(statement)
    }


def has_failures(body: Iterable[Statement]) -> bool:
    """Whether a block may leave with an error."""
    return any(
        isinstance(statement, (Check, Reserve))
        for outer in body
        for statement in statements((outer,))
    )


def is_divided(loop: Loop, group: int) -> bool:
    """Whether the threads of a group divide a loop's iterations among them: it is wide, and the
    loops inside it are not the wider ones.
    """
    if not is_wide(loop):
        return False
    inner = max((widest_trips((part,)) for part in loop.body), default=1)
    return nest_trips(loop) >= min(inner, group)
