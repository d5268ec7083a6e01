"""Programs in whose kernels threads would race, or go different ways, but for what renders them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer as tr
from codegen.cuda.races import RaceError, UnwrittenError
from codegen.render.cuda_groups import GroupWriter

Array = np.ndarray[Any, np.dtype[Any]]
random = np.random.default_rng(5)


def steps(x: Array, count: Any) -> Any:
    """Each thread reads what others have written, before a loop, in it, and behind it."""
    w = np.exp(x)
    s, _ = tr.while_loop(
        lambda carry: carry[1] < count,
        lambda carry: (carry[0] + (w * carry[0])[::-1].sum(), carry[1] + 1),
        (w, 0),
    )
    return (s[::-1] * s).sum() + (w[::-1] - w.sum()).max()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_loops_that_may_not_run(count: int) -> None:
    x = random.normal(size=12)
    for function in (steps, tr.grad(steps)):
        found = tr.jit(function, backend="cuda")(x, count)
        np.testing.assert_allclose(found, tr.jit(function, backend="numpy")(x, count), rtol=1e-12)


def test_a_missing_barrier_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GroupWriter, "barrier", lambda self: None)
    with pytest.raises((RaceError, UnwrittenError)):
        tr.jit(lambda x: np.cumsum(np.exp(x))[::-1] * 2, backend="cuda")(random.normal(size=7))


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {1: 50}), ({6: 70}, {}), ({11: 12}, {0: -13}), ({2: 99, 3: 98}, {})],
    ids=["second", "first", "both", "two"],
)
def test_a_block_leaves_together(first: dict[int, int], second: dict[int, int]) -> None:
    def gathered(x: Array, i: Array, j: Array) -> Any:
        a = np.cumsum(x[i])
        return np.cumsum(a[j])[::-1] + a.sum()

    x, good = random.normal(size=12), np.arange(12)
    compiled = tr.jit(gathered, backend="cuda")
    np.testing.assert_allclose(compiled(x, good, good), gathered(x, good, good), rtol=1e-12)
    i, j = good.copy(), good.copy()
    for indices, bad in ((i, first), (j, second)):
        for place, index in bad.items():
            indices[place] = index
    for _ in range(3):
        with pytest.raises(IndexError, match="is out of bounds for axis 0 with size 12"):
            compiled(x, i, j)
    np.testing.assert_allclose(compiled(x, good, good), gathered(x, good, good), rtol=1e-12)


def test_python_sees_nothing_of_a_call_that_has_failed() -> None:
    seen = []

    def double(x: Array) -> Array:
        seen.append(x.copy())
        return x * 2

    black_box = tr.primitive(double, out=lambda x: x)
    compiled = tr.jit(lambda x, i: black_box(x[i]) + 1, backend="cuda")
    x, bad = np.arange(4.0), np.array([0, 9, 1])
    for _ in range(4):
        with pytest.raises(IndexError, match="index 9 is out of bounds"):
            compiled(x, bad)
    assert not seen
    assert compiled(x, np.array([3, 0, 1])).tolist() == [7.0, 1.0, 3.0]
    assert len(seen) == 1


def test_routines_of_the_host_see_nothing_of_a_call_that_has_failed() -> None:
    compiled = tr.jit(lambda a, i: np.linalg.eigvals(a[i]).real.sum(), backend="cuda")
    a = random.normal(size=(12, 12))
    for _ in range(4):
        with pytest.raises(IndexError, match="index 50 is out of bounds"):
            compiled(a, np.full(12, 50))


@pytest.mark.parametrize("name", ["max", "min"])
def test_threads_agree_on_a_zero(name: str) -> None:
    x = np.zeros((40, 8))
    x[:, 1::2] = -0.0

    def signs(x: Array) -> Any:
        return np.copysign(np.ones_like(x), getattr(x, name)(axis=1, keepdims=True))

    found = tr.jit(signs, backend="cuda")(x)
    assert (found == found[:, :1]).all()
