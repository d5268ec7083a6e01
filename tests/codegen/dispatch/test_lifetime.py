"""References: none is lost, none is left over, and nothing ends while it is in use."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codegen.dispatch import (
    ArrayLeaf,
    CallSpec,
    CustomNode,
    DictNode,
    ListNode,
    ObjectLeaf,
    ScalarLeaf,
    TupleNode,
    make_dispatcher,
)
from codegen.dispatch.compile import compile_module
from codegen.dispatch.entry import make_native_entry
from tests.codegen.dispatch.kernels import FLOAT64, VECTOR, SlowPath, copy_kernel, kernel

Make = Callable[..., Any]
CALLS = 200_000


class Marker:
    """Something with a weak reference."""


def resident_pages() -> int:
    """Memory of this process, in pages."""
    return int(Path("/proc/self/statm").read_text().split()[1])


def rich_entry(slow: Callable[..., Any]) -> Any:
    """An entry that goes through every way of taking and giving references."""
    mark = ObjectLeaf("mark")
    argument = TupleNode((ListNode((VECTOR,)), DictNode((("k", VECTOR),)), ScalarLeaf(int), mark))
    result = TupleNode(
        (
            VECTOR,
            DictNode((("n", ScalarLeaf(np.float64)), ("t", ScalarLeaf(np.bool_)))),
            ListNode((mark, CustomNode(complex, (ScalarLeaf(np.float64),)))),
        )
    )
    moves = ((0, 32), (1, 8), (2, 1), (1, 8))
    return make_native_entry(CallSpec((argument,), result, 100), copy_kernel(*moves), slow)


def test_no_leak(slow: SlowPath) -> None:
    entry = rich_entry(slow)
    first, second, mark = np.arange(4.0), np.ones(4), "mark"
    argument = ([first], {"k": second}, 1, mark)
    watched = [first, second, argument, argument[0], argument[1], mark, entry, slow, np.ndarray]
    watched += [np.dtype(float), np.float64, np.True_, np.False_, None, np.dtype(np.int64)]

    def run(times: int) -> None:
        for _ in range(times):
            entry(argument)

    run(1000)
    gc.collect()
    counts = [sys.getrefcount(value) for value in watched]
    blocks, pages = sys.getallocatedblocks(), resident_pages()
    run(CALLS)
    gc.collect()
    # The interpreter itself may hold None or a class once more than before.
    moved = [sys.getrefcount(value) - count for value, count in zip(watched, counts, strict=True)]
    assert max(map(abs, moved)) < 20, "a leak is one a call"
    assert sys.getallocatedblocks() - blocks < 30, "Python's own blocks"
    assert resident_pages() - pages < 500, "less than ten bytes a call"


def test_no_leak_on_the_slow_path() -> None:
    answer, argument = object(), np.zeros(3)
    entry = rich_entry(lambda *args, **kwargs: answer)
    counts = sys.getrefcount(answer), sys.getrefcount(argument), sys.getrefcount(entry.next)
    blocks = sys.getallocatedblocks()
    for _ in range(20_000):
        entry(argument)
        entry(([argument], {"k": argument}, 1, "mark"))
        entry(argument, option=answer)
    assert sys.getallocatedblocks() - blocks < 30
    after = sys.getrefcount(answer), sys.getrefcount(argument), sys.getrefcount(entry.next)
    assert after == counts


def test_results_own_themselves(make: Make, slow: SlowPath) -> None:
    entry = make(CallSpec((VECTOR,), VECTOR), copy_kernel((0, 32)), slow)
    result = entry(np.arange(4.0))
    assert sys.getrefcount(result) == 2, "this name and the call's argument"


def test_entry_keeps_what_it_needs_and_no_longer(make: Make) -> None:
    owner, slow = Marker(), Marker()
    told = [weakref.ref(owner), weakref.ref(slow)]
    entry = make(CallSpec((), ObjectLeaf(slow)), kernel("nothing"), slow, keep_alive=owner)
    del owner, slow
    gc.collect()
    assert all(reference() is not None for reference in told)
    assert entry() is told[1]()
    del entry
    gc.collect()
    assert [reference() for reference in told] == [None, None]


def test_cycles_through_the_slow_path_are_collected(make: Make) -> None:
    class Owner:
        def __init__(self) -> None:
            self.entry = make(CallSpec((), VECTOR), kernel("nothing"), self.slow)

        def slow(self, *args: Any) -> str:
            return "slow"

    owner = Owner()
    assert owner.entry(1) == "slow"
    reference = weakref.ref(owner)
    del owner
    gc.collect()
    assert reference() is None


def test_entry_replaced_while_it_runs(make: Make) -> None:
    """The slow path installs new entries; the old ones may be nobody's by then."""
    holder: list[Any] = []

    def slow(*args: Any) -> str:
        holder[0].next = None
        holder.clear()
        gc.collect()
        return "slow"

    for _ in range(10):
        inner = make(CallSpec((), VECTOR), kernel("nothing"), slow)
        outer = make(CallSpec((VECTOR,), VECTOR), kernel("nothing"), inner)
        holder.append(outer)
        del inner
        assert outer(1, 2) == "slow"


def test_entry_dropped_while_its_kernel_runs() -> None:
    entries: list[Any] = []

    def drop() -> int:
        entries.pop()
        gc.collect()
        return 0

    back = ctypes.PYFUNCTYPE(ctypes.c_int)(drop)
    address = ctypes.cast(back, ctypes.c_void_p).value or 0
    spec = CallSpec((), ListNode((ScalarLeaf(np.bool_),)), constants=(address,))
    for _ in range(10):
        entries.append(make_native_entry(spec, kernel("call_back"), print, keep_alive=back))
        assert len(entries[-1]()) == 1


CALL_THIRD = """
define i32 @third(ptr %inputs, ptr %outputs, ptr %workspace, ptr %status) {
  %place = getelementptr ptr, ptr %inputs, i64 2
  %function = load ptr, ptr %place
  %code = call i32 %function()
  ret i32 %code
}"""


def test_arguments_dropped_while_the_kernel_runs() -> None:
    row = [np.arange(4.0)]
    table = {"a": np.arange(4.0) + 4}
    references = [weakref.ref(row[0]), weakref.ref(table["a"])]
    seen: list[bool] = []

    def drop() -> int:
        row.clear()
        table.clear()
        gc.collect()
        seen.extend(reference() is not None for reference in references)
        return 0

    back = ctypes.PYFUNCTYPE(ctypes.c_int)(drop)
    address = ctypes.cast(back, ctypes.c_void_p).value or 0
    node = TupleNode((ListNode((VECTOR,)), DictNode((("a", VECTOR),))))
    spec = CallSpec((node,), VECTOR, constants=(address,))
    entry = make_native_entry(spec, compile_module(CALL_THIRD, ("third",), stored=False)[0], print)
    entry((row, table))
    assert seen == [True, True], "held while the kernel runs"
    assert [reference() for reference in references] == [None, None], "and let go after it"


def test_chain_of_entries(make: Make, slow: SlowPath) -> None:
    shapes = [(index,) for index in range(30)]
    specs = [CallSpec((ArrayLeaf(FLOAT64, shape),), ObjectLeaf(shape)) for shape in shapes]
    entries = [make(spec, kernel("nothing"), print) for spec in specs]
    call = make_dispatcher(entries, slow)
    assert [call(np.zeros(shape)) for shape in shapes] == shapes
    assert call(np.zeros(30)) == call() == "slow"
    assert make_dispatcher([], slow) is slow
    call = make_dispatcher(entries[::-1], slow)
    assert call is entries[-1], "the first of the list is the head"
    assert call(np.zeros(3)) == (3,), "linked anew, in another order"


def test_entry_is_closed_to_tampering(slow: SlowPath) -> None:
    entry = make_native_entry(CallSpec((), VECTOR), kernel("nothing"), slow)
    kind = type(entry)
    with pytest.raises(TypeError):
        kind()
    with pytest.raises(AttributeError):
        entry.keep = None  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        kind.keep = None  # type: ignore[attr-defined]
    del entry.next
    with pytest.raises(RuntimeError, match="nothing to call"):
        entry(1)
    assert entry().shape == (4,)
