"""Which form a kernel gets: of those that can run it, the one that takes the least time by an
estimate of its instructions, of the sectors that its accesses touch, and of what it moves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from codegen.device.forms import LONG, SHORT, block_plan, grid_plan, own_memory
from codegen.device.items import KernelItem
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.staged import staged_rows
from codegen.device.traffic import SECTOR, kernel_usage
from codegen.device.work import trips_of, widest_trips
from codegen.loops.nodes import Buffer, Loop

FEWEST = 4
"""Iterations from which on threads might share them."""
MOST = 8192
"""Iterations from which on nothing but a block should run them."""
PER_STATEMENT = 3.0
"""Instructions of a statement; a sector of the cache takes about as long as one of them."""
PER_SECTOR = 6.0
"""Instructions in whose time memory moves a sector."""
PER_SHARED = 4.5
"""Instructions in whose time the cache that all processors share takes, or gives, a sector."""
ENOUGH = 512
"""Threads of a processor that hide how long memory takes."""
GAIN = 0.7
"""What another form has to take of the time of the usual one: the estimate is rough."""
STAGED_GAIN = 0.8
"""The same where the threads run the same iterations, on rows that are brought near."""


def kernel_plan(
    item: KernelItem, name: str, machine: DeviceMachine, owners: Mapping[Buffer, Loop]
) -> KernelPlan:
    """How a kernel runs, and where memory of its own lies."""
    if not item.grid:
        plan = block_plan(item, name, machine)
        return replace(plan, own=own_memory(plan, owners, machine))
    usual = _formed(item, name, machine, owners, None)
    others = list(_others(item, name, machine, owners, usual))
    if not others:
        return usual
    best, least = usual, _time(usual, machine)
    for plan, gain in others:
        time = _time(plan, machine) / gain
        if time < least:
            best, least = plan, time
    return best


def _others(
    item: KernelItem,
    name: str,
    machine: DeviceMachine,
    owners: Mapping[Buffer, Loop],
    usual: KernelPlan,
) -> Iterator[tuple[KernelPlan, float]]:
    """Other forms than the usual one, and what each has to take of its time."""
    staged = staged_rows(item, machine)
    if staged is not None:
        small = replace(machine, threads=staged.threads)
        mine = {**owners, **staged.owners}
        yield _formed(staged.item, name, small, mine, staged.threads), STAGED_GAIN
    inner = widest_trips(usual.body)
    if inner < FEWEST or (inner > MOST and usual.group == machine.threads):
        return
    for group in (1, machine.warp, machine.threads):
        long = usual.failing or inner > LONG
        if group == usual.group or (group == machine.warp and long):
            continue
        if group == 1 or inner >= min(SHORT, machine.threads):
            yield _formed(item, name, machine, owners, group), GAIN


def _formed(
    item: KernelItem,
    name: str,
    machine: DeviceMachine,
    owners: Mapping[Buffer, Loop],
    group: int | None,
) -> KernelPlan:
    plan = grid_plan(item, name, machine, group)
    return replace(plan, own=own_memory(plan, owners, machine))


def _time(plan: KernelPlan, machine: DeviceMachine) -> float:
    """About how many instructions of one processor the kernel takes the time of."""
    usage = kernel_usage(plan, machine)
    steps, traffic = usage.steps, usage.traffic
    rows = math.prod(trips_of(loop) for loop in plan.grid)
    full = min(1.0, rows * plan.group / (machine.processors * min(ENOUGH, 2 * machine.threads)))
    issued = PER_STATEMENT * steps + traffic.sectors
    moved = traffic.least / SECTOR
    shared = usage.stored + moved / 2
    return max(issued / full, moved * PER_SECTOR, shared * PER_SHARED) + issued
