"""Signals while a compiled loop runs that would not end for hours."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracer
from tests.helpers import COMPILED

ENDLESS = 10**13


class Alarm(Exception):
    """What the handler raises."""


@pytest.fixture
def alarm() -> Iterator[Callable[[], None]]:
    """Sets off a signal a fifth of a second later, whose handler raises."""

    def ring(number: int, frame: object) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.2) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def newton(x: Any, count: Any) -> Any:
    """A loop whose end depends on data."""
    return tracer.while_loop(lambda c: c[1] < count, lambda c: (np.sin(c[0]), c[1] + 1), (x, 0))[0]


def counted(x: Any, count: Any) -> Any:
    """A counted loop of few operations."""
    return tracer.fori_loop(0, count, lambda k, y: np.sin(y) + k, x)


def rows(x: Any, count: Any) -> Any:
    """A counted loop around vectors."""
    start = np.ones(1000) * x
    return tracer.fori_loop(0, count, lambda k, y: np.exp(-y) + y.sum(), start)


@pytest.mark.parametrize("backend", COMPILED)
@pytest.mark.parametrize("function", [newton, counted, rows])
def test_a_signal_ends_a_loop(
    function: Callable[..., Any], backend: str, alarm: Callable[[], None]
) -> None:
    compiled = tracer.jit(function, backend=backend)
    expected = compiled(0.5, 3)
    alarm()
    begin = time.monotonic()
    with pytest.raises(Alarm):
        compiled(0.5, ENDLESS)
    taken = time.monotonic() - begin
    assert taken < 60, "not after hours"
    np.testing.assert_array_equal(compiled(0.5, 3), expected, "the function is whole afterwards")


def test_other_threads_run_meanwhile() -> None:
    """One of them presses Control-C."""
    compiled = tracer.jit(newton)
    compiled(0.5, 3)
    turns = []

    def press() -> None:
        for _ in range(5):
            time.sleep(0.01)
            turns.append(1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        compiled(0.5, ENDLESS)
    thread.join()
    assert len(turns) == 5


@pytest.mark.parametrize("parallel", [True, None])
def test_a_shared_loop_ends(parallel: bool | None, alarm: Callable[[], None]) -> None:
    """Rows that take a second each; the caller looks between its chunks."""

    def function(x: Any, count: Any) -> Any:
        step = lambda k, y: np.sin(y) * 0.9 + np.cos(y)  # noqa: E731
        return tracer.fori_loop(0, count, step, x)

    compiled = tracer.jit(function, parallel=parallel)
    x = np.ones(200_000)
    compiled(x, 2)
    alarm()
    with pytest.raises(Alarm):
        compiled(x, ENDLESS)
