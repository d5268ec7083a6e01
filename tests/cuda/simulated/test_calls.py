"""Compiled functions, called again and again: graphs are replayed, and see each call's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numba import cuda

import tracer
from codegen.cuda.driver import choose_driver
from codegen.cuda.simulator_driver import SimulatedGraph, SimulatorDriver
from tracer.errors import NotAnArrayError


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of steps of each graph that is replayed."""
    found: list[int] = []
    replay = SimulatorDriver.replay

    def counted(self: SimulatorDriver, graph: SimulatedGraph) -> None:
        found.append(len(graph.steps))
        replay(self, graph)

    monkeypatch.setattr(SimulatorDriver, "replay", counted)
    return found


def several_launches(x: Any) -> Any:
    """Two results that each need all of x, which is more than one block takes."""
    return np.exp(x - np.max(x)), np.cumsum(x)


def test_each_call_has_its_own_values(replays: list[int]) -> None:
    compiled = tracer.jit(several_launches, backend="cuda")
    rng = np.random.default_rng(0)
    held = []
    for _ in range(5):
        x = rng.normal(size=600)
        held.append((compiled(x), several_launches(x)))
    assert len(replays) == 4, "all calls but the first"
    assert replays[0] > 2
    for results, expected in held:
        for got, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


def test_arrays_on_the_device_are_used_in_place() -> None:
    compiled = tracer.jit(lambda x: x * 2.0 + 1.0, backend="cuda")
    held = cuda.to_device(np.arange(4.0))
    seen = []
    adopted = choose_driver().adopt(held)
    assert adopted is not None
    assert np.shares_memory(adopted, held._ary)
    for _ in range(3):
        seen.append(compiled(held))
        held._ary += 1.0
    expected = [np.arange(4.0) * 2.0 + 1.0 + 2.0 * turn for turn in range(3)]
    np.testing.assert_array_equal(seen, expected)


def test_only_this_backend_takes_them() -> None:
    held = cuda.to_device(np.arange(4.0))
    with pytest.raises(NotAnArrayError, match=r"lies on a GPU, stands .*backend='cuda'"):
        tracer.jit(lambda x: x * 2.0, backend="llvm")(held)


def test_gradients_go_there_and_back() -> None:
    there = tracer.device_put({"x": np.linspace(0.1, 1.0, 4)})
    slope = tracer.jit(tracer.grad(lambda p: np.sum(np.sin(p["x"]))), backend="cuda")
    back = tracer.device_get(tracer.block_until_ready(slope(there)))
    np.testing.assert_allclose(back["x"], np.cos(np.linspace(0.1, 1.0, 4)), rtol=1e-14)


def test_arrays_of_other_libraries_are_taken() -> None:
    class Loaned:
        """An array of another library on the host."""

        def __init__(self, held: np.ndarray[Any, Any]) -> None:
            self.held = held

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.held.__dlpack_device__()

        def __dlpack__(self, **options: Any) -> Any:
            return self.held.__dlpack__(**options)

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            return self.held

    compiled = tracer.jit(lambda x: x + 1.0, backend="cuda")
    assert compiled(Loaned(np.arange(3.0))).tolist() == [1.0, 2.0, 3.0]
