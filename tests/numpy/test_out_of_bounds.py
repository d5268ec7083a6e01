"""An index out of bounds is an IndexError that names the user's line, from compiled code too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from tests.helpers import BACKENDS
from tracer import jit

V = np.linspace(-1.0, 1.0, 5)
LINE = r"test_out_of_bounds\.py:\d+"


def assigned(x: Any, i: Any) -> Any:
    y = x * 1.0
    y[i] = 3.0
    return y


def added(x: Any, i: Any) -> Any:
    y = x * 1.0
    np.add.at(y, i, 1.0)
    return y


def put(x: Any, i: Any) -> Any:
    y = x * 1.0
    np.put(y, i, [1.0, 2.0])
    return y


FUNCTIONS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, i: x[i],
    lambda x, i: x[i[1]],
    lambda x, i: np.take(x, i),
    lambda x, i: np.take_along_axis(x, i, 0),
    lambda x, i: x.at[i].multiply(2.0),
    assigned,
    added,
    put,
)


@pytest.mark.parametrize("place", [5, -6])
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled(backend: str, place: int) -> None:
    for function in FUNCTIONS:
        with pytest.raises(IndexError, match=LINE) as raised:
            jit(function, backend=backend)(V, np.array([0, place]))
        assert f"index {place} is out of bounds for axis 0 with size 5" in str(raised.value)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_eager(function: Callable[[Any, Any], Any]) -> None:
    with pytest.raises(IndexError, match="index 7 is out of bounds for axis 0 with size 5"):
        tracer.vjp(lambda x: function(x, np.array([0, 7])), V)


def test_in_bounds() -> None:
    for function in FUNCTIONS:
        found = jit(function)(V, np.array([1, -1]))
        expected = tracer.vjp(lambda x, f=function: f(x, np.array([1, -1])), V)[0]
        np.testing.assert_array_equal(found, expected)
