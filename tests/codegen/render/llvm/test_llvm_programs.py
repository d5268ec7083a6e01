"""Whole programs: LLVM code against the interpreter, at every width, length and stride."""

from __future__ import annotations

import signal
from typing import Any

import numpy as np
import pytest

from codegen.loops.build import integer, loop, operation
from codegen.loops.interpret import interpret
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Reserve,
    Statement,
    Store,
    Variable,
    View,
    While,
)
from codegen.loops.nodes import Call as KernelCall
from codegen.render.llvm import Machine, render_module
from codegen.render.llvm_call import compile_llvm, host_machine
from codegen.render.vector_math import GENERIC
from tests.codegen.programs import FLOAT, INT, PROGRAMS, buffer, i, j, real, scalar

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(5)
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100)


def agree(program: Program, inputs: list[Array], tolerance: float = 1e-13) -> list[Array]:
    """Compile and compare with the interpreter; the results."""
    results = compile_llvm(program)(inputs)
    for got, wanted in zip(results, interpret(program, inputs), strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=tolerance, atol=tolerance)
    return results


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_every_vector_width_gives_the_same(
    name: str, vector_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, inputs = PROGRAMS[name]
    machine = Machine(vector_bytes, host_machine().target if vector_bytes < 64 else GENERIC)
    monkeypatch.setattr("codegen.render.llvm_call.host_machine", lambda: machine)
    monkeypatch.setattr("codegen.render.llvm_code.host_machine", lambda: machine)
    monkeypatch.setattr("codegen.render.llvm_code.object_store", lambda: None)
    agree(make(), inputs)


def reduction(name: str, dtype: type, first: Any, length: int) -> Program:
    """y[()] = reduction of x, beginning with `first`."""
    kind = np.dtype(dtype)
    x, y = Buffer("x", kind, (length,), "input"), Buffer("y", kind, (), "output")
    body = (
        Declare("s", Literal(first, kind)),
        loop("i", length, Reduce("s", name, Load(x, (i,))), kind="reduce"),
        Store(y, (), scalar("s", kind)),
    )
    return Program(name, (x,), (y,), (), (), body)


@pytest.mark.parametrize("length", LENGTHS)
def test_reductions_of_every_length(length: int) -> None:
    for name, dtype, first in (
        ("add", np.float64, 0.5),
        ("multiply", np.float32, 2.0),
        ("maximum", np.float64, -np.inf),
        ("minimum", np.float32, np.inf),
        ("fmax", np.float64, np.nan),
        ("fmin", np.float64, np.nan),
        ("add", np.int32, 3),
        ("maximum", np.int64, -(2**63)),
        ("minimum", np.uint8, 255),
        ("bitwise_xor", np.int16, 1),
        ("bitwise_and", np.uint32, 2**32 - 1),
        ("logical_or", np.bool_, False),
        ("logical_and", np.bool_, True),
    ):
        x: Array = (RNG.normal(size=length) * 10).astype(dtype)
        agree(reduction(name, dtype, first, length), [x], 1e-5 if dtype is np.float32 else 1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("name", "first"), [("maximum", -np.inf), ("minimum", np.inf)])
def test_nan_wins_wherever_it_stands(name: str, first: float, dtype: type) -> None:
    for length in (3, 8, 37):
        run = compile_llvm(reduction(name, dtype, first, length))
        x: Array = RNG.normal(size=length).astype(dtype)
        assert run([x])[0] == getattr(np, name).reduce(x)
        for place in range(length):
            marked = x.copy()
            marked[place] = np.nan
            assert np.isnan(run([marked])[0])


@pytest.mark.parametrize("length", LENGTHS)
def test_strides_of_every_kind(length: int) -> None:
    x, y = buffer("x", (3 * length,), "input"), buffer("y", (2 * length,), "output")
    places = buffer("places", (length,), "input", INT)
    top = integer(length - 1)
    backwards = operation("subtract", top, i)
    tripled = operation("multiply", i, integer(3))
    doubled = operation("multiply", i, integer(2))
    odd = operation("add", doubled, integer(1))
    total = operation("add", Load(x, (backwards,)), Load(x, (tripled,)))
    total = operation("add", total, operation("multiply", Load(x, (i,)), Load(x, (integer(0),))))
    found = Load(x, (Load(places, (i,)),))
    body = loop("i", length, Store(y, (doubled,), total), Store(y, (odd,), found))
    data = RNG.normal(size=3 * length)
    order = RNG.integers(0, 3 * length, size=length)
    agree(Program("strides", (x, places), (y,), (), (), (body,)), [data, order])


@pytest.mark.parametrize("length", LENGTHS)
def test_a_branch_not_taken_is_not_read(length: int) -> None:
    x, y = buffer("x", (length,), "input"), buffer("y", (length + 3,), "output")
    inside = operation("less", i, integer(length))
    value = Operation("select", (inside, Load(x, (i,)), real(-1.0)), FLOAT)
    shifted = operation("subtract", i, integer(3))
    late = operation("greater_equal", i, integer(3))
    other = Operation("select", (late, Load(x, (shifted,)), real(2.0)), FLOAT)
    body = loop("i", length + 3, Store(y, (i,), operation("subtract", value, other)))
    agree(Program("edges", (x,), (y,), (), (), (body,)), [RNG.normal(size=length)])


@pytest.mark.parametrize("length", LENGTHS)
def test_a_range_that_is_known_when_it_runs(length: int) -> None:
    bound, x = buffer("n", (), "input", INT), buffer("x", (length,), "input")
    y, z = buffer("y", (length,), "output"), buffer("z", (), "output")
    stop = Load(bound, ())
    body = (
        loop("i", length, Store(y, (i,), real(0.0))),
        Declare("s", real(1.0)),
        Loop("i", integer(0), stop, (Store(y, (i,), operation("exp", Load(x, (i,)))),)),
        Loop("i", integer(0), stop, (Reduce("s", "maximum", Load(x, (i,))),), "reduce"),
        Store(z, (), scalar("s")),
    )
    program = Program("bounded", (bound, x), (y, z), (), (), body)
    run = compile_llvm(program)
    data = RNG.normal(size=length)
    for count in {0, 1, length // 2, length}:
        inputs = [np.array(count), data]
        for got, wanted in zip(run(inputs), interpret(program, inputs), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-14)


def test_outer_loops_run_in_lanes_where_memory_is_in_order_there() -> None:
    x, y = buffer("x", (6, 21), "input"), buffer("y", (21,), "output")
    body = loop(
        "j",
        21,
        Declare("s", real(0.0)),
        loop("i", 6, Reduce("s", "add", operation("square", Load(x, (i, j)))), kind="reduce"),
        Store(y, (j,), scalar("s")),
    )
    program = Program("columns", (x,), (y,), (), (), (body,))
    agree(program, [RNG.normal(size=(6, 21))])
    text = render_module(program, Machine(32, host_machine().target)).text
    assert "phi <4 x double>" in text, "the sum of a column is kept in a vector of columns"


def test_a_branch_changes_scalars() -> None:
    x, y = buffer("x", (10,), "input"), buffer("y", (), "output")
    positive = operation("greater", Load(x, (i,)), real(0.0))
    added = operation("add", scalar("s"), Load(x, (i,)))
    choice = If(
        positive, (Assign("s", added),), (Assign("t", operation("add", scalar("t"), real(1.0))),)
    )
    result = operation("add", scalar("s"), operation("multiply", scalar("t"), real(100.0)))
    body = (
        Declare("s", real(0.0)),
        Declare("t", real(0.0)),
        loop("i", 10, choice, kind="serial"),
        Store(y, (), result),
    )
    agree(Program("branches", (x,), (y,), (), (), body), [RNG.normal(size=10)])


def test_both_sides_of_a_branch_change_a_scalar_to_the_same_value() -> None:
    x, y = buffer("x", (4,), "input"), buffer("y", (4,), "output")
    positive = operation("greater", Load(x, (i,)), real(0.0))
    choice = If(positive, (Assign("s", real(1.0)),), (Assign("s", real(1.0)),))
    body = (
        loop("i", 4, Declare("s", real(0.0)), choice, Store(y, (i,), scalar("s")), kind="serial"),
    )
    agree(Program("same", (x,), (y,), (), (), body), [np.array([1.0, -1.0, 0.0, 2.0])])


def tape_program(length: int) -> Program:
    """Push the squares of x on a tape, and pop them in reverse order."""
    x, y = buffer("x", (length, 3), "input"), buffer("y", (length, 3), "output")
    tape = Buffer("tape", FLOAT, (-1, 3), "workspace")
    top = operation("subtract", integer(length - 1), i)
    pushed: tuple[Statement, ...] = (
        Reserve(tape, operation("add", i, integer(1))),
        loop("j", 3, Store(tape, (i, j), operation("square", Load(x, (i, j))))),
    )
    body = (
        loop("i", length, *pushed, kind="serial"),
        loop("i", length, loop("j", 3, Store(y, (i, j), Load(tape, (top, j)))), kind="serial"),
    )
    return Program("tape", (x,), (y,), (), (tape,), body)


def test_tapes_grow() -> None:
    for length in (1, 5, 500):
        agree(tape_program(length), [RNG.normal(size=(length, 3))])


@pytest.mark.parametrize("sizes", [(3, 4, 5), (40, 30, 50), (64, 1, 300), (1, 700, 40)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8", "?"])
def test_matrix_products(dtype: str, sizes: tuple[int, int, int]) -> None:
    kind, (m, k, n) = np.dtype(dtype), sizes
    x, y = buffer("x", (m, k), "input", kind), buffer("y", (n, k), "input", kind)
    u, v = buffer("u", (k, m), "input", kind), buffer("v", (2, k, n), "input", kind)
    z, t = buffer("z", (m, n), "output", kind), buffer("t", (n, m), "output", kind)
    row, dot = buffer("row", (n,), "output", kind), buffer("dot", (), "output", kind)
    first = View(x, (integer(0),))
    body = (
        KernelCall("matmul", (View(z),), (View(x), View(y, (), (1, 0)))),
        KernelCall("matmul", (View(t, (), (1, 0)),), (View(u, (), (1, 0)), View(v, (integer(1),)))),
        KernelCall("matmul", (View(row),), (first, View(y, (), (1, 0)))),
        KernelCall("matmul", (View(dot),), (first, View(y, (integer(0),)))),
    )
    program = Program("products", (x, y, u, v), (z, t, row, dot), (), (), body)
    a, b, c, d = (
        (RNG.normal(size=shape) * 5).astype(kind) for shape in ((m, k), (n, k), (k, m), (2, k, n))
    )
    results = compile_llvm(program)([a, b, c, d])
    expected = [a @ b.T, (c.T @ d[1]).T, a[0] @ b.T, a[0] @ b[0]]
    for got, wanted in zip(results, expected, strict=True):
        scale = 1.0 + float(np.max(np.abs(wanted)))
        bound = 1e-5 if dtype in ("f4", "c8") else 1e-13
        np.testing.assert_allclose(got, wanted, rtol=bound, atol=bound * scale)


def random_expression(depth: int, sources: list[Expression]) -> Expression:
    """A float64 expression over some sources."""
    if depth == 0 or RNG.random() < 0.15:
        return sources[RNG.integers(len(sources))]
    parts = [random_expression(depth - 1, sources) for _ in range(2)]
    match RNG.integers(7):
        case 0:
            return operation("tanh", parts[0])
        case 1:
            return operation("maximum", *parts)
        case 2:
            test = operation("less", *parts)
            return Operation("select", (test, parts[1], parts[0]), FLOAT)
        case 3:
            return operation("multiply", *parts)
        case 4:
            return operation("negative", operation("sin", parts[0]))
        case 5:
            return operation("subtract", *parts)
    return operation("add", *parts)


def random_program(number: int) -> Program:
    """Nests of two loops with sums inside or outside, over arrays read in several orders."""
    rows, columns = (int(RNG.integers(1, 20)) for _ in range(2))
    x, t = buffer("x", (rows, columns), "input"), buffer("t", (columns, rows), "input")
    v, y = buffer("v", (columns,), "input"), buffer("y", (rows, columns), "output")
    s, w = buffer("sums", (rows,), "output"), buffer("w", (rows, columns), "workspace")
    last = operation("subtract", integer(columns - 1), j)
    sources: list[Expression] = [
        Load(x, (i, j)), Load(t, (j, i)), Load(v, (j,)), Load(x, (i, last)),
        Load(v, (integer(0),)), real(0.75),
    ]  # fmt: skip
    first = random_expression(3, sources)
    again = random_expression(2, [Load(w, (i, j)), *sources])
    total = Variable("total", FLOAT)
    body = (
        loop("i", rows, loop("j", columns, Let("a", first), Store(w, (i, j), scalar("a")))),
        loop(
            "i",
            rows,
            Declare("total", real(0.0)),
            loop("j", columns, Reduce("total", "add", again), kind="reduce"),
            Store(s, (i,), total),
        ),
        loop(
            "j", columns, loop("i", rows, Store(y, (i, j), operation("add", again, Load(s, (i,)))))
        ),
    )
    return Program(f"random{number}", (x, t, v), (y, s), (), (w,), body)


@pytest.mark.parametrize("number", range(25))
def test_random_programs(number: int) -> None:
    program = random_program(number)
    agree(program, [RNG.normal(size=part.shape) for part in program.inputs], 1e-12)


def test_what_the_text_never_holds() -> None:
    for make, _ in PROGRAMS.values():
        text = render_module(make(), host_machine()).text
        assert not {"nnan", "ninf", "fast"} & set(text.split())
        assert text == render_module(make(), host_machine()).text


class StopError(Exception):
    """Raised by the signal handler."""


def long_program(kind: str) -> Program:
    """A program that would run for hours."""
    x, y = buffer("x", (), "input"), buffer("y", (), "output")
    more = operation("less", scalar("s"), real(np.inf))
    step = Assign("s", operation("add", operation("multiply", scalar("s"), real(0.5)), Load(x, ())))
    endless: Statement = While((), more, (step,))
    if kind == "loop":
        endless = loop("i", 10**14, step, kind="serial")
    if kind == "lanes":
        value = operation("multiply", Operation("cast", (i,), FLOAT), Load(x, ()))
        # shared by threads in at most 4096 chunks, between which signals are seen
        endless = loop("i", 10**12, Reduce("s", "add", value), kind="reduce")
    if kind == "nest":
        endless = loop("i", 10**7, loop("j", 10**7, step, kind="serial"), kind="serial")
    return Program(
        kind, (x,), (y,), (), (), (Declare("s", real(0.0)), endless, Store(y, (), scalar("s")))
    )


@pytest.mark.parametrize("kind", ["while", "loop", "lanes", "nest"])
def test_signals_stop_a_long_loop(kind: str) -> None:
    def stop(*_: object) -> None:
        raise StopError

    run = compile_llvm(long_program(kind))
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(StopError):
            run([np.array(1.0)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
