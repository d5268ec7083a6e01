"""Whole programs: Numba against the interpreter, and what a call takes, raises and leaves alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.loops.build import cast, index, integer, loop, operation
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Buffer, Declare, Load, Loop, Program, Reduce, Store, Update, View
from codegen.loops.nodes import Call as KernelCall
from codegen.render.numba_call import NumbaProgram, compile_numba
from tests.codegen import programs
from tests.codegen.programs import FLOAT, INT, buffer, i, j, real, scalar

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(2)

PROGRAMS: dict[str, tuple[Callable[[], Program], list[Array]]] = {
    "softmax": (programs.softmax, [RNG.normal(size=(5, 7))]),
    "affine": (programs.affine, [RNG.normal(size=(2, 3, 4))]),
    "scatter": (programs.scatter, [np.array([0, 5, 5, 1, 0, 0, 2, 5]), RNG.normal(size=8)]),
    "newton": (programs.newton, [np.array([0.25, 2.0, 1.0, -1.0, 100.0, 1e-3])]),
    "padded": (programs.padded, [RNG.normal(size=6)]),
    "prefix": (programs.prefix, [RNG.normal(size=7).astype(np.float32)]),
    "statistics": (programs.statistics, [RNG.normal(size=(6, 9))]),
    "collatz": (programs.collatz, [np.array(27)]),
    "mixed": (programs.mixed, [np.array(2.25)]),
}


@pytest.fixture(scope="module")
def compiled() -> dict[str, NumbaProgram]:
    """Each program, compiled once."""
    return {name: compile_numba(make()) for name, (make, _) in PROGRAMS.items()}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_numba_agrees_with_the_interpreter(name: str, compiled: dict[str, NumbaProgram]) -> None:
    make, inputs = PROGRAMS[name]
    expected = interpret(make(), inputs)
    for _ in range(2):
        results = compiled[name](inputs)
        assert len(results) == len(expected)
        for got, wanted in zip(results, expected, strict=True):
            assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
            np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_a_failed_check_raises_what_the_program_names(compiled: dict[str, NumbaProgram]) -> None:
    places = np.array([0, 1, 2, -1, 4, 5, 0, 1])
    with pytest.raises(IndexError, match=r"index -1 at position 3 is out of bounds \(user.py:3\)"):
        compiled["scatter"]([places, np.ones(8)])
    (y,) = compiled["scatter"]([np.zeros(8, np.int64), np.ones(8)])
    assert y.tolist() == [8.0, 0, 0, 0, 0, 0]


def test_inputs_of_another_type_are_refused(compiled: dict[str, NumbaProgram]) -> None:
    run = compiled["softmax"]
    for wrong in (np.ones((5, 8)), np.ones((5, 7), np.float32), np.ones(35)):
        with pytest.raises(TypeError, match=r"softmax takes \(float64\[5, 7\]\), not"):
            run([wrong])
    with pytest.raises(TypeError, match="softmax takes"):
        run([])


def test_strided_and_read_only_inputs(compiled: dict[str, NumbaProgram]) -> None:
    x = RNG.normal(size=(7, 5)).T
    (expected,) = compiled["softmax"]([np.ascontiguousarray(x)])
    np.testing.assert_array_equal(compiled["softmax"]([x])[0], expected)
    frozen = np.ascontiguousarray(x)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(compiled["softmax"]([frozen])[0], expected)
    np.testing.assert_array_equal(compiled["softmax"]([x[::-1]])[0], expected[::-1])


def test_results_of_calls_are_apart(compiled: dict[str, NumbaProgram]) -> None:
    x = RNG.normal(size=(5, 7))
    (first,) = compiled["softmax"]([x])
    kept = first.copy()
    compiled["softmax"]([x + RNG.normal(size=(5, 7))])
    np.testing.assert_array_equal(first, kept)


def test_threads_have_workspace_of_their_own(compiled: dict[str, NumbaProgram]) -> None:
    inputs = [RNG.normal(size=(5, 7)) for _ in range(4)]
    expected = [compiled["softmax"]([x])[0] for x in inputs]
    failures: list[int] = []

    def work(number: int) -> None:
        for _ in range(300):
            (got,) = compiled["softmax"]([inputs[number]])
            if not np.array_equal(got, expected[number]):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def _reduction(name: str, dtype: type, first: complex) -> Program:
    kind = np.dtype(dtype)
    x = Buffer("x", kind, (40, 25), "input")
    y = Buffer("y", kind, (), "output")
    start = cast(real(first.real), kind) if kind.kind != "f" else programs.literal(first, kind)
    nest = loop(
        "i", 40, loop("j", 25, Reduce("s", name, Load(x, (i, j))), kind="reduce"), kind="reduce"
    )
    body = (Declare("s", start), nest, Store(y, (), scalar("s", kind)))
    return Program(name, (x,), (y,), (), (), body)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("name", "first", "plain"), [("maximum", -np.inf, np.max), ("minimum", np.inf, np.min)]
)
def test_nan_wins_a_maximum_wherever_it_stands(
    name: str, first: float, plain: Callable[[Array], Any], dtype: type
) -> None:
    run = compile_numba(_reduction(name, dtype, first))
    x = RNG.normal(size=(40, 25)).astype(dtype)
    assert run([x])[0] == plain(x)
    for place in ((0, 0), (3, 7), (39, 24), (17, 12)):
        with_nan = x.copy()
        with_nan[place] = np.nan
        assert np.isnan(run([with_nan])[0])
    assert np.isinf(run([np.full((40, 25), first, dtype)])[0])


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.complex64, np.int32])
def test_sums_in_any_order_are_close_to_numpys(dtype: type) -> None:
    run = compile_numba(_reduction("add", dtype, 0.0))
    x = (RNG.normal(size=(40, 25)) * 100).astype(dtype)
    tolerance = 1e-5 if np.dtype(dtype).itemsize in (4, 8) else 1e-12
    np.testing.assert_allclose(run([x])[0], x.sum(dtype=dtype), rtol=tolerance)


def test_a_scalar_that_the_loop_reads_is_reduced_in_order() -> None:
    x, y = buffer("x", (9,), "input"), buffer("y", (9,), "output")
    body = (
        Declare("s", real(0.0)),
        loop(
            "i",
            9,
            Reduce("s", "add", Load(x, (i,))),
            Store(y, (i,), scalar("s")),
            kind="serial",
        ),
    )
    program = Program("running", (x,), (y,), (), (), body)
    data = RNG.normal(size=9)
    np.testing.assert_array_equal(compile_numba(program)([data])[0], np.cumsum(data))


@pytest.mark.parametrize("operation_name", ["maximum", "multiply", "add"])
def test_update_in_memory(operation_name: str) -> None:
    x, y = buffer("x", (6, 5), "input"), buffer("y", (5,), "output")
    body = (
        loop("j", 5, Store(y, (j,), Load(x, (integer(0), j)))),
        Loop(
            "i",
            integer(1),
            integer(6),
            (loop("j", 5, Update(y, (j,), operation_name, Load(x, (i, j)))),),
            "serial",
        ),
    )
    data = RNG.normal(size=(6, 5))
    program = Program("columns", (x,), (y,), (), (), body)
    expected = getattr(np, operation_name).reduce(data, axis=0)
    np.testing.assert_allclose(compile_numba(program)([data])[0], expected, rtol=1e-14)


def test_a_buffer_seen_in_another_shape() -> None:
    x, y = buffer("x", (4, 6), "input"), buffer("y", (3, 8), "output")
    w = buffer("w", (24,), "workspace")
    wide = Buffer("wide", FLOAT, (8, 3), "workspace", None, w)
    flat = Buffer("flat", FLOAT, (24,), "input", None, x)
    body = (
        loop("i", 24, Store(w, (i,), operation("square", Load(flat, (i,))))),
        loop("i", 3, loop("j", 8, Store(y, (i, j), Load(wide, (j, i))))),
    )
    program = Program("reshaped", (x,), (y,), (), (w,), body)
    data = RNG.normal(size=(4, 6))
    (expected,) = interpret(program, [data])
    np.testing.assert_array_equal(expected, (data**2).reshape(8, 3).T)
    np.testing.assert_array_equal(compile_numba(program)([data])[0], expected)


@pytest.mark.parametrize("dtype", ["f4", "c16", "i8", "?"])
def test_matrix_products_of_every_kind_of_dtype(dtype: str) -> None:
    kind = np.dtype(dtype)
    x, y = buffer("x", (3, 4), "input", kind), buffer("y", (5, 4), "input", kind)
    z, row = buffer("z", (3, 5), "output", kind), buffer("row", (5,), "output", kind)
    column, dot = buffer("column", (3,), "output", kind), buffer("dot", (), "output", kind)
    first = View(y, (integer(2),))
    body = (
        KernelCall("matmul", (View(z),), (View(x), View(y, (), (1, 0)))),
        KernelCall("matmul", (View(row),), (View(x, (integer(1),)), View(y, (), (1, 0)))),
        KernelCall("matmul", (View(column),), (View(x), first)),
        KernelCall("matmul", (View(dot),), (View(x, (integer(1),)), first)),
    )
    program = Program("products", (x, y), (z, row, column, dot), (), (), body)
    a = (RNG.normal(size=(3, 4)) * 5).astype(kind)
    b = (RNG.normal(size=(5, 4)) * 5).astype(kind)
    results = compile_numba(program)([a, b])
    expected = [a @ b.T, a[1] @ b.T, a @ b[2], a[1] @ b[2]]
    for got, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5 if dtype == "f4" else 1e-12)


def test_merged_loops_keep_index_values_and_gaps_apart() -> None:
    x, y = buffer("x", (3, 4, 5), "input"), buffer("y", (3, 5, 4), "output")
    k = index("k")
    body = loop("i", 3, loop("j", 4, loop("k", 5, Store(y, (i, k, j), Load(x, (i, j, k))))))
    program = Program("swapped", (x,), (y,), (), (), (body,))
    data = RNG.normal(size=(3, 4, 5))
    np.testing.assert_array_equal(compile_numba(program)([data])[0], data.transpose(0, 2, 1))


def test_workspace_of_several_dtypes() -> None:
    x, y = buffer("x", (6,), "input"), buffer("y", (6,), "output")
    order = buffer("order", (6,), "workspace", INT)
    doubled = buffer("doubled", (6,), "workspace")
    body = (
        loop("i", 6, Store(order, (i,), operation("subtract", integer(5), i))),
        loop("i", 6, Store(doubled, (i,), operation("add", Load(x, (i,)), Load(x, (i,))))),
        loop("i", 6, Store(y, (i,), Load(doubled, (Load(order, (i,)),)))),
    )
    program = Program("reversed", (x,), (y,), (), (order, doubled), body)
    run = compile_numba(program)
    data = RNG.normal(size=6)
    np.testing.assert_array_equal(run([data])[0], 2 * data[::-1])
    assert run.workspace_bytes == 128
