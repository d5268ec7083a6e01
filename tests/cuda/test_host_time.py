"""The measurement of the host's time measures settled calls."""

from __future__ import annotations

from typing import Any

import numpy as np

import tracer
from tests.cuda import host_time
from tests.cuda.host_time import SilentDriver, measure, network, silent


def test_each_case_is_measured() -> None:
    found = measure(rounds=1, calls=3)
    assert len(found) == 6
    assert found[-1][1] > 20, "launches and products in one graph"
    assert all(jitted > 0 and alone > 0 for _, _, jitted, alone in found)


def test_what_is_measured_is_settled() -> None:
    with silent() as driver:
        assert isinstance(driver, SilentDriver)
        weights = [driver.empty((8, 8), np.dtype(np.float32)) for _ in range(2)]
        x = driver.empty((4, 8), np.dtype(np.float32))
        compiled = tracer.jit(tracer.value_and_grad(network), backend="cuda")
        host_time.seconds(lambda: compiled(weights, x), rounds=1, calls=1)
        results: list[Any] = [compiled(weights, x)]
        for turn in range(20):
            results[0] = compiled(weights, x)  # the one before is held until then
            if turn == 9:
                driver.counts.clear()
        assert not driver.counts, "nothing but replays, which are not counted"
        assert compiled._slow_calls == 1
