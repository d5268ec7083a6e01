"""Loops on a machine of a GPU's size, by machine code: those that run ahead of the host, with tapes
that grow, and linear recurrences in chunks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from tests.cuda.native.driver import NativeDriver, chosen, small_machine
from tests.helpers import assert_near

RNG = np.random.default_rng(2)


def halved(x: Any) -> Any:
    while np.sum(np.abs(x)) > 1e-1:
        x = 0.5 * x * np.cos(x)
    return x


def branches(x: Any) -> Any:
    while np.sum(np.abs(x)) > 0.1:
        x = tracer.cond(x[0] > x[1], lambda v: v * 0.3, lambda v: np.sin(v) * 0.6 - 0.02 * v, x)
    return x


def average(x: Any, rate: Any) -> Any:
    def step(s: Any, v: Any) -> Any:
        s = rate * s + (1.0 - rate) * v
        return s, s

    return tracer.scan(step, np.zeros(x.shape[1:]), x)[1]


def filtered(x: Any, rate: Any) -> Any:
    y = np.zeros(x.shape)
    y[0] = x[0]
    for t in range(1, x.shape[0]):
        y[t] = rate * y[t - 1] + x[t]
    return y


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "halved": (halved, (RNG.normal(size=5000),)),
    "branches": (branches, (RNG.normal(size=5000),)),
    "average": (average, (RNG.normal(size=30_000), 0.9)),
    "filtered": (filtered, (RNG.normal(size=10_000), 0.9)),
    "average of lanes": (average, (RNG.normal(size=(6000, 8)), np.linspace(0.1, 0.9, 8))),
}


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    function, inputs = CASES[name]

    def total(*inputs: Any) -> Any:
        return np.sum(function(*inputs) ** 2)

    slopes = tracer.value_and_grad(total, tuple(range(len(inputs))))
    due = tracer.tree.leaves(tracer.jit(slopes)(*inputs))
    with chosen(NativeDriver(small_machine(small=2**12))) as driver:
        compiled = tracer.jit(slopes, backend="cuda")
        for _ in range(2):
            for one, other in zip(tracer.tree.leaves(compiled(*inputs)), due, strict=True):
                assert_near(one, np.asarray(other), 1e-11)
    assert driver.widest > 4
