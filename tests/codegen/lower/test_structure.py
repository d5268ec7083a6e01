"""What programs look like: loop nests counted, not timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.nodes import Call, Loop, Program, Statement
from codegen.loops.walk import blocks
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.helpers import COMPILED, run_lowered, run_numpy
from tracer import grad, jit
from tracer.graph.nodes import Graph

ROWS, COLUMNS = 6, 5


def graph_of(f: Callable[..., Any], *args: Any) -> Graph:
    """The simplified graph of f, its Python loops unrolled."""
    return jit(f, source=False).trace(*args).graph


def program_of(f: Callable[..., Any], *args: Any) -> Program:
    """The loop program of f after all passes."""
    return optimize(lower_graph(graph_of(f, *args)))


def outer_loops(program: Program) -> list[Loop]:
    """The loop nests of a program."""
    return [statement for statement in program.body if isinstance(statement, Loop)]


def all_statements(body: tuple[Statement, ...]) -> list[Statement]:
    """Every statement, nested ones included."""
    found: list[Statement] = []
    for statement in body:
        found.append(statement)
        for block in blocks(statement):
            found.extend(all_statements(block))
    return found


def chain(x: Any) -> Any:
    """Twenty elementwise operations."""
    for _ in range(5):
        x = np.sin(x) * 1.5 + 0.25
        x = np.tanh(x)
    return x


def logsumexp_rows(x: Any) -> Any:
    top = np.max(x, axis=1, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=1)) + top[:, 0]


def test_a_chain_is_one_loop_nest() -> None:
    program = program_of(chain, np.zeros(1000))
    assert len(outer_loops(program)) == 1
    assert not program.workspace
    assert outer_loops(program)[0].kind == "parallel"


def test_value_and_gradient_of_a_chain_are_one_loop_nest() -> None:
    def both(x: Any) -> Any:
        return tracer.value_and_grad(lambda x: np.sum(chain(x)))(x)

    program = program_of(both, np.zeros(1000))
    assert len(outer_loops(program)) == 1
    assert sum(buffer.size for buffer in program.workspace) < 1000, "no array is stored"


def test_a_chain_of_two_dimensions_is_one_loop_nest() -> None:
    program = program_of(lambda x, y: chain(x * y + x), np.zeros((30, 40)), np.zeros(40))
    assert len(outer_loops(program)) == 1
    assert not program.workspace


def test_broadcast_and_reduction_fuse() -> None:
    """(x − mean)² summed: a loop for the mean, a loop for the sum, nothing stored."""
    program = program_of(lambda x: np.sum((x - np.mean(x)) ** 2), np.zeros(1000))
    assert len(outer_loops(program)) == 2
    assert sum(buffer.size for buffer in program.workspace) < 10


def test_logsumexp_rows_is_one_loop_over_the_rows() -> None:
    program = program_of(logsumexp_rows, np.zeros((ROWS, COLUMNS)))
    assert len(outer_loops(program)) == 1
    assert sum(buffer.size for buffer in program.workspace) <= COLUMNS


def test_views_cost_nothing() -> None:
    """Transposes, flips, slices and broadcasts are index arithmetic."""
    program = program_of(lambda x: np.sin(x.T[::-1, 1:3]) * 2.0, np.zeros((8, 9)))
    assert len(outer_loops(program)) == 1
    assert not program.workspace


def test_reshape_is_the_same_memory() -> None:
    program = program_of(lambda x: np.sin(x.reshape(6, 4)), np.zeros((3, 8)))
    assert len(outer_loops(program)) == 1
    assert not program.workspace


def test_an_unrolled_scatter_overwrites_in_place() -> None:
    """x[i] = v in a row copies x once."""

    def f(x: Any) -> Any:
        y = x * 2.0
        for place in range(4):
            y[place] = y[place + 1] * 3.0
        return y

    program = program_of(f, np.zeros(1000))
    assert len([loop for loop in outer_loops(program) if loop.stop.value == 1000]) <= 2
    x = np.arange(1000.0)
    (result,) = run_lowered(graph_of(f, x), [x], optimized=True)
    np.testing.assert_array_equal(result, f(x))


def test_matrix_products_are_calls_without_copies() -> None:
    """Neither the product nor its two adjoints copy a matrix to transpose it."""

    def loss(a: Any, b: Any) -> Any:
        return np.sum(np.tanh(a @ b))

    program = program_of(grad(loss, (0, 1)), np.zeros((30, 40)), np.zeros((40, 50)))
    calls = [s for s in all_statements(program.body) if isinstance(s, Call)]
    assert [call.kernel for call in calls] == ["matmul"] * 3
    assert len(outer_loops(program)) <= 2


def test_common_work_is_done_once() -> None:
    graph = graph_of(lambda x: np.sin(x) * np.sin(x) + np.exp(np.sin(x)), np.zeros(5))
    assert [node.primitive.name for node in graph.nodes].count("sin") == 1


def test_dead_work_is_not_done() -> None:
    def f(x: Any) -> Any:
        np.exp(x)
        return x * 2.0

    assert len(graph_of(f, np.zeros(5))) == 1


def test_compiled_once_for_each_signature() -> None:
    calls: list[int] = []

    @jit(backend="numpy")
    def f(x: Any) -> Any:
        calls.append(1)
        return np.sin(x) * 2.0

    for _ in range(5):
        f(np.zeros(3))
    assert len(calls) == 1
    assert f.cache_info().misses == 1
    assert f.cache_info().hits == 4
    f(np.zeros(4))
    f(np.zeros(3, np.float32))
    f(1.0)
    assert len(calls) == 4
    f(np.zeros(3))
    assert len(calls) == 4


DEEP = 4_000


def deep_chain(x: Any) -> Any:
    for _ in range(DEEP // 2):
        x = np.sin(x * 1.0001)
    return x


def wide_sum(x: Any) -> Any:
    """Every value is used again much later, and many times."""
    terms = [x]
    for step in range(DEEP // 4):
        terms.append(terms[-1] * 0.999 + terms[step // 2])
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


@pytest.mark.parametrize("f", [deep_chain, wide_sum])
@pytest.mark.parametrize("shape", [(), (3,)], ids=["scalars", "vectors"])
def test_thousands_of_nodes(f: Callable[[Any], Any], shape: tuple[int, ...]) -> None:
    """Traced, differentiated, printed, batched, lowered and optimized without deep recursion."""
    x = np.full(shape, 0.3)[()]
    graph = jit(lambda x: np.sum(f(x)), source=False).trace(x).graph
    assert len(graph) >= DEEP // 2
    adjoint = tracer.adjoint(graph)
    assert len(adjoint) >= len(graph)
    assert str(graph).count("\n") >= len(graph)
    program = optimize(lower_graph(adjoint))
    assert program.body
    assert len(run_numpy(adjoint, [x, np.float64(1.0)])) == 2


def test_lowering_is_linear() -> None:
    """Statements grow with the nodes, not with their square."""
    counts = []
    for length in (400, 1600):  # both more than one loop takes

        def f(x: Any, length: int = length) -> Any:
            for _ in range(length):
                x = np.sin(x) + x * 0.5
            return np.sum(x)

        adjoint = tracer.adjoint(graph_of(f, np.zeros(10)))
        counts.append((len(adjoint), len(all_statements(optimize(lower_graph(adjoint)).body))))
    (nodes, statements), (more_nodes, more_statements) = counts
    assert more_nodes <= 4.2 * nodes
    assert more_statements <= 4.2 * statements


@pytest.mark.parametrize("backend", COMPILED)
def test_products_with_both_zeros_are_not_the_same_expression(backend: str) -> None:
    f = jit(lambda x: (x * 0.0, x * -0.0), backend=backend)
    plus, minus = f(np.ones(5))
    assert not np.signbit(plus).any()
    assert np.signbit(minus).all()


def test_a_graph_that_is_called_twice() -> None:
    """What is known of the values of the first call is not taken for those of the second."""
    double = tracer.jit(lambda x, i: np.sin(x * 2.0) * x[i])

    def function(x: Any, y: Any, i: Any, j: Any) -> Any:
        return double(x, i) + 1.0, double(y, j)

    x, y = np.array([0.5]), np.array([0.25])
    inputs = (x, y, np.int64(0), np.int64(0))
    found = tracer.jit(function)(*inputs)
    for value, given in zip(found, ((x, 1.0), (y, 0.0)), strict=True):
        np.testing.assert_allclose(value, np.sin(given[0] * 2) * given[0] + given[1], rtol=1e-15)
    with pytest.raises(IndexError):
        tracer.jit(function)(x, y, np.int64(0), np.int64(7))
