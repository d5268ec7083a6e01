"""float16 on a device: rounded after each operation as NumPy rounds, with sums in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer

Array = np.ndarray[Any, np.dtype[Any]]
X = np.linspace(-2, 2, 24).astype(np.float16).reshape(4, 6)

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "elementwise": lambda x: np.exp(x) * x + np.float16(0.5),
    "sum": lambda x: x.sum(axis=1),
    "maximum": lambda x: x.max(axis=0),
    "mean": lambda x: x.mean(),
    "gradient": tracer.grad(lambda x: (np.tanh(x) ** 2).sum()),
    "product": lambda x: x @ x.T,
    "sort": lambda x: np.sort(x, axis=1),
    "choice": lambda x: np.where(x > 0, x, 0),
    "constant": lambda x: np.zeros_like(x) + np.float16(1.5),
    "running": lambda x: np.cumsum(x, axis=1),
    "gather": tracer.grad(lambda x: (x[[0, 1, 1]] * 2).sum()),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name: str) -> None:
    function = PROGRAMS[name]
    result = tracer.jit(function, backend="cuda")(X)
    expected = np.asarray(function(X), np.float64)
    assert result.dtype == np.float16
    assert result.shape == expected.shape
    # NumPy's roundings, but for functions that are an ulp apart, and sums in another order.
    spacing = float(np.spacing(np.float16(max(1.0, np.abs(expected).max()))))
    np.testing.assert_allclose(np.asarray(result, np.float64), expected, rtol=0, atol=spacing)


@pytest.mark.parametrize("seed", range(6))
def test_gradients_of_maxima_find_the_maximum(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(5, 7)).astype(np.float16)
    gradient = tracer.grad(lambda x: ((x * x + 1) * x).max(axis=1).sum())
    np.testing.assert_array_equal(tracer.jit(gradient, backend="cuda")(x), gradient(x))


def test_sums_accumulate_in_float32() -> None:
    ones = np.ones(4099, np.float16)
    assert tracer.jit(lambda x: x.sum(), backend="cuda")(ones) == np.float16(4099)


def test_a_conversion_rounds() -> None:
    third = np.full(3, 1 / 3)
    result = tracer.jit(lambda x: x.astype(np.float16).astype(np.float64), backend="cuda")(third)
    np.testing.assert_array_equal(result, third.astype(np.float16).astype(np.float64))


def test_bits_are_refused() -> None:
    with pytest.raises(tracer.errors.UnsupportedProgramError, match="spacing of float16"):
        tracer.jit(np.spacing, backend="cuda")(X)
