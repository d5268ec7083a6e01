"""Code that checks its accesses: it finds those outside, and compiled programs have none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tracer
from codegen.loops.build import index, integer, loop, operation
from codegen.loops.errors import ProgramError
from codegen.loops.interpret import interpret
from codegen.loops.nodes import (
    Expression,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reserve,
    Statement,
    Store,
)
from codegen.loops.text import print_program
from codegen.passes.pipeline import optimize
from codegen.render.llvm_call import compile_llvm
from tests.codegen.passes.random_loops import inputs_of, programs
from tests.codegen.programs import PROGRAMS, buffer, i, j
from tracer import config

COUNT = 37
RNG = np.random.default_rng(17)


@pytest.fixture(autouse=True)
def _checked() -> Iterator[None]:
    before = config.get("check")
    config.set("check", "access")
    yield
    config.set("check", before)


def after(expression: Expression, steps: int = 1) -> Operation:
    """A place further on."""
    return operation("add", expression, integer(steps))


def copying(
    source: tuple[Expression, ...], target: tuple[Expression, ...], kind: str, count: int = COUNT
) -> Program:
    """y[target] = x[source] for i below a count."""
    x, y = buffer("x", (COUNT,), "input"), buffer("y", (COUNT,), "output")
    body = loop("i", count, Store(y, target, Load(x, source)), kind=kind)
    return Program("copy", (x,), (y,), (), (), (body,))


@pytest.mark.parametrize("parallel", ["never", "always"])
@pytest.mark.parametrize("kind", ["parallel", "serial"])
def test_one_place_too_far(kind: str, parallel: str) -> None:
    x = RNG.normal(size=COUNT)
    for program, name in (
        (copying((after(i),), (i,), kind), "x"),
        (copying((i,), (after(i),), kind), "y"),
        (copying((after(i, -1),), (i,), kind), "x"),
        (copying((after(i, 2),), (i,), kind, COUNT - 1), "x"),
    ):
        with pytest.raises(ProgramError, match=f"the code of copy reaches outside of {name}"):
            compile_llvm(program, parallel)([x])
    np.testing.assert_array_equal(compile_llvm(copying((i,), (i,), kind), parallel)([x])[0], x)


def test_gathers_and_strides() -> None:
    x, y = buffer("x", (COUNT,), "input"), buffer("y", (COUNT,), "output")
    places = buffer("p", (COUNT,), "input", np.int64)
    gather = loop("i", COUNT, Store(y, (i,), Load(x, (Load(places, (i,)),))))
    program = Program("gather", (x, places), (y,), (), (), (gather,))
    values, order = RNG.normal(size=COUNT), RNG.permutation(COUNT)
    compiled = compile_llvm(program)
    np.testing.assert_array_equal(compiled([values, order])[0], values[order])
    for wrong in (COUNT, -1, 10**9):
        order[20] = wrong
        with pytest.raises(ProgramError, match="outside of x"):
            compiled([values, order])
    doubled = operation("multiply", i, integer(2))
    with pytest.raises(ProgramError, match="outside of x"):
        compile_llvm(copying((doubled,), (i,), "parallel", 20))([values])
    assert compile_llvm(copying((doubled,), (i,), "parallel", 19))([values])[0][18] == values[36]


def test_rows_of_a_matrix_are_one_buffer() -> None:
    """What is checked is memory: a place outside of a row may lie in the next one."""
    x, y = buffer("x", (3, 5), "input"), buffer("y", (3, 5), "output")
    store = Store(y, (i, j), Load(x, (i, after(j))))
    program = Program("rows", (x,), (y,), (), (), (loop("i", 3, loop("j", 5, store)),))
    with pytest.raises(ProgramError, match="outside of x"):
        compile_llvm(program)([RNG.normal(size=(3, 5))])


def test_tapes() -> None:
    tape = buffer("t", (-1,), "workspace")
    y = buffer("y", (COUNT,), "output")
    k = index("k")

    def program(reserved: int) -> Program:
        body: list[Statement] = [
            Reserve(tape, integer(reserved)),
            Loop("k", integer(0), integer(500), (Store(tape, (k,), Literal(1.5, y.dtype)),)),
            loop("i", COUNT, Store(y, (i,), Load(tape, (i,)))),
        ]
        return Program("taped", (), (y,), (), (tape,), tuple(body))

    np.testing.assert_array_equal(compile_llvm(program(500))([])[0], np.full(COUNT, 1.5))
    with pytest.raises(ProgramError, match="outside of t"):
        compile_llvm(program(100))([])


@pytest.mark.parametrize("name", PROGRAMS)
def test_hand_written_programs(name: str) -> None:
    make, inputs = PROGRAMS[name]
    for got, wanted in zip(compile_llvm(make())(inputs), interpret(make(), inputs), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-13)


@settings(max_examples=25)
@given(programs())
def test_random_programs(program: Program) -> None:
    inputs = inputs_of(program)
    expected = interpret(program, inputs)
    for changed in (program, optimize(program)):
        for parallel in ("never", "always"):
            results = compile_llvm(changed, parallel)(inputs)
            for got, wanted in zip(results, expected, strict=True):
                np.testing.assert_array_equal(got, wanted, err_msg=print_program(changed))


LENGTHS = (1, 2, 3, 5, 8, 9, 16, 17, 31, 33, 65, 100)


def whole(x: Any) -> Any:
    """Everything that has a shape of code of its own."""
    top = np.max(x)
    rows = np.outer(x, x[::-1])
    soft = np.exp(rows - rows.max(axis=1, keepdims=True))
    picked = x[::3].sum() + np.where(x > 0, x, -x).min() + np.cumsum(x)[-1]
    return np.log(np.sum(np.exp(x - top))) + soft.sum() + soft.T[0].sum() + picked


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_lengths(dtype: type, parallel: bool) -> None:
    """Code for one length serves others: its tails are checked for each."""
    function = tracer.jit(tracer.value_and_grad(whole), parallel=parallel)
    for length in LENGTHS:
        x = RNG.normal(size=length).astype(dtype)
        value, gradient = function(x)
        expected = tracer.value_and_grad(whole)(x)
        tolerance = 1e-11 if dtype is np.float64 else 1e-3
        np.testing.assert_allclose(value, expected[0], rtol=tolerance)
        np.testing.assert_allclose(gradient, expected[1], rtol=tolerance, atol=tolerance)
