"""Small matrices on a device: loops, of which the stack's is parallel, instead of calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer.numpy as tnp
import tracer.scipy.linalg as tsl
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Call, Loop, Program
from codegen.loops.walk import statements
from codegen.lower.device_matrices import MOST_ROWS
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.helpers import Array, run_numpy
from tracer import grad, jit

random = np.random.default_rng(11)


def stack(*shape: int) -> Array:
    return random.normal(size=shape)


def positive(*shape: int) -> Array:
    a = stack(*shape)
    return a @ a.swapaxes(-1, -2) + np.eye(shape[-1])


FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[[tuple[int, ...], int], list[Array]]]] = {
    "cholesky": (tnp.linalg.cholesky, lambda lead, n: [positive(*lead, n, n)]),
    "solve": (tnp.linalg.solve, lambda lead, n: [stack(*lead, n, n), stack(*lead, n, 3)]),
    "solve one": (tnp.linalg.solve, lambda lead, n: [stack(*lead, n, n), stack(*lead, n, 1)]),
    "transposed": (
        lambda a, b: tnp.linalg.solve(tnp.swapaxes(a, -1, -2), b),
        lambda lead, n: [stack(*lead, n, n), stack(*lead, n, 2)],
    ),
    "inverse": (tnp.linalg.inv, lambda lead, n: [stack(*lead, n, n)]),
    "determinant": (tnp.linalg.det, lambda lead, n: [stack(*lead, n, n)]),
    "gradient of solve": (
        grad(lambda a, b: tnp.sum(tnp.linalg.solve(a, b) ** 2), argnums=(0, 1)),
        lambda lead, n: [stack(*lead, n, n), stack(*lead, n, 2)],
    ),
    "gradient of Cholesky": (
        grad(lambda a: tnp.sum(tnp.sin(tnp.linalg.cholesky(a)))),
        lambda lead, n: [positive(*lead, n, n)],
    ),
    "lower": (
        lambda a, b: tsl.solve_triangular(a, b, lower=True, trans=1),
        lambda lead, n: [stack(n, n) + 3 * np.eye(n), stack(n, 2)],
    ),
    "unit": (
        lambda a, b: tsl.solve_triangular(a, b, unit_diagonal=True),
        lambda lead, n: [stack(n, n) / n, stack(n)],
    ),
}


def lowered(function: Callable[..., Any], inputs: list[Array]) -> tuple[Any, Program]:
    graph = jit(function).trace(*inputs).graph
    return graph, lower_graph(graph, target="device")


def count_calls(program: Program) -> int:
    return sum(isinstance(found, Call) for found in statements(program.body))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("lead", [(), (3,), (2, 2)], ids=str)
def test_values(name: str, lead: tuple[int, ...]) -> None:
    function, make = FUNCTIONS[name]
    inputs = make(lead, 6)
    graph, program = lowered(function, inputs)
    assert count_calls(program) == 0
    due = run_numpy(graph, inputs)
    for found in (program, optimize(program, target="device")):
        for got, expected in zip(interpret(found, inputs), due, strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("lead", [(), (3,)], ids=str)
def test_failures(lead: tuple[int, ...]) -> None:
    a = np.broadcast_to(np.eye(6), (*lead, 6, 6)).copy()
    a[..., 4, 4] = 0.0
    for function, inputs, text in (
        (tnp.linalg.solve, [a, stack(*lead, 6, 1)], "Singular matrix"),
        (tnp.linalg.cholesky, [a], "not positive definite"),
    ):
        _, program = lowered(function, inputs)
        with pytest.raises(np.linalg.LinAlgError, match=text):
            interpret(program, inputs)
    np.testing.assert_array_equal(
        interpret(lowered(tnp.linalg.det, [a])[1], [a])[0], np.zeros(lead)
    )


def test_pivots_of_a_rectangle() -> None:
    for shape in ((7, 5), (5, 7)):
        a = stack(*shape)
        graph, program = lowered(lambda x: tuple(tsl.lu(x)), [a])
        assert count_calls(program) == 0
        for got, due in zip(interpret(program, [a]), run_numpy(graph, [a]), strict=True):
            np.testing.assert_allclose(got, due, atol=1e-12)


def test_the_stack_is_parallel() -> None:
    _, program = lowered(tnp.linalg.inv, [stack(100, 8, 8)])
    outer = [found for found in program.body if isinstance(found, Loop)]
    assert outer
    assert {loop.kind for loop in outer} <= {"parallel", "reduce"}


def test_what_stays_a_call() -> None:
    for matrix in (stack(MOST_ROWS + 1, MOST_ROWS + 1), stack(6, 6) + 1j):
        graph, program = lowered(tnp.linalg.inv, [matrix])
        assert count_calls(program) > 0
        assert count_calls(lower_graph(graph)) > 0
    graph, _ = lowered(tnp.linalg.inv, [stack(6, 6)])
    assert count_calls(lower_graph(graph)) > 0
