"""Repeated calls, interleaved: noise of the machine meets every subject alike."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SAMPLE_SECONDS = 0.002
"""A sample takes at least this long, so that the clock's own cost stays below one part in 10⁴."""
WARM_LIMIT_SECONDS = 0.02
"""Calls shorter than this are repeated once untimed before a sample: the caches are their own."""
SLOW_SECONDS = 1.0
"""A subject stops taking part when its samples have taken this long, and all that was asked for:
one that takes a second a call must not keep all others waiting. Of a call that takes longer by
itself the estimate is the only sample."""


@dataclass(frozen=True)
class Calls:
    """Seconds a call, over `samples` samples of `calls_per_sample` calls each."""

    samples: int
    calls_per_sample: int
    minimum: float
    lower_quartile: float
    median: float
    upper_quartile: float
    maximum: float

    @property
    def interquartile_range(self) -> float:
        return self.upper_quartile - self.lower_quartile


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds go on until `seconds` have passed and `least_rounds` are done."""

    seconds: float = 3.0
    least_rounds: int = 5
    most_rounds: int = 400
    sample_seconds: float = SAMPLE_SECONDS


SMOKE = Effort(seconds=0.0, least_rounds=1, most_rounds=1, sample_seconds=0.0)


def interleave(calls: Mapping[str, Callable[[], object]], effort: Effort) -> dict[str, Calls]:
    """Time every call in turn, round after round, each round beginning with another subject.

    The calls must have run before: what only a first call does is not to be measured here.
    """
    names = list(calls)
    estimates = {name: _estimate(calls[name]) for name in names}
    counts = {
        name: max(1, math.ceil(effort.sample_seconds / max(estimate, 1e-9)))
        for name, estimate in estimates.items()
    }
    samples: dict[str, list[float]] = {
        name: [estimates[name]] if estimates[name] > SLOW_SECONDS else [] for name in names
    }
    gc.collect()
    gc.freeze()
    try:
        started = time.perf_counter()
        for round_number in range(effort.most_rounds):
            finished = time.perf_counter() - started >= effort.seconds
            if finished and round_number >= effort.least_rounds:
                break
            first = round_number % max(1, len(names))
            for name in names[first:] + names[:first]:
                passed = estimates[name] * counts[name] * len(samples[name])
                if passed > max(SLOW_SECONDS, effort.seconds):
                    continue
                if effort.sample_seconds > 0.0 and estimates[name] < WARM_LIMIT_SECONDS:
                    calls[name]()
                samples[name].append(_seconds(calls[name], counts[name]) / counts[name])
    finally:
        gc.unfreeze()
    return {name: summarise(samples[name], counts[name]) for name in names}


def _estimate(call: Callable[[], object]) -> float:
    """Seconds of a call; of the shorter one of two, unless that would take long."""
    first = _seconds(call, 1)
    return first if first > SLOW_SECONDS else min(first, _seconds(call, 1))


def summarise(samples: list[float], calls_per_sample: int) -> Calls:
    """The quartiles of some samples, in seconds a call."""
    if len(samples) == 1:
        lower = median = upper = samples[0]
    else:
        lower, median, upper = statistics.quantiles(samples, n=4, method="inclusive")
    return Calls(
        samples=len(samples),
        calls_per_sample=calls_per_sample,
        minimum=min(samples),
        lower_quartile=lower,
        median=median,
        upper_quartile=upper,
        maximum=max(samples),
    )


def _seconds(call: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - started
