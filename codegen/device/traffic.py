"""How much memory the kernels of a schedule move, and how well the threads of a warp share it.

Counted from the plans of kernels, without running them: for each access of global memory, how many
warps make it, and which addresses the neighbouring threads of a warp ask for. Where an address is
data, it is taken to be anywhere; loops of unknown length, and loops that only end by a condition,
are taken to run `UNKNOWN_TRIPS` times; both branches of an `If` are counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from codegen.device.forms import is_divided
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan, ProductPlan
from codegen.device.schedule import Choose, Launch, Library, Repeat, RepeatWhile, Step
from codegen.device.sort_step import SortStep
from codegen.device.sort_traffic import moved_by, statements_of_step
from codegen.device.tiles import Tiles, find_tiles
from codegen.device.traffic_sum import SECTOR as SECTOR
from codegen.device.traffic_sum import Traffic as Traffic
from codegen.device.work import UNKNOWN_TRIPS, is_wide, trips_of
from codegen.loops.linear import strides
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
    View,
    While,
)
from codegen.loops.operations import evaluate
from codegen.loops.walk import blocks, own_expressions, subexpressions

SAMPLES = 4
"""Iterations whose addresses are looked at, spread over all."""
SPREAD = 0x9E3779B1
"""Multiples of it are far from each other: addresses that are data."""

EXCHANGE = 5
"""Statements that it takes a warp to put together what its threads have reduced."""
MEETING = 10
"""Statements that it takes a block more."""

Lanes = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
"""A number of each thread of a warp, in each sample; of one thread where all have the same."""


def schedule_traffic(steps: Sequence[Step], machine: DeviceMachine) -> Traffic:
    """That of one call."""
    total = Traffic()
    for step, runs in repeated_steps(steps):
        total += step_traffic(step, machine).times(runs)
    return total


def repeated_steps(
    steps: Iterable[Step], runs: float = 1.0, unknown: float = UNKNOWN_TRIPS
) -> Iterator[tuple[Launch | Library, float]]:
    """The launches and calls of steps, and how often each runs in one call of the program; of two
    branches both, and loops whose length is not known so many times."""
    for step in steps:
        match step:
            case Launch() | Library():
                yield step, runs
            case Repeat(_, start, stop, _, body):
                known = isinstance(start, int) and isinstance(stop, int)
                turns = max(0, stop - start) if known else unknown  # type: ignore[operator]
                yield from repeated_steps(body, runs * turns, unknown)
            case RepeatWhile(test, _, body):
                yield from repeated_steps((*test, *body), runs * unknown, unknown)
            case Choose(_, then, otherwise):
                yield from repeated_steps((*then, *otherwise), runs, unknown)


def step_traffic(step: Launch | Library, machine: DeviceMachine) -> Traffic:
    """That of one launch; of a library's call the least."""
    if isinstance(step, Launch):
        return Traffic() if step.plan is None else kernel_traffic(step.plan, machine)
    least = sum(
        float(math.prod(view.shape) * view.buffer.dtype.itemsize)
        for view in step.views
        if not view.buffer.is_tape
    )
    return Traffic(least, least, least / SECTOR, least / SECTOR)


def kernel_traffic(plan: KernelPlan, machine: DeviceMachine) -> Traffic:
    """That of one launch of a kernel."""
    return kernel_usage(plan, machine).traffic


@dataclass(frozen=True, slots=True)
class Usage:
    """What a launch of a kernel takes: the statements that its warps run, its traffic, and the
    sectors that its stores touch, each of which goes as far as the cache that all share."""

    steps: float
    traffic: Traffic
    stored: float


def kernel_usage(plan: KernelPlan, machine: DeviceMachine) -> Usage:
    """What a launch takes."""
    counter = _Counter(plan, machine, min(machine.warp, plan.threads))
    counter.kernel()
    return Usage(counter.steps, counter.traffic(), counter.stored)


@dataclass(slots=True)
class _Counter:
    """Walks through a kernel as the threads of a warp do.

    values   integer scalars of the warp's threads
    depends  the loops that change a scalar
    trips    iterations of each loop that is open, by its index
    touched  elements of each buffer that are read, and written, by what is accessed
    staged   accesses through shared memory, in tiles; `turned` are the indices of these
    steps    statements that warps run
    stored   sectors that stores touch
    """

    plan: KernelPlan
    machine: DeviceMachine
    warp: int
    values: dict[str, Lanes] = field(default_factory=dict)
    depends: dict[str, frozenset[str]] = field(default_factory=dict)
    trips: dict[str, int] = field(default_factory=dict)
    touched: dict[tuple[Buffer, bool], dict[object, float]] = field(default_factory=dict)
    asked: float = 0.0
    needed: float = 0.0
    sectors: float = 0.0
    staged: set[tuple[Buffer, tuple[Expression, ...], bool]] = field(default_factory=set)
    turned: dict[str, Lanes] = field(default_factory=dict)
    scattered: int = 0
    steps: float = 0.0
    stored: float = 0.0

    def traffic(self) -> Traffic:
        """What was counted."""
        least = 0.0
        for (buffer, _), accesses in self.touched.items():
            elements = sum(accesses.values())
            if not buffer.is_tape:
                elements = min(elements, float(buffer.size))
            least += elements * buffer.dtype.itemsize * self.plan.copies(buffer)
        return Traffic(least, self.asked, self.needed, self.sectors)

    def kernel(self) -> None:
        """All that the kernel does."""
        plan = self.plan
        for name in plan.indices:
            self.values[name] = np.zeros((SAMPLES, 1), np.int64)
        if plan.product is not None:
            self.tiled(plan.product)
            return
        if plan.sort is not None:
            self.sorted(plan.sort)
            return
        rows = math.prod(trips_of(loop) for loop in plan.grid)
        warps = plan.group / self.warp
        if plan.group == 1:
            self.block(plan.before, min(rows, plan.blocks * plan.threads) / self.warp)
            active = min(self.warp, rows)
            self.open(plan.grid, _spread(rows, active))
            self.values["group"] = self.values["thread_slot"] = _spread(rows, active)
            tiles = find_tiles(plan, self.machine)
            if tiles is not None:
                self.stage(tiles, active)
            self.block(plan.body, rows / active)
            return
        self.together(plan.before, plan.groups * warps)
        self.open(plan.grid, _spread(rows, 1))
        self.values["group"] = _spread(plan.groups, 1)
        self.together(plan.body, rows * warps)

    def open(self, nest: Sequence[Loop], place: Lanes) -> None:
        """Give the indices of a nest the values at a place in it."""
        for loop in reversed(nest):
            count = max(1, trips_of(loop))
            self.trips[loop.index] = count
            self.depends[loop.index] = frozenset((loop.index,)) | self.loops_of((loop.start,))
            self.values[loop.index] = self.value(loop.start) + place % count
            place = place // count

    # What a group does together

    def together(self, body: Iterable[Statement], warps: float) -> None:
        """Statements that all threads of a group run alike, in so many warps."""
        groups = warps * self.warp / self.plan.group
        for statement in body:
            if isinstance(statement, Loop) and is_divided(statement, self.plan.group):
                self.share(statement, groups)
                continue
            self.steps += warps
            self.loads(statement, warps)
            self.define(statement)
            match statement:
                case Store(buffer, indices, _):
                    self.access(buffer, indices, True, groups)
                case Update(buffer, indices, _, _):
                    self.access(buffer, indices, False, groups)
                    self.access(buffer, indices, True, groups)
                case Call():
                    self.product(statement, self.warp, groups)
                case Loop():
                    self.open((statement,), _spread(trips_of(statement), 1))
                    self.together(statement.body, warps * trips_of(statement))
                case While():
                    for block in blocks(statement):
                        self.together(block, warps * UNKNOWN_TRIPS)
                case If():
                    for block in blocks(statement):
                        self.together(block, warps)

    def share(self, loop: Loop, groups: float) -> None:
        """A loop, and those that fill it, whose iterations the threads of a group share."""
        nest = [loop]
        while len(nest[-1].body) == 1:
            inner = nest[-1].body[0]
            if not isinstance(inner, Loop) or not is_wide(inner):
                break
            names = {part.index for part in nest}
            if any(
                isinstance(part, Variable) and part.name in names
                for bound in (inner.start, inner.stop)
                for part in subexpressions(bound)
            ):
                break
            nest.append(inner)
        total = math.prod(trips_of(part) for part in nest)
        if total == 0:
            return
        active = min(self.warp, total)
        place = _spread(total, active)
        self.open(nest, place)
        saved = self.values.get("thread_slot")
        self.values["thread_slot"] = self.values["group"] * self.plan.group + place % active
        self.block(nest[-1].body, groups * total / active)
        own = {part.name for part in nest[-1].body if isinstance(part, Declare)}
        reduced = sum(isinstance(p, Reduce) and p.name not in own for p in nest[-1].body)
        each = EXCHANGE if self.plan.group <= self.warp else EXCHANGE + MEETING
        self.steps += groups * self.plan.group / self.warp * reduced * each
        if saved is not None:
            self.values["thread_slot"] = saved

    # What a thread does alone

    def block(self, body: Iterable[Statement], warps: float) -> None:
        """Statements that each thread of so many warps runs for itself."""
        for statement in body:
            self.steps += warps
            self.loads(statement, warps)
            self.define(statement)
            match statement:
                case Store(buffer, indices, _):
                    self.access(buffer, indices, True, warps)
                case Update(buffer, indices, _, _):
                    self.access(buffer, indices, False, warps)
                    self.access(buffer, indices, True, warps)
                case Call():
                    self.product(statement, 1, warps)
                case Loop():
                    self.open((statement,), _spread(trips_of(statement), 1))
                    self.block(statement.body, warps * trips_of(statement))
                case While():
                    for block in blocks(statement):
                        self.block(block, warps * UNKNOWN_TRIPS)
                case If():
                    for block in blocks(statement):
                        self.block(block, warps)

    # Scalars

    def define(self, statement: Statement) -> None:
        """What a scalar is in each thread, if it is an integer."""
        if not isinstance(statement, (Let, Declare, Assign, Reduce)):
            return
        name, value = statement.name, statement.value
        changed = isinstance(statement, (Assign, Reduce))
        before = self.depends.get(name, frozenset())
        after = self.loops_of((value,))
        self.depends[name] = before | after | frozenset(self.trips) if changed else after
        if value.dtype.kind in "iub":
            found = self.value(value)
            self.values[name] = self.anywhere(found) if changed else found

    def value(self, expression: Expression) -> Lanes:
        """An integer of the warp's threads."""
        match expression:
            case Literal(value):
                whole = int(value.real) if math.isfinite(value.real) else 0
                bits = np.uint64(whole & (2**64 - 1))  # a uint64 may have all of them
                return np.full((SAMPLES, 1), bits.astype(np.int64), np.int64)
            case Variable(name) if name in self.values:
                return self.values[name]
            case Load(_, indices):
                parts = [self.value(index) for index in indices]
                return self.anywhere(sum(parts, np.zeros((SAMPLES, 1), np.int64)))
            case Operation(name, operands, dtype) if all(
                part.dtype.kind in "iub" for part in (expression, *operands)
            ):
                parts = [self.value(part).astype(part.dtype) for part in operands]
                return np.asarray(evaluate(name, dtype, tuple(parts))).astype(np.int64)
            case Operation(_, operands):
                parts = [self.value(part) for part in operands]
                return self.anywhere(sum(parts, np.zeros((SAMPLES, 1), np.int64)))
        return self.anywhere(np.zeros((SAMPLES, 1), np.int64))

    def anywhere(self, where: Lanes) -> Lanes:
        """Numbers that are data: the same in threads that read the same place."""
        self.scattered += 1
        return (where * SPREAD + self.scattered) >> 4 & (2**31 - 1)

    def loops_of(self, parts: Iterable[Expression]) -> frozenset[str]:
        """The loops whose iterations change the value of some expressions."""
        found: frozenset[str] = frozenset()
        for expression in parts:
            for part in subexpressions(expression):
                if isinstance(part, Variable):
                    found |= self.depends.get(part.name, frozenset())
        return found

    # Accesses

    def loads(self, statement: Statement, warps: float) -> None:
        """What the statement itself reads."""
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                if isinstance(part, Load):
                    self.access(part.buffer, part.indices, False, warps)

    def access(
        self, buffer: Buffer, indices: tuple[Expression, ...], written: bool, warps: float
    ) -> None:
        """So many warps access that element of theirs."""
        if self.is_near(buffer):
            return
        loops = self.loops_of(indices)
        elements = math.prod(float(self.trips.get(index, 1)) for index in loops)
        self.touch(buffer, written, indices, elements)
        usual = self.values
        if (buffer, indices, written) in self.staged:
            self.values = {**usual, **self.turned}
        place: Lanes = np.zeros((SAMPLES, 1), np.int64)
        for index, step, extent in zip(indices, strides(buffer), buffer.shape, strict=True):
            found = self.value(index)
            place = place + (found % extent if extent > 0 else found) * step
        self.values = usual
        before = self.sectors
        self.warps_access(buffer, place, warps)
        if written:
            self.stored += self.sectors - before

    def stage(self, tiles: Tiles, lanes: int) -> None:
        """What is staged is accessed by neighbours along the other index of a tile."""
        self.staged = {(load.buffer, load.indices, False) for load in tiles.loads}
        self.staged |= {(store.buffer, store.indices, True) for store in tiles.stores}
        trip = self.trips[tiles.across]
        self.turned = {
            tiles.along: self.values[tiles.along][:, :1],
            tiles.across: _spread(max(trip, lanes), lanes) % trip,
        }

    def is_near(self, buffer: Buffer) -> bool:
        """Whether memory lies in registers or in shared memory."""
        made = self.plan.product
        if made is not None and buffer.root is made.nest.result:
            return True
        return self.plan.own.get(buffer.root, "") in ("registers", "shared")

    def touch(self, buffer: Buffer, written: bool, key: object, elements: float) -> None:
        known = self.touched.setdefault((buffer.root, written), {})
        known[(buffer, key)] = max(known.get((buffer, key), 0.0), elements)

    def warps_access(self, buffer: Buffer, place: Lanes, warps: float) -> None:
        """So many warps access memory as these samples do."""
        kind = self.plan.own.get(buffer.root)
        if kind is not None:
            slot = self.values["group" if kind == "slice" else "thread_slot"]
            place = place + slot * buffer.root.size
        size = buffer.dtype.itemsize
        for sample in place:
            elements = len(np.unique(sample))
            self.asked += warps * elements * size / SAMPLES
            self.needed += warps * -(-elements * size // SECTOR) / SAMPLES
            self.sectors += warps * len(np.unique(sample * size // SECTOR)) / SAMPLES

    def tiled(self, plan: ProductPlan) -> None:
        """A product in tiles: each reads its rows and columns, side by side."""
        product, tiling = plan.nest.product, plan.tiling
        count, (m, k, n) = product.count, (product.m, product.k, product.n)
        left, right = plan.nest.call.operands
        for view, size, step, again in (
            (left, m * k, product.strides[0], -(-n // tiling.columns)),
            (right, k * n, product.strides[1], -(-m // tiling.rows)),
        ):
            self.touch(view.buffer, False, view, float(size * (count if step else 1)))
            self.together_bytes(float(size * count * again * view.buffer.dtype.itemsize))
        if plan.kept:
            result = plan.nest.call.results[0]
            self.touch(result.buffer, True, result, float(m * n * count))
            self.together_bytes(float(m * n * count * result.buffer.dtype.itemsize))
        self.steps += float(m * k * n * count) / self.warp
        if plan.made is not None:
            made = plan.made
            total = m * n * count
            active = min(self.warp, total)
            self.open((*made.stack, *made.rows, *made.columns), _spread(total, active))
            self.block(made.body, total / active)

    def sorted(self, step: SortStep) -> None:
        """A kernel of a sort."""
        for moved in moved_by(self.plan, step):
            self.touch(moved.buffer, moved.written, moved, moved.elements)
            self.together_bytes(moved.bytes)
            self.sectors += moved.sectors - moved.bytes / SECTOR
        self.steps += statements_of_step(step)

    def together_bytes(self, size: float) -> None:
        """Memory that warps access side by side."""
        self.asked += size
        self.needed += size / SECTOR
        self.sectors += size / SECTOR

    def product(self, call: Call, lanes: int, groups: float) -> None:
        """A matrix product that groups make, each thread an element at a time."""
        result, (left, right) = call.results[0], call.operands
        rows = (left.shape[:-1] or (1,))[0]
        columns = (right.shape[1:] or (1,))[0]
        depth = left.shape[-1]
        active = min(lanes, rows * columns)
        place = _spread(rows * columns, active) if lanes > 1 else _spread(rows * columns, 1)
        row, column = place // columns, place % columns
        zero = np.zeros((SAMPLES, 1), np.int64)
        warps = groups * rows * columns / active
        self.view(result, True, [row, column][-len(result.shape) :], warps)
        self.view(left, False, [row, zero][-len(left.shape) :], warps * depth)
        self.view(right, False, [zero, column][: len(right.shape)], warps * depth)

    def view(self, view: View, written: bool, place: Sequence[Lanes], warps: float) -> None:
        """An element of a view."""
        if self.is_near(view.buffer):
            return
        around = math.prod(float(self.trips.get(name, 1)) for name in self.loops_of(view.indices))
        self.touch(view.buffer, written, view, around * math.prod(view.shape))
        steps = strides(view.buffer)
        rest = steps[len(view.indices) :]
        if view.axes is not None:
            rest = [rest[axis] for axis in view.axes]
        address: Lanes = np.zeros((SAMPLES, 1), np.int64)
        for index, step in zip(view.indices, steps, strict=False):
            address = address + self.value(index) * step
        for own, step in zip(place, rest, strict=False):
            address = address + own * step
        self.warps_access(view.buffer, address, warps)


def _spread(total: int, lanes: int) -> Lanes:
    """Places of neighbouring threads in a range, in samples from all of it."""
    last = max(0, total - lanes) // lanes
    first = np.arange(SAMPLES, dtype=np.int64) * last // (SAMPLES - 1) * lanes
    return first[:, None] + np.arange(lanes, dtype=np.int64)
