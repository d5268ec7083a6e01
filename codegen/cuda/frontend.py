"""Less work for Numba, whose typing and lowering are nearly all of a kernel's compile time.

A kernel that calls no function of ours in Python needs few of Numba's passes: nothing is to be
inlined, rewritten or pruned, and NVVM brings variables into SSA form itself.

A conditional expression costs Numba three blocks and a variable for SSA to take care of, and its
analyses take the square of the number of blocks. Where both branches are arithmetic that may as
well be computed in vain, a selection does the same without blocks. And what an operator's
signature is for operands of some types is asked for at each of its uses: it is found once.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from codegen.cuda.shorter import shortened

SELECT = "_select"
"""The name that kernels find the selection under."""

HARMLESS = (
    *(ast.Name, ast.Constant, ast.Load, ast.UnaryOp, ast.Compare, ast.IfExp, ast.operator),
    *(ast.unaryop, ast.cmpop, ast.BinOp, ast.expr_context),
)
HARMFUL = (ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.LShift, ast.RShift, ast.MatMult)
"""Operations that have no value for some operands."""


class _Selections(ast.NodeTransformer):
    """Conditional expressions become calls of `_select`."""

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """The call, where both branches may be computed in vain."""
        simple = _is_harmless(node.body) and _is_harmless(node.orelse)
        self.generic_visit(node)
        if not simple:
            return node
        name = ast.Name(SELECT, ast.Load())
        call = ast.Call(name, [node.test, node.body, node.orelse], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))


def _is_harmless(branch: ast.expr) -> bool:
    return all(
        isinstance(part, HARMLESS) and not isinstance(part, HARMFUL) for part in ast.walk(branch)
    )


def with_selections(source: str) -> ast.Module:
    """The module with calls of `_select` in the place of conditional expressions, and without what
    computes nothing.
    """
    tree: ast.Module = _Selections().visit(ast.parse(source))
    for number, part in enumerate(tree.body):
        if isinstance(part, ast.FunctionDef) and not part.decorator_list:
            tree.body[number] = shortened(part)
    return ast.fix_missing_locations(tree)


@cache
def selection() -> Any:
    """`_select(condition, if_true, if_false)` for Numba: of the type that a conditional has."""
    from numba.cuda import types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    def select(context: Any, condition: Any, if_true: Any, if_false: Any) -> Any:
        result = context.unify_types(if_true, if_false)
        if result is None:
            return None

        def emit(target: Any, builder: Any, typed: Any, operands: Any) -> Any:
            test = target.cast(builder, operands[0], typed.args[0], types.boolean)
            values = (
                target.cast(builder, value, given, typed.return_type)
                for value, given in zip(operands[1:], typed.args[1:], strict=True)
            )
            return builder.select(test, *values)

        return signature(result, condition, if_true, if_false), emit

    return intrinsic(select)


@contextlib.contextmanager
def remembering() -> Iterator[None]:
    """Let Numba find the signature of an operator for the types of its operands once.

    Types of functions with what they have been asked are kept, as Numba keeps them in its own.
    """
    from numba.core.types.functions import Function

    kind: Any = Function
    find: Callable[..., Any] = kind.get_call_type

    def remembered(self: Any, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            return find(self, context, args, kws)
        key = (self, context, args)
        found = _signatures.get(key)
        if found is None:
            found = find(self, context, args, kws)
            if found is not None:
                _signatures[key] = found
        return found

    kind.get_call_type = remembered
    try:
        yield
    finally:
        kind.get_call_type = find


_signatures: dict[Any, Any] = {}


@contextlib.contextmanager
def few_passes(function: Callable[..., Any]) -> Iterator[None]:
    """Let Numba compile this function, and none that it needs besides, by the passes that it cannot
    do without.
    """
    from numba.cuda import compiler

    usual = compiler.CUDACompiler

    class Chosen(usual):  # type: ignore[misc, valid-type]
        def define_pipelines(self) -> Any:
            own = self.state.func_id.func is function
            return [_short_pipeline()] if own else super().define_pipelines()

    compiler.CUDACompiler = Chosen
    try:
        yield
    finally:
        compiler.CUDACompiler = usual


def _short_pipeline() -> Any:
    from numba.cuda import compiler
    from numba.cuda.core import compiler_machinery, typed_passes, untyped_passes

    class Manager(compiler_machinery.PassManager):  # type: ignore[misc]
        def _runPass(self, index: int, step: Any, state: Any) -> None:
            # Without Numba's analyses of variables' lifetimes after each.
            step.analysis = self._analysis
            step.run_initialization(state)
            step.run_pass(state)
            step.run_finalizer(state)

    manager = Manager("kernel")
    for step in (
        compiler.CUDATranslateBytecode,
        untyped_passes.FixupArgs,
        typed_passes.NopythonTypeInference,
        compiler.CreateLibrary,
        compiler.CUDANativeLowering,
        compiler.CUDABackend,
    ):
        manager.add_pass(step, step._name)
    manager.finalize()
    return manager
