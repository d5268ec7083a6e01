"""Sorts on blocks of a GPU's size, as machine code made of the IR that NVVM gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracer
from tests.cuda.native.driver import NativeDriver, chosen


@pytest.fixture
def driver() -> Iterator[NativeDriver]:
    with chosen(NativeDriver()) as made:
        yield made


def keys(shape: tuple[int, ...], dtype: str) -> Any:
    """Half of them special, so that many are equal."""
    draw = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 6e4], dtype)
        normal = draw.normal(size=shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        special = np.array([limits.min, limits.max, 0, 1], dtype)
        normal = draw.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return np.where(draw.random(shape) < 0.5, draw.choice(special, shape), normal)


def order(x: Any) -> Any:
    return np.argsort(x, axis=-1, kind="stable")


def values(x: Any) -> Any:
    return np.sort(x, axis=-1, kind="stable")


def ends(x: Any) -> Any:
    return np.concatenate([order(x)[:, -7:], order(x)[:, :3]], axis=1)


CASES: dict[str, tuple[Callable[..., Any], Any, int]] = {
    "places in passes": (order, keys((70_001,), "float32"), 12),
    "long keys in passes": (values, keys((40_001,), "int64"), 24),
    "rows": (order, keys((3, 2000), "float64"), 1),
    "merged": (values, keys((9000,), "float32"), 3),
    "ends": (ends, keys((2, 9001), "int32"), 3),
    "middle": (lambda x: values(x)[[700, 70_000]], abs(keys((150_001,), "float32")), 13),
    "middle of rows": (lambda x: values(x)[:, [70, 700]], keys((4, 1500), "uint16"), 2),
}


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_numpy(driver: NativeDriver, name: str) -> None:
    f, x, launches = CASES[name]
    found = tracer.device_get(tracer.jit(f, backend="cuda")(x))
    expected = np.ascontiguousarray(f(x))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()
    assert driver.launches <= launches
