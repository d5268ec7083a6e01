"""The sum of two cotangents of one tape: tapes are read and made by loops only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracer.errors import DerivativeError
from tracer.graph.build import build_closed
from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.primitives.loop import LoopShape, element_type, loop
from tracer.trace import Tracer, type_of
from tracer.types import INT64, RAGGED, ArrayType


def add_tapes(first: Any, second: Any) -> Any:
    """The tape of the sums of the elements of two tapes of one type and one length.

    A stack of tapes takes their lengths from what the loop that made it was given. Raises
    DerivativeError for tapes deeper than that.
    """
    extents = first.variable.type.shape
    depth = max(level + 1 for level, extent in enumerate(extents) if extent == RAGGED)
    for tape in (first, second):
        counts = _counts(tape)
        if len(counts) >= depth:
            return _sum(first, second, counts[:depth])
    raise DerivativeError(
        "reverse mode of this order through loops inside of loops, whose trip counts are data, has "
        "no rule; use forward mode (jvp, jacfwd) for one of the derivatives"
    )


def _sum(first: Any, second: Any, counts: Sequence[Any]) -> Any:
    """`counts` are the trip counts of the levels: an int, or a number, or numbers, of the graph."""
    type_ = first.variable.type
    trips, inner = counts[0], counts[1:]
    static = isinstance(trips, int)
    body = _sum_of_elements(element_type(type_), tuple(type_of(count) for count in inner))
    shape = LoopShape(0, 0, 0, 2 + len(inner), trips if static else None, False)
    operands = [first, second, *inner, *([] if static else [trips])]
    (result,) = loop(operands, body, None, shape)
    return result


def _sum_of_elements(element: ArrayType, count_types: Sequence[ArrayType]) -> Graph:
    """(index, elements of both, of the inner counts) → sum."""

    def body(index: Any, one: Any, two: Any, *counts: Any) -> list[Any]:
        return [_sum(one, two, counts) if counts else one + two]

    inner = [element_type(type_) for type_ in count_types]
    return build_closed(body, [ArrayType(INT64, ()), element, element, *inner], "sum_of_tapes")


def _counts(tape: Any) -> list[Any]:
    """How many elements the tape has, and its elements, from the loop that made it."""
    variable = tape.variable
    node = next((n for n in reversed(variable.trace.nodes) if variable in n.results), None)
    if node is None or node.primitive.name != "loop":
        return []
    inner = _inner_count(node, node.results.index(variable))
    outer = _traced(_count_of(node))
    return [outer] if inner is None else [outer, _traced(inner)]


def _traced(operand: Any) -> Any:
    if type(operand) is Variable:
        return Tracer(operand)
    return operand.value[()] if type(operand) is Constant else operand


def _count_of(node: Node) -> Any:
    """The trip count of a loop, an int where it is static, else an operand."""
    if node.params["test"] is not None:
        return node.results[-1]
    length = node.params["length"]
    return node.operands[-1] if length is None else length


def _inner_count(node: Node, place: int) -> Any:
    """The tape of the trip counts of the loop in the body that makes the elements of a result: it
    is among the slices, because the body runs backwards over what was stored."""
    params = {key: value for key, value in node.params.items() if key not in ("body", "test")}
    shape, body = LoopShape(**params), node.params["body"]
    made = body.outputs[place]
    maker = next((n for n in reversed(body.nodes) if made in n.results), None)
    if maker is None or maker.primitive.name != "loop":
        return None
    count = _count_of(maker)
    slices = body.inputs[len(body.inputs) - shape.slices :]
    if count not in slices:
        return None
    return shape.split(node.operands).slices[slices.index(count)]
