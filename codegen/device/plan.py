"""From a loop program to a schedule: kernels, the memory they use, and what the host does between.

Scalars that one kernel defines and another uses go through memory, unless they are cheap enough to
find again from what never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from codegen.device.ahead import Unwatched, find_unwatched
from codegen.device.choice import kernel_plan
from codegen.device.forms import statements_of
from codegen.device.gather import gather_scalars
from codegen.device.items import (
    ChooseItem,
    Division,
    Item,
    KernelItem,
    LibraryItem,
    RepeatItem,
    WhileItem,
    kernels_of,
)
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.private import private_buffers
from codegen.device.product_form import is_product, product_plan
from codegen.device.schedule import (
    Choose,
    Kernel,
    Launch,
    Library,
    Repeat,
    RepeatWhile,
    Schedule,
    Step,
)
from codegen.device.sorting import host_indices, is_sort_step, sort_plan, with_sorts
from codegen.device.trips import note_trips
from codegen.device.user_lines import lines_of
from codegen.device.work import has_failures, memory_read, memory_written
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Check,
    Declare,
    Expression,
    Let,
    Load,
    Loop,
    Program,
    Reduce,
    Reserve,
    Statement,
    Store,
    Variable,
)
from codegen.loops.walk import expressions, subexpressions
from codegen.passes.batch_calls import batch_products
from codegen.passes.fuse_epilogues import fuse_epilogues
from codegen.passes.fuse_products import fuse_products
from codegen.passes.recompute import recompute
from codegen.passes.row_scans import row_scans
from codegen.passes.row_sums import more_row_sums, row_sums
from codegen.passes.row_tiles import row_tiles
from codegen.passes.sort_calls import settle_sorts
from codegen.passes.sorted_scatter import sorted_scatter
from codegen.passes.split_recurrences import split_recurrences
from codegen.passes.split_scans import split_scans
from codegen.passes.split_sums import split_sums
from codegen.passes.workspace import place_buffers
from tracer.types import INT64

Render = Callable[[KernelPlan, Buffer | None, DeviceMachine], Kernel]
ALIGNMENT = 256
PASSES: tuple[Callable[[Program, DeviceMachine], Program], ...] = (
    row_sums,
    recompute,
    more_row_sums,
    row_tiles,
    sorted_scatter,
    settle_sorts,
    row_scans,
    split_scans,
    split_recurrences,
    split_sums,
    fuse_products,
    fuse_epilogues,
    batch_products,
)
"""What a program still goes through for the size of the device."""


def plan_program(
    program: Program,
    machine: DeviceMachine,
    render: Render,
    lines: Mapping[str, str] = MappingProxyType({}),
) -> Schedule:
    """The schedule of a program for a device, with kernels' texts by `render`; `lines` are the
    user's for the program's names.
    """
    for change in PASSES:
        program = change(program, machine)
    program = note_trips(program)
    division = Division(machine)
    items = gather_scalars(with_sorts(division.divide(program.body), machine))
    scalars = _Scalars(program, items, division)
    scalars.connect()
    failing = has_failures(program.body)
    details = max((_details(part) for part in statements_of(program.body)), default=1)
    status = Buffer("status", INT64, (details + 1,), "workspace") if failing else None
    writer = _Steps(program, machine, render, status, scalars, lines, find_unwatched(items))
    steps = writer.steps(items, ())
    offsets, copies, size = writer.memory(status)
    return Schedule(
        program.name,
        program.inputs,
        program.outputs,
        program.constants,
        steps,
        offsets,
        copies,
        size,
        tuple(buffer for buffer in program.workspace if buffer.is_tape),
        program.errors,
        details if failing else 0,
        status,
    )


def _details(statement: Statement) -> int:
    """How many values it leaves in `status` behind an error's number."""
    if isinstance(statement, Check):
        return len(statement.details)
    return 2 if isinstance(statement, Reserve) else 1


@dataclass(slots=True)
class _Scalars:
    """Scalars that pass from one kernel to another."""

    program: Program
    items: list[Item]
    division: Division
    before: dict[int, list[Statement]] = field(default_factory=dict)
    hosted: set[str] = field(default_factory=set)
    idle: set[int] = field(default_factory=set)

    def connect(self) -> None:
        """Give each kernel what it needs at its start, and let kernels leave what others need."""
        self.hosted = set(_host_indices(self.items))
        kernels = list(kernels_of(self.items))
        defined: dict[str, tuple[KernelItem, Let | Declare]] = {}
        for item in kernels:
            for statement in item.body:
                if isinstance(statement, (Let, Declare)):
                    defined[statement.name] = (item, statement)
        fixed = {*self.program.inputs, *self.program.constants}
        cheap: dict[str, Let] = {}
        for name, (_, statement) in defined.items():
            if isinstance(statement, Let) and self.is_cheap(statement.value, cheap, fixed):
                cheap[name] = statement
        slots: dict[str, Buffer] = {}
        wanted: dict[str, list[KernelItem]] = {}
        for item in kernels:
            own = names_defined(item.body)
            used = sorted(names_used(item.body) - own - self.hosted)
            start: list[Statement] = []
            for name in used:
                self.bring(name, item, start, set(), defined, cheap, slots, wanted)
            self.before[id(item)] = start
        self.leave(kernels, defined, slots)
        self.idle = {
            id(item) for item in kernels if all(_defines(part, cheap) for part in item.body)
        }

    def is_cheap(self, value: Expression, cheap: dict[str, Let], fixed: set[Buffer]) -> bool:
        """Whether a scalar can be found again anywhere: from literals, from memory that nobody
        writes, from indices of the host's loops, from such scalars.
        """
        hosted = self.hosted
        for part in subexpressions(value):
            if isinstance(part, Load) and part.buffer.root not in fixed:
                return False
            if isinstance(part, Variable) and part.name not in cheap and part.name not in hosted:
                return False
        return True

    def bring(
        self,
        name: str,
        item: KernelItem,
        start: list[Statement],
        brought: set[str],
        defined: dict[str, tuple[KernelItem, Let | Declare]],
        cheap: dict[str, Let],
        slots: dict[str, Buffer],
        wanted: dict[str, list[KernelItem]],
    ) -> None:
        """Define a scalar of another kernel at the start of this one."""
        if any(isinstance(part, (Let, Declare)) and part.name == name for part in start):
            return
        if name in cheap:
            for part in subexpressions(cheap[name].value):
                if isinstance(part, Variable) and part.name not in self.hosted:
                    self.bring(part.name, item, start, brought, defined, cheap, slots, wanted)
            start.append(cheap[name])
            return
        dtype = defined[name][1].value.dtype
        if name not in slots:
            slots[name] = self.division.slot(dtype)
        load = Load(slots[name], ())
        changed = name in names_changed(item.body)
        start.append(Declare(name, load) if changed else Let(name, load))

    def leave(
        self,
        kernels: list[KernelItem],
        defined: dict[str, tuple[KernelItem, Let | Declare]],
        slots: dict[str, Buffer],
    ) -> None:
        """Store what others need at the end of each kernel that gives it a value."""
        for item in kernels:
            changed = names_changed(item.body)
            for name, slot in slots.items():
                home, statement = defined[name]
                if home is item or name in changed:
                    value = Variable(name, statement.value.dtype)
                    item.body.append(Store(slot, (), value))


def _defines(statement: Statement, cheap: Mapping[str, Let]) -> bool:
    """Whether a statement only defines a scalar that each kernel finds for itself."""
    return isinstance(statement, Let) and statement.name in cheap


def _host_indices(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        match item:
            case RepeatItem(loop, _, _, body):
                yield loop.index
                yield from _host_indices(body)
            case WhileItem(test, _, body):
                yield from _host_indices((*test, *body))
            case ChooseItem(_, then, otherwise):
                yield from _host_indices((*then, *otherwise))


def names_defined(body: Iterable[Statement]) -> set[str]:
    """Scalars that a block defines, at any depth; loop indices too."""
    found = set()
    for part in statements_of(tuple(body)):
        if isinstance(part, (Let, Declare)):
            found.add(part.name)
        elif isinstance(part, Loop):
            found.add(part.index)
    return found


def names_changed(body: Iterable[Statement]) -> set[str]:
    """Scalars that a block assigns to or reduces into."""
    return {part.name for part in statements_of(tuple(body)) if isinstance(part, (Assign, Reduce))}


def names_used(body: Iterable[Statement]) -> set[str]:
    """Scalars that a block reads or changes."""
    block = tuple(body)
    found = {part.name for part in expressions(block) if isinstance(part, Variable)}
    return found | names_changed(block)


@dataclass(slots=True)
class _Steps:
    """Makes steps of items, and notes when each piece of memory is in use. `looks` are the flags of
    the loops and branches around, and `pause` is for the first kernel of a turn."""

    program: Program
    machine: DeviceMachine
    render: Render
    status: Buffer | None
    scalars: _Scalars
    lines: Mapping[str, str]
    unwatched: Unwatched
    looks: tuple[tuple[Buffer, bool], ...] = ()
    pause: int = 0
    lives: dict[Buffer, tuple[int, int]] = field(default_factory=dict)
    copies: dict[Buffer, int] = field(default_factory=dict)
    owners: dict[Buffer, Loop] = field(default_factory=dict)
    position: int = 0
    kernels: int = 0

    def __post_init__(self) -> None:
        self.owners = private_buffers(self.program)

    def steps(self, items: Iterable[Item], indices: tuple[str, ...]) -> tuple[Step, ...]:
        """The steps of items inside host loops with these indices."""
        idle = self.scalars.idle
        made: list[Step] = []
        for item in items:
            if id(item) in idle:
                continue
            if isinstance(item, ChooseItem) and id(item) in self.unwatched.branches:
                made += self.branches(item, indices)
            else:
                made.append(self.step(item, indices))
        return tuple(made)

    def branches(self, item: ChooseItem, indices: tuple[str, ...]) -> list[Step]:
        """The steps of both branches, of which those of one do nothing."""
        self.position += 1
        looks = self.looks
        made: list[Step] = []
        for block, chosen in ((item.then, True), (item.otherwise, False)):
            self.looks = (*looks, (item.condition, chosen))
            made += self.steps(block, indices)
        self.looks = looks
        self.touch((item.condition,))
        return made

    def step(self, item: Item, indices: tuple[str, ...]) -> Step:
        """The step of an item."""
        self.position += 1
        match item:
            case KernelItem():
                return self.launch(item, indices)
            case LibraryItem(call):
                views = (*call.results, *call.operands)
                self.touch(view.buffer.root for view in views)
                return Library(call)
            case RepeatItem(loop, start, stop, body):
                first = self.position
                self.touch(part for part in (start, stop) if isinstance(part, Buffer))
                steps = self.steps(body, (*indices, loop.index))
                self.extend(first)
                return Repeat(loop.index, start, stop, loop.reverse, steps)
            case WhileItem():
                return self.loop(item, indices)
            case ChooseItem(condition, then, otherwise):
                self.touch((condition,))
                return Choose(condition, self.steps(then, indices), self.steps(otherwise, indices))

    def loop(self, item: WhileItem, indices: tuple[str, ...]) -> RepeatWhile:
        """The steps of a while loop."""
        first, looks = self.position, self.looks
        ahead = id(item) in self.unwatched.loops
        pause = self.unwatched.pauses.get(id(item))
        self.looks = (*looks, (item.condition, True)) if ahead else looks
        tested = self.steps(item.test, indices)
        self.pause = 0 if pause is None else pause.code
        steps = self.steps(item.body, indices)
        self.looks = looks
        self.touch((item.condition,))
        self.extend(first)
        if pause is None:
            return RepeatWhile(tested, item.condition, steps, ahead)
        return RepeatWhile(tested, item.condition, steps, ahead, pause.code, pause.tapes)

    def launch(self, item: KernelItem, indices: tuple[str, ...]) -> Launch:
        """The kernel of an item, and how it is launched."""
        name = f"kernel_{self.kernels}"
        if is_product(item):
            plan = product_plan(item, name, self.machine)
        elif is_sort_step(item):
            plan = sort_plan(item, name, self.machine)
        else:
            plan = kernel_plan(item, name, self.machine, self.owners)
        self.kernels += 1
        before = tuple(self.scalars.before.get(id(item), ()))
        used = names_used((*before, *item.body)) | host_indices(plan)
        plan = replace(
            plan,
            before=before,
            guarded=self.status is not None,
            looks=self.looks,
            pause=self.pause,
            indices=tuple(name for name in indices if name in used),
        )
        self.pause = 0
        touched = memory_read((*before, *plan.grid, *plan.body)) | memory_written(plan.body)
        touched |= {flag for flag, _ in plan.looks}
        for buffer in touched:
            if plan.copies(buffer) > 1:
                self.copies[buffer] = max(self.copies.get(buffer, 1), plan.copies(buffer))
        self.touch(touched)
        kernel = self.render(plan, self.status, self.machine)
        kernel = replace(kernel, places=lines_of(plan.body, self.lines), looks=plan.looks)
        return Launch(kernel, plan.blocks, plan.threads, plan.work, plan=plan)

    def touch(self, buffers: Iterable[Buffer]) -> None:
        """Note that memory is in use now."""
        for buffer in buffers:
            if buffer.role == "workspace" and not buffer.is_tape:
                first = self.lives.get(buffer, (self.position, 0))[0]
                self.lives[buffer] = (first, self.position)

    def extend(self, first: int) -> None:
        """What was in use since then is in use all the time since then: the steps run again."""
        for buffer, (start, stop) in self.lives.items():
            if stop >= first:
                self.lives[buffer] = (min(start, first), self.position)

    def memory(self, status: Buffer | None) -> tuple[dict[Buffer, int], dict[Buffer, int], int]:
        """Where workspace lies, how often each is there, and the size of all of it."""
        if status is not None:
            self.lives[status] = (0, self.position + 1)
        sizes = {
            buffer: buffer.size * buffer.dtype.itemsize * self.copies.get(buffer, 1)
            for buffer in self.lives
        }
        offsets, peak = place_buffers(sizes, self.lives, ALIGNMENT)
        return offsets, self.copies, peak
