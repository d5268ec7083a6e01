"""Kernels' text without what computes nothing: what Numba does not see it need not type.

Loops that run once are their body. Names that nobody reads are not found. Places in arrays have no
`* 1` and `+ 0` in them.
"""

from __future__ import annotations

import ast

TURNS = 3
"""How often unread names are looked for: what one is made of may be unread after it."""


def shortened(kernel: ast.FunctionDef) -> ast.FunctionDef:
    """The same function; `kernel` itself is changed."""
    kernel.body = _block(kernel.body)
    for _ in range(TURNS):
        read = {
            part.id
            for part in ast.walk(kernel)
            if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)
        }
        # What `+=` adds to has to be there.
        read.update(
            part.target.id
            for part in ast.walk(kernel)
            if isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name)
        )
        kernel.body = _Unread(read).block(kernel.body)
    changed = _Places().visit(kernel)
    assert isinstance(changed, ast.FunctionDef), "a function stays one"
    return changed


def _block(body: list[ast.stmt]) -> list[ast.stmt]:
    """The statements, with the bodies of loops that run once among them."""
    found: list[ast.stmt] = []
    for statement in body:
        for inner in ("body", "orelse"):
            if getattr(statement, inner, None):
                setattr(statement, inner, _block(getattr(statement, inner)))
        if isinstance(statement, ast.For) and _runs_once(statement):
            assert isinstance(statement.target, ast.Name), "a loop has one index"
            # The name may be that of other loops too: within this one it is 0 throughout.
            if _is_constant(statement):
                index = _Index(statement.target.id)
                found += [index.visit(part) for part in statement.body]
                continue
        found.append(statement)
    return [part for part in found if not isinstance(part, ast.Pass)] or [ast.Pass()]


def _runs_once(loop: ast.For) -> bool:
    turns = loop.iter
    return (
        isinstance(turns, ast.Call)
        and isinstance(turns.func, ast.Name)
        and turns.func.id == "range"
        and len(turns.args) == 1
        and isinstance(turns.args[0], ast.Constant)
        and turns.args[0].value == 1
        and isinstance(loop.target, ast.Name)
        and not loop.orelse
        and not any(
            isinstance(part, (ast.Break, ast.Continue))
            for statement in loop.body
            for part in ast.walk(statement)
        )
    )


def _is_constant(loop: ast.For) -> bool:
    """Whether nothing in a loop assigns to its index."""
    assert isinstance(loop.target, ast.Name), "a loop has one index"
    return not any(
        isinstance(part, ast.Name) and part.id == loop.target.id and isinstance(part.ctx, ast.Store)
        for statement in loop.body
        for part in ast.walk(statement)
    )


class _Index(ast.NodeTransformer):
    """An index that is 0."""

    def __init__(self, name: str) -> None:
        self.name = name

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(0), node) if node.id == self.name else node


class _Unread:
    """Leaves out assignments to names that are not read, where the value has no effect."""

    def __init__(self, read: set[str]) -> None:
        self.read = read

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """The statements that are left."""
        found = []
        for statement in body:
            for inner in ("body", "orelse"):
                if getattr(statement, inner, None):
                    setattr(statement, inner, self.block(getattr(statement, inner)))
            if not self.is_idle(statement):
                found.append(statement)
        return found or [ast.Pass()]

    def is_idle(self, statement: ast.stmt) -> bool:
        """Whether nothing is lost without it."""
        if isinstance(statement, ast.Expr):
            return isinstance(statement.value, ast.Constant)
        if not isinstance(statement, ast.Assign):
            return False
        names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        return (
            len(names) == len(statement.targets)
            and self.read.isdisjoint(names)
            and not any(
                isinstance(part, ast.Call) and not _is_conversion(part)
                for part in ast.walk(statement.value)
            )
        )


def _is_conversion(call: ast.Call) -> bool:
    """Whether this is `np.int64(…)` and the like."""
    name = call.func
    return (
        isinstance(name, ast.Attribute)
        and isinstance(name.value, ast.Name)
        and name.value.id == "np"
    )


class _Places(ast.NodeTransformer):
    """Simpler places of elements: they are whole numbers."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        node.slice = _simpler(node.slice)
        return node


def _simpler(place: ast.expr) -> ast.expr:
    if not isinstance(place, ast.BinOp):
        return place
    place.left, place.right = left, right = _simpler(place.left), _simpler(place.right)
    if isinstance(place.op, ast.Mult):
        if _is_number(left, 0) or _is_number(right, 1):
            return left
        if _is_number(right, 0) or _is_number(left, 1):
            return right
    if isinstance(place.op, (ast.Add, ast.Sub)) and _is_number(right, 0):
        return left
    if isinstance(place.op, ast.Add) and _is_number(left, 0):
        return right
    return place


def _is_number(part: ast.expr, number: int) -> bool:
    return isinstance(part, ast.Constant) and type(part.value) is int and part.value == number
