"""Functions that the library or Python calls for the user are read as those that the user calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import pytest

import tracer
from tracer import check_grads, checkpoint, custom_jvp, custom_vjp, grad, jit, tree

X = np.array([0.3, 0.7, 1.1])


def stored(x: Any) -> Any:
    """Plain NumPy that dispatch alone does not follow."""
    c = np.zeros(3)
    c[0] = x[0] * x[1]
    c[1] = np.sum([x[0], x[2]])
    if x[0] > 0.1:
        c[2] = x[2] ** 2
    return np.sum(c**2)


def one(x: Any) -> Any:
    c = np.zeros(3)
    c[0] = x
    return np.sum(c**2)


@custom_jvp
def by_jvp(x: Any) -> Any:
    return stored(x)


@by_jvp.defjvp
def by_jvp_rule(primals: Any, tangents: Any) -> Any:
    slope = np.empty(3)
    slope[:] = grad(stored)(*primals)
    return stored(*primals), np.dot(slope, tangents[0])


@custom_vjp
def by_vjp(x: Any) -> Any:
    return stored(x)


def forward(x: Any) -> Any:
    kept = np.zeros(3)
    kept[:] = x
    return stored(x), kept


def backward(kept: Any, cotangent: Any) -> Any:
    scale = np.zeros(3)
    scale[:] = cotangent
    return (scale * grad(stored)(kept),)


by_vjp.defvjp(forward, backward)

FORMS: dict[str, Callable[[Any], Any]] = {
    "checkpoint": checkpoint(stored),
    "custom_jvp": lambda x: by_jvp(x),
    "custom_vjp": lambda x: by_vjp(x),
    "tracer.map": lambda x: np.sum(tracer.map(one, x)),
    "tree.map": lambda x: sum(tree.leaves(tree.map(one, {"a": x[0], "b": x[1]}))),
    "map": lambda x: sum(map(one, x)),
    "reduce": lambda x: reduce(lambda a, b: a * one(b), x),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("backend", ["eager", "numpy", "compiled"])
def test_called_for_the_user(name: str, backend: str) -> None:
    f = FORMS[name]
    way: Any = {"eager": lambda g: g, "numpy": lambda g: jit(g, backend="numpy"), "compiled": jit}
    assert way[backend](f)(X) == pytest.approx(f(X))
    step = 1e-6
    numerical = [(f(X + step * e) - f(X - step * e)) / (2 * step) for e in np.eye(3)]
    assert np.allclose(way[backend](grad(f))(X), numerical, atol=1e-7)


def test_check_grads_reads_the_source() -> None:
    check_grads(stored, (X,))


@dataclass(frozen=True)
class Layer:
    weight: Any
    name: str = field(default="tanh", metadata={"static": True})


def test_static_fields_of_a_dataclass() -> None:
    def f(layer: Layer) -> Any:
        return np.sum(layer.weight**2) if layer.name == "square" else np.sum(layer.weight)

    for way in (grad(f), jit(grad(f))):
        found = way(Layer(X, "square"))
        assert found.name == "square"
        assert np.allclose(found.weight, 2 * X)
        assert np.allclose(way(Layer(X)).weight, 1.0)
    assert len(tree.leaves(Layer(X))) == 1
