"""Evaluation of a graph of scalars at every element of arrays at once, with NumPy.

The graph's inputs are 0-d; here each is an array, and so is every value. A branch is evaluated for
the elements that take it, a loop for those that are still in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.graph.nodes import Graph, Node, Variable
from tracer.primitives.loop import LoopShape

Arrays = list[Any]


def evaluate_lanes(graph: Graph, arrays: Sequence[Any]) -> Arrays:
    """The outputs of a graph of scalars for operands that are 1-d arrays of one length."""
    values: dict[Variable, Any] = dict(zip(graph.inputs, arrays, strict=True))
    size = len(arrays[0])
    for node in graph.nodes:
        operands = [
            values[operand] if type(operand) is Variable else np.asarray(operand.value)
            for operand in node.operands
        ]
        values.update(zip(node.results, _apply(node, operands, size), strict=True))
    return [
        values[output] if type(output) is Variable else np.broadcast_to(output.value, (size,))
        for output in graph.outputs
    ]


def _apply(node: Node, operands: Arrays, size: int) -> Sequence[Any]:
    name = node.primitive.name
    if name == "switch":
        return _switch(operands, node.params["branches"], size)
    if name == "loop":
        return _loop(operands, node.params, size)
    value = node.primitive.evaluate(*operands, **node.params)
    return value if node.primitive.multiple else (value,)


def _full(operands: Sequence[Any], size: int) -> Arrays:
    return [np.broadcast_to(operand, (size,)) for operand in operands]


def _switch(operands: Arrays, branches: Sequence[Graph], size: int) -> Arrays:
    index, *rest = _full(operands, size)
    index = np.clip(index, 0, len(branches) - 1)
    results = [np.empty(size, type_.dtype) for type_ in branches[0].output_types]
    for number, branch in enumerate(branches):
        lanes = np.flatnonzero(index == number)
        if not lanes.size:
            continue
        found = evaluate_lanes(branch, [operand[lanes] for operand in rest])
        for result, part in zip(results, found, strict=True):
            result[lanes] = part
    return results


def _loop(operands: Arrays, params: dict[str, Any], size: int) -> Arrays:
    options = dict(params)
    body, test = options.pop("body"), options.pop("test")
    shape = LoopShape(**options)
    parts = shape.split(_full(operands, size))
    assert not parts.slices, "programs of scalars carry numbers through their loops, no arrays"
    carry = [np.array(value) for value in parts.carry]
    count = np.zeros(size, np.int64)
    lanes = np.arange(size)
    trip = 0
    while lanes.size:
        now = [value[lanes] for value in carry]
        if test is not None:
            known = [value[lanes] for value in parts.test_constants]
            (going,) = evaluate_lanes(test, [*known, *now])
            going = np.broadcast_to(going, (lanes.size,))
        else:
            trips = shape.length if shape.length is not None else parts.trips[0][lanes]
            going = np.broadcast_to(np.less(trip, trips), (lanes.size,))
        lanes, now = lanes[going], [value[going] for value in now]
        if not lanes.size:
            break
        places = count[lanes]
        if shape.reverse:
            limit = shape.length if shape.length is not None else parts.trips[0][lanes]
            places = limit - 1 - places
        constants = [value[lanes] for value in parts.constants]
        found = evaluate_lanes(body, [places, *constants, *now])
        for value, part in zip(carry, found, strict=True):
            value[lanes] = part
        count[lanes] += 1
        trip += 1
    return [*carry, count] if test is not None else carry
