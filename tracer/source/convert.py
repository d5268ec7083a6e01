"""Conversion: a function in, the same function out, with control flow that follows traced values.

The converted function shares the original's globals, defaults and closure cells, and its code
carries the user's own file name and line numbers. Each code object is converted once.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import sys
import weakref
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any, TypeGuard

from tracer.source.locate import Definition, UnreadableError, locate
from tracer.source.members import has_operators
from tracer.source.rewrite import REGION_PREFIXES, Rewriter, World
from tracer.source.syntax import OPERATORS, class_of, function_of, parameter_names

_FACTORY = "__factory__"
_LEFT_ALONE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_FUTURE_FLAGS = 0x1FE0000  # those of `from __future__ import …`


class _Known:
    """What became of a code object: other code, itself (it is our own), or a reason."""

    __slots__ = ("code", "reason", "reference", "result")

    def __init__(self, original: CodeType, code: CodeType | None, reason: str | None) -> None:
        key = id(original)
        self.code = code
        self.reason = reason
        self.result: tuple[Callable[..., Any], Any, Callable[..., Any]] | None = None
        known = _known  # bound here: at the end of the process the module may be gone first
        self.reference = weakref.ref(original, lambda _: known.pop(key, None))


_known: dict[int, _Known] = {}


def convert(function: Callable[..., Any], operators: Any) -> Callable[..., Any]:
    """`function` with its control flow handed to `operators`; itself where the source cannot be
    read.

    `why_not` then says why. Only Python functions are converted; other callables come back as they
    are.
    """
    if type(function) is not FunctionType:
        return function
    original = function.__code__
    known = _known.get(id(original))
    if known is None:
        known = _remember(function)
    code = known.code
    if code is None or code is original:
        return function
    if known.result is not None and known.result[0] is function and known.result[1] is operators:
        return known.result[2]
    result = _with_code(function, code, operators)
    if not original.co_freevars:  # a function of a module, which lives as long as its code
        known.result = function, operators, result
    return result


def _with_code(function: FunctionType, code: CodeType, operators: Any) -> FunctionType:
    """`function` with other code: its names, globals, defaults and cells."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[OPERATORS] = CellType(operators)
    closure = tuple([cells[name] for name in code.co_freevars])
    result = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, closure
    )
    if function.__kwdefaults__:
        result.__kwdefaults__ = function.__kwdefaults__
    if sys.version_info >= (3, 14):
        result.__annotate__ = function.__annotate__  # not evaluated: names in it may not exist
    elif function.__annotations__:
        result.__annotations__ = function.__annotations__
    result.__module__ = function.__module__
    result.__qualname__ = function.__qualname__
    result.__doc__ = function.__doc__
    result.__dict__.update(function.__dict__, __wrapped__=function)
    return result


def why_not(code: CodeType) -> str | None:
    """Why the function with that code was not converted; None if it was, or nobody tried."""
    known = _known.get(id(code))
    return known.reason if known is not None else None


def unread_reason() -> str | None:
    """Why one of the functions that are running now was not converted: the innermost that has a
    reason."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        reason = why_not(frame.f_code)
        if reason is not None:
            return reason
        frame = frame.f_back
    return None


def is_converted(code: CodeType) -> bool:
    """Whether `code` is a product of the conversion."""
    known = _known.get(id(code))
    return known is not None and known.code is code


def _remember(function: FunctionType) -> _Known:
    original = function.__code__
    try:
        code: CodeType | None = _converted_code(function)
        reason = None
    except UnreadableError as error:
        code, reason = None, f"the source of {function.__qualname__} is not read: {error}"
    known = _known[id(original)] = _Known(original, code, reason)
    if code is not None:
        for part in _nested(code):
            _known[id(part)] = _Known(part, part, None)
    return known


def _converted_code(function: FunctionType) -> CodeType:
    original = function.__code__
    node = locate(function)
    class_name = _class_name(original.co_qualname)
    _drop_outside(node)
    rewriter = Rewriter(class_name, _world(function, node))
    body: list[ast.stmt] = [
        (
            ast.Expr(rewriter.expression(node))
            if isinstance(node, ast.Lambda)
            else rewriter.definition(node)
        )
    ]
    if class_name is not None:  # Python spells private names by their class
        body = [class_of(class_name, body)]
        if class_name not in original.co_freevars:  # the class itself is found where it was
            body.insert(0, ast.Global([class_name]))
    elif isinstance(node, ast.FunctionDef) and node.name not in original.co_freevars:
        body.insert(0, ast.Global([node.name]))  # as it is found when it calls itself
    names = [name for name in (*original.co_freevars, OPERATORS) if name != "__class__"]
    factory = function_of(_FACTORY, names, body)
    module = ast.fix_missing_locations(ast.Module([ast.copy_location(factory, node)], []))
    flags = original.co_flags & _FUTURE_FLAGS
    compiled = compile(module, original.co_filename, "exec", flags=flags, dont_inherit=True)
    code = (
        _inner(_inner(compiled, _FACTORY), class_name) if class_name else _inner(compiled, _FACTORY)
    )
    return _renamed(_inner(code, original.co_name), original, class_name)


def _world(function: FunctionType, node: Definition) -> World:
    """What `function` sees of modules and classes, in its globals, its cells and itself."""
    seen = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a variable without a value yet
            seen[name] = cell.cell_contents
    own = {part.id for part in ast.walk(node) if _is_stored(part)} | set(parameter_names(node.args))
    modules = {name for name, value in seen.items() if isinstance(value, ModuleType)} - own
    classes: list[Any] = []
    for value in seen.values():
        if isinstance(value, type):
            classes.append(value)
        elif isinstance(value, ModuleType) and not hasattr(value, "__path__"):
            classes += vars(value).values()
    inside = any(isinstance(part, ast.ClassDef) for part in ast.walk(node))
    return World(frozenset(modules), inside or any(map(has_operators, classes)))


def _is_stored(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)


def _drop_outside(node: Definition) -> None:
    """Decorators, defaults and annotations were evaluated where the function was defined."""
    node.args.defaults = []
    node.args.kw_defaults = [None] * len(node.args.kwonlyargs)
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    every += [extra for extra in (node.args.vararg, node.args.kwarg) if extra is not None]
    for argument in every:
        argument.annotation = None
    if isinstance(node, ast.FunctionDef):
        node.decorator_list = []
        node.returns = None
        if sys.version_info >= (3, 12):
            node.type_params = []


def _class_name(qualified_name: str) -> str | None:
    """The innermost class around a function, by its qualified name."""
    parts = qualified_name.split(".")
    following = parts[1:]
    outer = zip(parts, following, strict=False)
    classes = [part for part, after in outer if part != "<locals>" and after != "<locals>"]
    return classes[-1] if classes else None


def _inner(code: CodeType, name: str | None) -> CodeType:
    """The code of the function or class of that name which `code` defines."""
    return next(part for part in _parts(code) if part.co_name == name)


def _parts(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _nested(code: CodeType) -> Iterator[CodeType]:
    """`code` and the code in it that was converted with it: not that of classes and generators."""
    yield code
    for part in _parts(code):
        is_function = part.co_flags & inspect.CO_OPTIMIZED
        if is_function and (part.co_name == "<genexpr>" or not part.co_flags & _LEFT_ALONE):
            yield from _nested(part)


def _renamed(code: CodeType, original: CodeType, class_name: str | None) -> CodeType:
    """Branches and bodies go by the name of the user's function, in tracebacks and recorded source
    lines."""
    prefix = f"{_FACTORY}.<locals>." + (f"{class_name}." if class_name else "") + original.co_name

    def rename(part: CodeType, owner: str, owner_path: str) -> CodeType:
        name, path = part.co_name, part.co_qualname.replace(prefix, original.co_qualname, 1)
        if name.startswith(REGION_PREFIXES):
            name, path = owner, owner_path
        constants = tuple(
            rename(constant, name, path) if isinstance(constant, CodeType) else constant
            for constant in part.co_consts
        )
        return part.replace(co_name=name, co_qualname=path, co_consts=constants)

    return rename(code, original.co_name, original.co_qualname)
