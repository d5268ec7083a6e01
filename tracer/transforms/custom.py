"""Rules of the user's own: custom_vjp, custom_jvp, stop_gradient, primitive."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import DerivativeError, UnsupportedFunctionError
from tracer.graph.build import build
from tracer.primitives.custom import (
    Rules,
    callback_p,
    custom_jvp_p,
    custom_vjp_p,
    stop_gradient_p,
)
from tracer.source.host import follow_source
from tracer.trace import bind, is_abstract, is_tracer, snapshot, type_of
from tracer.types import PYTHON_SCALARS, ArrayType


def stop_gradient(x: Any) -> Any:
    """`x`, of which no derivative is taken. `x` is a pytree."""
    return tree.map(lambda leaf: bind(stop_gradient_p, leaf) if is_tracer(leaf) else leaf, x)


class _Custom:
    """What custom_vjp and custom_jvp share: the call as one node."""

    kind: Any = None

    def __init__(self, f: Callable[..., Any]) -> None:
        functools.update_wrapper(self, f)
        self.function = f
        self.functions: tuple[Callable[..., Any], ...] | None = None

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any) -> Any:
        function = follow_source(self.function)
        leaves, form = tree.flatten(args)
        name = getattr(self.function, "__name__", "function")
        if not any(is_tracer(leaf) for leaf in leaves):
            result = function(*args)
            if not any(is_tracer(leaf) for leaf in tree.leaves(result)):
                return result  # else it closes over traced values, and its rule is asked
        if self.functions is None:
            raise DerivativeError(f"{name} has no rule yet: call its {self.definer} first")
        out_form: list[Any] = []

        def flat(*inputs: Any) -> list[Any]:
            results, structure = tree.flatten(function(*tree.unflatten(form, inputs)))
            out_form.append(structure)
            return [snapshot(result) for result in results]

        operands = [snapshot(leaf) for leaf in leaves]
        weak = [type(leaf) in PYTHON_SCALARS for leaf in leaves]
        graph, captured = build(flat, [type_of(operand) for operand in operands], name, weak)
        functions = tuple([follow_source(rule) for rule in self.functions])
        rules = Rules(name, form, out_form[0], len(operands), functions)
        results = bind(self.kind, *operands, *captured, graph=graph, rules=rules)
        return tree.unflatten(out_form[0], results)

    @property
    def definer(self) -> str:
        """The method that gives the rule."""
        return "defvjp" if self.kind is custom_vjp_p else "defjvp"


class custom_vjp(_Custom):
    """A function with a reverse-mode rule of its own.

    f = custom_vjp(f); f.defvjp(fwd, bwd), where fwd(*args) returns (f(*args), residuals) and
    bwd(residuals, cotangent) returns a tuple, one cotangent (or None) an argument. Arguments are
    pytrees of
    arrays. In forward mode it raises DerivativeError.
    """

    kind = custom_vjp_p

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> custom_vjp:
        """Give the rule; returns the function, so that it can be a decorator's last call."""
        self.functions = (fwd, bwd)
        return self


class custom_jvp(_Custom):
    """A function with a derivative rule of its own, which serves both modes.

    f = custom_jvp(f); f.defjvp(rule), where rule(primals, tangents) returns (f(*primals), tangent),
    linear in the
    tangents: reverse mode transposes it.
    """

    kind = custom_jvp_p

    def defjvp(self, rule: Callable[..., Any]) -> custom_jvp:
        """Give the rule; returns the function."""
        self.functions = (rule,)
        return self


def array_type(shape: Any = (), dtype: Any = np.float64) -> ArrayType:
    """The type of an array, for `primitive(out=…)`."""
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    return ArrayType(np.dtype(dtype), tuple(int(n) for n in extents))


def primitive(
    f: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    out: Any = None,
) -> Any:
    """Any function of NumPy arrays as one node of the graph: it is called back, from compiled code
    too.

    f     takes and returns pytrees of arrays, and must not keep or change its arguments
    vjp   (args, out, cotangent) → a tuple, one cotangent (or None) an argument; written with
    traced functions
    jvp   (args, out, tangents) → tangent of the result; without vjp, reverse mode transposes it
    out   the type of the result, which jit must know before it runs: a pytree of
    `tracer.array_type(shape, dtype)`,
          or of arrays; or a function of the arguments that returns one. Without it f works outside
          of jit only.
    """
    if f is None:
        return functools.partial(primitive, vjp=vjp, jvp=jvp, out=out)
    name = getattr(f, "__name__", "function")

    @functools.wraps(f)
    def called(*args: Any) -> Any:
        leaves, form = tree.flatten(args)
        if not any(is_tracer(leaf) for leaf in leaves):
            return f(*args)
        operands = [snapshot(leaf) for leaf in leaves]
        own_rules = [rule if rule is None else follow_source(rule) for rule in (vjp, jvp)]
        said = _out_types(f, name, out, args, operands, form)
        types, out_form = said
        rules = Rules(name, form, out_form, len(operands), (f, *own_rules))
        return tree.unflatten(out_form, bind(callback_p, *operands, types=types, rules=rules))

    return called


def _out_types(
    f: Callable[..., Any], name: str, out: Any, args: Any, operands: Any, form: Any
) -> tuple[tuple[ArrayType, ...], Any]:
    if out is None:
        if any(is_abstract(operand) for operand in operands):
            raise UnsupportedFunctionError(
                f"{name} is a black box whose result's type is not known under jit; say it: "
                "tracer.primitive(f, out=tracer.array_type(shape, dtype))"
            )
        values = [o.concrete("a black box") if is_tracer(o) else o for o in operands]
        leaves, out_form = tree.flatten(f(*tree.unflatten(form, values)))
        return tuple(type_of(np.asarray(leaf)) for leaf in leaves), out_form
    result = out(*args) if callable(out) else out
    leaves, out_form = tree.flatten_types(result)
    return tuple(
        leaf if isinstance(leaf, ArrayType) else type_of(leaf) for leaf in leaves
    ), out_form
