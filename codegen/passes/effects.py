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
    Literal,
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
from codegen.loops.walk import blocks

Indices = tuple[Expression, ...]


def base_of(buffer: Buffer) -> Buffer:
    """The buffer whose memory it is."""
    return buffer.base or buffer


Common = tuple[Buffer | None, tuple[str | None, ...]]
"""Of all accesses of one memory: the buffer, None where there are several, and for each dimension
the scalar that stands there in every access, None where there is no such scalar."""


@dataclass(slots=True)
class Effects:
    """Names and memory that a statement reads and writes, and what its accesses have in common."""

    reads: set[Any] = field(default_factory=set)
    writes: set[Any] = field(default_factory=set)
    accesses: dict[Buffer, Common] = field(default_factory=dict)
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
            self.access(base, found)
        self.has_call |= other.has_call
        self.has_check |= other.has_check

    def access(self, base: Buffer, found: Common) -> None:
        """Note one more access."""
        known = self.accesses.get(base)
        if known is None:
            self.accesses[base] = found
        elif known is not found and known != found:
            self.accesses[base] = _in_common(known, found)

    def renamed(self, name: str, other: str) -> Effects:
        """The effects with another name for a loop's index."""
        changed = {
            base: (buffer, tuple([other if part == name else part for part in parts]))
            if name in parts
            else (buffer, parts)
            for base, (buffer, parts) in self.accesses.items()
        }
        return Effects(self.reads, self.writes, changed, self.has_call, self.has_check)


def _in_common(one: Common, two: Common) -> Common:
    if one[0] is not two[0]:
        return None, ()
    return one[0], tuple([a if a == b else None for a, b in zip(one[1], two[1], strict=True)])


_CHECKS = "the bounds checks so far"
_CALLBACKS = "the calls of Python functions so far"


def effects(statement: Statement) -> Effects:
    """The effects of a statement, its blocks included."""
    result = Effects()
    _collect(statement, result)
    return result


def _access(result: Effects, buffer: Buffer, indices: Indices) -> None:
    names: list[str | None] = []
    for index in indices:
        if type(index) is Variable:
            names.append(index.name)
            if not (index.name[0] == "i" and index.name[1:].isdigit()):
                result.reads.add(_CHECKS)
        else:
            names.append(None)
            if type(index) is not Literal and _depends_on_data(index):
                result.reads.add(_CHECKS)
    names += [None] * (len(buffer.shape) - len(names))
    result.access(buffer.base or buffer, (buffer, tuple(names)))


def _depends_on_data(index: Expression) -> bool:
    """Whether an index is more than arithmetic on loop indices, which are named i1, i2, …"""
    if isinstance(index, Variable):
        return not (index.name[0] == "i" and index.name[1:].isdigit())
    if isinstance(index, Operation):
        return any(_depends_on_data(operand) for operand in index.operands)
    return isinstance(index, Load)


def _expression(result: Effects, expression: Expression) -> None:
    kind = type(expression)
    if kind is Variable:
        result.reads.add(expression.name)  # type: ignore[union-attr]
    elif kind is Operation:
        for part in expression.operands:  # type: ignore[union-attr]
            if type(part) is Variable:
                result.reads.add(part.name)
            elif type(part) is not Literal:
                _expression(result, part)
    elif kind is Load:
        buffer, indices = expression.buffer, expression.indices  # type: ignore[union-attr]
        result.reads.add(buffer.base or buffer)
        _access(result, buffer, indices)
        for index in indices:
            _expression(result, index)


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


def written_in(body: tuple[Statement, ...]) -> set[Any]:
    """Names and memory that a block writes, blocks inside included."""
    found: set[Any] = set()
    pending = [body]
    while pending:
        for statement in pending.pop():
            match statement:
                case Let() | Assign() | Reduce() | Declare():
                    found.add(statement.name)
                case Store(buffer=buffer) | Update(buffer=buffer) | Reserve(buffer=buffer):
                    found.add(buffer.base or buffer)
                case Call(results=results):
                    found.update(base_of(view.buffer) for view in results)
                case _:
                    pending.extend(blocks(statement))
    return found
