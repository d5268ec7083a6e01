"""Sorts, searches and sums by index as kernels, in the simulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import SIMULATED
from codegen.device.sorting import SIMULATED_ITEMS

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
    "sums": (added, (np.zeros((5, 2)), PLACES, np.round(8 * TERMS))),  # exact in any order
    "last": (written, (np.zeros((5, 2)), PLACES, TERMS)),
}


DTYPES = ("bool", "int8", "uint8", "int16", "uint32", "int32", "int64", "uint64", "float16")
DTYPES += ("float32", "float64")
TILE = SIMULATED.threads * SIMULATED_ITEMS
"""Keys that a block sorts by itself."""


def keys(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Any:
    """Numbers of the whole range, many of them equal; floats with all that is special."""
    draw = np.random.default_rng(seed)
    if dtype == "bool":
        return draw.random(shape) < 0.3
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        few = draw.choice(np.array([limits.min, limits.max, 0, 1, limits.max // 2], dtype), shape)
        many = draw.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        return np.where(draw.random(shape) < 0.5, few, many)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 6e4, -3e-5], dtype)
    normal = draw.normal(size=shape).astype(dtype)
    return np.where(draw.random(shape) < 0.5, draw.choice(special, shape), normal)


def order(x: Any) -> Any:
    return np.argsort(x, axis=-1, kind="stable")


def values(x: Any) -> Any:
    return np.sort(x, axis=-1, kind="stable")


def compare(f: Callable[..., Any], *args: Any) -> None:
    """The same bits as NumPy's stable sorts."""
    found = tracer.device_get(tracer.jit(f, backend="cuda")(*args))
    expected = np.ascontiguousarray(f(*args))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("f", [order, values])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_by_one_block(f: Callable[..., Any], dtype: str) -> None:
    compare(f, keys((2, TILE - 3), dtype, 1))


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_by_many_blocks(dtype: str) -> None:
    compare(order if np.dtype(dtype).itemsize % 4 else values, keys((2 * TILE + 5,), dtype, 2))


@pytest.mark.parametrize("f", [order, values])
@pytest.mark.parametrize("shape", [(TILE,), (TILE + 1,), (3, 2 * TILE)])
def test_lengths(f: Callable[..., Any], shape: tuple[int, ...]) -> None:
    compare(f, keys(shape, "float16", 3))


@pytest.mark.parametrize("dtype", ["int16", "float32", "uint64"])
def test_two_tiles_are_merged(dtype: str) -> None:
    compare(order, keys((TILE + 30,), dtype, 10))
    compare(values, keys((2, TILE + 5), dtype, 11))


def test_both_results_of_one_sort() -> None:
    compare(lambda x: np.stack([order(x), values(x)]), keys((2 * TILE,), "int8", 4).astype("i2"))


@pytest.mark.parametrize("x", [np.arange(200, dtype="u1"), np.arange(200, dtype="u1")[::-1]])
def test_what_is_in_order_already(x: Any) -> None:
    compare(order, x.copy())
    compare(order, np.zeros_like(x))


def test_along_the_first_axis() -> None:
    compare(lambda x: np.argsort(x, axis=0, kind="stable"), keys((2 * TILE, 2), "int8", 5))
    compare(lambda x: np.sort(x, axis=0, kind="stable"), keys((TILE - 1, 3), "float16", 5))


FEW: dict[str, Callable[..., Any]] = {
    "greatest": lambda x: values(x)[..., -4:],
    "least": lambda x: values(x)[..., 1:4],
    "places of the greatest": lambda x: order(x)[..., -3:],
    "places of the least": lambda x: order(x)[..., :5],
    "both ends": lambda x: values(x)[..., :2] + values(x)[..., -2:][..., ::-1],
}


@pytest.mark.parametrize("shape", [(5 * TILE - 7,), (2, 2 * TILE + 1), (2, TILE)])
@pytest.mark.parametrize("name", FEW)
def test_few_of_many(name: str, shape: tuple[int, ...]) -> None:
    compare(FEW[name], keys(shape, "float16", 6))
    compare(FEW[name], keys(shape, "bool", 7))


MIDDLE = {"int8": 40, "uint16": 60, "float16": 30, "int32": 65, "float32": 35, "float64": 60}


@pytest.mark.parametrize("dtype", MIDDLE)
def test_keys_in_the_middle(dtype: str) -> None:
    """Without a sort; of zeros the positive one, of NaN any."""
    place = MIDDLE[dtype]
    for shape in ((2, TILE - 1), (2 * TILE + 3,)):
        x = keys(shape, dtype, 9) + np.dtype(dtype).type(0)
        found = tracer.jit(lambda x: values(x)[..., [place, place + 1, -1]] * 1, backend="cuda")(x)
        np.testing.assert_array_equal(found, values(x)[..., [place, place + 1, -1]])


def test_all_keys_are_equal() -> None:
    """Of equal ones the first are the least, and the last the greatest."""
    x = np.full((2, 3 * TILE), 5, "i1")
    compare(lambda x: order(x)[..., :3], x)
    compare(lambda x: order(x)[..., -3:], x)
    compare(lambda x: order(x)[..., :2] + order(x)[..., -2:], x[:, : TILE - 1].copy())


def test_quantiles() -> None:
    x = random.normal(size=(TILE, 2))
    found = tracer.jit(lambda x: np.percentile(x, [0, 30, 100], axis=0), backend="cuda")(x)
    np.testing.assert_array_equal(found, np.percentile(x, [0, 30, 100], axis=0))


def test_sorted_rows_within_a_loop_of_the_host() -> None:
    def f(x: Any) -> Any:
        def step(state: Any, shift: Any) -> Any:
            state = np.sort(state + shift) - state
            return state, state[0]

        return tracer.scan(step, x, np.arange(3, dtype="i2"))[0]

    compare(f, keys((TILE + 9,), "int16", 8))


@pytest.mark.parametrize("name", CASES)
def test_results_are_those_of_numpy(name: str) -> None:
    f, args = CASES[name]
    found = tracer.device_get(tracer.jit(f, backend="cuda")(*args))
    expected = f(*args)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
