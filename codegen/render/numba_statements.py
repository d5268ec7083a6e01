"""Statements of the loop program as Numba's Python."""

from __future__ import annotations

import ast
import functools
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from codegen.loops.linear import constant_trip, merge_loops
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
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions
from codegen.render.numba_expressions import ExpressionWriter
from codegen.render.numba_scalars import find_template, require_dtype
from kernels.registry import ArraySpec, find_kernel

# How often a loop is taken to run whose bounds only the run knows.
UNKNOWN_TRIPS = 64
# Statements run from which on a loop looks for signals, and between two looks: tenths of a second.
LONG, PAUSE = 10**8, 10**7
# Statements of an iteration from which on a look costs nothing, even where it hinders vectors.
HEAVY = 1000
ANY_ORDER = {
    "add": "add_any_order",
    "multiply": "multiply_any_order",
    "maximum": "maximum_any_order",
    "minimum": "minimum_any_order",
}


@dataclass(frozen=True, slots=True)
class Reduction:
    """How a loop reduces into a scalar: by which operation, and the name of its NaN flag if it
    has one."""

    operation: str
    dtype: DType
    flag: str = ""


class StatementWriter(ExpressionWriter):
    """Writes statements, line by line."""

    def __init__(
        self, place: Mapping[Buffer, tuple[str, int]], whole: Mapping[Buffer, str]
    ) -> None:
        super().__init__(place)
        self.whole = whole
        self.taken.update(whole.values())
        self.reductions: dict[str, Reduction] = {}
        self.declared: dict[str, DType] = {}
        self.kernel_functions: dict[str, Callable[..., Any]] = {}
        self.kernel_imports: set[str] = set()
        self.interrupts = False

    def block(self, body: tuple[Statement, ...]) -> None:
        """The statements of a block, indented; `pass` where there are none."""
        outer, self.indent = self.indent, self.indent + "    "
        start = len(self.lines)
        for statement in body:
            self.statement(statement)
        if len(self.lines) == start:
            self.line("pass")
        self.indent = outer

    def statement(self, statement: Statement) -> None:
        """The lines of one statement."""
        match statement:
            case Let(name, value) | Declare(name, value):
                self.declared[name] = value.dtype
                self.line(f"{self.name(name)} = {self.value(value)}")
            case Assign(name, value):
                self.line(f"{self.name(name)} = {self.value(value)}")
            case Reduce(name, operation, value):
                self.reduce(name, operation, value)
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
                self.call(statement)
            case Reserve(buffer, extent):
                self.reserve(buffer, extent)
            case Check():
                self.check(statement)

    def combine(self, operation: str, left: str, right: str, dtype: DType) -> str:
        """The text of `operation(left, right)`."""
        require_dtype(dtype)
        template = find_template(operation, dtype)
        self.helpers.update(template.helpers)
        return self.fill(template, [left, right], dtype, dtype)

    def update(
        self, buffer: Buffer, indices: tuple[Expression, ...], operation: str, value: Expression
    ) -> None:
        """Read, combine, write."""
        combined = self.atom(value)
        offset = self.offset(buffer, indices)
        if not offset.isidentifier() and not offset.isdigit():
            offset = self.temporary(offset)
        element = f"{self.array(buffer)}[{offset}]"
        self.line(f"{element} = {self.combine(operation, element, combined, buffer.dtype)}")

    def while_loop(self, loop: While) -> None:
        """`while True`, because the test may need statements."""
        outer_trips, self.trips = self.trips, self.trips * UNKNOWN_TRIPS
        ticks = self.ticks()
        self.line("while True:")
        outer, self.indent = self.indent, self.indent + "    "
        for statement in loop.test:
            self.statement(statement)
        self.line(f"if not ({self.value(loop.condition)}):")
        self.line("    break")
        for statement in loop.body:
            self.statement(statement)
        self.look(ticks, work_of((*loop.test, *loop.body)))
        self.indent = outer
        self.trips = outer_trips

    def ticks(self) -> str:
        """A new counter of iterations."""
        self.interrupts = True
        name = self.fresh("ticks")
        self.line(f"{name} = 0")
        return name

    def look(self, ticks: str, work: int) -> None:
        """Count an iteration, and look for signals some times a second."""
        self.line(f"{ticks} += 1")
        self.line(f"if {ticks} >= {max(1, PAUSE // max(1, work))}:")
        self.line(f"    {ticks} = 0")
        self.line("    if interrupted():")
        self.line("        return -1")

    def reserve(self, buffer: Buffer, extent: Expression) -> None:
        """A larger copy of a tape that is too small; twice as large, so that copies are few."""
        self.helpers.add("grown")
        name = self.array(buffer)
        size = math.prod(buffer.shape[1:])
        needed = self.temporary(f"({self.value(extent)}) * {size}")
        self.line(f"if {needed} > {name}.size:")
        self.line(f"    {name} = grown({name}, {needed})")

    def check(self, check: Check) -> None:
        """Leave the kernel with the error's number plus one, its details in `status`."""
        self.line(f"if not ({self.value(check.condition)}):")
        outer, self.indent = self.indent, self.indent + "    "
        for position, detail in enumerate(check.details):
            self.line(f"status[{position}] = {self.value(detail)}")
        self.line(f"return {check.code + 1}")
        self.indent = outer

    # Loops and reductions

    def loop(self, loop: Loop) -> None:
        """A loop, merged with those inside it where memory is walked in order."""
        loop, zeros = merge_loops(loop)
        self.substitution.update(zeros)
        self.plain_loop(loop)
        for name in zeros:
            del self.substitution[name]

    def plain_loop(self, loop: Loop) -> None:
        """One loop; nothing for an empty range, its body alone where it runs once from 0."""
        start, stop = loop.start, loop.stop
        if isinstance(start, Literal) and isinstance(stop, Literal):
            if stop.value.real <= start.value.real:
                return
            if stop.value.real == start.value.real + 1:
                self.substitution[loop.index] = start
                for statement in loop.body:
                    self.statement(statement)
                del self.substitution[loop.index]
                return
        trip = constant_trip(loop)
        outer_trips = self.trips
        self.trips *= UNKNOWN_TRIPS if trip is None else trip
        begun = self.begin_reductions(loop)
        ticks = self.ticks() if may_be_long(loop) else ""
        self.line(f"for {self.name(loop.index)} in {self.range(loop)}:")
        self.nested(loop.body)
        if ticks:
            outer, self.indent = self.indent, self.indent + "    "
            self.look(ticks, work_of(loop.body))
            self.indent = outer
        self.end_reductions(begun)
        self.trips = outer_trips

    def nested(self, body: tuple[Statement, ...]) -> None:
        """The block of a loop; loops right inside are already merged with it."""
        outer, self.indent = self.indent, self.indent + "    "
        start = len(self.lines)
        for statement in body:
            if len(body) == 1 and isinstance(statement, Loop):
                self.plain_loop(statement)
            else:
                self.statement(statement)
        if len(self.lines) == start:
            self.line("pass")
        self.indent = outer

    def range(self, loop: Loop) -> str:
        """The Python range that a loop runs through."""
        start, stop = self.short(loop.start), self.short(loop.stop)
        if loop.reverse:
            first = self.lower(loop.stop, stop)
            last = self.lower(loop.start, start)
            return f"range({first}, {last}, -1)"
        return f"range({stop})" if start == "0" else f"range({start}, {stop})"

    def lower(self, bound: Expression, text: str) -> str:
        """The text of `bound - 1`."""
        return str(int(bound.value.real) - 1) if isinstance(bound, Literal) else f"({text}) - 1"

    def begin_reductions(self, loop: Loop) -> list[str]:
        """Scalars from outside that the loop only reduces into, each by one operation.

        They may be summed in any order inside; those with a maximum or minimum of floating
        numbers get a flag that says whether there was a NaN.
        """
        begun = []
        for name, (operation, dtype) in reduced_scalars(loop).items():
            if name not in self.declared or name in self.reductions:
                continue
            flag = ""
            if dtype.kind == "f" and operation in ("maximum", "minimum"):
                flag = self.fresh(f"{self.name(name)}_nan")
                self.line(f"{flag} = {self.name(name)} != {self.name(name)}")
            self.reductions[name] = Reduction(operation, dtype, flag)
            begun.append(name)
        return begun

    def end_reductions(self, begun: list[str]) -> None:
        """After the loop: NaN where the flag says so."""
        for name in begun:
            reduction = self.reductions.pop(name)
            if reduction.flag:
                self.helpers.add("where")
                nan = self.literal(float("nan"), reduction.dtype)
                mutable = self.name(name)
                self.line(f"{mutable} = where({reduction.flag}, {nan}, {mutable})")

    def reduce(self, name: str, operation: str, value: Expression) -> None:
        """`name = operation(name, value)`, in any order inside a loop that only reduces."""
        mutable, dtype = self.name(name), value.dtype
        reduction = self.reductions.get(name)
        any_order = ANY_ORDER.get(operation, "") if dtype.kind in "fc" else ""
        if reduction is None or not any_order or (dtype.kind == "c" and operation != "add"):
            combined = self.combine(operation, mutable, self.atom(value), dtype)
            self.line(f"{mutable} = {combined}")
            return
        self.helpers.add(any_order)
        text = self.short(value)
        if reduction.flag:
            if not text.isidentifier():
                text = self.temporary(text)
            self.line(f"{reduction.flag} |= {text} != {text}")
        self.line(f"{mutable} = {any_order}({mutable}, {text})")

    # Kernels

    def call(self, call: Call) -> None:
        """A kernel on views of the buffers: its statement in place if it has but one."""
        kernel = find_kernel(call.kernel)
        specs = tuple(ArraySpec(view.buffer.dtype, view.shape) for view in call.operands)
        for spec in specs:
            require_dtype(spec.dtype)
        function = kernel.numba_form(specs, call.params)
        arrays = tuple(self.view(view) for view in (*call.results, *call.operands))
        arguments = (*arrays, *(repr(call.params[key]) for key in sorted(call.params)))
        inlined = None if kernel.numba_call else inline_call(function, arguments)
        if inlined is not None:
            self.line(inlined)
            return
        helpers = () if kernel.numba_lines else (*kernel.numba_helpers, function)
        if kernel.numba_lines:
            self.kernel_imports.update(kernel.numba_lines(call.params))
        for helper in helpers:
            self.kernel_functions[helper.__name__] = helper
            self.taken.add(helper.__name__)
        self.kernel_imports.update(kernel.numba_imports)
        if kernel.numba_call:
            self.line(kernel.numba_call(arrays, call.params))
        else:
            self.line(f"{function.__name__}({', '.join(arguments)})")

    def view(self, view: View) -> str:
        """The text of a view: the flat array itself where it is just that."""
        shape = view.buffer.shape[len(view.indices) :]
        if view.buffer in self.whole and not view.indices:
            array = self.whole[view.buffer]
        else:
            offset = self.offset(view.buffer, view.indices)
            self.helpers.add("view")
            array = f"view({self.array(view.buffer)}, {offset}, {shape})"
        if view.axes is None or view.axes == tuple(range(len(shape))):
            return array
        if view.axes == tuple(reversed(range(len(shape)))):
            return f"{array}.T"
        return f"np.transpose({array}, {view.axes})"


def reduced_scalars(loop: Loop) -> dict[str, tuple[str, DType]]:
    """Scalars that a loop's statements change by one `Reduce` operation only and never read."""
    found: dict[str, tuple[str, DType]] = {}
    spoiled: set[str] = set()
    for statement in statements(loop.body):
        if isinstance(statement, Reduce):
            entry = (statement.operation, statement.value.dtype)
            if found.setdefault(statement.name, entry) != entry:
                spoiled.add(statement.name)
        elif isinstance(statement, Assign | Declare):
            spoiled.add(statement.name)
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                if isinstance(part, Variable):
                    spoiled.add(part.name)
    return {name: entry for name, entry in found.items() if name not in spoiled}


def inline_call(function: Callable[..., Any], arguments: tuple[str, ...]) -> str | None:
    """The single statement of a function with arguments put in place; None if there are more.

    An argument that the statement uses twice is not put in place either.
    """
    parsed, parameters = _parse(function)
    body = [part for part in parsed.body if not _is_docstring(part)]
    if len(body) != 1 or not isinstance(body[0], ast.Expr | ast.Assign):
        return None
    values = dict(zip(parameters, arguments, strict=True))
    uses = [node.id for node in ast.walk(body[0]) if isinstance(node, ast.Name)]
    if any(uses.count(name) > 1 for name in parameters):
        return None
    return ast.unparse(_Replace(values).visit(ast.parse(ast.unparse(body[0]))))


@functools.cache
def _parse(function: Callable[..., Any]) -> tuple[ast.FunctionDef, tuple[str, ...]]:
    parsed = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(parsed, ast.FunctionDef), "a kernel's form is a plain function"
    return parsed, tuple(argument.arg for argument in parsed.args.args)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class _Replace(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """A parameter's argument in its place."""
        if node.id not in self.values:
            return node
        return ast.parse(self.values[node.id], mode="eval").body


def work_of(body: tuple[Statement, ...]) -> int:
    """How many statements a block runs."""
    total = 0
    for statement in body:
        if isinstance(statement, Loop):
            trips = constant_trip(statement)
            total += (UNKNOWN_TRIPS if trips is None else trips) * work_of(statement.body)
        elif isinstance(statement, Call):
            total += math.prod((*statement.results[0].shape, *statement.operands[0].shape[-1:]))
        else:
            total += 1 + sum(work_of(block) for block in blocks(statement))
    return total


def may_be_long(loop: Loop) -> bool:
    """Whether a loop should look for signals: one that may run long, but is no row of vectors."""
    trips, each = constant_trip(loop), work_of(loop.body)
    if loop.kind != "serial" and each < HEAVY:
        return False
    return trips is None or trips * each > LONG
