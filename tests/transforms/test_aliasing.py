"""Arrays that change after they were used: derivatives are those of what the function saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracer import grad, jit, jvp, linearize, value_and_grad, vjp, vmap


def test_argument_changed_between_value_and_pullback() -> None:
    x = np.array([1.0, 2.0])
    _, pullback = vjp(lambda x: x * x, x)
    x[:] = 100.0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], [2.0, 4.0])


def test_argument_changed_between_linearize_and_use() -> None:
    x = np.array([1.0, 2.0])
    _, push = linearize(lambda x: x * x * x, x)
    x[:] = 100.0
    np.testing.assert_array_equal(push(np.ones(2)), [3.0, 12.0])


def test_captured_array_changed_between_value_and_pullback() -> None:
    w = np.array([3.0, 5.0])
    _, pullback = vjp(lambda x: x * w, np.array([1.0, 2.0]))
    w[:] = 100.0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], [3.0, 5.0])


def test_captured_array_changed_between_linearize_and_use() -> None:
    w = np.array([3.0, 5.0])
    _, push = linearize(lambda x: x * w, np.array([1.0, 2.0]))
    w[:] = 100.0
    np.testing.assert_array_equal(push(np.ones(2)), [3.0, 5.0])


def test_captured_matrix_changed() -> None:
    a = np.arange(4.0).reshape(2, 2)
    before = a.copy()
    _, pullback = vjp(lambda x: a @ x, np.array([1.0, 2.0]))
    a[:] = -1.0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], before.T @ np.ones(2))


def test_captured_index_changed() -> None:
    places = np.array([0, 0, 1])
    _, pullback = vjp(lambda x: x[places], np.array([1.0, 2.0]))
    places[:] = 1
    np.testing.assert_array_equal(pullback(np.ones(3))[0], [2.0, 1.0])


def test_captured_array_changed_inside_the_function() -> None:
    """A buffer that is filled anew in every step: each step has the contents of its time."""
    buffer = np.zeros(2)

    def f(x: Any) -> Any:
        total = 0.0
        for step in range(3):
            buffer[:] = step + 1
            total = total + np.sum(x * buffer)
        return total

    np.testing.assert_array_equal(grad(f)(np.ones(2)), [6.0, 6.0])
    np.testing.assert_array_equal(jit(grad(f), backend="numpy", source=False)(np.ones(2)), [6, 6])


def test_view_of_a_captured_array_changed_inside() -> None:
    table = np.arange(6.0).reshape(2, 3)

    def f(x: Any) -> Any:
        first = x * table[0]
        table[0, :] = -100.0
        return np.sum(first * first)

    row = np.array([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(grad(f)(np.ones(3)), 2 * row * row)


MUTATING: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: _assigned(x, 0, x[1] * x[1]),
    "slice": lambda x: _assigned(x, slice(0, 2), x[1:] * x[1:]),
    "mask": lambda x: _assigned(x, np.array([True, False, True]), 0.0),
    "list": lambda x: _assigned(x, [2, 0], x[:2]),
}


def _assigned(x: Any, place: Any, value: Any) -> Any:
    x[place] = value
    return np.sum(x * x * x)


@pytest.mark.parametrize("name", MUTATING)
def test_argument_assigned_inside(name: str) -> None:
    """The caller's array stays as it was, and the gradient is that of its elements at entry."""
    x = np.array([0.5, 2.0, -1.0])
    before = x.copy()
    f = MUTATING[name]
    value, gradient = value_and_grad(f)(x)
    np.testing.assert_array_equal(x, before)
    assert value == f(before.copy())
    step = 1e-6
    for place in range(3):
        moved = [before.copy(), before.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        slope = (f(moved[0]) - f(moved[1])) / (2 * step)
        np.testing.assert_allclose(gradient[place], slope, rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(jit(grad(f), backend="numpy")(x), gradient)
    np.testing.assert_array_equal(x, before)
    pushed = jvp(f, (x,), (np.ones(3),))[1]
    np.testing.assert_allclose(pushed, np.sum(gradient), rtol=1e-14)
    np.testing.assert_array_equal(x, before)


def test_augmented_assignment_of_an_argument() -> None:
    def f(x: Any) -> Any:
        y = x
        y *= 3.0
        y += 1.0
        return np.sum(x * x)  # x is y, as it is for an ndarray

    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(grad(f)(x), 6 * (3 * x + 1))
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_view_of_an_argument_is_written_through() -> None:
    """row = x[0]; row[1] = … changes x, as NumPy's views do, or refuses: it is never ignored."""

    def f(x: Any) -> Any:
        row = x[0]
        row[1] = 5.0
        return np.sum(x * x)

    x = np.arange(1.0, 5.0).reshape(2, 2)
    expected = 2 * x
    expected[0, 1] = 0.0
    np.testing.assert_array_equal(grad(f)(x), expected)


def test_results_do_not_share_memory_with_arguments() -> None:
    x = np.array([1.0, 2.0])
    for f in (lambda x: x, lambda x: x.reshape(2, 1), lambda x: x[::-1], lambda x: x.T):
        value, _ = vjp(f, x)
        assert not np.shares_memory(value, x)
        result = jit(f, backend="numba")(x)
        assert not np.shares_memory(result, x)


def test_pullback_does_not_change_the_cotangent() -> None:
    ct = np.array([1.0, 1.0])
    _, pullback = vjp(lambda x: x + x, np.array([1.0, 2.0]))
    (result,) = pullback(ct)
    result[:] = 7.0
    np.testing.assert_array_equal(ct, [1.0, 1.0])
    np.testing.assert_array_equal(pullback(ct)[0], [2.0, 2.0])


def test_pullback_can_be_used_again() -> None:
    _, pullback = vjp(np.sin, np.array([0.1, 0.2]))
    once, twice = pullback(np.ones(2))[0], pullback(2 * np.ones(2))[0]
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-15)


def test_jit_constant_is_the_array_as_it_was_traced() -> None:
    """As documented: a captured array is part of the compiled function."""
    w = np.array([2.0, 3.0])
    f = jit(lambda x: x * w, backend="numpy")
    first = f(np.ones(2))
    w[:] = 100.0
    np.testing.assert_array_equal(f(np.ones(2)), first)


def test_vmap_leaves_its_arguments_alone() -> None:
    x = np.arange(6.0).reshape(3, 2)

    def f(row: Any) -> Any:
        row[0] = row[1] * 2
        return row.sum()

    np.testing.assert_array_equal(vmap(f)(x), 3 * x[:, 1])
    np.testing.assert_array_equal(x, np.arange(6.0).reshape(3, 2))
