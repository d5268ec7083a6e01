"""Compiled graphs on disk: found by the next process, and by nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.graph_key import graph_key
from codegen.render.llvm_code import forget_code
from tests.codegen.test_sizes import PROGRAMS
from tracer import config


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cache folder of the test's own; passes are not checked, as with users."""
    before = {name: config.get(name) for name in ("cache_dir", "check")}
    config.set("cache_dir", str(tmp_path / "cache"))
    config.set("check", "")
    forget_code()
    yield tmp_path / "cache"
    for name, value in before.items():
        config.set(name, value)


def first_call(function: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    """The result of a new jitted function in what is like a new process, and its executable."""
    forget_code()
    f = tracer.jit(function, backend="llvm", parallel=False)
    result = f(*args)
    (compiled,) = f._entries.values()
    return result, compiled


def no_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowering a graph is an error from now on."""

    def refuse(graph: Any) -> Any:
        raise AssertionError("lowered again")

    monkeypatch.setattr("codegen.compile.lower_graph", refuse)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_known_graph_is_not_lowered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, shapes = PROGRAMS[name]
    x = np.random.default_rng(3).normal(size=shapes[0])
    cold, made = first_call(function, x)
    assert made.executable.origin == "compiled"
    assert {"lower", "optimize", "compile"} <= made.timings.keys()
    no_lowering(monkeypatch)
    warm, loaded = first_call(function, x)
    assert loaded.executable.origin == "disk"
    assert {"trace", "simplify", "load"} == loaded.timings.keys()
    for one, other in zip(tracer.tree.leaves(cold), tracer.tree.leaves(warm), strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_loaded_code_serves_other_sizes() -> None:
    function, _ = PROGRAMS["log-sum-exp"]
    first_call(function, np.ones((100, 40)))
    f = tracer.jit(function, backend="llvm", parallel=False)
    forget_code()
    f(np.ones((100, 40)))
    f(np.ones((70, 55)))
    info = f.cache_info()
    assert (info.compiles, info.loaded, info.reused, info.reasons) == (0, 1, 1, ())


def test_cost_is_known_of_loaded_code() -> None:
    function, _ = PROGRAMS["sum"]
    _, made = first_call(function, np.ones((100, 5)))
    _, loaded = first_call(function, np.ones((100, 5)))
    assert made.cost() == loaded.cost()


def test_errors_of_loaded_code_name_the_line() -> None:
    def taken(x: Any, places: Any) -> Any:
        return x[places]

    x, places = np.ones((40, 2)), np.array([1, 40])
    messages = []
    for _ in range(2):
        with pytest.raises(IndexError, match="index 40 is out of bounds") as caught:
            first_call(taken, x, places)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_constants_are_stored_with_the_code() -> None:
    table = np.arange(50.0) * 1.5

    def looked_up(x: Any) -> Any:
        return x * table

    for origin in ("compiled", "disk"):
        result, compiled = first_call(looked_up, np.full(50, 2.0))
        assert compiled.executable.origin == origin
        np.testing.assert_array_equal(result, table * 2)
    table = table + 1
    result, compiled = first_call(looked_up, np.full(50, 2.0))
    np.testing.assert_array_equal(result, table * 2)


def test_large_constants_are_not_stored(folder: Path) -> None:
    table = np.arange(100_000.0)
    for _ in range(2):
        result, _ = first_call(lambda x: x * table, np.full(100_000, 2.0))
        np.testing.assert_array_equal(result, table * 2)
    assert all(path.stat().st_size < 100_000 for path in folder.glob("*.bin"))


def graph_of(function: Callable[..., Any], *args: Any) -> Any:
    return tracer.jit(function).trace(*args).graph


def test_keys_tell_graphs_apart() -> None:
    x = np.ones(50)
    functions: list[tuple[Callable[..., Any], Any]] = [
        (lambda x: x * 2.0, x),
        (lambda x: x * 2.5, x),
        (lambda x: x + 2.0, x),
        (lambda x: x * 2.0, np.ones(51)),
        (lambda x: x * 2.0, np.ones(50, np.float32)),
        (lambda x: np.sum(x, axis=0), x),
        (lambda x: np.sum(x[None], axis=0), x),
        (lambda x: x[1:], x),
        (lambda x: x[:-1], x),
        (lambda x: x[::-1], x),
        (lambda x: tracer.fori_loop(0, 3, lambda i, c: c * 2.0, x), x),
        (lambda x: tracer.fori_loop(0, 3, lambda i, c: c * 3.0, x), x),
        (lambda x: tracer.fori_loop(0, 4, lambda i, c: c * 3.0, x), x),
        (lambda x: x * np.array([0.0] * 50), x),
        (lambda x: x * np.array([-0.0] * 50), x),
    ]
    keys = [graph_key(graph_of(function, value)) for function, value in functions]
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_the_same_graph_has_the_same_key() -> None:
    def doubled(x: Any) -> Any:
        return x * 2.0

    x = np.ones(50)
    assert graph_key(graph_of(doubled, x)) == graph_key(graph_of(doubled, x))


def test_a_graph_that_calls_python_has_no_key(folder: Path) -> None:
    seen: list[float] = []

    def noted(x: Any) -> Any:
        seen.append(float(np.sum(x)))
        return np.asarray(x) * 2.0

    black_box = tracer.primitive(noted, out=lambda x: x)
    assert graph_key(graph_of(lambda x: black_box(x) + 1.0, np.ones(40))) is None
    for _ in range(2):
        result, _ = first_call(lambda x: black_box(x) + 1.0, np.ones(40))
        np.testing.assert_array_equal(result, np.full(40, 3.0))
    assert len(seen) == 2


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_made_anew(folder: Path, damage: str) -> None:
    function, _ = PROGRAMS["gradient"]
    x = np.random.default_rng(3).normal(size=500)
    expected, _ = first_call(function, x)
    for path in folder.glob("*.bin"):
        content = path.read_bytes()
        changed = {"cut": content[:-9], "flip": content[:-1] + b"?", "empty": b""}[damage]
        path.write_bytes(changed)
    got, compiled = first_call(function, x)
    assert compiled.executable.origin == "compiled"
    np.testing.assert_array_equal(got, expected)
    got, compiled = first_call(function, x)
    assert compiled.executable.origin == "disk", "the file has been mended"
