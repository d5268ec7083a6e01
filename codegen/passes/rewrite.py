"""Rebuilding statements with scalars and buffers replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from codegen.loops.nodes import (
    Assign,
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
    Variable,
    View,
    While,
)

Rewrite = Callable[[Expression], Expression]
Body = tuple[Statement, ...]


def substitute(expression: Expression, names: dict[str, Expression]) -> Expression:
    """The expression with scalars replaced."""
    if isinstance(expression, Variable):
        return names.get(expression.name, expression)
    if isinstance(expression, Operation):
        operands = tuple([substitute(operand, names) for operand in expression.operands])
        if operands == expression.operands:
            return expression
        return Operation(expression.name, operands, expression.dtype)
    if isinstance(expression, Load):
        indices = tuple([substitute(index, names) for index in expression.indices])
        return expression if indices == expression.indices else Load(expression.buffer, indices)
    return expression


def map_view(view: View, change: Rewrite) -> View:
    """The view with its indices changed."""
    return View(view.buffer, tuple([change(index) for index in view.indices]), view.axes)


def map_own(statement: Statement, change: Rewrite) -> Statement:
    """The statement with the expressions that stand in itself changed; blocks stay."""
    match statement:
        case Let(name, value):
            return Let(name, change(value))
        case Declare(name, value):
            return Declare(name, change(value))
        case Assign(name, value):
            return Assign(name, change(value))
        case Reduce(name, operation, value):
            return Reduce(name, operation, change(value))
        case Store(buffer, indices, value):
            return Store(buffer, tuple([change(index) for index in indices]), change(value))
        case Update(buffer, indices, operation, value):
            places = tuple([change(index) for index in indices])
            return Update(buffer, places, operation, change(value))
        case Loop():
            return replace(statement, start=change(statement.start), stop=change(statement.stop))
        case If(condition, then, otherwise):
            return If(change(condition), then, otherwise)
        case While(test, condition, body):
            return While(test, change(condition), body)
        case Call(kernel, results, operands, params):
            written = tuple([map_view(view, change) for view in results])
            read = tuple([map_view(view, change) for view in operands])
            return Call(kernel, written, read, params)
        case Reserve(buffer, extent):
            return Reserve(buffer, change(extent))
        case Check(condition, code, details):
            return Check(change(condition), code, tuple([change(item) for item in details]))


def map_blocks(statement: Statement, change: Callable[[Body], Body]) -> Statement:
    """The statement with its blocks changed."""
    match statement:
        case Loop():
            return replace(statement, body=change(statement.body))
        case If(condition, then, otherwise):
            return If(condition, change(then), change(otherwise))
        case While(test, condition, body):
            return While(change(test), condition, change(body))
        case _:
            return statement


def rename(body: Body, names: dict[str, Expression]) -> Body:
    """The block with scalars replaced throughout."""

    def change(expression: Expression) -> Expression:
        return substitute(expression, names)

    return tuple(
        [map_blocks(map_own(statement, change), lambda b: rename(b, names)) for statement in body]
    )
