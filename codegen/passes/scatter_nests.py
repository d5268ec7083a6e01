"""Sums by index as nests of their own, where a device has to run more of them at once.

What is fused into a row, one of the iterations of parallel loops, runs in one group of threads,
which adds by index in order. Where there are few such rows, and each adds much, the nest is cut
before and behind that. Checks of indices come before what is added, in nests of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import trips_of, work_of
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Buffer, Check, If, Let, Loop, Program, Statement, While
from codegen.loops.walk import statements
from codegen.passes.chunks import Names
from codegen.passes.fission import Part, apart, cut, is_distinct
from codegen.passes.parallel import buffer_uses
from codegen.passes.rewrite import Body, map_blocks
from codegen.passes.scatter_terms import fills


def scatter_nests(program: Program, machine: DeviceMachine) -> Program:
    """The program with such sums by themselves, at the top and in serial loops."""
    kinds = {part.kind for part in statements(program.body) if isinstance(part, Loop)}
    if "scatter" not in kinds:
        return program
    cutter = _Cutter(Names(program), machine, buffer_uses(program.body))
    body = cutter.block(program.body)
    return cutter.names.finish(program, body) if cutter.changed else program


class _Cutter:
    def __init__(self, names: Names, machine: DeviceMachine, uses: Counter[Buffer]) -> None:
        self.names, self.machine, self.uses = names, machine, uses
        self.changed = False

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop) and statement.kind == "parallel":
                result += self.rows(statement)
            elif isinstance(statement, Loop) and statement.kind == "scatter":
                result += self.without_checks(statement)
            elif isinstance(statement, If | While | Loop):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def rows(self, loop: Loop) -> list[Statement]:
        """Parallel loops, perhaps with sums by index in each iteration."""
        nest = _filled(loop)
        body = nest[-1].body
        doing = [part for part in body if not isinstance(part, Let)]
        if len(doing) < 2 or not any(self.is_long(part) for part in body):
            return [loop]
        if constant_trip(loop) is None or not is_distinct(loop):
            return [loop]
        if fills(nest, nest, self.machine) or work_of((loop,)) <= self.machine.small:
            return [loop]
        separate = apart(nest, self.uses, self.names)
        if separate is None:
            return [loop]
        self.changed = True
        parts: list[Part] = []
        rest: list[Statement] = []
        for statement in separate:
            if self.is_long(statement):
                parts += [Part(tuple(rest)), Part((statement,))]
                rest = []
            else:
                rest.append(statement)
        found = cut(nest, [part for part in [*parts, Part(tuple(rest))] if part.body], self.names)
        return list(self.block(tuple(found)))

    def is_long(self, statement: Statement) -> bool:
        """Whether a statement adds so much by index that one thread should not do it alone."""
        if not isinstance(statement, Loop) or statement.kind == "serial":
            return False
        return serial_steps(statement) > self.machine.serial

    def without_checks(self, loop: Loop) -> list[Statement]:
        """A sum by index, behind the checks that are part of it."""
        checks = tuple(part for part in loop.body if _is_check(part))
        scalars = tuple(part for part in loop.body if isinstance(part, Let))
        if not any(isinstance(part, Check) for part in statements(checks)):
            return [loop]
        self.changed = True
        rest = tuple(part for part in loop.body if part not in checks)
        before = replace(loop, body=(*scalars, *checks), kind="parallel")
        return [before, *self.without_checks(replace(loop, body=rest))]


def serial_steps(statement: Statement) -> int:
    """How many iterations of sums by index follow each other where one thread runs them all."""
    if not isinstance(statement, Loop) or statement.kind == "serial":
        return 0
    inner = max((serial_steps(part) for part in statement.body), default=0)
    return max(inner, 1) * trips_of(statement) if statement.kind == "scatter" else inner


def _filled(loop: Loop) -> list[Loop]:
    """A parallel loop and those that fill it: scalars between them become part of the last."""
    nest = [loop]
    while True:
        *before, last = nest[-1].body
        if (
            not isinstance(last, Loop)
            or last.kind != "parallel"
            or not all(isinstance(part, Let) for part in before)
            or constant_trip(last) is None
        ):
            return nest
        nest.append(replace(last, body=(*before, *last.body)))


def _is_check(statement: Statement) -> bool:
    """Whether a statement does nothing but fail, or not."""
    if isinstance(statement, Loop) and statement.kind == "parallel":
        return all(isinstance(part, Let) or _is_check(part) for part in statement.body)
    return isinstance(statement, Check)
