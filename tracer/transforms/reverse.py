"""Reverse mode: cotangents pulled back through recorded nodes.

An operation gives the cotangents of its operands in one of three ways, all from the same rules:
elementwise
families apply their partials, linear operations their transpose, and all others have their JVP
rule written down
as a linear program in the tangents, which is then transposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracer.debugging import watch_derivative
from tracer.errors import DerivativeError
from tracer.graph.nodes import Node, Variable
from tracer.graph.primitive import Primitive
from tracer.trace import GraphTrace, Tracer, state, type_of
from tracer.transforms.forward import as_dtype_of
from tracer.types import INEXACT, RAGGED


def vjp_of(
    primitive: Primitive,
    cotangents: Sequence[Any],
    primals: Sequence[Any],
    results: Sequence[Any],
    active: Sequence[bool],
    params: dict[str, Any],
    residuals: Any = None,
) -> Sequence[Any]:
    """The cotangents of the operands of one application of a primitive; None is zero."""
    if primitive.forward_rule is not None and primitive.vjp_rule is not None:
        return primitive.vjp_rule(cotangents, primals, results, active, residuals, **params)  # type: ignore[no-any-return]
    if primitive.vjp_rule is not None:
        if primitive.multiple:
            return primitive.vjp_rule(cotangents, primals, results, active, **params)  # type: ignore[no-any-return]
        return primitive.vjp_rule(cotangents[0], primals, results[0], active, **params)  # type: ignore[no-any-return]
    if primitive.transpose_rule is not None:
        ct = cotangents if primitive.multiple else cotangents[0]
        return primitive.transpose_rule(ct, primals, active, **params)  # type: ignore[no-any-return]
    if primitive.jvp_rule is not None:
        out = results if primitive.multiple else results[0]
        return vjp_by_transposing(primitive, cotangents, primals, out, active, params)
    raise DerivativeError(f"{primitive.name} has no derivative in reverse mode")


def vjp_by_transposing(
    primitive: Primitive,
    cotangents: Sequence[Any],
    primals: Sequence[Any],
    results: Any,
    active: Sequence[bool],
    params: dict[str, Any],
) -> list[Any]:
    """Write the JVP rule down on abstract tangents, and transpose what was written."""
    trace = GraphTrace(linear=True)
    tangents = [
        trace.input(type_of(value)) if wanted else None
        for value, wanted in zip(primals, active, strict=True)
    ]
    assert primitive.jvp_rule is not None, f"{primitive.name} has no JVP rule"
    outgoing = primitive.jvp_rule(primals, tangents, results, **params)
    found: dict[Variable, Any] = {}
    for tangent, ct in zip(
        outgoing if primitive.multiple else (outgoing,), cotangents, strict=True
    ):
        if isinstance(tangent, Tracer) and tangent.variable.trace is trace and ct is not None:
            accumulate(found, tangent.variable, ct)
    pull_back(trace.nodes, found)
    return [None if tangent is None else found.get(tangent.variable) for tangent in tangents]


def accumulate(cotangents: dict[Variable, Any], variable: Variable, ct: Any) -> None:
    """Add `ct` to the cotangent of `variable`."""
    known = cotangents.get(variable)
    if variable.type.dtype.kind == "V" or ct.dtype.kind == "V":
        ct = as_dtype_of(variable, ct)
    cotangents[variable] = ct if known is None else _sum(known, ct)


def _sum(known: Any, ct: Any) -> Any:
    if type(ct) is Tracer and RAGGED in ct.variable.type.shape:
        from tracer.transforms.tapes import add_tapes

        return add_tapes(known, ct)
    return known + ct


MASKING = frozenset({"select", "maximum", "minimum", "fmax", "fmin"})
"""Operations that take one operand or another: the cotangents of what was not taken are zero. There
a derivative may be infinite or NaN, and must not be multiplied: 0 · ∞ would leak out of a branch
that `where` did not take. Behind them, elementwise rules leave zero cotangents zero."""


def pull_back(
    nodes: Sequence[Node],
    cotangents: dict[Variable, Any],
    after: Callable[[Node], None] | None = None,
) -> None:
    """Add to `cotangents`, which holds those of the results, the cotangents of all inputs of
    `nodes`. `after` is called with each node that has been pulled back through.
    """
    before = state.source, state.deriving, state.guarded
    state.deriving = True
    masked: set[Variable] = set()
    try:
        for node in reversed(nodes):
            results = node.results
            if len(results) == 1:
                ct = cotangents.pop(results[0], None)
                incoming = (ct,)
                if ct is None:
                    continue
            else:
                incoming = tuple([cotangents.pop(result, None) for result in results])
                if all(ct is None for ct in incoming):
                    continue
            if not node.primitive.differentiable:
                continue
            state.guarded = bool(masked) and not masked.isdisjoint(results)
            if state.guarded or node.primitive.name in MASKING:
                masked.update(operand for operand in node.operands if type(operand) is Variable)
            _pull_back_node(node, incoming, cotangents)
            if after is not None:
                after(node)
    finally:
        state.source, state.deriving, state.guarded = before


def _pull_back_node(node: Node, incoming: tuple[Any, ...], cotangents: dict[Variable, Any]) -> None:
    operands = node.operands
    active = [type(op) is Variable and op.type.dtype.kind in INEXACT for op in operands]
    if True not in active:
        return
    primals = node.values
    if primals is None:
        primals = [op.value if type(op) is Variable else op for op in operands]
    state.source = node.source
    primitive = node.primitive
    results = node.results
    if len(results) == 1 and primitive.vjp_rule is not None and not primitive.multiple:
        rule = primitive.vjp_rule
        outgoing = rule(incoming[0], primals, results[0].value, active, **node.params)
    else:
        outgoing = vjp_of(
            primitive,
            incoming,
            primals,
            [result.value for result in results],
            active,
            node.params,
            node.residuals,
        )
    if state.watch is not None:
        watch_derivative(primitive, primals, incoming, outgoing)
    for operand, wanted, ct in zip(operands, active, outgoing, strict=True):
        if ct is not None and wanted:
            if operand.type.dtype.kind == "V":
                ct = as_dtype_of(operand, ct)
            known = cotangents.get(operand)
            cotangents[operand] = ct if known is None else _sum(known, ct)
