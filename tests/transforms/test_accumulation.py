"""Cotangents of what nested loops close over: added in place, whatever the depth."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from tests.transforms.derivatives import check_compiled, check_transforms
from tracer import fori_loop
from tracer.graph.nodes import Graph

WEIGHTS = np.array([[0.5, 0.3, -0.2], [0.1, 0.7, 0.4], [-0.3, 0.2, 0.6]])
N = WEIGHTS.shape[0]


def nested(depth: int, last: Callable[[Any, Any], Any], total: Any) -> Any:
    """`last` in loops around loops, each of N turns."""
    if depth == 0:
        return last(total, 0)

    def turn(i: Any, total: Any) -> Any:
        return last(total, i) if depth == 1 else nested(depth - 1, last, total)

    return fori_loop(0, N, turn, total)


def one_element(w: Any) -> Any:
    return nested(3, lambda t, i: np.sin(t + w[i, i]) * w[i, 0], w[0, 0])


def elements_on_two_levels(w: Any) -> Any:
    def outer(i: Any, total: Any) -> Any:
        inner = fori_loop(0, N, lambda j, t: t * w[i, j] + w[j, 0], total)
        return np.sin(inner) * w[i, i] + fori_loop(0, N, lambda j, t: t - w[j, j] ** 2, inner)

    return fori_loop(0, N, outer, w[0, 0])


def a_row_and_all(w: Any) -> Any:
    def outer(i: Any, total: Any) -> Any:
        row = fori_loop(0, N, lambda j, t: np.cos(t * w[1, 2]) + w[j] * w[0, 1:2], total)
        return row * np.sum(w * w) + np.sum(np.exp(w[:, 0]))

    return np.sum(fori_loop(0, 2, outer, w[0]))


def two_arrays(w: Any) -> Any:
    v = w * w

    def outer(i: Any, total: Any) -> Any:
        return fori_loop(0, N, lambda j, t: np.sin(t * w[i, j] + v[j, i]), total)

    return fori_loop(0, N, outer, w[0, 0])


def carried_sum_is_read(w: Any) -> Any:
    """The inner loop begins with zeros and adds to them, but reads what it has so far."""

    def outer(i: Any, total: Any) -> Any:
        start = np.zeros((N, N)) * w[0, 0]
        inner = fori_loop(0, N, lambda j, t: t.at[i, j].add(w[i, j] * (1 + np.sum(t))), start)
        return total + inner

    return fori_loop(0, N, outer, w * 0)


def length_of_data(w: Any) -> Any:
    count = (w[0, 0] * 4 + 1.5).astype(np.int64)

    def outer(i: Any, total: Any) -> Any:
        return fori_loop(0, count, lambda j, t: np.sin(t + w[i, j % N]), total)

    return fori_loop(0, N, outer, w[0, 0])


CASES = [
    one_element,
    elements_on_two_levels,
    a_row_and_all,
    two_arrays,
    carried_sum_is_read,
    length_of_data,
]


@pytest.mark.parametrize("function", CASES, ids=lambda function: str(function.__name__))
def test_derivatives(function: Callable[[Any], Any]) -> None:
    check_transforms(function, WEIGHTS)


@pytest.mark.parametrize("function", CASES, ids=lambda function: str(function.__name__))
def test_compiled(function: Callable[[Any], Any]) -> None:
    check_compiled(function, WEIGHTS)


def bodies(graph: Graph) -> list[Graph]:
    """The bodies of the loops of a graph, and of those inside of them."""
    found: list[Graph] = []
    for node in graph.nodes:
        if node.primitive.name == "loop":
            found += [node.params["body"], *bodies(node.params["body"])]
    return found


@pytest.mark.parametrize("function", [one_element, elements_on_two_levels, two_arrays])
def test_whole_arrays_are_neither_made_nor_added_in_loops(function: Callable[[Any], Any]) -> None:
    gradient = tracer.make_graph(tracer.grad(function))(WEIGHTS)
    inside = [node for body in bodies(gradient) for node in body.nodes]
    whole = [node for node in inside if any(r.type.shape == (N, N) for r in node.results)]
    assert {node.primitive.name for node in whole} == {"loop", "scatter"}, str(gradient)


def test_bytes_grow_with_the_elements_added() -> None:
    def cost(n: int) -> Any:
        def sweep(a: Any, source: Any) -> Any:
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    a[i, j] = a[i - 1, j] + a[i, j - 1] + source[i, j]
            return np.sum(a)

        a = np.ones((n, n))
        traced = tracer.jit(tracer.grad(sweep, (0, 1))).trace(a, a)
        return traced.lower(backend="llvm").compile().cost()

    small, large = cost(32)["bytes"], cost(128)["bytes"]
    assert large < 20 * small, f"sixteen times the elements, {large / small} times the bytes"
