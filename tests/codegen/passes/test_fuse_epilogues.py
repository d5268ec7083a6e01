"""A bias and relu become a part of a library's product, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.device.plan import PASSES, plan_program
from codegen.device.products import DEEPEST
from codegen.device.schedule import Launch, Library, Repeat, Step
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Call, Program
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tests.helpers import Array

MACHINE = DeviceMachine()
DEEP = DEEPEST + 8
"""Terms of a sum that no kernel adds up."""
Function = Callable[..., Any]


def sample(*shape: int) -> Array:
    """Whole numbers, of which sums are exact."""
    return np.random.default_rng(shape).integers(-3, 4, shape).astype(float)


def compiled(function: Function, *inputs: Array) -> Program:
    graph = tracer.jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    for change in PASSES:
        program = change(program, MACHINE)
    return program


def steps_of(function: Function, *inputs: Array) -> list[Step]:
    """The steps of the schedule, those of loops in their places."""
    graph = tracer.jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    pending = list(plan_program(program, MACHINE, render_kernel).steps)
    found: list[Step] = []
    while pending:
        step = pending.pop(0)
        if isinstance(step, Repeat):
            pending = [*step.body, *pending]
        else:
            found.append(step)
    return found


def kinds(steps: list[Step]) -> list[tuple[int, bool]]:
    """Of each call how many operands it has, and whether it takes relu."""
    calls: list[Call] = [step.call for step in steps if isinstance(step, Library)]
    return [(len(call.operands), bool(call.params.get("relu"))) for call in calls]


def launches(steps: list[Step]) -> int:
    return sum(isinstance(step, Launch) for step in steps)


def check(function: Function, inputs: list[Array], due: list[tuple[int, bool]], left: int) -> None:
    """The function is right, and has these calls and so many kernels."""
    found = interpret(compiled(function, *inputs), list(inputs))
    expected = function(*inputs)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for got, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(got, wanted)
    steps = steps_of(function, *inputs)
    assert kinds(steps) == due
    assert launches(steps) == left


X, W, B = (9, DEEP), (DEEP, 10), (10,)
FUSED: dict[str, tuple[Function, list[tuple[int, ...]], list[tuple[int, bool]]]] = {
    "bias": (lambda x, w, b: x @ w + b, [X, W, B], [(3, False)]),
    "bias first": (lambda x, w, b: b + x @ w, [X, W, B], [(3, False)]),
    "both": (lambda x, w, b: np.maximum(x @ w + b, 0), [X, W, B], [(3, True)]),
    "zero first": (lambda x, w, b: np.maximum(0.0, x @ w + b), [X, W, B], [(3, True)]),
    "relu": (lambda x, w: np.maximum(x @ w, 0), [X, W], [(2, True)]),
    "a row": (lambda x, w, b: x @ w + b, [X, W, (1, 10)], [(3, False)]),
    "flipped": (lambda x, w, b: x.T @ w.T + b, [X[::-1], W[::-1], B], [(3, False)]),
    "stack": (lambda x, w, b: x @ w + b, [(2, *X), (2, *W), B], [(3, False)]),
    "rows of two axes": (
        lambda x, w, b: np.maximum(np.tensordot(x, w, 1) + b, 0),
        [(3, 4, DEEP), W, B],
        [(3, True)],
    ),
    "layers": (
        lambda x, w, b: np.maximum(np.maximum(x @ w + b, 0) @ w + b, 0) @ w,
        [(9, DEEP), (DEEP, DEEP), (DEEP,)],
        [(3, True), (3, True), (2, False)],
    ),
}
APART: dict[str, tuple[Function, list[tuple[int, ...]]]] = {
    "a column": (lambda x, w, b: x @ w + b, [X, W, (9, 1)]),
    "a matrix": (lambda x, w, b: x @ w + b, [X, W, (9, 10)]),
    "a number": (lambda x, w, b: x @ w + b, [X, W, ()]),
    "twice": (lambda x, w, b: x @ w + b + b, [X, W, B]),
    "a factor": (lambda x, w, b: x @ w * 2.0 + b, [X, W, B]),
    "cut above": (lambda x, w, b: np.minimum(x @ w + b, 0), [X, W, B]),
    "cut elsewhere": (lambda x, w, b: np.maximum(x @ w + b, 1), [X, W, B]),
    "relu first": (lambda x, w, b: np.maximum(x @ w, 0) + b, [X, W, B]),
    "turned": (lambda x, w, b: (x @ w + b).T.copy(), [X, W, B]),
    "part of the bias": (lambda x, w, b: x @ w + b[1:11], [X, W, (12,)]),
    "part": (lambda x, w, b: (x @ w + b)[1:], [X, W, B]),
    "used again": (lambda x, w, b: (x @ w + b, np.cos(x @ w)), [X, W, B]),
    "given too": (lambda x, w, b: (x @ w, x @ w + b), [X, W, B]),
    "before and after": (lambda x, w, b: (x @ w + b, np.maximum(x @ w + b, 0)), [X, W, B]),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused(name: str) -> None:
    function, shapes, due = FUSED[name]
    check(function, [sample(*shape) for shape in shapes], due, 0)


@pytest.mark.parametrize("name", APART)
def test_apart(name: str) -> None:
    function, shapes = APART[name]
    inputs = [sample(*shape) for shape in shapes]
    found = interpret(compiled(function, *inputs), list(inputs))
    expected = function(*inputs)
    for got, wanted in zip(
        found, expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        np.testing.assert_array_equal(got, wanted)
    steps = steps_of(function, *inputs)
    assert kinds(steps) == [(2, False)]
    assert launches(steps) >= 1


def test_layers_of_a_scan() -> None:
    """The host's loop knows which bias is the turn's, and where its result belongs."""

    def network(x: Any, weights: Any, biases: Any) -> Any:
        def layer(state: Any, given: Any) -> Any:
            w, b = given
            return state + 1.0, np.maximum(state @ w + b, 0)

        return tracer.scan(layer, x, (weights, biases))[1]

    inputs = [sample(9, DEEP), sample(2, DEEP, 10), sample(2, 10)]
    steps = steps_of(network, *inputs)
    assert kinds(steps) == [(3, True)]
    (found,) = interpret(compiled(network, *inputs), inputs)
    x, weights, biases = inputs
    due = [np.maximum((x + k) @ weights[k] + biases[k], 0) for k in range(2)]
    np.testing.assert_array_equal(found, due)


def test_what_a_product_reads_is_not_written_in_its_place() -> None:
    """The state of a scan has one place."""

    def network(x: Any, weights: Any, biases: Any) -> Any:
        def layer(state: Any, given: Any) -> Any:
            w, b = given
            return np.maximum(state @ w + b, 0), ()

        return tracer.scan(layer, x, (weights, biases))[0]

    inputs = [sample(9, DEEP), sample(2, DEEP, DEEP) / 64, sample(2, DEEP)]
    assert kinds(steps_of(network, *inputs)) == [(2, False)]
    (found,) = interpret(compiled(network, *inputs), inputs)
    state = inputs[0]
    for w, b in zip(inputs[1], inputs[2], strict=True):
        state = np.maximum(state @ w + b, 0)
    np.testing.assert_allclose(found, state, rtol=1e-12)


def test_products_that_kernels_make_are_theirs() -> None:
    inputs = [sample(64, 64), sample(64, 64), sample(64)]
    steps = steps_of(lambda x, w, b: np.maximum(x @ w + b, 0), *inputs)
    assert (kinds(steps), launches(steps)) == ([], 1)


def test_nan_stays() -> None:
    x, w, b = sample(*X), sample(*W), sample(*B)
    x[1] = np.nan
    check(lambda x, w, b: np.maximum(x @ w + b, 0), [x, w, b], [(3, True)], 0)


def test_gradients_need_the_product_itself() -> None:
    def loss(x: Any, w: Any, b: Any) -> Any:
        return np.sum(np.maximum(x @ w + b, 0) ** 2)

    inputs = [sample(*X), sample(*W), sample(*B)]
    slope = tracer.grad(loss, argnums=1)
    steps = steps_of(slope, *inputs)
    assert kinds(steps)[0] == (2, False)
    (found,) = interpret(compiled(slope, *inputs), inputs)
    np.testing.assert_array_equal(found, tracer.jit(slope, backend="numpy")(*inputs))
