"""Factorisations whose routines need workspace, of a size which the routine itself says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from codegen.loops.nodes import Buffer, Expression, Literal, Load, Operation, View
from codegen.lower.context import BOOL, INT64, Context, Indices, integer
from codegen.lower.lapack import INFO, INT32, Emission
from kernels.lapack import workspace_size
from tracer.types import real_dtype


def _info(emission: Emission) -> Buffer:
    return emission.context.new_buffer(INFO)


def _asked(emission: Emission, routine: str, arguments: Sequence[str]) -> int:
    """How much workspace, in elements of the matrix' dtype, a routine asks for: its argument "w:"
    is the workspace, and the one behind it its size."""
    return workspace_size(emission.dtype, routine, tuple(arguments))


def _triangle_of(
    context: Context, source: Buffer, target: Any, prefix: Indices, shape: tuple[int, int]
) -> None:
    """The upper triangle, of a matrix that lies transposed, in C order; zeros below it."""
    dtype = source.dtype
    zero = Literal(0j if dtype.kind == "c" else 0.0, dtype)
    with context.loops(shape) as (row, column):
        above = Operation("less_equal", (row, column), BOOL)
        value = Operation("select", (above, Load(source, (column, row)), zero), dtype)
        context.store(target.buffer, (*target.prefix, *prefix, row, column), context.let(value))


def _qr(emission: Emission) -> None:
    """`geqrf` leaves R and reflections, of which `orgqr` makes Q."""
    context, (a,) = emission.context, emission.operands
    dtype = emission.dtype
    rows, columns = emission.node.operands[0].type.shape[-2:]
    inner = emission.node.results[0].type.shape[-2]
    count = min(rows, columns)
    make = "ungqr" if dtype.kind == "c" else "orgqr"
    factored = [f"i:{rows}", f"i:{columns}", "r:0", f"i:{rows}", "r:1", "w:", "w:", "r:3"]
    formed = [f"i:{rows}", f"i:{inner}", f"i:{count}", "r:0", f"i:{rows}", "o:1", "w:", "w:", "r:2"]
    size = max(_asked(emission, "geqrf", factored), _asked(emission, make, formed))
    packed = emission.workspace(dtype, columns, rows)
    start = emission.workspace(dtype, inner, rows)
    scales, work = emission.workspace(dtype, count), emission.workspace(dtype, size)
    info = _info(emission)
    sized = f"i:{size}"
    factored[5:7], formed[6:8] = ["r:2", sized], ["r:1", sized]
    with context.loops(emission.lead, "serial") as batch:
        results = [View(packed), View(scales), View(work), View(info)]
        emission.call("geqrf", factored, results, [a.view(batch, True)], [(0, 0)])
        _triangle_of(context, packed, emission.results[1], batch, (inner, columns))
        with context.loops((inner, rows)) as (column, row):
            if inner <= columns:
                context.store(start, (column, row), context.load(packed, (column, row)))
            else:
                _store_or_zero(context, packed, start, column, row, columns)
        results = [emission.result(0, batch), View(work), View(info)]
        emission.call(make, formed, results, [View(start), View(scales)], [(0, 0)])


def _store_or_zero(
    context: Context, source: Buffer, target: Buffer, column: Any, row: Any, columns: int
) -> None:
    """What lies in a column, 0 where there is none."""
    dtype = source.dtype
    zero = Literal(0j if dtype.kind == "c" else 0.0, dtype)
    there = Operation("less", (column, integer(columns)), BOOL)
    value = Operation("select", (there, Load(source, (column, row)), zero), dtype)
    context.store(target, (column, row), context.let(value))


def _svd(emission: Emission) -> None:
    """`gesdd`, divide and conquer."""
    context, (a,) = emission.context, emission.operands
    dtype, real = emission.dtype, real_dtype(emission.dtype)
    rows, columns = emission.node.operands[0].type.shape[-2:]
    small, large = min(rows, columns), max(rows, columns)
    vectors = emission.params["vectors"]
    job = ("A" if emission.params["complete"] else "S") if vectors else "N"
    right = emission.node.results[2].type.shape[-1] if vectors else 1
    copy, info = emission.workspace(dtype, columns, rows), _info(emission)
    whole = emission.workspace(INT32, 8 * small)
    extra = [small * max(5 * small + 7, 2 * large + 2 * small + 1) if vectors else 7 * small]
    reals = [emission.workspace(real, *extra)] if dtype.kind == "c" else []
    # results: copy, values, u, vt, work, iwork, info, rwork
    arguments = [f"c:{job}", f"i:{rows}", f"i:{columns}", "r:0", f"i:{rows}", "r:1"]
    arguments += ["r:2", f"i:{rows}", "r:3", f"i:{right}", "w:", "w:"]
    arguments += ["r:7", "r:5", "r:6"] if reals else ["r:5", "r:6"]
    size = _asked(emission, "gesdd", arguments)
    arguments[10:12] = ["r:4", f"i:{size}"]
    work = emission.workspace(dtype, size)
    unused = [] if vectors else [View(emission.workspace(dtype, 1)) for _ in range(2)]
    with context.loops(emission.lead, "serial") as batch:
        found = [emission.result(place, batch) for place in range(len(emission.results))]
        results = [View(copy), *found, *unused, View(work), View(whole), View(info)]
        results += [View(part) for part in reals]
        emission.call("gesdd", arguments, results, [a.view(batch, True)], [(0, 0)])
        emission.check(info, "SVD did not converge")


def _eigh(emission: Emission) -> None:
    """`syevd`, divide and conquer: the eigenvectors take the matrix' place."""
    context, (a,) = emission.context, emission.operands
    dtype, real = emission.dtype, real_dtype(emission.dtype)
    size = emission.node.operands[0].type.shape[-1]
    vectors, is_complex = emission.params["vectors"], dtype.kind == "c"
    routine = "heevd" if is_complex else "syevd"
    half = "L" if emission.params["lower"] else "U"
    arguments = [
        f"c:{'V' if vectors else 'N'}",
        f"c:{half}",
        f"i:{size}",
        "r:0",
        f"i:{size}",
        "r:1",
    ]
    arguments += ["w:", "w:"]
    reals = 1 + 5 * size + 2 * size * size if vectors else size + 1
    whole = 3 + 5 * size if vectors else 1
    if is_complex:
        arguments += ["r:5", f"i:{reals}"]
    arguments += ["r:3", f"i:{whole}", "r:4"]
    wanted = _asked(emission, routine, arguments)
    arguments[6:8] = ["r:2", f"i:{wanted}"]
    memory = [emission.workspace(dtype, wanted), emission.workspace(INT32, whole), _info(emission)]
    extra = [View(emission.workspace(real, reals))] if is_complex else []
    copy = None if vectors else emission.workspace(dtype, size, size)
    with context.loops(emission.lead, "serial") as batch:
        matrix = emission.result(1, batch) if copy is None else View(copy)
        results = [matrix, emission.result(0, batch), *map(View, memory), *extra]
        emission.call(routine, arguments, results, [a.view(batch, True)], [(0, 0)])
        emission.check(memory[2], "Eigenvalues did not converge")


def _check_finite(emission: Emission, batch: Indices, size: int) -> None:
    """Leave with NumPy's error where an element is infinite or NaN: `geev` does not take them."""
    context, a = emission.context, emission.operands[0]
    text = "Array must not contain infs or NaNs"
    with context.loops((size, size), "serial") as (row, column):
        entry = context.let(a.at(batch, row, column))
        finite = context.operation("isfinite", entry, dtype=BOOL)
        context.check(finite, "LinAlgError", text, emission.node.source)


def _eig(emission: Emission) -> None:
    """`geev`; of a real matrix it gives real and imaginary parts, of vectors in pairs of rows."""
    context, (a,) = emission.context, emission.operands
    dtype, size = emission.dtype, emission.node.operands[0].type.shape[-1]
    vectors, is_complex = emission.params["vectors"], emission.dtype.kind == "c"
    job, rows = ("V", size) if vectors else ("N", 1)
    # results: copy, values (or their real parts), right vectors, work, info, the last
    arguments = ["c:N", f"c:{job}", f"i:{size}", "r:0", f"i:{size}", "r:1"]
    arguments += [] if is_complex else ["r:5"]
    arguments += ["r:6", "i:1", "r:2", f"i:{rows}", "w:", "w:"]
    arguments += ["r:5"] if is_complex else []
    arguments += ["r:4"]
    wanted = _asked(emission, "geev", arguments)
    place = arguments.index("w:")
    arguments[place : place + 2] = ["r:3", f"i:{wanted}"]
    copy, unused = emission.workspace(dtype, size, size), emission.workspace(dtype, 1)
    parts = emission.workspace(real_dtype(dtype), 2 * size if is_complex else size)
    work, info = emission.workspace(dtype, wanted), _info(emission)
    real_values = emission.workspace(dtype, size)
    real_vectors = emission.workspace(dtype, rows, rows)
    with context.loops(emission.lead, "serial") as batch:
        _check_finite(emission, batch, size)
        values = emission.result(0, batch) if is_complex else View(real_values)
        found = View(real_vectors)
        if is_complex and vectors:
            found = emission.result(1, batch)
        results = [View(copy), values, found, View(work), View(info), View(parts), View(unused)]
        emission.call("geev", arguments, results, [a.view(batch, True)], [(0, 0)])
        emission.check(info, "Eigenvalues did not converge")
        if not is_complex:
            _join_parts(emission, real_values, parts, real_vectors, batch)


def _join_parts(
    emission: Emission, real: Buffer, imaginary: Buffer, rows: Buffer, batch: Indices
) -> None:
    """Complex eigenvalues and vectors: a pair of rows holds the real and the imaginary part of a
    vector, whose conjugate belongs to the second eigenvalue of the pair."""
    context, values = emission.context, emission.result(0, batch)
    wide, size = values.buffer.dtype, real.shape[0]
    with context.loop(size) as place:
        part = context.load(imaginary, (place,))
        value = context.operation("complex", context.load(real, (place,)), part, dtype=wide)
        context.store(values.buffer, (*values.indices, place), value)
        if emission.params["vectors"]:
            _join_vector(emission, part, rows, emission.result(1, batch), place)


def _join_vector(
    emission: Emission, part: Expression, rows: Buffer, target: View, place: Expression
) -> None:
    """One eigenvector, the imaginary part of whose eigenvalue is given."""
    context, real = emission.context, rows.dtype
    zero, one = Literal(0.0, real), Literal(1, INT64)
    second = context.let(Operation("less", (part, zero), BOOL))
    first = context.let(Operation("less", (zero, part), BOOL))
    paired = context.let(Operation("logical_or", (first, second), BOOL))
    before = Operation("subtract", (place, one), INT64)
    after = Operation("add", (place, one), INT64)
    above = context.let(Operation("select", (second, before, place), INT64))
    below = context.let(Operation("select", (first, after, place), INT64))
    with context.loop(rows.shape[1]) as column:
        shown = context.load(rows, (above, column))
        hidden = context.load(rows, (below, column))
        negated = Operation("negative", (hidden,), real)
        turned = Operation("select", (second, negated, hidden), real)
        hidden = context.let(Operation("select", (paired, turned, zero), real))
        vector = context.operation("complex", shown, hidden, dtype=target.buffer.dtype)
        context.store(target.buffer, (*target.indices, place, column), vector)


def _schur(emission: Emission) -> None:
    """`gees` without an order of the eigenvalues: T takes the matrix' place."""
    context, (a,) = emission.context, emission.operands
    dtype, size = emission.dtype, emission.node.operands[0].type.shape[-1]
    is_complex = dtype.kind == "c"
    # results: T, Z, eigenvalues (or their parts), work, info, count, flags, rwork
    arguments = ["c:V", "c:N", "i:0", f"i:{size}", "r:0", f"i:{size}", "r:5", "r:2"]
    arguments += [] if is_complex else ["r:7"]
    arguments += ["r:1", f"i:{size}", "w:", "w:"]
    arguments += ["r:7", "r:6", "r:4"] if is_complex else ["r:6", "r:4"]
    wanted = _asked(emission, "gees", arguments)
    place = arguments.index("w:")
    arguments[place : place + 2] = ["r:3", f"i:{wanted}"]
    memory = [emission.workspace(dtype, size), emission.workspace(dtype, wanted), _info(emission)]
    memory += [emission.workspace(INT32, 1), emission.workspace(INT32, size)]
    memory.append(emission.workspace(real_dtype(dtype), size))
    with context.loops(emission.lead, "serial") as batch:
        factors = [emission.result(0, batch), emission.result(1, batch)]
        results = [*factors, *map(View, memory)]
        emission.call("gees", arguments, results, [a.view(batch, True)], [(0, 0)])
        emission.check(memory[2], "Schur form did not converge")


FACTORIZATIONS: dict[str, Callable[[Emission], None]] = {
    "qr": _qr,
    "svd": _svd,
    "eigh": _eigh,
    "eig": _eig,
    "schur": _schur,
}
