"""Samples, quartiles, and the order in which subjects take turns."""

import time

import pytest

from bench.timing import Calls, Effort, interleave, summarise


def test_quartiles_of_known_samples() -> None:
    calls = summarise([5.0, 1.0, 4.0, 2.0, 3.0], calls_per_sample=7)
    assert calls == Calls(5, 7, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert calls.interquartile_range == 2.0


def test_one_sample_is_its_own_summary() -> None:
    calls = summarise([0.5], calls_per_sample=1)
    assert (calls.minimum, calls.median, calls.maximum) == (0.5, 0.5, 0.5)


def test_rounds_interleave_and_rotate() -> None:
    order: list[str] = []
    subjects = {name: lambda name=name: order.append(name) for name in "abc"}
    effort = Effort(seconds=0.0, least_rounds=3, most_rounds=3, sample_seconds=0.0)
    found = interleave(subjects, effort)
    warm_up, rounds = order[:6], order[6:]
    assert warm_up == ["a", "a", "b", "b", "c", "c"]
    assert "".join(rounds) == "abc" + "bca" + "cab"
    assert {calls.samples for calls in found.values()} == {3}


def test_cheap_calls_are_batched() -> None:
    found = interleave({"cheap": lambda: None}, Effort(seconds=0.0, least_rounds=2, most_rounds=2))
    assert found["cheap"].calls_per_sample > 100
    assert found["cheap"].median < 1e-4


def test_a_slow_subject_does_not_keep_the_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.timing.SLOW_SECONDS", 0.02)
    effort = Effort(seconds=0.0, least_rounds=6, most_rounds=6, sample_seconds=0.0)
    calls = {"slow": lambda: time.sleep(0.015), "fast": lambda: None}
    found = interleave(calls, effort)
    assert found["slow"].samples == 2
    assert found["fast"].samples == 6


def test_nothing_to_time() -> None:
    assert interleave({}, Effort(seconds=0.0)) == {}


def test_an_error_of_a_subject_is_not_swallowed() -> None:
    def broken() -> None:
        raise ArithmeticError("no result")

    with pytest.raises(ArithmeticError, match="no result"):
        interleave({"broken": broken}, Effort(seconds=0.0))
