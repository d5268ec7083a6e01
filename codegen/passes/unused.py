"""What nobody reads: scalars, also those that are only counted on, stores into workspace, loops
that are empty without them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import blocks, own_expressions
from codegen.passes.effects import base_of
from codegen.passes.rewrite import Body, map_blocks


def remove_unused(program: Program) -> Program:
    """The program without scalars and workspace that nothing reads."""
    outside = {id(buffer) for buffer in program.workspace}
    body = program.body
    while True:
        uses = _Uses(outside)
        uses.collect(body)
        sweeper = _Sweeper(uses.live(), outside)
        body = sweeper.block(body)
        if not sweeper.emptied:  # what bounds of loops and conditions read may be unused now
            break
    alive = sweeper.live | uses.called
    workspace = tuple([buffer for buffer in program.workspace if buffer in alive])
    constants = tuple([buffer for buffer in program.constants if buffer in alive])
    return replace(program, body=body, workspace=workspace, constants=constants)


def parts_read(expression: Expression, found: list[Any]) -> None:
    """Add the names and the memory that an expression reads."""
    kind = type(expression)
    if kind is Variable:
        found.append(expression.name)  # type: ignore[union-attr]
    elif kind is Operation:
        for part in expression.operands:  # type: ignore[union-attr]
            if type(part) is Variable:
                found.append(part.name)
            elif type(part) is not Literal:
                parts_read(part, found)
    elif kind is Load:
        found.append(expression.buffer.base or expression.buffer)  # type: ignore[union-attr]
        for part in expression.indices:  # type: ignore[union-attr]
            if type(part) is not Literal:
                parts_read(part, found)


class _Uses:
    """What each scalar and each workspace buffer is made from, and what is needed in any case."""

    def __init__(self, workspace: set[int]) -> None:
        self.workspace = workspace
        self.makers: dict[Any, list[Any]] = {}
        self.roots: list[Any] = []
        self.called: set[Any] = set()  # memory that kernels write

    def collect(self, body: Body) -> None:
        """Go through a block, and the blocks inside."""
        pending = [body]
        makers, roots = self.makers, self.roots
        while pending:
            for statement in pending.pop():
                kind = type(statement)
                if kind is Let or kind is Assign or kind is Reduce or kind is Declare:
                    known = makers.setdefault(statement.name, [])  # type: ignore[union-attr]
                    parts_read(statement.value, known)  # type: ignore[union-attr]
                    continue
                target = roots
                if kind is Store or kind is Update or kind is Reserve:
                    base = base_of(statement.buffer)  # type: ignore[union-attr]
                    if id(base) in self.workspace:
                        target = makers.setdefault(base, [])
                for expression in own_expressions(statement):
                    parts_read(expression, target)
                if kind is Call:
                    roots.extend(base_of(view.buffer) for view in statement.operands)  # type: ignore[union-attr]
                    self.called.update(base_of(view.buffer) for view in statement.results)  # type: ignore[union-attr]
                else:
                    pending.extend(blocks(statement))

    def live(self) -> set[Any]:
        """All that is needed for the roots."""
        found: set[Any] = set()
        pending = self.roots
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending.extend(self.makers.get(name, ()))
        return found


class _Sweeper:
    def __init__(self, live: set[Any], workspace: set[int]) -> None:
        self.live = live
        self.workspace = workspace
        self.emptied = False

    def block(self, body: Body) -> Body:
        """The block without what is not live."""
        live, result = self.live, []
        for statement in body:
            kind = type(statement)
            if kind is Let or kind is Assign or kind is Reduce or kind is Declare:
                if statement.name in live:  # type: ignore[union-attr]
                    result.append(statement)
                continue
            if kind is Store or kind is Update or kind is Reserve:
                base = base_of(statement.buffer)  # type: ignore[union-attr]
                if base in live or id(base) not in self.workspace:
                    result.append(statement)
                continue
            kept: Statement = statement
            if blocks(statement):
                kept = map_blocks(statement, self.block)
                loop = isinstance(kept, Loop) and not kept.body
                if loop or (isinstance(kept, If) and not kept.then and not kept.otherwise):
                    self.emptied = True
                    continue
            result.append(kept)
        return body if len(result) == len(body) and not _changed(body, result) else tuple(result)


def _changed(body: Body, result: list[Statement]) -> bool:
    return any(a is not b for a, b in zip(body, result, strict=True))


def memory_of(body: Body) -> set[Buffer]:
    """The buffers whose memory a block reads or writes, blocks inside included."""
    pending = [body]
    found: list[Any] = []
    while pending:
        for statement in pending.pop():
            kind = type(statement)
            if kind is Let:
                parts_read(statement.value, found)  # type: ignore[union-attr]
                continue
            if kind is Store or kind is Update or kind is Reserve:
                found.append(base_of(statement.buffer))  # type: ignore[union-attr]
            for expression in own_expressions(statement):
                if type(expression) is not Literal:
                    parts_read(expression, found)
            if isinstance(statement, Call):
                views = (*statement.results, *statement.operands)
                found.extend(base_of(view.buffer) for view in views)
            else:
                pending.extend(blocks(statement))
    return {part for part in found if isinstance(part, Buffer)}
