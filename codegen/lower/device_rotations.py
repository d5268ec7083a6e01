"""Eigenvectors and singular vectors of matrices of few rows on a device, as loops over their
elements: cuSOLVER takes such matrices one after the other, some hundred microseconds each.

They are found by Jacobi's rotations (Golub and Van Loan, Matrix Computations, 8.5 and 8.6): each
makes two elements 0, sweep after sweep over all pairs, until none is left that matters. Signs are
free, and others than LAPACK's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from codegen.loops.nodes import Assign, Expression, Literal, Operation, Variable
from codegen.lower.context import BOOL, Indices, integer
from codegen.lower.device_matrices import is_looped, stack_loop
from codegen.lower.device_reflections import Arithmetic, Place, emit_qr
from codegen.lower.lapack import Emission

FEW_ROWS = 8
"""Up to here rotations of one matrix take less than a library's routine takes to start."""
MANY = 8
"""Matrices of a stack, from which on rotations of all at a time take less than routines of one
after the other."""
SWEEPS = 30
"""Sweeps after which rotations are said not to converge: six to ten are usual."""


def is_rotated(emission: Emission) -> bool:
    """Whether loops are written for a factorisation: of few rows, or of many matrices."""
    if not is_looped(emission):
        return False
    rows = max(emission.node.operands[0].type.shape[-2:])
    few = emission.node.primitive.name == "qr" or rows <= FEW_ROWS
    return few or math.prod(emission.lead) >= MANY


@dataclass(frozen=True, slots=True)
class Rotations:
    """What rotations act on: a matrix of `size` rows and columns, which becomes diagonal, with
    zeros in the columns from `pivots` on, and the rows of `left` and of `right`, where these are
    wanted. Where `symmetric`, `right` takes the rotations of both sides."""

    scalars: Arithmetic
    matrix: Place
    left: Place | None
    right: Place | None
    size: int
    pivots: int
    symmetric: bool

    def until_diagonal(self, fail: Callable[[Expression], None]) -> Expression:
        """Sweep after sweep; a failure where the matrix holds no numbers, or where that is not
        enough. Whether all is well."""
        context, scalars = self.scalars.context, self.scalars

        def entry(place: Expression) -> Expression:
            row = context.operation("floor_divide", place, integer(self.size))
            column = context.operation("remainder", place, integer(self.size))
            return scalars.at(self.matrix, row, column)

        largest = scalars.largest(integer(self.size**2), entry)
        enough = scalars.times(scalars.number(scalars.eps), largest)
        active = context.declare("s", Literal(True, BOOL))
        with context.loop(SWEEPS, "serial"):
            going = context.settled(active)
            with context.inner_block() as sweep:
                context.add(Assign(active.name, Literal(False, BOOL)))
                with (
                    context.loop(self.pivots, "serial") as first,
                    context.loop(scalars.rest(self.size, first), "serial") as over,
                ):
                    second = context.operation("add", scalars.below(first), over)
                    self.visit(first, second, enough, active)
            context.branch(going, sweep)
        found = scalars.largest(
            integer(self.size), lambda place: scalars.at(self.matrix, place, place)
        )
        known = [context.operation("isfinite", value, dtype=BOOL) for value in (largest, found)]
        done = context.operation("logical_not", context.settled(active), dtype=BOOL)
        good = context.operation("logical_and", *known, dtype=BOOL)
        good = context.operation("logical_and", good, done, dtype=BOOL)
        fail(context.operation("logical_not", good, dtype=BOOL))
        return good

    def visit(
        self, first: Expression, second: Expression, enough: Expression, active: Variable
    ) -> None:
        """Make a pair of elements 0 unless they are hardly anything beside the diagonal's; another
        sweep has to follow where they were more than `enough`."""
        context, scalars = self.scalars.context, self.scalars
        w, x = (scalars.at(self.matrix, first, place) for place in (first, second))
        y, z = (scalars.at(self.matrix, second, place) for place in (first, second))
        size = scalars.run("maximum", scalars.run("absolute", x), scalars.run("absolute", y))
        one, other = (scalars.run("sqrt", scalars.run("absolute", part)) for part in (w, z))
        eps = scalars.number(scalars.eps)
        beside = scalars.run("maximum", scalars.times(one, other), enough)
        matters = scalars.test("greater", size, scalars.times(eps, beside))
        more = scalars.test("greater", size, enough)
        known = context.settled(active)
        moved = context.operation("logical_and", matters, more, dtype=BOOL)
        again = context.operation("logical_or", known, moved, dtype=BOOL)
        context.add(Assign(active.name, again))
        with context.inner_block() as turn:
            self.rotate(first, second, (w, x, y, z))
        context.branch(matters, turn)

    def rotate(self, first: Expression, second: Expression, block: tuple[Expression, ...]) -> None:
        """Rotate two rows and two columns so that the block becomes diagonal."""
        context, scalars = self.scalars.context, self.scalars
        w, x, y, z = block
        c = s = None
        if not self.symmetric:
            c, s = _symmetrizing(scalars, w, x, y, z)
            down = scalars.run("negative", s)
            w, x = scalars.mixed(c, w, s, y), scalars.mixed(c, x, s, z)
            z = scalars.mixed(c, z, down, block[1])
        cosine, sine = _diagonalizing(scalars, w, x, z)
        back = scalars.run("negative", sine)
        left = (cosine, back)
        if c is not None and s is not None:
            left = (scalars.mixed(cosine, c, sine, s), scalars.mixed(cosine, s, back, c))
        with context.loop(self.size) as place:
            _turn(scalars, self.matrix, (first, place), (second, place), *left)
            if self.left is not None:
                _turn(scalars, self.left, (first, place), (second, place), *left)
        with context.loop(self.size) as place:
            _turn(scalars, self.matrix, (place, first), (place, second), cosine, back)
            if self.right is not None:
                _turn(scalars, self.right, (first, place), (second, place), cosine, back)
        scalars.put(self.matrix, first, second, scalars.zero)
        scalars.put(self.matrix, second, first, scalars.zero)


def _symmetrizing(
    scalars: Arithmetic, w: Expression, x: Expression, y: Expression, z: Expression
) -> tuple[Expression, Expression]:
    """The rotation from the left that makes [[w, x], [y, z]] symmetric."""
    along, across = scalars.run("add", w, z), scalars.run("subtract", y, x)
    length = scalars.run("hypot", along, across)
    none = scalars.test("equal", length, scalars.zero)
    length = scalars.choose(none, scalars.one, length)
    cosine = scalars.choose(none, scalars.one, scalars.run("divide", along, length))
    return cosine, scalars.run("divide", across, length)


def _diagonalizing(
    scalars: Arithmetic, w: Expression, x: Expression, z: Expression
) -> tuple[Expression, Expression]:
    """The smaller rotation that makes [[w, x], [x, z]] diagonal."""
    done = scalars.test("equal", x, scalars.zero)
    twice = scalars.choose(done, scalars.one, scalars.run("add", x, x))
    slope = scalars.run("divide", scalars.run("subtract", z, w), twice)
    root = scalars.run("hypot", slope, scalars.one)
    below = scalars.run("add", scalars.run("absolute", slope), root)
    tangent = scalars.run("divide", scalars.run("copysign", scalars.one, slope), below)
    tangent = scalars.choose(done, scalars.zero, tangent)
    cosine = scalars.inverse(scalars.run("hypot", tangent, scalars.one))
    return cosine, scalars.times(tangent, cosine)


def _turn(
    scalars: Arithmetic,
    matrix: Place,
    one: tuple[Expression, Expression],
    other: tuple[Expression, Expression],
    cosine: Expression,
    sine: Expression,
) -> None:
    """Two elements become cosine·one + sine·other and cosine·other − sine·one."""
    x, y = scalars.at(matrix, *one), scalars.at(matrix, *other)
    scalars.put(matrix, *one, scalars.mixed(cosine, x, sine, y))
    scalars.put(matrix, *other, scalars.mixed(cosine, y, scalars.run("negative", sine), x))


def _eigh(emission: Emission) -> None:
    context, (a,), scalars = emission.context, emission.operands, Arithmetic(emission)
    size, vectors = emission.node.operands[0].type.shape[-1], emission.params["vectors"]
    memory = emission.workspace(emission.dtype, *emission.lead, size, size)
    turns = emission.workspace(emission.dtype, *emission.lead, size, size) if vectors else None
    with stack_loop(emission, "Eigenvalues did not converge") as (batch, fail):
        matrix: Place = (memory, batch)
        rows: Place | None = None if turns is None else (turns, batch)
        with context.loops((size, size)) as (row, column):
            inside = Operation("less_equal", (column, row), BOOL)
            pair = a.at(batch, row, column), a.at(batch, column, row)
            given = pair if emission.params["lower"] else pair[::-1]
            entry = Operation("select", (inside, *given), emission.dtype)
            scalars.put(matrix, row, column, context.let(entry))
        if rows is not None:
            scalars.identity(rows, size, size)
        rotations = Rotations(scalars, matrix, None, rows, size, size - 1, True)
        good = rotations.until_diagonal(fail)
        values = emission.result(0, batch)
        with context.loop(size) as row:
            value = scalars.at(matrix, row, row)
            rank = _rank(scalars, size, row, lambda place: scalars.at(matrix, place, place), "less")
            rank = scalars.choose(good, rank, row)  # whatever there is, each row has its place
            context.store(values.buffer, (*values.indices, rank), value)
            if rows is not None:
                found = emission.result(1, batch)
                with context.loop(size) as column:
                    part = scalars.at(rows, row, column)
                    scalars.put((found.buffer, found.indices), rank, column, part)


def _rank(
    scalars: Arithmetic,
    count: int,
    row: Expression,
    key: Callable[[Expression], Expression],
    before: str,
) -> Expression:
    """How many of the keys come before that of a row: by that comparison, and of equal ones those
    with smaller numbers."""
    context, own = scalars.context, key(row)
    rank = context.declare("s", integer(0))
    with context.loop(count, "serial") as place:
        other = key(place)
        earlier = scalars.test(before, other, own)
        same = scalars.test("equal", other, own)
        first = scalars.test("less", place, row)
        tied = context.operation("logical_and", same, first, dtype=BOOL)
        counts = context.operation("logical_or", earlier, tied, dtype=BOOL)
        value = context.operation("add", context.settled(rank), integer(1))
        kept = Operation("select", (counts, value, context.settled(rank)), value.dtype)
        context.add(Assign(rank.name, kept))
    return context.settled(rank)


def _svd(emission: Emission) -> None:
    """A matrix that is higher than wide, or its transpose, with zeros beside it."""
    context, (a,), scalars = emission.context, emission.operands, Arithmetic(emission)
    rows, columns = emission.node.operands[0].type.shape[-2:]
    size, count, tall = max(rows, columns), min(rows, columns), rows >= columns
    vectors, lead = emission.params["vectors"], emission.lead
    memory = [
        emission.workspace(emission.dtype, *lead, size, size) for _ in range(3 if vectors else 1)
    ]
    with stack_loop(emission, "SVD did not converge") as (batch, fail):
        places: list[Place] = [(buffer, batch) for buffer in memory]
        matrix = places[0]
        with context.loops((size, size)) as (row, column):
            inside = Operation("less", (column, integer(count)), BOOL)
            given = a.at(batch, row, column) if tall else a.at(batch, column, row)
            padded = Operation("select", (inside, given, scalars.zero), emission.dtype)
            scalars.put(matrix, row, column, context.let(padded))
        for place in places[1:]:
            scalars.identity(place, size, size)
        left, right = places[1:] if vectors else (None, None)
        pivots = min(count, size - 1)
        rotations = Rotations(scalars, matrix, left, right, size, pivots, False)
        good = rotations.until_diagonal(fail)

        def value_at(place: Expression) -> Expression:
            return scalars.run("absolute", scalars.at(matrix, place, place))

        values = emission.result(0, batch)
        with context.loop(count) as row:
            rank = _rank(scalars, count, row, value_at, "greater")
            rank = scalars.choose(good, rank, row)
            context.store(values.buffer, (*values.indices, rank), value_at(row))
            if left is not None and right is not None:
                entry = scalars.at(matrix, row, row)
                sign = scalars.run("copysign", scalars.one, entry)
                _write_vectors(emission, batch, (left, right), (row, rank), sign)
        if left is not None and right is not None and emission.params["complete"]:
            with context.loop(size - count) as over:
                row = context.operation("add", integer(count), over)
                _write_rest(emission, batch, left, row)


def _write_vectors(
    emission: Emission,
    batch: Indices,
    found: tuple[Place, Place],
    place: tuple[Expression, Expression],
    sign: Expression,
) -> None:
    """A pair of singular vectors: from which row, and the how manieth it is. Where the singular
    value came out below 0 one of the two changes its sign."""
    context, scalars = emission.context, Arithmetic(emission)
    row, rank = place
    rows, columns = emission.node.operands[0].type.shape[-2:]
    u, v = (emission.result(number, batch) for number in (1, 2))
    of_u, of_v = found if rows >= columns else found[::-1]
    with context.loop(rows) as element:
        value = scalars.times(sign, scalars.at(of_u, row, element))
        scalars.put((u.buffer, u.indices), rank, element, value)
    with context.loop(columns) as element:
        scalars.put((v.buffer, v.indices), element, rank, scalars.at(of_v, row, element))


def _write_rest(emission: Emission, batch: Indices, left: Place, row: Expression) -> None:
    """A vector that only completes the basis of the longer side."""
    context, scalars = emission.context, Arithmetic(emission)
    rows, columns = emission.node.operands[0].type.shape[-2:]
    u, v = (emission.result(number, batch) for number in (1, 2))
    with context.loop(max(rows, columns)) as element:
        value = scalars.at(left, row, element)
        if rows >= columns:
            scalars.put((u.buffer, u.indices), row, element, value)
        else:
            scalars.put((v.buffer, v.indices), element, row, value)


ROTATED: dict[str, Callable[[Emission], None]] = {"qr": emit_qr, "eigh": _eigh, "svd": _svd}
