"""Batched loops. Lanes run together; a lane that has finished keeps its carry while others go
on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracer.graph.build import build_closed
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.primitives.broadcast import broadcast_to, reshape, zeros_like
from tracer.primitives.cast import cast
from tracer.primitives.comparison import greater, select
from tracer.primitives.loop import LoopParts, LoopShape, loop
from tracer.primitives.reduce import reduce_max, reduce_or
from tracer.primitives.shape import move_axis
from tracer.transforms.vmap import batch_graph, batched_type
from tracer.types import INT64, RAGGED, ArrayType

Flags = tuple[bool, ...]


def batch_loop(
    size: int,
    operands: Sequence[Any],
    batched: Sequence[bool],
    body: Graph,
    test: Graph | None,
    shape: LoopShape,
) -> tuple[Sequence[Any], Sequence[bool]]:
    """The loop on batched operands, and which results are batched."""
    parts, flags = shape.split(operands), shape.split(batched)
    lanes_differ = bool(flags.trips and flags.trips[0])
    carry = flags.carry
    if test is not None:
        lanes_differ = _test_batched(
            test, size, flags, _carry_flags(body, size, shape, flags, carry)
        )
    if lanes_differ:
        carry = (True,) * shape.carry
    carry = _carry_flags(body, size, shape, flags, carry)
    inner_flags = (False, *flags.constants, *carry, *flags.slices)
    wanted = (*carry, *(False,) * (len(body.outputs) - shape.carry))
    inner, found = batch_graph(body, size, inner_flags, wanted)
    start = LoopParts(
        parts.test_constants,
        parts.constants,
        tuple(
            broadcast_to(value, (size, *value.shape)) if flag and not has else value
            for value, flag, has in zip(parts.carry, carry, flags.carry, strict=True)
        ),
        tuple(
            move_axis(value, 0, 1) if has and not _is_tape(shape, type_) else value
            for value, has, type_ in zip(
                parts.slices, flags.slices, _element_types(body, shape), strict=True
            )
        ),
        parts.trips,
    )
    if not lanes_differ:
        results = _run_together(size, start, inner, test, shape, flags, carry)
        ends: tuple[bool, ...] = (False,) if test is not None else ()
    elif test is None:
        results = _run_counted(size, start, inner, shape, found)
        ends, found = (), (*carry, *(True,) * (len(found) - shape.carry))
    else:
        results = _run_tested(size, start, inner, test, shape, flags, carry)
        ends = (True,)
    stacks = [
        move_axis(value, 1, 0) if has and not _is_tape(shape, type_) else value
        for value, has, type_ in zip(
            results[shape.carry : len(found)],
            found[shape.carry :],
            body.output_types[shape.carry :],
            strict=True,
        )
    ]
    return (*results[: shape.carry], *stacks, *results[len(found) :]), (*found, *ends)


def _element_types(body: Graph, shape: LoopShape) -> tuple[ArrayType, ...]:
    return body.input_types[1 + shape.constants + shape.carry :]


def _is_tape(shape: LoopShape, element: ArrayType) -> bool:
    """Tapes hold the batch axis in their elements, where every loop finds it."""
    return not shape.counted or RAGGED in element.shape


def _carry_flags(body: Graph, size: int, shape: LoopShape, flags: LoopParts, carry: Flags) -> Flags:
    """Which carries are batched after some iterations."""
    while True:
        inner = (False, *flags.constants, *carry, *flags.slices)
        found = batch_graph(body, size, inner)[1][: shape.carry]
        merged = tuple(a or b for a, b in zip(carry, found, strict=True))
        if merged == carry:
            return carry
        carry = merged


def _test_batched(test: Graph, size: int, flags: LoopParts, carry: Flags) -> bool:
    return bool(batch_graph(test, size, (*flags.test_constants, *carry))[1][0])


def _run_together(
    size: int,
    start: LoopParts,
    inner: Graph,
    test: Graph | None,
    shape: LoopShape,
    flags: LoopParts,
    carry: Flags,
) -> Any:
    inner_test = test
    if test is not None:
        inner_test = batch_graph(test, size, (*flags.test_constants, *carry))[0]
    return loop(start.flat(), inner, inner_test, shape)


def _column(mask: Any, value: Any) -> Any:
    return reshape(mask, (mask.shape[0], *(1,) * (value.ndim - 1)))


def _masked(mask: Any, new: Any, old: Any) -> Any:
    return select(_column(mask, new), new, old)


def _run_counted(size: int, start: LoopParts, inner: Graph, shape: LoopShape, found: Flags) -> Any:
    """A loop whose lanes have trip counts of their own: it runs for the longest."""
    longest = reduce_max(start.trips[0], (0,))
    longer = replace(shape, constants=shape.constants + 1)

    def function(index: Any, trips: Any, *operands: Any) -> list[Any]:
        outputs = evaluate(inner, [index, *operands])
        mask = greater(trips, index)
        old = operands[shape.constants : shape.constants + shape.carry]
        carried = [
            _masked(mask, new, before)
            for new, before in zip(outputs[: shape.carry], old, strict=True)
        ]
        stacked = [
            broadcast_to(value, (size, *value.shape)) if not has else value
            for value, has in zip(outputs[shape.carry :], found[shape.carry :], strict=True)
        ]
        return [*carried, *(_masked(mask, value, zeros_like(value)) for value in stacked)]

    types = [inner.input_types[0], ArrayType(INT64, (size,)), *inner.input_types[1:]]
    body = build_closed(function, types, inner.name)
    operands = replace(start, constants=(start.trips[0], *start.constants), trips=(longest,))
    with np.errstate(all="ignore"):  # finished lanes run along
        return loop(operands.flat(), body, None, longer)


def _run_tested(
    size: int,
    start: LoopParts,
    inner: Graph,
    test: Graph,
    shape: LoopShape,
    flags: LoopParts,
    carry: Flags,
) -> Any:
    """A `while` whose lanes end at different times: it runs until all have, and counts for each."""
    lane_test = batch_graph(test, size, (*flags.test_constants, *carry), (True,))[0]
    tests = shape.test_constants
    grown = replace(shape, constants=shape.constants + tests, carry=shape.carry + 1)
    carried_types = inner.input_types[1 + shape.constants : 1 + shape.constants + shape.carry]
    counter = ArrayType(INT64, (size,))

    def any_left(*operands: Any) -> list[Any]:
        return [reduce_or(evaluate(lane_test, operands[: tests + shape.carry])[0], (0,))]

    def function(index: Any, *operands: Any) -> list[Any]:
        test_constants, rest = operands[:tests], operands[tests:]
        constants = rest[: shape.constants]
        old = rest[shape.constants : shape.constants + shape.carry]
        count = rest[shape.constants + shape.carry]
        mask = evaluate(lane_test, [*test_constants, *old])[0]
        outputs = evaluate(inner, [index, *constants, *old])
        new = [
            _masked(mask, value, before)
            for value, before in zip(outputs[: shape.carry], old, strict=True)
        ]
        return [*new, count + cast(mask, INT64), *outputs[shape.carry :]]

    test_types = [
        batched_type(type_, size) if has else type_
        for type_, has in zip(test.input_types[:tests], flags.test_constants, strict=True)
    ]
    graph_test = build_closed(any_left, [*test_types, *carried_types, counter], test.name)
    types = [
        inner.input_types[0],
        *test_types,
        *inner.input_types[1 : 1 + shape.constants],
        *carried_types,
        counter,
    ]
    body = build_closed(function, types, inner.name)
    operands = [
        *start.test_constants,
        *start.test_constants,
        *start.constants,
        *start.carry,
        np.zeros(size, np.int64),
    ]
    with np.errstate(all="ignore"):  # finished lanes run along
        outputs = loop(operands, body, graph_test, grown)
    count = outputs[shape.carry]
    return (*outputs[: shape.carry], *outputs[shape.carry + 1 : -1], count)
