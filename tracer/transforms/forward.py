"""Forward mode: tangents pushed through recorded nodes by the JVP rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracer.debugging import watch_derivative
from tracer.errors import DerivativeError
from tracer.graph.nodes import Node, Variable
from tracer.graph.primitive import Primitive
from tracer.primitives.cast import cast
from tracer.primitives.linear import linear_jvp
from tracer.trace import at_source, state
from tracer.types import INEXACT


def primal(operand: Any) -> Any:
    """The value of an operand one level below its trace."""
    return operand.value if type(operand) is Variable else operand


def as_dtype_of(variable: Variable, derivative: Any) -> Any:
    """A derivative in the dtype of its variable: the constants of rules, Python's numbers, make
    float32 of bfloat16.
    """
    dtype = variable.type.dtype
    return derivative if derivative.dtype == dtype else cast(derivative, dtype)


def jvp_of(
    primitive: Primitive,
    primals: Sequence[Any],
    tangents: Sequence[Any],
    results: Any,
    params: dict[str, Any],
) -> Any:
    """The tangent(s) of one application of a primitive; None is zero."""
    if primitive.jvp_rule is not None:
        return primitive.jvp_rule(primals, tangents, results, **params)
    if primitive.linear is not None:
        return linear_jvp(primitive, primals, tangents, params)
    raise DerivativeError(f"{primitive.name} has no derivative in forward mode")


def push_forward(nodes: Sequence[Node], tangents: dict[Variable, Any]) -> None:
    """Add to `tangents`, which holds those of the inputs, the tangent of every variable that has
    one.
    """
    for node in nodes:
        if not node.primitive.differentiable:
            continue
        incoming = [
            tangents.get(operand) if type(operand) is Variable else None
            for operand in node.operands
        ]
        if all(tangent is None for tangent in incoming):
            continue
        primals = [primal(operand) for operand in node.operands]
        multiple = node.primitive.multiple
        values = [result.value for result in node.results]
        with at_source(node.source):
            outgoing = jvp_of(
                node.primitive, primals, incoming, values if multiple else values[0], node.params
            )
            pushed = outgoing if multiple else (outgoing,)
            if state.watch is not None:
                watch_derivative(node.primitive, primals, incoming, pushed)
        rows = zip(node.results, pushed, strict=True)
        tangents.update(
            (result, tangent if result.type.dtype.kind != "V" else as_dtype_of(result, tangent))
            for result, tangent in rows
            if tangent is not None and result.type.dtype.kind in INEXACT
        )
