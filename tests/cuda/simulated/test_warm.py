"""Schedules on disk: the next process neither lowers nor plans, and does the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda import warm
from codegen.cuda.driver import choose_driver
from tracer import config

X = np.random.default_rng(0).normal(size=(6, 5))


def scanned(x: Any) -> Any:
    """A loop that is the host's where a kernel is little work."""
    final, _ = tracer.scan(lambda carry, _: (np.sin(carry @ x.T @ x), None), x, None, length=3)
    return final.sum()


def doubled(x: Any) -> Any:
    """A loop of which only the device knows when it ends."""
    body = lambda carry: (carry[0] * 1.5, carry[1] + 1)  # noqa: E731
    return tracer.while_loop(lambda carry: carry[0].sum() < 100, body, (abs(x), 0))[0]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "gradient": tracer.grad(lambda x: np.log(np.exp(x).sum(axis=1)).sum()),
    "constant": lambda x: x * np.arange(5.0),
    "scan": tracer.grad(scanned),
    "while": doubled,
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """A cache folder of the test's own; passes are not checked, as with users."""
    before = {name: config.get(name) for name in ("cache_dir", "check")}
    config.set("cache_dir", str(tmp_path / "cache"))
    config.set("check", "")
    yield tmp_path / "cache"
    for name, value in before.items():
        config.set(name, value)


def first_call(function: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    """The result of a new jitted function, and its executable."""
    compiled = tracer.jit(function, backend="cuda")
    result = compiled(*args)
    (executable,) = compiled._entries.values()
    return result, executable


def no_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lowering a graph is an error from now on."""

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("lowered again")

    monkeypatch.setattr("codegen.compile.lower_with_places", refuse)


@pytest.mark.parametrize("small", [None, 16])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_known_graph_is_not_lowered(
    name: str, small: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = choose_driver()
    if small is not None:
        monkeypatch.setattr(driver, "machine", replace(driver.machine, small=small))
    cold, made = first_call(FUNCTIONS[name], X)
    assert made.executable.origin == "compiled"
    no_lowering(monkeypatch)
    loaded_result, loaded = first_call(FUNCTIONS[name], X)
    assert loaded.executable.origin == "disk"
    assert {"trace", "simplify", "load"} == loaded.timings.keys()
    np.testing.assert_array_equal(cold, loaded_result)
    assert loaded_result.dtype == cold.dtype


def test_errors_of_a_loaded_schedule_name_the_line() -> None:
    def taken(x: Any, places: Any) -> Any:
        return x[places]

    messages = []
    for _ in range(2):
        with pytest.raises(IndexError, match="index 40 is out of bounds") as caught:
            first_call(taken, X[:, 0], np.array([1, 40]))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_large_constants_are_not_stored(folder: Path) -> None:
    table = np.arange(10_000.0)
    for _ in range(2):
        _, compiled = first_call(lambda x: x[0, 0] * table.sum() + table[:3], X)
        assert compiled.executable.origin in ("compiled", "disk")
    assert all(path.stat().st_size < 80_000 for path in folder.glob("*.bin"))


def test_a_schedule_for_another_machine_is_another() -> None:
    graph = tracer.jit(FUNCTIONS["gradient"]).trace(X).graph
    machine = choose_driver().machine
    keys = {warm.key_of(graph, machine), warm.key_of(graph, replace(machine, small=7))}
    assert len(keys) == 2
    assert None not in keys
    config.set("check", "1")
    assert warm.key_of(graph, machine) is None


def test_what_is_damaged_is_made_anew(folder: Path) -> None:
    first_call(FUNCTIONS["constant"], X)
    for path in folder.glob("*.bin"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    result, compiled = first_call(FUNCTIONS["constant"], X)
    assert compiled.executable.origin == "compiled"
    np.testing.assert_array_equal(result, X * np.arange(5.0))


def test_the_order_of_sums_belongs_to_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tracer.jit(tracer.grad(lambda x: x[np.zeros(9, int)].sum())).trace(X).graph
    machine = choose_driver().machine
    found = {warm.key_of(graph, machine)}
    monkeypatch.setattr(config.SWITCHES["scatter"], "value", "atomic")
    found.add(warm.key_of(graph, machine))
    assert len(found) == 2
    assert None not in found
