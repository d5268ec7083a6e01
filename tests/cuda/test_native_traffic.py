"""Rows with sums of columns, rows brought near, and running sums in tiles, with blocks as large as
a GPU's: values, and that these forms are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracer
from tests.codegen.test_row_sums import CASES as WIDE
from tests.codegen.test_row_tiles import CASES as SHORT
from tests.cuda.native.driver import NativeDriver, chosen, small_machine
from tests.cuda.test_native import compare

RNG = np.random.default_rng(43)


@pytest.fixture
def driver() -> Iterator[NativeDriver]:
    """A device of few processors, which few rows fill."""
    with chosen(NativeDriver(small_machine(processors=16))) as made:
        yield made


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def lengths(x: Any) -> Any:
    return np.sqrt((x * x).sum(axis=1)).sum()


def from_the_end(x: Any, weights: Any) -> Any:
    return (np.cumsum(x) * weights).sum()


Shapes = tuple[tuple[int, ...], ...]
OWN, NEAR, SHARED = "cuda.local.array", "near_", "cuda.shared.array"
PROGRAMS: dict[str, tuple[Callable[..., Any], Shapes, str]] = {
    "normalized": (WIDE["normalized"][0], ((701, 600), (600,), (600,), (701, 600)), OWN),
    "normalized-by-warps": (
        WIDE["normalized"][0],
        ((4300, 40), (40,), (40,), (4300, 40)),
        OWN,
    ),
    "normalized-3": (
        WIDE["normalized-3"][0],
        ((3, 230, 520), (520,), (520,), (3, 230, 520)),
        OWN,
    ),
    "bias": (WIDE["bias"][0], ((701, 1000), (1000,), (701, 1000)), OWN),
    "mixture": (SHORT["mixture"][0], ((25, 8), (25, 8), (25,), (10_011, 8)), SHARED),
    "clusters": (SHORT["clusters"][0], ((20, 16), (20_001, 16)), SHARED),
    "softmax": (softmax, ((50_003, 10),), NEAR),
    "points": (tracer.grad(lengths), ((50_001, 3),), NEAR),
    "running": (lambda x: np.cumsum(x), ((50_001,),), SHARED),
    "running-from-the-end": (tracer.grad(from_the_end), ((50_001,), (50_001,)), SHARED),
    "running-many-rows": (lambda x: np.cumsum(x, axis=1), ((301, 1000),), SHARED),
    "running-short-rows": (lambda x: np.cumsum(x, axis=1), ((3001, 100),), SHARED),
    "running-rows": (lambda x: np.cumsum(x, axis=1), ((5, 20_000),), SHARED),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(driver: NativeDriver, name: str) -> None:
    function, shapes, form = PROGRAMS[name]
    compare(driver, function, *(RNG.normal(size=shape) for shape in shapes), tolerance=1e-8)
    assert any(form in loaded.kernel.source for loaded in driver.loaded)
