"""Sums of columns in the pass over short rows compute what they computed in passes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.loops.nodes import Loop, Program
from codegen.loops.walk import statements
from codegen.passes.recompute import recompute
from codegen.passes.row_tiles import row_tiles
from tests.codegen.test_split_sums import REAL, TINY, check_same, lowered

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(31)


def mixture(means: Any, scales: Any, weights: Any, x: Any) -> Any:
    distances = (x[:, None, :] - means) / np.exp(scales)
    terms = weights - 0.5 * (distances * distances).sum(axis=2) - scales.sum(axis=1)
    largest = terms.max(axis=1, keepdims=True)
    return (np.log(np.exp(terms - largest).sum(axis=1)) + largest[:, 0]).sum()


def clusters(centres: Any, x: Any) -> Any:
    return ((x[:, None, :] - centres) ** 2).sum(axis=2).min(axis=1).sum()


def shares(x: Any) -> Any:
    """Rows that are results, and the extremes of their columns."""
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    found = powers / powers.sum(axis=1, keepdims=True)
    return found, found.max(axis=0) * 2.0, (found * x).sum(axis=0)


def counts(x: Any) -> Any:
    best = x - x.min(axis=1, keepdims=True)
    return best.max(axis=1), best.sum(axis=0)


CASES: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...], str]] = {
    "mixture": (
        tracer.grad(mixture, argnums=(0, 1, 2)),
        ((5, 4), (5, 4), (5,), (40, 4)),
        "float64",
    ),
    "mixture-and-points": (
        tracer.value_and_grad(mixture, argnums=(0, 3)),
        ((5, 4), (5, 4), (5,), (39, 4)),
        "float64",
    ),
    "clusters": (tracer.grad(clusters), ((6, 4), (41, 4)), "float64"),
    "shares": (shares, ((37, 6),), "float64"),
    "counts": (counts, ((33, 5),), "int64"),
}


def differences(centres: Any, x: Any) -> Any:
    """Rows of 100 elements that are results lie apart in memory."""
    found = x[:, None, :] - centres
    powers = np.exp(-(found**2).sum(axis=2))
    return found, (powers / powers.sum(axis=1, keepdims=True)).sum(axis=0)


def test_rows_that_lie_apart_are_not_run_by_single_threads() -> None:
    inputs = [random.normal(size=shape) for shape in ((20, 5), (40, 5))]
    program = check_same(lowered(differences, *inputs), inputs, TINY, 1000, changed)
    assert tiles_in(program) == 0


def inputs_of(name: str) -> list[Array]:
    _, shapes, dtype = CASES[name]
    return [(random.normal(size=shape) * 3).astype(dtype) for shape in shapes]


def changed(program: Program, machine: DeviceMachine) -> Program:
    return row_tiles(recompute(program, machine), machine)


def tiles_in(program: Program) -> int:
    """How many loops run chunks of tiles."""
    return sum(
        any(isinstance(inner, Loop) and inner.kind == "serial" for inner in part.body)
        for part in program.body
        if isinstance(part, Loop) and part.kind == "parallel"
    )


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    inputs = inputs_of(name)
    program = check_same(lowered(CASES[name][0], *inputs), inputs, TINY, 1000, changed)
    assert tiles_in(program) == 1


@pytest.mark.parametrize("rows", [8, 9, 15, 16, 23, 24, 25])
def test_rows_of_every_number(rows: int) -> None:
    inputs = [random.normal(size=shape) for shape in ((6, 4), (rows, 4))]
    check_same(lowered(CASES["clusters"][0], *inputs), inputs, TINY, 1000, changed)


def test_real_machine() -> None:
    def shaped(rows: int, centres: int, width: int) -> Program:
        x = np.broadcast_to(np.float32(0), (rows, width))
        c = np.broadcast_to(np.float32(0), (centres, width))
        return changed(lowered(CASES["clusters"][0], c, x), REAL)

    def longest(program: Program) -> int:
        return max(buffer.size for buffer in program.workspace)

    assert tiles_in(shaped(100_000, 25, 8)) == 1
    assert longest(shaped(1_000_000, 25, 8)) <= 256 * 25 * 25, "nothing has the size of all pairs"
    assert tiles_in(shaped(100_000, 25, 200)) == 0, "rows are long"
    assert tiles_in(shaped(1000, 25, 8)) == 0, "there are few rows"


def test_what_is_joined_is_not_joined_again() -> None:
    program = changed(lowered(CASES["clusters"][0], *inputs_of("clusters")), TINY)
    assert row_tiles(program, TINY) is program
    assert any(part for outer in program.body for part in statements((outer,)))
