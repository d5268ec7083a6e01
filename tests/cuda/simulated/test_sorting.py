"""Sorts, searches and sums by index as kernels, in the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer

random = np.random.default_rng(0)
KEYS = random.normal(size=70).round(1)
KEYS[3] = np.nan
PLACES = random.integers(-5, 5, 60)
TERMS = random.normal(size=(60, 2))


def added(x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    np.add.at(y, i, v)
    return y


def written(x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    y[i] = v
    return y


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "long": (lambda x: np.argsort(x, stable=True), (KEYS,)),
    "rows": (lambda x: np.sort(x, axis=1), (KEYS[:66].reshape(6, 11),)),
    "search": (np.searchsorted, (np.sort(KEYS), KEYS[:9])),
    "extreme": (lambda x: np.argmin(x, axis=0), (KEYS.reshape(10, 7),)),
    "sums": (added, (np.zeros((5, 2)), PLACES, TERMS)),
    "last": (written, (np.zeros((5, 2)), PLACES, TERMS)),
}


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_numpy(name: str) -> None:
    f, args = CASES[name]
    found = tracer.device_get(tracer.jit(f, backend="cuda")(*args))
    expected = f(*args)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
