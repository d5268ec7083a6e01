"""While loops with steps for the whole device: turns that are asked for before it is known that
they run, branches that do nothing, tapes that grow within a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.ahead import _Watched
from codegen.cuda.program import CudaProgram, _Call
from codegen.cuda.simulator_driver import SimulatorDriver
from codegen.device.machine import SIMULATED
from codegen.device.schedule import Choose, Library, RepeatWhile, Step
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tests.helpers import assert_near

RNG = np.random.default_rng(5)
VECTOR = RNG.uniform(0.5, 1.5, 6)
LONG = RNG.normal(size=(2, 1100)) * 0.03
MATRIX = RNG.normal(size=(5, 5)) * 0.3


def halved(x: Any) -> Any:
    """Some ten turns."""
    while np.sum(np.abs(x)) > 1e-2:
        x = 0.5 * x * np.cos(x)
    return np.sum(x * x), x


def never(x: Any) -> Any:
    while np.sum(x) < 0.0:
        x = x - 1.0
    return x * 2.0


def products(a: Any, x: Any) -> Any:
    while np.sum(np.abs(x)) > 0.1:
        x = np.tanh(a @ x) * 0.7
    return x


def long_products(a: Any, b: Any, x: Any) -> Any:
    """The sums of the inner product are too long for a kernel of its own: it is a library's."""
    while np.sum(np.abs(x)) > 0.1:
        x = np.tanh(b @ (a @ x)) * 0.3
    return x


def out_of_bounds(x: Any) -> Any:
    place = 0
    while np.sum(np.abs(x)) > 1e-9:
        x = 0.5 * x + 0.1 * x[place]
        place = place + 1
    return x


def branches(x: Any) -> Any:
    while np.sum(np.abs(x)) > 0.1:
        x = tracer.cond(x[0] > x[1], lambda v: v * 0.4, lambda v: np.sin(v) * 0.8 - 0.02 * v, x)
    return x


def nested(x: Any) -> Any:
    while np.sum(np.abs(x)) > 0.5:
        y = x
        while np.sum(y) > 1.0:
            y = y * 0.6
        x = x * 0.5 + 0.1 * y
    return x


def total_of(function: Callable[..., Any]) -> Callable[..., Any]:
    def total(*inputs: Any) -> Any:
        return sum(np.sum(leaf) for leaf in tracer.tree.leaves(function(*inputs)))

    return total


class Compiled:
    """A function for a device so small that each of its statements is a kernel's worth."""

    def __init__(self, function: Callable[..., Any], *inputs: Any) -> None:
        self.inputs = list(inputs)
        self.due = tracer.tree.leaves(tracer.jit(function, backend="numpy")(*inputs))
        graph = tracer.jit(function).trace(*inputs).graph
        self.driver = SimulatorDriver()
        self.driver.machine = replace(SIMULATED, small=2)
        program = optimize(lower_graph(graph, "device"), "device")
        self.program = CudaProgram(program, self.driver)

    def check(self) -> None:
        """Values in a first call, when libraries set themselves up, and in replays."""
        for _ in range(3):
            found = self.program(self.inputs)
            for one, other in zip(found, self.due, strict=True):
                assert_near(one, np.asarray(other), 1e-12)

    def whiles(self) -> list[RepeatWhile]:
        return [step for step in every(self.program.schedule.steps) if type(step) is RepeatWhile]


def every(steps: Sequence[Step]) -> list[Step]:
    found: list[Step] = []
    for step in steps:
        found.append(step)
        for name in ("test", "body", "then", "otherwise"):
            found += every(getattr(step, name, ()))
    return found


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], list[bool]]] = {
    "halved": (halved, (VECTOR,), [True]),
    "never": (never, (VECTOR,), [True]),
    "products": (products, (MATRIX, MATRIX), [True]),
    "long_products": (long_products, (LONG, LONG.T.copy(), RNG.normal(size=(1100, 2))), [True]),
    "branches": (branches, (VECTOR,), [True]),
    "nested": (nested, (VECTOR,), [False, True]),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    function, inputs, ahead = CASES[name]
    compiled = Compiled(function, *inputs)
    assert [loop.ahead for loop in compiled.whiles()] == ahead
    compiled.check()


@pytest.mark.parametrize("name", CASES)
def test_gradients(name: str) -> None:
    function, inputs, _ = CASES[name]
    places = tuple(range(len(inputs)))
    Compiled(tracer.grad(total_of(function), places), *inputs).check()


def test_a_library_runs_in_the_loop() -> None:
    function, inputs, _ = CASES["long_products"]
    (loop,) = Compiled(function, *inputs).whiles()
    assert any(isinstance(step, Library) for step in loop.body)


def test_an_error_ends_the_loop() -> None:
    graph = tracer.jit(out_of_bounds).trace(VECTOR).graph
    driver = SimulatorDriver()
    driver.machine = replace(SIMULATED, small=2)
    program = CudaProgram(optimize(lower_graph(graph, "device"), "device"), driver)
    assert program.schedule.status is not None
    for _ in range(3):
        with pytest.raises(IndexError, match="index 6 is out of bounds"):
            program([VECTOR])


def test_no_branch_waits_for_the_host() -> None:
    steps = every(Compiled(branches, VECTOR).program.schedule.steps)
    assert not any(isinstance(step, Choose) for step in steps)


@pytest.mark.parametrize("name", ["halved", "products", "long_products", "branches"])
def test_tapes_grow_within_a_call(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, inputs, _ = CASES[name]
    paused: list[int] = []
    runs: list[_Call] = []
    run, make_room = _Call.run, _Watched.make_room

    def counted_run(self: _Call, *args: Any) -> bool:
        runs.append(self)
        return run(self, *args)

    def counted_room(self: _Watched) -> None:
        paused.append(self.needed[1])
        make_room(self)

    monkeypatch.setattr(_Call, "run", counted_run)
    monkeypatch.setattr(_Watched, "make_room", counted_room)
    monkeypatch.setattr("codegen.cuda.program.FIRST_ROOM", 2)
    compiled = Compiled(tracer.grad(total_of(function)), *inputs)
    compiled.check()
    assert len(runs) == 3, "no call was run again"
    assert paused == [3, 5, 9][: len(paused)]
    assert len(paused) >= 2
    largest = max(compiled.program.room.values())
    assert largest == 2 ** (len(paused) + 1)
