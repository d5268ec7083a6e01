"""The statements of a program divided into what one kernel, the host or a library does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from codegen.device.machine import DeviceMachine
from codegen.device.products import PRODUCT
from codegen.device.settled_calls import settle_call
from codegen.device.work import Body, is_wide, size_of, widest_work, work_of
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
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.operations import DType
from codegen.loops.walk import own_expressions, statements, subexpressions
from tracer import config
from tracer.types import is_inexact

MOST_STATEMENTS = 200
"""Statements of one block's kernel, at most: registers run out, and compiling takes long."""
ATOMIC = frozenset({"int32", "int64", "uint32", "uint64"})
"""Dtypes of which sums and extremes are the same in any order."""
ATOMIC_FLOATS = frozenset({"float32", "float64", "complex64", "complex128"})
"""Dtypes of which sums are rounded otherwise in another order, but which can be added at once."""


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
    """Divides blocks; `slots` are buffers that they need, most of them of one element, for the host
    to read, and `hosted` the indices of its loops."""

    machine: DeviceMachine
    slots: list[Buffer] = field(default_factory=list)
    mutable: set[str] = field(default_factory=set)
    hosted: set[str] = field(default_factory=set)

    def divide(self, body: Body) -> list[Item]:
        """The items of a block, in order."""
        items: list[Item] = []
        waiting: dict[str, Let | Declare] = {}
        for statement in body:
            if isinstance(statement, (Let, Declare)) and self.can_wait(statement):
                waiting[statement.name] = statement
                continue
            for name in [name for name in waiting if name in names_in(statement)]:
                self.define(name, waiting, items, statement)
            self.add(statement, items)
        for name in list(waiting):
            self.define(name, waiting, items, None)
        return items

    def can_wait(self, statement: Let | Declare) -> bool:
        """Whether a scalar may be defined just before it is used: it is found from literals, and
        from scalars that never change.
        """
        self.mutable.update([statement.name] if isinstance(statement, Declare) else ())
        return not any(
            isinstance(part, Load) or (isinstance(part, Variable) and part.name in self.mutable)
            for part in subexpressions(statement.value)
        )

    def define(
        self,
        name: str,
        waiting: dict[str, Let | Declare],
        items: list[Item],
        user: Statement | None,
    ) -> None:
        """Define a scalar that has waited, after those that it is found from."""
        statement = waiting.pop(name, None)
        if statement is None:
            return
        for part in subexpressions(statement.value):
            if isinstance(part, Variable):
                self.define(part.name, waiting, items, user)
        last = items[-1] if items else None
        fits = isinstance(last, KernelItem) and not last.grid
        if fits and user is not None and not self.is_apart(user):
            fits = self.fits(last, user)
        if isinstance(last, KernelItem) and fits:
            last.body.append(statement)
        else:
            items.append(KernelItem([statement]))

    def is_apart(self, statement: Statement) -> bool:
        """Whether a statement becomes something else than a part of a block's kernel."""
        if isinstance(statement, Call):
            return not self.is_small_product(statement)
        if isinstance(statement, Loop) and self.is_grid(statement):
            return True
        return isinstance(statement, (Loop, While, If)) and self.needs_host(statement)

    def fits(self, item: Item | None, statement: Statement) -> bool:
        """Whether an item is a kernel that has room for a statement."""
        if not isinstance(item, KernelItem) or item.grid:
            return False
        size = size_of(item.body) + size_of((statement,))
        return size <= MOST_STATEMENTS or _is_free(statement)

    def add(self, statement: Statement, items: list[Item]) -> None:
        """Append a statement."""
        match statement:
            case Call() if not self.is_small_product(statement):
                before, call, after = settle_call(statement, self.hosted, self.room)
                for part in before:
                    self.add(part, items)
                items.append(LibraryItem(call))
                for part in after:
                    self.add(part, items)
            case Loop() if self.is_grid(statement):
                items.append(KernelItem([statement], grid=True))
            case Loop() if self.needs_host(statement):
                start = self.bound(statement.start, items)
                stop = self.bound(statement.stop, items)
                self.hosted.add(statement.index)
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
        if isinstance(last, KernelItem) and self.fits(last, statement):
            last.body.append(statement)
            return
        items.append(KernelItem([statement]))

    def is_grid(self, loop: Loop) -> bool:
        """Whether a loop has enough to do for the whole device."""
        if loop.kind == PRODUCT:
            return True
        ready = loop.kind in ("parallel", "scatter")
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
            (isinstance(part, Call) and not self.is_small_product(part))
            or (isinstance(part, Loop) and part.kind == PRODUCT)
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
        return self.room(dtype, ())

    def room(self, dtype: DType, shape: tuple[int, ...]) -> Buffer:
        """A new buffer."""
        made = Buffer(f"slot{len(self.slots)}", dtype, shape, "workspace")
        self.slots.append(made)
        return made


def names_in(statement: Statement) -> set[str]:
    """Scalars that a statement reads or changes, at any depth."""
    found: set[str] = set()
    for part in statements((statement,)):
        if isinstance(part, (Assign, Reduce)):
            found.add(part.name)
        for expression in own_expressions(part):
            found.update(
                piece.name for piece in subexpressions(expression) if isinstance(piece, Variable)
            )
    return found


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
    """Whether iterations may add to the same memory in any order: that gives the same bits, or the
    `scatter` switch asks for it.
    """
    floats = ATOMIC_FLOATS if config.get("scatter") == "atomic" else frozenset()
    dtypes = {"add": ATOMIC | floats, "maximum": ATOMIC, "minimum": ATOMIC}
    return all(
        part.buffer.dtype.name in dtypes.get(part.operation, ())
        for part in statements(loop.body)
        if isinstance(part, Update)
    )


def adds_floats(loop: Loop) -> bool:
    """Whether iterations add numbers whose sum depends on the order."""
    return any(
        part.operation == "add" and is_inexact(part.buffer.dtype)
        for part in statements(loop.body)
        if isinstance(part, Update)
    )


def _is_free(statement: Statement) -> bool:
    """Whether a statement adds nothing to speak of to a kernel."""
    return isinstance(statement, (Let, Store)) and isinstance(statement.value, (Literal, Variable))
