"""Peak memory of a call against an array of known size."""

import sys

import numpy as np

from bench.memory import measure_peak

SIZE = 8_000_000


def test_peak_of_a_temporary_array() -> None:
    result, peak = measure_peak(lambda: float(np.ones(SIZE // 8).sum()))
    assert result == SIZE // 8
    assert 0.9 * SIZE < peak.bytes < 1.5 * SIZE
    assert peak.method == ("resident set" if sys.platform == "linux" else "tracemalloc")


def test_a_call_that_takes_nothing() -> None:
    _, peak = measure_peak(lambda: None)
    assert peak.bytes < 0.1 * SIZE
