"""Products of matrices as kernels of their own, with what is made of their elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import SIMULATED
from codegen.device.schedule import Launch, Library
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Loop, Program
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.fuse_products import fuse_products
from codegen.passes.pipeline import optimize
from tests.helpers import Array
from tracer import grad, jit, scan

random = np.random.default_rng(11)
Function = Callable[..., Any]


def sample(*shape: int, dtype: str = "f8") -> Array:
    return random.normal(size=shape).astype(dtype)


class Ran(NamedTuple):
    """A compiled program, and what it was after the pass."""

    compiled: CudaProgram
    fused: Program


def run(function: Function, *inputs: Array, **close: float) -> Ran:
    """The function in the simulator, twice, and its program after the pass by the interpreter,
    against what NumPy makes of it."""
    graph = jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    due = np.atleast_1d(jit(function, backend="numpy")(*inputs))
    fused = fuse_products(program, SIMULATED)
    check_program(fused)
    compiled = CudaProgram(program, SimulatorDriver())
    close = close or {"rtol": 1e-11, "atol": 1e-11}
    np.testing.assert_allclose(interpret(fused, list(inputs))[0], due, **close)
    for _ in range(2):
        (found,) = compiled(list(inputs))
        np.testing.assert_allclose(compiled.driver.download(found), due, **close)
    return Ran(compiled, fused)


def products(ran: Ran) -> list[tuple[int, bool]]:
    """Of each product of our own: how many nests are made of it, and whether it is kept."""
    found = []
    for part in statements(ran.fused.body):
        if isinstance(part, Loop) and part.kind == "product":
            (call,) = (inner for inner in statements(part.body[:1]) if not isinstance(inner, Loop))
            found.append((len(part.body) - 1, bool(call.params["kept"])))
    return found


def launches(ran: Ran) -> int:
    """Kernels of a schedule without libraries and loops of the host."""
    steps = ran.compiled.schedule.steps
    assert all(isinstance(step, Launch) for step in steps)
    return len(steps)


@pytest.mark.parametrize("sizes", [(11, 7, 9), (8, 8, 12), (9, 33, 3), (5, 12, 13)])
@pytest.mark.parametrize("flipped", [(False, False), (True, False), (False, True), (True, True)])
def test_a_layer(sizes: tuple[int, int, int], flipped: tuple[bool, bool]) -> None:
    rows, depth, columns = sizes
    a, b = sample(rows, depth), sample(depth, columns)
    given = [x.T.copy() if flip else x for x, flip in zip((a, b), flipped, strict=True)]

    def layer(a: Any, b: Any, bias: Any) -> Any:
        return np.tanh((a.T if flipped[0] else a) @ (b.T if flipped[1] else b) + bias)

    ran = run(layer, *given, sample(columns))
    assert products(ran) == [(1, False)]
    assert launches(ran) == 1
    assert ran.compiled.schedule.workspace == 0, "the product itself is nowhere in memory"


def test_a_product_alone() -> None:
    ran = run(lambda a, b: a @ b, sample(9, 10), sample(10, 11))
    assert products(ran) == [(0, True)]
    assert launches(ran) == 1


def test_a_product_that_is_a_result_too() -> None:
    def both(a: Any, b: Any) -> Any:
        product = a @ b
        return np.concatenate([product, np.exp(product)])

    ran = run(both, sample(9, 10), sample(10, 11))
    assert all(isinstance(step, Launch) for step in ran.compiled.schedule.steps)


def test_residual_and_what_the_adjoint_needs() -> None:
    def loss(w: Any, x: Any, bias: Any) -> Any:
        hidden = np.tanh(x @ w + bias) + x
        return np.sum(np.maximum(hidden @ w, 0.0) ** 2)

    ran = run(grad(loss), sample(9, 9), sample(11, 9), sample(9))
    found = products(ran)
    assert len(found) == 5
    assert sum(made for made, _ in found) >= 3
    assert not any(isinstance(step, Library) for step in ran.compiled.schedule.steps)


@pytest.mark.parametrize("shared", [False, True])
def test_stacks(shared: bool) -> None:
    def scores(a: Any, b: Any) -> Any:
        return np.exp((a @ b.swapaxes(-1, -2)) * 0.1) + 1.0

    a, b = sample(2, 2, 9, 8), sample(2, 2, 10, 8)
    ran = run(scores, a, b[0, 0] if shared else b)
    assert products(ran) == [(1, False)]
    assert launches(ran) == 1


def test_the_result_in_another_order() -> None:
    """The nest walks through the elements in the order of its own result."""

    def heads(a: Any, b: Any) -> Any:
        return np.einsum("bhqk,bhkd->bqhd", a, b) * 2.0

    ran = run(heads, sample(2, 3, 9, 8), sample(2, 3, 8, 9))
    assert products(ran) == [(1, False)]


def test_rows_of_several_axes() -> None:
    ran = run(
        lambda a, b, c: np.sin(np.tensordot(a, b, 1) + c),
        *(sample(3, 4, 9), sample(9, 2, 5), sample(3, 4, 2, 5)),
    )
    assert products(ran) == [(1, False)]


def test_what_does_not_fit() -> None:
    """A transposed sum, a nest over a part, and rows that are reduced come afterwards."""
    a, b = sample(9, 10), sample(10, 9)

    def mixed(a: Any, b: Any) -> Any:
        product = a @ b
        return product + product.T

    def part(a: Any, b: Any) -> Any:
        return np.exp((a @ b)[1:, :])

    def rows(a: Any, b: Any) -> Any:
        return np.sum(np.exp(a @ b), axis=1)

    for function in (mixed, part, rows):
        assert products(run(function, a, b)) == [(0, True)]


def test_statements_between_keep_their_order() -> None:
    """What is made of the product needs another product first."""

    def gated(a: Any, b: Any, c: Any) -> Any:
        return np.tanh(a @ b) * np.exp(a @ c)

    ran = run(gated, sample(9, 10), sample(10, 8), sample(10, 8))
    assert sorted(products(ran)) == [(0, True), (1, False)]
    assert launches(ran) == 2


def test_in_a_loop_of_the_host() -> None:
    """The carry, a factor, stays as it is until the product is made."""

    def recurrent(w: Any, x: Any) -> Any:
        def step(h: Any, row: Any) -> tuple[Any, Any]:
            h = np.tanh(h @ w + row)
            return h, h

        return scan(step, np.zeros((9, 9)), x)[1]

    ran = run(recurrent, sample(9, 9), sample(3, 9, 9))
    assert products(ran) == [(0, True)]


def test_places_of_a_loop_of_the_host() -> None:
    def layers(w: Any, x: Any) -> Any:
        return scan(lambda h, row: (h + 1.0, np.tanh(row @ w + h)), 0.5, x)[1]

    ran = run(layers, sample(9, 9), sample(3, 9, 9))
    assert products(ran) == [(1, False)]


def test_after_a_failed_check_nothing_runs() -> None:
    def picked(x: Any, place: Any, w: Any) -> Any:
        return np.tanh(x[place] @ w)

    x, w = sample(9, 10), sample(10, 9)
    ran = run(picked, x, np.arange(9)[::-1].copy(), w)
    assert products(ran) == [(1, False)]
    with pytest.raises(IndexError, match="out of bounds"):
        ran.compiled([x, np.full(9, 99), w])


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_other_dtypes(dtype: str) -> None:
    a, b = sample(9, 10, dtype=dtype), sample(10, 8, dtype=dtype)
    tolerance = 8 * float(np.finfo(dtype).eps)
    ran = run(lambda a, b: (a @ b) * 2, a, b, rtol=tolerance, atol=tolerance)
    assert products(ran) == [(1, False)]
    assert launches(ran) == 1
