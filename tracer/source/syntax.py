"""Pieces of syntax: those that the rewriting asks about, and those that it makes."""

from __future__ import annotations

import ast
from typing import TypeVar

from tracer.source.flow import Names, usage
from tracer.source.jumps import contains, is_hidden

Node = TypeVar("Node", bound=ast.AST)
OPERATORS = "__operators__"
_STATIC_TESTS = {"isinstance", "issubclass", "hasattr", "callable"}


def mangled(name: str, class_name: str | None) -> str:
    """`name` as Python spells it inside that class."""
    if class_name is None or not name.startswith("__") or name.endswith("__"):
        return name
    return f"_{class_name.lstrip('_')}{name}"


def located(node: Node, at: ast.AST) -> Node:
    """`node` at the place of another."""
    return ast.copy_location(node, at)


def name_of(name: str) -> ast.Name:
    """A variable that is read."""
    return ast.Name(name, ast.Load())


def function_of(name: str, parameters: list[str], body: list[ast.stmt]) -> ast.FunctionDef:
    """A function definition without defaults."""
    arguments = [ast.arg(parameter) for parameter in parameters]
    signature = ast.arguments(
        posonlyargs=[], args=arguments, kwonlyargs=[], kw_defaults=[], defaults=[]
    )
    made = ast.FunctionDef(name=name, args=signature, body=body, decorator_list=[])
    made.type_params = []  # type: ignore[attr-defined]  # Python 3.12 asks for it
    return made


def class_of(name: str, body: list[ast.stmt]) -> ast.ClassDef:
    """A class definition without bases."""
    made = ast.ClassDef(name, bases=[], keywords=[], body=body, decorator_list=[])
    made.type_params = []  # type: ignore[attr-defined]
    return made


def delayed(body: ast.expr) -> ast.Lambda:
    """An expression that is evaluated when it is called."""
    none = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return located(ast.Lambda(none, body), body)


def any_flag(names: list[str]) -> ast.expr:
    """The expression that is true when one of the flags is up."""
    values: list[ast.expr] = [name_of(name) for name in names]
    return values[0] if len(values) == 1 else ast.BoolOp(ast.Or(), values)


def index_expression(node: ast.expr) -> ast.expr:
    """An index as an expression: slices are written out."""
    if isinstance(node, ast.Slice):
        ends = [part or ast.Constant(None) for part in (node.lower, node.upper, node.step)]
        function = ast.Attribute(name_of(OPERATORS), "slice", ast.Load())
        return located(ast.Call(function, ends, []), node)
    if isinstance(node, ast.Tuple):
        node.elts = [index_expression(part) for part in node.elts]
    return node


def parameter_names(arguments: ast.arguments) -> list[str]:
    """The names of all parameters."""
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    extra = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    return [argument.arg for argument in every + extra]


def bound_directly(statements: list[ast.stmt]) -> Names:
    """Names that statements bind outside of compound ones."""
    simple = [node for node in statements if not hasattr(node, "body")]
    return frozenset(usage(simple).binds)


def handed_over(statements: list[ast.stmt]) -> Names:
    """Names that some branch or loop binds for what follows it."""
    names: set[str] = set()
    for statement in statements:
        for node in ast.walk(statement):
            if hasattr(node, "live"):
                names |= usage([node]).binds & node.live
    return frozenset(name for name in names if not is_hidden(name))


def is_generator(node: ast.FunctionDef) -> bool:
    """Whether a function has a `yield`."""
    return contains(node.body, ast.Yield) or contains(node.body, ast.YieldFrom)


def is_fixed(node: ast.expr | None) -> bool:
    """Whether an index consists of literals."""
    if isinstance(node, ast.Slice):
        return all(is_fixed(part) for part in (node.lower, node.upper, node.step))
    if isinstance(node, ast.Tuple):
        return all(is_fixed(part) for part in node.elts)
    if isinstance(node, ast.UnaryOp):
        return is_fixed(node.operand)
    return node is None or isinstance(node, ast.Constant)


def is_static(node: ast.expr) -> bool:
    """Whether a test is certainly not traced: `is None`, `isinstance(…)`, constants."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return is_static(node.operand)
    if isinstance(node, ast.BoolOp):
        return all(is_static(value) for value in node.values)
    if isinstance(node, ast.Compare):
        return all(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops)
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _STATIC_TESTS
    return isinstance(node, ast.Constant)


def can_wait(node: ast.expr) -> bool:
    """Whether an expression means the same inside a lambda."""
    kinds = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)
    return not any(isinstance(part, kinds) for part in ast.walk(node))


def is_simple(node: ast.expr) -> bool:
    """Whether an expression cannot fail on traced values, so that both sides may be computed."""
    kinds = (ast.Call, ast.Subscript, ast.Await, ast.Lambda)
    return not any(isinstance(part, kinds) for part in ast.walk(node))
