"""The threads that share the chunks of compiled loops: how many there are, and where they begin.

Nothing is started before a region is worth it. See `codegen.dispatch.threads_text` for how it goes.
"""

from __future__ import annotations

import ctypes
import math
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm

from codegen.dispatch.compile import compile_module
from codegen.dispatch.threads_text import (
    LINUX_FUNCTIONS,
    MOST_THREADS,
    POSIX_FUNCTIONS,
    PYTHON_FUNCTIONS,
    threads_text,
)

VARIABLES = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True)
class Threads:
    """The compiled pool: where `run` and `pause` are, and what Python asks of it."""

    run: int
    pause: int
    workers: ctypes.c_int64
    started: Callable[[], int]
    forget: Callable[[], None]


def available_processors() -> int:
    """How many processors this process may use: its affinity, and its share where it has one."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = _QUOTA.read_text().split()
        if quota != "max":
            count = min(count, math.ceil(int(quota) / int(period)))
    return max(1, count)


def configured_threads() -> int:
    """Threads of one region, the caller included: what the environment says, at most as many as
    there are processors.

    NUMBA_NUM_THREADS comes before OMP_NUM_THREADS, of which a list's first number counts.
    """
    count = available_processors()
    for variable in VARIABLES:
        text = os.environ.get(variable, "").split(",")[0].strip()
        if text.isdecimal() and int(text) > 0:
            return min(int(text), count, MOST_THREADS)
    return min(count, MOST_THREADS)


@cache
def load_threads() -> Threads:
    """The pool of this process; no thread exists yet."""
    process = ctypes.CDLL(None) if os.name == "posix" else None
    posix = process is not None and all(hasattr(process, name) for name in POSIX_FUNCTIONS)
    sources: list[tuple[ctypes.CDLL, tuple[str, ...]]] = [(ctypes.pythonapi, PYTHON_FUNCTIONS)]
    linux = posix and all(hasattr(process, name) for name in LINUX_FUNCTIONS)
    if process is not None and posix:
        sources.append((process, POSIX_FUNCTIONS + (LINUX_FUNCTIONS if linux else ())))
    for source, names in sources:
        for name in names:
            address = ctypes.cast(getattr(source, name), ctypes.c_void_p).value or 0
            llvm.add_symbol(f"tracer_{name}", address)
    machine = {"AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    text = threads_text(machine, posix, linux)
    names = ("run", "pause", "workers", "started_workers", "forget")
    run, pause, workers, started, forget = compile_module(text, names)
    threads = Threads(
        run,
        pause,
        ctypes.c_int64.from_address(workers),
        ctypes.CFUNCTYPE(ctypes.c_int64)(started),
        ctypes.CFUNCTYPE(None)(forget),
    )
    threads.workers.value = configured_threads() - 1
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=threads.forget)
    return threads


def run_address() -> int:
    """Address of `run`, which shares the chunks of a region."""
    return load_threads().run


def pause_address() -> int:
    """Address of `int32_t pause(void)`, for long loops: others have a turn with the GIL; not 0
    where a signal has set an exception.
    """
    return load_threads().pause


def thread_count() -> int:
    """Threads that a region may use, the caller included."""
    return load_threads().workers.value + 1


def set_thread_count(count: int) -> None:
    """Let regions use this many threads from now on; ValueError below 1 and above 256."""
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"a region has one thread or more, up to {MOST_THREADS}, not {count}")
    load_threads().workers.value = count - 1


def started_workers() -> int:
    """Threads that exist beside the callers': 0 before they are needed, -1 where none can be."""
    return load_threads().started()
