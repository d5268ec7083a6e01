"""What a call of a compiled function costs the host, counted: launches, memory, replays."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda.calls import SPARE
from codegen.cuda.counting_driver import CountedArray, CountedGlance, CountingDriver
from codegen.cuda.program import CudaProgram
from codegen.device.schedule import Repeat
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer.errors import DeviceMemoryError

Function = Callable[..., Any]


class Counted:
    """A function compiled for the counting driver."""

    def __init__(self, function: Function, *args: Any) -> None:
        graph = tracer.jit(function).trace(*args).graph
        self.driver = CountingDriver()
        program = optimize(lower_graph(graph, "device"), "device")
        self.program = CudaProgram(program, self.driver)

    def inputs(self) -> list[CountedArray]:
        """New arrays on the device."""
        buffers = self.program.schedule.inputs
        return [self.driver.empty(buffer.shape, buffer.dtype) for buffer in buffers]

    def call(self, inputs: Sequence[Any]) -> tuple[list[Any], Counter[str]]:
        """The outputs, and what they cost."""
        before = self.driver.counts.copy()
        outputs = self.program(inputs)
        return outputs, self.driver.counts - before


def network(parameters: Any, x: Any) -> Any:
    for weights, bias in parameters:
        x = np.tanh(x @ weights + bias)
    return np.sum(x * x)


def make_network(layers: int = 4, width: int = 64) -> Counted:
    parameters = [(np.ones((width, width)), np.ones(width)) for _ in range(layers)]
    return Counted(tracer.grad(network), parameters, np.ones((32, width)))


def test_a_call_settles_at_one_replay() -> None:
    counted = make_network()
    inputs = counted.inputs()
    _, first = counted.call(inputs)
    assert first["launch"] + first["call"] > 5
    for _ in range(3):
        _, later = counted.call(inputs)
    assert later == {"replay": 1}


def test_a_training_loop_settles_too() -> None:
    counted = make_network()
    held = counted.inputs()
    count = len(counted.program.schedule.outputs)
    total: Counter[str] = Counter()
    for turn in range(20):
        outputs, cost = counted.call(held)
        held = [*outputs, *held[count:]]
        del outputs
        if turn >= 10:
            total += cost
    assert total == {"replay": 10}


def test_arrays_of_the_host_are_copied_in_each_call() -> None:
    counted = Counted(lambda x, y: np.sin(x) * y, np.ones(8), np.ones(8))
    there = counted.inputs()
    _, cost = counted.call([np.ones(8), there[1]])
    assert cost["upload"] == 1


def test_memory_of_calls_comes_back() -> None:
    counted = make_network()
    driver = counted.driver
    gc.collect()
    constants = driver.live
    for turn in range(5):
        inputs = counted.inputs()
        outputs, _ = counted.call(inputs)
        del inputs, outputs
        gc.collect()
        if turn == 0:
            kept = driver.live
        assert driver.live == kept, "inputs are not kept, and outputs are used again"
    counted.program.idle.clear()
    gc.collect()
    assert driver.live == constants


def test_large_outputs_are_not_kept() -> None:
    counted = Counted(lambda x: x * 2.0, np.ones(SPARE // 8 + 1))
    inputs = counted.inputs()
    live = counted.driver.live
    for _ in range(3):
        outputs, cost = counted.call(inputs)
        assert cost["allocate"] == 1
        del outputs
        assert counted.driver.live == live


@pytest.mark.parametrize("width", [64, 256])
def test_too_little_memory_leaks_nothing(width: int) -> None:
    counted = make_network(width=width)
    driver, inputs = counted.driver, counted.inputs()
    outputs, _ = counted.call(inputs)
    needed = driver.peak
    del outputs
    gc.collect()
    live = driver.live
    for limit in range(live + 256, needed, max(256, (needed - live) // 7)):
        driver.limit = limit
        with pytest.raises(DeviceMemoryError, match="bytes are asked for where"):
            counted.call(inputs)
        gc.collect()
        assert driver.live == live
    driver.limit = needed
    outputs, _ = counted.call(inputs)
    assert len(outputs) == len(counted.program.schedule.outputs)


def test_more_elements_than_32_bits_count() -> None:
    size = 2**32 + 8
    shape = tracer.tree.leaves(np.broadcast_to(np.float64(0), (size,)))
    counted = Counted(lambda x: np.cumsum(x)[-1] + np.sum(np.sin(x)), *shape)
    _, cost = counted.call(counted.inputs())
    assert cost["launch"] >= 1
    assert counted.driver.peak >= 8 * size


def test_an_interrupted_call_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = make_network()
    driver, inputs = counted.driver, counted.inputs()
    for _ in range(3):
        counted.call(inputs)
    replay, live = CountingDriver.replay, driver.live

    def interrupted(self: CountingDriver, graph: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CountingDriver, "replay", interrupted)
    with pytest.raises(KeyboardInterrupt):
        counted.call(inputs)
    monkeypatch.setattr(CountingDriver, "replay", replay)
    gc.collect()
    assert driver.live < live, "the place of the call is not used again"
    for _ in range(3):
        counted.call(inputs)
    assert driver.live == live


def test_a_loop_of_the_host_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = make_network()
    program, driver = counted.program, counted.driver
    schedule = program.schedule
    bound = next(iter(schedule.offsets))
    looped = replace(schedule, steps=(Repeat("turn", 0, bound, False, schedule.steps),))
    monkeypatch.setattr(program, "schedule", looped)
    five = CountedGlance(driver, [np.array([5])])
    monkeypatch.setattr(driver, "glance", lambda spans: five)
    inputs = counted.inputs()
    counted.call(inputs)
    live, launch, left = driver.live, CountingDriver.replay, [2]

    def interrupted(self: CountingDriver, graph: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        launch(self, graph)

    monkeypatch.setattr(CountingDriver, "replay", interrupted)
    with pytest.raises(KeyboardInterrupt):
        counted.call(inputs)
    gc.collect()
    assert driver.live < live
    counted.call(inputs)
    assert driver.live == live
