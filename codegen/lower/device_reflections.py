"""QR of matrices of few rows on a device, by Householder's reflections as LAPACK's, so that the
factors have its signs, as loops over their elements; and the arithmetic of such loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from codegen.loops.nodes import Buffer, Expression, Literal, Operation
from codegen.lower.context import BOOL, Indices, integer
from codegen.lower.device_matrices import Scalars
from codegen.lower.lapack import Emission
from tracer.types import real_dtype

Place = tuple[Buffer, Indices]
"""A matrix in memory: a buffer, and the indices of its first axes."""


class Arithmetic(Scalars):
    """Scalars of the matrices' dtype, and elements of matrices."""

    def __init__(self, emission: Emission, dtype: np.dtype[Any] | None = None) -> None:
        super().__init__(emission)
        self.dtype = emission.dtype if dtype is None else dtype
        self.wide = self.dtype.kind == "c"
        self.eps = float(np.finfo(self.dtype).eps)
        self.one, self.zero = self.number(1.0), self.number(0.0)
        self.real = Arithmetic(emission, real_dtype(self.dtype)) if self.wide else self

    def number(self, value: float) -> Literal:
        """A number."""
        return Literal(complex(value) if self.wide else value, self.dtype)

    def real_of(self, x: Expression) -> Expression:
        """The real part."""
        return self.real.run("real", x) if self.wide else x

    def conjugate(self, x: Expression) -> Expression:
        """The conjugate."""
        return self.run("conjugate", x) if self.wide else x

    def widened(self, x: Expression) -> Expression:
        """A real number as one of the matrices' dtype."""
        return self.run("cast", x) if self.wide else x

    def turned_by(self, x: Expression) -> Expression:
        """x/|x|, 1 for 0, of complex numbers."""
        size = self.real.run("absolute", x)
        none = self.test("equal", size, self.real.zero)
        size = self.real.choose(none, self.real.one, size)
        return self.choose(none, self.one, self.run("divide", x, self.widened(size)))

    def run(self, name: str, *operands: Expression) -> Expression:
        """An operation on numbers."""
        return self.context.operation(name, *operands, dtype=self.dtype)

    def test(self, name: str, x: Expression, y: Expression) -> Expression:
        """A comparison."""
        return self.context.operation(name, x, y, dtype=BOOL)

    def choose(self, condition: Expression, x: Expression, y: Expression) -> Expression:
        """x where the condition holds, else y."""
        return self.context.let(Operation("select", (condition, x, y), x.dtype))

    def mixed(self, c: Expression, x: Expression, s: Expression, y: Expression) -> Expression:
        """c·x + s·y"""
        return self.run("add", self.times(c, x), self.times(s, y))

    def at(self, matrix: Place, row: Expression, column: Expression) -> Expression:
        """An element."""
        return self.context.load(matrix[0], (*matrix[1], row, column))

    def put(self, matrix: Place, row: Expression, column: Expression, value: Expression) -> None:
        """Give an element a value."""
        self.context.store(matrix[0], (*matrix[1], row, column), value)

    def identity(self, matrix: Place, rows: int, columns: int) -> None:
        """Ones on the diagonal, zeros elsewhere."""
        with self.context.loops((rows, columns)) as (row, column):
            same = Operation("equal", (row, column), BOOL)
            value = Operation("select", (same, self.one, self.zero), self.dtype)
            self.put(matrix, row, column, self.context.let(value))

    def total(self, extent: Expression, part: Callable[[Expression], Expression]) -> Expression:
        """The sum over an index."""
        found = self.context.declare("s", self.zero)
        with self.context.loop(extent, "reduce") as index:
            self.context.reduce(found, "add", part(index))
        return self.context.settled(found)

    def largest(self, extent: Expression, part: Callable[[Expression], Expression]) -> Expression:
        """The largest absolute value over an index, 0 at least; NaN where there is one."""
        found = self.context.declare("s", self.real.zero)
        with self.context.loop(extent, "reduce") as index:
            self.context.reduce(found, "maximum", self.real.run("absolute", part(index)))
        return self.context.settled(found)


def emit_qr(emission: Emission) -> None:
    """The reflections 1 − τ̄·v·vᴴ take the matrix to R, and 1 − τ·v·vᴴ in the other order 1 to Q. v
    has a one at its step, and lies below R; all lies transposed."""
    context, (a,), scalars = emission.context, emission.operands, Arithmetic(emission)
    rows, columns = emission.node.operands[0].type.shape[-2:]
    inner, count = emission.node.results[0].type.shape[-2], min(rows, columns)
    memory = emission.workspace(emission.dtype, *emission.lead, columns, rows)
    scales = emission.workspace(emission.dtype, *emission.lead, count)
    with context.loops(emission.lead) as batch:
        packed: Place = (memory, batch)
        with context.loops((columns, rows)) as (column, row):
            scalars.put(packed, column, row, context.let(a.at(batch, row, column)))
        with context.loop(count, "serial") as step:
            scale = _reflection(scalars, packed, rows, step)
            context.store(scales, (*batch, step), scale)
            turned = scalars.conjugate(scale)
            with scalars.after(columns, step) as column:
                _reflect(scalars, packed, packed, rows, step, column, turned)
        r, q = (emission.result(place, batch) for place in (1, 0))
        with context.loops((inner, columns)) as (row, column):
            above = Operation("less_equal", (row, column), BOOL)
            value = scalars.at(packed, column, row)
            scalars.put(
                (r.buffer, r.indices), row, column, scalars.choose(above, value, scalars.zero)
            )
        target: Place = (q.buffer, q.indices)
        scalars.identity(target, inner, rows)
        with context.loop(count, "serial", reverse=True) as step:
            scale = context.load(scales, (*batch, step))
            # Rows of the transpose before that step are still those of 1.
            with context.loop(context.operation("subtract", integer(inner), step)) as over:
                column = context.operation("add", step, over)
                _reflect(scalars, packed, target, rows, step, column, scale)


def _reflection(scalars: Arithmetic, packed: Place, rows: int, step: Expression) -> Expression:
    """The reflection that clears a column below its diagonal, which becomes R's; its τ is 0 where
    there is nothing to clear. (Golub and Van Loan, algorithm 5.1.1, with LAPACK's signs.)"""
    context, real = scalars.context, scalars.real
    begin, rest = scalars.below(step), scalars.rest(rows, step)

    def entry(over: Expression) -> Expression:
        return scalars.at(packed, step, context.operation("add", begin, over))

    below, top = scalars.largest(rest, entry), scalars.at(packed, step, step)
    unit = real.run("maximum", below, real.run("absolute", top))
    unit = real.choose(real.test("greater", unit, real.zero), unit, real.one)

    def square(over: Expression) -> Expression:
        part = real.run("divide", real.run("absolute", entry(over)), unit)
        return real.times(part, part)

    first = real.run("divide", real.run("absolute", top), unit)
    squares = real.run("add", real.total(rest, square), real.times(first, first))
    length = real.times(unit, real.run("sqrt", squares))
    end = real.run("negative", real.run("copysign", length, scalars.real_of(top)))
    clear = real.test("equal", below, real.zero)
    if scalars.wide:  # R's diagonal is real, too
        plain = real.test("equal", real.run("imag", top), real.zero)
        clear = context.operation("logical_and", clear, plain, dtype=BOOL)
    end = scalars.choose(clear, scalars.one, scalars.widened(end))
    scale = scalars.run("divide", scalars.run("subtract", end, top), end)
    divisor = scalars.choose(clear, scalars.one, scalars.run("subtract", top, end))
    scalars.put(packed, step, step, scalars.choose(clear, top, end))
    with scalars.after(rows, step) as row:
        value = scalars.run("divide", scalars.at(packed, step, row), divisor)
        scalars.put(packed, step, row, value)
    return scalars.choose(clear, scalars.zero, scale)


def _reflect(
    scalars: Arithmetic,
    packed: Place,
    target: Place,
    rows: int,
    step: Expression,
    column: Expression,
    scale: Expression,
) -> None:
    """Apply the reflection of a step to a column of another matrix, which lies transposed."""
    context = scalars.context
    begin, rest = scalars.below(step), scalars.rest(rows, step)

    def part(over: Expression) -> Expression:
        row = context.operation("add", begin, over)
        own = scalars.conjugate(scalars.at(packed, step, row))
        return scalars.times(own, scalars.at(target, column, row))

    top = scalars.at(target, column, step)
    moved = scalars.times(scale, scalars.run("add", top, scalars.total(rest, part)))
    scalars.put(target, column, step, scalars.run("subtract", top, moved))
    with context.loop(rest, "serial") as over:
        row = context.operation("add", begin, over)
        less = scalars.times(moved, scalars.at(packed, step, row))
        value = scalars.run("subtract", scalars.at(target, column, row), less)
        scalars.put(target, column, row, value)
