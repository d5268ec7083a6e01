"""Loops of few iterations inside other loops, written out: small arrays then live in registers.

Only loops that some enclosing loop repeats are worth it; a loop on its own is left to the renderer.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import replace

from codegen.loops.nodes import (
    Assign,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Loop,
    Program,
    Reduce,
    Statement,
    Variable,
    While,
)
from codegen.loops.walk import statements
from codegen.passes.rewrite import Body, map_blocks, rename
from tracer.types import INT64

MOST_TRIPS = 4
MOST_STATEMENTS = 256


def unroll(program: Program) -> Program:
    """The program with short inner loops of serial loops written out."""
    writer = _Writer()
    return replace(program, body=writer.block(program.body, repeated=False))


class _Writer:
    def __init__(self) -> None:
        self.copies = itertools.count(1)

    def block(self, body: Body, *, repeated: bool) -> Body:
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop):
                inner = repeated or statement.kind == "serial"
                statement = replace(statement, body=self.block(statement.body, repeated=inner))
                if repeated and _is_short(statement):
                    result.extend(self.written_out(statement))
                    continue
            elif isinstance(statement, (If, While)):
                inside = repeated or isinstance(statement, While)
                statement = map_blocks(statement, functools.partial(self.block, repeated=inside))
            result.append(statement)
        return tuple(result)

    def written_out(self, loop: Loop) -> list[Statement]:
        """The body once for each index, with names of its own."""
        trips = int(loop.stop.value.real) if isinstance(loop.stop, Literal) else 0
        order = range(trips - 1, -1, -1) if loop.reverse else range(trips)
        result: list[Statement] = []
        for index in order:
            names: dict[str, Expression] = {loop.index: Literal(index, INT64)}
            suffix = next(self.copies)
            body = with_own_names(loop.body, suffix, names)
            result.extend(rename(body, names))
        return result


def _is_short(loop: Loop) -> bool:
    if not (isinstance(loop.start, Literal) and isinstance(loop.stop, Literal)):
        return False
    trips = int(loop.stop.value.real)
    if loop.start.value != 0 or not 0 < trips <= MOST_TRIPS:
        return False
    size = 0
    for statement in statements(loop.body):
        if isinstance(statement, (Loop, While)):
            return False
        size += 1
    return size * trips <= MOST_STATEMENTS


def with_own_names(body: Body, suffix: int, names: dict[str, Expression]) -> Body:
    """The block with what it defines renamed; reads of it are renamed by `names`."""
    result: list[Statement] = []
    for statement in body:
        changed = map_blocks(statement, lambda b: with_own_names(b, suffix, names))
        if isinstance(changed, (Let, Declare)):
            fresh = f"{changed.name}u{suffix}"
            names[changed.name] = Variable(fresh, changed.value.dtype)
            changed = replace(changed, name=fresh)
        elif isinstance(changed, (Assign, Reduce)) and changed.name in names:
            target = names[changed.name]
            assert isinstance(target, Variable), "mutable scalars are names"
            changed = replace(changed, name=target.name)
        result.append(changed)
    return tuple(result)
