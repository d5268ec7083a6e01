"""Matrices of few rows on a device, as loops over their elements: a library's routine starts
several kernels a matrix, and one matrix after the other.

The stack is the outer, parallel loop, so that many matrices run at a time, and loops over what is
independent within a matrix are parallel, so that a group of threads may share one. Elements are
changed in place, in the result's memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from codegen.loops.nodes import Assign, Buffer, Expression, Literal, Operation, View
from codegen.lower.context import BOOL, INT64, Indices, integer
from codegen.lower.lapack import INT32, Emission
from tracer.types import kind_of

MOST_ROWS = 32
"""Up to here one thread's or one block's loops take less than the launches of a routine."""


def is_looped(emission: Emission) -> bool:
    """Whether loops are written: for a device, real matrices of few rows and columns."""
    shape = emission.node.operands[0].type.shape[-2:]
    on_device = emission.context.target == "device"
    return bool(on_device and kind_of(emission.dtype) == "f" and max(shape) <= MOST_ROWS)


class Scalars:
    """Arithmetic of the matrices' dtype, and indices."""

    def __init__(self, emission: Emission) -> None:
        self.context = emission.context
        self.zero = Literal(0.0, emission.dtype)
        self.one = Literal(1.0, emission.dtype)

    def below(self, row: Expression) -> Expression:
        """The row after that one."""
        return self.context.operation("add", row, integer(1))

    def rest(self, extent: int, row: Expression) -> Expression:
        """How many rows come after that one."""
        return self.context.operation("subtract", integer(extent - 1), row)

    def inverse(self, value: Expression) -> Expression:
        """1/value"""
        return self.context.operation("divide", self.one, value)

    def times(self, x: Expression, y: Expression) -> Expression:
        """x·y"""
        return self.context.operation("multiply", x, y)

    def take(self, buffer: Buffer, place: Indices, x: Expression, y: Expression) -> None:
        """Subtract x·y from an element of a buffer."""
        value = self.context.load(buffer, place)
        less = self.context.operation("subtract", value, self.times(x, y))
        self.context.store(buffer, place, less)

    @contextmanager
    def after(self, extent: int, row: Expression) -> Iterator[Expression]:
        """A loop over the rows after that one, independent of each other."""
        start = self.below(row)
        with self.context.loop(self.rest(extent, row)) as step:
            yield self.context.operation("add", start, step)


@contextmanager
def stack_loop(
    emission: Emission, text: str | None = None
) -> Iterator[tuple[Indices, Callable[[Expression], None]]]:
    """The loop over the stack, and what notes a failure in it: after it the program leaves."""
    context = emission.context
    if text is None:
        with context.loops(emission.lead) as batch:
            yield batch, lambda condition: None
        return
    flag = context.declare("s", Literal(False, BOOL))
    with context.loops(emission.lead, "reduce") as batch:
        yield batch, lambda condition: context.reduce(flag, "logical_or", condition)
    failed = context.settled(flag)
    passed = context.operation("logical_not", failed, dtype=BOOL)
    context.check(passed, "LinAlgError", text, emission.node.source)


def _cholesky(emission: Emission) -> None:
    """Column by column; each is taken from the triangle that remains."""
    context, (a,), scalars = emission.context, emission.operands, Scalars(emission)
    size = emission.node.operands[0].type.shape[-1]
    with stack_loop(emission, "Matrix is not positive definite") as (batch, fail):
        factor = emission.result(0, batch)
        buffer, start = factor.buffer, factor.indices
        with context.loops((size, size)) as (row, column):
            inside = Operation("less_equal", (column, row), BOOL)
            given = a.at(batch, row, column)
            value = Operation("select", (inside, given, scalars.zero), emission.dtype)
            context.store(buffer, (*start, row, column), context.let(value))
        with context.loop(size, "serial") as step:
            pivot = context.load(buffer, (*start, step, step))
            fail(context.operation("less_equal", pivot, scalars.zero, dtype=BOOL))
            root = context.operation("sqrt", pivot)
            inverse = scalars.inverse(root)
            context.store(buffer, (*start, step, step), root)
            with scalars.after(size, step) as row:
                entry = context.load(buffer, (*start, row, step))
                context.store(buffer, (*start, row, step), scalars.times(entry, inverse))
            with scalars.after(size, step) as row:
                left = context.load(buffer, (*start, row, step))
                with context.loop(context.operation("subtract", row, step)) as over:
                    column = context.operation("add", scalars.below(step), over)
                    right = context.load(buffer, (*start, column, step))
                    scalars.take(buffer, (*start, row, column), left, right)


def _lu(emission: Emission) -> None:
    """Gauss' elimination, the largest element of a column first. The factors lie transposed."""
    context, (a,) = emission.context, emission.operands
    rows, columns = emission.node.operands[0].type.shape[-2:]
    text = "Singular matrix" if emission.params["nonsingular"] else None
    with stack_loop(emission, text) as (batch, fail):
        factors, pivots, order = (emission.result(place, batch) for place in range(3))
        with context.loops((columns, rows)) as (column, row):
            value = context.let(a.at(batch, row, column))
            context.store(factors.buffer, (*factors.indices, column, row), value)
        with context.loop(rows) as row:
            context.store(order.buffer, (*order.indices, row), row)
        with context.loop(min(rows, columns), "serial") as step:
            chosen = _largest(emission, factors, rows, step)
            narrow = context.operation("cast", chosen, dtype=INT32)
            context.store(pivots.buffer, (*pivots.indices, step), narrow)
            _exchange(emission, order, (), step, chosen)
            with context.loop(columns) as column:
                _exchange(emission, factors, (column,), step, chosen)
            fail(_eliminate(emission, factors, (rows, columns), step))


def _largest(emission: Emission, factors: View, rows: int, step: Expression) -> Expression:
    """The row, from `step` on, of the largest element in that column."""
    context, scalars = emission.context, Scalars(emission)
    buffer, start = factors.buffer, (*factors.indices, step)
    first = context.operation("absolute", context.load(buffer, (*start, step)))
    largest, chosen = context.declare("s", first), context.declare("s", step)
    begin = scalars.below(step)
    with context.loop(scalars.rest(rows, step), "serial") as over:
        row = context.operation("add", begin, over)
        size = context.operation("absolute", context.load(buffer, (*start, row)))
        known, place = context.settled(largest), context.settled(chosen)
        larger = context.operation("greater", size, known, dtype=BOOL)
        context.add(Assign(largest.name, Operation("select", (larger, size, known), size.dtype)))
        context.add(Assign(chosen.name, Operation("select", (larger, row, place), INT64)))
    return context.settled(chosen)


def _exchange(
    emission: Emission, view: View, lead: Indices, one: Expression, other: Expression
) -> None:
    """Two elements change places; they may be the same."""
    context = emission.context
    start = (*view.indices, *lead)
    first = context.load(view.buffer, (*start, one))
    second = context.load(view.buffer, (*start, other))
    context.store(view.buffer, (*start, one), second)
    context.store(view.buffer, (*start, other), first)


def _eliminate(
    emission: Emission, factors: View, shape: tuple[int, int], step: Expression
) -> Expression:
    """Multiples of a row are taken from those below; whether the pivot is 0."""
    context, scalars = emission.context, Scalars(emission)
    rows, columns = shape
    buffer, start = factors.buffer, factors.indices
    pivot = context.load(buffer, (*start, step, step))
    vanishes = context.operation("equal", pivot, scalars.zero, dtype=BOOL)
    safe = Operation("select", (vanishes, scalars.one, pivot), emission.dtype)
    inverse = scalars.inverse(context.let(safe))
    with scalars.after(rows, step) as row:
        entry = context.load(buffer, (*start, step, row))
        context.store(buffer, (*start, step, row), scalars.times(entry, inverse))
    with scalars.after(columns, step) as column:
        above = context.load(buffer, (*start, column, step))
        with scalars.after(rows, step) as row:
            entry = context.load(buffer, (*start, step, row))
            scalars.take(buffer, (*start, column, row), entry, above)
    return vanishes


def _substitute(
    emission: Emission,
    entry: Callable[[Expression, Expression], Expression],
    place: Callable[[Expression], tuple[Buffer, Indices]],
    size: int,
    unit: bool,
    downwards: bool,
) -> None:
    """The solution of a triangular system takes the place of the right side; `entry` of a row and a
    column, `place` of a row."""
    context = emission.context
    with context.loop(size, "serial", reverse=not downwards) as row:
        value = context.declare("s", context.load(*place(row)))
        known: Expression = (
            row if downwards else context.operation("subtract", integer(size - 1), row)
        )
        with context.loop(known, "serial") as over:
            column: Expression = over
            if not downwards:
                column = context.operation("subtract", integer(size - 1), over)
            part = context.operation("multiply", entry(row, column), context.load(*place(column)))
            less = context.operation("subtract", context.settled(value), part)
            context.add(Assign(value.name, less))
        found: Expression = context.settled(value)
        if not unit:
            found = context.operation("divide", found, entry(row, row))
        context.store(*place(row), found)


def _triangular_solve(emission: Emission) -> None:
    context, (a, b) = emission.context, emission.operands
    size, columns = emission.node.operands[1].type.shape[-2:]
    transposed, unit = emission.params["transposed"], emission.params["unit"]
    with context.loops(emission.lead) as batch, context.loop(columns) as column:
        result = emission.result(0, batch)

        def entry(row: Expression, other: Expression) -> Expression:
            place = (other, row) if transposed else (row, other)
            return context.let(a.at(batch, *place))

        def place(row: Expression) -> tuple[Buffer, Indices]:
            return result.buffer, (*result.indices, row, column)

        with context.loop(size, "serial") as row:
            context.store(*place(row), context.let(b.at(batch, row, column)))
        downwards = emission.params["lower"] != transposed
        _substitute(emission, entry, place, size, unit, downwards)


def _factored_solve(emission: Emission) -> None:
    """The factors lie transposed: [column, row] is an element of L or of U."""
    context = emission.context
    _, factors, _, order, right = emission.operands
    size, columns = emission.node.operands[4].type.shape[-2:]
    transposed = emission.params["transposed"]
    memory = emission.workspace(emission.dtype, *emission.lead, columns, size)
    with context.loops(emission.lead) as batch, context.loop(columns) as column:
        result = emission.result(0, batch)

        def entry(row: Expression, other: Expression) -> Expression:
            place = (row, other) if transposed else (other, row)
            return context.let(factors.at(batch, *place))

        def place(row: Expression) -> tuple[Buffer, Indices]:
            return memory, (*batch, column, row)

        def ordered(row: Expression) -> Expression:
            return context.load(order.buffer, (*order.prefix, *batch, row))

        with context.loop(size, "serial") as row:
            source = row if transposed else ordered(row)
            context.store(*place(row), context.let(right.at(batch, source, column)))
        _substitute(emission, entry, place, size, not transposed, True)
        _substitute(emission, entry, place, size, transposed, False)
        with context.loop(size, "serial") as row:
            target = ordered(row) if transposed else row
            value = context.load(*place(row))
            context.store(result.buffer, (*result.indices, target, column), value)


LOOPS: dict[str, Callable[[Emission], None]] = {
    "cholesky": _cholesky,
    "lu": _lu,
    "factored_solve": _factored_solve,
    "triangular_solve": _triangular_solve,
}
