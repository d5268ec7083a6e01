"""Whether two traces of a function came out the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.graph.nodes import Constant, Graph, Node, Variable


def same_program(first: Graph, second: Graph) -> bool:
    """Whether two graphs are the same nodes on the same constants, so that the plan of one serves
    for the other. Rules and callables in parameters count as the same only if they are one object.
    """
    if first is second:
        return True
    if (
        first.input_types != second.input_types
        or len(first.nodes) != len(second.nodes)
        or len(first.constants) != len(second.constants)
    ):
        return False
    paired = dict(zip(first.inputs, second.inputs, strict=True))
    for (one, array), (two, other) in zip(first.constants, second.constants, strict=True):
        if one.type != two.type or array.tobytes() != other.tobytes():
            return False
        paired[one] = two
    for node, twin in zip(first.nodes, second.nodes, strict=True):
        if not _same_node(node, twin, paired):
            return False
        paired.update(zip(node.results, twin.results, strict=True))
    ends = zip(first.outputs, second.outputs, strict=False)
    return len(first.outputs) == len(second.outputs) and all(
        _same_operand(one, two, paired) for one, two in ends
    )


def _same_node(node: Node, twin: Node, paired: dict[Variable, Variable]) -> bool:
    return (
        node.primitive is twin.primitive
        and len(node.operands) == len(twin.operands)
        and len(node.results) == len(twin.results)
        and all(
            _same_operand(one, two, paired)
            for one, two in zip(node.operands, twin.operands, strict=True)
        )
        and node.params.keys() == twin.params.keys()
        and all(_same_parameter(value, twin.params[key]) for key, value in node.params.items())
    )


def _same_operand(one: Any, two: Any, paired: dict[Variable, Variable]) -> bool:
    if type(one) is Constant:
        return (
            type(two) is Constant
            and one.type == two.type
            and one.value.tobytes() == two.value.tobytes()
        )
    return paired.get(one) is two


def _same_parameter(one: Any, two: Any) -> bool:
    if isinstance(one, Graph):
        return isinstance(two, Graph) and same_program(one, two)
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(map(_same_parameter, one, two))
    if one is None or isinstance(one, (bool, int, float, str, np.dtype)):
        return type(one) is type(two) and bool(one == two)
    return one is two
