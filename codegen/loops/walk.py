"""Walks over the parts of a program: what the passes and renderers ask of statements and
expressions.
"""

from __future__ import annotations

from collections.abc import Iterator

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Operation,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    View,
    While,
)


def blocks(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The blocks directly inside a statement, in the order in which they run."""
    if isinstance(statement, Loop):
        return (statement.body,)
    if isinstance(statement, If):
        return (statement.then, statement.otherwise)
    if isinstance(statement, While):
        return (statement.test, statement.body)
    return ()


def statements(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """Every statement of a block and of the blocks inside it, outer ones first."""
    pending = list(reversed(body))
    while pending:
        statement = pending.pop()
        yield statement
        for block in reversed(blocks(statement)):
            pending.extend(reversed(block))


def own_expressions(statement: Statement) -> tuple[Expression, ...]:
    """The expressions that stand in the statement itself, not in its blocks."""
    match statement:
        case Let(value=value) | Declare(value=value) | Assign(value=value) | Reduce(value=value):
            return (value,)
        case Store(indices=indices, value=value) | Update(indices=indices, value=value):
            return (*indices, value)
        case Loop(start=start, stop=stop):
            return (start, stop)
        case If(condition=condition) | While(condition=condition):
            return (condition,)
        case Call(results=results, operands=operands):
            return tuple(index for view in (*results, *operands) for index in view.indices)
        case Check(condition=condition, details=details):
            return (condition, *details)
        case Reserve(extent=extent):
            return (extent,)
        case _:
            raise TypeError(f"{type(statement).__name__} is not a statement")


def subexpressions(expression: Expression) -> Iterator[Expression]:
    """The expression and everything inside it, outer parts first."""
    pending = [expression]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, Operation):
            pending.extend(reversed(part.operands))
        elif isinstance(part, Load):
            pending.extend(reversed(part.indices))


def expressions(body: tuple[Statement, ...]) -> Iterator[Expression]:
    """Every expression and subexpression of a block, nested blocks included."""
    for statement in statements(body):
        for expression in own_expressions(statement):
            yield from subexpressions(expression)


def contains_load(expression: Expression) -> bool:
    """Whether evaluating the expression reads memory."""
    return any(isinstance(part, Load) for part in subexpressions(expression))


def buffers_read(statement: Statement) -> Iterator[Buffer]:
    """Buffers that the statement itself reads, not its blocks."""
    for expression in own_expressions(statement):
        for part in subexpressions(expression):
            if isinstance(part, Load):
                yield part.buffer
    if isinstance(statement, Call):
        yield from (view.buffer for view in statement.operands)
    if isinstance(statement, Update):
        yield statement.buffer


def buffers_written(statement: Statement) -> tuple[Buffer, ...]:
    """Buffers that the statement itself writes, not its blocks."""
    if isinstance(statement, Store | Update):
        return (statement.buffer,)
    if isinstance(statement, Call):
        return tuple(view.buffer for view in statement.results)
    return ()


def views(statement: Statement) -> tuple[View, ...]:
    """The views of a call, results first; nothing for other statements."""
    return (*statement.results, *statement.operands) if isinstance(statement, Call) else ()
