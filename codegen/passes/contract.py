"""Workspace that is not needed: dimensions of buffers of which one index lives at a time."""

from __future__ import annotations

import math
from dataclasses import replace

from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import blocks as _blocks
from codegen.loops.walk import own_expressions
from codegen.passes.effects import base_of
from codegen.passes.rewrite import Body, map_blocks, map_own

MOST_REGISTERS = 64
"""Elements of a buffer that one thread of a device holds in registers."""

Loops = tuple[Loop, ...]


Access = tuple[Buffer, tuple[Expression, ...] | None, Loops]


def accesses(body: Body, loops: Loops) -> list[Access]:
    """Each access of a buffer, with its indices (None: a kernel's view) and the loops around it."""
    found: list[Access] = []
    _collect(body, loops, found)
    return found


def _collect(body: Body, loops: Loops, found: list[Access]) -> None:
    for statement in body:
        kind = type(statement)
        if kind is Let:
            _loads(statement.value, loops, found)  # type: ignore[union-attr]
            continue
        for expression in own_expressions(statement):
            _loads(expression, loops, found)
        if kind is Store or kind is Update:
            found.append((statement.buffer, statement.indices, loops))  # type: ignore[union-attr]
        elif kind is Reserve:
            found.append((statement.buffer, None, loops))  # type: ignore[union-attr]
        elif isinstance(statement, Call):
            views = (*statement.results, *statement.operands)
            found.extend((view.buffer, None, loops) for view in views)
        else:
            inner = (*loops, statement) if isinstance(statement, Loop) else loops
            for block in _blocks(statement):
                _collect(block, inner, found)


def _loads(expression: Expression, loops: Loops, found: list[Access]) -> None:
    if isinstance(expression, Load):
        found.append((expression.buffer, expression.indices, loops))
        parts = expression.indices
    elif isinstance(expression, Operation):
        parts = expression.operands
    else:
        return
    for part in parts:
        if type(part) is not Variable and type(part) is not Literal:
            _loads(part, loops, found)


def device_contract(program: Program) -> Program:
    """`contract` for a device, where each iteration that runs at the same time needs its copy.

    Where the last dimension would go, neighbouring iterations have neighbouring elements, which is
    how threads read memory best: then a buffer stays unless registers hold what is left of it.
    """
    return contract(program, MOST_REGISTERS)


def contract(program: Program, most_of_columns: int | None = None) -> Program:
    """The program with workspace dimensions dropped that fusion has made needless.

    A dimension goes where every access has the index of one and the same loop in it: an element is
    then written and read in one iteration only. A buffer whose last dimension would go stays whole
    if more than `most_of_columns` elements would be left.
    """
    found: dict[Buffer, list[tuple[tuple[Expression, ...], Loops]]] = {}
    excluded: set[Buffer] = set()
    for buffer, indices, loops in accesses(program.body, ()):
        if buffer.base is not None or indices is None:
            excluded.add(base_of(buffer))
        else:
            found.setdefault(buffer, []).append((indices, loops))
    smaller: dict[Buffer, tuple[Buffer, tuple[int, ...]]] = {}
    for buffer in program.workspace:
        if buffer in excluded or buffer not in found:
            continue
        kept = tuple(
            place for place in range(len(buffer.shape)) if not _private(found[buffer], place)
        )
        if len(kept) < len(buffer.shape):
            shape = tuple(buffer.shape[place] for place in kept)
            is_column = len(buffer.shape) - 1 not in kept
            if is_column and most_of_columns is not None and math.prod(shape) > most_of_columns:
                continue
            smaller[buffer] = (replace(buffer, shape=shape), kept)
    if not smaller:
        return program
    workspace = tuple(
        smaller[buffer][0] if buffer in smaller else buffer for buffer in program.workspace
    )
    return replace(program, workspace=workspace, body=_shrunk(program.body, smaller))


def _private(found: list[tuple[tuple[Expression, ...], Loops]], place: int) -> bool:
    owner: Loop | None = None
    for indices, loops in found:
        index = indices[place]
        if not isinstance(index, Variable):
            return False
        loop = next((loop for loop in loops if loop.index == index.name), None)
        if loop is None or (owner is not None and owner is not loop):
            return False
        owner = loop
    return True


Smaller = dict[Buffer, tuple[Buffer, tuple[int, ...]]]


def _shrunk(body: Body, smaller: Smaller) -> Body:
    def expression(value: Expression) -> Expression:
        if isinstance(value, Load):
            indices = tuple(expression(index) for index in value.indices)
            if value.buffer in smaller:
                buffer, kept = smaller[value.buffer]
                return Load(buffer, tuple(indices[place] for place in kept))
            return Load(value.buffer, indices)
        if isinstance(value, Operation):
            return Operation(value.name, tuple(expression(o) for o in value.operands), value.dtype)
        return value

    result: list[Statement] = []
    for statement in body:
        changed = map_own(statement, expression)
        if isinstance(changed, (Store, Update)) and changed.buffer in smaller:
            buffer, kept = smaller[changed.buffer]
            indices = tuple(changed.indices[place] for place in kept)
            changed = replace(changed, buffer=buffer, indices=indices)
        result.append(map_blocks(changed, lambda b: _shrunk(b, smaller)))
    return tuple(result)
