"""Linear recurrences in chunks, and their gradients: kernels against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.schedule import Launch
from tests.cuda.simulated.test_loops import Compiled

RNG = np.random.default_rng(3)
STEPS = 40
X = RNG.normal(size=STEPS)


def running(step: Callable[..., Any], start: Any, over: Any, **options: Any) -> Any:
    def both(carry: Any, item: Any) -> Any:
        carry = step(carry, item)
        return carry, carry

    return tracer.scan(both, start, over, **options)[1]


def average(x: Any, rate: Any) -> Any:
    return running(lambda s, v: rate * s + (1.0 - rate) * v, 0.0, x)


def returns(rewards: Any, discounts: Any) -> Any:
    return running(lambda s, r: r[0] + r[1] * s, 0.0, (rewards, discounts), reverse=True)


def lanes(x: Any, rates: Any) -> Any:
    return running(lambda s, v: rates * s + v, np.zeros(2), x)


def second_order(x: Any) -> Any:
    return running(lambda c, v: (1.2 * c[0] - 0.5 * c[1] + v, c[0]), (0.0, 0.5), x)[0]


def as_written(x: Any, rate: Any) -> Any:
    y = np.zeros(x.shape)
    y[0] = x[0]
    for t in range(1, x.shape[0]):
        y[t] = rate * y[t - 1] + x[t]
    return y


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "average": (average, (X, 0.8)),
    "returns": (returns, (X, RNG.uniform(0.5, 1.0, STEPS))),
    "lanes": (lanes, (RNG.normal(size=(STEPS, 2)), np.array([0.9, -0.4]))),
    "second order": (second_order, (X,)),
    "as written": (as_written, (X, 0.7)),
    "in tiles": (average, (RNG.normal(size=150), 0.7)),
    "in tiles from the end": (returns, (RNG.normal(size=150), RNG.uniform(0.5, 1.0, 150))),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    function, inputs = CASES[name]

    def total(*inputs: Any) -> Any:
        return np.sum(function(*inputs) ** 2)

    compiled = Compiled(function, *inputs)
    assert all(isinstance(step, Launch) for step in compiled.program.schedule.steps)
    assert len(compiled.program.schedule.steps) > 4
    compiled.check()
    Compiled(tracer.grad(total, tuple(range(len(inputs)))), *inputs).check()


def test_complex_numbers() -> None:
    rate = np.complex128(0.8 * np.exp(0.4j))
    Compiled(lambda x, a: running(lambda s, v: a * s + v, 0j, x), X, rate).check()


def test_what_is_not_finite_is_found_by_one_loop() -> None:
    x = X.copy()
    x[7], x[30] = np.inf, -np.inf
    compiled = Compiled(average, x, 0.8)
    assert np.isnan(compiled.due[0][-1])
    compiled.check()
