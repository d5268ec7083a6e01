"""Errors against mpmath, and NumPy's results at special values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codegen.render.vector_math import FMA, FUNCTIONS, GENERIC, Target
from codegen.render.vector_math.accuracy import (
    LIMIT,
    all_points,
    measure,
    measure_compiled,
    measured_names,
)
from codegen.render.vector_math.harness import CompiledLoop, host_target

NAMES = measured_names()
DTYPES = ("float64", "float32")
# Those whose exact values take mpmath long get fewer random points.
SLOW = ("zeta", "logaddexp2", "erfinv", "erfc", "power", "digamma", "logaddexp", "arctan2", "hypot")

_loops: dict[tuple[str, str, int, Target], CompiledLoop] = {}


def compiled(name: str, dtype: str, width: int, target: Target | None = None) -> CompiledLoop:
    """A loop, compiled once for all tests."""
    key = (name, dtype, width, target or host_target())
    if key not in _loops:
        _loops[key] = CompiledLoop(name, dtype, width, key[-1])
    return _loops[key]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_error_is_within_the_bound(name: str, dtype: str) -> None:
    count = 150 if name in SLOW else 800
    found = measure_compiled(compiled(name, dtype, 4), name, dtype, count, seed=20)
    assert not found.wrong, f"{name}: wrong special results at {found.wrong[:5]}"
    assert found.worst <= LIMIT, f"{name}: {found.worst:.2f} ulp at {found.where}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_widths_agree_bitwise(name: str, dtype: str) -> None:
    operands = all_points(name, dtype, 400, seed=21)
    integer = "i8" if dtype == "float64" else "i4"
    widths = (1, 2, 4, 8) if dtype == "float64" else (1, 4, 8, 16)
    target = FMA if host_target().fma else GENERIC
    results = [compiled(name, dtype, width, target)(*operands) for width in widths]
    for width, result in zip(widths[1:], results[1:], strict=True):
        equal = result.view(integer) == results[0].view(integer)
        equal |= np.isnan(result) & np.isnan(results[0])
        assert equal.all(), f"{name} differs at width {width} from width 1"


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    dtype=st.sampled_from(DTYPES),
    patterns=st.lists(st.integers(0, 2**64 - 1), min_size=8, max_size=8),
)
def test_any_bit_pattern_is_within_the_bound(name: str, dtype: str, patterns: list[int]) -> None:
    count = FUNCTIONS[name].operand_count
    values = np.array(patterns, np.uint64).view(dtype)
    operands = [values[k::2] for k in range(count)]
    result = compiled(name, dtype, 4)(*operands)
    found = measure(name, dtype, operands, result)
    assert not found.wrong, f"{name}: wrong special results at {found.wrong}"
    assert found.worst <= LIMIT, f"{name}: {found.worst:.2f} ulp at {found.where}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sin", -1.0, 1.0),
        ("cos", -1.0, 1.0),
        ("tanh", -1.0, 1.0),
        ("erf", -1.0, 1.0),
        ("expit", 0.0, 1.0),
        ("erfc", 0.0, 2.0),
        ("exp", 0.0, np.inf),
        ("cosh", 1.0, np.inf),
        ("expm1", -1.0, np.inf),
        ("arcsin", -np.pi / 2, np.pi / 2),
        ("arccos", 0.0, np.pi),
        ("arctan", -np.pi / 2, np.pi / 2),
    ],
)
def test_results_stay_in_the_range(name: str, low: float, high: float, dtype: str) -> None:
    generator = np.random.default_rng(24)
    spread = [generator.normal(0, scale, 40_000) for scale in (1e-9, 1e-3, 0.3, 2.0, 30.0)]
    turns = generator.integers(-50, 50, 40_000) * (np.pi / 2) + spread[0]
    points = np.concatenate([*spread, turns, 1 - spread[0] ** 2, spread[0] ** 2 - 1])
    result = compiled(name, dtype, 4)(points)
    result = result[~np.isnan(result)]
    bounds = np.array([low, high], dtype)
    assert len(result) > 40_000, "few points lie in the domain"
    assert result.min() >= bounds[0], f"{name} gives {result.min()!r}"
    assert result.max() <= bounds[1], f"{name} gives {result.max()!r}"
