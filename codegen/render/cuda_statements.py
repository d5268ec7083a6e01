"""Statements of the loop program as Numba-CUDA's Python, run by one thread."""

from __future__ import annotations

import math
from collections.abc import Mapping

from codegen.device.machine import DeviceMachine
from codegen.device.schedule import NO_ROOM
from codegen.device.work import has_failures
from codegen.loops.linear import LinearForm, flat_index, strides
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Loop,
    Operation,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
    View,
    While,
)
from codegen.loops.operations import DType
from codegen.loops.walk import contains_load
from codegen.render.cuda_products import Operand, group_product
from codegen.render.cuda_scalars import find_cast, find_select, find_template
from codegen.render.numba_expressions import (
    CALL_TEMPLATE,
    ExpressionWriter,
    is_two,
    needs_parentheses,
)
from codegen.render.numba_scalars import Template
from tracer.types import INT64

Body = tuple[Statement, ...]
TAKEN = (
    "cuda", "status", "failed", "stopped", "thread", "lane", "place", "group", "own_slot",
    "thread_slot",
)  # fmt: skip
ATOMIC = {"add": "add", "maximum": "max", "minimum": "min"}
"""What CUDA calls the operations that read, combine and write in one step."""


class ThreadWriter(ExpressionWriter):
    """Writes what one thread does, line by line.

    `slices` are buffers of which each group has a part, with the name of the part's number.
    `atomic` are buffers to which several threads add at once.
    """

    def __init__(
        self,
        place: Mapping[Buffer, tuple[str, int]],
        slices: Mapping[Buffer, str],
        atomic: frozenset[Buffer],
        machine: DeviceMachine,
    ) -> None:
        super().__init__(place)
        self.taken.update(TAKEN)
        self.slices = slices
        self.atomic = atomic
        self.machine = machine
        self.capacities: dict[Buffer, str] = {}
        self.flagged = False
        self.pause = NO_ROOM
        self.products = 0

    # Expressions

    def operation(self, operation: Operation) -> str:
        """An operation: its template filled in."""
        if operation.name == "select":
            return self.select(operation)
        operands, dtype = operation.operands, operation.dtype
        source = operands[0].dtype
        if operation.name == "cast":
            template = find_cast(source, dtype)
        elif operation.name == "power" and is_two(operands[1]) and source.kind in "fc":
            template = Template("{0} * {0}")
        else:
            template = find_template(operation.name, source)
        self.helpers.update(template.helpers)
        write = self.value if CALL_TEMPLATE.fullmatch(template.text) else self.atom
        return self.fill(template, [write(operand) for operand in operands], source, dtype)

    def select(self, operation: Operation) -> str:
        """A conditional expression; an `if` where one side reads memory."""
        condition, if_true, if_false = operation.operands
        if not contains_load(if_true) and not contains_load(if_false):
            parts = [self.short(part) for part in operation.operands]
            template = find_select(operation.dtype)
            self.helpers.update(template.helpers)
            return self.fill(template, parts, operation.dtype, operation.dtype)
        test = self.value(condition)
        self.temporaries += 1
        name = self.fresh(f"t{self.temporaries}")
        self.line(f"if {test}:")
        self.branch(name, if_true)
        self.line("else:")
        self.branch(name, if_false)
        return name

    def array(self, buffer: Buffer) -> str:
        """The flat array that holds a buffer."""
        name, _ = self.place[buffer.root]
        self.arrays_used.add(name)
        return name

    def offset(self, buffer: Buffer, indices: tuple[Expression, ...]) -> str:
        """The position of an element, or of a part, in its flat array."""
        form: LinearForm = flat_index(buffer, indices, self.substitution)
        form.constant += self.place[buffer.root][1]
        if buffer.root in self.slices:
            number = Variable(self.slices[buffer.root], INT64)
            form.add(LinearForm(0, {number: buffer.root.size}))
        return self.linear(form)

    def name(self, name: str) -> str:
        """The Python name of a scalar."""
        return name if name in ("group", "own_slot", "thread_slot") else super().name(name)

    def combine(self, operation: str, left: str, right: str, dtype: DType) -> str:
        """The text of `operation(left, right)`."""
        template = find_template(operation, dtype)
        self.helpers.update(template.helpers)
        return self.fill(template, [left, right], dtype, dtype)

    # Statements

    def block(self, body: Body) -> None:
        """The statements of a block, indented; `pass` where there are none."""
        outer, self.indent = self.indent, self.indent + "    "
        start = len(self.lines)
        self.run(body)
        if len(self.lines) == start:
            self.line("pass")
        self.indent = outer

    def run(self, body: Body) -> None:
        """The statements of a block. What follows a check stands inside its `if`."""
        outer = self.indent
        for statement in body:
            if isinstance(statement, (Check, Reserve)):
                self.guard(statement)
            else:
                self.statement(statement)
        self.indent = outer

    def statement(self, statement: Statement) -> None:
        """The lines of one statement."""
        match statement:
            case Let(name, value) | Declare(name, value) | Assign(name, value):
                self.line(f"{self.name(name)} = {self.value(value)}")
            case Reduce(name, operation, value):
                own = self.name(name)
                self.line(f"{own} = {self.combine(operation, own, self.atom(value), value.dtype)}")
            case Store(buffer, indices, value):
                text = self.value(value)
                self.line(f"{self.element(buffer, indices)} = {text}")
            case Update(buffer, indices, operation, value):
                self.update(buffer, indices, operation, value)
            case Loop():
                self.loop(statement)
            case If(condition, then, otherwise):
                self.line(f"if {self.value(condition)}:")
                self.block(then)
                if otherwise:
                    self.line("else:")
                    self.block(otherwise)
            case While():
                self.while_loop(statement)
            case Call():
                self.product(statement, "0", "1")
            case _:
                raise TypeError(f"a thread runs no {type(statement).__name__}")

    def update(
        self, buffer: Buffer, indices: tuple[Expression, ...], operation: str, value: Expression
    ) -> None:
        """Read, combine, write; in one step where other threads do so too."""
        text = self.atom(value)
        if buffer.root in self.atomic:
            place = self.offset(buffer, indices)
            how = ATOMIC[operation]
            self.line(f"cuda.atomic.{how}({self.array(buffer)}, {place}, {text})")
            return
        place = self.offset(buffer, indices)
        if not place.isidentifier() and not place.isdigit():
            place = self.temporary(place)
        element = f"{self.array(buffer)}[{place}]"
        self.line(f"{element} = {self.combine(operation, element, text, buffer.dtype)}")

    def product(self, call: Call, lane: str, size: str) -> None:
        """A matrix product by `size` threads, of which this is number `lane`."""
        if call.kernel != "matmul":
            raise TypeError(f"a thread runs no {call.kernel}")
        self.products += 1
        left, right = call.operands
        rows = left.shape[:-1] or (1,)
        columns = right.shape[1:] or (1,)
        lines = group_product(
            self.matrix(call.results[0], is_row=len(left.shape) == 1),
            self.matrix(left, is_row=True),
            self.matrix(right, is_row=False),
            rows[0],
            left.shape[-1],
            columns[0],
            left.buffer.dtype,
            lane,
            size,
            self.fresh(f"product{self.products}"),
            wide=bool(call.params.get("wide")),
        )
        for line in lines:
            self.line(line)

    def matrix(self, view: View, is_row: bool) -> Operand:
        """A view as a matrix in flat memory; a vector is its one row or its one column."""
        steps = strides(view.buffer)[len(view.indices) :]
        if view.axes is not None:
            steps = [steps[axis] for axis in view.axes]
        missing = [0] * (2 - len(steps))
        row, column = (*missing, *steps) if is_row else (*steps, *missing)
        place = self.offset(view.buffer, view.indices)
        if needs_parentheses(place):
            place = self.temporary(place)
        return Operand(self.array(view.buffer), place, row, column)

    def loop(self, loop: Loop) -> None:
        """One loop; nothing for an empty range, its body alone where it runs once."""
        start, stop = loop.start, loop.stop
        if isinstance(start, Literal) and isinstance(stop, Literal):
            trip = int(stop.value.real) - int(start.value.real)
            if trip <= 0:
                return
            if trip == 1:
                self.substitution[loop.index] = start
                self.run(loop.body)
                del self.substitution[loop.index]
                return
        self.line(f"for {self.name(loop.index)} in {self.range(loop)}:")
        self.block(loop.body)

    def range(self, loop: Loop) -> str:
        """The Python range that a loop runs through."""
        start, stop = self.short(loop.start), self.short(loop.stop)
        if loop.reverse:
            return f"range({stop} - 1, {start} - 1, -1)"
        return f"range({stop})" if start == "0" else f"range({start}, {stop})"

    def while_loop(self, loop: While) -> None:
        """`while True`, because the test may need statements."""
        self.line("while True:")
        outer, self.indent = self.indent, self.indent + "    "
        self.run(loop.test)
        if has_failures(loop.test):
            self.line("if status[0] != 0:")
            self.line("    break")
        self.line(f"if not ({self.value(loop.condition)}):")
        self.line("    break")
        self.run(loop.body)
        self.indent = outer

    # Errors

    def guard(self, check: Check | Reserve) -> None:
        """An error's number in `status` where a check fails, and what follows only where it
        holds.
        """
        condition, code, details = self.failure(check)
        self.line(f"if not ({condition}):")
        outer, self.indent = self.indent, self.indent + "    "
        self.fail(code, details)
        self.indent = outer
        self.line("else:")
        self.indent += "    "
        self.line("pass")

    def failure(self, check: Check | Reserve) -> tuple[str, int, list[str]]:
        """When a statement leaves with no error, and the number and the details of its error."""
        if isinstance(check, Check):
            condition = self.value(check.condition)
            return condition, check.code + 1, [self.value(part) for part in check.details]
        name = self.capacities.setdefault(check.buffer, f"{check.buffer.name}_capacity")
        size = math.prod(check.buffer.shape[1:])
        extent = self.atom(check.extent)
        needed = self.temporary(f"{extent} * {size}")
        return f"{needed} <= {name}", self.pause, [needed, extent]

    def fail(self, code: int, details: list[str]) -> None:
        """The lines that leave an error, unless there is one."""
        self.line(f"if cuda.atomic.cas(status, 0, 0, {code}) == 0:")
        for position, detail in enumerate(details):
            self.line(f"    status[{position + 1}] = {detail}")
        if not details:
            self.line("    pass")
        if self.flagged:
            self.line("failed = np.int32(1)")
