"""Sums by index in every form of kernels that they get, in the simulator: sorted, in lanes, by
atomic operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from codegen.cuda.program import CudaProgram
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import SIMULATED, DeviceMachine
from codegen.device.schedule import kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes import segment_sums
from codegen.passes.pipeline import optimize
from tracer import config, grad, jit, scan, vmap

random = np.random.default_rng(7)
Function = Callable[..., Any]


def tiny(small: int = 0, serial: int = 0) -> DeviceMachine:
    return DeviceMachine(
        warp=2, threads=4, processors=2, small=small, serial=serial, simulated=True
    )


def run(function: Function, *inputs: Any, machine: DeviceMachine) -> str:
    """The kernels' text; the values are NumPy's, but for the order of sums."""
    driver = SimulatorDriver()
    driver.machine = machine
    graph = jit(function).trace(*inputs).graph
    compiled = CudaProgram(optimize(lower_graph(graph, "device"), "device"), driver)
    (found,) = compiled([np.asarray(value) for value in inputs])
    result = driver.download(found)
    due = np.asarray(jit(function, backend="numpy")(*inputs))
    assert result.dtype == due.dtype
    exact = due.dtype.kind in "iu"
    least = 0.0 if exact else 16 * float(np.finfo(due.dtype).eps)  # of sums of fewer terms
    np.testing.assert_allclose(result, due, rtol=least, atol=least)
    return "\n".join(kernel.source for kernel in kernels_of(compiled.schedule.steps))


def at(name: str) -> Function:
    def changed(x: Any, i: Any, v: Any) -> Any:
        y = x.copy()
        getattr(np, name).at(y, i, v)
        return y

    return changed


def written(x: Any, i: Any, v: Any) -> Any:
    y = x.copy()
    y[i] = v
    return y


def scanned(x: Any, i: Any, v: Any) -> Any:
    def step(carry: Any, turn: Any) -> Any:
        return at("add")(carry, *turn), None

    return scan(step, x, (i, v))[0]


def numbers(*shape: int) -> Any:
    return random.normal(size=shape)


def places(extent: int, *shape: int) -> Any:
    return random.integers(-extent, extent, shape)


CASES: dict[str, tuple[Any, ...]] = {
    "scalars": (at("add"), numbers(5), places(5, 23), numbers(23)),
    "float32": (at("add"), numbers(5).astype("f4"), places(5, 9), numbers(9).astype("f4")),
    "rows": (at("add"), numbers(4, 3), places(4, 17), numbers(17, 3)),
    "rows of embeddings": (grad(lambda x, i: (x[i] ** 2).sum()), numbers(4, 9), places(4, 11)),
    "columns": (grad(lambda x, i: (x[:, i] ** 2).sum()), numbers(3, 5), places(5, 13)),
    "parts of rows": (grad(lambda x, i: (x[i, 1:3] ** 2).sum()), numbers(4, 5), places(4, 13)),
    "two places": (
        grad(lambda x, i, j: (x[i, j] ** 2).sum()),
        numbers(4, 3),
        places(4, 19),
        places(3, 19),
    ),
    "places around": (
        grad(lambda x, i, j: (x[i, :, j] ** 2).sum()),
        numbers(3, 2, 3),
        places(3, 13),
        places(3, 13),
    ),
    "along rows": (
        grad(lambda x, i: (np.take_along_axis(x, i, 1) ** 2).sum()),
        numbers(2, 5),
        places(5, 2, 17),
    ),
    "along columns": (
        grad(lambda x, i: (np.take_along_axis(x, i, 0) ** 2).sum()),
        numbers(5, 2),
        places(5, 17, 2),
    ),
    "batched": (vmap(at("add")), numbers(2, 4), places(4, 2, 13), numbers(2, 13)),
    "batched rows": (vmap(at("add")), numbers(2, 3, 2), places(3, 2, 9), numbers(2, 9, 2)),
    "twice batched": (
        vmap(vmap(at("add"))),
        numbers(1, 2, 3),
        places(3, 1, 2, 9),
        numbers(1, 2, 9),
    ),
    "in a scan": (scanned, numbers(4), places(4, 2, 9), numbers(2, 9)),
    "extremes": (at("maximum"), numbers(4), places(4, 13), numbers(13)),
    "complex": (at("add"), numbers(4) + 1j, places(4, 13), numbers(13) * 2j),
    "halves": (at("add"), np.zeros(4, "f2"), places(4, 9), np.arange(9).astype("f2")),
    "integers": (at("add"), np.zeros(4, "i8"), places(4, 19), np.arange(19)),
    "least integers": (
        at("minimum"),
        np.zeros(4, "i4"),
        places(4, 9),
        np.arange(-5, 4, dtype="i4"),
    ),
    "written": (written, numbers(5), places(5, 17), numbers(17)),
    "written rows": (written, numbers(5, 2), places(5, 9), numbers(9, 2)),
    "batched writes": (vmap(written), numbers(2, 4), places(4, 2, 13), numbers(2, 13)),
    "one a row": (grad(lambda z, y: (z[np.arange(7), y] ** 2).sum()), numbers(7, 3), places(3, 7)),
}
FLOATS = ("scalars", "float32", "rows", "columns", "two places", "complex", "halves")
LANES = ("batched", "batched rows", "along columns")


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few terms are long, and each place has many."""
    monkeypatch.setattr(segment_sums, "LONGEST", 4)


@pytest.fixture
def atomic() -> Iterator[None]:
    """The switch for sums by atomic operations."""
    config.set("scatter", "atomic")
    yield
    config.set("scatter", "sorted")


@pytest.mark.parametrize("name", CASES)
def test_on_a_device_of_the_usual_size(name: str) -> None:
    function, *inputs = CASES[name]
    run(function, *inputs, machine=SIMULATED)


@pytest.mark.parametrize("small", [64, 4096], ids=["grids", "one block"])
@pytest.mark.parametrize("name", [*FLOATS, *LANES, "extremes", "parts of rows"])
def test_few_places_look_for_their_terms(name: str, small: int) -> None:
    function, *inputs = CASES[name]
    text = run(function, *inputs, machine=tiny(small=small))
    assert "cuda.atomic.add" not in text


@pytest.mark.parametrize("name", CASES)
def test_sorted(name: str) -> None:
    function, *inputs = CASES[name]
    text = run(function, *inputs, machine=tiny())
    added = "cuda.atomic.add" in text
    assert added == (name == "integers")


@pytest.mark.parametrize("often", [1, 100], ids=["dense", "sparse"])
@pytest.mark.parametrize("name", [*FLOATS, *LANES, "extremes"])
@pytest.mark.usefixtures("short_parts")
def test_long_segments(name: str, often: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_sums, "OFTEN", often)
    function, *inputs = CASES[name]
    run(function, *inputs, machine=tiny())


@pytest.mark.parametrize("name", ["rows", "columns", *LANES])
def test_few_terms_are_added_in_order(name: str) -> None:
    function, *inputs = CASES[name]
    text = run(function, *inputs, machine=tiny(serial=30))
    assert "cuda.atomic.add" not in text


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("atomic")
def test_by_atomic_operations(name: str) -> None:
    function, *inputs = CASES[name]
    text = run(function, *inputs, machine=tiny())
    if name in FLOATS:
        assert "cuda.atomic.add" in text


@pytest.mark.parametrize("name", ["scalars", "rows", "batched", "written", "integers"])
@pytest.mark.usefixtures("atomic")
def test_one_block_adds_by_atomic_operations(name: str) -> None:
    function, *inputs = CASES[name]
    text = run(function, *inputs, machine=tiny(small=10_000))
    assert "cuda.atomic." in text
    assert text.count("def kernel_") == 1


@pytest.mark.parametrize("count", [9, 80], ids=["short", "long"])
@pytest.mark.parametrize("machine", [SIMULATED, tiny(), tiny(small=2000)], ids=str)
@pytest.mark.parametrize("switch", ["sorted", "atomic"])
def test_a_place_out_of_bounds_is_an_error(
    switch: str, machine: DeviceMachine, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.SWITCHES["scatter"], "value", switch)
    where = places(4, count)
    where[count // 2] = 4
    with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
        run(at("add"), numbers(4), where, numbers(count), machine=machine)
