"""What NumPy does not dispatch, as any NumPy program has it: read from the function's source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tracer import grad, jit

MATRIX = np.arange(9.0).reshape(3, 3)
TABLE = np.array([1.0, 4.0, 9.0, 16.0])
hinge = np.vectorize(lambda t: t * t if t > 1 else -t)


def arrays(x: Any) -> Any:
    return np.array([x[0], 2.0, x[1] * x[2]]).prod() + np.asarray([x, x]).sum() + np.require(x)[0]


def joined(x: Any) -> Any:
    return (np.r_[x, 1.0, 2:4] ** 2).sum() + (np.c_[x, x * 2] * MATRIX[:, :2]).sum()


def constant_first(x: Any) -> Any:
    return MATRIX.dot(x) @ x + MATRIX.clip(0.0, x).sum()


def lookup(x: Any) -> Any:
    return TABLE.take(x.astype(int)).sum() * x[0] + TABLE.searchsorted(x).sum()


def by_element(x: Any) -> Any:
    return hinge(x).sum() + np.vectorize(lambda a, b: a * b)(x, MATRIX).sum()


def enumerated(x: Any) -> Any:
    return sum((place[0] + 1) * value for place, value in np.ndenumerate(x * x))


def assigned(x: Any) -> Any:
    out = np.empty((3, 3))
    for row in range(3):
        out[row] = x * x[row]
    np.fill_diagonal(out, 0.0)
    return out.sum()


PROGRAMS = (arrays, joined, constant_first, lookup, by_element, enumerated, assigned)
X = np.array([0.4, 1.3, 2.6])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_value_and_gradient(program: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(jit(program)(X), program(X), rtol=1e-14)
    step = 1e-6
    expected = [
        (program(X + step * unit) - program(X - step * unit)) / (2 * step) for unit in np.eye(3)
    ]
    np.testing.assert_allclose(grad(program)(X), expected, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(jit(grad(program))(X), expected, rtol=1e-7, atol=1e-7)
