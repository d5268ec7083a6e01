"""Arrays that are overwritten in place: only where what is written does not read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.nodes import Store, Update
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.helpers import COMPILED

Function = Callable[..., Any]


def written(x: Any, v: Any) -> Any:
    y = np.cumsum(x)
    y[y // 2 % 7] = v
    return np.cumsum(y)


def added(x: Any, v: Any) -> Any:
    y = np.cumsum(x)
    np.add.at(y, y // 2 % 7, v)
    return np.cumsum(y)


def mirrored(x: Any, v: Any) -> Any:
    y = np.cumsum(x)
    y[y[::-1] % 7] = v
    return np.cumsum(y)


def doubled(x: Any, v: Any) -> Any:
    y = np.cumsum(x)
    y[v % 7] = y[::-1] * 2
    return np.cumsum(y)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("function", [written, added, mirrored, doubled])
def test_places_and_values_are_those_before(function: Function, backend: str) -> None:
    draw = np.random.default_rng(0)
    compiled = tracer.jit(function, backend=backend)
    for _ in range(9):
        x, v = draw.integers(0, 9, 7), draw.integers(0, 9, 7)
        np.testing.assert_array_equal(tracer.device_get(compiled(x, v)), function(x, v))


def test_a_table_is_not_copied_in_each_step() -> None:
    def loss(table: Any, rows: Any) -> Any:
        def step(total: Any, row: Any) -> Any:
            return total + (table[row] ** 2).sum(), None

        return tracer.scan(step, 0.0, rows)[0]

    table, rows = np.ones((50, 30)), np.zeros((7, 40), int)
    graph = tracer.jit(tracer.grad(loss)).trace(table, rows).graph
    program = optimize(lower_graph(graph))
    into = [part for part in statements(program.body) if isinstance(part, Store | Update)]
    assert [part.buffer.shape for part in into].count((50, 30)) == 2  # zeros, and what is added
