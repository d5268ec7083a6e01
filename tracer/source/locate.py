"""From a Python function to the syntax tree of its own source."""

from __future__ import annotations

import ast
import copy
import inspect
import linecache
import textwrap
from types import CodeType, FunctionType

Definition = ast.FunctionDef | ast.Lambda

_lambdas: dict[str, tuple[list[str], list[ast.Lambda]]] = {}


class UnreadableError(Exception):
    """The source of a function cannot be had, or not be turned; the message says why."""


def locate(function: FunctionType) -> Definition:
    """The syntax tree of `function`, with the line and column numbers of its file.

    Raises `UnreadableError` for generators, coroutines, and where the source is missing or has
    changed.
    """
    code = function.__code__
    if code.co_flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR):
        raise UnreadableError("it is a coroutine")
    if code.co_flags & inspect.CO_GENERATOR:
        raise UnreadableError("it is a generator")
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines or code.co_firstlineno > len(lines):
        raise UnreadableError(f"its source is missing (it was defined in {code.co_filename})")
    node = (
        _find_lambda(code, lines) if code.co_name == "<lambda>" else _find_definition(code, lines)
    )
    if _parameters(node) != code.co_varnames[: len(_parameters(node))]:
        raise UnreadableError(f"its source in {code.co_filename} has changed since it was imported")
    return node


def _find_definition(code: CodeType, lines: list[str]) -> ast.FunctionDef:
    first = code.co_firstlineno
    try:
        text = "".join(inspect.getblock(lines[first - 1 :]))
        # A block that is indented stays as it is, below an `if`, so that columns and strings keep.
        indented = text[:1].isspace()
        tree = ast.parse("if 1:\n" + text if indented else text)
    except (SyntaxError, IndentationError) as error:
        raise UnreadableError(f"its source cannot be parsed ({error})") from error
    body = tree.body[0].body if indented and isinstance(tree.body[0], ast.If) else tree.body
    node = body[0]
    if not isinstance(node, ast.FunctionDef) or node.name != code.co_name:
        raise UnreadableError(f"line {first} of {code.co_filename} does not define it")
    ast.increment_lineno(node, first - 2 if indented else first - 1)
    return node


def _find_lambda(code: CodeType, lines: list[str]) -> ast.Lambda:
    name = code.co_filename
    known = _lambdas.get(name)
    if known is None or known[0] is not lines:
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            tree = _parse_statement(lines, code.co_firstlineno)
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
        known = _lambdas[name] = (lines, found)
    nodes = [node for node in known[1] if node.lineno == code.co_firstlineno]
    if len(nodes) > 1:  # several on one line: the columns of the code tell which
        places = [
            place for place in code.co_positions() if None not in place and place[2:] != (0, 0)
        ]
        nodes = [
            node for node in nodes if places and all(_holds(node.body, place) for place in places)
        ]
        nodes = sorted(nodes, key=lambda node: -node.col_offset)[:1]  # the innermost
    if len(nodes) != 1:
        raise UnreadableError(f"{len(nodes)} lambdas stand on line {code.co_firstlineno}")
    return copy.deepcopy(nodes[0])


def _parse_statement(lines: list[str], first: int) -> ast.Module:
    try:
        tree = ast.parse(textwrap.dedent("".join(inspect.getblock(lines[first - 1 :]))))
    except (SyntaxError, IndentationError) as error:
        raise UnreadableError(f"the source around it cannot be parsed ({error})") from error
    return ast.increment_lineno(tree, first - 1)


def _holds(node: ast.expr, place: tuple[int | None, int | None, int | None, int | None]) -> bool:
    first, last, column, last_column = place
    assert node.end_lineno is not None, "parsed nodes know where they end"
    begin, end = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    return begin <= (first, column) and (last, last_column) <= end


def _parameters(node: Definition) -> tuple[str, ...]:
    every = node.args
    return tuple(argument.arg for argument in (*every.posonlyargs, *every.args, *every.kwonlyargs))
