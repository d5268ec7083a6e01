"""Elementwise primitives: a scalar operation at every index."""

from __future__ import annotations

from typing import Any

from codegen.loops.nodes import Expression, Literal, Operation
from codegen.lower.context import ZERO, Context, Indices, Scalar
from tracer.graph.nodes import Node
from tracer.primitives.programs import graph_of


def broadcast_indices(shape: tuple[int, ...], indices: Indices) -> Indices:
    """The indices of an operand of that shape which NumPy's broadcasting pairs with `indices`."""
    lead = len(indices) - len(shape)
    if not shape:
        return ()
    if 1 not in shape:
        return indices[lead:] if lead else indices
    return tuple(
        [ZERO if n == 1 else index for n, index in zip(shape, indices[lead:], strict=True)]
    )


def emit_elementwise(context: Context, node: Node, indices: Indices) -> Expression:
    """The scalar that the node computes at `indices`."""
    operands = [
        context.element(operand, broadcast_indices(operand.type.shape, indices))
        for operand in node.operands
    ]
    return apply_operation(context, node, operands)


def apply_operation(context: Context, node: Node, operands: list[Expression]) -> Expression:
    """The node's scalar operation on given operands."""
    assert node.primitive.lowering is not None, f"{node.primitive.name} cannot be lowered"
    name = node.primitive.lowering.operation
    special = _SPECIAL.get(name)
    if special is not None:
        return special(context, node, operands)  # type: ignore[no-any-return]
    return context.operation(name, *operands, dtype=node.results[0].type.dtype)


def _integer_power(context: Context, node: Node, operands: list[Expression]) -> Expression:
    """Repeated squaring."""
    exponent = node.params["exponent"]
    base = operands[0]
    one = Literal(1.0 if base.dtype.kind != "c" else 1 + 0j, base.dtype)
    result: Expression | None = None
    power, rest = base, abs(exponent)
    while rest:
        if rest % 2:
            result = power if result is None else context.operation("multiply", result, power)
        rest //= 2
        if rest:
            power = context.operation("multiply", power, power)
    if result is None:
        return one
    return context.operation("divide", one, result) if exponent < 0 else result


def _cast(context: Context, node: Node, operands: list[Expression]) -> Expression:
    dtype = node.params["dtype"]
    value = operands[0]
    if value.dtype == dtype:
        return value
    if value.dtype.kind == "c" and dtype.kind not in "cb":
        real = node.results[0].type.dtype
        part = context.operation("real", value, dtype=_part_dtype(value.dtype))
        return part if part.dtype == real else context.operation("cast", part, dtype=dtype)
    return context.let(Operation("cast", (value,), dtype))


def _part_dtype(dtype: Any) -> Any:
    import numpy as np

    return np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)


def _program(context: Context, node: Node, operands: list[Expression]) -> Expression:
    """A scalar function with branches and loops, written out for this element in its own dtypes."""
    from codegen.lower.graph import lower_body

    graph = graph_of(node.primitive, node.params)
    with context.inner_graph():
        for variable, operand in zip(graph.inputs, operands, strict=True):
            context.put(variable, Scalar(_converted(context, operand, variable.type.dtype)))
        (place,) = lower_body(context, graph, [None])
        assert isinstance(place, Scalar), "the result of a program is a scalar"
        return _converted(context, place.expression, node.results[0].type.dtype)


def _converted(context: Context, value: Expression, dtype: Any) -> Expression:
    return value if value.dtype == dtype else context.let(Operation("cast", (value,), dtype))


_SPECIAL: dict[str, Any] = {
    "program": _program,
    "stop_gradient": lambda context, node, operands: operands[0],
    "integer_power": _integer_power,
    "cast": _cast,
}

_EXPENSIVE = frozenset(
    """
    exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh
    arcsinh arccosh arctanh power erf erfc erfinv gammaln digamma zeta expit logaddexp logaddexp2
    hypot cbrt fmod remainder floor_divide
    """.split()  # noqa: SIM905
)


def operation_cost(node: Node) -> int:
    """Roughly how many additions one element costs."""
    name = node.primitive.name
    if node.primitive.lowering is not None and node.primitive.lowering.operation == "program":
        return 64
    if name in _EXPENSIVE:
        return 16
    return 4 if name in ("divide", "sqrt", "reciprocal") else 1
