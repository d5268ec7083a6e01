"""The statements of a program divided into what one kernel, the host or a library does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from codegen.device.machine import DeviceMachine
from codegen.device.work import Body, is_wide, size_of, widest_work, work_of
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    If,
    Let,
    Literal,
    Loop,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.operations import DType
from codegen.loops.walk import statements

MOST_STATEMENTS = 200
"""Statements of one block's kernel, at most: registers run out, and compiling takes long."""
ATOMIC = frozenset({"int32", "int64", "uint32", "uint64"})
"""Dtypes of which sums are the same in any order."""


@dataclass(slots=True)
class KernelItem:
    """Statements for one kernel; `grid` where it is one loop that fills the device."""

    body: list[Statement]
    grid: bool = False


@dataclass(slots=True)
class LibraryItem:
    """A call that is no part of a kernel."""

    call: Call


@dataclass(slots=True)
class RepeatItem:
    """A loop of the host. Bounds that are no numbers are in one-element buffers."""

    loop: Loop
    start: int | Buffer
    stop: int | Buffer
    body: list[Item]


@dataclass(slots=True)
class WhileItem:
    """A while loop of the host; the last kernel of `test` leaves the condition."""

    test: list[Item]
    condition: Buffer
    body: list[Item]


@dataclass(slots=True)
class ChooseItem:
    """An `if` of the host."""

    condition: Buffer
    then: list[Item]
    otherwise: list[Item]


Item = KernelItem | LibraryItem | RepeatItem | WhileItem | ChooseItem


@dataclass(slots=True)
class Division:
    """Divides blocks; `slots` are the one-element buffers that the host reads."""

    machine: DeviceMachine
    slots: list[Buffer] = field(default_factory=list)

    def divide(self, body: Body) -> list[Item]:
        """The items of a block, in order."""
        items: list[Item] = []
        for statement in body:
            self.add(statement, items)
        return items

    def add(self, statement: Statement, items: list[Item]) -> None:
        """Append a statement."""
        match statement:
            case Call() if not self.is_small_product(statement):
                items.append(LibraryItem(statement))
            case Loop() if self.is_grid(statement):
                items.append(KernelItem([statement], grid=True))
            case Loop() if self.needs_host(statement):
                start = self.bound(statement.start, items)
                stop = self.bound(statement.stop, items)
                items.append(RepeatItem(statement, start, stop, self.divide(statement.body)))
            case While(test, condition, inner) if self.needs_host(statement):
                tested = self.divide(test)
                held = self.leave(condition, tested)
                items.append(WhileItem(tested, held, self.divide(inner)))
            case If(condition, then, otherwise) if self.needs_host(statement):
                held = self.leave(condition, items)
                items.append(ChooseItem(held, self.divide(then), self.divide(otherwise)))
            case _:
                self.small_kernel(statement, items)

    def small_kernel(self, statement: Statement, items: list[Item]) -> None:
        """Append a statement to the kernel before it, or start one."""
        last = items[-1] if items else None
        if isinstance(last, KernelItem) and not last.grid:
            size = size_of(last.body) + size_of((statement,))
            if size <= MOST_STATEMENTS or _is_free(statement):
                last.body.append(statement)
                return
        items.append(KernelItem([statement]))

    def is_grid(self, loop: Loop) -> bool:
        """Whether a loop has enough to do for the whole device."""
        if loop.kind == "scatter":
            ready = can_add_at_once(loop)
        else:
            ready = loop.kind == "parallel"
        return ready and work_of((loop,)) > self.machine.small and not self.has_call((loop,))

    def needs_host(self, statement: Statement) -> bool:
        """Whether a statement has parts that are kernels or calls of their own."""
        if self.has_call((statement,)):
            return True
        if isinstance(statement, Loop):
            return not is_wide(statement) and widest_work(statement.body) > self.machine.small
        return widest_work((statement,)) > self.machine.small

    def has_call(self, body: Body) -> bool:
        """Whether a block calls what is no part of a kernel."""
        return any(
            isinstance(part, Call) and not self.is_small_product(part)
            for outer in body
            for part in statements((outer,))
        )

    def is_small_product(self, call: Call) -> bool:
        """Whether a call is a matrix product that a kernel makes as fast as a library starts."""
        return call.kernel == "matmul" and work_of((call,)) <= self.machine.small

    def bound(self, bound: Expression, items: list[Item]) -> int | Buffer:
        """A loop's bound: a number, or where a kernel leaves it."""
        if isinstance(bound, Literal):
            return int(bound.value.real)
        return self.leave(bound, items)

    def leave(self, value: Expression, items: list[Item]) -> Buffer:
        """A buffer in which the last kernel leaves a value."""
        slot = self.slot(value.dtype)
        self.small_kernel(Store(slot, (), value), items)
        return slot

    def slot(self, dtype: DType) -> Buffer:
        """A new buffer for one scalar."""
        made = Buffer(f"slot{len(self.slots)}", dtype, (), "workspace")
        self.slots.append(made)
        return made


def kernels_of(items: list[Item]) -> Iterator[KernelItem]:
    """All kernels, in the order in which they stand."""
    for item in items:
        match item:
            case KernelItem():
                yield item
            case RepeatItem(body=body):
                yield from kernels_of(body)
            case WhileItem(test, _, body):
                yield from kernels_of(test)
                yield from kernels_of(body)
            case ChooseItem(_, then, otherwise):
                yield from kernels_of(then)
                yield from kernels_of(otherwise)


def can_add_at_once(loop: Loop) -> bool:
    """Whether iterations may add to the same memory in any order and give the same bits."""
    return all(
        part.operation == "add" and part.buffer.dtype.name in ATOMIC
        for part in statements(loop.body)
        if isinstance(part, Update)
    )


def _is_free(statement: Statement) -> bool:
    """Whether a statement adds nothing to speak of to a kernel."""
    return isinstance(statement, (Let, Store)) and isinstance(statement.value, (Literal, Variable))
