"""The derivative as a linear map, and its adjoint: grad, value_and_grad, vjp, jvp, linearize."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import (
    NonDifferentiableInputError,
    NonScalarOutputError,
    NotAnArrayError,
    ShapeError,
    StructureError,
)
from tracer.graph.nodes import Node, Variable
from tracer.primitives.broadcast import zeros
from tracer.source.host import follow_source
from tracer.trace import GraphTrace, Tracer, ValueTrace, bind, opened, snapshot, type_of
from tracer.transforms.forward import push_forward
from tracer.transforms.reverse import accumulate, pull_back
from tracer.types import ArrayType, is_complex, is_inexact

ArgNums = int | tuple[int, ...] | Sequence[int]


def check_differentiable(value: Any, what: str) -> Any:
    """`value` as an array of which a derivative can be taken."""
    try:
        type_ = type_of(value)
    except NotAnArrayError as error:
        raise NotAnArrayError(f"{what}: {error.args[0]}") from None
    if not is_inexact(type_.dtype):
        is_primal = what.startswith("a primal")
        cure = (
            "let the function close over it" if is_primal else "leave this argument out of argnums"
        )
        raise NonDifferentiableInputError(
            f"{what} has dtype {type_.dtype}, which has no derivative; pass a float or complex "
            f"array (x.astype(float)), or {cure}"
        )
    return value


def trace_inputs(trace: ValueTrace, values: Sequence[Any], what: str) -> list[Tracer]:
    """The inputs of a trace of which a derivative is taken."""
    return [
        trace.input(
            check_differentiable(value, what), weak=type(value) is float or type(value) is complex
        )
        for value in values
    ]


def lowered(trace: ValueTrace, value: Any) -> Any:
    """What `value` is one level below `trace`."""
    if type(value) is Tracer and value.variable.trace is trace:
        return value.variable.value
    return snapshot(value)


def lower_tree(trace: ValueTrace, values: Any) -> Any:
    """`lowered` over a pytree."""
    return tree.map(lambda leaf: lowered(trace, leaf), values)


def positions(argnums: ArgNums, count: int) -> tuple[int, ...]:
    """The arguments that `argnums` names, counted from the front."""
    wanted: Any = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    if not all(isinstance(number, (int, np.integer)) for number in wanted):
        raise TypeError(f"argnums is an int or a tuple of ints, not {argnums!r}")
    result = []
    for number in wanted:
        if not -count <= number < count:
            raise ValueError(
                f"argnums names argument {number}, but there are {count} positional ones"
            )
        result.append(int(number) % count)
    return tuple(result)


def _scalar_output(leaf: Any, form: Any, name: str, holomorphic: bool) -> None:
    if form.num_leaves != 1 or form.num_nodes != 1:
        raise NonScalarOutputError(
            f"grad needs a function that returns one scalar, but {name} returns {form}; "
            "use has_aux=True for (scalar, anything), or jacrev for several outputs"
        )
    type_ = type_of(leaf)
    if type_.shape != ():
        raise NonScalarOutputError(
            f"grad needs a function that returns one scalar, but {name} returns an array of shape "
            f"{type_.shape}; sum it, or use jacrev or elementwise_grad"
        )
    if is_complex(type_.dtype) and not holomorphic:
        raise NonScalarOutputError(
            f"grad needs a real result, but {name} returns {type_.dtype}; take its real part, or "
            f"say "
            "holomorphic=True if the function is holomorphic"
        )
    if not is_inexact(type_.dtype):
        raise NonScalarOutputError(
            f"grad needs a result of floating dtype, but {name} returns {type_.dtype}"
        )


def function_name(f: Callable[..., Any]) -> str:
    """How messages call a function."""
    return getattr(f, "__name__", type(f).__name__)


def value_and_grad(
    f: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """A function that returns `(f(*args), gradient)`.

    f returns one scalar (with `has_aux`: a pair of one scalar and anything). The gradient has the
    structure,
    shapes and dtypes of the arguments that `argnums` names: a tuple of them if `argnums` is a
    tuple.
    Raises NonScalarOutputError, NonDifferentiableInputError.
    """
    name = function_name(f)

    @functools.wraps(f)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        chosen = positions(argnums, len(args))
        leaves, form = tree.flatten(tuple(args[place] for place in chosen))
        trace = ValueTrace(reverse=True)
        with opened(trace):
            inputs = trace_inputs(trace, leaves, f"an argument of grad({name})")
            full = list(args)
            for place, part in zip(chosen, tree.unflatten(form, inputs), strict=True):
                full[place] = part
            variables = [tracer.variable for tracer in inputs]  # f may assign to its arguments
            result = follow_source(f)(*full, **kwargs)
        result, aux = _split_aux(result, has_aux, name)
        (leaf,), out_form = _one_leaf(result)
        _scalar_output(leaf, out_form, name, holomorphic)
        gradient = tree.unflatten(form, _gradients(trace, leaf, variables, holomorphic))
        gradient = gradient[0] if isinstance(argnums, (int, np.integer)) else gradient
        value = lowered(trace, leaf)
        return ((value, lower_tree(trace, aux)), gradient) if has_aux else (value, gradient)

    return value_and_gradient


def _split_aux(result: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not isinstance(result, tuple) or len(result) != 2:
        raise NonScalarOutputError(f"with has_aux=True {name} must return a pair (scalar, aux)")
    return result


def _one_leaf(result: Any) -> tuple[list[Any], Any]:
    leaves, form = tree.flatten(result)
    return (leaves if len(leaves) == 1 else [None]), form


def _gradients(
    trace: ValueTrace, leaf: Any, variables: Sequence[Variable], holomorphic: bool
) -> list[Any]:
    found: dict[Variable, Any] = {}
    if type(leaf) is Tracer and leaf.variable.trace is trace:
        found[leaf.variable] = leaf.dtype.type(1)
        with np.errstate(all="ignore"):
            pull_back(trace.nodes, found)
    return [
        zeros(variable.type) if found.get(variable) is None else found[variable]
        for variable in variables
    ]


def grad(
    f: Callable[..., Any],
    argnums: ArgNums = 0,
    *,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The gradient of a function that returns one scalar, by reverse mode.

    Arguments and errors as in `value_and_grad`. With `has_aux` the result is `(gradient, aux)`.
    For complex z = x + iy the gradient of a real function is ∂f/∂x − i ∂f/∂y.

    >>> import tracer
    >>> float(tracer.grad(lambda x: x**3)(2.0))
    12.0
    """
    both = value_and_grad(f, argnums, has_aux=has_aux, holomorphic=holomorphic)

    @functools.wraps(f)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def _matching(given: Any, form: Any, types: Sequence[ArrayType], what: str) -> list[Any]:
    """The leaves of a (co)tangent, checked against the value it belongs to."""
    leaves, given_form = tree.flatten(given)
    if given_form != form:
        raise StructureError(f"{what} has structure {given_form}, but {form} was due")
    result = []
    for leaf, type_ in zip(leaves, types, strict=True):
        found = type_of(leaf)
        if found.shape != type_.shape:
            raise ShapeError(f"{what} has shape {found.shape}, but {type_.shape} was due")
        if found.dtype != type_.dtype and is_inexact(type_.dtype):
            from tracer.primitives.pointwise import converted

            if is_complex(found.dtype) and not is_complex(type_.dtype):
                raise ShapeError(f"{what} has dtype {found.dtype}, but {type_.dtype} was due")
            leaf = converted(leaf, type_.dtype)
        result.append(snapshot(leaf))
    return result


def frozen(value: Any) -> Any:
    """A copy that no later assignment by the caller changes."""
    return value.copy() if type(value) is np.ndarray else value


def vjp(f: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """`(out, pullback)`: the value, and the adjoint of the derivative at `primals`.

    `pullback(cotangent)` takes a pytree shaped as `out` and returns a tuple, one cotangent a
    primal.
    With `has_aux`, `(out, pullback, aux)`.
    """
    leaves, form = tree.flatten(primals)
    name = function_name(f)
    trace = ValueTrace(reverse=True)
    with opened(trace):
        inputs = trace_inputs(trace, [frozen(leaf) for leaf in leaves], f"a primal of vjp({name})")
        variables = [tracer.variable for tracer in inputs]
        result = follow_source(f)(*tree.unflatten(form, inputs))
    result, aux = _split_aux(result, has_aux, name)
    out_leaves, out_form = tree.flatten(result)
    out_leaves = [snapshot(leaf) for leaf in out_leaves]
    types = [type_of(leaf) for leaf in out_leaves]

    def pullback(cotangent: Any) -> Any:
        cotangents = _matching(cotangent, out_form, types, f"the cotangent of {name}")
        found: dict[Variable, Any] = {}
        for leaf, ct in zip(out_leaves, cotangents, strict=True):
            if type(leaf) is Tracer and leaf.variable.trace is trace and is_inexact(leaf.dtype):
                accumulate(found, leaf.variable, ct)
        with np.errstate(all="ignore"):
            pull_back(trace.nodes, found)
        results = [
            zeros(variable.type) if found.get(variable) is None else found[variable]
            for variable in variables
        ]
        return tree.unflatten(form, results)

    out = tree.unflatten(out_form, [lowered(trace, leaf) for leaf in out_leaves])
    return (out, pullback, lower_tree(trace, aux)) if has_aux else (out, pullback)


def _traced_primals(f: Callable[..., Any], primals: Any, what: str) -> Any:
    leaves, form = tree.flatten(primals)
    trace = ValueTrace()
    with opened(trace):
        inputs = trace_inputs(trace, [frozen(leaf) for leaf in leaves], what)
        variables = [tracer.variable for tracer in inputs]
        result = follow_source(f)(*tree.unflatten(form, inputs))
    out_leaves, out_form = tree.flatten(result)
    return trace, variables, form, [snapshot(leaf) for leaf in out_leaves], out_form


def _tangents_of(
    trace: ValueTrace, leaves: Sequence[Any], tangents: dict[Variable, Any]
) -> list[Any]:
    result = []
    for leaf in leaves:
        inside = type(leaf) is Tracer and leaf.variable.trace is trace
        tangent = tangents.get(leaf.variable) if inside else None
        result.append(zeros(type_of(leaf)) if tangent is None else tangent)
    return result


def jvp(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """`(f(*primals), Df(primals)·tangents)`, by forward mode; tangents are shaped as the
    primals.
    """
    name = function_name(f)
    trace, variables, form, leaves, out_form = _traced_primals(
        f, tuple(primals), f"a primal of jvp({name})"
    )
    types = [variable.type for variable in variables]
    given = _matching(tuple(tangents), form, types, f"the tangent of {name}")
    pushed = dict(zip(variables, given, strict=True))
    with np.errstate(all="ignore"):
        push_forward(trace.nodes, pushed)
    out = tree.unflatten(out_form, [lowered(trace, leaf) for leaf in leaves])
    return out, tree.unflatten(out_form, _tangents_of(trace, leaves, pushed))


def replay(nodes: Sequence[Node], values: dict[Variable, Any]) -> None:
    """Run nodes on other values for their inputs; adds the results to `values`."""
    for node in nodes:
        operands = [values.get(op, op) if type(op) is Variable else op for op in node.operands]
        out = bind(node.primitive, *operands, **node.params)
        values.update(zip(node.results, out if node.primitive.multiple else (out,), strict=True))


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`(out, pushforward)`: the value, and the derivative at `primals` as a linear function of
    tangents.

    f is evaluated once; each `pushforward(*tangents)` runs the linear part only.
    """
    name = function_name(f)
    trace, variables, form, leaves, out_form = _traced_primals(
        f, primals, f"a primal of linearize({name})"
    )
    linear = GraphTrace(linear=True)
    inputs = [linear.input(variable.type) for variable in variables]
    pushed: dict[Variable, Any] = dict(zip(variables, inputs, strict=True))
    with np.errstate(all="ignore"):
        push_forward(trace.nodes, pushed)
    results = _tangents_of(trace, leaves, pushed)
    types = [variable.type for variable in variables]

    def pushforward(*tangents: Any) -> Any:
        given = _matching(tangents, form, types, f"the tangent of {name}")
        values: dict[Variable, Any] = {
            tracer.variable: tangent for tracer, tangent in zip(inputs, given, strict=True)
        }
        with np.errstate(all="ignore"):
            replay(linear.nodes, values)
        out = [
            values[item.variable]
            if type(item) is Tracer and item.variable.trace is linear
            else item
            for item in results
        ]
        return tree.unflatten(out_form, out)

    return tree.unflatten(out_form, [lowered(trace, leaf) for leaf in leaves]), pushforward


def linear_transpose(f: Callable[..., Any], *primals: Any) -> Callable[..., Any]:
    """The transpose of a linear function, of which `primals` give the types of the arguments.

    Returns a function from a cotangent shaped as f's result to a tuple, one cotangent a primal.
    Raises NonlinearError where f is not linear.
    """
    leaves, form = tree.flatten(primals)
    name = function_name(f)
    trace = GraphTrace(linear=True)
    with opened(trace):
        inputs = [trace.input(type_of(leaf)) for leaf in leaves]
        variables = [tracer.variable for tracer in inputs]
        result = follow_source(f)(*tree.unflatten(form, inputs))
    out_leaves, out_form = tree.flatten(result)
    types = [type_of(leaf) for leaf in out_leaves]

    def transposed(cotangent: Any) -> Any:
        cotangents = _matching(cotangent, out_form, types, f"the cotangent of {name}")
        found: dict[Variable, Any] = {}
        for leaf, ct in zip(out_leaves, cotangents, strict=True):
            if type(leaf) is Tracer and leaf.variable.trace is trace:
                accumulate(found, leaf.variable, ct)
        pull_back(trace.nodes, found)
        results = [
            zeros(variable.type) if found.get(variable) is None else found[variable]
            for variable in variables
        ]
        return tree.unflatten(form, results)

    return transposed
