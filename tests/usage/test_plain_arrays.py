"""Plain arrays and lists inside of a function that is traced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracer import check_grads, grad, jit

X = np.array([0.3, 0.7, 1.1])
START = np.linspace(0.0, 1.0, 8)


def heat(start: Any, rate: Any) -> Any:
    u = start.copy()
    for _ in range(12):
        u[1:-1] += rate * (u[2:] - 2 * u[1:-1] + u[:-2])
        u[0] = 0.0
    return np.sum(u**2)


def of_lists(x: Any) -> Any:
    total = np.sum([x[0], x[1] ** 2]) + np.prod([v * v for v in x]) + np.mean([x[0], [x[1]][0]])
    return total + np.dot(np.ones(2), [x[0], x[1]]) + np.max([x[0], 2.0]) + np.std([x[2], x[0]])


@pytest.mark.parametrize("copied", [lambda a: a.copy(), np.copy, np.array])
def test_a_copy_of_a_plain_array_holds_traced_values(copied: Any) -> None:
    def f(x: Any) -> Any:
        y = copied(START)
        y[2] = x[0] * x[1]
        y[3:6] *= x
        return np.sum(y**2)

    before = START.copy()
    check_grads(f, (X,))
    assert np.allclose(jit(grad(f))(X), grad(f)(X))
    assert np.array_equal(START, before)


def test_an_array_that_is_not_differentiated_is_copied_and_overwritten() -> None:
    check_grads(lambda rate: heat(START, rate), (0.2,))
    check_grads(heat, (START, 0.2))
    assert np.allclose(jit(grad(heat, 1))(START, 0.2), grad(heat, 1)(START, 0.2))


def test_reductions_of_lists() -> None:
    check_grads(of_lists, (X,))
    assert jit(of_lists)(X) == pytest.approx(of_lists(X))
    assert np.allclose(jit(grad(of_lists))(X), grad(of_lists)(X))


@pytest.mark.parametrize("argnums", ["x", 1.0, (0, "y"), None])
def test_argnums_of_another_kind(argnums: Any) -> None:
    with pytest.raises(TypeError, match="argnums is an int or a tuple of ints"):
        grad(lambda x, y: x * y, argnums=argnums)(1.0, 2.0)
