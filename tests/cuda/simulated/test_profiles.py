"""What calls on a device do and take: profiles, explanations and costs of the cuda backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracer
from tracer.errors import BackendError


def loss(w: Any, x: Any) -> Any:
    hidden = np.tanh(x @ w)
    return np.sum(hidden * hidden)


def turned(x: Any) -> Any:
    return tracer.while_loop(lambda c: c.sum() < 100.0, lambda c: 2.0 * c, x)


W, X = np.full((12, 8), 0.1), np.full((10, 12), 0.2)


def test_every_launch_is_timed() -> None:
    compiled = tracer.jit(loss, backend="cuda")
    profile = compiled.profile(W, X, seconds=0.0, calls=2)
    assert profile.calls == 2
    assert len(profile.kernels) == compiled.trace(W, X).lower().compile().cost()["launches"]
    for kernel in profile.kernels:
        assert kernel.seconds > 0
        assert kernel.visits == 1
        assert kernel.bytes > 0
        assert kernel.bound == ""
    lines = {line.text for kernel in profile.kernels for line in kernel.lines}
    assert {"hidden = np.tanh(x @ w)", "return np.sum(hidden * hidden)"} <= lines
    assert sum(kernel.flops for kernel in profile.kernels) >= 2 * 10 * 12 * 8
    assert profile.kernels[0].name in str(profile)
    assert "Against the machine" not in profile.html()


def test_limits_may_be_given() -> None:
    limits = tracer.view.Limits(1e12, 2e12, {2**30: 1e12})
    compiled = tracer.jit(loss, backend="cuda")
    profile = compiled.profile(W, X, seconds=0.0, calls=1, limits=limits)
    assert {kernel.bound for kernel in profile.kernels} <= {"memory", "compute"}
    assert "Against the machine" in profile.html()


def test_what_a_loop_of_the_host_runs_is_visited_often() -> None:
    compiled = tracer.jit(
        lambda x, w: tracer.scan(lambda c, _: (np.tanh(c @ w), None), x, None, length=3)[0],
        backend="cuda",
    )
    x, w = np.full((18, 18), 0.1), np.full((18, 18), 0.1)
    profile = compiled.profile(x, w, seconds=0.0, calls=1)
    assert max(kernel.visits for kernel in profile.kernels) == 3
    cost = compiled.trace(x, w).lower().compile().cost()
    assert cost["launches"] == sum(kernel.visits for kernel in profile.kernels)
    assert cost["workspace"] > 0


def test_a_call_that_fails_is_no_profile() -> None:
    compiled = tracer.jit(lambda x, i: x[i], backend="cuda")
    with pytest.raises(IndexError, match="out of bounds"):
        compiled.profile(np.ones(3), np.array([5]), seconds=0.0, calls=1)


def test_other_backends_launch_nothing() -> None:
    with pytest.raises(BackendError, match="llvm backend has no launches"):
        tracer.jit(loss, backend="llvm").trace(W, X).lower().explain()
