"""Sums that a loop has in memory at one place, in registers; and loops whose iterations then are
independent.

Reductions over several axes at once, fused with what they add up, become loops that add to one
element again and again, and to another element in each iteration. The first kind of sum is a scalar
while the loop runs. Where no other order of iterations can be seen any more, the loop says so, and
its iterations may run in lanes. Only loops without loops inside are looked at.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.operations import ASSOCIATIVE
from codegen.loops.walk import own_expressions, subexpressions
from codegen.passes.effects import Effects, effects
from codegen.passes.rewrite import Body, map_blocks

PLAIN = (Let, Declare, Assign, Reduce, Store, Update)
MOST_SUMS = 8
Place = tuple[Expression, ...]


def sums(program: Program) -> Program:
    """The program with such sums in scalars."""
    writer = _Writer()
    body = writer.block(program.body)
    return replace(program, body=body) if writer.changed else program


class _Writer:
    def __init__(self) -> None:
        self.names = 7 * 10**6
        self.changed = False

    def block(self, body: Body) -> Body:
        result: list[Statement] = []
        for statement in body:
            if not isinstance(statement, Loop):
                result.append(map_blocks(statement, self.block))
            elif not all(isinstance(part, PLAIN) for part in statement.body):
                result.append(replace(statement, body=self.block(statement.body)))
            elif _runs(statement) and any(type(part) is Update for part in statement.body):
                result.extend(self.loop(statement))
            else:
                result.append(statement)
        return tuple(result)

    def loop(self, loop: Loop) -> list[Statement]:
        """The loop between loads and stores of its sums; as it was where it stays serial."""
        names: dict[tuple[Buffer, Place], Variable] = {}
        body: list[Statement] = []
        own = {part.name for part in loop.body if isinstance(part, (Let, Declare))} | {loop.index}
        fixed = _fixed(loop.body, own)
        for part in loop.body:
            if not isinstance(part, Update) or part.buffer.root not in fixed:
                body.append(part)
                continue
            key = part.buffer, part.indices
            if key not in names:
                self.names += 1
                names[key] = Variable(f"s{self.names}", part.buffer.dtype)
            body.append(Reduce(names[key].name, part.operation, part.value))
        if not names or len(names) > MOST_SUMS or not _independent(loop, tuple(body), own):
            return [loop]
        self.changed = True
        return [
            *(Declare(name.name, Load(*key)) for key, name in names.items()),
            replace(loop, body=tuple(body), kind="reduce"),
            *(Store(*key, name) for key, name in names.items()),
        ]


def _runs(loop: Loop) -> bool:
    """Whether a serial loop has an iteration: the places of its sums are then in range."""
    start, stop = loop.start, loop.stop
    if loop.kind != "serial" or type(start) is not Literal or type(stop) is not Literal:
        return False
    return bool(start.value.real < stop.value.real)


def _fixed(body: Body, own: set[str]) -> set[Buffer]:
    """The memory that a loop only adds to, by one operation, at places which are the same in all
    iterations and different from each other."""
    updates: dict[Buffer, list[Update]] = {}
    others: set[Buffer] = set()
    for part in body:
        if isinstance(part, Update):
            updates.setdefault(part.buffer.root, []).append(part)
        elif isinstance(part, Store):
            others.add(part.buffer.root)
        for expression in own_expressions(part):
            others.update(e.buffer.root for e in subexpressions(expression) if type(e) is Load)
    return {
        root
        for root, found in updates.items()
        if root not in others
        and len({part.buffer for part in found}) == 1
        and len({part.operation for part in found}) == 1
        and found[0].operation in ASSOCIATIVE
        and not any(_varies(index, own) for part in found for index in part.indices)
        and _apart(list({part.indices for part in found}))
    }


def _varies(index: Expression, own: set[str]) -> bool:
    return any(
        isinstance(part, Load) or (isinstance(part, Variable) and part.name in own)
        for part in subexpressions(index)
    )


def _apart(places: list[Place]) -> bool:
    """Whether no two of these places can be the same."""
    return all(
        any(
            isinstance(a, Literal) and isinstance(b, Literal) and a != b
            for a, b in zip(one, two, strict=True)
        )
        for number, one in enumerate(places)
        for two in places[:number]
    )


def _independent(loop: Loop, body: Body, own: set[str]) -> bool:
    """Whether iterations meet in reductions only."""
    total = Effects()
    for part in body:
        total.include(effects(part))
    for base, (buffer, indices) in total.accesses.items():
        if base in total.writes and (buffer is None or loop.index not in indices):
            return False
    read = {
        part.name
        for statement in body
        for expression in own_expressions(statement)
        for part in subexpressions(expression)
        if isinstance(part, Variable)
    }
    for part in body:
        if isinstance(part, Assign) and part.name not in own:
            return False
        if isinstance(part, Reduce) and part.name not in own and part.name in read:
            return False
    return not total.has_call and not total.has_check
