"""Statements that jump (`break`, `continue`, an early `return`) rewritten without jumps.

What follows a jump moves into the other branch of its `if` where it can, and else under the test of
a flag. Afterwards a `return` stands only where its function ends in any case, and loops carry in
the attribute `stops` the flags that end them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from tracer.source.flow import children

RETURNED = "__returned__"  # the flag of an early return
RESULT = "__result__"  # and its value
Flags = frozenset[str]
NONE: Flags = frozenset()


def is_hidden(name: str) -> bool:
    """Whether a name is ours, so that the user's program never reads it unguarded."""
    return name == RESULT or name.startswith(("__break_", "__continue_", RETURNED))


@dataclass(frozen=True)
class _Loop:
    """The flags of the loop around a statement."""

    breaks: str
    continues: str


class Jumps:
    """Lowers the jumps of one function."""

    def __init__(self) -> None:
        self._count = 0

    def function(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The body of a function, whose every path ends in a `return` if any does."""
        if not contains(body, ast.Return):
            return self._block(body, None)[0]
        return self._tail(body)

    def _tail(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for position, statement in enumerate(statements):
            rest = statements[position + 1 :]
            if isinstance(statement, (ast.Return, ast.Raise)):
                return [*result, statement]
            if not contains([statement], ast.Return):
                result += self._statement(statement, None)[0]
                continue
            if isinstance(statement, ast.If):
                ends = _ends(statement.body), _ends(statement.orelse)
                if any(ends) or not rest:
                    statement.body = self._tail(statement.body + ([] if ends[0] else rest))
                    statement.orelse = self._tail(statement.orelse + ([] if ends[1] else rest))
                    return [*result, statement]
            if isinstance(statement, ast.With) and _ends(statement.body):
                statement.body = self._tail(statement.body)
                return [*result, statement]
            endless = _is_endless(statement)
            result.append(_assign(RETURNED, ast.Constant(False), statement))
            result += self._statement(statement, None)[0]
            returned = ast.Return(ast.Name(RESULT, ast.Load()))
            if endless:
                return [*result, ast.copy_location(returned, statement)]
            return [*result, _if(_any({RETURNED}), [returned], self._tail(rest), statement)]
        returned = ast.Return(ast.Constant(None))
        return [*result, ast.copy_location(returned, statements[-1]) if statements else returned]

    def _block(
        self, statements: list[ast.stmt], loop: _Loop | None
    ) -> tuple[list[ast.stmt], Flags]:
        """The statements without jumps, and the flags that they may raise."""
        result: list[ast.stmt] = []
        for position, statement in enumerate(statements):
            ended = _ends([statement])
            lowered, flags = self._statement(statement, loop)
            result += lowered
            if not flags:
                continue
            if ended or position + 1 == len(statements):
                return result, flags
            rest, more = self._block(statements[position + 1 :], loop)
            other = self._free_branch(statement)
            if other is not None:
                other += rest
            else:
                result.append(_if(_any(flags), [ast.Pass()], rest, statement))
            return result, flags | more
        return result, NONE

    @staticmethod
    def _free_branch(statement: ast.stmt) -> list[ast.stmt] | None:
        """The branch that what follows can move into: the other one always jumps, and it never
        does."""
        if isinstance(statement, ast.If):
            raised: tuple[bool, bool] = statement.jumps  # type: ignore[attr-defined]
            ended: tuple[bool, bool] = statement.ended  # type: ignore[attr-defined]
            if ended[0] and not raised[1]:
                return statement.orelse
            if ended[1] and not raised[0]:
                return statement.body
        return None

    def _statement(self, node: ast.stmt, loop: _Loop | None) -> tuple[list[ast.stmt], Flags]:
        if isinstance(node, ast.Return):
            value = node.value or ast.Constant(None)
            flag = _assign(RETURNED, ast.Constant(True), node)
            return [_assign(RESULT, value, node), flag], frozenset({RETURNED})
        if isinstance(node, (ast.Break, ast.Continue)):
            assert loop is not None, "the parser lets a break stand in loops only"
            name = loop.breaks if isinstance(node, ast.Break) else loop.continues
            return [_assign(name, ast.Constant(True), node)], frozenset({name})
        if isinstance(node, (ast.While, ast.For)):
            return self._loop(node, loop)
        if isinstance(node, ast.If):
            node.ended = _ends(node.body), _ends(node.orelse)  # type: ignore[attr-defined]
            node.body, first = self._block(node.body, loop)
            node.orelse, second = self._block(node.orelse, loop)
            node.jumps = bool(first), bool(second)  # type: ignore[attr-defined]
            return [node], first | second
        if isinstance(node, (ast.Try, ast.TryStar)):
            return self._try(node, loop)
        flags = NONE
        for owner in [node] if isinstance(node, ast.With) else getattr(node, "cases", []):
            owner.body, raised = self._block(owner.body, loop)
            flags |= raised
        return [node], flags

    def _try(self, node: ast.Try | ast.TryStar, loop: _Loop | None) -> tuple[list[ast.stmt], Flags]:
        node.body, flags = self._block(node.body, loop)
        orelse, raised = self._block(node.orelse, loop)
        # A body that jumps leaves its `else` out.
        guarded = flags and orelse
        node.orelse = [_if(_any(flags), [ast.Pass()], orelse, node)] if guarded else orelse
        flags |= raised
        for handler in node.handlers:
            handler.body, raised = self._block(handler.body, loop)
            flags |= raised
        node.finalbody, raised = self._block(node.finalbody, loop)
        return [node], flags | raised

    def _loop(self, node: ast.While | ast.For, outer: _Loop | None) -> tuple[list[ast.stmt], Flags]:
        self._count += 1
        inner = _Loop(f"__break_{self._count}__", f"__continue_{self._count}__")
        node.body, raised = self._block(node.body, inner)
        stops = sorted(raised & {inner.breaks, RETURNED})
        before: list[ast.stmt] = []
        if inner.breaks in raised:
            before.append(_assign(inner.breaks, ast.Constant(False), node))
        if inner.continues in raised:
            node.body.insert(0, _assign(inner.continues, ast.Constant(False), node))
        if isinstance(node, ast.While) and any(
            isinstance(n, ast.NamedExpr) for n in ast.walk(node.test)
        ):
            # `while (line := f()):` evaluates its test as a statement, so that the name is a
            # variable like others
            name = f"__continue_{self._count}_test__"
            again = _assign(name, node.test, node)
            before.append(again)
            node.body += [_if(_any(stops), [ast.Pass()], [again], node)] if stops else [again]
            node.test = ast.copy_location(ast.Name(name, ast.Load()), node.test)
        node.stops = stops  # type: ignore[union-attr]
        orelse, more = self._block(node.orelse, outer)
        node.orelse = []
        after = [_if(_any(stops), [ast.Pass()], orelse, node)] if orelse and stops else orelse
        return [*before, node, *after], (raised & {RETURNED}) | more


def _own(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes of these statements but those of nested functions and classes."""
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting += children(node)


def contains(statements: list[ast.stmt], kind: type[ast.AST]) -> bool:
    """Whether a node of that kind stands in these statements, outside of nested functions and
    classes."""
    return any(isinstance(node, kind) for node in _own(statements))


def _ends(statements: list[ast.stmt]) -> bool:
    """Whether no path leads past the last of these statements."""
    for node in statements:
        if isinstance(node, (ast.Return, ast.Raise, ast.Break, ast.Continue)):
            return True
        if isinstance(node, ast.If) and _ends(node.body) and _ends(node.orelse):
            return True
        if isinstance(node, ast.With) and _ends(node.body):
            return True
    return False


def _is_endless(node: ast.stmt) -> bool:
    """Whether a statement is a `while True:` that only a `return` leaves."""
    if not isinstance(node, ast.While) or not isinstance(node.test, ast.Constant):
        return False
    waiting: list[ast.AST] = list(node.body)
    while waiting:  # a `break` of a loop inside belongs to that loop
        inner = waiting.pop()
        if isinstance(inner, ast.Break):
            return False
        if isinstance(inner, (ast.While, ast.For)):
            waiting += inner.orelse
        elif not isinstance(inner, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            waiting += children(inner)
    return bool(node.test.value)


def _assign(name: str, value: ast.expr, at: ast.stmt) -> ast.stmt:
    node = ast.Assign([ast.Name(name, ast.Store())], value)
    return ast.copy_location(node, at)


def _if(test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], at: ast.stmt) -> ast.stmt:
    node = ast.If(ast.copy_location(test, at), body, orelse)
    return ast.copy_location(node, at)


def _any(flags: Flags | set[str] | list[str]) -> ast.expr:
    """The expression that is true when one of the flags is up."""
    names: list[ast.expr] = [ast.Name(flag, ast.Load()) for flag in sorted(flags)]
    return names[0] if len(names) == 1 else ast.BoolOp(ast.Or(), names)
