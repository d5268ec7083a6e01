"""Every transform of every other, in pairs and triples, on a table of functions.

The derivatives of any order that they must give are those of the same function in plain NumPy, by
Cauchy's integral over a circle in the complex plane: no difference quotient, no derivative rule.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from tests.helpers import assert_near
from tracer import cond, fori_loop, grad, hessian, jit, jvp, linear_solve, scan, vmap, while_loop

Function = Callable[[Any], Any]
MATRIX = np.array([[3.0, 1.0, 0.5], [-0.4, 2.5, 0.3], [0.2, -0.6, 4.0]])
POINT = 0.7
RADIUS, SAMPLES = 0.15, 48
HIGHEST = 4
# Rounding in Cauchy's integral of the highest order: 4!/0.15⁴ units in the last place.
TOLERANCE = 1e-10


def elementary(x: Any) -> Any:
    return np.sin(x) * np.exp(x / 2) + np.log(1 + x * x) / (2 + np.cos(x)) + x**3.5


def arrays(x: Any) -> Any:
    table = np.outer(np.arange(1.0, 4.0) * x, np.array([0.3, 0.2])) + 0.5
    turned = np.concatenate([table.T, np.tanh(table.T)])[::-1, 1:]
    return np.sum(np.prod(turned + x, axis=1)) + np.cumsum(turned @ MATRIX[:2])[-1]


def power_loop(x: Any) -> Any:
    return fori_loop(0, 5, lambda i, y: y * x + 1.0, x)


def power_loop_plain(x: Any) -> Any:
    y = x
    for _ in range(5):
        y = y * x + 1.0
    return y


def growth(x: Any) -> Any:
    return while_loop(lambda y: y < 10, lambda y: y * 1.5 + x * y, x)


def growth_plain(x: Any) -> Any:
    y = x
    for _ in range(4):
        y = y * 1.5 + x * y
    return y


def history(x: Any) -> Any:
    def step(carry: Any, element: Any) -> Any:
        following = np.sin(carry) * element + x
        return following, carry * following

    carry, ys = scan(step, x * x, np.array([0.5, 0.9, -0.4]))
    return carry + np.sum(ys)


def history_plain(x: Any) -> Any:
    carry, total = x * x, 0.0
    for element in (0.5, 0.9, -0.4):
        following = np.sin(carry) * element + x
        total = total + carry * following
        carry = following
    return carry + total


def branch(x: Any) -> Any:
    return cond(x > 0.5, lambda v: v**3 * np.exp(v), lambda v: np.sqrt(v - 0.5), x)


def system(x: Any) -> Any:
    right = np.array([1.0, 2.0, 3.0])
    return np.sum(linear_solve(lambda v: MATRIX @ v + x * v, right * x) ** 2)


def system_plain(x: Any) -> Any:
    return np.sum(np.linalg.solve(MATRIX + x * np.eye(3), np.array([1.0, 2.0, 3.0]) * x) ** 2)


def written_in_place(x: Any) -> Any:
    y = np.stack([x, x * 2, x * 3])
    y[0] = y[1] * y[2]
    y[1:] += np.cos(y[0])
    y[2] *= y[0]
    return np.sum(y * y)


def ruled(x: Any) -> Any:
    return squared_sine(x) * x


@tracer.custom_jvp
def squared_sine(x: Any) -> Any:
    return np.sin(x) ** 2


squared_sine.defjvp(lambda p, t: (squared_sine(p[0]), t[0] * np.sin(2 * p[0])))

# name, the function, and the same in plain NumPy along the branch that is taken near POINT
FUNCTIONS: dict[str, tuple[Function, Function]] = {
    "elementary": (elementary, elementary),
    "arrays": (arrays, arrays),
    "fori_loop": (power_loop, power_loop_plain),
    "while_loop": (growth, growth_plain),
    "scan": (history, history_plain),
    "cond": (branch, lambda x: x**3 * np.exp(x)),
    "linear_solve": (system, system_plain),
    "in place": (written_in_place, written_in_place),
    "custom_jvp": (ruled, lambda x: np.sin(x) ** 2 * x),
}


def first_lane(f: Function) -> Function:
    """f of a number, as one of three lanes."""
    return lambda x: vmap(f)(np.stack([x, x * 1.01, x * 0.98]))[0]


def all_lanes(f: Function) -> Function:
    """f of a number, as the sum of lanes of which all but one are subtracted again."""

    def mean(x: Any) -> Any:
        return np.sum(
            vmap(lambda a, b: f(a) * b, in_axes=(None, 0))(x, np.array([0.5, 0.75, -0.25]))
        )

    return mean


# name, transform of a function of one number, by how much it raises the order
TRANSFORMS: dict[str, tuple[Callable[[Function], Function], int]] = {
    "jit": (lambda f: jit(f, backend="numpy"), 0),
    "vmap": (first_lane, 0),
    "vmap of a closure": (all_lanes, 0),
    "checkpoint": (tracer.checkpoint, 0),
    "grad": (grad, 1),
    "jvp": (lambda f: lambda x: jvp(f, (x,), (1.0,))[1], 1),
    "hessian": (hessian, 2),
}
Word = tuple[str, ...]


def order_of(word: Word) -> int:
    return sum(TRANSFORMS[letter][1] for letter in word)


def derivative(f: Function, order: int) -> float:
    """By Cauchy's integral, whose trapezoidal sum converges geometrically."""
    angles = 2j * np.pi * np.arange(SAMPLES) / SAMPLES
    values = np.array([f(POINT + RADIUS * np.exp(angle)) for angle in angles])
    mean = np.mean(values * np.exp(-order * angles))
    return float(np.real(mean)) * math.factorial(order) / RADIUS**order


def check(name: str, word: Word, wrap: Callable[[Function], Function] = lambda f: f) -> None:
    transformed, plain = FUNCTIONS[name]
    for letter in reversed(word):
        transformed = TRANSFORMS[letter][0](transformed)
    due = derivative(plain, order_of(word))
    assert_near(wrap(transformed)(POINT), due, TOLERANCE, f"{' of '.join(word)} of {name}")


PAIRS = list(itertools.product(TRANSFORMS, repeat=2))
TRIPLES = [w for w in itertools.product(TRANSFORMS, repeat=3) if order_of(w) <= HIGHEST]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reference(name: str) -> None:
    """The plain function is the traced one where both are real, and differentiable there."""
    transformed, plain = FUNCTIONS[name]
    assert_near(transformed(POINT), plain(POINT), 1e-14)
    assert_near(derivative(plain, 0), plain(POINT), 1e-13)


@pytest.mark.parametrize("word", PAIRS, ids=" ".join)
def test_pairs(word: Word) -> None:
    for name in FUNCTIONS:
        check(name, word)


@pytest.mark.parametrize("place", range(len(TRIPLES)), ids=lambda k: " ".join(TRIPLES[k]))
def test_triples(place: int) -> None:
    """Each triple on two of the functions, so that all functions have their share."""
    names = list(FUNCTIONS)
    for name in {names[place % len(names)], names[(place // len(names) + 4) % len(names)]}:
        check(name, TRIPLES[place])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name: str) -> None:
    check(name, ("vmap", "grad", "jvp"), jit)
