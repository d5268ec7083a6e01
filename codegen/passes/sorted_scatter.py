"""Sums by index in a fixed order, for devices.

A loop of kind "scatter" meets itself in updates at places that are data. Where its iterations lie
apart in enough threads, or are few, each thread adds its own in order. Of few places each looks
for its terms among all (see `masked_sums`). Otherwise their places are sorted, and the terms for
each are added up by themselves (see `segment_sums`). Results are the same
bits as those of the loop run in order, but for sums of very many terms for one place, whose order
is fixed too.

Where order does not matter, as in sums of integers, atomic operations do: such loops stay, and only
such loops.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from codegen.device.items import can_add_at_once
from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.nodes import (
    Check,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import statements
from codegen.lower.context import INT64, Context, integer
from codegen.passes.chunks import Names
from codegen.passes.masked_sums import can_mask, write_masked
from codegen.passes.rewrite import Body, map_blocks, rename
from codegen.passes.scatter_nests import scatter_nests, serial_steps
from codegen.passes.scatter_terms import Plan, UnsupportedError, names_of, terms_of
from codegen.passes.segment_sums import write_sums
from codegen.passes.segments import Segments, write_segments


def sorted_scatter(program: Program, machine: DeviceMachine) -> Program:
    """The program with its sums by index, at the top and in serial loops, in such an order; only
    those are left of kind "scatter" whose iterations may add at once."""
    if not _scatters(program.body):
        return program
    known = _constants(program.body)
    program = scatter_nests(replace(program, body=rename(program.body, known)), machine)
    context = Context("device")
    context.count = Names(program).last
    body = _Order(context, machine).block(program.body)
    return replace(program, body=body, workspace=(*program.workspace, *context.workspace))


def _constants(body: Body) -> dict[str, Expression]:
    """Integers that are elements of constant arrays: columns of loops that have been written out
    are found there."""
    found: dict[str, Expression] = {}
    for statement in body:
        if isinstance(statement, Let) and isinstance(statement.value, Load):
            value, places = statement.value.buffer.value, statement.value.indices
            if value is not None and value.dtype == INT64 and value.shape:
                numbers = [int(part.value.real) for part in places if isinstance(part, Literal)]
                if len(numbers) == len(places):
                    element = value.reshape(statement.value.buffer.shape)[tuple(numbers)]
                    found[statement.name] = integer(int(element))
    return found


def _scatters(body: Body) -> bool:
    return any(isinstance(part, Loop) and part.kind == "scatter" for part in statements(body))


@dataclass(frozen=True, slots=True)
class _Order:
    """Brings the sums of blocks in order; `sorts` are those that every statement comes after."""

    context: Context
    machine: DeviceMachine
    sorts: dict[object, Segments] = field(default_factory=dict)

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            if not _scatters((statement,)):
                result.append(statement)
            elif isinstance(statement, Loop) and statement.kind != "serial":
                first, *others = self.ordered(statement)
                while result and (checked := _with_checks(result[-1], first)) is not None:
                    first = checked
                    result.pop()
                result += [first, *others]
            else:
                result.append(map_blocks(statement, self.inside))
        return tuple(result)

    def inside(self, body: Body) -> Body:
        """A block that may not run."""
        return replace(self, sorts=dict(self.sorts)).block(body)

    def ordered(self, loop: Loop) -> list[Statement]:
        """What a nest with sums by index becomes."""
        context, machine = self.context, self.machine
        try:
            plans = [Plan(term) for term in terms_of(loop)]
        except UnsupportedError:
            return [self.in_threads(loop)]
        few = work_of((loop,)) <= machine.small and serial_steps(loop) <= machine.serial
        if few and loop.kind == "scatter":
            return [_serial(loop)]
        if can_add_at_once(loop) and any(plan.steps > machine.serial for plan in plans):
            return [loop]
        with context.inner_block() as block:
            alike: dict[object, list[Plan]] = {}
            for plan in plans:
                if plan.is_sum():
                    _write_reduction(context, plan)
                elif plan.in_order(machine):
                    _write_in_order(context, plan)
                else:
                    alike.setdefault(plan.key(), []).append(plan)
            for group in alike.values():
                if can_mask(group[0], machine):
                    write_masked(context, group)
            self.write_sorted([g for g in alike.values() if not can_mask(g[0], machine)])
        return list(block.statements)

    def write_sorted(self, groups: list[list[Plan]]) -> None:
        """Write sorts and sums of segments for updates, together for those that go to like
        places."""
        own: dict[object, Segments] = {}
        for group in groups:
            common = group[0].common_key()
            sorts, key = (own, group[0].sort_key()) if common is None else (self.sorts, common)
            if key not in sorts:
                sorts[key] = write_segments(self.context, group[0])
            write_sums(self.context, group, sorts[key])

    def in_threads(self, loop: Loop) -> Statement:
        """A loop with sums by index that are not brought into another order: iterations that may
        meet follow each other."""
        if loop.kind == "parallel":
            return _serial(loop)
        return replace(loop, body=self.inside(loop.body), kind="serial")


def _with_checks(before: Statement, after: Statement) -> Loop | None:
    """A loop, and the one before it that checks indices, as one that reads them once; None where
    these are no such loops. After a check that fails nothing is read from what was made."""
    if not isinstance(before, Loop) or not isinstance(after, Loop):
        return None
    ranges = [(loop.start, loop.stop, loop.reverse) for loop in (before, after)]
    if ranges[0] != ranges[1] or before.kind != "parallel" or after.kind == "serial":
        return None
    if not all(isinstance(part, Let | Check) for part in before.body):
        return None
    if not all(isinstance(part, Let | Check | Store | Update) for part in after.body):
        return None
    checks = rename(before.body, {before.index: Variable(after.index, INT64)})
    return replace(after, body=(*checks, *after.body))


def _serial(loop: Loop) -> Loop:
    """A nest with its loops that may meet in order."""
    body = tuple([_serial(part) if isinstance(part, Loop) else part for part in loop.body])
    return replace(loop, body=body, kind="serial" if loop.kind == "scatter" else loop.kind)


def _write_in_order(context: Context, plan: Plan) -> None:
    """Write loops in which a thread makes the iterations that meet in their order."""
    apart = {loop.index for loop in plan.apart}
    outside = [let for let in plan.term.lets if plan.sources[let.name] <= apart]
    needed = plan.needed(names_of((*plan.term.update.indices, plan.term.update.value)))
    body: Body = tuple(let for let in needed if let not in outside)
    body = (*body, plan.term.update)
    for loop in reversed(plan.serial):
        body = (replace(loop, body=body, kind="serial"),)
    body = (*[let for let in needed if let in outside], *body)
    for loop in reversed(plan.apart):
        body = (replace(loop, body=body, kind="parallel"),)
    for statement in body:
        context.add(statement)


def _write_reduction(context: Context, plan: Plan) -> None:
    """Write loops for an update whose place is no data: each element a sum of all iterations."""
    update = plan.term.update
    with context.inner_block() as block:
        fixed = plan.needed({name for index in update.indices for name in names_of((index,))})
        for let in fixed:
            context.add(let)
        total = context.declare("s", Load(update.buffer, update.indices))
        with context.inner_block() as inner:
            for let in plan.needed(names_of((update.value,))):
                if let not in fixed:
                    context.add(let)
            context.reduce(total, update.operation, update.value)
        body: Body = tuple(inner.statements)
        for loop in reversed(plan.meeting):
            body = (replace(loop, body=body, kind="reduce"),)
        context.add(body[0])
        context.store(update.buffer, update.indices, context.settled(total))
    body = tuple(block.statements)
    for loop in reversed(plan.inner):
        body = (replace(loop, body=body),)
    for statement in body:
        context.add(statement)
