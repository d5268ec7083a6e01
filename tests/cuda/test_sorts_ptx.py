"""Sorts as they are for a GPU: which kernels they are, what these take, and what they move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.assemble import figures
from codegen.cuda.explain import plan_graph
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Launch, Repeat, Step
from codegen.device.traffic import schedule_traffic

MACHINE = DeviceMachine()
REGISTERS = {(8, 0): 224, (9, 0): 144, (10, 0): 144}
"""Of a thread, at most; with 256 threads a processor has 256 each for one block."""
Function = Callable[..., Any]


def zeros(*shape: int, dtype: str = "f4") -> Any:
    return np.broadcast_to(np.zeros((), dtype), shape)


def launches(steps: Sequence[Step]) -> Iterator[Launch]:
    """All launches, those of loops once."""
    for step in steps:
        if isinstance(step, Repeat):
            yield from launches(step.body)
        elif isinstance(step, Launch):
            yield step


def planned(f: Function, *args: Any) -> tuple[Step, ...]:
    return plan_graph(tracer.jit(f).trace(*args).graph, MACHINE).steps


def kinds(steps: Sequence[Step]) -> list[str]:
    """What the kernels of sorts do."""
    return [step.plan.sort.step for step in launches(steps) if step.plan and step.plan.sort]


def places(x: Any) -> Any:
    return np.argsort(x, axis=-1, kind="stable")


ALL = ["count", "offsets", "move"]
PROGRAMS: dict[str, tuple[Function, Any, list[str]]] = {
    "keys": (np.sort, zeros(10**6), ALL),
    "halves": (np.sort, zeros(10**6, dtype="f2"), ALL),
    "bytes": (places, zeros(10**6, dtype="i1"), ALL),
    "places": (places, zeros(10**6, dtype="i4"), ALL),
    "long places": (places, zeros(10**6, dtype="f8"), ALL),
    "rows": (np.sort, zeros(1000, 1000), ["rows"]),
    "places in rows": (places, zeros(1000, 4096), ["rows"]),
    "long rows": (np.sort, zeros(1000, 2048, dtype="u8"), ["rows"]),
    "greatest": (lambda x: np.sort(x)[:, -5:], zeros(100, 1000), ["few", "rows"]),
    "many": (lambda x: places(x)[-50:], zeros(10**6), ["few", "few", "rows"]),
    "median": (np.median, zeros(10**6), ["sift", "offsets", "choose"]),
    "quartiles": (
        lambda x: np.quantile(x, [0.25, 0.5, 0.75], axis=0),
        zeros(10**5, 3, dtype="f8"),
        ["sift", "offsets", "choose"],
    ),
    "medians": (lambda x: np.median(x, axis=1), zeros(1000, 1000), ["pick"]),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_kernels_keep_their_keys_in_registers(name: str) -> None:
    f, x, expected = PROGRAMS[name]
    steps = planned(f, x)
    assert kinds(steps) == expected
    for launch in launches(steps):
        kernel = launch.kernel
        if launch.plan is None or launch.plan.sort is None:
            continue
        for capability in REGISTERS:
            ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, capability)
            found = figures(ptx, capability)
            assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)
            assert found.registers <= REGISTERS[capability]
            assert found.shared <= MACHINE.shared


def added(x: Any, i: Any, terms: Any) -> Any:
    y = x.copy()
    np.add.at(y, i, terms)
    return y


N = 10**7
MOVED: dict[str, tuple[Function, tuple[Any, ...], float]] = {
    # Each of four passes reads keys twice and writes them once; places are as long as keys.
    "keys": (np.sort, (zeros(N),), 12.3),
    "long keys": (np.sort, (zeros(N, dtype="f8"),), 24.3),
    "places": (places, (zeros(N),), 19.3),
    "rows": (np.sort, (zeros(10_000, 1000),), 2.1),
    "greatest": (lambda x: np.sort(x)[-8:], (zeros(N),), 1.1),
    "greatest of rows": (lambda x: places(x)[:, -8:], (zeros(10_000, 1000),), 1.1),
    "median": (np.median, (zeros(N),), 4.6),
    "medians": (lambda x: np.median(x, axis=1), (zeros(100_000, 100),), 1.2),
}


@pytest.mark.parametrize("name", MOVED)
def test_sorts_move_keys_as_often_as_there_are_passes(name: str) -> None:
    """How many times the size of the keys."""
    f, args, most = MOVED[name]
    moved = schedule_traffic(planned(f, *args), MACHINE)
    least = args[0].size * args[0].dtype.itemsize
    assert moved.asked <= most * least
    assert moved.coalescing >= 0.7


def test_places_of_sums_are_sorted_by_as_many_bits_as_they_have() -> None:
    args = (zeros(1000), zeros(10**6, dtype="i8"), zeros(10**6))
    steps = planned(added, *args)
    (step,) = [
        s.plan.sort
        for s in launches(steps)
        if s.plan and s.plan.sort and s.plan.sort.step == "move"
    ]
    assert step.passes * step.width == 10
