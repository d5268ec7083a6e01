"""Sums of columns in the pass over rows compute what they computed in passes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.loops.nodes import Loop, Program
from codegen.passes.recompute import recompute
from codegen.passes.row_sums import more_row_sums, row_sums
from tests.codegen.test_split_sums import REAL, TINY, check_same, lowered

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(17)


def normalized(x: Any, gain: Any, offset: Any, weights: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return ((centred / np.sqrt(variance + 1e-5) * gain + offset) * weights).sum()


def bias(x: Any, b: Any, weights: Any) -> Any:
    return (np.tanh(x + b) * weights).sum()


def scaled(x: Any, gain: Any, weights: Any) -> Any:
    return ((x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-6) * gain) * weights).max()


def outputs(x: Any) -> Any:
    """Sums that are used afterwards, beside rows that are results."""
    shares = np.exp(x - x.max(axis=1, keepdims=True))
    shares = shares / shares.sum(axis=1, keepdims=True)
    return shares, np.tanh(shares.sum(axis=0)) + 1.0, (shares * x).sum(axis=0).max()


def normalized_columns(x: Any, gain: Any, weights: Any) -> Any:
    """Sums of columns that rows need, and of what they give."""
    centred = x - x.mean(axis=0)
    return ((centred / np.sqrt((centred**2).mean(axis=0) + 1e-5) * gain) * weights).sum()


def columns_first(x: Any, y: Any) -> Any:
    """What rows need of sums of columns keeps them apart."""
    total = x.sum(axis=0)
    return (x - total).max(axis=1), (x * y).sum(axis=0), total


CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "normalized": (
        tracer.value_and_grad(normalized, argnums=(0, 1, 2)),
        ((40, 16), (16,), (16,), (40, 16)),
    ),
    "normalized-3": (
        tracer.value_and_grad(normalized, argnums=(0, 1, 2)),
        ((7, 5, 6), (6,), (6,), (7, 5, 6)),
    ),
    "bias": (tracer.grad(bias, argnums=(0, 1)), ((37, 11), (11,), (37, 11))),
    "scaled": (tracer.value_and_grad(scaled, argnums=(0, 1)), ((50, 9), (9,), (50, 9))),
    "outputs": (outputs, ((33, 8),)),
    "normalized-columns": (
        tracer.value_and_grad(normalized_columns, argnums=(0, 1)),
        ((40, 8), (8,), (40, 8)),
    ),
    "columns-first": (columns_first, ((41, 8), (41, 8))),
}


def joined(program: Program, machine: DeviceMachine) -> Program:
    return more_row_sums(row_sums(program, machine), machine)


def serial_rows(program: Program) -> int:
    """How many loops run chunks of rows."""
    return sum(
        any(isinstance(inner, Loop) and inner.kind == "serial" for inner in part.body)
        for part in program.body
        if isinstance(part, Loop) and part.kind == "parallel"
    )


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    function, shapes = CASES[name]
    inputs = [random.normal(size=shape) for shape in shapes]
    changed = check_same(lowered(function, *inputs), inputs, TINY, 100, joined)
    assert serial_rows(changed) == {"columns-first": 0, "normalized-columns": 3}.get(name, 1)


def test_what_is_found_again_is_so_before_loops_join() -> None:
    """Where others need rows they are not kept for them."""
    x = np.broadcast_to(np.float32(0), (20_000, 1024))
    program = lowered(CASES["normalized-columns"][0], x, x[0], x)
    assert serial_rows(row_sums(program, REAL)) == 0
    again = more_row_sums(recompute(program, REAL), REAL)
    assert serial_rows(again) >= 2
    assert sum(buffer.size == x.size for buffer in again.workspace) <= 1


@pytest.mark.parametrize("rows", [33, 48, 49, 63, 64])
def test_rows_of_every_number(rows: int) -> None:
    inputs = [random.normal(size=shape) for shape in ((rows, 8), (8,), (rows, 8))]
    check_same(lowered(CASES["bias"][0], *inputs), inputs, TINY, 100, joined)


def test_extremes_and_integers() -> None:
    def function(x: Any) -> Any:
        twice = x * 2 - x.min(axis=1, keepdims=True)
        return twice, twice.max(axis=0), x.sum(axis=0), np.prod(x % 3, axis=0)

    x = random.integers(-9, 9, (40, 7))
    assert serial_rows(check_same(lowered(function, x), [x], TINY, 1, joined)) == 1


def test_real_machine() -> None:
    def shaped(rows: int, columns: int) -> Program:
        x = np.broadcast_to(np.float32(0), (rows, columns))
        g = np.broadcast_to(np.float32(0), (columns,))
        return lowered(CASES["bias"][0], x, g, x)

    def chunks(rows: int, columns: int) -> list[int]:
        program = joined(shaped(rows, columns), REAL)
        found = [part for part in program.body if isinstance(part, Loop)]
        return [loop.stop.value for loop in found if any(_is_serial(p) for p in loop.body)]  # type: ignore[union-attr]

    def _is_serial(part: Any) -> bool:
        return isinstance(part, Loop) and part.kind == "serial"

    assert chunks(20_000, 1024) == [REAL.blocks // 2]
    assert chunks(200_000, 128) == [REAL.blocks // 2 * 8], "a warp runs a chunk"
    assert chunks(2000, 1024) == [], "too few rows"
    assert chunks(20_000, 100_000) == [], "more columns than lie near the threads"
    assert chunks(10_000, 4) == [], "rows that one thread runs"


def test_what_is_joined_is_not_joined_again() -> None:
    function, shapes = CASES["normalized"]
    inputs = [random.normal(size=shape) for shape in shapes]
    machine = DeviceMachine(warp=2, threads=4, processors=3, small=64, simulated=True)
    once = joined(lowered(function, *inputs), machine)
    assert joined(once, machine) is once
