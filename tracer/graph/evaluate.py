"""Evaluation of a graph: with NumPy on arrays (the reference backend), or written again on
tracers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracer.errors import OutOfBoundsError, ShapeError
from tracer.graph.nodes import Constant, Graph, Variable
from tracer.trace import at_source, bind, is_tracer, state


def evaluate(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of the graph for these inputs. A value is dropped after its last use."""
    if len(inputs) != len(graph.inputs):
        raise ShapeError(f"{graph.name} takes {len(graph.inputs)} inputs, not {len(inputs)}")
    values: dict[Variable, Any] = dict(zip(graph.inputs, inputs, strict=True))
    values.update(graph.constants)
    traced = state.watch is not None or any(is_tracer(value) for value in inputs)
    last_use = {} if traced else _last_uses(graph)
    for position, node in enumerate(graph.nodes):
        operands = [values[op] if type(op) is Variable else op.value[()] for op in node.operands]
        if traced:
            with at_source(node.source):
                out = bind(node.primitive, *operands, **node.params)
        else:
            try:
                out = node.primitive.evaluate(*operands, **node.params)
            except IndexError as error:  # compiled code names the user's line as well
                if node.source is None or str(node.source) in str(error):
                    raise
                raise OutOfBoundsError(f"{error} ({node.source})") from None
        values.update(zip(node.results, out if node.primitive.multiple else (out,), strict=True))
        for dead in last_use.get(position, ()):
            del values[dead]
    return [_output(output, values) for output in graph.outputs]


def _output(output: Any, values: dict[Variable, Any]) -> Any:
    return output.value[()] if type(output) is Constant else values[output]


def _last_uses(graph: Graph) -> dict[int, list[Variable]]:
    last: dict[Variable, int] = {}
    for position, node in enumerate(graph.nodes):
        for operand in node.operands:
            if type(operand) is Variable:
                last[operand] = position
    for output in graph.outputs:
        last.pop(output, None)
    result: dict[int, list[Variable]] = {}
    for variable, position in last.items():
        result.setdefault(position, []).append(variable)
    return result
