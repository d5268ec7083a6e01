"""Constants of a graph, for a device: what an array's numbers are, without the array.

Integers that grow by the same step along each axis are computed from the indices: the counters of
2²⁸ random numbers would take two gigabytes. What lowering learns of an array of integers besides,
its range and whether numbers repeat, tells checks and updates what they need not care for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.lower.context import Context
from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.graph.primitive import REGISTRY
from tracer.types import ArrayType

Array = np.ndarray[Any, np.dtype[Any]]

SMALL = 64
"""Elements of a constant that may lie in memory."""

MOST_COMPARED = 1 << 20
"""Elements that are compared at one time; longer irregular arrays may have equal elements."""


def without_arrays(context: Context, graph: Graph) -> Graph:
    """The graph with regular constants computed by nodes; the context knows what numbers are."""
    kept, nodes = [], []
    for variable, array in graph.constants:
        made: list[Node] = []
        if array.size > 1:
            steps = steps_of(array) if array.dtype.kind in "iu" else None
            if array.dtype.kind in "iu":
                _describe(context, variable, array, steps)
            if array.size > SMALL:
                made = _nodes(variable, array, steps)
        nodes.extend(made)
        if not made:
            kept.append((variable, array))
    if not nodes:
        return graph
    return Graph(graph.inputs, tuple(kept), (*nodes, *graph.nodes), graph.outputs, graph.name)


def steps_of(array: Array) -> tuple[int, ...] | None:
    """How much an array of integers grows from element to element along each axis, if always as
    much, and never beyond the range of its dtype."""
    first = int(array.flat[0])
    steps = tuple(
        int(array[tuple(int(a == axis) for a in range(array.ndim))]) - first if extent > 1 else 0
        for axis, extent in enumerate(array.shape)
    )
    ends = [step * (extent - 1) for step, extent in zip(steps, array.shape, strict=True)]
    low = first + sum(end for end in ends if end < 0)
    high = first + sum(end for end in ends if end > 0)
    limits = np.iinfo(array.dtype)
    if low < limits.min or high > limits.max or int(array.flat[-1]) != first + sum(ends):
        return None
    unsigned = np.dtype(f"u{array.itemsize}")
    around = 2 ** (8 * array.itemsize)
    block = max(1, MOST_COMPARED * array.shape[0] // array.size)
    for begin in range(0, array.shape[0], block):
        part = array[begin : begin + block]
        expected = np.full(part.shape, (first + steps[0] * begin) % around, unsigned)
        for axis, (step, extent) in enumerate(zip(steps, part.shape, strict=True)):
            line = np.arange(extent).astype(unsigned) * np.asarray(step % around, unsigned)
            expected += line.reshape(-1, *(1,) * (part.ndim - axis - 1))
        if not np.array_equal(expected, part.astype(unsigned)):
            return None
    return steps


def _describe(
    context: Context, variable: Variable, array: Array, steps: tuple[int, ...] | None
) -> None:
    axes = frozenset(axis for axis, extent in enumerate(array.shape) if extent > 1)
    context.value_ranges[variable] = (int(array.min()), int(array.max()))
    if steps is None:
        if array.size <= MOST_COMPARED and np.unique(array).size == array.size:
            context.distinct[variable] = axes
        return
    reach = 0
    for step, extent in sorted((abs(steps[axis]), array.shape[axis]) for axis in axes):
        if step <= reach:
            return
        reach += step * (extent - 1)
    context.distinct[variable] = axes


def _nodes(variable: Variable, array: Array, steps: tuple[int, ...] | None) -> list[Node]:
    """What computes the array; nothing where its numbers are not regular."""
    first = array.flat[0]
    if _is_uniform(array):
        return [_node("broadcast_to", (Constant(first),), variable, shape=array.shape)]
    if steps is None or any(extent > np.iinfo(array.dtype).max for extent in array.shape):
        return []
    made: list[Node] = []

    def add(name: str, operands: tuple[Any, ...], type_: tuple[int, ...], /, **params: Any) -> Any:
        made.append(_node(name, operands, Variable(ArrayType(array.dtype, type_)), **params))
        return made[-1].results[0]

    total: Any = None
    for axis, (step, extent) in enumerate(zip(steps, array.shape, strict=True)):
        if step == 0:
            continue
        part = add("iota", (), (extent,), length=extent, dtype=array.dtype)
        if step != 1:
            factor = Constant(_number(step, array.dtype))
            part = add("multiply", (part, factor), (extent,))
        shape = tuple(extent if a == axis else 1 for a in range(array.ndim))
        if array.ndim > 1:
            part = add("reshape", (part,), shape, shape=shape)
        if total is not None:
            shape = np.broadcast_shapes(total.type.shape, shape)
            part = add("add", (total, part), shape)
        total = part
    if first != 0:
        total = add("add", (total, Constant(first)), total.type.shape)
    if total.type.shape != array.shape:
        add("broadcast_to", (total,), array.shape, shape=array.shape)
    last = made.pop()
    made.append(Node(last.primitive, last.operands, last.params, (variable,), None))
    return made


def _is_uniform(array: Array) -> bool:
    """Whether all elements have the same bits."""
    first = array.flat[0].tobytes()
    if array.flat[-1].tobytes() != first or array.flat[array.size // 2].tobytes() != first:
        return False
    pattern = np.frombuffer(first, np.uint8)
    flat = array.reshape(-1)
    return all(
        bool(np.all(flat[begin : begin + MOST_COMPARED, None].view(np.uint8) == pattern))
        for begin in range(0, flat.size, MOST_COMPARED)
    )


def _number(value: int, dtype: np.dtype[Any]) -> Array:
    """An integer in a dtype, around the range of unsigned ones."""
    return np.asarray(value % 2 ** (8 * dtype.itemsize) if dtype.kind == "u" else value, dtype)


def _node(name: str, operands: tuple[Any, ...], result: Variable, **params: Any) -> Node:
    return Node(REGISTRY[name], operands, params, (result,), None)
