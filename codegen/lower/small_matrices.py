"""Matrices of up to four rows, as arithmetic on scalars: a call would take longer than the work.

One loop over the stack, without calls or branches. Rows are exchanged by selections.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from codegen.loops.nodes import Expression, Literal, Operation
from codegen.lower.context import BOOL, Indices, integer
from codegen.lower.lapack import INT32, Emission, Matrices
from tracer.types import kind_of

MOST_ROWS = 4
Rows = list[list[Expression]]


def is_small(emission: Emission) -> bool:
    """Whether scalars are written: few rows and columns of real numbers."""
    shape = emission.node.operands[0].type.shape[-2:]
    return bool(kind_of(emission.dtype) == "f" and max(shape) <= MOST_ROWS)


class Scalars:
    """Arithmetic on named scalars of one dtype."""

    def __init__(self, emission: Emission) -> None:
        self.context = emission.context
        self.dtype = emission.dtype
        self.one = Literal(1.0, self.dtype)
        self.zero = Literal(0.0, self.dtype)

    def times(self, x: Expression, y: Expression) -> Expression:
        """x·y"""
        return self.context.operation("multiply", x, y)

    def minus(self, x: Expression, y: Expression) -> Expression:
        """x − y"""
        return self.context.operation("subtract", x, y)

    def inverse(self, x: Expression) -> Expression:
        """1/x"""
        return self.context.operation("divide", self.one, x)

    def choose(self, condition: Expression, x: Expression, y: Expression) -> Expression:
        """x where the condition holds, else y."""
        return self.context.let(Operation("select", (condition, x, y), x.dtype))

    def test(self, name: str, x: Expression, y: Expression) -> Expression:
        """A comparison."""
        return self.context.operation(name, x, y, dtype=BOOL)

    def either(self, x: Expression | None, y: Expression) -> Expression:
        """Whether one of two conditions holds."""
        return y if x is None else self.context.operation("logical_or", x, y, dtype=BOOL)


@contextmanager
def failing(
    emission: Emission, text: str | None
) -> Iterator[tuple[Indices, Callable[[Expression], None]]]:
    """The loop over the stack, and what notes a failure in it: after it the program leaves."""
    context = emission.context
    if text is None or not emission.lead:
        found: list[Expression] = []
        with context.loops(emission.lead) as batch:
            yield batch, found.append
        if text is not None:
            for condition in found:
                _leave(emission, condition, text)
        return
    flag = context.declare("s", Literal(False, BOOL))
    with context.loops(emission.lead, "reduce") as batch:
        yield batch, lambda condition: context.reduce(flag, "logical_or", condition)
    _leave(emission, context.settled(flag), text)


def _leave(emission: Emission, failed: Expression, text: str) -> None:
    passed = emission.context.operation("logical_not", failed, dtype=BOOL)
    emission.context.check(passed, "LinAlgError", text, emission.node.source)


def _entries(emission: Emission, matrix: Matrices, batch: Indices, shape: Any) -> Rows:
    rows, columns = shape
    return [
        [emission.context.let(matrix.at(batch, integer(i), integer(j))) for j in range(columns)]
        for i in range(rows)
    ]


def _lu(emission: Emission) -> None:
    context, (a,) = emission.context, emission.operands
    shape = emission.node.operands[0].type.shape[-2:]
    text = "Singular matrix" if emission.params["nonsingular"] else None
    with failing(emission, text) as (batch, fail):
        entries = _entries(emission, a, batch, shape)
        order: list[Expression] = [integer(row) for row in range(shape[0])]
        pivots, singular = _eliminate(Scalars(emission), entries, order)
        if text is not None:
            fail(singular)
        factors, exchanges, places = (emission.result(place, batch) for place in range(3))
        for i, row in enumerate(entries):
            for j, value in enumerate(row):
                context.store(factors.buffer, (*factors.indices, integer(j), integer(i)), value)
            context.store(places.buffer, (*places.indices, integer(i)), order[i])
        for i, pivot in enumerate(pivots):
            narrow = context.operation("cast", pivot, dtype=INT32)
            context.store(exchanges.buffer, (*exchanges.indices, integer(i)), narrow)


def _eliminate(
    scalars: Scalars, entries: Rows, order: list[Expression]
) -> tuple[list[Expression], Expression]:
    """Gauss' elimination in place: which row came where at each step, and whether a pivot is 0."""
    rows, columns = len(entries), len(entries[0])
    pivots: list[Expression] = []
    singular: Expression | None = None
    for step in range(min(rows, columns)):
        pivots.append(_exchange(scalars, entries, order, step))
        pivot = entries[step][step]
        vanishes = scalars.test("equal", pivot, scalars.zero)
        singular = scalars.either(singular, vanishes)
        inverse = scalars.inverse(scalars.choose(vanishes, scalars.one, pivot))
        for row in entries[step + 1 :]:
            row[step] = scalars.times(row[step], inverse)
            for column in range(step + 1, columns):
                part = scalars.times(row[step], entries[step][column])
                row[column] = scalars.minus(row[column], part)
    assert singular is not None, "matrices have rows"
    return pivots, singular


def _exchange(scalars: Scalars, entries: Rows, order: list[Expression], step: int) -> Expression:
    """Bring the row of the largest element in a column to the top; which row that was."""
    context = scalars.context
    largest = context.operation("absolute", entries[step][step])
    chosen: Expression = integer(step)
    for row in range(step + 1, len(entries)):
        size = context.operation("absolute", entries[row][step])
        larger = scalars.test("greater", size, largest)
        largest = scalars.choose(larger, size, largest)
        chosen = scalars.choose(larger, integer(row), chosen)
    top, first = list(entries[step]), order[step]
    for row in range(step + 1, len(entries)):
        here = scalars.test("equal", chosen, integer(row))
        for column, value in enumerate(entries[row]):
            entries[step][column] = scalars.choose(here, value, entries[step][column])
            entries[row][column] = scalars.choose(here, top[column], value)
        order[step], order[row] = (
            scalars.choose(here, order[row], order[step]),
            scalars.choose(here, first, order[row]),
        )
    return chosen


def substitute(
    scalars: Scalars,
    entry: Callable[[int, int], Expression],
    right: list[Expression],
    inverses: list[Expression] | None,
    downwards: bool,
) -> list[Expression]:
    """The solution of a triangular system; `inverses` of its diagonal, None where that is 1."""
    size = len(right)
    order = range(size) if downwards else range(size - 1, -1, -1)
    solved: dict[int, Expression] = {}
    for row in order:
        value = right[row]
        for column, known in solved.items():
            value = scalars.minus(value, scalars.times(entry(row, column), known))
        solved[row] = value if inverses is None else scalars.times(value, inverses[row])
    return [solved[row] for row in range(size)]


def _factored_solve(emission: Emission) -> None:
    context = emission.context
    _, factors, _, order, right = emission.operands
    size, columns = emission.node.operands[4].type.shape[-2:]
    transposed = emission.params["transposed"]
    scalars = Scalars(emission)
    with context.loops(emission.lead) as batch:
        packed = _entries(emission, factors, batch, (size, size))
        inverses = [scalars.inverse(packed[row][row]) for row in range(size)]
        places = [
            context.load(order.buffer, (*order.prefix, *batch, integer(row))) for row in range(size)
        ]
        result = emission.result(0, batch)

        # The factors lie transposed: packed[column][row] is an element of L or U.
        def factor(row: int, column: int) -> Expression:
            return packed[column][row]

        def flipped(row: int, column: int) -> Expression:
            return packed[row][column]

        with context.loop(columns) as column:
            rows: list[Any] = [integer(row) for row in range(size)]
            asked = rows if transposed else places
            given = [context.let(right.at(batch, place, column)) for place in asked]
            if transposed:
                middle = substitute(scalars, flipped, given, inverses, True)
                found = substitute(scalars, flipped, middle, None, False)
            else:
                middle = substitute(scalars, factor, given, None, True)
                found = substitute(scalars, factor, middle, inverses, False)
            for place, value in zip(places if transposed else rows, found, strict=True):
                context.store(result.buffer, (*result.indices, place, column), value)


def _triangular_solve(emission: Emission) -> None:
    context, (a, b) = emission.context, emission.operands
    size, columns = emission.node.operands[1].type.shape[-2:]
    transposed, unit = emission.params["transposed"], emission.params["unit"]
    scalars = Scalars(emission)
    with context.loops(emission.lead) as batch:
        entries = _triangle(emission, a, batch, size)
        inverses = None if unit else [scalars.inverse(entries[k][k]) for k in range(size)]

        def entry(row: int, column: int) -> Expression:
            return entries[column][row] if transposed else entries[row][column]

        with context.loop(columns) as column:
            given = [context.let(b.at(batch, integer(row), column)) for row in range(size)]
            downwards = emission.params["lower"] != transposed
            found = substitute(scalars, entry, given, inverses, downwards)
            result = emission.result(0, batch)
            for row, value in enumerate(found):
                context.store(result.buffer, (*result.indices, integer(row), column), value)


def _triangle(emission: Emission, a: Matrices, batch: Indices, size: int) -> Rows:
    """The elements of the triangle that is read; 0 in the places of the others."""
    in_lower = emission.params["lower"]
    zero = Literal(0.0, emission.dtype)
    return [
        [
            emission.context.let(a.at(batch, integer(i), integer(j)))
            if (j <= i if in_lower else j >= i)
            else zero
            for j in range(size)
        ]
        for i in range(size)
    ]


def _cholesky(emission: Emission) -> None:
    context, (a,) = emission.context, emission.operands
    size = emission.node.operands[0].type.shape[-1]
    scalars = Scalars(emission)
    with failing(emission, "Matrix is not positive definite") as (batch, fail):
        entries = _entries(emission, a, batch, (size, size))
        failed: Expression | None = None
        for step in range(size):
            pivot = entries[step][step]
            failed = scalars.either(failed, scalars.test("less_equal", pivot, scalars.zero))
            root = context.operation("sqrt", pivot)
            inverse = scalars.inverse(root)
            entries[step][step] = root
            for row in range(step + 1, size):
                entries[row][step] = scalars.times(entries[row][step], inverse)
            for row in range(step + 1, size):
                for column in range(step + 1, row + 1):
                    part = scalars.times(entries[row][step], entries[column][step])
                    entries[row][column] = scalars.minus(entries[row][column], part)
        assert failed is not None, "matrices have rows"
        fail(failed)
        factor = emission.result(0, batch)
        for i in range(size):
            for j in range(size):
                value = entries[i][j] if j <= i else scalars.zero
                place = (*factor.indices, integer(i), integer(j))
                context.store(factor.buffer, place, value)


SMALL: dict[str, Callable[[Emission], None]] = {
    "triangular_solve": _triangular_solve,
    "cholesky": _cholesky,
    "lu": _lu,
    "factored_solve": _factored_solve,
}
