"""Serial loops moved into the parallel loops that fill them.

A scan over a batch is a serial loop of parallel loops: a device would run a kernel for each step.
Where the iterations of the parallel loop never meet, each runs all steps by itself, and the state
stays in registers.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Declare,
    Let,
    Loop,
    Program,
    Reduce,
    Reserve,
    Statement,
)
from codegen.loops.walk import blocks, statements
from codegen.passes.device_fuse import ENOUGH_ROWS, SHORT_ROW, row_work
from codegen.passes.effects import Effects, effects
from codegen.passes.rewrite import Body, map_blocks


def outward(program: Program) -> Program:
    """The program with parallel loops outside of serial ones where those are all that is inside."""
    body = _block(program.body)
    return program if body is program.body else replace(program, body=body)


def _block(body: Body) -> Body:
    result: list[Statement] = []
    for statement in body:
        inner = map_blocks(statement, _block) if blocks(statement) else statement
        if inner != statement:
            statement = inner
        if isinstance(statement, Loop) and statement.kind == "serial":
            statement = _swapped(statement)
        result.append(statement)
    return body if all(a is b for a, b in zip(body, result, strict=True)) else tuple(result)


def _swapped(loop: Loop) -> Loop:
    """The loop inside of the parallel loops that fill it; itself where iterations meet."""
    facts = effects(loop)
    if facts.has_call or any(isinstance(part, Reserve) for part in statements(loop.body)):
        return loop
    chain: list[Loop] = []
    before: list[Statement] = []
    body = loop.body
    while True:
        *definitions, last = body
        if not isinstance(last, Loop) or last.kind != "parallel" or constant_trip(last) is None:
            break
        if not all(isinstance(part, Let) for part in definitions):
            break
        if not _is_apart(last, facts):
            break
        chain.append(last)
        before += definitions
        body = last.body
    if not chain or _carries(body):
        return loop
    trips = 1
    for part in chain:
        trips *= constant_trip(part) or 0
    if trips < ENOUGH_ROWS and row_work(replace(loop, body=body)) > SHORT_ROW:
        return loop
    result = replace(loop, body=(*before, *body))
    for part in reversed(chain):
        result = replace(part, body=(result,))
    return result


def _is_apart(loop: Loop, facts: Effects) -> bool:
    """Whether iterations touch different elements of all that is written."""
    for base, (buffer, names) in facts.accesses.items():
        if base in facts.writes and (buffer is None or loop.index not in names):
            return False
    return True


def _carries(body: Body) -> bool:
    """Whether a block changes scalars from outside of it."""
    own: set[str] = set()
    changed: set[str] = set()
    for part in statements(body):
        if isinstance(part, (Let, Declare)):
            own.add(part.name)
        elif isinstance(part, (Assign, Reduce)):
            changed.add(part.name)
    return not changed <= own
