"""Processes and threads that compile at once, and what they share."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.render.llvm_code import forget_code
from tracer import config

THREADS = 8


@tracer.jit
def smooth(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.exp(-x * x), axis=-1)


def expected(x: Any) -> Any:
    return np.sum(np.tanh(x) * np.exp(-x * x), axis=-1)


def check(function: Callable[..., Any], rows: int, columns: int = 40) -> None:
    x = np.random.default_rng(rows).normal(size=(rows, columns))
    np.testing.assert_allclose(function(x), expected(x), rtol=1e-12, atol=1e-13)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cache folder of the test's own."""
    before = config.get("cache_dir")
    config.set("cache_dir", str(tmp_path / "cache"))
    forget_code()
    yield tmp_path / "cache"
    config.set("cache_dir", before)


def together(work: Callable[[int], None], count: int = THREADS) -> list[BaseException]:
    """Run in several threads that begin at the same moment; what they raised."""
    barrier = threading.Barrier(count)
    raised: list[BaseException] = []

    def run(number: int) -> None:
        barrier.wait()
        try:
            work(number)
        except BaseException as error:  # nobody else would see it
            raised.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_threads_that_call_a_new_function_at_once() -> None:
    forget_code()
    f = tracer.jit(smooth.function)
    assert together(lambda number: check(f, 50)) == []
    info = f.cache_info()
    assert info.entries == 1
    assert info.compiles + info.reused + info.loaded == 1
    check(f, 50)
    assert f.cache_info().misses == 1


def test_threads_that_call_with_sizes_of_their_own() -> None:
    forget_code()
    f = tracer.jit(smooth.function, parallel=False)

    def work(number: int) -> None:
        for rows in range(50 + number, 53 + number):
            check(f, rows)

    assert together(work) == []
    info = f.cache_info()
    assert info.entries == THREADS + 2
    assert info.compiles == 1
    assert info.reused == THREADS + 1


def test_threads_that_compile_other_functions() -> None:
    forget_code()

    def work(number: int) -> None:
        f = tracer.jit(lambda x: smooth.function(x) * float(number + 2.125))
        x = np.random.default_rng(number).normal(size=(40, 40))
        np.testing.assert_allclose(f(x), expected(x) * (number + 2.125), rtol=1e-12, atol=1e-13)

    assert together(work) == []


PROGRAM = """
import numpy as np, tracer
f = tracer.jit(lambda x: np.sum(np.tanh(x) * np.exp(-x * x), axis=-1), parallel=False)
x = np.linspace(-2, 2, 2000).reshape(50, 40)
wanted = np.sum(np.tanh(x) * np.exp(-x * x), axis=-1)
np.testing.assert_allclose(f(x), wanted, rtol=1e-12, atol=1e-13)
info = f.cache_info()
print(info.compiles, info.loaded)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "TRACER_CACHE_DIR": str(folder), "TRACER_CHECK": ""}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate()
    assert process.returncode == 0, error
    return out.strip()


def test_processes_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first = [start(folder) for _ in range(3)]
    assert all(answer(process) in ("1 0", "0 1") for process in first)
    assert answer(start(folder)) == "0 1"
    assert list(folder.glob("new-*")) == []
    for path in folder.glob("*.bin"):
        path.write_bytes(path.read_bytes()[:100])
    assert answer(start(folder)) == "1 0", "damaged by another process"
    assert answer(start(folder)) == "0 1"


def test_a_folder_that_may_only_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(tracer.jit(smooth.function), 50)
    before = sorted(path.name for path in folder.iterdir())

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "mkstemp", refused)
    forget_code()
    f = tracer.jit(smooth.function)
    check(f, 50)
    assert f.cache_info().loaded == 1, "what is there is read"
    check(tracer.jit(lambda x: smooth.function(x) * 1.0), 60, 3)
    assert sorted(path.name for path in folder.iterdir()) == before


def in_child(context: str, work: Callable[[], None]) -> int | None:
    """The exit code of a process that does some work."""
    of_kind: Any = multiprocessing.get_context(context)
    process = of_kind.Process(target=work)
    with warnings.catch_warnings():
        # newer Pythons warn where threads exist: that it works nevertheless is what is tested
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    process.join()
    code: int | None = process.exitcode
    return code


def everything() -> None:
    """Known signatures, new sizes, and new functions."""
    check(smooth, 50)
    check(smooth, 70)
    check(smooth, 7, 5)
    check(tracer.jit(lambda x: smooth.function(x)), 90)


def test_fork_after_use() -> None:
    everything()
    assert in_child("fork", everything) == 0
    everything()


def test_fork_while_another_thread_compiles() -> None:
    everything()
    done = threading.Event()

    def compile_on() -> None:
        number = 0
        while not done.is_set():
            number += 1
            forget_code()
            tracer.jit(lambda x: smooth.function(x) + float(number))(np.ones((40, 50)))  # noqa: B023

    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        codes = [in_child("fork", everything) for _ in range(4)]
    finally:
        done.set()
        thread.join()
    assert codes == [0, 0, 0, 0]


def test_spawn_after_use() -> None:
    everything()
    assert in_child("spawn", everything) == 0
