"""Bodies of grid kernels without loops: which of their accesses may be made earlier or later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Operation,
    Statement,
    Store,
    Update,
)
from codegen.loops.walk import buffers_read, buffers_written, statements

Body = tuple[Statement, ...]
STRAIGHT = (Let, Declare, Assign, Store, Update, If)


@dataclass(frozen=True, slots=True)
class Movable:
    """Loads that every iteration runs, from memory that nothing in the body writes, and stores that
    every iteration runs, to memory that nothing else in it touches.
    """

    loads: tuple[Load, ...]
    stores: tuple[Store, ...]


def all_statements(body: Body) -> Iterator[Statement]:
    """Every statement of a block, those of blocks inside too."""
    for statement in body:
        yield from statements((statement,))


def is_straight(body: Body) -> bool:
    """Whether a body has neither loops nor calls, and leaves with no error."""
    return all(isinstance(part, STRAIGHT) for part in all_statements(body))


def movable_accesses(body: Body, atomic: frozenset[Buffer]) -> Movable:
    """The accesses of a straight body that may be moved."""
    written: list[Buffer] = []
    read: set[Buffer] = set()
    for statement in all_statements(body):
        written += [buffer.root for buffer in buffers_written(statement)]
        read.update(buffer.root for buffer in buffers_read(statement))
    loads: dict[Load, None] = {}
    stores = []
    for statement in body:
        for expression in always_run(statement):
            if isinstance(expression, Load) and expression.buffer.root not in written:
                loads[expression] = None
        if isinstance(statement, Store):
            root = statement.buffer.root
            if written.count(root) == 1 and root not in read and root not in atomic:
                stores.append(statement)
    return Movable(tuple(loads), tuple(stores))


def always_run(statement: Statement) -> Iterator[Expression]:
    """The expressions of a statement that are evaluated whatever is true."""
    pending: list[Expression] = []
    match statement:
        case Let(_, value) | Declare(_, value) | Assign(_, value):
            pending = [value]
        case Store(_, indices, value) | Update(_, indices, _, value):
            pending = [*indices, value]
        case If(condition):
            pending = [condition]
    while pending:
        expression = pending.pop()
        yield expression
        if isinstance(expression, Operation):
            choice = expression.name == "select"
            pending += expression.operands[:1] if choice else expression.operands
        elif isinstance(expression, Load):
            pending += expression.indices
