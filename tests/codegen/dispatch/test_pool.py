"""The pool of threads: every chunk once, in children of a fork too, with and without workers."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from codegen.dispatch import threads as pool
from codegen.dispatch.compile import compile_module

# Adds 1 to a chunk's number and 1/i for i below a given count to another, so that it takes a while.
_WORK = """
define void @work(ptr %context, i64 %chunk) {
  %rounds = load i64, ptr %context
  %counts = getelementptr i64, ptr %context, i64 1
  %place = getelementptr i64, ptr %counts, i64 %chunk
  %before = load i64, ptr %place
  %after = add i64 %before, 1
  store i64 %after, ptr %place
  br label %test
test:
  %turn = phi i64 [ 0, %0 ], [ %next, %test ]
  %next = add i64 %turn, 1
  store volatile i64 %turn, ptr %slot
  %more = icmp slt i64 %next, %rounds
  br i1 %more, label %test, label %done
done:
  ret void
}
""".replace("  br label %test\ntest:", "  %slot = alloca i64\n  br label %test\ntest:", 1)

Run = Callable[..., int]


@cache
def work_address() -> int:
    """The function that a chunk runs."""
    return compile_module(_WORK, ("work",), stored=False)[0]


def run(count: int, rounds: int = 10, time: int = 1000, record: object = None) -> np.ndarray:
    """How often each chunk of a region was run."""
    context = np.zeros(count + 1, np.int64)
    context[0] = rounds
    call = ctypes.PYFUNCTYPE(
        ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
        ctypes.c_void_p,
    )(pool.run_address())  # fmt: skip
    assert call(work_address(), context.ctypes.data, count, time, record) == 0
    return context[1:]


@pytest.fixture(params=[1, 2, 3, 5])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """A number of threads for the test."""
    before = pool.thread_count()
    pool.set_thread_count(request.param)
    yield request.param
    pool.set_thread_count(before)


def test_every_chunk_runs_once(threads: int) -> None:
    for count in (0, 1, 2, 3, 7, 64, 1000):
        for _ in range(50):
            assert (run(count) == 1).all()


def test_regions_one_upon_the_other(threads: int) -> None:
    counts = [run(count % 9, rounds=1) for count in range(5000)]
    assert all((found == 1).all() for found in counts)


def test_regions_after_a_pause(threads: int) -> None:
    """The workers are asleep by then."""
    for _ in range(20):
        time.sleep(0.002)
        assert (run(40, rounds=2000, time=100_000) == 1).all()


def test_measured_regions(threads: int) -> None:
    """A record decides who works, not what is done."""
    record = (ctypes.c_int64 * 3)()
    for _ in range(3000):
        assert (run(4, rounds=50, record=record) == 1).all()
    if threads > 1:
        assert min(record[0], record[1]) > 0, "both ways were tried"


def test_python_threads_at_once(threads: int) -> None:
    """Long regions leave the GIL: others run meanwhile, alone."""
    wrong: list[int] = []

    def many() -> None:
        for _ in range(100):
            found = run(30, rounds=3000, time=50_000)
            if not (found == 1).all():
                wrong.append(1)

    workers = [threading.Thread(target=many) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def _child(answers: multiprocessing.SimpleQueue[tuple[bool, int]]) -> None:
    right = all((run(20, rounds=500, time=50_000) == 1).all() for _ in range(50))
    answers.put((right, pool.started_workers()))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_makes_threads_of_its_own() -> None:
    before = pool.thread_count()
    pool.set_thread_count(2)
    run(20, rounds=500, time=50_000)
    assert pool.started_workers() >= 1
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            run(50, rounds=20_000, time=100_000)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        children = [context.Process(target=_child, args=(answers,)) for _ in range(4)]
        for child in children:
            child.start()
        found = [answers.get() for _ in children]
        for child in children:
            child.join()
    finally:
        stop.set()
        thread.join()
        pool.set_thread_count(before)
    assert found == [(True, 1)] * 4


def test_control_c_ends_a_region(threads: int) -> None:
    def interrupt() -> None:
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    context = np.zeros(100_001, np.int64)
    context[0] = 500_000
    call = ctypes.PYFUNCTYPE(
        ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
        ctypes.c_void_p,
    )(pool.run_address())  # fmt: skip
    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        call(work_address(), context.ctypes.data, 100_000, 5_000_000, None)
    thread.join()
    done = context[1:].copy()
    assert 0 < done.sum() < 100_000
    time.sleep(0.01)
    assert (context[1:] == done).all(), "nobody goes on behind the call's back"


_COUNT = "from codegen.dispatch.threads import configured_threads; print(configured_threads())"


@pytest.mark.parametrize(
    ("variables", "most"),
    [
        ({}, None),
        ({"OMP_NUM_THREADS": "1"}, 1),
        ({"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "9"}, 1),
        ({"OMP_NUM_THREADS": "1,4"}, 1),
        ({"OMP_NUM_THREADS": "many"}, None),
    ],
)
def test_environment(variables: dict[str, str], most: int | None) -> None:
    clean = {key: value for key, value in os.environ.items() if key not in pool.VARIABLES}
    found = subprocess.run(
        [sys.executable, "-c", _COUNT],
        env={**clean, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(found.stdout) == (most or min(pool.available_processors(), pool.MOST_THREADS))


def test_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3}, raising=False)
    for variable in pool.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert pool.available_processors() == pool.configured_threads() == 1
    monkeypatch.setenv("NUMBA_NUM_THREADS", "7")
    assert pool.configured_threads() == 1


def test_no_thread_before_it_is_needed() -> None:
    script = (
        "import threading, os, numpy as np, tracer\n"
        "f = tracer.jit(lambda x: np.exp(x))\n"
        "f(np.ones(100))\n"
        "from codegen.dispatch.threads import started_workers\n"
        "print(started_workers())\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["0"]


def test_a_region_has_a_thread() -> None:
    with pytest.raises(ValueError, match="one thread or more, up to 256, not 0"):
        pool.set_thread_count(0)
