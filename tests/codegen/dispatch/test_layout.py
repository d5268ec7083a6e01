"""An interpreter that keeps its objects in another way is noticed, and served by plain Python."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from codegen.dispatch import (
    CallSpec,
    function_class,
    layout,
    make_entry,
    native_entry_available,
    runtime,
    symbols,
)
from codegen.dispatch.function import PythonFunction
from codegen.dispatch.layout import UnexpectedLayoutError
from codegen.dispatch.python_entry import PythonEntry
from tests.codegen.dispatch.kernels import VECTOR, SlowPath, copy_kernel

OFFSETS = [name for name in vars(layout) if name.isupper() and type(getattr(layout, name)) is int]


def test_this_interpreter_is_served() -> None:
    assert native_entry_available()
    known = layout.probe()
    assert known.inline_refcounts == (sys.version_info < (3, 12))


@pytest.mark.parametrize("name", OFFSETS)
def test_each_offset_and_flag_is_checked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = getattr(layout, name)
    monkeypatch.setattr(layout, name, value << 1 if name.startswith("FLAG") else value ^ 1)
    if name == "REFCOUNT":
        assert not layout.probe().inline_refcounts, "counts are then moved by calls"
        return
    with pytest.raises(UnexpectedLayoutError, match="unexpected layout"):
        layout.probe()


def test_offsets_are_all_here() -> None:
    assert len(OFFSETS) == 17, "a new offset has to be checked as well"


@pytest.fixture
def fresh() -> Iterator[None]:
    """Find out anew in this test, and again after it."""
    caches = (runtime._load, function_class)
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("spoil", ["offset", "table", "version", "function"])
def test_falls_back_to_python(spoil: str, monkeypatch: pytest.MonkeyPatch, slow: SlowPath) -> None:
    if spoil == "offset":
        monkeypatch.setattr(layout, "ARRAY_FLAGS", 72)
    elif spoil == "table":
        monkeypatch.setattr(symbols, "_ARRAY_TYPE", 3)
    elif spoil == "version":
        monkeypatch.setattr(symbols, "_KNOWN_ABI_VERSION", 0x03000000)
    else:
        monkeypatch.setitem(symbols.PYTHON_FUNCTIONS, "PyNo_SuchFunction", ("ptr", "ptr"))
    assert not native_entry_available()
    with pytest.raises(UnexpectedLayoutError):
        runtime.load()
    entry = make_entry(CallSpec((VECTOR,), VECTOR), copy_kernel((0, 32)), slow)
    assert type(entry) is PythonEntry
    assert entry(np.arange(4.0)).tolist() == [0, 1, 2, 3]
    assert function_class() is PythonFunction


def test_refcounts_moved_by_calls() -> None:
    """What Python 3.12 and later get, run here: the whole of the suite's rich entry, no leak."""
    program = """
import sys
from codegen.dispatch import layout
layout._probe_refcounts = lambda: False
from codegen.dispatch import runtime
assert not runtime.load().layout.inline_refcounts
from tests.codegen.dispatch import test_errors, test_lifetime, test_threads
from tests.codegen.dispatch.kernels import SlowPath, MAKERS
test_lifetime.CALLS = 20_000
test_lifetime.test_no_leak(SlowPath())
test_lifetime.test_no_leak_on_the_slow_path()
test_lifetime.test_entry_dropped_while_its_kernel_runs()
test_lifetime.test_cycles_through_the_slow_path_are_collected(MAKERS["native"])
for name in test_errors.HALF_MADE:
    test_errors.test_half_made_results_are_released(MAKERS["native"], SlowPath(), name)
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
