"""Dependence through loops: short ones step by step, long ones by the fixpoint of their body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from tracer.graph.nodes import Graph, Node
from tracer.primitives.loop import LoopParts, LoopShape
from tracer.transforms.sparsity import (
    Pattern,
    everything,
    independent,
    joined,
    known,
    propagate,
    united,
)
from tracer.types import RAGGED, ArrayType

# Nodes looked at in a loop that is followed step by step; a longer one goes to its fixpoint.
STEPWISE_NODES = 4096
# Rounds after which a body that still spreads is taken to mix all that it carries.
FIXPOINT_ROUNDS = 64


def loop_patterns(node: Node, operands: Sequence[Pattern]) -> list[Pattern]:
    """The patterns of a loop's carry and stacks."""
    params = dict(node.params)
    body, test = params.pop("body"), params.pop("test")
    shape = LoopShape(**params)
    parts = shape.split(operands)
    slice_types = shape.split([operand.type for operand in node.operands]).slices
    trips = shape.length
    if trips is None and parts.trips and parts.trips[0].value is not None:
        trips = max(0, int(parts.trips[0].value))
    if test is None and trips is not None and trips * max(1, len(body)) <= STEPWISE_NODES:
        found = _step_by_step(body, shape, parts, slice_types, trips)
    else:
        found = _fixpoint(body, shape, parts, slice_types, trips)
    types = [result.type for result in node.results[len(found) :]]
    return [*found, *(independent(type_) for type_ in types)]


def _element(pattern: Pattern, type_: ArrayType, place: int) -> Pattern:
    """One element of a slice; of a tape, what stands for all of them."""
    if type_.shape[0] == RAGGED:
        return pattern
    shape = pattern.shape[1:]
    size = pattern.size // pattern.shape[0]
    part = slice(place * size, (place + 1) * size)
    return Pattern(
        shape,
        None if pattern.rows is None else pattern.rows[part],
        None if pattern.value is None else np.asarray(pattern.value[place]),
        None if pattern.nonzero is None else pattern.nonzero[part],
    )


def _step_by_step(
    body: Graph,
    shape: LoopShape,
    parts: LoopParts,
    slice_types: Sequence[ArrayType],
    trips: int,
) -> list[Pattern]:
    carry = list(parts.carry)
    history: list[list[Pattern]] = []
    for place in range(trips - 1, -1, -1) if shape.reverse else range(trips):
        elements = [
            _element(part, type_, place)
            for part, type_ in zip(parts.slices, slice_types, strict=True)
        ]
        outputs = propagate(body, [known(np.int64(place)), *parts.constants, *carry, *elements])
        carry = outputs[: shape.carry]
        history.append(outputs[shape.carry :])
    if shape.reverse:
        history.reverse()
    types = body.output_types[shape.carry :]
    stacks = [
        _stack([row[place] for row in history], type_, shape.length)
        for place, type_ in enumerate(types)
    ]
    return [*carry, *stacks]


def _stack(rows: Sequence[Pattern], type_: ArrayType, length: int | None) -> Pattern:
    from tracer.transforms.sparsity_rules import either

    element = independent(type_)
    if length is None:
        return either(rows) if rows else element
    matrix, nonzero = joined(rows)
    return Pattern((length, *element.shape), matrix, None, nonzero)


def _any_element(pattern: Pattern, type_: ArrayType) -> Pattern:
    """The union over all elements of a slice."""
    from tracer.transforms.sparsity_rules import _over_axes

    if type_.shape[0] == RAGGED:
        return replace(pattern, value=None)
    return Pattern(pattern.shape[1:], _over_axes(pattern, (0,)).rows)


def _fixpoint(
    body: Graph,
    shape: LoopShape,
    parts: LoopParts,
    slice_types: Sequence[ArrayType],
    trips: int | None,
) -> list[Pattern]:
    index = Pattern(())
    carry = [Pattern(pattern.shape, pattern.rows) for pattern in parts.carry]
    elements = [
        _any_element(part, type_) for part, type_ in zip(parts.slices, slice_types, strict=True)
    ]
    outputs: list[Pattern] = []
    for _ in range(FIXPOINT_ROUNDS if trips is None else min(trips, FIXPOINT_ROUNDS)):
        outputs = propagate(body, [index, *parts.constants, *carry, *elements])
        grown = [
            Pattern(old.shape, united(old.rows, new.rows))
            for old, new in zip(carry, outputs[: shape.carry], strict=True)
        ]
        steady = all(_count(old) == _count(new) for old, new in zip(carry, grown, strict=True))
        carry = grown
        if steady:
            break
    else:
        if trips is None or trips > FIXPOINT_ROUNDS:
            mixed = [*parts.constants, *carry, *elements]
            carry = everything(mixed, body.output_types[: shape.carry])
    inputs = [index, *parts.constants, *carry, *elements]
    if shape.length is None:
        return [*carry, *propagate(body, inputs)[shape.carry :]]
    return [*carry, *_all_at_once(body, shape, parts, carry)]


def _count(pattern: Pattern) -> int:
    if pattern.rows is None:
        return 0
    return int(sparse.csr_array(pattern.rows).count_nonzero())


def _all_at_once(
    body: Graph, shape: LoopShape, parts: LoopParts, carry: Sequence[Pattern]
) -> list[Pattern]:
    """The stacks, from all iterations side by side: each with its own index and slices."""
    from tracer.transforms.vmap import batch_graph

    length = shape.length
    assert length is not None, "tapes have no iterations side by side"
    if len(body.outputs) == shape.carry:
        return []
    flags = (
        True,
        *(False,) * (shape.constants + shape.carry),
        *(True,) * shape.slices,
    )
    wide = batch_graph(body, length, flags, (True,) * len(body.outputs))[0]
    inputs = [known(np.arange(length)), *parts.constants, *carry, *parts.slices]
    return propagate(wide, inputs)[shape.carry :]
