"""Whether a derivative may be taken of a traced value."""

from __future__ import annotations

from typing import Any

from tracer.graph.nodes import Variable
from tracer.trace import Trace, Tracer, ValueTrace
from tracer.types import INEXACT


def has_derivative(value: Any) -> bool:
    """Whether `value` comes from an input of a trace that has values, by floating-point operations
    and not through `stop_gradient`."""
    while isinstance(value, Tracer):
        variable = value.variable
        if isinstance(variable.trace, ValueTrace) and _depends(variable.trace, variable):
            return True
        value = variable.value
    return False


def _depends(trace: Trace, variable: Variable) -> bool:
    known: dict[Variable, bool] = {}

    def active(operand: Any) -> bool:
        return (
            type(operand) is Variable
            and operand.type.dtype.kind in INEXACT
            and known.get(operand, operand.trace is trace)
        )

    for node in trace.nodes:
        lets_through = node.primitive.name != "stop_gradient"
        passes = lets_through and any(map(active, node.operands))
        known.update(dict.fromkeys(node.results, passes))
    return active(variable)
