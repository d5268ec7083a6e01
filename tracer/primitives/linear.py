"""The builder for linear primitives: they declare their transpose only, the derivative follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracer.graph.primitive import Lowering, Primitive, Rule, register
from tracer.trace import bind, current_trace, type_of


def linear(
    name: str,
    type_rule: Rule,
    evaluate: Rule,
    transpose_rule: Rule,
    batch_rule: Rule,
    lowering: Lowering,
    *,
    operands: tuple[int, ...] | None = None,
    each: bool = False,
) -> Primitive:
    """Register a primitive that is linear in `operands` (all by default), jointly, or in `each`
    alone.
    """
    return register(
        Primitive(
            name,
            type_rule,
            evaluate,
            transpose_rule=transpose_rule,
            linear="each" if each else "joint",
            linear_operands=operands,
            batch_rule=batch_rule,
            lowering=lowering,
        )
    )


def create(primitive: Primitive, *operands: Any, **params: Any) -> Any:
    """Apply a primitive that makes an array out of nothing, in the innermost open trace."""
    trace = current_trace()
    if trace is None:
        return bind(primitive, *operands, **params)
    return trace.record(primitive, operands, params)


def linear_jvp(
    primitive: Primitive, primals: Sequence[Any], tangents: Sequence[Any], params: dict[str, Any]
) -> Any:
    """The tangent of a linear primitive's result."""
    from tracer.primitives.broadcast import zeros

    places = primitive.linear_operands or range(len(primals))
    if primitive.linear == "each":
        total = None
        for place in places:
            if tangents[place] is None:
                continue
            operands = list(primals)
            operands[place] = tangents[place]
            term = bind(primitive, *operands, **params)
            total = term if total is None else total + term
        return total
    operands = list(primals)
    for place in places:
        tangent = tangents[place]
        operands[place] = zeros(type_of(primals[place])) if tangent is None else tangent
    return bind(primitive, *operands, **params)
