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
SHARED = ("parallel", "reduce")


def unroll(program: Program) -> Program:
    """The program with short inner loops of serial loops written out."""
    writer = _Writer()
    return replace(program, body=writer.block(program.body, repeated=False))


def device_unroll(program: Program) -> Program:
    """The program with short inner loops of all loops written out, other than the last loop of a
    nest of parallel ones: neighbouring threads run neighbouring iterations of that.

    Loops that the copies have inside may become one by fusion: sums over a long axis for three
    coordinates one loop with three sums.
    """
    writer = _Writer(for_device=True)
    return replace(program, body=writer.block(program.body, repeated=False))


class _Writer:
    def __init__(self, *, for_device: bool = False) -> None:
        self.copies = itertools.count(1)
        self.for_device = for_device

    def block(self, body: Body, *, repeated: bool, kept: Statement | None = None) -> Body:
        """The block with short loops written out where it is repeated, other than `kept`."""
        result: list[Statement] = []
        for statement in body:
            whole = statement
            if isinstance(statement, Loop):
                inner = repeated or statement.kind == "serial" or self.for_device
                last = _last_of_nest(statement) if whole is kept or not repeated else None
                inside = self.block(
                    statement.body, repeated=inner, kept=last if self.for_device else None
                )
                statement = replace(statement, body=inside)
                if repeated and whole is not kept and self.is_short(statement):
                    result.extend(self.written_out(statement))
                    continue
            elif isinstance(statement, (If, While)):
                around = repeated or isinstance(statement, While)
                statement = map_blocks(statement, functools.partial(self.block, repeated=around))
            result.append(statement)
        return tuple(result)

    def is_short(self, loop: Loop) -> bool:
        """Whether a loop is written out. On a device it may have loops inside, if they are not run
        in order: fusion makes one of those in each copy."""
        if not (isinstance(loop.start, Literal) and isinstance(loop.stop, Literal)):
            return False
        trips = int(loop.stop.value.real)
        if loop.start.value != 0 or not 0 < trips <= MOST_TRIPS:
            return False
        size = 0
        for statement in statements(loop.body):
            if isinstance(statement, While):
                return False
            if isinstance(statement, Loop) and not (self.for_device and statement.kind in SHARED):
                return False
            size += 1
        return size * trips <= MOST_STATEMENTS

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


def _last_of_nest(loop: Loop) -> Loop | None:
    """The parallel loop that follows nothing but definitions in a parallel loop's body."""
    if loop.kind != "parallel" or not all(isinstance(part, Let) for part in loop.body[:-1]):
        return None
    last = loop.body[-1] if loop.body else None
    return last if isinstance(last, Loop) and last.kind == "parallel" else None


def with_own_names(body: Body, suffix: int | str, names: dict[str, Expression]) -> Body:
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
