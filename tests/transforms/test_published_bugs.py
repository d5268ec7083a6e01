"""Wrong gradients that other systems have been known for; each must be right here.

Every function is differentiated eagerly, under jit by the reference and by each compiled backend,
and in forward mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.helpers import BACKENDS
from tracer import grad, jit, jvp


class Bug(NamedTuple):
    """A function, where it is differentiated, and its gradient there."""

    function: Callable[[Any], Any]
    at: Any
    gradient: Any


def dynamic_product(x: Any) -> Any:
    """x⁵ by a loop whose trip count is data: 80 at 2, published as 682."""
    return tracer.while_loop(
        lambda state: state[1] < 5, lambda state: (state[0] * x, state[1] + 1), (1.0, 0)
    )[0]


def counted_product(x: Any) -> Any:
    return tracer.fori_loop(0, 5, lambda i, y: y * x, 1.0)


def scanned_product(x: Any) -> Any:
    return tracer.scan(lambda y, _: (y * x, None), 1.0, None, length=5)[0]


def overwritten(x: Any) -> Any:
    """The adjoint needs x[0] as it was before it was overwritten: d/dx (x₀² + x₀·x₁)."""
    y = x * 1.0
    square = y[0] * y[0]
    y[0] = y[0] * y[1]
    return square + y[0]


def overwritten_in_a_loop(x: Any) -> Any:
    """Each step squares the first element in place: x₀⁸·x₁."""

    def step(i: Any, y: Any) -> Any:
        y[0] = y[0] * y[0]
        return y

    y = tracer.fori_loop(0, 3, step, x)
    return y[0] * y[1]


def added_twice_to_one_place(x: Any) -> Any:
    return np.sum(tnp.zeros(3).at[np.array([1, 1, 2])].add(x) ** 2)


def set_twice_in_one_place(x: Any) -> Any:
    """The last write stays: the gradient of the first is 0."""
    return np.sum(tnp.zeros(3).at[np.array([1, 1, 2])].set(x) ** 2)


def augmented_twice(x: Any) -> Any:
    """y[[1, 1]] += v adds once, as NumPy does."""
    y = tnp.zeros(3) + x * 0.0
    y[np.array([1, 1, 2])] += x
    return np.sum(y**2)


def gathered_twice(x: Any) -> Any:
    return np.sum(x[np.array([0, 0, 1])] ** 2)


def safe_log(x: Any) -> Any:
    return np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 1.0)), 0.0))


def masked_log(x: Any) -> Any:
    """Without the inner where: the branch not taken is −inf, and its derivative inf."""
    return np.sum(np.where(x > 0, np.log(x), 0.0))


def masked_division(x: Any) -> Any:
    return np.sum(np.where(x == 0, 0.0, np.sin(x) / x))


def unused_overflow(x: Any) -> Any:
    return np.sum(np.where(x > 500.0, 1.0, x * 1.0) + np.where(x < 500, 0.0, np.exp(x)) * 0.0)


def stable_logistic(x: Any) -> Any:
    return np.sum(np.logaddexp(0.0, x))


def softmax_of_infinity(x: Any) -> Any:
    """A masked entry of −inf has weight 0 and gradient 0, not NaN."""
    masked = np.where(np.array([True, True, False]), x, -np.inf)
    shifted = np.exp(masked - np.max(masked))
    return (shifted / np.sum(shifted))[0]


def product_with_a_zero(x: Any) -> Any:
    return np.prod(x)


def closed_over_in_a_branch(x: Any) -> Any:
    return tracer.cond(x[0] > 0, lambda: np.sum(x * x), lambda: np.sum(x))


def reused_carry(x: Any) -> Any:
    """The carry enters twice: y ← y·y + x."""
    return tracer.scan(lambda y, _: (y * y + x, y), 0.0, None, length=3)[0]


def _softmax_gradient(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x[:2]) / np.sum(np.exp(x[:2]))
    return np.array([weights[0] * (1 - weights[0]), -weights[0] * weights[1], 0.0])


V = np.array([0.5, 2.0, -1.0])
BUGS: dict[str, Bug] = {
    "dynamic product loop": Bug(dynamic_product, 2.0, 80.0),
    "counted product loop": Bug(counted_product, 2.0, 80.0),
    "scanned product loop": Bug(scanned_product, 2.0, 80.0),
    "overwritten in place": Bug(overwritten, [3.0, 5.0], [11.0, 3.0]),
    "overwritten in a loop": Bug(overwritten_in_a_loop, [2.0, 3.0], [8 * 2.0**7 * 3, 2.0**8]),
    "added twice": Bug(added_twice_to_one_place, V, [5.0, 5.0, -2.0]),
    "set twice": Bug(set_twice_in_one_place, V, [0.0, 4.0, -2.0]),
    "augmented twice": Bug(augmented_twice, V, [0.0, 4.0, -2.0]),
    "gathered twice": Bug(gathered_twice, V, [2.0, 4.0, 0.0]),
    "where around log": Bug(safe_log, [0.0, 2.0, -1.0], [0.0, 0.5, 0.0]),
    "where with log": Bug(masked_log, [0.0, 2.0, -1.0], [0.0, 0.5, 0.0]),
    "where with division": Bug(masked_division, [0.0, np.pi], [0.0, -1 / np.pi]),
    "where with overflow": Bug(unused_overflow, [1.0, 2.0], [1.0, 1.0]),
    "norm at 0": Bug(lambda x: np.linalg.norm(x), [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
    "norm of rows at 0": Bug(
        lambda x: np.sum(np.linalg.norm(x, axis=1)),
        [[0.0, 0.0], [3.0, 4.0]],
        [[0.0, 0.0], [0.6, 0.8]],
    ),
    "logistic far out": Bug(stable_logistic, [-800.0, 0.0, 800.0], [0.0, 0.5, 1.0]),
    "softmax with −inf": Bug(softmax_of_infinity, V, _softmax_gradient(V)),
    "product with a zero": Bug(product_with_a_zero, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    "product with two zeros": Bug(product_with_a_zero, [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]),
    "closure in a branch": Bug(closed_over_in_a_branch, [1.0, 3.0], [2.0, 6.0]),
    "closure in the other branch": Bug(closed_over_in_a_branch, [-1.0, 3.0], [1.0, 1.0]),
    # y₁ = x, y₂ = x² + x, y₃ = (x² + x)² + x
    "carry used twice": Bug(reused_carry, 0.5, 2 * (0.25 + 0.5) * (1.0 + 1.0) + 1.0),
    "maximum of equals": Bug(lambda x: np.max(x), [2.0, 2.0, 1.0], [0.5, 0.5, 0.0]),
    "absolute value at 0": Bug(lambda x: np.sum(np.abs(x)), [0.0, -2.0], [0.0, -1.0]),
    "power 0 at 0": Bug(lambda x: np.sum(x**0.0), [0.0, 1.0], [0.0, 0.0]),
    "square at 0 by power": Bug(lambda x: np.sum(x**2.0), [0.0, 1.0], [0.0, 2.0]),
    "integer exponents": Bug(lambda x: np.sum(x ** np.array([0, 1, 2])), V, [0.0, 1.0, -2.0]),
    "variance of equals": Bug(lambda x: np.std(x), [2.0, 2.0], [0.0, 0.0]),
    "broadcast of a scalar": Bug(lambda x: np.sum(x * np.ones((3, 2))), 2.0, 6.0),
    "argument used twice": Bug(lambda x: np.dot(x, x), V, 2 * V),
    "unused argument": Bug(lambda x: np.sum(x[:0]) + 1.0, V, [0.0, 0.0, 0.0]),
    "sorted ties": Bug(lambda x: np.sum(np.sort(x)[1:]), [1.0, 3.0, 2.0], [0.0, 1.0, 1.0]),
}


@pytest.mark.parametrize("name", BUGS)
def test_eager_gradient(name: str) -> None:
    function, at, gradient = BUGS[name]
    with np.errstate(all="ignore"):
        found = grad(function)(_input(at))
    np.testing.assert_allclose(found, gradient, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", BUGS)
def test_forward_mode(name: str) -> None:
    function, at, gradient = BUGS[name]
    for direction in _basis(_input(at)):
        with np.errstate(all="ignore"):
            tangent = jvp(function, (_input(at),), (direction,))[1]
        expected = np.sum(np.asarray(gradient) * direction)
        np.testing.assert_allclose(tangent, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_gradients(backend: str) -> None:
    """All of them in one program, which is compiled once."""
    names = list(BUGS)

    @jit(backend=backend)
    def everything(*points: Any) -> Any:
        pairs = zip(names, points, strict=True)
        return tuple(grad(BUGS[name].function)(point) for name, point in pairs)

    with np.errstate(all="ignore"):
        found = everything(*[_input(BUGS[name].at) for name in names])
    for name, gradient in zip(names, found, strict=True):
        np.testing.assert_allclose(
            gradient, BUGS[name].gradient, rtol=1e-12, atol=1e-15, err_msg=name
        )


def _input(at: Any) -> Any:
    return np.asarray(at, np.float64)[()]


def _basis(x: Any) -> list[Any]:
    if np.ndim(x) == 0:
        return [np.float64(1.0)]
    return [row.reshape(x.shape) for row in np.eye(x.size)]
