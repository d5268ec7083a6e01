"""The adjoint of a loop: what the forward loop stores, and the loop that runs backwards over it.

One iteration's forward and adjoint are written down as one graph. What depends on cotangents is
the pull-back;
what the pull-back reads of the rest is either stored by the forward loop, one element an
iteration, or computed
again from the carry, whichever moves fewer bytes. Loop-invariant operands are neither: they are
read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracer.graph.build import build_closed, cached_by_graph
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph, Node, Variable
from tracer.primitives.broadcast import zeros
from tracer.primitives.loop import LoopParts, LoopShape, active_carry, loop
from tracer.trace import Tracer
from tracer.transforms.accumulation import sum_in_place
from tracer.transforms.graphs import depends, record_values
from tracer.transforms.reverse import accumulate, pull_back
from tracer.transforms.simplify import remove_dead, simplify
from tracer.types import RAGGED

Flags = tuple[bool, ...]

_RECOMPUTED = frozenset({"elementwise", "view", "gather"})


@dataclass(frozen=True)
class AdjointLoop:
    """What the adjoint of a loop consists of.

    forward    the body, which also returns what is stored
    pull_back  (index, constants, slices, stored, carry cotangents, stack cotangents) → cotangents
    of the carry,
               contributions to those of the constants, cotangents of the slices
    """

    forward: Graph
    pull_back: Graph
    stored: int
    constants: Flags
    carry: Flags
    slices: Flags
    stacks: Flags


@cached_by_graph
def adjoint_loop(body: Graph, shape: LoopShape, active: Flags) -> AdjointLoop:
    """Split one iteration into forward and pull-back."""
    flags = shape.split(active)
    carry = active_carry(body, shape, flags.constants, flags.carry, flags.slices)
    moving = (False, *flags.constants, *carry, *flags.slices)
    reached = depends(body, moving)
    wanted = (*carry, *reached[shape.carry :])
    combined = _combined(body, moving, wanted)
    lead = len(body.inputs)
    unknown = set(combined.inputs[lead:])
    known_nodes: list[Node] = []
    unknown_nodes: list[Node] = []
    for node in combined.nodes:
        if any(operand in unknown for operand in node.operands):
            unknown.update(node.results)
            unknown_nodes.append(node)
        else:
            known_nodes.append(node)
    outputs = combined.outputs[len(body.outputs) :]
    carried = set(combined.inputs[1 + shape.constants : 1 + shape.constants + shape.carry])
    constants = {variable for variable, _ in combined.constants}
    free = set(combined.inputs[:lead]) - carried | constants
    needed = _needed(unknown_nodes, outputs, unknown)
    stored = _choose(needed, known_nodes, free)
    forward = remove_dead(
        Graph(
            combined.inputs[:lead],
            combined.constants,
            tuple(known_nodes),
            (*combined.outputs[: len(body.outputs)], *stored),
            body.name,
        )
    )
    inputs = (
        combined.inputs[0],
        *combined.inputs[1 : 1 + shape.constants],
        *combined.inputs[1 + shape.constants + shape.carry : lead],
        *stored,
        *combined.inputs[lead:],
    )
    recomputed = tuple(
        node
        for node in known_nodes
        if _is_cheap(node) and not any(result in stored for result in node.results)
    )
    pulled = remove_dead(
        Graph(
            inputs,
            combined.constants,
            (*recomputed, *unknown_nodes),
            outputs,
            f"adjoint_{body.name}",
        )
    )
    return AdjointLoop(
        forward, pulled, len(stored), flags.constants, carry, flags.slices, reached[shape.carry :]
    )


def _combined(body: Graph, moving: Flags, wanted: Flags) -> Graph:
    """(inputs, cotangents of the wanted outputs) → (outputs, cotangents of carry, constants,
    slices).
    """
    count = len(body.inputs)

    def function(*operands: Any) -> list[Any]:
        trace, inputs, outputs = record_values(body, operands[:count], moving, reverse=True)
        found: dict[Variable, Any] = {}
        chosen = [output for output, want in zip(outputs, wanted, strict=True) if want]
        for output, ct in zip(chosen, operands[count:], strict=True):
            if type(output) is Tracer and output.variable.trace is trace:
                accumulate(found, output.variable, ct)
        pull_back(trace.nodes, found)
        values = [
            o.variable.value if type(o) is Tracer and o.variable.trace is trace else o
            for o in outputs
        ]
        cotangents = []
        for tracer, flag in zip(inputs, moving, strict=True):
            if flag:
                ct = found.get(tracer.variable)
                cotangents.append(zeros(tracer.type) if ct is None else ct)
        return [*values, *cotangents]

    ct_types = [type_ for type_, want in zip(body.output_types, wanted, strict=True) if want]
    return simplify(build_closed(function, [*body.input_types, *ct_types], body.name))


def _needed(
    nodes: Sequence[Node], outputs: Sequence[Any], unknown: set[Variable]
) -> list[Variable]:
    found: dict[Variable, None] = {}
    for operand in (*(op for node in nodes for op in node.operands), *outputs):
        if type(operand) is Variable and operand not in unknown:
            found[operand] = None
    return list(found)


def _choose(
    needed: Sequence[Variable], nodes: Sequence[Node], free: set[Variable]
) -> tuple[Variable, ...]:
    """What is stored: the needed values themselves, or fewer bytes from which they follow."""
    makers = {result: node for node in nodes for result in node.results}
    derived = _computable(nodes, free)
    direct = [variable for variable in needed if variable not in derived]
    roots: dict[Variable, None] = {}
    seen: set[Variable] = set()
    pending = list(direct)
    while pending:
        variable = pending.pop()
        if variable in seen or variable in derived:
            continue
        seen.add(variable)
        node = makers.get(variable)
        if node is None or not _is_cheap(node):
            roots[variable] = None
        else:
            pending.extend(op for op in node.operands if type(op) is Variable)
    return tuple(roots if _bytes(roots) < _bytes(direct) else direct)


def _is_cheap(node: Node) -> bool:
    lowering = node.primitive.lowering
    return lowering is not None and lowering.kind in _RECOMPUTED


def _computable(nodes: Sequence[Node], free: set[Variable]) -> set[Variable]:
    """What follows cheaply from loop-invariant operands, the slices and the index."""
    known = set(free)
    for node in nodes:
        if _is_cheap(node) and all(type(op) is not Variable or op in known for op in node.operands):
            known.update(node.results)
    return known


def _bytes(variables: Any) -> float:
    total = 0.0
    for variable in variables:
        size = float(variable.type.dtype.itemsize)
        for extent in variable.type.shape:
            size *= 1000 if extent == RAGGED else extent
        total += size
    return total


def run_forward_loop(
    primals: Sequence[Any],
    active: Sequence[bool],
    body: Graph,
    test: Graph | None,
    shape: LoopShape,
) -> tuple[Any, Any]:
    """The results of the loop, and what its adjoint reads: the stored stacks and the trip count."""
    plan = adjoint_loop(body, shape, tuple(active))
    outputs = loop(primals, plan.forward, test, shape)
    count = len(body.outputs)
    trips = outputs[count + plan.stored :]
    return (*outputs[:count], *trips), outputs[count : count + plan.stored]


def pull_back_loop(
    cts: Sequence[Any],
    primals: Sequence[Any],
    results: Sequence[Any],
    active: Sequence[bool],
    residuals: Sequence[Any] | None,
    body: Graph,
    test: Graph | None,
    shape: LoopShape,
) -> list[Any]:
    """The cotangents of the operands."""
    plan = adjoint_loop(body, shape, tuple(active))
    trips: Any = None
    if not shape.counted:
        trips = shape.split(primals).trips[0] if test is None else results[-1]
    if residuals is None:
        residuals = _stored_again(plan, primals, body, test, shape)
    return _run_backwards(plan, cts, primals, residuals, trips, body, shape)


def _stored_again(
    plan: AdjointLoop, primals: Sequence[Any], body: Graph, test: Graph | None, shape: LoopShape
) -> Sequence[Any]:
    """Run the forward loop for what it stores only; operands that this does not need may be
    unknown.
    """
    if not plan.stored:
        return ()
    from tracer.transforms.prune import pruned_loop

    wanted = (*(False,) * len(body.outputs), *(True,) * plan.stored)
    return pruned_loop(primals, plan.forward, test, shape, wanted)


def _run_backwards(
    plan: AdjointLoop,
    cts: Sequence[Any],
    primals: Sequence[Any],
    residuals: Sequence[Any],
    trips: Any,
    body: Graph,
    shape: LoopShape,
) -> list[Any]:
    parts = shape.split(primals)
    types = body.output_types
    ct_carry = [
        zeros(type_) if ct is None else ct
        for ct, type_, flag in zip(cts[: shape.carry], types, plan.carry, strict=False)
        if flag
    ]
    stack_cts = cts[shape.carry : len(types)]
    present = tuple(ct is not None for ct, flag in zip(stack_cts, plan.stacks, strict=True) if flag)
    ct_stacks = [
        ct for ct, flag in zip(stack_cts, plan.stacks, strict=True) if flag and ct is not None
    ]
    reads = _reads(plan, shape)
    sums = [
        zeros(type_)
        for type_, flag in zip(
            body.input_types[1 : 1 + shape.constants], plan.constants, strict=True
        )
        if flag
    ]
    constants = [c for c, used in zip(parts.constants, reads.constants, strict=True) if used]
    slices = [s for s, used in zip(parts.slices, reads.slices, strict=True) if used]
    backward_shape = replace(
        shape,
        test_constants=0,
        constants=len(constants),
        carry=len(ct_carry) + len(sums),
        slices=len(slices) + len(residuals) + len(ct_stacks),
        reverse=not shape.reverse,
    )
    operands = LoopParts(
        (),
        tuple(constants),
        (*ct_carry, *sums),
        (*slices, *residuals, *ct_stacks),
        () if trips is None else (trips,),
    )
    backward = _backward_body(plan.pull_back, plan, shape, present, body)
    outputs = iter(loop(operands.flat(), backward, None, backward_shape))
    carried = [next(outputs) if flag else None for flag in plan.carry]
    summed = [next(outputs) if flag else None for flag in plan.constants]
    sliced = [next(outputs) if flag else None for flag in plan.slices]
    return [
        *(None,) * shape.test_constants,
        *summed,
        *carried,
        *sliced,
        *(None for _ in parts.trips),
    ]


def _reads(plan: AdjointLoop, shape: LoopShape) -> LoopParts:
    """Which constants and slices the pull-back reads."""
    used = {op for node in plan.pull_back.nodes for op in node.operands}
    used.update(plan.pull_back.outputs)
    flags = [variable in used for variable in plan.pull_back.inputs]
    constants = flags[1 : 1 + shape.constants]
    slices = flags[1 + shape.constants : 1 + shape.constants + shape.slices]
    return LoopParts((), tuple(constants), (), tuple(slices), ())


@cached_by_graph
def _backward_body(
    pulled: Graph, plan: AdjointLoop, shape: LoopShape, present: Flags, body: Graph
) -> Graph:
    """(index, constants, (ct carry, sums), (slices, stored, ct stacks)) → ((ct carry, sums), ct
    slices).
    """
    reads = _reads(plan, shape)
    types = pulled.input_types
    lead = 1 + shape.constants + shape.slices
    moving = sum(plan.carry)
    constant_types = types[1 : 1 + shape.constants]
    slice_types = types[1 + shape.constants : lead]
    stored_types = types[lead : lead + plan.stored]
    carry_types = types[lead + plan.stored : lead + plan.stored + moving]
    stack_types = types[lead + plan.stored + moving :]
    sum_types = [t for t, flag in zip(constant_types, plan.constants, strict=True) if flag]
    inputs = [
        types[0],
        *(t for t, used in zip(constant_types, reads.constants, strict=True) if used),
        *carry_types,
        *sum_types,
        *(t for t, used in zip(slice_types, reads.slices, strict=True) if used),
        *stored_types,
        *(t for t, here in zip(stack_types, present, strict=True) if here),
    ]

    def function(*operands: Any) -> list[Any]:
        rest = iter(operands)
        index = next(rest)
        constants = [
            next(rest) if used else zeros(t)
            for t, used in zip(constant_types, reads.constants, strict=True)
        ]
        ct_carry = [next(rest) for _ in carry_types]
        sums = [next(rest) for _ in sum_types]
        slices = [
            next(rest) if used else zeros(t)
            for t, used in zip(slice_types, reads.slices, strict=True)
        ]
        stored = [next(rest) for _ in stored_types]
        ct_stacks = [
            next(rest) if here else zeros(t) for t, here in zip(stack_types, present, strict=True)
        ]
        outputs = evaluate(pulled, [index, *constants, *slices, *stored, *ct_carry, *ct_stacks])
        in_order = iter(outputs)
        contributions = [next(in_order) for _ in sum_types]
        carried = [next(in_order) for _ in carry_types]
        sliced = list(in_order)
        added = [total + part for total, part in zip(sums, contributions, strict=True)]
        return [*carried, *added, *sliced]

    graph = simplify(build_closed(function, inputs, pulled.name))
    return simplify(sum_in_place(graph, range(moving, moving + len(sum_types))))
