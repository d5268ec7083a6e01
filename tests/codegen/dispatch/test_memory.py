"""Large results and their memory: kept when freed, used again, and never more than there is."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy._core.multiarray import get_handler_name

import tracer
from codegen.dispatch import memory, trim_workspace, workspace_size

ELEMENTS = 1 << 18
SIZE = 8 * ELEMENTS


@pytest.fixture(autouse=True)
def blocks() -> Iterator[memory.Blocks]:
    """The pool, empty at first, with room for ten results."""
    found = memory.load_blocks()
    assert found is not None
    before = found.limit.value
    gc.collect()
    memory.trim_blocks()
    found.limit.value = 10 * SIZE
    yield found
    gc.collect()
    memory.trim_blocks()
    found.limit.value = before


@pytest.fixture(scope="module")
def double() -> Callable[..., Any]:
    """A function with one result as large as its argument."""
    function: Callable[..., Any] = tracer.jit(lambda x: x + x)
    function(np.ones(ELEMENTS))
    return function


def test_a_result_is_an_array_like_any_other(double: Callable[..., Any]) -> None:
    y = double(np.arange(float(ELEMENTS)))
    assert get_handler_name(y) == "tracer"
    assert get_handler_name(y.copy()) == get_handler_name() == "default_allocator"
    assert y.flags.owndata
    assert y.base is None
    assert y.ctypes.data % 64 == 0
    np.testing.assert_array_equal(y, 2 * np.arange(float(ELEMENTS)))


def test_freed_memory_is_used_again(double: Callable[..., Any]) -> None:
    x = np.ones(ELEMENTS)
    first = double(x)
    place = first.ctypes.data
    assert memory.kept_bytes() == 0
    del first
    assert memory.kept_bytes() == SIZE
    second = double(x)
    assert second.ctypes.data == place
    assert memory.kept_bytes() == 0
    third = double(3 * x)
    assert third.ctypes.data != place
    np.testing.assert_array_equal(second, 2 * x)


def test_what_is_kept_is_bounded(double: Callable[..., Any], blocks: memory.Blocks) -> None:
    x = np.ones(ELEMENTS)
    results = [double(x) for _ in range(15)]
    results.clear()
    assert memory.kept_bytes() == 10 * SIZE
    memory.trim_blocks()
    assert memory.kept_bytes() == 0
    blocks.limit.value = 0
    double(x)
    assert memory.kept_bytes() == 0
    blocks.limit.value = 100 * SIZE
    results = [double(x) for _ in range(40)]
    results.clear()
    assert memory.kept_bytes() == 32 * SIZE, "as many blocks as there are slots"


def test_blocks_of_other_sizes_wait(double: Callable[..., Any]) -> None:
    double(np.ones(ELEMENTS))
    smaller = double(np.ones(ELEMENTS // 2))
    assert memory.kept_bytes() == SIZE, "half would be wasted"
    del smaller
    near = double(np.ones(ELEMENTS - 5000))
    assert memory.kept_bytes() == SIZE // 2
    np.testing.assert_array_equal(near, np.full(ELEMENTS - 5000, 2.0))


def test_results_can_be_resized(double: Callable[..., Any]) -> None:
    y = double(np.arange(float(ELEMENTS)))
    y.resize(100, refcheck=False)
    np.testing.assert_array_equal(y, 2 * np.arange(100.0))
    y.resize(2 * ELEMENTS, refcheck=False)
    np.testing.assert_array_equal(y[:100], 2 * np.arange(100.0))
    np.testing.assert_array_equal(y[100:], 0)
    del y
    assert memory.kept_bytes() == 3 * SIZE


def test_small_results_are_numpys(double: Callable[..., Any]) -> None:
    assert get_handler_name(double(np.ones(1000))) == "default_allocator"


@pytest.mark.parametrize("backend", ["llvm", "numba"])
def test_more_than_there_is(backend: str) -> None:
    available = memory.available_memory()
    assert available is not None
    side = int((available / 8) ** 0.5 * 1.2)
    outer = tracer.jit(lambda x: x[:, None] * x, backend=backend)
    with pytest.raises(MemoryError, match=rf"needs {8 * side * side} bytes .* are available"):
        outer(np.ones(side))
    with pytest.raises(MemoryError, match=rf"needs {8 * side * side} bytes"):
        outer(np.ones(side))
    assert outer(np.ones(3)).shape == (3, 3)


def test_limit_of_a_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, blocks: memory.Blocks
) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    monkeypatch.setattr(memory, "_CONTROL_GROUP", tmp_path)
    trim_workspace()
    assert memory.available_memory() == 600_000
    assert memory.memory_error(600_000, "it") is None
    assert "it needs 600001 bytes" in str(memory.memory_error(600_001, "it"))
    monkeypatch.setattr(memory, "_MEMORY_FILE", tmp_path / "none")
    assert memory.available_memory() is None


def test_workspace_is_kept() -> None:
    trim_workspace()
    function = tracer.jit(lambda x: (lambda y: y / np.sum(y))(np.exp(x)[::-1]))
    function(np.ones(ELEMENTS))
    kept = workspace_size()
    function(np.ones(ELEMENTS))
    assert workspace_size() == kept
    trim_workspace()
    assert workspace_size() == 0


def test_a_million_calls_leave_nothing() -> None:
    """Resident memory, after a first round that fills what is kept."""
    function = tracer.jit(tracer.grad(lambda x, p: np.sum(np.sin(x) * p["a"][0])))
    x, p = np.ones(10), {"a": (2.0, None)}

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    for _ in range(100_000):
        function(x, p)
    before = peak()
    for _ in range(1_000_000):
        function(x, p)
    assert peak() - before < 4096, "kilobytes; one byte a call is 1000"
