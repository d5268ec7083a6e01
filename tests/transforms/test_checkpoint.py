"""checkpoint: the same numbers from less memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from tests.helpers import assert_near
from tests.transforms.derivatives import check_compiled, check_transforms
from tracer import checkpoint, fori_loop, scan, while_loop

START = np.array([0.6, 1.3, -0.8])
WIDTH = 64


def of_a_function(x: Any) -> Any:
    return checkpoint(lambda y: np.sin(y) * np.exp(y * 0.5))(x * x)


def nested(x: Any) -> Any:
    inner = checkpoint(lambda y: np.tanh(y) * y)
    return checkpoint(lambda y: inner(inner(y)) + inner(y * 2))(x)


def of_pytrees(x: Any) -> Any:
    def step(state: Any, scale: Any) -> Any:
        return {"a": state["b"] * scale, "b": np.cos(state["a"]), "c": None}

    state = checkpoint(step)({"a": x, "b": x * x, "c": None}, 0.5)
    return state["a"] * state["b"]


def closing_over(x: Any) -> Any:
    return checkpoint(lambda y: y * np.sum(x) + np.sin(x))(x[::-1])


def of_a_loop(x: Any) -> Any:
    body = checkpoint(lambda i, y: np.sin(y) * x[0] + y)
    return fori_loop(0, 5, body, x)


def inside_of_a_while(x: Any) -> Any:
    step = checkpoint(lambda y: y * 1.3 + 0.1 * y**2)
    return while_loop(lambda y: np.sum(y * y) < 30, step, x)


def closing_over_all(x: Any) -> Any:
    return checkpoint(lambda: np.sin(x) * x)()


FUNCTIONS = [
    closing_over_all,
    of_a_function,
    nested,
    of_pytrees,
    closing_over,
    of_a_loop,
    inside_of_a_while,
]


@pytest.mark.parametrize("f", FUNCTIONS, ids=[f.__name__ for f in FUNCTIONS])
def test_every_transform(f: Callable[[Any], Any]) -> None:
    check_transforms(f, START)


def test_what_it_closes_over_is_recomputed_too() -> None:
    graph = tracer.make_graph(tracer.grad(lambda x: np.sum(closing_over_all(x))))(START)
    assert "call" in [node.primitive.name for node in graph.nodes]


def test_compiled() -> None:
    check_compiled(nested, START)


def folded(x: Any, count: int, mode: str, reverse: bool = False) -> Any:
    rows = np.outer(np.linspace(0.0, 1.0, count), x)

    def step(carry: Any, row: Any) -> Any:
        following = np.tanh(carry * 1.1 + row)
        return following, following * x[0]

    carry, ys = scan(step, x, rows, reverse=reverse, checkpoint=mode)
    return np.sum(carry) + np.sum(ys**2)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("mode", ["sqrt", "full"])
@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 16, 23, 30])
def test_scan_in_segments(count: int, mode: str, reverse: bool) -> None:
    """Of every remainder: values and gradients are those of the plain scan."""
    plain = tracer.value_and_grad(lambda x: folded(x, count, "", reverse))(START)
    saved = tracer.value_and_grad(lambda x: folded(x, count, mode, reverse))(START)
    assert_near(saved[0], plain[0], 1e-14)
    assert_near(saved[1], plain[1], 1e-13)


@pytest.mark.parametrize("mode", ["sqrt", "full"])
def test_scan_in_segments_under_every_transform(mode: str) -> None:
    check_transforms(lambda x: folded(x, 7, mode), START)


@pytest.mark.parametrize("every", [1, 2, 3, 7, 100])
def test_while_in_segments(every: int) -> None:
    def f(x: Any, k: int | None) -> Any:
        grown = while_loop(
            lambda y: np.sum(y * y) < 30, lambda y: y * 1.1 + 0.01 * y**2, x, checkpoint_every=k
        )
        return np.sum(grown**2)

    plain = tracer.value_and_grad(lambda x: f(x, None))(START)
    saved = tracer.value_and_grad(lambda x: f(x, every))(START)
    assert_near(saved[0], plain[0], 1e-14)
    assert_near(saved[1], plain[1], 1e-13)


def workspace(count: int, mode: str) -> float:
    """The peak workspace, in vectors of the carry, of the compiled gradient of a scan."""

    def step(carry: Any, _: Any) -> Any:
        return np.sin(carry) * 1.01, None

    def f(x: Any) -> Any:
        return np.sum(scan(step, x, None, count, checkpoint=mode)[0])

    compiled = tracer.jit(tracer.grad(f)).trace(np.ones(WIDTH)).lower().compile()
    return compiled.cost()["workspace"] / (8 * WIDTH)


def test_memory_grows_with_the_root_of_the_steps() -> None:
    """Sixteen times the steps: sixteen times the memory without, four times with segments."""
    short, long = 64, 1024
    assert workspace(long, "") - workspace(short, "") >= long - short
    segments = [workspace(short, "sqrt"), workspace(long, "sqrt")]
    assert segments[1] - segments[0] <= 4 * (long**0.5 - short**0.5)
    assert segments[1] <= 4 * long**0.5 + 8


def test_errors() -> None:
    with pytest.raises(ValueError, match="checkpoint is '', 'sqrt' or 'full', not 'all'"):
        scan(lambda c, x: (c, None), START, None, 3, checkpoint="all")
    with pytest.raises(ValueError, match="checkpoint_every is at least 1, not 0"):
        while_loop(lambda y: y < 1, lambda y: y + 1, 0.0, checkpoint_every=0)
