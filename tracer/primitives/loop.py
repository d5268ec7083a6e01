"""The one loop: `scan`, `while_loop` and `fori_loop` are all this primitive.

    operands   test constants, body constants, carry, slices, and the trip count where it is known
    but not static
    body       (index, body constants, carry, elements of the slices) → (carry, elements of the
    stacks)
    test       (test constants, carry) → bool, of a `while`; None where the trip count is known
    results    carry, stacks, and the trip count of a `while`

Slices and stacks have the iterations as first axis: of static `length`, or RAGGED where the run
decides (a tape).
The adjoint of a loop is a loop backwards over what the forward loop stored: see
`tracer.transforms.loop_adjoint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tracer.graph.build import build_closed
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import zeros
from tracer.primitives.ragged import stack_elements
from tracer.trace import bind, type_of
from tracer.types import BOOL, INT64, RAGGED, ArrayType


@dataclass(frozen=True)
class LoopParts:
    """Operands or results of a loop, by part."""

    test_constants: tuple[Any, ...]
    constants: tuple[Any, ...]
    carry: tuple[Any, ...]
    slices: tuple[Any, ...]
    trips: tuple[Any, ...]

    def flat(self) -> list[Any]:
        """As the primitive takes them."""
        return [*self.test_constants, *self.constants, *self.carry, *self.slices, *self.trips]


@dataclass(frozen=True)
class LoopShape:
    """The static parameters of a loop: how many operands of each kind, how long, which way."""

    test_constants: int
    constants: int
    carry: int
    slices: int
    length: int | None
    reverse: bool

    @property
    def counted(self) -> bool:
        """Whether the trip count is static."""
        return self.length is not None

    def split(self, operands: Sequence[Any]) -> LoopParts:
        """Operands by part."""
        ends = np.cumsum([self.test_constants, self.constants, self.carry, self.slices]).tolist()
        return LoopParts(
            tuple(operands[: ends[0]]),
            tuple(operands[ends[0] : ends[1]]),
            tuple(operands[ends[1] : ends[2]]),
            tuple(operands[ends[2] : ends[3]]),
            tuple(operands[ends[3] :]),
        )

    def __str__(self) -> str:
        return (
            f"{self.test_constants} test constants, {self.constants} constants, {self.carry} "
            f"carried, "
            f"{self.slices} slices"
        )


def element_type(type_: ArrayType) -> ArrayType:
    """The type of one element of a slice."""
    return ArrayType(type_.dtype, type_.shape[1:])


def stacked_type(type_: ArrayType, length: int | None) -> ArrayType:
    """The type of a stack of elements."""
    return ArrayType(type_.dtype, (RAGGED if length is None else length, *type_.shape))


def _loop_type(
    *operands: ArrayType, body: Graph, test: Graph | None, **params: Any
) -> tuple[ArrayType, ...]:
    shape = LoopShape(**params)
    parts = shape.split(operands)
    expected = (
        ArrayType(INT64, ()),
        *parts.constants,
        *parts.carry,
        *(element_type(type_) for type_ in parts.slices),
    )
    if body.input_types != expected:
        raise TypeError(f"the body takes {body.input_types}, but gets {expected}")
    carried, elements = body.output_types[: shape.carry], body.output_types[shape.carry :]
    if carried != parts.carry:
        raise TypeError(f"the body turns a carry of {parts.carry} into {carried}")
    if test is not None and test.input_types != (*parts.test_constants, *parts.carry):
        raise TypeError(f"the test takes {test.input_types}")
    if test is not None and test.output_types != (ArrayType(BOOL, ()),):
        raise TypeError(f"the test returns {test.output_types}, not a bool")
    count = (ArrayType(INT64, ()),) if test is not None else ()
    return (*carried, *(stacked_type(t, shape.length) for t in elements), *count)


def _loop_evaluate(*operands: Any, body: Graph, test: Graph | None, **params: Any) -> Any:
    shape = LoopShape(**params)
    parts = shape.split(operands)
    carry = list(parts.carry)
    rows: list[list[Any]] = []
    count = 0
    if test is None:
        trips = shape.length if shape.length is not None else max(0, int(parts.trips[0]))
        order = range(trips - 1, -1, -1) if shape.reverse else range(trips)
        for count in order:
            elements = [part[count] for part in parts.slices]
            outputs = evaluate(body, [np.int64(count), *parts.constants, *carry, *elements])
            carry = outputs[: shape.carry]
            rows.append(outputs[shape.carry :])
        if shape.reverse:
            rows.reverse()
    else:
        while evaluate(test, [*parts.test_constants, *carry])[0]:
            outputs = evaluate(body, [np.int64(count), *parts.constants, *carry])
            carry = outputs[: shape.carry]
            rows.append(outputs[shape.carry :])
            count += 1
    types = body.output_types[shape.carry :]
    stacks = [
        stack_elements([row[place] for row in rows], type_) for place, type_ in enumerate(types)
    ]
    return (*carry, *stacks, *([np.int64(count)] if test is not None else []))


def loop(operands: Sequence[Any], body: Graph, test: Graph | None, shape: LoopShape) -> Any:
    """The results of a loop as a tuple."""
    return bind(loop_p, *operands, body=body, test=test, **vars(shape))


def _flags(tangents: Sequence[Any]) -> tuple[bool, ...]:
    return tuple(tangent is not None for tangent in tangents)


def active_carry(
    body: Graph, shape: LoopShape, constants: Any, carry: Any, slices: Any
) -> tuple[bool, ...]:
    """Which carries have a tangent after some iterations, when those flagged have one at first."""
    from tracer.transforms.graphs import depends

    flags = tuple(carry)
    while True:
        found = depends(body, (False, *constants, *flags, *slices))[: shape.carry]
        merged = tuple(a or b for a, b in zip(flags, found, strict=True))
        if merged == flags:
            return flags
        flags = merged


def _loop_jvp(
    primals: Any, tangents: Any, results: Any, *, body: Graph, test: Graph | None, **params: Any
) -> Any:
    from tracer.transforms.graphs import depends, jvp_graph

    shape = LoopShape(**params)
    parts, moved = shape.split(primals), shape.split(tangents)
    constants, slices = _flags(moved.constants), _flags(moved.slices)
    carry = active_carry(body, shape, constants, _flags(moved.carry), slices)
    active = (False, *constants, *carry, *slices)
    wanted = (*carry, *depends(body, active)[shape.carry :])
    inner = jvp_graph(body, active, wanted)
    inner, inner_shape = _regrouped(inner, body, shape, active, wanted)
    t_carry = [
        zeros(type_of(value)) if tangent is None else tangent
        for value, tangent, flag in zip(parts.carry, moved.carry, carry, strict=True)
        if flag
    ]
    grown = LoopParts(
        parts.test_constants,
        (*parts.constants, *(t for t in moved.constants if t is not None)),
        (*parts.carry, *t_carry),
        (*parts.slices, *(t for t in moved.slices if t is not None)),
        parts.trips,
    )
    inner_test = longer_test(test, [type_of(tangent) for tangent in t_carry])
    outputs = loop(grown.flat(), inner, inner_test, inner_shape)
    stacks = len(body.outputs) - shape.carry
    lead = shape.carry + sum(carry)
    t_out = [*outputs[shape.carry : lead], *outputs[lead + stacks :]]
    rest = iter(t_out)
    found = [next(rest) if flag else None for flag in wanted]
    return [*found, *([None] if test is not None else [])]


def _regrouped(
    inner: Graph, body: Graph, shape: LoopShape, active: Any, wanted: Any
) -> tuple[Graph, LoopShape]:
    """The JVP of a body with each tangent beside its primal: constants, carry, slices; carry,
    stacks.
    """
    flags = LoopShape(1, shape.constants, shape.carry, shape.slices, None, False).split(active)
    grown = replace(
        shape,
        constants=shape.constants + sum(flags.constants),
        carry=shape.carry + sum(flags.carry),
        slices=shape.slices + sum(flags.slices),
    )

    def function(*operands: Any) -> list[Any]:
        part = replace(grown, test_constants=1).split(operands)
        primal = [
            *part.test_constants,
            *part.constants[: shape.constants],
            *part.carry[: shape.carry],
            *part.slices[: shape.slices],
        ]
        tangent = [
            *part.constants[shape.constants :],
            *part.carry[shape.carry :],
            *part.slices[shape.slices :],
        ]
        outputs = evaluate(inner, [*primal, *tangent])
        count = len(body.outputs)
        moving = sum(wanted[: shape.carry])
        return [
            *outputs[: shape.carry],
            *outputs[count : count + moving],
            *outputs[shape.carry : count],
            *outputs[count + moving :],
        ]

    types = LoopShape(1, shape.constants, shape.carry, shape.slices, None, False).split(
        body.input_types
    )

    def doubled(group: Any, moved: Any) -> list[ArrayType]:
        return [*group, *(type_ for type_, flag in zip(group, moved, strict=True) if flag)]

    every = [
        *types.test_constants,
        *doubled(types.constants, flags.constants),
        *doubled(types.carry, flags.carry),
        *doubled(types.slices, flags.slices),
    ]
    return build_closed(function, every, f"jvp_{body.name}"), grown


def longer_test(test: Graph | None, more: Sequence[ArrayType]) -> Graph | None:
    """The test of a loop with more carries at the end, which it does not read."""
    if test is None:
        return None
    count = len(test.inputs)

    def function(*operands: Any) -> list[Any]:
        return evaluate(test, operands[:count])

    return build_closed(function, [*test.input_types, *more], test.name)


def _loop_vjp(
    cts: Any,
    primals: Any,
    results: Any,
    active: Any,
    residuals: Any = None,
    *,
    body: Graph,
    test: Graph | None,
    **params: Any,
) -> Any:
    from tracer.transforms.loop_adjoint import pull_back_loop

    shape = LoopShape(**params)
    return pull_back_loop(cts, primals, results, active, residuals, body, test, shape)


def _loop_forward(
    primals: Any, active: Any, *, body: Graph, test: Graph | None, **params: Any
) -> Any:
    from tracer.transforms.loop_adjoint import run_forward_loop

    return run_forward_loop(primals, active, body, test, LoopShape(**params))


def _loop_batch(
    size: int, operands: Any, batched: Any, *, body: Graph, test: Graph | None, **params: Any
) -> Any:
    from tracer.transforms.loop_batch import batch_loop

    return batch_loop(size, operands, batched, body, test, LoopShape(**params))


loop_p = register(
    Primitive(
        "loop",
        _loop_type,
        _loop_evaluate,
        jvp_rule=_loop_jvp,
        vjp_rule=_loop_vjp,
        forward_rule=_loop_forward,
        batch_rule=_loop_batch,
        lowering=Lowering("loop"),
        multiple=True,
    )
)
