"""Few terms for few places: each place looks through all terms for its own, without a sort.

for place parallel
    declare s = y[place]
    for term reduce
        if place of the term == place
            reduce s by the term
    y[place] = s
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from codegen.device.machine import DeviceMachine
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Expression, Let, Load, Loop, Operation, Variable
from codegen.lower.context import BOOL, INT64, ZERO, Context, integer
from codegen.passes.rewrite import Body
from codegen.passes.scatter_terms import Plan, names_of

MANY = 512
"""Comparisons that the whole device makes in the time in which one block makes one."""
MANY_SIMULATED = 4
MOST_TERMS = 2
"""Terms that a group of threads goes through, for each statement that a block runs in the time of
a launch."""


def can_mask(plan: Plan, machine: DeviceMachine) -> bool:
    """Whether comparing all places with all terms takes less than to sort."""
    inner = [constant_trip(loop) or 0 for loop in plan.inner]
    compared = math.prod((plan.count, *plan.extents, *inner))
    most = MANY_SIMULATED if machine.simulated else MANY
    return plan.count <= MOST_TERMS * machine.small and compared <= most * machine.small


def write_masked(context: Context, plans: Sequence[Plan]) -> None:
    """Write the loops, for updates whose places are the same, and so are their loops."""
    first = plans[0]
    places = [Variable(context.fresh("i"), INT64) for _ in first.axes]
    with context.inner_block() as block:
        targets = []
        for plan in plans:
            indices = list(plan.term.update.indices)
            for axis, place in zip(plan.axes, places, strict=True):
                indices[axis] = place
            targets.append((plan.term.update.buffer, tuple(indices)))
        known: set[str] = set()
        for plan, (_, where) in zip(plans, targets, strict=True):
            known |= _define(context, plan, where, known)
        totals = [context.declare("s", Load(*target)) for target in targets]
        context.add(_terms(context, plans, places, totals, known))
        for target, total in zip(targets, totals, strict=True):
            context.store(*target, context.settled(total))
    body: Body = tuple(block.statements)
    own = [
        Loop(place.name, ZERO, integer(extent), ())
        for place, extent in zip(places, first.extents, strict=True)
    ]
    nest = [*first.inner, *own] if first.ends_inside else [*own, *first.inner]
    for loop in reversed(nest):
        body = (replace(loop, body=body, kind="parallel"),)
    context.add(body[0])


def _terms(
    context: Context,
    plans: Sequence[Plan],
    places: Sequence[Variable],
    totals: Sequence[Variable],
    known: set[str],
) -> Loop:
    """The loops that look through all terms."""
    first = plans[0]
    with context.inner_block() as block:
        found = known | _define(context, first, first.place(), known)
        matches: Expression | None = None
        for index, place in zip(first.place(), places, strict=True):
            same: Expression = Operation("equal", (index, place), BOOL)
            if matches is not None:
                same = Operation("logical_and", (matches, same), BOOL)
            matches = context.let(same)
        assert matches is not None, "a place is said by some index"
        with context.inner_block() as inside:
            for plan, total in zip(plans, totals, strict=True):
                update = plan.term.update
                found |= _define(context, plan, (update.value,), found)
                context.reduce(total, update.operation, update.value)
        context.branch(matches, inside)
    body: Body = tuple(block.statements)
    for loop in reversed(first.meeting):
        body = (replace(loop, body=body, kind="reduce"),)
    (result,) = body
    assert isinstance(result, Loop), "some loops meet"
    return result


def _define(
    context: Context, plan: Plan, parts: tuple[Expression, ...], known: set[str]
) -> set[str]:
    """Write the definitions that expressions need and that are not known; their names."""
    new: list[Let] = [let for let in plan.needed(names_of(parts)) if let.name not in known]
    for let in new:
        context.add(let)
    return {let.name for let in new}
