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
from codegen.lower.device_matrices import MOST_ROWS, stack_loop
from codegen.lower.device_reflections import Arithmetic, Place, emit_qr
from codegen.lower.lapack import Emission
from tracer.types import kind_of

FEW_ROWS = 8
"""Up to here rotations of one matrix take less than a library's routine takes to start."""
MANY = 8
"""Matrices of a stack, from which on rotations of all at a time take less than routines of one
after the other."""
SWEEPS = 30
"""Sweeps after which rotations are said not to converge: six to ten are usual."""


def is_rotated(emission: Emission) -> bool:
    """Whether loops are written for a factorisation: of few rows, or of many matrices."""
    rows = max(emission.node.operands[0].type.shape[-2:])
    on_device = emission.context.target == "device"
    if not on_device or rows > MOST_ROWS or kind_of(emission.dtype) not in "fc":
        return False
    few = emission.node.primitive.name == "qr" or rows <= FEW_ROWS
    return few or math.prod(emission.lead) >= MANY


Block = tuple[Expression, ...]
"""Two rows of two numbers."""


@dataclass(frozen=True, slots=True)
class Rotations:
    """What rotations act on: a matrix of `size` rows and columns, which becomes diagonal, with
    zeros in the columns from `pivots` on, and the rows of `left` and of `right`, where these are
    wanted. Where `symmetric`, or Hermitian, `right` takes the rotations of both sides.

    What was A is left·A·rightᵀ then, with the conjugate of `right` where `symmetric`."""

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
        context, scalars, real = self.scalars.context, self.scalars, self.scalars.real

        def entry(place: Expression) -> Expression:
            row = context.operation("floor_divide", place, integer(self.size))
            column = context.operation("remainder", place, integer(self.size))
            return scalars.at(self.matrix, row, column)

        largest = scalars.largest(integer(self.size**2), entry)
        enough = real.times(real.number(real.eps), largest)
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
        context, scalars, real = self.scalars.context, self.scalars, self.scalars.real
        w, x = (scalars.at(self.matrix, first, place) for place in (first, second))
        y, z = (scalars.at(self.matrix, second, place) for place in (first, second))
        size = real.run("maximum", real.run("absolute", x), real.run("absolute", y))
        one, other = (real.run("sqrt", real.run("absolute", part)) for part in (w, z))
        beside = real.run("maximum", real.times(one, other), enough)
        matters = real.test("greater", size, real.times(real.number(real.eps), beside))
        more = real.test("greater", size, enough)
        known = context.settled(active)
        moved = context.operation("logical_and", matters, more, dtype=BOOL)
        again = context.operation("logical_or", known, moved, dtype=BOOL)
        context.add(Assign(active.name, again))
        with context.inner_block() as turn:
            self.rotate(first, second, (w, x, y, z))
        context.branch(matters, turn)

    def rotate(self, first: Expression, second: Expression, block: Block) -> None:
        """Rotate two rows and two columns so that the block becomes diagonal."""
        context, scalars = self.scalars.context, self.scalars
        w, x, y, z = block
        turn: Block | None = None
        if not self.symmetric:
            turn = _symmetrizing(scalars, block)
            w, x = (_product_row(scalars, turn[:2], pair) for pair in ((w, y), (x, z)))
            z = _product_row(scalars, turn[2:], (block[1], z))
        right = _diagonalizing(scalars, w, x, z)
        left: Block = tuple(map(scalars.conjugate, right))  # the inverse, transposed twice
        if turn is not None:
            columns = (turn[::2], turn[1::2])
            left = tuple(
                _product_row(scalars, row, column)
                for row in (left[:2], left[2:])
                for column in columns
            )
        with context.loop(self.size) as place:
            _turn(scalars, self.matrix, (first, place), (second, place), left)
            if self.left is not None:
                _turn(scalars, self.left, (first, place), (second, place), left)
        with context.loop(self.size) as place:
            _turn(scalars, self.matrix, (place, first), (place, second), right)
            if self.right is not None:
                _turn(scalars, self.right, (first, place), (second, place), right)
        scalars.put(self.matrix, first, second, scalars.zero)
        scalars.put(self.matrix, second, first, scalars.zero)


def _product_row(
    scalars: Arithmetic, row: tuple[Expression, ...], column: tuple[Expression, ...]
) -> Expression:
    """A sum of two products."""
    return scalars.mixed(row[0], column[0], row[1], column[1])


def _symmetrizing(scalars: Arithmetic, block: Block) -> Block:
    """The rotation from the left that makes a block symmetric, or Hermitian but for a multiple of
    i on its diagonal."""
    w, x, y, z = block
    real = scalars.real
    along = scalars.run("add", w, scalars.conjugate(z))
    across = scalars.run("subtract", y, scalars.conjugate(x))
    sizes = (real.run("absolute", part) for part in (along, across))
    length = real.run("hypot", *sizes)
    none = real.test("equal", length, real.zero)
    divisor = scalars.widened(real.choose(none, real.one, length))
    cosine = scalars.choose(none, scalars.one, scalars.run("divide", along, divisor))
    sine = scalars.run("divide", across, divisor)
    back = scalars.run("negative", sine)
    return scalars.conjugate(cosine), scalars.conjugate(sine), back, cosine


def _diagonalizing(scalars: Arithmetic, w: Expression, x: Expression, z: Expression) -> Block:
    """The smaller rotation of columns that makes [[w, x], [x̄, z]] diagonal, with rotated rows as
    its conjugate; of w and z the real parts count."""
    real = scalars.real
    phase = scalars.conjugate(scalars.turned_by(x)) if scalars.wide else None
    w, z = scalars.real_of(w), scalars.real_of(z)
    x = real.run("absolute", x) if scalars.wide else x
    done = real.test("equal", x, real.zero)
    twice = real.choose(done, real.one, real.run("add", x, x))
    slope = real.run("divide", real.run("subtract", z, w), twice)
    root = real.run("hypot", slope, real.one)
    below = real.run("add", real.run("absolute", slope), root)
    tangent = real.run("divide", real.run("copysign", real.one, slope), below)
    tangent = real.choose(done, real.zero, tangent)
    found = real.inverse(real.run("hypot", tangent, real.one))
    cosine, sine = (scalars.widened(part) for part in (found, real.times(tangent, found)))
    back = scalars.run("negative", sine)
    if phase is None:
        return cosine, back, sine, cosine
    return cosine, scalars.times(back, phase), sine, scalars.times(cosine, phase)


def _turn(
    scalars: Arithmetic,
    matrix: Place,
    one: tuple[Expression, Expression],
    other: tuple[Expression, Expression],
    turn: Block,
) -> None:
    """Two elements become turn·(one, other)."""
    pair = scalars.at(matrix, *one), scalars.at(matrix, *other)
    scalars.put(matrix, *one, _product_row(scalars, turn[:2], pair))
    scalars.put(matrix, *other, _product_row(scalars, turn[2:], pair))


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
            pair = context.let(a.at(batch, row, column)), context.let(a.at(batch, column, row))
            there, across = pair[0], scalars.conjugate(pair[1])
            read = (there, across) if emission.params["lower"] else (across, there)
            value = scalars.choose(inside, *read)
            if scalars.wide:
                same = Operation("equal", (column, row), BOOL)
                value = scalars.choose(same, scalars.widened(scalars.real_of(value)), value)
            scalars.put(matrix, row, column, value)
        if rows is not None:
            scalars.identity(rows, size, size)
        rotations = Rotations(scalars, matrix, None, rows, size, size - 1, True)
        good = rotations.until_diagonal(fail)
        values = emission.result(0, batch)

        def entry(place: Expression) -> Expression:
            return scalars.real_of(scalars.at(matrix, place, place))

        with context.loop(size) as row:
            value = entry(row)
            rank = _rank(scalars, size, row, entry, "less")
            rank = scalars.choose(good, rank, row)  # whatever there is, each row has its place
            context.store(values.buffer, (*values.indices, rank), value)
            if rows is not None:
                found = emission.result(1, batch)
                fixed = integer(0 if emission.params["lower"] else size - 1)
                phase = _settled(scalars, scalars.at(rows, row, fixed))
                with context.loop(size) as column:
                    part = scalars.at(rows, row, column)
                    part = part if phase is None else scalars.times(phase, part)
                    scalars.put((found.buffer, found.indices), rank, column, part)


def _settled(scalars: Arithmetic, entry: Expression) -> Expression | None:
    """What makes an element of a complex vector real, as LAPACK's, but for the sign."""
    if not scalars.wide:
        return None
    sign = scalars.real.run("copysign", scalars.real.one, scalars.real_of(entry))
    turned = scalars.conjugate(scalars.turned_by(entry))
    return scalars.times(scalars.widened(sign), turned)


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
            return scalars.real.run("absolute", scalars.at(matrix, place, place))

        values = emission.result(0, batch)
        with context.loop(count) as row:
            rank = _rank(scalars, count, row, value_at, "greater")
            rank = scalars.choose(good, rank, row)
            context.store(values.buffer, (*values.indices, rank), value_at(row))
            if left is not None and right is not None:
                entry = scalars.at(matrix, row, row)
                _write_vectors(emission, batch, (left, right), (row, rank), entry)
        if left is not None and right is not None and emission.params["complete"]:
            with context.loop(size - count) as over:
                row = context.operation("add", integer(count), over)
                _write_rest(emission, batch, left, row)


def _write_vectors(
    emission: Emission,
    batch: Indices,
    found: tuple[Place, Place],
    place: tuple[Expression, Expression],
    entry: Expression,
) -> None:
    """A pair of singular vectors: from which row, and the how manieth it is. The phase of what the
    diagonal has goes to the one of the two that was rotated from the left."""
    context, scalars = emission.context, Arithmetic(emission)
    row, rank = place
    rows, columns = emission.node.operands[0].type.shape[-2:]
    u, v = (emission.result(number, batch) for number in (1, 2))
    left, right = found
    phase = _settled(scalars, scalars.at(right, row, integer(0)))
    if phase is None:
        of_left, of_right = scalars.run("copysign", scalars.one, entry), None
    else:
        of_left = scalars.times(scalars.turned_by(entry), phase)
        of_right = scalars.conjugate(phase)
    with context.loop(max(rows, columns)) as element:
        value = scalars.times(of_left, scalars.conjugate(scalars.at(left, row, element)))
        where = (u, (rank, element)) if rows >= columns else (v, (element, rank))
        scalars.put((where[0].buffer, where[0].indices), *where[1], value)
    with context.loop(min(rows, columns)) as element:
        value = scalars.conjugate(scalars.at(right, row, element))
        value = value if of_right is None else scalars.times(of_right, value)
        where = (v, (element, rank)) if rows >= columns else (u, (rank, element))
        scalars.put((where[0].buffer, where[0].indices), *where[1], value)


def _write_rest(emission: Emission, batch: Indices, left: Place, row: Expression) -> None:
    """A vector that only completes the basis of the longer side."""
    context, scalars = emission.context, Arithmetic(emission)
    rows, columns = emission.node.operands[0].type.shape[-2:]
    u, v = (emission.result(number, batch) for number in (1, 2))
    with context.loop(max(rows, columns)) as element:
        value = scalars.conjugate(scalars.at(left, row, element))
        if rows >= columns:
            scalars.put((u.buffer, u.indices), row, element, value)
        else:
            scalars.put((v.buffer, v.indices), element, row, value)


ROTATED: dict[str, Callable[[Emission], None]] = {"qr": emit_qr, "eigh": _eigh, "svd": _svd}
