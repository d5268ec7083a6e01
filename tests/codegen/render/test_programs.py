"""Whole programs: each renderer against the interpreter; what a call takes, raises and leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.loops.build import integer, loop, operation
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Buffer, Declare, Load, Loop, Program, Reduce, Store, Update
from codegen.render.llvm_call import compile_llvm
from codegen.render.numba_call import compile_numba
from tests.codegen.programs import (
    FLOAT,
    PROGRAMS,
    buffer,
    i,
    j,
    matrix_reduction,
    real,
    scalar,
)

Array = np.ndarray[Any, np.dtype[Any]]
Runner = Callable[[list[Array]], list[Array]]
Compile = Callable[[Program], Runner]
RNG = np.random.default_rng(7)
RENDERERS: dict[str, Compile] = {"llvm": compile_llvm, "numba": compile_numba}


@pytest.fixture(scope="module", params=sorted(RENDERERS))
def compile_program(request: pytest.FixtureRequest) -> Compile:
    """A renderer."""
    return RENDERERS[request.param]


@pytest.fixture(scope="module")
def compiled(compile_program: Compile) -> dict[str, Runner]:
    """Each program, compiled once."""
    return {name: compile_program(make()) for name, (make, _) in PROGRAMS.items()}


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_renderers_agree_with_the_interpreter(name: str, compiled: dict[str, Runner]) -> None:
    make, inputs = PROGRAMS[name]
    expected = interpret(make(), inputs)
    for _ in range(2):
        results = compiled[name](inputs)
        assert len(results) == len(expected)
        for got, wanted in zip(results, expected, strict=True):
            assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
            np.testing.assert_allclose(got, wanted, rtol=1e-13)


def test_a_failed_check_raises_what_the_program_names(compiled: dict[str, Runner]) -> None:
    places = np.array([0, 1, 2, -1, 4, 5, 0, 1])
    with pytest.raises(IndexError, match=r"index -1 at position 3 is out of bounds \(user.py:3\)"):
        compiled["scatter"]([places, np.ones(8)])
    (y,) = compiled["scatter"]([np.zeros(8, np.int64), np.ones(8)])
    assert y.tolist() == [8.0, 0, 0, 0, 0, 0]


def test_inputs_of_another_type_are_refused(compiled: dict[str, Runner]) -> None:
    run = compiled["softmax"]
    for wrong in (np.ones((5, 8)), np.ones((5, 7), np.float32), np.ones(35)):
        with pytest.raises(TypeError, match=r"softmax takes \(float64\[5, 7\]\), not"):
            run([wrong])
    with pytest.raises(TypeError, match="softmax takes"):
        run([])


def test_strided_and_read_only_inputs(compiled: dict[str, Runner]) -> None:
    x = RNG.normal(size=(7, 5)).T
    (expected,) = compiled["softmax"]([np.ascontiguousarray(x)])
    np.testing.assert_array_equal(compiled["softmax"]([x])[0], expected)
    frozen = np.ascontiguousarray(x)
    frozen.flags.writeable = False
    np.testing.assert_array_equal(compiled["softmax"]([frozen])[0], expected)
    np.testing.assert_array_equal(compiled["softmax"]([x[::-1]])[0], expected[::-1])


def test_results_of_calls_are_apart(compiled: dict[str, Runner]) -> None:
    x = RNG.normal(size=(5, 7))
    (first,) = compiled["softmax"]([x])
    kept = first.copy()
    compiled["softmax"]([x + RNG.normal(size=(5, 7))])
    np.testing.assert_array_equal(first, kept)


def test_threads_have_workspace_of_their_own(compiled: dict[str, Runner]) -> None:
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


@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.complex64, np.int32])
def test_sums_in_any_order_are_close_to_numpys(dtype: type, compile_program: Compile) -> None:
    run = compile_program(matrix_reduction("add", dtype, 0.0))
    x = (RNG.normal(size=(40, 25)) * 100).astype(dtype)
    tolerance = 1e-5 if np.dtype(dtype).itemsize in (4, 8) else 1e-12
    np.testing.assert_allclose(run([x])[0], x.sum(dtype=dtype), rtol=tolerance)


def test_a_scalar_that_the_loop_reads_is_reduced_in_order(compile_program: Compile) -> None:
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
    np.testing.assert_array_equal(compile_program(program)([data])[0], np.cumsum(data))


@pytest.mark.parametrize("operation_name", ["maximum", "multiply", "add"])
def test_update_in_memory(operation_name: str, compile_program: Compile) -> None:
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
    np.testing.assert_allclose(compile_program(program)([data])[0], expected, rtol=1e-14)


def test_a_buffer_seen_in_another_shape(compile_program: Compile) -> None:
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
    np.testing.assert_array_equal(compile_program(program)([data])[0], expected)
