"""Calls with rules of the user's own: custom_vjp, custom_jvp, stop_gradient, and black-box
functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import DerivativeError, DTypeError, ShapeError, StructureError
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import broadcast_to, reduce_sum, zeros
from tracer.trace import bind, type_of
from tracer.types import ArrayType, is_inexact

stop_gradient_p: Primitive = register(
    Primitive(
        "stop_gradient",
        lambda x: x,
        lambda x: x,
        batch_rule=lambda size, operands, batched: bind(stop_gradient_p, operands[0]),
        lowering=Lowering("elementwise", "stop_gradient"),
        differentiable=False,
    )
)


class Rules:
    """The functions of a custom call, and how its flat operands and results are put together.

    `count` operands are the arguments; the rest is what the function captured from outside.
    """

    def __init__(
        self,
        name: str,
        form: Any,
        out_form: Any,
        count: int,
        functions: Sequence[Any],
        *,
        given_result: bool = False,
    ) -> None:
        self.given_result = given_result  # the jvp rule takes the result, and returns a tangent
        self.name = name
        self.form = form
        self.out_form = out_form
        self.count = count
        self.functions = tuple(functions)

    def arguments(self, operands: Sequence[Any]) -> Any:
        """The arguments as the user's functions take them."""
        return tree.unflatten(self.form, operands[: self.count])

    def flat(self, value: Any, form: Any, what: str) -> list[Any]:
        """The leaves of what a rule returned, which must have that structure."""
        leaves, found = tree.flatten(value)
        if found != form:
            raise StructureError(f"{what} of {self.name} returned {found}, but {form} was due")
        return leaves


def _call_type(*operands: ArrayType, graph: Graph, rules: Rules) -> Any:
    if operands != graph.input_types:
        raise TypeError(f"{graph.name} takes {graph.input_types}, not {operands}")
    return graph.output_types


def _call_evaluate(*operands: Any, graph: Graph, rules: Rules) -> Any:
    return tuple(evaluate(graph, operands))


def _refuse_captured(rules: Rules, active: Sequence[bool]) -> None:
    if any(active[rules.count :]):
        raise DerivativeError(
            f"{rules.name} has rules of its own and closes over a value that is differentiated; "
            "pass that value as an argument"
        )


def _checked(ct: Any, type_: ArrayType, rules: Rules, what: str) -> Any:
    found = type_of(ct)
    if found.shape != type_.shape:
        raise ShapeError(
            f"{what} of {rules.name} returned shape {found.shape} where {type_.shape} was due"
        )
    from tracer.primitives.pointwise import converted

    return converted(ct, type_.dtype)


# custom_vjp: functions are (fwd, bwd)


def _vjp_forward(primals: Any, active: Any, *, graph: Graph, rules: Rules) -> Any:
    _refuse_captured(rules, active)
    result = rules.functions[0](*rules.arguments(primals))
    if not isinstance(result, tuple) or len(result) != 2:
        raise StructureError(f"the fwd rule of {rules.name} must return a pair (out, residuals)")
    outputs = rules.flat(result[0], rules.out_form, "the fwd rule")
    checked = [
        _checked(output, type_, rules, "the fwd rule")
        for output, type_ in zip(outputs, graph.output_types, strict=True)
    ]
    return tuple(checked), result[1]


def _vjp_backward(
    cts: Any, primals: Any, results: Any, active: Any, residuals: Any, *, graph: Graph, rules: Rules
) -> Any:
    if residuals is None:
        residuals = _vjp_forward(primals, active, graph=graph, rules=rules)[1]
    given = [
        zeros(type_) if ct is None else ct
        for ct, type_ in zip(cts, graph.output_types, strict=True)
    ]
    found = rules.functions[1](residuals, tree.unflatten(rules.out_form, given))
    types = [type_of(primal) for primal in primals[: rules.count]]
    flat = _cotangents(found, rules, types)
    checked = [
        None if ct is None or not wanted else _checked(ct, type_, rules, "the bwd rule")
        for ct, type_, wanted in zip(flat, types, active, strict=False)
    ]
    return [*checked, *(None for _ in primals[rules.count :])]


def _cotangents(found: Any, rules: Rules, types: Sequence[ArrayType]) -> list[Any]:
    """One cotangent a leaf of the arguments; a rule may return None for a whole argument."""
    arguments = tree.unflatten(rules.form, types)
    if not isinstance(found, (tuple, list)) or len(found) != len(arguments):
        raise StructureError(
            f"the bwd rule of {rules.name} must return a tuple of {len(arguments)}, one an argument"
        )
    flat: list[Any] = []
    for ct, argument in zip(found, arguments, strict=True):
        wanted = tree.leaves_of_types(argument)
        if ct is None:
            flat.extend([None] * len(wanted))
            continue
        leaves = tree.leaves(ct)
        if len(leaves) != len(wanted):
            raise StructureError(
                f"the bwd rule of {rules.name} returned {len(leaves)} leaves for an argument of "
                f"{len(wanted)}"
            )
        flat.extend(leaves)
    return flat


def _vjp_refuses_jvp(
    primals: Any, tangents: Any, results: Any, *, graph: Graph, rules: Rules
) -> Any:
    raise DerivativeError(
        f"{rules.name} has a custom_vjp rule, which says nothing of forward mode; use reverse mode "
        "(grad, vjp, jacrev), or give it a custom_jvp rule, which serves both"
    )


def _batched_axes(rules: Rules, batched: Sequence[bool]) -> Any:
    axes = [0 if has else None for has in batched[: rules.count]]
    return tree.unflatten(rules.form, axes)


def _vjp_batch(size: int, operands: Any, batched: Any, *, graph: Graph, rules: Rules) -> Any:
    from tracer.transforms.vmap import batch_graph, vmap

    flags = tuple(batched)
    inner, _ = batch_graph(graph, size, flags, (True,) * len(graph.outputs))
    axes = _batched_axes(rules, batched)

    def fwd(*args: Any) -> Any:
        return vmap(rules.functions[0], in_axes=axes)(*args)

    def bwd(residuals: Any, ct: Any) -> Any:
        found = vmap(rules.functions[1])(residuals, ct)
        types = list(graph.input_types[: rules.count])
        flat = _cotangents(found, rules, types)
        summed = [
            ct if has or ct is None else reduce_sum(ct, (0,))
            for ct, has in zip(flat, batched, strict=False)
        ]
        return tree.unflatten(rules.form, summed)

    outer = Rules(rules.name, rules.form, rules.out_form, rules.count, (fwd, bwd))
    results = bind(custom_vjp_p, *operands, graph=inner, rules=outer)
    return results, (True,) * len(results)


custom_vjp_p = register(
    Primitive(
        "custom_vjp",
        _call_type,
        _call_evaluate,
        jvp_rule=_vjp_refuses_jvp,
        vjp_rule=_vjp_backward,
        forward_rule=_vjp_forward,
        batch_rule=_vjp_batch,
        lowering=Lowering("call"),
        multiple=True,
    )
)


# custom_jvp: functions are (rule,)


def _jvp_forward(primals: Any, tangents: Any, results: Any, *, graph: Graph, rules: Rules) -> Any:
    _refuse_captured(rules, [tangent is not None for tangent in tangents])
    given = [
        zeros(type_of(primal)) if tangent is None else tangent
        for primal, tangent in zip(primals[: rules.count], tangents, strict=False)
    ]
    if rules.given_result:
        out = tree.unflatten(rules.out_form, results)
        tangent = rules.functions[0](rules.arguments(primals), rules.arguments(given), out)
    else:
        result = rules.functions[0](rules.arguments(primals), rules.arguments(given))
        if not isinstance(result, tuple) or len(result) != 2:
            raise StructureError(f"the jvp rule of {rules.name} must return a pair (out, tangent)")
        tangent = result[1]
    pushed = rules.flat(tangent, rules.out_form, "the jvp rule")
    return [
        _checked(tangent, type_, rules, "the jvp rule") if is_inexact(type_.dtype) else None
        for tangent, type_ in zip(pushed, graph.output_types, strict=True)
    ]


def _wide(tangents: Any, size: int, axes: Any) -> Any:
    """Tangents of arguments that are not batched, repeated for every lane."""
    leaves, form = tree.flatten(tangents)
    flags = tree.spread_prefix(axes, tangents, "axes")
    return tree.unflatten(
        form,
        [
            broadcast_to(leaf, (size, *leaf.shape)) if axis is None else leaf
            for leaf, axis in zip(leaves, flags, strict=True)
        ],
    )


def _jvp_batch(size: int, operands: Any, batched: Any, *, graph: Graph, rules: Rules) -> Any:
    from tracer.transforms.vmap import batch_graph, vmap

    inner, _ = batch_graph(graph, size, tuple(batched), (True,) * len(graph.outputs))
    axes = _batched_axes(rules, batched)

    def rule(primals: Any, tangents: Any, *out: Any) -> Any:
        places = (axes, 0, *(0 for _ in out))
        return vmap(rules.functions[0], in_axes=places)(primals, _wide(tangents, size, axes), *out)

    outer = Rules(
        rules.name,
        rules.form,
        rules.out_form,
        rules.count,
        (rule,),
        given_result=rules.given_result,
    )
    results = bind(custom_jvp_p, *operands, graph=inner, rules=outer)
    return results, (True,) * len(results)


custom_jvp_p = register(
    Primitive(
        "custom_jvp",
        _call_type,
        _call_evaluate,
        jvp_rule=_jvp_forward,
        batch_rule=_jvp_batch,
        lowering=Lowering("call"),
        multiple=True,
    )
)


# Black boxes: functions are (function, vjp or None, jvp or None)


def _callback_type(*operands: ArrayType, types: tuple[ArrayType, ...], rules: Rules) -> Any:
    return types


def run_callback(operands: Sequence[Any], types: Sequence[ArrayType], rules: Rules) -> list[Any]:
    """Call a black box with arrays, and see that it returns what it promised."""
    result = rules.functions[0](*rules.arguments([np.asarray(operand) for operand in operands]))
    leaves = rules.flat(result, rules.out_form, "the function")
    outputs = []
    for leaf, type_ in zip(leaves, types, strict=True):
        array = np.asarray(leaf)
        if array.shape != type_.shape:
            raise ShapeError(
                f"{rules.name} returned shape {array.shape}, but {type_.shape} was said"
            )
        if not np.can_cast(array.dtype, type_.dtype, "same_kind"):
            raise DTypeError(f"{rules.name} returned {array.dtype}, but {type_.dtype} was said")
        outputs.append(array.astype(type_.dtype, copy=False))
    return outputs


def _callback_evaluate(*operands: Any, types: Any, rules: Rules) -> Any:
    return tuple(run_callback(operands, types, rules))


def _callback_jvp(primals: Any, tangents: Any, results: Any, *, types: Any, rules: Rules) -> Any:
    rule = rules.functions[2]
    if rule is None:
        raise DerivativeError(f"{rules.name} is a black box without a jvp rule: no forward mode")
    given = [
        zeros(type_of(primal)) if tangent is None else tangent
        for primal, tangent in zip(primals, tangents, strict=True)
    ]
    out = tree.unflatten(rules.out_form, results)
    pushed = rule(rules.arguments(primals), out, rules.arguments(given))
    return rules.flat(pushed, rules.out_form, "the jvp rule")


def _callback_vjp(
    cts: Any, primals: Any, results: Any, active: Any, *, types: Any, rules: Rules
) -> Any:
    rule = rules.functions[1]
    if rule is None:
        if rules.functions[2] is None:
            raise DerivativeError(
                f"{rules.name} is a black box without a rule; give tracer.primitive vjp= or jvp="
            )
        from tracer.transforms.reverse import vjp_by_transposing

        params = {"types": types, "rules": rules}
        return vjp_by_transposing(callback_p, cts, primals, results, active, params)
    given = [zeros(type_) if ct is None else ct for ct, type_ in zip(cts, types, strict=True)]
    out = tree.unflatten(rules.out_form, results)
    found = rule(rules.arguments(primals), out, tree.unflatten(rules.out_form, given))
    argument_types = [type_of(primal) for primal in primals]
    flat = _cotangents(found, rules, argument_types)
    return [
        None if ct is None or not wanted else _checked(ct, type_, rules, "the vjp rule")
        for ct, type_, wanted in zip(flat, argument_types, active, strict=True)
    ]


def _callback_batch(size: int, operands: Any, batched: Any, *, types: Any, rules: Rules) -> Any:
    """One call a lane, in one loop of the graph: a black box takes what it was made for."""
    from tracer.control import map as map_over

    lanes = [operand for operand, has in zip(operands, batched, strict=True) if has]

    def one(lane: Any) -> Any:
        rest = iter(lane)
        full = [
            next(rest) if has else operand for operand, has in zip(operands, batched, strict=True)
        ]
        return bind(callback_p, *full, types=types, rules=rules)

    results = map_over(one, tuple(lanes))
    return results, (True,) * len(results)


callback_p = register(
    Primitive(
        "callback",
        _callback_type,
        _callback_evaluate,
        jvp_rule=_callback_jvp,
        vjp_rule=_callback_vjp,
        batch_rule=_callback_batch,
        lowering=Lowering("callback"),
        multiple=True,
    )
)
