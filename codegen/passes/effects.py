"""What statements read and write: the facts on which every reordering rests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
    Variable,
    While,
)

Indices = tuple[Expression, ...]


def base_of(buffer: Buffer) -> Buffer:
    """The buffer whose memory it is."""
    return buffer.base or buffer


@dataclass(slots=True)
class Effects:
    """Names and memory that a statement reads and writes, and each access with its indices."""

    reads: set[Any] = field(default_factory=set)
    writes: set[Any] = field(default_factory=set)
    accesses: dict[Buffer, list[tuple[Buffer, Indices]]] = field(default_factory=dict)
    has_call: bool = False
    has_check: bool = False

    def conflicts(self, later: Effects) -> bool:
        """Whether the order of the two statements matters."""
        return not (
            self.writes.isdisjoint(later.reads)
            and self.writes.isdisjoint(later.writes)
            and self.reads.isdisjoint(later.writes)
        )

    def include(self, other: Effects) -> None:
        """Add the effects of another statement."""
        self.reads |= other.reads
        self.writes |= other.writes
        for base, found in other.accesses.items():
            self.accesses.setdefault(base, []).extend(found)
        self.has_call |= other.has_call
        self.has_check |= other.has_check


_CHECKS = "the bounds checks so far"
_CALLBACKS = "the calls of Python functions so far"


def effects(statement: Statement) -> Effects:
    """The effects of a statement, its blocks included."""
    result = Effects()
    _collect(statement, result)
    return result


def _access(result: Effects, buffer: Buffer, indices: Indices) -> None:
    result.accesses.setdefault(base_of(buffer), []).append((buffer, indices))
    if any(_depends_on_data(index) for index in indices):
        result.reads.add(_CHECKS)


def _depends_on_data(index: Expression) -> bool:
    """Whether an index is more than arithmetic on loop indices, which are named i1, i2, …"""
    if isinstance(index, Variable):
        return not (index.name[0] == "i" and index.name[1:].isdigit())
    if isinstance(index, Operation):
        return any(_depends_on_data(operand) for operand in index.operands)
    return isinstance(index, Load)


def _expression(result: Effects, expression: Expression) -> None:
    pending = [expression]
    while pending:
        part = pending.pop()
        if isinstance(part, Variable):
            result.reads.add(part.name)
        elif isinstance(part, Operation):
            pending.extend(part.operands)
        elif isinstance(part, Load):
            result.reads.add(base_of(part.buffer))
            _access(result, part.buffer, part.indices)
            pending.extend(part.indices)


def _collect(statement: Statement, result: Effects) -> None:
    match statement:
        case Let(name, value) | Declare(name, value) | Assign(name, value):
            result.writes.add(name)
            _expression(result, value)
        case Reduce(name, _, value):
            result.writes.add(name)
            result.reads.add(name)
            _expression(result, value)
        case Store(buffer, indices, value) | Update(buffer, indices, _, value):
            result.writes.add(base_of(buffer))
            if isinstance(statement, Update):
                result.reads.add(base_of(buffer))
            _access(result, buffer, indices)
            _expression(result, value)
            for index in indices:
                _expression(result, index)
        case Loop():
            _expression(result, statement.stop)
            _expression(result, statement.start)
            for inner in statement.body:
                _collect(inner, result)
            result.reads.discard(statement.index)
        case If(condition, then, otherwise):
            _expression(result, condition)
            for inner in (*then, *otherwise):
                _collect(inner, result)
        case While(test, condition, body):
            for inner in (*test, *body):
                _collect(inner, result)
            _expression(result, condition)
        case Call():
            _collect_call(statement, result)
        case Reserve(buffer, extent):
            result.writes.add(buffer)
            result.reads.add(buffer)
            _access(result, buffer, ())
            _expression(result, extent)
        case Check(condition, _, details):
            result.has_check = True
            result.writes.add(_CHECKS)  # what it guards must stay behind it
            for expression in (condition, *details):
                _expression(result, expression)


def _collect_call(statement: Call, result: Effects) -> None:
    result.has_call = True
    if statement.kernel == "callback":  # these run in the order of the program, and not after a
        result.reads |= {_CHECKS, _CALLBACKS}  # check that fails
        result.writes.add(_CALLBACKS)
    for view in statement.operands:
        result.reads.add(base_of(view.buffer))
    for view in statement.results:
        result.writes.add(base_of(view.buffer))
    for view in (*statement.results, *statement.operands):
        _access(result, view.buffer, view.indices)
        for index in view.indices:
            _expression(result, index)


def mentions(expression: Expression, name: str) -> bool:
    """Whether the expression reads that scalar."""
    if isinstance(expression, Variable):
        return expression.name == name
    if isinstance(expression, Operation):
        return any(mentions(operand, name) for operand in expression.operands)
    if isinstance(expression, Load):
        return any(mentions(index, name) for index in expression.indices)
    return False
