"""Equal scalars computed once, stored values used from their scalars, and what no loop changes
moved out of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from codegen.loops.nodes import (
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
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import statements
from codegen.passes.effects import base_of, written_in
from codegen.passes.rewrite import Body, map_own, substitute


def forward(program: Program) -> Program:
    """The program with repeated loads and operations removed and invariant ones hoisted."""
    taken = [
        int(statement.name[1:])
        for statement in statements(program.body)
        if isinstance(statement, Let) and statement.name[0] == "f" and statement.name[1:].isdigit()
    ]
    state = _State(max(taken, default=0))
    return replace(program, body=state.block(program.body, _Scope(None)))


class _Scope:
    """What is known in a block: expressions with a name, and elements of memory with a value.
    `loads` are what known expressions read of memory, each with the expression's key.
    """

    def __init__(self, parent: _Scope | None) -> None:
        self.parent = parent
        self.known: dict[Any, Expression] = {}
        self.loads: dict[Buffer, list[tuple[Load, Any]]] = {}
        self.dropped: set[Buffer] = set()

    def find(self, expression: Expression, key: Any) -> Expression | None:
        """What is known to equal an expression, whose key is given."""
        scope: _Scope | None = self
        bases = [base_of(load.buffer) for load in _loads(expression)]
        while scope is not None:
            found = scope.known.get(key)
            if found is not None:
                return found
            for base in bases:
                if base in scope.dropped:
                    return None
            scope = scope.parent
        return None

    def learn(self, expression: Expression, key: Any, value: Expression) -> None:
        """The value of an expression, or of an element of memory."""
        self.known[key] = value
        for load in _loads(expression):
            self.loads.setdefault(base_of(load.buffer), []).append((load, key))

    def forget(self, base: Buffer) -> None:
        """Memory has changed: nothing known about it holds from here on."""
        for _, key in self.loads.pop(base, ()):
            self.known.pop(key, None)
        self.dropped.add(base)

    def forget_element(self, buffer: Buffer, indices: tuple[Expression, ...]) -> None:
        """One element has changed: what is known of others in fixed places still holds."""
        base = base_of(buffer)
        if not _fixed(indices):
            self.forget(base)
            return
        kept: list[tuple[Load, Any]] = []
        for load, key in self.loads.pop(base, ()):
            if load.buffer is buffer and _fixed(load.indices) and load.indices != indices:
                kept.append((load, key))
            else:
                self.known.pop(key, None)
        self.loads[base] = kept
        self.dropped.add(base)


def _key(expression: Expression) -> Any:
    """Equal for equal expressions. Names stand for scalars, since strings know their hashes."""
    kind = type(expression)
    if kind is Operation:
        operands = expression.operands  # type: ignore[union-attr]
        parts = [o.name if type(o) is Variable else o for o in operands]
        return expression.name, expression.dtype.char, *parts  # type: ignore[union-attr]
    if kind is Load:
        indices = expression.indices  # type: ignore[union-attr]
        parts = [o.name if type(o) is Variable else o for o in indices]
        return expression.buffer, *parts  # type: ignore[union-attr]
    return expression


def _loads(expression: Expression) -> list[Load]:
    """What an expression reads of memory."""
    kind = type(expression)
    if kind is Variable or kind is Literal:
        return []
    parts = expression.operands if kind is Operation else expression.indices  # type: ignore[union-attr]
    found: list[Load] = [expression] if kind is Load else []  # type: ignore[list-item]
    for part in parts:
        if type(part) is not Variable and type(part) is not Literal:
            found += _loads(part)
    return found


def _fixed(indices: tuple[Expression, ...]) -> bool:
    return all(isinstance(index, Literal) for index in indices)


class _State:
    def __init__(self, count: int) -> None:
        self.names: dict[str, Expression] = {}
        self.mutable: set[str] = set()
        self.count = count

    def change(self, expression: Expression) -> Expression:
        """The expression with removed names replaced; itself where it has none."""
        kind = type(expression)
        if kind is Variable:
            return self.names.get(expression.name, expression)  # type: ignore[union-attr]
        if kind is Literal:
            return expression
        parts = expression.operands if kind is Operation else expression.indices  # type: ignore[union-attr]
        names = self.names
        for part in parts:
            if type(part) is Variable:
                if part.name in names:
                    break
            elif type(part) is not Literal:
                break
        else:
            return expression
        return substitute(expression, names)

    def block(self, body: Body, scope: _Scope) -> Body:
        result: list[Statement] = []
        for statement in body:
            kind = type(statement)
            if kind is Let:
                kept = self.let(statement, scope)  # type: ignore[arg-type]
                if kept is not None:
                    result.append(kept)
            elif kind is Store:
                result.append(self.store(statement, scope))  # type: ignore[arg-type]
            else:
                result.extend(self.statement(map_own(statement, self.change), scope))
        return tuple(result)

    def let(self, statement: Let, scope: _Scope) -> Let | None:
        """A definition, if nothing known has its value."""
        value = self.change(statement.value)
        key = _key(value)
        known = scope.find(value, key)
        same = value if known is None else known
        if isinstance(same, (Literal, Variable)) and not self._is_mutable(same):
            self.names[statement.name] = same
            return None
        if not self.mutable or not self._reads_mutable(value):
            scope.learn(value, key, Variable(statement.name, value.dtype))
        return statement if value is statement.value else Let(statement.name, value)

    def store(self, statement: Store, scope: _Scope) -> Store:
        """A store, and what its element holds from here on."""
        buffer, value = statement.buffer, self.change(statement.value)
        indices = statement.indices
        changed = tuple([self.change(index) for index in indices])
        scope.forget_element(buffer, changed)
        if not self._is_mutable(value):
            load = Load(buffer, changed)
            scope.learn(load, _key(load), value)
        return Store(buffer, changed, value)

    def statement(self, statement: Statement, scope: _Scope) -> list[Statement]:
        match statement:
            case Declare(name, _):
                self.mutable.add(name)
                return [statement]
            case Update():
                return self.update(statement, scope)
            case Reserve(buffer, _):
                scope.forget(base_of(buffer))
                return [statement]
            case Call(_, results, _, _):
                for view in results:
                    scope.forget(base_of(view.buffer))
                return [statement]
            case Loop():
                return self.loop(statement, scope)
            case If() | While():
                return [self.nested(statement, scope)]
            case _:
                return [statement]

    def update(self, statement: Update, scope: _Scope) -> list[Statement]:
        """An element whose value is known is combined in a scalar, and stored."""
        buffer, indices, value = statement.buffer, statement.indices, statement.value
        load = Load(buffer, indices)
        known = scope.find(load, _key(load)) if _fixed(indices) else None
        if known is None or self._is_mutable(value):
            scope.forget_element(buffer, indices)
            return [statement]
        self.count += 1
        name = f"f{self.count}"
        combined = Operation(statement.operation, (known, value), value.dtype)
        result = Variable(name, value.dtype)
        scope.forget_element(buffer, indices)
        scope.learn(load, _key(load), result)
        return [Let(name, combined), Store(buffer, indices, result)]

    def _is_mutable(self, value: Expression) -> bool:
        return isinstance(value, Variable) and value.name in self.mutable

    def _reads_mutable(self, value: Expression) -> bool:
        if isinstance(value, Variable):
            return value.name in self.mutable
        if isinstance(value, Literal):
            return False
        for part in value.indices if isinstance(value, Load) else value.operands:
            if type(part) is Variable:
                if part.name in self.mutable:
                    return True
            elif type(part) is not Literal and self._reads_mutable(part):
                return True
        return False

    def entered(self, statement: Statement, scope: _Scope) -> _Scope:
        """The scope inside a statement, where what it writes is not known."""
        inner = _Scope(scope)
        for written in written_in((statement,)):
            if isinstance(written, Buffer):
                scope.forget(written)
        return inner

    def nested(self, statement: Statement, scope: _Scope) -> Statement:
        if isinstance(statement, If):
            self.entered(statement, scope)
            then = self.block(statement.then, _Scope(scope))
            otherwise = self.block(statement.otherwise, _Scope(scope))
            return If(statement.condition, then, otherwise)
        assert isinstance(statement, While), "the other nested statement is While"
        inner = self.entered(statement, scope)
        test = self.block(statement.test, _Scope(inner))
        condition = self.change(statement.condition)
        return While(test, condition, self.block(statement.body, _Scope(inner)))

    def loop(self, statement: Loop, scope: _Scope) -> list[Statement]:
        inner = self.entered(statement, scope)
        body = self.block(statement.body, inner)
        hoisted, kept = _invariant(replace(statement, body=body), self.mutable)
        for lifted in hoisted:
            assert isinstance(lifted, Let), "only Lets are hoisted"
            if not self._reads_mutable(lifted.value):
                named = Variable(lifted.name, lifted.value.dtype)
                scope.learn(lifted.value, _key(lifted.value), named)
        return [*hoisted, *([replace(statement, body=kept)] if kept else [])]


def _invariant(loop: Loop, mutable: set[str]) -> tuple[list[Statement], Body]:
    """The Lets of a loop's body that every iteration computes alike, and the rest."""
    found = written_in(loop.body)
    runs = (
        isinstance(loop.stop, Literal)
        and isinstance(loop.start, Literal)
        and loop.stop.value.real > loop.start.value.real
    )
    varying: set[str] = {loop.index}
    varying.update(name for name in found if isinstance(name, str))
    hoisted: list[Statement] = []
    kept: list[Statement] = []
    for statement in loop.body:
        if isinstance(statement, Let) and _is_invariant(statement.value, varying, found, runs):
            hoisted.append(statement)
            varying.discard(statement.name)
        else:
            kept.append(statement)
    return hoisted, tuple(kept)


def _is_invariant(value: Expression, varying: set[str], written: set[Any], runs: bool) -> bool:
    if isinstance(value, Variable):
        return value.name not in varying
    if isinstance(value, Literal):
        return True
    if isinstance(value, Load):
        if not runs or base_of(value.buffer) in written:
            return False
        parts = value.indices
    else:
        parts = value.operands
    for part in parts:
        if type(part) is Variable:
            if part.name in varying:
                return False
        elif type(part) is not Literal and not _is_invariant(part, varying, written, runs):
            return False
    return True
