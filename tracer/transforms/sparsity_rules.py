"""The rules of dependence, one for each kind of primitive, as its lowering data names it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.graph.nodes import Node
from tracer.primitives.index import gather_p
from tracer.transforms.sparsity import (
    Array,
    Pattern,
    Rows,
    chosen,
    everything,
    gathered,
    independent,
    known,
    masked,
    node_name,
    propagate,
    rearranged,
    solid,
    united,
)
from tracer.types import RAGGED, Shape, is_inexact

Patterns = Sequence[Pattern]


def node_patterns(node: Node, operands: Patterns) -> list[Pattern]:
    """The patterns of a node's results."""
    primitive = node.primitive
    kind = primitive.lowering.kind if primitive.lowering else ""
    types = [result.type for result in node.results]
    if kind in STRUCTURED:
        if all(operand.rows is None for operand in operands):
            return [independent(type_) for type_ in types]
        found = STRUCTURED[kind](node, operands)
    else:
        values = [operand.value for operand in operands]
        if kind != "callback" and all(value is not None for value in values):
            with np.errstate(all="ignore"):
                given = [value[()] for value in values if value is not None]
                result = primitive.evaluate(*given, **node.params)
            return [known(item) for item in (result if primitive.multiple else (result,))]
        if kind not in MASKED and all(operand.rows is None for operand in operands):
            return [independent(type_) for type_ in types]
        plain = kind in RULES and not any(_is_tape(node))
        if kind == "elementwise" or plain:
            found = [RULES[kind](node, operands)]
        else:
            found = everything(operands, types)
    return [
        Pattern(pattern.shape, None, pattern.value, pattern.nonzero)
        if not (primitive.differentiable and is_inexact(type_.dtype))
        else pattern
        for pattern, type_ in zip(found, types, strict=True)
    ]


def _is_tape(node: Node) -> list[bool]:
    return [RAGGED in item.type.shape for item in (*node.operands, *node.results)]


def _broadcast(flat: Array, shape: Shape, target: Shape) -> Array:
    return np.broadcast_to(flat.reshape(shape), target).ravel()


def _spread(pattern: Pattern, target: Shape) -> Rows | None:
    if pattern.rows is None or pattern.shape == target:
        return pattern.rows
    return chosen(pattern.rows, _broadcast(np.arange(pattern.size), pattern.shape, target))


def _mask(pattern: Pattern, target: Shape) -> Array | None:
    if pattern.nonzero is None:
        return None
    return _broadcast(pattern.nonzero, pattern.shape, target)


def _meet(first: Array | None, second: Array | None) -> Array | None:
    if first is None or second is None:
        return second if first is None else first
    return first & second


def _elementwise(node: Node, operands: Patterns) -> Pattern:
    """Each element depends on what stands at its place in the operands."""
    shape = solid(node.results[0].type.shape)
    masks = [_mask(operand, shape) for operand in operands]
    operation = node_name(node)
    keep: list[Array | None] = [None] * len(operands)
    nonzero = None
    if operation == "multiply":
        keep = [masks[1], masks[0]]
        nonzero = _meet(masks[0], masks[1])
    elif operation in ("add", "subtract", "complex"):
        both = [mask for mask in masks if mask is not None]
        nonzero = both[0] | both[1] if len(both) == 2 else None
    elif operation in ("negative", "positive", "cast", "real", "imag", "conjugate", "divide"):
        nonzero = masks[0]
    elif operation == "select":
        keep = _selected(operands[0], shape)
        sides = [np.ones(math.prod(shape), bool) if mask is None else mask for mask in masks[1:]]
        if any(mask is not None for mask in masks[1:]):
            nonzero = np.logical_or.reduce(
                [side if k is None else side & k for side, k in zip(sides, keep[1:], strict=True)]
            )
    rows = None
    for operand, kept in zip(operands, keep, strict=True):
        part = _spread(operand, shape)
        if part is not None:
            rows = united(rows, masked(part, kept))
    return Pattern(shape, rows, None, nonzero)


def _selected(condition: Pattern, shape: Shape) -> list[Array | None]:
    if condition.value is None:
        return [None, None, None]
    holds = np.broadcast_to(condition.value, shape).ravel()
    return [None, holds, ~holds]


def _view(node: Node, operands: Patterns) -> Pattern:
    return rearranged(operands, lambda *numbers: node.primitive.evaluate(*numbers, **node.params))


def _group_numbers(shape: Shape, axes: Sequence[int]) -> Array:
    """For each element the number of its group, where `axes` vanish."""
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return _broadcast(np.arange(math.prod(kept)), kept, shape)


def _over_axes(pattern: Pattern, axes: Sequence[int]) -> Pattern:
    """The union over axes, which keep length 1."""
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(pattern.shape))
    if pattern.rows is None:
        return Pattern(kept)
    groups = _group_numbers(pattern.shape, axes)
    return Pattern(kept, gathered(pattern.rows, groups, np.arange(pattern.size), math.prod(kept)))


def _reduction(node: Node, operands: Patterns) -> Pattern:
    return Pattern(node.results[0].type.shape, _over_axes(operands[0], node.params["axes"]).rows)


def _contraction(node: Node, operands: Patterns) -> Pattern:
    """Sums of products: an element of one operand counts where that of the other can be nonzero."""
    contract, batch = node.params["contract"], node.params["batch"]
    shape = node.results[0].type.shape
    free = [
        tuple(a for a in range(len(op.shape)) if a not in (*contract[side], *batch[side]))
        for side, op in enumerate(operands)
    ]
    numbers, masks = [], []
    for side, op in enumerate(operands):
        lengths = [
            math.prod(op.shape[a] for a in axes)
            for axes in (batch[side], free[side], contract[side])
        ]
        order = (*batch[side], *free[side], *contract[side])
        numbers.append(np.arange(op.size).reshape(op.shape).transpose(order).reshape(lengths))
        masks.append(None if op.nonzero is None else op.nonzero[numbers[-1]])
    places = np.arange(math.prod(shape)).reshape(
        numbers[0].shape[0], numbers[0].shape[1], numbers[1].shape[1]
    )
    first = _products(operands[0], numbers[0], masks[1], places)
    second = _products(operands[1], numbers[1], masks[0], places.transpose(0, 2, 1))
    return Pattern(shape, united(first, second))


def _products(pattern: Pattern, numbers: Array, other: Array | None, places: Array) -> Rows | None:
    """Of one operand with elements `numbers` (batch, own, contracted), the other's mask (batch,
    its own, contracted), and the result's elements `places` (batch, own, the other's own)."""
    if pattern.rows is None:
        return None
    size = places.size
    if other is None:
        groups, own, _ = numbers.shape
        lines = np.broadcast_to(np.arange(groups * own)[:, None], (groups * own, numbers.shape[2]))
        sums = gathered(pattern.rows, lines.ravel(), numbers.ravel(), groups * own)
        order = np.empty(size, np.int64)
        order[places.reshape(groups * own, -1)] = np.arange(groups * own)[:, None]
        return chosen(sums, order)
    b, j, k = np.nonzero(other)
    return gathered(pattern.rows, places[b, :, j].ravel(), numbers[b, :, k].ravel(), size)


def _collapsed_indices(indices: Patterns, axes: Sequence[int]) -> tuple[list[int], list[Array]]:
    """The axes whose index only the run knows, and indices with 0 in their place."""
    unknown = [axis for axis, index in zip(axes, indices, strict=True) if index.value is None]
    values = [
        np.zeros(index.shape, np.int64) if index.value is None else index.value for index in indices
    ]
    return unknown, values


def _gather(node: Node, operands: Patterns) -> Pattern:
    """Known indices move elements; along axes of others the result may hold any element."""
    axes = node.params["axes"]
    unknown, values = _collapsed_indices(operands[1:], axes)
    source = _over_axes(operands[0], unknown) if unknown else operands[0]
    return rearranged([source], lambda numbers: gather_p.evaluate(numbers, *values, axes=axes))


def _scatter(node: Node, operands: Patterns) -> Pattern:
    x, updates, *indices = operands
    axes = node.params["axes"]
    unknown, values = _collapsed_indices(indices, axes)
    if node.params["mode"] == "set" and not unknown:
        return rearranged(
            [x, updates],
            lambda one, two: node.primitive.evaluate(one, two, *values, **node.params),
        )
    if updates.rows is None:
        return Pattern(x.shape, x.rows)
    extents = tuple(1 if axis in unknown else n for axis, n in enumerate(x.shape))
    numbers = np.arange(math.prod(extents)).reshape(extents)
    targets = np.asarray(gather_p.evaluate(numbers, *values, axes=axes)).ravel()
    written = gathered(updates.rows, targets, np.arange(updates.size), numbers.size)
    wide = chosen(written, _broadcast(np.arange(numbers.size), extents, x.shape))
    return Pattern(x.shape, united(x.rows, wide))


def _kernel(node: Node, operands: Patterns) -> Pattern:
    """Kernels along one axis mix what stands along it, running ones what came before."""
    shape = node.results[0].type.shape
    axis = node.params.get("axis")
    if node_name(node) == "convolve":
        return Pattern(shape, _convolved(operands, shape[0]))
    if axis is None or any(operand.shape != shape for operand in operands):
        return everything(operands, [node.results[0].type])[0]
    rows = None
    for operand in operands:
        rows = united(rows, operand.rows)
    length = shape[axis]
    if "reverse" in node.params:
        later, earlier = np.tril_indices(length)
        if node.params["reverse"]:
            later, earlier = earlier, later
    else:
        later, earlier = (index.ravel() for index in np.indices((length, length)))
    lines = np.moveaxis(np.arange(math.prod(shape)).reshape(shape), axis, 0).reshape(length, -1)
    return Pattern(
        shape, gathered(rows, lines[later].ravel(), lines[earlier].ravel(), math.prod(shape))
    )


def _convolved(operands: Patterns, size: int) -> Rows | None:
    rows = None
    for one, other in (operands, operands[::-1]):
        if one.rows is None:
            continue
        taps = np.arange(other.size) if other.nonzero is None else np.flatnonzero(other.nonzero)
        source = np.repeat(np.arange(one.size), len(taps))
        target = (np.arange(one.size)[:, None] + taps).ravel()
        rows = united(rows, gathered(one.rows, target, source, size))
    return rows


def _call(node: Node, operands: Patterns) -> list[Pattern]:
    if "system" in node.params:  # the solution of a system depends on all of it
        return everything(operands, [result.type for result in node.results])
    return propagate(node.params["graph"], operands)


def _switch(node: Node, operands: Patterns) -> list[Pattern]:
    branches = node.params["branches"]
    index = operands[0].value
    if index is not None:
        branches = (branches[int(np.clip(index, 0, len(branches) - 1))],)
    found = [propagate(branch, operands[1:]) for branch in branches]
    if len(found) == 1:
        return found[0]
    return [either(patterns) for patterns in zip(*found, strict=True)]


def either(patterns: Patterns) -> Pattern:
    """What holds for whichever of several values it is."""
    rows = None
    for pattern in patterns:
        rows = united(rows, pattern.rows)
    masks = [pattern.nonzero for pattern in patterns if pattern.nonzero is not None]
    nonzero = np.logical_or.reduce(masks) if len(masks) == len(patterns) else None
    return Pattern(patterns[0].shape, rows, None, nonzero)


def _loop(node: Node, operands: Patterns) -> list[Pattern]:
    from tracer.transforms.sparsity_loops import loop_patterns

    return loop_patterns(node, operands)


STRUCTURED: dict[str, Any] = {"call": _call, "switch": _switch, "loop": _loop}
# Kinds whose results are known to be 0 in places where their operands are.
MASKED = frozenset({"elementwise", "view", "gather", "scatter"})
RULES: dict[str, Any] = {
    "elementwise": _elementwise,
    "view": _view,
    "reduction": _reduction,
    "contraction": _contraction,
    "gather": _gather,
    "scatter": _scatter,
    "kernel": _kernel,
}
