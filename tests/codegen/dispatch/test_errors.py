"""Errors of kernels, of memory and of what is called back: raised, with nothing left behind."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from codegen.dispatch import (
    ArrayLeaf,
    CallSpec,
    CustomNode,
    DictNode,
    KernelCode,
    ListNode,
    ScalarLeaf,
    TupleNode,
    signal_check_address,
)
from codegen.dispatch.compile import compile_module
from tests.codegen.dispatch.kernels import FLOAT64, VECTOR, SlowPath, integers, kernel

Make = Callable[..., Any]
WORDS = ArrayLeaf(np.dtype(np.int64), (4,))
FAILING = CallSpec((ScalarLeaf(int), WORDS), TupleNode((VECTOR, ScalarLeaf(np.float64))))

MESSAGES: dict[KernelCode, tuple[type[BaseException], str]] = {
    KernelCode.INDEX_ERROR: (IndexError, "index 7 is out of bounds for axis 2 with size 5"),
    KernelCode.VALUE_ERROR: (ValueError, "the value 7 is not allowed here"),
    KernelCode.ZERO_DIVISION: (ZeroDivisionError, "integer division or remainder by zero"),
    KernelCode.OVERFLOW: (OverflowError, "the value 7 does not fit its type"),
    KernelCode.SINGULAR_MATRIX: (np.linalg.LinAlgError, "singular matrix: pivot 7 is zero"),
    KernelCode.NO_CONVERGENCE: (np.linalg.LinAlgError, "no convergence after 7 iterations"),
    KernelCode.OUT_OF_MEMORY: (MemoryError, "a compiled function could not allocate 7 bytes"),
    KernelCode.INTERRUPTED: (KeyboardInterrupt, ""),
}


def test_every_code_has_its_error(make: Make, slow: SlowPath) -> None:
    assert set(MESSAGES) == set(KernelCode) - {KernelCode.OK, KernelCode.PYTHON_ERROR}
    entry = make(FAILING, kernel("fail"), slow)
    for code, (kind, message) in MESSAGES.items():
        with pytest.raises(kind) as caught:
            entry(int(code), np.array([31, 7, 5, 2]))
        assert (type(caught.value), str(caught.value)) == (kind, message)
    assert len(entry(0, np.zeros(4, np.int64))) == 2, "and it still works"


def test_own_codes_and_handler(make: Make, slow: SlowPath) -> None:
    noted: list[tuple[int, tuple[int, ...]]] = []

    def handler(code: int, status: tuple[int, ...]) -> BaseException:
        noted.append((code, status))
        return LookupError("mine")

    entry = make(FAILING, kernel("fail"), slow, on_error=handler)
    with pytest.raises(LookupError, match="mine"):
        entry(1234567, np.array([-1, 2**62, 0, -(2**63)]))
    assert noted == [(1234567, (-1, 2**62, 0, -(2**63)))]
    with pytest.raises(RuntimeError, match=r"code 99 and status \(1, 2, 3, 4\)"):
        make(FAILING, kernel("fail"), slow)(99, np.array([1, 2, 3, 4]))


def test_handler_that_fails_itself(make: Make, slow: SlowPath) -> None:
    def handler(code: int, status: tuple[int, ...]) -> BaseException:
        raise OSError("inside")

    with pytest.raises(OSError, match="inside"):
        make(FAILING, kernel("fail"), slow, on_error=handler)(5, np.zeros(4, np.int64))


def test_slow_path_that_raises(make: Make) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TypeError("not this one")

    with pytest.raises(TypeError, match="not this one"):
        make(FAILING, kernel("fail"), refuse)(1)


@pytest.mark.parametrize("release_gil", [False, True])
def test_error_set_by_the_kernel(make: Make, slow: SlowPath, release_gil: bool) -> None:
    """A kernel that called Python and failed leaves the exception set and returns PYTHON_ERROR."""
    state = [ctypes.pythonapi.PyGILState_Ensure, ctypes.pythonapi.PyGILState_Release]
    setter = ctypes.pythonapi.PyErr_SetNone
    ensure, release, raising = (ctypes.cast(f, ctypes.c_void_p).value for f in [*state, setter])
    source = f"""
    define i32 @set(ptr %inputs, ptr %outputs, ptr %workspace, ptr %status) {{
      %ensure = inttoptr i64 {ensure} to ptr
      %set = inttoptr i64 {raising} to ptr
      %release = inttoptr i64 {release} to ptr
      %error = inttoptr i64 {id(LookupError)} to ptr
      %state = call i32 %ensure()
      call void %set(ptr %error)
      call void %release(i32 %state)
      ret i32 -1
    }}"""
    (address,) = compile_module(source, ("set",), stored=False)
    entry = make(CallSpec((), VECTOR), address, slow, release_gil=release_gil)
    with pytest.raises(LookupError):
        entry()
    assert make(CallSpec((), VECTOR), kernel("nothing"), slow)().shape == (4,)


CHECKING = """
define i32 @checking(ptr %inputs, ptr %outputs, ptr %workspace, ptr %status) {
start:
  %check = load ptr, ptr %inputs
  br label %loop
loop:
  %answer = call i32 %check()
  %quiet = icmp eq i32 %answer, 0
  br i1 %quiet, label %loop, label %end
end:
  ret i32 -1
}"""


@pytest.mark.parametrize("release_gil", [False, True])
def test_control_c_ends_a_long_kernel(make: Make, slow: SlowPath, release_gil: bool) -> None:
    (address,) = compile_module(CHECKING, ("checking",), stored=False)
    spec = CallSpec((), VECTOR, constants=(signal_check_address(release_gil),))
    entry = make(spec, address, slow, release_gil=release_gil)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if not release_gil:
            # No other thread can run then: the system itself has to send the signal.
            signal.signal(signal.SIGALRM, signal.default_int_handler)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        else:
            timer.start()
        with pytest.raises(KeyboardInterrupt):
            entry()
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    timer.cancel()


def blocks_a_call(entry: Callable[..., object], *args: object, times: int = 300) -> float:
    """How many memory blocks the interpreter has more after each of many failing calls.

    The least of three rounds: the interpreter's own free lists grow in one of them at most.
    """

    def call() -> None:
        try:
            entry(*args)
        except (MemoryError, ValueError, LookupError):
            return
        raise AssertionError("this call was to fail")

    growth = []
    for _ in range(3):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(times):
            call()
        gc.collect()
        growth.append((sys.getallocatedblocks() - before) / times)
    return min(growth)


@contextmanager
def unchecked_sizes() -> Iterator[None]:
    """Calls fail where they ask for memory, not before."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("entry_text", "python_entry"):
            patch.setattr(f"codegen.dispatch.{module}.CHECKED", 2**62)
        yield


HUGE = ArrayLeaf(FLOAT64, (2**46,))
HALF_MADE = {
    "first": HUGE,
    "tuple": TupleNode((VECTOR, ScalarLeaf(np.float64), HUGE, VECTOR)),
    "list": ListNode((VECTOR, HUGE)),
    "dict": DictNode((("a", VECTOR), ("b", TupleNode((VECTOR, HUGE))), ("c", VECTOR))),
    "custom": CustomNode(complex, (VECTOR, ListNode((ScalarLeaf(np.bool_), HUGE)))),
}


@pytest.mark.parametrize("name", sorted(HALF_MADE))
def test_half_made_results_are_released(make: Make, slow: SlowPath, name: str) -> None:
    counter = integers(0)
    spec = CallSpec((), HALF_MADE[name], constants=(ctypes.addressof(counter),))
    with unchecked_sizes():
        entry = make(spec, kernel("count"), slow, keep_alive=counter)
        with pytest.raises(MemoryError, match="Unable to allocate"):
            entry()
        assert blocks_a_call(entry) < 0.5, "a leak is one block a call at least"
    assert counter[0] == 0, "the kernel runs only when there is room for its results"


def test_failed_kernels_and_builders_release_results(make: Make, slow: SlowPath) -> None:
    entry = make(FAILING, kernel("fail"), slow)
    words = np.array([1, 2, 3, 4])

    assert blocks_a_call(entry, 2, words) < 0.5

    def refuse(*children: object) -> None:
        raise LookupError("built badly")

    nested = TupleNode((VECTOR, CustomNode(refuse, (ScalarLeaf(np.bool_), VECTOR))))
    for result in (nested, DictNode((("key", nested),)), CustomNode(refuse, (VECTOR,))):
        builder = make(CallSpec((), result), kernel("nothing"), slow)
        with pytest.raises(LookupError, match="built badly"):
            builder()
        assert blocks_a_call(builder) < 0.5


def test_workspace_that_does_not_fit(make: Make, slow: SlowPath) -> None:
    with unchecked_sizes():
        entry = make(CallSpec((), VECTOR, workspace=2**60), kernel("nothing"), slow)
        with pytest.raises(MemoryError, match=f"workspace of {2**60} bytes"):
            entry()
        assert blocks_a_call(entry) < 0.5
    assert make(CallSpec((), VECTOR, workspace=64), kernel("nothing"), slow)().shape == (4,)
