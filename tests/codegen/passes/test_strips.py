"""Loops over rows in strips: what is found, and that results stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracer
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Let, Loop, Operation, Program, Statement
from codegen.loops.walk import statements
from codegen.lower.context import INT64, integer
from codegen.lower.graph import lower_graph
from codegen.passes import strips as module
from codegen.passes.cost import block_cost
from codegen.passes.pipeline import PASSES
from codegen.passes.strips import strips
from tests.codegen.passes.random_loops import EXTENT, Draw, Writer
from tests.codegen.passes.test_passes import check_equal
from tests.helpers import COMPILED, assert_near

COLUMNS = 20


def logistic(weights: Any, images: Any, signs: Any) -> Any:
    return np.sum(np.logaddexp(0.0, -signs * (images @ weights)))


def scaled(weights: Any, images: Any, signs: Any) -> Any:
    """The sign is read on both sides of the function, and an index of rows as a number."""
    rows = np.sum(np.abs(images - weights), axis=1) * signs
    return np.sum(np.tanh(rows)[:, np.newaxis] * (images * signs[:, np.newaxis]), axis=0)


def arguments(rows: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(rows)
    return rng.normal(size=COLUMNS), rng.normal(size=(rows, COLUMNS)), rng.choice((-1.0, 1.0), rows)


FUNCTIONS = {"gradient": tracer.value_and_grad(logistic, (0, 1)), "scaled": scaled}


def before_strips(name: str, rows: int) -> Program:
    """The program as it comes to the pass."""
    program = lower_graph(tracer.jit(FUNCTIONS[name]).trace(*arguments(rows)).graph)
    for pass_name, change in PASSES:
        if pass_name == "strips":
            return program
        program = change(program)
    raise AssertionError("the pipeline has the pass")


@pytest.mark.parametrize("rows", [16, 31, 32, 33, 70])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_same_numbers(name: str, rows: int) -> None:
    program = before_strips(name, rows)
    changed = strips(program)
    assert changed is not program, "there is such a loop"
    check_program(changed)
    args = arguments(rows)
    for got, due in zip(interpret(changed, args), interpret(program, args), strict=True):
        assert_near(got, due, 1e-14, name)


@pytest.mark.parametrize("rows", [16, 32, 70])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_cost_stays(name: str, rows: int) -> None:
    program = before_strips(name, rows)
    changed, due = block_cost(strips(program).body), block_cost(program.body)
    assert changed.flops == pytest.approx(due.flops, rel=1e-12)
    assert changed.exact


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("rows", [33, 70])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name: str, rows: int, backend: str) -> None:
    args = arguments(rows)
    found = tracer.jit(FUNCTIONS[name], backend=backend)(*args)
    due = tracer.jit(FUNCTIONS[name], backend="numpy")(*args)
    for one, two in zip(tracer.tree.leaves(found), tracer.tree.leaves(due), strict=True):
        assert_near(one, two, 1e-12, name)


def test_functions_stand_in_loops_of_their_own() -> None:
    for loop in statements(strips(before_strips("gradient", 70)).body):
        if isinstance(loop, Loop) and any(module._is_heavy(part) for part in loop.body):
            assert not any(isinstance(part, Loop) for part in loop.body)
            assert loop.kind != "serial", "the functions can be in lanes"


def test_few_rows_and_few_columns_stay() -> None:
    program = before_strips("gradient", 15)
    assert strips(program) is program


@st.composite
def rows(draw: Draw) -> Program:
    """A loop over rows: loops, functions (here `maximum`), loops; some rows meddle with others."""
    writer = Writer(draw)
    context = writer.context
    with context.loop(EXTENT, "serial") as row:
        total = context.declare("s", integer(0))
        with context.loop(EXTENT, "serial") as inner:
            context.reduce(total, "add", writer.value((row, inner)))
            if draw(st.booleans()):
                writer.statement((row, inner), 0)
        of_row = context.settled(total)
        for _ in range(draw(st.integers(1, 2))):
            operands = of_row, writer.value((row,))
            of_row = context.let(Operation("maximum", operands, INT64))
            if draw(st.booleans()):
                buffer = draw(st.sampled_from([b for b in writer.writable if len(b.shape) == 1]))
                context.store(buffer, writer.place(buffer, (row,)), of_row)
        with context.loop(EXTENT, "serial") as inner:
            buffer = draw(st.sampled_from(writer.writable))
            context.update(buffer, writer.place(buffer, (row, inner)), "add", of_row)
    return writer.finish()


def is_maximum(statement: Statement) -> bool:
    return (
        isinstance(statement, Let)
        and isinstance(statement.value, Operation)
        and statement.value.name == "maximum"
    )


def test_random_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """In strips of two rows, wherever that is done."""
    monkeypatch.setattr(module, "STRIP", 2)
    monkeypatch.setattr(module, "FEWEST_ROWS", 2)
    monkeypatch.setattr(module, "FEWEST_TRIPS", 1)
    monkeypatch.setattr(module, "_is_heavy", is_maximum)
    counts = {True: 0, False: 0}

    @settings(max_examples=150)
    @given(rows())
    def check(program: Program) -> None:
        changed = strips(program)
        counts[changed is not program] += 1
        check_equal(program, changed, "strips")

    check()
    assert min(counts.values()) > 10, f"some can be in strips, some not: {counts}"
