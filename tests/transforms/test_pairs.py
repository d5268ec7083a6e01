"""Every transform over every other, on a table of functions of a vector, against differences.

A transform here maps a function vector → vector to another such function, and knows how to compute
its values from the inner one by NumPy: derivatives by differences, batches by loops. Chains of two
and three transforms are compared with the innermost function treated numerically.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.helpers import Array
from tracer import checkpoint, grad, hvp, jacfwd, jacrev, jit, jvp, linearize, vjp, vmap

Function = Callable[[Any], Any]
V = np.array([0.7, -0.4, 0.2])
W = np.array([0.3, 1.1, -0.8])


class Transform(NamedTuple):
    """What the library does, and the same by numbers; both map functions to functions."""

    symbolic: Callable[[Function], Function]
    numerical: Callable[[Function], Function]
    order: int


def directional(f: Function, x: Array) -> Array:
    """Df(x)·V by differences of the sixth order."""
    h = 2.0**-6
    total = 0.0
    for weight, multiple in ((45.0, 1), (-9.0, 2), (1.0, 3)):
        total = total + weight * (f(x + multiple * h * V) - f(x - multiple * h * V))
    return np.asarray(total / (60 * h))


def transposed(f: Function, x: Array) -> Array:
    """Df(x)ᵀ·W by differences along each axis."""
    h = 2.0**-6
    rows = []
    for unit in np.eye(3):
        total = 0.0
        for weight, multiple in ((45.0, 1), (-9.0, 2), (1.0, 3)):
            total = total + weight * (f(x + multiple * h * unit) - f(x - multiple * h * unit))
        rows.append(np.sum(total / (60 * h) * W))
    return np.array(rows)


def _batched(f: Function) -> Function:
    """The sum over a batch of three shifted arguments."""
    return lambda x: tnp.sum(vmap(f)(x * 0.5 + tnp.asarray(SHIFTS)), axis=0)


SHIFTS = np.array([[0.1, 0.2, 0.3], [0.0, -0.1, 0.1], [0.2, 0.0, -0.2]])
FORWARD: Callable[[Function], Function] = lambda f: lambda x: directional(f, x)  # noqa: E731
REVERSE: Callable[[Function], Function] = lambda f: lambda x: transposed(f, x)  # noqa: E731
SAME: Callable[[Function], Function] = lambda f: f  # noqa: E731

TRANSFORMS: dict[str, Transform] = {
    "jvp": Transform(lambda f: lambda x: jvp(f, (x,), (V,))[1], FORWARD, 1),
    "linearize": Transform(lambda f: lambda x: linearize(f, x)[1](V), FORWARD, 1),
    "jacfwd": Transform(lambda f: lambda x: jacfwd(f)(x) @ V, FORWARD, 1),
    "jacrev": Transform(lambda f: lambda x: W @ jacrev(f)(x), REVERSE, 1),
    "vjp": Transform(lambda f: lambda x: vjp(f, x)[1](tnp.asarray(W))[0], REVERSE, 1),
    "grad": Transform(lambda f: grad(lambda x: tnp.sum(f(x) * W)), REVERSE, 1),
    "hvp": Transform(
        lambda f: lambda x: hvp(lambda y: tnp.sum(f(y) * W), (x,), (V,))[0],
        lambda f: lambda x: directional(lambda y: transposed(f, y), x),
        2,
    ),
    "vmap": Transform(_batched, lambda f: lambda x: sum(f(x * 0.5 + shift) for shift in SHIFTS), 0),
    "jit": Transform(lambda f: jit(f, backend="numpy"), SAME, 0),
    "checkpoint": Transform(checkpoint, SAME, 0),
}


def looped(x: Any) -> Any:
    return tracer.fori_loop(0, 3, lambda i, y: tnp.sin(y) + x * 0.5, x)


def scanned(x: Any) -> Any:
    return tracer.scan(lambda c, e: (c * e + 0.1, c + e), tnp.sum(x), x)[1]


def counted(x: Any) -> Any:
    """Three steps from wherever the argument lies."""

    def step(state: Any) -> Any:
        return tnp.sin(state[0]) * x + 0.2, state[1] + 1

    return tracer.while_loop(lambda state: state[1] < 3, step, (x, 0))[0]


def branched(x: Any) -> Any:
    return tracer.cond(tnp.sum(x * x) < 50.0, lambda y: y * y * y, lambda y: y, x)


def assigned(x: Any) -> Any:
    y = x * 1.0
    y[0] = y[1] * y[2]
    return y * x


FUNCTIONS: dict[str, Function] = {
    "elementwise": lambda x: tnp.sin(x) * tnp.exp(x * 0.3),
    "mixing": lambda x: tnp.tanh(x @ tnp.asarray(np.arange(9.0).reshape(3, 3) * 0.1)),
    "normalised": lambda x: x / tnp.sqrt(tnp.sum(x * x) + 1.0),
    "softmax": lambda x: tnp.exp(x) / tnp.sum(tnp.exp(x)),
    "running": lambda x: tnp.cumsum(x) * tnp.cumprod(x),
    "gathered": lambda x: x[np.array([2, 0, 0])] * x,
    "assigned": assigned,
    "loop": looped,
    "scan": scanned,
    "while": counted,
    "branch": branched,
}
POINT = np.array([0.4, 0.9, 0.6])
PAIRS = list(itertools.product(TRANSFORMS, repeat=2))
TRIPLES = [
    ("jvp", "vjp", "vmap"),
    ("vjp", "vmap", "jvp"),
    ("vmap", "grad", "jit"),
    ("jit", "vmap", "hvp"),
    ("grad", "grad", "grad"),
    ("jvp", "jvp", "jvp"),
    ("vmap", "vmap", "grad"),
    ("linearize", "checkpoint", "vjp"),
    ("jacfwd", "jacrev", "jit"),
    ("checkpoint", "grad", "checkpoint"),
    ("jit", "jvp", "jit"),
    ("jacrev", "vmap", "linearize"),
]


def check_chain(names: tuple[str, ...], f: Function) -> None:
    """The chain of transforms against the same chain, its innermost transform by numbers."""
    symbolic, numerical = f, f
    for name in reversed(names):
        symbolic = TRANSFORMS[name].symbolic(symbolic)
    inner = f
    for name in reversed(names[1:]):
        inner = TRANSFORMS[name].symbolic(inner)
    numerical = TRANSFORMS[names[0]].numerical(inner)
    result, due = symbolic(POINT), numerical(POINT)
    assert np.shape(result) == np.shape(due)
    np.testing.assert_allclose(result, due, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_one(name: str, function: str) -> None:
    check_chain((name,), FUNCTIONS[function])


@pytest.mark.parametrize(
    ("place", "names"), list(enumerate(PAIRS)), ids=["-".join(pair) for pair in PAIRS]
)
def test_pairs(place: int, names: tuple[str, str]) -> None:
    """Each pair meets four of the functions, in turn."""
    functions = list(FUNCTIONS.values())
    for number in range(4):
        check_chain(names, functions[(4 * place + number) % len(functions)])


@pytest.mark.parametrize("names", TRIPLES, ids=["-".join(triple) for triple in TRIPLES])
def test_triples(names: tuple[str, str, str]) -> None:
    for function in FUNCTIONS.values():
        check_chain(names, function)
