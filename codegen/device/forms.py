"""The form of a kernel: how many threads run an iteration, and where its own memory lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codegen.device.items import KernelItem
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.rows import row_turns
from codegen.device.work import (
    Body,
    has_failures,
    is_wide,
    memory_read,
    memory_written,
    trips_of,
    widest_trips,
    work_of,
)
from codegen.device.work import is_divided as is_divided
from codegen.loops.linear import flat_index
from codegen.loops.nodes import (
    Buffer,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions
from codegen.passes.rewrite import substitute
from tracer.types import INT64

SHORT = 16
"""Iterations that one thread runs as well as a group does."""
LONG = 512
"""Iterations from which on a block runs them, not a warp, whose registers they would fill."""
MOST_REGISTERS = 64
"""Elements of memory of a thread's own."""
MOST_WORDS = 65
"""Words of four bytes, fewer than which a thread has of memory of the group's."""
MOST_PROLOGUE = 8


def block_plan(item: KernelItem, name: str, machine: DeviceMachine) -> KernelPlan:
    """One group that runs everything."""
    body = tuple(item.body)
    wide = widest_trips(body)
    if wide == 1:
        threads = 1
    else:
        threads = machine.warp
        while threads < min(wide, machine.threads):
            threads *= 2
    atomic, failing = added_at_once(body), has_failures(body)
    return KernelPlan(
        name, (), (), body, threads, threads, 1, {}, atomic, failing, work=work_of(body)
    )


def grid_plan(
    item: KernelItem, name: str, machine: DeviceMachine, group: int | None = None
) -> KernelPlan:
    """Groups for the iterations of a loop and of those that fill it; of a usual size if none is
    given."""
    (loop,) = item.body
    assert isinstance(loop, Loop), "a grid walks through a loop"
    grid, body = nest_of(loop)
    rows = 1
    for part in grid:
        rows *= trips_of(part)
    failing = has_failures(body)
    if group is None:
        group = _group(grid, body, rows, failing, machine)
    threads = machine.threads
    blocks = max(1, min(-(-rows * group // threads), machine.blocks))
    atomic = added_at_once((loop,))
    return KernelPlan(
        name, grid, (), body, group, threads, blocks, {}, atomic, failing, work=work_of((loop,))
    )


def added_at_once(body: Body) -> frozenset[Buffer]:
    """The memory that iterations of scatters add to, at the same time and place maybe."""
    return frozenset(
        part.buffer.root
        for outer in statements_of(body)
        if isinstance(outer, Loop) and outer.kind == "scatter"
        for part in statements(outer.body)
        if isinstance(part, Update)
    )


def statements_of(body: Body) -> Iterator[Statement]:
    """Every statement of a block."""
    for outer in body:
        yield from statements((outer,))


def nest_of(loop: Loop) -> tuple[tuple[Loop, ...], Body]:
    """The loops of a nest whose iterations are independent, and what each iteration runs.

    Definitions between the loops become part of the body.
    """
    grid: list[Loop] = [loop]
    prologue: list[Statement] = []
    while True:
        *before, last = grid[-1].body
        if (
            not isinstance(last, Loop)
            or last.kind not in ("parallel", "scatter")
            or len(prologue) + len(before) > MOST_PROLOGUE
            or not all(isinstance(part, Let) for part in before)
            or any(
                isinstance(part, Variable)
                for bound in (last.start, last.stop)
                for part in subexpressions(bound)
            )
        ):
            return tuple(grid), (*prologue, *grid[-1].body)
        prologue += before
        grid.append(last)


def _group(
    grid: tuple[Loop, ...], body: Body, rows: int, failing: bool, machine: DeviceMachine
) -> int:
    """How many threads run an iteration."""
    inner = widest_trips(body)
    if inner < min(SHORT, machine.threads):
        return 1
    along, across = _strides(grid[-1].index, body)
    if across > along and rows >= machine.processors * machine.threads // 4:
        return 1
    if inner <= LONG and rows >= 4 * machine.processors and not failing:
        return machine.warp
    return machine.threads


def _strides(outer: str, body: Body) -> tuple[int, int]:
    """How many accesses in inner loops walk with the inner loop's index, and how many with the
    outer one's.
    """
    along = across = 0
    known = defined_places(body)
    for loops, buffer, indices in _accesses(body, ()):
        if not loops:
            continue
        terms = {
            term.name: scale
            for term, scale in flat_index(buffer, indices, known).terms.items()
            if isinstance(term, Variable)
        }
        if abs(terms.get(loops[-1].index, 0)) == 1:
            along += 1
        elif abs(terms.get(outer, 0)) == 1 and loops[-1].index in terms:
            across += 1
    return along, across


def defined_places(body: Body) -> dict[str, Expression]:
    """What integers that a block defines are, in terms of loop indices."""
    known: dict[str, Expression] = {}
    for statement in statements_of(body):
        if isinstance(statement, Let) and statement.value.dtype == INT64:
            known[statement.name] = substitute(statement.value, known)
    return known


def _accesses(
    body: Body, loops: tuple[Loop, ...]
) -> Iterator[tuple[tuple[Loop, ...], Buffer, tuple[Expression, ...]]]:
    """Each access of memory, with the loops of the body around it that are wide."""
    for statement in body:
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                if isinstance(part, Load):
                    yield loops, part.buffer, part.indices
        if isinstance(statement, (Store, Update)):
            yield loops, statement.buffer, statement.indices
        if isinstance(statement, Loop):
            yield from _accesses(
                statement.body, (*loops, statement) if is_wide(statement) else loops
            )
        elif isinstance(statement, If):
            yield from _accesses(statement.then, loops)
            yield from _accesses(statement.otherwise, loops)


def own_memory(
    plan: KernelPlan, owners: Mapping[Buffer, Loop], machine: DeviceMachine
) -> dict[Buffer, str]:
    """Where memory lies that each iteration of a loop, its owner, has for itself.

    What a thread has alone lies in its registers if it is small, and so do its elements of a
    group's; what a group shares in shared memory while there is room, and the rest in slices of a
    workspace.
    """
    found: dict[Buffer, str] = {}
    touched = memory_read(plan.body) | memory_written(plan.body)
    inside = {loop.index for loop in plan.grid}
    inside |= {part.index for part in statements_of(plan.body) if isinstance(part, Loop)}
    room = machine.shared * 3 // 4
    turns, free = row_turns(plan), MOST_WORDS
    per_block = plan.threads // plan.group
    for buffer in sorted(touched, key=lambda buffer: (buffer.size, buffer.name)):
        loop = owners.get(buffer)
        if loop is None or loop.index not in inside:
            continue
        by_thread = plan.group == 1 or _is_shared_out(loop, plan)
        size = buffer.size * buffer.dtype.itemsize * per_block
        words = turns.get(buffer, MOST_WORDS) * -(-buffer.dtype.itemsize // 4)
        if not by_thread and words < free:
            free -= words
            found[buffer] = "registers"
        elif by_thread:
            found[buffer] = "registers" if buffer.size <= MOST_REGISTERS else "thread slice"
        elif size > room:
            found[buffer] = "slice"
        else:
            room -= size
            found[buffer] = "shared"
    return found


def _is_shared_out(owner: Loop, plan: KernelPlan) -> bool:
    """Whether a loop's iterations are divided among the threads of a group."""
    if any(loop.index == owner.index for loop in plan.grid):
        return False
    return _runs_alone(plan.body, owner.index, plan.group)


def _runs_alone(body: Body, index: str, group: int) -> bool:
    """Whether the loop `index`, or one around it, is divided among a group's threads."""
    for statement in body:
        if isinstance(statement, Loop):
            inside = any(
                isinstance(part, Loop) and part.index == index for part in statements((statement,))
            )
            if not inside:
                continue
            if is_divided(statement, group):
                return True
            return statement.index != index and _runs_alone(statement.body, index, group)
        for block in blocks(statement):
            if _runs_alone(block, index, group):
                return True
    return False
