"""Which names statements bind and read, and which are live where: what a branch or a loop has to
hand over.

Works on statements without jumps, so that one pass from the end to the beginning is enough.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Names = frozenset[str]
NOTHING: Names = frozenset()
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


_LEAVES = (ast.Constant, ast.expr_context, ast.operator, ast.boolop, ast.unaryop, ast.cmpop)


@dataclass
class Usage:
    """The names that some piece of syntax reads, binds, and hands to functions that it defines."""

    reads: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    captured: set[str] = field(default_factory=set)
    global_names: set[str] = field(default_factory=set)
    nonlocal_names: set[str] = field(default_factory=set)

    def add(self, other: Usage) -> None:
        """Add what another piece does."""
        self.reads |= other.reads
        self.binds |= other.binds
        self.captured |= other.captured
        self.global_names |= other.global_names
        self.nonlocal_names |= other.nonlocal_names

    def scan(self, node: ast.AST) -> None:
        """Add what `node` does. What a statement does is written on it, so that it is worked out
        once."""
        if isinstance(node, ast.Name):
            (self.reads if type(node.ctx) is ast.Load else self.binds).add(node.id)
        elif isinstance(node, ast.stmt):
            known: Usage | None = getattr(node, "usage", None)
            if known is None:
                known = node.usage = Usage()  # type: ignore[attr-defined]
                known._statement(node)
            self.add(known)
        elif isinstance(node, ast.Lambda):
            self._function(_defaults(node.args), [node.body])
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node)
        else:
            if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
                self.binds.add(node.name)
            elif isinstance(node, ast.MatchMapping) and node.rest:
                self.binds.add(node.rest)
            self._children(node)

    def _children(self, node: ast.AST) -> None:
        for child in children(node):
            self.scan(child)

    def _statement(self, node: ast.stmt) -> None:
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            self.binds.add(node.name)
            outside: list[ast.AST] = list(node.decorator_list)
            outside += (
                [*node.bases, *node.keywords]
                if isinstance(node, ast.ClassDef)
                else _defaults(node.args)
            )
            self._function(outside, node.body)
            return
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            self.reads.add(node.target.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.binds |= {(a.asname or a.name).partition(".")[0] for a in node.names}
        elif isinstance(node, ast.Global):
            self.global_names |= set(node.names)
        elif isinstance(node, ast.Nonlocal):
            self.nonlocal_names |= set(node.names)
        elif isinstance(node, ast.Delete):
            self.reads |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        self._children(node)

    def _function(self, outside: Iterable[ast.AST], body: Iterable[ast.AST]) -> None:
        """A function or class inside: it may read and write our names at any later time."""
        for part in outside:
            self.scan(part)
        inner = usage(body)
        self.captured |= inner.reads | inner.nonlocal_names | inner.captured
        self.reads |= inner.reads

    def _comprehension(self, node: ast.AST) -> None:
        inner = Usage()
        inner._children(node)
        self.reads |= inner.reads
        self.binds |= {n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr)}
        self.captured |= inner.captured


def children(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes right below `node`, without those that cannot hold a name."""
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST) and not isinstance(item, _LEAVES):
                    yield item
        elif isinstance(value, ast.AST) and not isinstance(value, _LEAVES):
            yield value


def usage(nodes: Iterable[ast.AST]) -> Usage:
    """What these pieces of syntax do, taken together."""
    result = Usage()
    for node in nodes:
        result.scan(node)
    return result


def updated_only(statements: list[ast.stmt]) -> Names:
    """Names that are bound by `name += value` and its like alone: arrays which change in place."""
    updates: set[str] = set()
    counts: dict[str, int] = {}
    waiting: list[ast.AST] = list(statements)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            updates.add(node.target.id)
            counts[node.target.id] = counts.get(node.target.id, 0) - 1
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            counts[node.id] = counts.get(node.id, 0) + 1
        waiting += children(node)
    return frozenset(name for name in updates if counts[name] == 0)


def _defaults(arguments: ast.arguments) -> list[ast.AST]:
    return [node for node in (*arguments.defaults, *arguments.kw_defaults) if node is not None]


def exposed(statements: list[ast.stmt]) -> set[str]:
    """Names that may be read before these statements bind them."""
    return _effect(statements)[0]


def annotate(statements: list[ast.stmt], after: Names, always: Names) -> None:
    """Write on every `if` and loop, as `live`, the names that are read after it; for a loop also by
    the next turn. `after` is what is read after these statements, `always` what may be read from
    elsewhere.
    """
    for node in reversed(statements):
        if isinstance(node, (ast.While, ast.For)):
            # A turn may be the last or not, so what the test and the next turn read is live at its
            # end.
            node.live = after | frozenset(_effect([node])[0])  # type: ignore[union-attr]
            annotate(node.body, node.live, always)  # type: ignore[union-attr]
        elif isinstance(node, ast.If):
            node.live = after  # type: ignore[attr-defined]
            annotate(node.body, after, always)
            annotate(node.orelse, after, always)
        elif isinstance(node, (ast.Try, ast.TryStar)):
            # An exception leaves the body anywhere.
            last = after | frozenset(_effect(node.finalbody)[0])
            handled = last.union(*(_effect(handler.body)[0] for handler in node.handlers))
            annotate(node.finalbody, after, always)
            annotate(node.orelse, last, always)
            annotate(node.body, handled | frozenset(_effect(node.orelse)[0]), always)
            for handler in node.handlers:
                annotate(handler.body, last, always)
        elif isinstance(node, ast.With):
            annotate(node.body, after, always)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                annotate(case.body, after, always)
        reads, kills = _effect([node])
        after = always | reads | (frozenset() if kills is None else after - kills)


def _effect(statements: list[ast.stmt]) -> tuple[set[str], set[str] | None]:
    """Names read before they are bound, and names bound on every path (None: no path leads past the
    end)."""
    reads: set[str] = set()
    kills: set[str] = set()
    for node in statements:
        more, bound = _statement_effect(node)
        reads |= more - kills
        if bound is None:
            return reads, None
        kills |= bound
    return reads, kills


def _statement_effect(node: ast.stmt) -> tuple[set[str], set[str] | None]:
    known: tuple[set[str], set[str] | None] | None = getattr(node, "effect", None)
    if known is None:
        known = node.effect = _worked_out(node)  # type: ignore[attr-defined]
    return known


def _worked_out(node: ast.stmt) -> tuple[set[str], set[str] | None]:
    if isinstance(node, ast.If):
        first, first_bound = _effect(node.body)
        second, second_bound = _effect(node.orelse)
        reads = usage([node.test]).reads | first | second
        if first_bound is None or second_bound is None:
            return reads, second_bound if first_bound is None else first_bound
        return reads, first_bound & second_bound
    if isinstance(node, ast.While):
        # The body runs after the test, and perhaps not at all.
        stops = set(getattr(node, "stops", ()))
        return usage([node.test]).reads | stops | _effect(node.body)[0], set()
    if isinstance(node, ast.For):
        target = usage([node.target])
        inner = _effect(node.body)[0] | set(getattr(node, "stops", ()))
        return usage([node.iter]).reads | target.reads | (inner - target.binds), set()
    if isinstance(node, ast.With):
        items = usage(
            node.items
        )  # its exit may swallow an exception, so the body binds nothing for sure
        return items.reads | (_effect(node.body)[0] - items.binds), items.binds
    if isinstance(node, (ast.Try, ast.TryStar, ast.Match)):
        return usage([node]).reads, set()
    used = usage([node])
    if isinstance(node, (ast.Return, ast.Raise)):
        return used.reads, None
    if isinstance(node, ast.Delete):
        return used.reads, set()
    return used.reads, used.binds
