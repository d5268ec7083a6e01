"""Threads, the GIL, calls inside calls, and forked children."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.dispatch import (
    CallSpec,
    ListNode,
    ScalarLeaf,
    TupleNode,
    trim_workspace,
    workspace_size,
)
from codegen.dispatch.entry import make_native_entry
from tests.codegen.dispatch.kernels import VECTOR, SlowPath, integers, kernel

Make = Callable[..., Any]
SIZE = 4096
NUMBER = ScalarLeaf(np.int64)
FILL = CallSpec((ScalarLeaf(int), ScalarLeaf(int)), TupleNode((NUMBER, NUMBER)), SIZE, (0,))


def filler(make: Make, callback: Any = None, release_gil: bool = False) -> Any:
    """An entry that fills its workspace with a byte and gives its sum and address."""
    address = ctypes.cast(callback, ctypes.c_void_p).value or 0 if callback else 0
    spec = CallSpec(FILL.arguments, FILL.result, SIZE, (address,))
    return make(
        spec, kernel("fill_workspace"), print, keep_alive=callback, release_gil=release_gil
    )


@pytest.mark.parametrize("release_gil", [False, True])
def test_threads_in_one_entry(make: Make, release_gil: bool) -> None:
    entry = filler(make, release_gil=release_gil)
    wrong: list[Any] = []

    def work(byte: int) -> None:
        for _ in range(500):
            total, place = entry(SIZE, byte)
            if total != SIZE * byte or place % 64:
                wrong.append((byte, total, place))

    threads = [threading.Thread(target=work, args=(byte,)) for byte in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, "another thread's workspace, or one that is not aligned"


def test_workspace_of_a_call_within_a_call(make: Make) -> None:
    inner_totals: list[int] = []
    inner = filler(make)

    def call() -> int:
        inner_totals.append(int(inner(SIZE, 5)[0]))
        return 0

    back = ctypes.PYFUNCTYPE(ctypes.c_int)(call)
    outer = filler(make, back)
    for _ in range(3):
        assert outer(SIZE, 3)[0] == SIZE * 3, "the inner call has its own memory"
    assert inner_totals == [SIZE * 5] * 3


def test_workspace_is_kept_and_grows_and_can_be_given_back(slow: SlowPath) -> None:
    trim_workspace()
    assert workspace_size() == 0
    spec = CallSpec(FILL.arguments, FILL.result, 10 * SIZE, (0,))
    large = make_native_entry(spec, kernel("fill_workspace"), slow)
    small = filler(make_native_entry)
    place = small(SIZE, 1)[1]
    assert [small(SIZE, 1)[1] for _ in range(3)] == [place] * 3
    assert workspace_size() == SIZE
    place = large(10 * SIZE, 1)[1]
    assert [small(SIZE, 1)[1], large(10 * SIZE, 1)[1]] == [place] * 2
    assert workspace_size() == 10 * SIZE

    def trim_inside() -> int:
        trim_workspace()
        return 0

    back = ctypes.PYFUNCTYPE(ctypes.c_int)(trim_inside)
    assert filler(make_native_entry, back)(SIZE, 7)[0] == SIZE * 7, "not while it is in use"
    trim_workspace()
    assert workspace_size() == 0


def waiting_entry(make: Make, flags: Any, node: Any) -> Any:
    """An entry whose kernel waits for a flag, without the GIL."""
    spec = CallSpec((node,), VECTOR, constants=(ctypes.addressof(flags),))
    return make(spec, kernel("wait"), print, keep_alive=flags, release_gil=True)


def test_gil_is_released_and_arguments_are_held(make: Make) -> None:
    flags = integers(0, 0)
    entry = waiting_entry(make, flags, ListNode((VECTOR,)))
    argument = [np.array([1.0, 2.0, 3.0, 4.0])]
    reference = weakref.ref(argument[0])
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(entry(argument)))
    thread.start()
    while not flags[0]:
        pass
    argument.clear()
    gc.collect()
    assert reference() is not None, "the kernel is still reading it"
    flags[1] = 1
    thread.join()
    assert results[0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert reference() is None


def _child(entry: Any, answers: Any) -> None:
    totals = [int(entry(SIZE, 2)[0]) for _ in range(3)]
    places = {int(entry(SIZE, 2)[1]) for _ in range(3)}
    answers.put((totals, len(places)))


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_child_while_another_thread_is_in_a_kernel() -> None:
    flags = integers(0, 0)
    spec = CallSpec((VECTOR,), VECTOR, SIZE, (ctypes.addressof(flags),))
    waiting = make_native_entry(spec, kernel("wait"), print, keep_alive=flags, release_gil=True)
    thread = threading.Thread(target=lambda: waiting(np.zeros(4)))
    thread.start()
    while not flags[0]:
        pass
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_child, args=(filler(make_native_entry), answers))
    child.start()
    got = answers.get()
    child.join()
    flags[1] = 1
    thread.join()
    assert got == ([SIZE * 2] * 3, 1), "the child keeps a buffer of its own from call to call"
    assert child.exitcode == 0


def test_fork_inside_a_kernel_of_the_same_thread() -> None:
    """The child leaves the kernel that it was born in, then works on."""
    entry = filler(make_native_entry)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def fork() -> int:
        child = context.Process(target=_child, args=(entry, answers))
        child.start()
        child.join()
        return int(child.exitcode or 0)

    back = ctypes.PYFUNCTYPE(ctypes.c_int)(fork)
    assert filler(make_native_entry, back)(SIZE, 9)[0] == SIZE * 9
    assert answers.get() == ([SIZE * 2] * 3, 1)
    assert entry(SIZE, 1)[0] == SIZE
