"""Linear algebra: calls of BLAS and LAPACK for one matrix after the other, and loops around them.

A routine reads a C-ordered matrix as its transpose. Where that matters a matrix is copied
transposed, and where it does not the other triangle, or the other side, is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.loops.nodes import Assign, Buffer, Call, Literal, Load, Operation, View
from codegen.lower.context import BOOL, INT64, Context, Indices, Stored, integer
from codegen.lower.contraction import matrix_view
from codegen.lower.plan import Plan
from kernels.lapack import prefix_of
from tracer.errors import BackendError
from tracer.graph.nodes import Node, Variable
from tracer.primitives.triangular import SINGULAR
from tracer.types import ArrayType

INT32 = np.dtype(np.int32)
INFO = ArrayType(INT32, ())


class Matrices:
    """A stack of matrices in memory; `flipped` ones are the transposes of what lies there."""

    def __init__(self, buffer: Buffer, prefix: Indices, flipped: bool) -> None:
        self.buffer = buffer
        self.prefix = prefix
        self.flipped = flipped

    def view(self, batch: Indices, transposed: bool = False) -> View:
        """One matrix, or its transpose."""
        axes = (1, 0) if self.flipped != transposed else None
        return View(self.buffer, (*self.prefix, *batch), axes)

    def plain(self, batch: Indices) -> View:
        """One matrix as it lies in memory."""
        return View(self.buffer, (*self.prefix, *batch))

    def at(self, batch: Indices, row: Any, column: Any) -> Load:
        """One element."""
        place = (column, row) if self.flipped else (row, column)
        return Load(self.buffer, (*self.prefix, *batch, *place))


class Emission:
    """The lowering of one node: its operands, its results, and calls of routines."""

    def __init__(self, context: Context, node: Node, wanted: dict[Variable, Stored]) -> None:
        self.context = context
        self.node = node
        self.params = node.params
        self.dtype = node.operands[0].type.dtype
        self.lead = node.operands[0].type.shape[:-2]
        self.operands = [self._operand(operand) for operand in node.operands]
        taken = {operand.buffer.root for operand in self.operands}
        self.results: list[Stored] = []
        for result in node.results:
            target = wanted.get(result)
            if target is None or target.buffer.root in taken:
                target = Stored(context.new_buffer(result.type))
            taken.add(target.buffer.root)
            self.results.append(target)

    def _operand(self, operand: Any) -> Matrices:
        from codegen.lower.graph import stored

        rank = len(operand.type.shape)
        if rank >= 2:
            found = matrix_view(self.context, operand, tuple(range(rank)), rank - 2, 1)
            if found is not None:
                return Matrices(*found)
        place = stored(self.context, operand)
        return Matrices(place.buffer, place.prefix, False)

    def result(self, place: int, batch: Indices) -> View:
        """The part of a result that belongs to one matrix."""
        stored = self.results[place]
        return View(stored.buffer, (*stored.prefix, *batch))

    def workspace(self, dtype: Any, *shape: int) -> Buffer:
        """Memory of a call."""
        return self.context.new_buffer(ArrayType(np.dtype(dtype), shape))

    def call(
        self,
        routine: str,
        arguments: Sequence[str],
        results: Sequence[View],
        operands: Sequence[View] = (),
        copies: Sequence[tuple[int, int]] = (),
        library: str = "lapack",
    ) -> None:
        """Call a routine; its name is without the letter of the dtype."""
        specs = tuple((view.buffer.dtype.str, view.shape) for view in results)
        params = {
            "library": library,
            "routine": prefix_of(self.dtype) + routine,
            "arguments": tuple(arguments),
            "results": specs,
            "copies": tuple(copies),
        }
        self.context.add(Call("lapack", tuple(results), tuple(operands), params))

    @property
    def by_steps(self) -> bool:
        """Whether each step is done for the whole stack before the next: a device's libraries take
        stacks."""
        return self.context.target == "device" and bool(self.lead)

    def each(self, *steps: Callable[[Indices], None]) -> None:
        """Steps for each matrix."""
        for group in [(step,) for step in steps] if self.by_steps else [steps]:
            with self.context.loops(self.lead, "serial") as batch:
                for step in group:
                    step(tuple(batch))

    def memory(self, dtype: Any, *shape: int) -> Callable[[Indices], View]:
        """Memory from one step to another: of a matrix, its part."""
        if not self.by_steps:
            buffer = self.workspace(dtype, *shape)
            return lambda batch: View(buffer)
        buffer = self.workspace(dtype, *self.lead, *shape)
        return lambda batch: View(buffer, batch)

    def check(self, info: Buffer, text: str, place: Indices = ()) -> None:
        """Leave with a LinAlgError where a routine reports a failure."""
        found = self.context.load(info, place)
        passed = Operation("equal", (found, Literal(0, INT32)), BOOL)
        self.context.check(passed, "LinAlgError", text, self.node.source)

    def failing(self, routine: str) -> Buffer:
        """The report of a routine."""
        return self.context.new_buffer(INFO)


def emit_lapack(
    context: Context, node: Node, position: int, plan: Plan, wanted: dict[Variable, Stored]
) -> None:
    """Write a primitive of linear algebra."""
    from codegen.lower.device_matrices import LOOPS, is_looped
    from codegen.lower.device_rotations import ROTATED, is_rotated
    from codegen.lower.factorizations import FACTORIZATIONS
    from codegen.lower.small_matrices import SMALL, is_small

    assert node.primitive.lowering is not None, f"{node.primitive.name} cannot be lowered"
    operation = node.primitive.lowering.operation
    emitter = EMITTERS.get(operation) or FACTORIZATIONS.get(operation)
    if emitter is None:
        raise BackendError(f"{node.source}: {node.primitive.name} cannot be compiled yet")
    emission = Emission(context, node, wanted)
    if node.params.get("checked") and node.results[0].type.size:
        _check_diagonal(emission)
    if operation in SMALL and is_small(emission):
        emitter = SMALL[operation]
    elif operation in LOOPS and is_looped(emission):
        emitter = LOOPS[operation]
    elif operation in ROTATED and is_rotated(emission):
        emitter = ROTATED[operation]
    if all(result.type.size for result in node.results):
        emitter(emission)
    for result, place in zip(node.results, emission.results, strict=True):
        context.put(result, place)


def _check_diagonal(emission: Emission) -> None:
    """Leave with a LinAlgError where a triangular matrix has a zero on its diagonal."""
    context, a = emission.context, emission.operands[0]
    zero = Literal(0j if emission.dtype.kind == "c" else 0.0, emission.dtype)
    with context.loops((*emission.lead, a.buffer.shape[-1]), "serial") as (*batch, row):
        entry = context.let(a.at(tuple(batch), row, row))
        passed = context.operation("not_equal", entry, zero, dtype=BOOL)
        context.check(passed, "LinAlgError", SINGULAR, emission.node.source, row)


def _triangular_solve(emission: Emission) -> None:
    a, b = emission.operands
    size, columns = emission.node.operands[1].type.shape[-2:]
    in_lower = emission.params["lower"] != a.flipped
    transposed = emission.params["transposed"] != a.flipped
    with emission.context.loops(emission.lead, "serial") as batch:
        solve_in_place(
            emission,
            a.plain(batch),
            b.view(batch),
            emission.result(0, batch),
            ("U" if in_lower else "L", "U" if emission.params["unit"] else "N"),
            (size, columns),
            not transposed,
        )


def solve_in_place(
    emission: Emission,
    matrix: View,
    right: View,
    result: View,
    flags: tuple[str, str],
    sizes: tuple[int, int],
    transposed: bool,
) -> None:
    """result = right, then T·x = result (or Tᵀ·x), T the triangular matrix as the routine reads
    it: the transpose of what lies in memory. `flags`: which triangle, and whether its diagonal is
    taken as 1."""
    size, columns = sizes
    triangle, unit = flags
    if columns == 1:
        trans = "T" if transposed else "N"
        arguments = [f"c:{triangle}", f"c:{trans}", f"c:{unit}", f"i:{size}", "o:0", f"i:{size}"]
        arguments += ["r:0", "i:1"]
        emission.call("trsv", arguments, [result], [matrix, right], [(0, 1)], "blas")
        return
    # Rows are columns to the routine: Xᵀ·Tᵀ = Bᵀ.
    trans = "N" if transposed else "T"
    arguments = ["c:R", f"c:{triangle}", f"c:{trans}", f"c:{unit}", f"i:{columns}", f"i:{size}"]
    arguments += ["n:1", "o:0", f"i:{size}", "r:0", f"i:{columns}"]
    emission.call("trsm", arguments, [result], [matrix, right], [(0, 1)], "blas")


def _cholesky(emission: Emission) -> None:
    context, (a,) = emission.context, emission.operands
    size = emission.node.operands[0].type.shape[-1]
    info = emission.memory(INT32)
    zero = Literal(0j if emission.dtype.kind == "c" else 0.0, emission.dtype)

    def factorize(batch: Indices) -> None:
        # The lower triangle in C order is the upper one of the transpose.
        arguments = ["c:U", f"i:{size}", "r:0", f"i:{size}", "r:1"]
        results = [emission.result(0, batch), info(batch)]
        emission.call("potrf", arguments, results, [a.view(batch)], [(0, 0)])

    def check(batch: Indices) -> None:
        found = info(batch)
        emission.check(found.buffer, "Matrix is not positive definite", found.indices)

    def clear(batch: Indices) -> None:
        factor = emission.result(0, batch)
        with context.loop(size) as row:
            rest = context.operation("subtract", integer(size - 1), row)
            with context.loop(rest) as step:
                column = context.operation("add", context.operation("add", row, step), integer(1))
                context.store(factor.buffer, (*factor.indices, row, column), zero)

    emission.each(factorize, check, clear)


def _lu(emission: Emission) -> None:
    (a,) = emission.operands
    rows, columns = emission.node.operands[0].type.shape[-2:]
    info, exchanges = emission.memory(INT32), emission.memory(INT32, min(rows, columns))

    def factorize(batch: Indices) -> None:
        arguments = [f"i:{rows}", f"i:{columns}", "r:0", f"i:{rows}", "r:1", "r:2"]
        results = [emission.result(0, batch), exchanges(batch), info(batch)]
        emission.call("getrf", arguments, results, [a.view(batch, True)], [(0, 0)])

    def check(batch: Indices) -> None:
        found = info(batch)
        emission.check(found.buffer, "Singular matrix", found.indices)

    def order(batch: Indices) -> None:
        _write_pivots(emission, exchanges(batch), batch, rows)

    checks = [check] if emission.params["nonsingular"] else []
    emission.each(factorize, *checks, order)


def _write_pivots(emission: Emission, exchanges: View, batch: Indices, rows: int) -> None:
    """Pivots from 0, and the order of the rows after the exchanges."""
    context = emission.context
    pivots, order = emission.result(1, batch), emission.result(2, batch)
    with context.loop(rows) as row:
        context.store(order.buffer, (*order.indices, row), row)
    with context.loop(exchanges.shape[0], "serial") as row:
        found = context.load(exchanges.buffer, (*exchanges.indices, row))
        pivot = context.operation("subtract", found, Literal(1, INT32))
        context.store(pivots.buffer, (*pivots.indices, row), pivot)
        other = context.operation("cast", pivot, dtype=INT64)
        here = context.load(order.buffer, (*order.indices, row))
        there = context.load(order.buffer, (*order.indices, other))
        context.store(order.buffer, (*order.indices, row), there)
        context.store(order.buffer, (*order.indices, other), here)


def _factored_solve(emission: Emission) -> None:
    """The exchanges of rows, and a system with each triangle."""
    context = emission.context
    _, factors, _, order, right = emission.operands
    size, columns = emission.node.operands[4].type.shape[-2:]
    middle = emission.memory(emission.dtype, size, columns)
    moved = emission.memory(emission.dtype, size, columns)
    transposed = emission.params["transposed"]
    flags = [("U", "N"), ("L", "U")] if transposed else [("L", "U"), ("U", "N")]

    def place(batch: Indices, row: Any) -> Any:
        return context.load(order.buffer, (*order.prefix, *batch, row))

    def gather(batch: Indices) -> None:
        target = moved(batch)
        with context.loops((size, columns)) as (row, column):
            value = context.let(right.at(batch, place(batch, row), column))
            context.store(target.buffer, (*target.indices, row, column), value)

    def scatter(batch: Indices) -> None:
        source, target = moved(batch), emission.result(0, batch)
        with context.loops((size, columns)) as (row, column):
            value = context.load(source.buffer, (*source.indices, row, column))
            context.store(target.buffer, (*target.indices, place(batch, row), column), value)

    def solve(batch: Indices, step: int) -> None:
        begin = right.view(batch) if transposed else moved(batch)
        end = moved(batch) if transposed else emission.result(0, batch)
        source, target = (begin, middle(batch)) if step == 0 else (middle(batch), end)
        sizes = size, columns
        solve_in_place(
            emission, factors.plain(batch), source, target, flags[step], sizes, transposed
        )

    solves = [lambda batch: solve(batch, 0), lambda batch: solve(batch, 1)]
    emission.each(*(solves + [scatter] if transposed else [gather, *solves]))


def _log_determinant(emission: Emission) -> None:
    context, dtype = emission.context, emission.dtype
    size = emission.node.operands[0].type.shape[-1]
    _, factors, pivots, _ = emission.operands
    signs, logarithms = emission.results
    real = logarithms.buffer.dtype
    with context.loops(emission.lead, "serial") as batch:
        one = Literal(1 + 0j if dtype.kind == "c" else 1.0, dtype)
        sign = context.declare("s", one)
        total = context.declare("s", Literal(0.0, real))
        with context.loop(size, "serial") as row:
            entry = context.let(factors.at(batch, row, row))
            length = context.operation("absolute", entry, dtype=real)
            pivot = context.load(pivots.buffer, (*pivots.prefix, *batch, row))
            place = context.operation("cast", pivot, dtype=INT64)
            stays = context.operation("equal", place, row, dtype=BOOL)
            phase = _phase(emission, entry, length)
            turned = context.operation("negative", phase)
            phase = context.operation("select", stays, phase, turned, dtype=dtype)
            product = context.operation("multiply", context.settled(sign), phase)
            context.add(Assign(sign.name, product))
            logarithm = context.operation("log", length)
            summed = context.operation("add", context.settled(total), logarithm)
            context.add(Assign(total.name, summed))
        context.store(signs.buffer, (*signs.prefix, *batch), context.settled(sign))
        context.store(logarithms.buffer, (*logarithms.prefix, *batch), context.settled(total))


def _phase(emission: Emission, entry: Any, length: Any) -> Any:
    """A number divided by its absolute value; 0 for 0."""
    context, dtype = emission.context, emission.dtype
    if dtype.kind != "c":
        zero, one = Literal(0.0, dtype), Literal(1.0, dtype)
        below = context.operation("less", entry, zero, dtype=BOOL)
        signed = Operation("select", (below, Literal(-1.0, dtype), one), dtype)  # NaN: positive
        vanishes = context.operation("equal", entry, zero, dtype=BOOL)
        return context.let(Operation("select", (vanishes, zero, signed), dtype))
    vanishes = context.operation("equal", length, Literal(0.0, length.dtype), dtype=BOOL)
    safe = Literal(1.0, length.dtype)
    length = context.operation("select", vanishes, safe, length, dtype=length.dtype)
    divisor = context.operation("cast", length, dtype=dtype)
    return context.operation("divide", entry, divisor)


EMITTERS: dict[str, Callable[[Emission], None]] = {
    "triangular_solve": _triangular_solve,
    "cholesky": _cholesky,
    "lu": _lu,
    "factored_solve": _factored_solve,
    "log_determinant": _log_determinant,
}
