"""Layouts for a device: workspace lies as its readers want it, and nests of parallel loops walk
through memory in order.

A matrix that calls take transposed, and nothing takes otherwise, is stored transposed, so that the
loop which makes it may run over rows, and be joined with what makes the rows. Then the loops of a
nest change places where that lets neighbouring threads touch neighbouring elements more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Load,
    Loop,
    Operation,
    Program,
    Statement,
    Store,
    Update,
    Variable,
    View,
)
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions, views
from codegen.passes.device_fuse import is_straight
from codegen.passes.rewrite import Body, map_blocks, map_own

Turned = dict[Buffer, Buffer]


def device_layout(program: Program) -> Program:
    """The program with such matrices transposed, and such nests."""
    turned = _turned(program)
    body = _rewritten(program.body, turned) if turned else program.body
    workspace = tuple([turned.get(buffer, buffer) for buffer in program.workspace])
    return replace(program, workspace=workspace, body=_ordered(body))


def _turned(program: Program) -> Turned:
    """The matrices that calls take transposed only, and the same transposed."""
    wanted: dict[Buffer, bool] = {}
    for part in statements(program.body):
        if isinstance(part, Call):
            results = {view.buffer.root for view in part.results}
            for view in views(part):
                fits = (
                    part.kernel == "matmul"
                    and view.buffer.root not in results
                    and view.buffer.base is None
                    and not view.indices
                    and view.axes == (1, 0)
                )
                root = view.buffer.root
                wanted[root] = wanted.get(root, True) and fits
        for buffer in _accessed(part):
            if buffer.base is not None:
                wanted[buffer.root] = False
    return {
        buffer: replace(buffer, shape=buffer.shape[::-1])
        for buffer in program.workspace
        if wanted.get(buffer, False) and len(buffer.shape) == 2
    }


def _accessed(statement: Statement) -> list[Buffer]:
    """The buffers that a statement's own parts load from or store to."""
    found = [
        part.buffer
        for expression in own_expressions(statement)
        for part in subexpressions(expression)
        if isinstance(part, Load)
    ]
    if isinstance(statement, (Store, Update)):
        found.append(statement.buffer)
    return found


def _rewritten(body: Body, turned: Turned) -> Body:
    def change(expression: Expression) -> Expression:
        if isinstance(expression, Load):
            indices = tuple([change(index) for index in expression.indices])
            if expression.buffer in turned:
                return Load(turned[expression.buffer], indices[::-1])
            return Load(expression.buffer, indices)
        if isinstance(expression, Operation):
            operands = tuple([change(part) for part in expression.operands])
            return Operation(expression.name, operands, expression.dtype)
        return expression

    def straight(view: View) -> View:
        return View(turned[view.buffer]) if view.buffer in turned else view

    result: list[Statement] = []
    for statement in body:
        changed = map_own(statement, change)
        if isinstance(changed, (Store, Update)) and changed.buffer in turned:
            changed = replace(changed, buffer=turned[changed.buffer], indices=changed.indices[::-1])
        elif isinstance(changed, Call):
            changed = replace(changed, operands=tuple(map(straight, changed.operands)))
        result.append(map_blocks(changed, lambda b: _rewritten(b, turned)))
    return tuple(result)


def _ordered(body: Body) -> Body:
    """The block with pairs of parallel loops in the better order."""
    result: list[Statement] = []
    for statement in body:
        if isinstance(statement, Loop) and statement.kind == "parallel":
            result.append(_turned_nest(statement))
        else:
            result.append(map_blocks(statement, _ordered) if blocks(statement) else statement)
    return tuple(result)


def _turned_nest(outer: Loop) -> Loop:
    """A nest of two parallel loops, the other way round where more accesses want that."""
    inner = outer.body[0] if len(outer.body) == 1 else None
    if (
        not isinstance(inner, Loop)
        or inner.kind != "parallel"
        or not all(is_straight(part) for part in inner.body)
        or _uses(outer.index, (inner.start, inner.stop))
    ):
        return outer
    last = [
        indices[-1].name
        for indices in _indices(inner.body)
        if len(indices) > 1
        and isinstance(indices[-1], Variable)
        and _uses(inner.index, indices)
        and _uses(outer.index, indices)
    ]
    if last.count(outer.index) <= last.count(inner.index):
        return outer
    return replace(inner, body=(replace(outer, body=inner.body),))


def _uses(name: str, parts: Sequence[Expression]) -> bool:
    return any(
        isinstance(inner, Variable) and inner.name == name
        for part in parts
        for inner in subexpressions(part)
    )


def _indices(body: Body) -> list[tuple[Expression, ...]]:
    """The places of all accesses of a block."""
    found: list[tuple[Expression, ...]] = []
    for part in statements(body):
        if isinstance(part, (Store, Update)):
            found.append(part.indices)
        for expression in own_expressions(part):
            found.extend(p.indices for p in subexpressions(expression) if isinstance(p, Load))
    return found
