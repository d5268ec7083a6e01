"""Long programs in sections: the same results, whatever lies where."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Program
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.passes.split import is_section, split
from codegen.passes.workspace import plan_workspace
from codegen.render.llvm_call import compile_llvm
from tests.helpers import run_numpy
from tracer import jit
from tracer.graph.nodes import Graph

Function = Callable[..., Any]
MANY = 50
"""Buffers that count as many here: a thousand take long to compile."""


def repeated(step: Function, count: int) -> Function:
    """The sum of x after `count` steps, which Python's own loop writes one behind the other."""
    return lambda x: np.sum(functools.reduce(lambda y, number: step(y, x, number), range(count), x))


def gradient_graph(function: Function, x: Any) -> Graph:
    return jit(tracer.value_and_grad(function)).trace(x).graph


def scalars(y: Any, x: Any, number: int) -> Any:
    return np.sin(y) * x if number % 2 else y + x


def vectors(y: Any, x: Any, number: int) -> Any:
    return y * 0.5 + x / (1.0 + np.sum(y * y))


CASES = {
    "scalars": (scalars, 700, np.float64(0.3)),
    "small arrays": (scalars, 500, np.linspace(0.1, 0.4, 5)),
    "sums between": (vectors, 120, np.linspace(0.1, 0.4, 3)),
    "several dtypes": (
        lambda y, x, number: np.where(y > x, y * 0.5, np.floor(y * 4).astype(np.int64) + x),
        300,
        np.float64(0.3),
    ),
    "matrices": (
        lambda y, x, number: np.tanh(np.stack([y, x]) @ np.stack([x, y], axis=1))[0] + x[:2],
        60,
        np.linspace(0.1, 0.4, 2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_sections_compute_what_the_graph_does(name: str) -> None:
    step, count, x = CASES[name]
    graph = gradient_graph(repeated(step, count), x)
    program = optimize(lower_graph(graph))
    assert len(program.body) > 1
    assert all(is_section(statement) for statement in program.body)
    check_program(program)
    due = run_numpy(graph, [x])
    inputs = [np.asarray(x)]
    for results in (interpret(program, inputs), compile_llvm(program)(inputs)):
        for result, expected in zip(results, due, strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-10)


def test_short_programs_stay_whole() -> None:
    program = optimize(lower_graph(gradient_graph(repeated(scalars, 40), np.float64(0.3))))
    assert not any(is_section(statement) for statement in program.body)
    assert split(program) is program


def test_a_failed_check_in_a_section_leaves_the_program() -> None:
    def f(x: Any, place: Any) -> Any:
        y = repeated(scalars, 500)(x[0])
        z = tracer.numpy.asarray(x)[place] + y
        return repeated(scalars, 500)(z)

    compiled = jit(f, backend="llvm", source=False)
    x = np.linspace(0.1, 0.4, 5)
    assert np.isfinite(compiled(x, 2))
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(x, 9)
    assert np.isfinite(compiled(x, 4))


def test_ten_thousand_nodes_compile_in_sections() -> None:
    x = np.linspace(0.0, 0.5, 8)
    function = repeated(lambda y, x, number: y * x if number % 2 else y + x, 3_400)
    graph = gradient_graph(function, x)
    assert len(graph) > 10_000
    program = optimize(lower_graph(graph))
    assert len(program.body) > 8
    value, gradient = compile_llvm(program)([x])
    expected = run_numpy(graph, [x])
    np.testing.assert_allclose(value, expected[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-12)


def test_many_buffers_share_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than are placed by size: those that live at once do not overlap."""
    monkeypatch.setattr("codegen.passes.workspace.MANY", MANY)
    program = _with_many_buffers()
    plan = plan_workspace(program)
    assert len(plan.offsets) > MANY
    assert plan.peak <= 64 * 8
    inputs = [np.arange(3.0)]
    np.testing.assert_array_equal(compile_llvm(program)(inputs)[0], interpret(program, inputs)[0])


def _with_many_buffers() -> Program:
    """A row of small buffers, each made from the one before, backwards."""
    from codegen.loops.build import integer, operation
    from codegen.loops.nodes import Buffer, Literal, Load, Loop, Statement, Store, Variable

    dtype, index = np.dtype(np.float64), Variable("i1", np.dtype(np.int64))
    x, y = Buffer("x", dtype, (3,), "input"), Buffer("y", dtype, (3,), "output")
    workspace = [Buffer(f"w{number}", dtype, (3,), "workspace") for number in range(2 * MANY)]
    body: list[Statement] = []
    for source, target in zip((x, *workspace), (*workspace, y), strict=True):
        mirrored = operation("subtract", integer(2), index)
        value = operation("add", Load(source, (mirrored,)), Literal(1.0, dtype))
        store = Store(target, (index,), value)
        body.append(Loop("i1", integer(0), integer(3), (store,)))
    return Program("many", (x,), (y,), (), tuple(workspace), tuple(body))
