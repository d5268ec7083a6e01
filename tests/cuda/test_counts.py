"""What a call of each workload of the GPU's table costs the host: launches, memory, replays.

Counted by a driver that runs nothing. The first call launches one by one; the second, at the same
addresses, captures all that stands between two decisions of the host as a graph; from then on a
call is a replay of each, and where it may fail a status that is set to zero and read. Memory for
outputs, and for workspace once, is all that is ever allocated.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
from bench.gpu.workloads import load_cases
from bench.subjects import TRACER
from codegen.cuda.counting_driver import CountingDriver
from codegen.cuda.explain import launch_count
from codegen.cuda.program import CudaProgram
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize

CASES = {case.name: case for case in load_cases()}


class Most(NamedTuple):
    """Launches and library calls of a call of the tiny and of the medium size, at most; graphs, and
    status words that the host reads, in one."""

    tiny: int
    medium: int
    replays: int = 1
    reads: int = 0


MOST = {
    "chain": Most(2, 2),  # the sum of all of one block's partial sums
    "logsumexp": Most(6, 7),  # the largest, the sum, the gradient, each of two stages
    "softmax-cross-entropy": Most(3, 3, reads=1),
    "layer-norm": Most(5, 6),
    "gmm": Most(10, 20),
    "kmeans": Most(4, 4),
    "greeks": Most(1, 1),
    "mlp": Most(8, 17),
    "conv": Most(14, 26),
    "ode": Most(2, 3004, replays=2),  # 1000 steps of three kernels: a graph has 2048 launches
    "segment-sums": Most(5, 13, reads=1),  # few terms are compared with places, not sorted
    "column-sums": Most(1, 2),
    "cumsum": Most(2, 6),
    "sort": Most(10, 17),
    "normal": Most(1, 1),
}


def compiled(name: str, size_name: str) -> tuple[CudaProgram, CountingDriver]:
    """A workload's program on the driver that counts."""
    case = CASES[name]
    size = case.sizes[size_name]
    function = case.program.make(TRACER, case.workload.build(size))
    graph = tracer.jit(function).trace(*case.inputs(size, "float32")).graph
    return placed(graph)


def placed(graph: Any) -> tuple[CudaProgram, CountingDriver]:
    driver = CountingDriver()
    return CudaProgram(optimize(lower_graph(graph, "device"), "device"), driver), driver


def costs(program: CudaProgram, driver: CountingDriver, calls: int) -> list[Counter[str]]:
    """What each of some calls with the same inputs costs; outputs are dropped in between."""
    buffers = program.schedule.inputs
    inputs = [driver.empty(buffer.shape, buffer.dtype) for buffer in buffers]
    found = []
    for _ in range(calls):
        before = driver.counts.copy()
        program(inputs)
        found.append(driver.counts - before)
    return found


def test_every_workload_is_counted() -> None:
    assert MOST.keys() == CASES.keys()


@pytest.mark.parametrize("size_name", ["tiny", "medium"])
@pytest.mark.parametrize("name", MOST)
def test_a_call_settles(name: str, size_name: str) -> None:
    most = MOST[name]
    program, driver = compiled(name, size_name)
    launches = launch_count(program.schedule.steps)
    assert launches <= getattr(most, size_name)
    first, second, *later = costs(program, driver, 5)
    assert first["allocate"] <= len(program.schedule.outputs) + 1
    assert first["upload"] == second["upload"] == 0
    graphs = 1 if size_name == "tiny" else most.replays
    if launches > 1:
        assert second["capture"] == second["replay"] == graphs
    checked = {"zero": 1, "read": 1} if most.reads else {}
    for cost in later:
        assert cost == {"replay": graphs, **checked}


def test_fifty_kernels_are_one_replay() -> None:
    def layers(x: Any, weights: Any) -> Any:
        for weight in weights:
            x = np.tanh(x @ weight)
            x = x / np.sum(x * x)
        return x

    square = np.broadcast_to(np.float32(0.1), (512, 512))
    graph = tracer.jit(layers).trace(square, [square] * 17).graph
    program, driver = placed(graph)
    assert launch_count(program.schedule.steps) >= 50
    *_, steady = costs(program, driver, 4)
    assert steady == {"replay": 1}


def test_outputs_that_are_held_are_all_that_is_allocated() -> None:
    program, driver = compiled("layer-norm", "medium")
    buffers = program.schedule.inputs
    inputs = [driver.empty(buffer.shape, buffer.dtype) for buffer in buffers]
    held = [program(inputs) for _ in range(3)]
    before = driver.counts.copy()
    held += [program(inputs) for _ in range(4)]
    cost = driver.counts - before
    assert cost["allocate"] <= 4 * (len(program.schedule.outputs) + 1)
    assert cost["upload"] == cost["read"] == 0


def test_arrays_of_the_host_are_uploaded_once_a_call() -> None:
    graph = tracer.jit(lambda x, y: np.sin(x) * y).trace(np.ones(8), np.ones(8)).graph
    program, driver = placed(graph)
    for _ in range(3):
        before = driver.counts.copy()
        program([np.ones(8), np.ones(8)])
        assert (driver.counts - before)["upload"] == 2
