"""Memory that kernels move, counted from their plans, against the least that a program must move.

Bounds are what was counted when they were committed, rounded up; `moved` is how many times the size
of inputs and outputs all kernels together bring and write, `coalescing` how much of the sectors
that warps touch they ask for. What is far from 1 says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import Kernel, Schedule
from codegen.device.traffic import Traffic, repeated_steps, schedule_traffic, step_traffic
from codegen.loops.nodes import Program
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from tracer import config

MACHINE = DeviceMachine()
Function = Callable[..., Any]


def planned(function: Function, *args: Any) -> tuple[Program, Schedule]:
    """The loop program and the schedule, without the kernels' texts."""
    graph = tracer.jit(function).trace(*args).graph
    program = optimize(lower_graph(graph, "device"), "device")
    return program, plan_program(program, MACHINE, lambda plan, *_: Kernel(plan.name, "", ()))


def least_of(program: Program) -> float:
    """Bytes of the inputs and the outputs."""
    buffers = (*program.inputs, *program.outputs)
    return float(sum(buffer.size * buffer.dtype.itemsize for buffer in buffers))


def zeros(*shape: int, dtype: str = "f4") -> Any:
    return np.broadcast_to(np.zeros((), dtype), shape)


def logsumexp(x: Any) -> Any:
    largest = x.max(axis=1, keepdims=True)
    return (np.log(np.exp(x - largest).sum(axis=1)) + largest[:, 0]).sum()


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits: Any, labels: Any) -> Any:
    shifted = logits - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    return (np.log(np.exp(shifted).sum(axis=1)) - chosen).mean()


def layer_norm(x: Any, gain: Any, offset: Any, weights: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return ((centred / np.sqrt(variance + 1e-5) * gain + offset) * weights).sum()


def batch_norm(x: Any, gain: Any, offset: Any, weights: Any) -> Any:
    centred = x - x.mean(axis=0)
    variance = (centred**2).mean(axis=0)
    return ((centred / np.sqrt(variance + 1e-5) * gain + offset) * weights).sum()


def mixture(means: Any, scales: Any, weights: Any, x: Any) -> Any:
    distances = (x[:, None, :] - means) / np.exp(scales)
    terms = weights - 0.5 * (distances * distances).sum(axis=2) - scales.sum(axis=1)
    return logsumexp(terms)


def clusters(centres: Any, x: Any) -> Any:
    return ((x[:, None, :] - centres) ** 2).sum(axis=2).min(axis=1).sum()


def black_scholes(price: Any, strike: Any, time: Any, rate: Any, volatility: Any) -> Any:
    deviation = volatility * np.sqrt(time)
    first = (np.log(price / strike) + (rate + 0.5 * volatility**2) * time) / deviation
    normal = [1.0 / (1.0 + np.exp(-1.6 * d)) for d in (first, first - deviation)]
    return (price * normal[0] - strike * np.exp(-rate * time) * normal[1]).sum()


def network(parameters: Any, x: Any, labels: Any) -> Any:
    for weights, bias in parameters[:-1]:
        x = np.tanh(x @ weights + bias)
    weights, bias = parameters[-1]
    return cross_entropy(x @ weights + bias, labels)


def layer(rows: int, columns: int) -> Any:
    return zeros(rows, columns), zeros(columns)


class Case(NamedTuple):
    """A program, and what it may move and must coalesce."""

    function: Function
    args: tuple[Any, ...]
    moved: float
    coalescing: float


CASES: dict[str, Case] = {
    "chain": Case(lambda x: np.tanh(np.exp(x) * 2 + x) * np.sin(x), (zeros(4000, 4000),), 1.0, 1.0),
    # Short rows are brought near by blocks, and taken back.
    "softmax-10": Case(softmax, (zeros(1_000_000, 10),), 1.0, 1.0),
    "points": Case(
        tracer.grad(lambda x: np.sqrt((x * x).sum(axis=1)).sum()), (zeros(3_000_000, 3),), 1.0, 1.0
    ),
    # Rows of 200 bytes begin within sectors.
    "logsumexp-50": Case(tracer.grad(logsumexp), (zeros(100_000, 50),), 1.0, 0.8),
    "logsumexp-5000": Case(tracer.grad(logsumexp), (zeros(1000, 5000),), 1.0, 1.0),
    # A row is more than shared memory holds, and is read again instead.
    "logsumexp-20000": Case(tracer.grad(logsumexp), (zeros(1000, 20_000),), 1.0, 1.0),
    "transpose": Case(lambda x: x.T.copy(), (zeros(4000, 4000),), 1.0, 0.99),
    "sum-with-transpose": Case(lambda x: x + x.T, (zeros(4000, 4000),), 1.0, 0.99),
    "row-sums": Case(lambda x: x.sum(axis=1), (zeros(20_000, 1000),), 1.0, 0.99),
    # Partial sums of chunks of rows; rows of 4000 bytes, of which the last warp has a part.
    "column-sums": Case(lambda x: x.sum(axis=0), (zeros(20_000, 1000),), 1.05, 0.9),
    # All in one pass over rows, but for the sums of columns that each chunk of them leaves.
    "layer-norm": Case(
        tracer.value_and_grad(layer_norm, argnums=(0, 1, 2)),
        (zeros(20_000, 1024), zeros(1024), zeros(1024), zeros(20_000, 1024)),
        1.04,
        0.96,
    ),
    "layer-norm-of-sequences": Case(
        tracer.grad(layer_norm, argnums=(0, 1, 2)),
        (zeros(64, 512, 1024), zeros(1024), zeros(1024), zeros(64, 512, 1024)),
        1.03,
        0.97,
    ),
    # Deviations need means, and the gradient needs sums of both: four passes, and one for the sums
    # of what each column gets.
    "batch-norm": Case(
        tracer.value_and_grad(batch_norm, argnums=(0, 1, 2)),
        (zeros(20_000, 1024), zeros(1024), zeros(1024), zeros(20_000, 1024)),
        3.42,
        0.95,
    ),
    "bias": Case(
        tracer.grad(lambda x, b, w: (np.tanh(x + b) * w).sum(), argnums=(0, 1)),
        (zeros(20_000, 1024), zeros(1024), zeros(20_000, 1024)),
        1.02,
        0.95,
    ),
    "cross-entropy": Case(
        tracer.grad(cross_entropy), (zeros(10_000, 1000), zeros(10_000, dtype="i8")), 1.01, 0.99
    ),
    # What points add to centres stays near the blocks that add it up; sums of 450 columns by each
    # of 391 blocks are moved once more.
    "mixture": Case(
        tracer.grad(mixture, argnums=(0, 1, 2)),
        (zeros(25, 8), zeros(25, 8), zeros(25), zeros(100_000, 8)),
        1.45,
        0.9,
    ),
    "clusters": Case(tracer.grad(clusters), (zeros(25, 8), zeros(100_000, 8)), 1.2, 0.91),
    "clusters-large": Case(tracer.grad(clusters), (zeros(64, 32), zeros(200_000, 32)), 1.4, 0.9),
    "black-scholes": Case(
        tracer.grad(black_scholes, argnums=(0, 1, 2, 3, 4)), (zeros(1_000_000),) * 5, 1.0, 1.0
    ),
    # Rows of 200 bytes, and each index is read by all that belong to its row.
    "gather": Case(lambda x, i: x[i], (zeros(10_000, 50), zeros(100_000, dtype="i8")), 1.1, 0.9),
    # Indices are sorted in two passes, each of which moves all of them and what they belong to.
    "scatter": Case(
        tracer.grad(lambda x, i: (x[i] ** 2).sum()),
        (zeros(10_000, 50), zeros(100_000, dtype="i8")),
        4.7,
        0.85,
    ),
    # Chunks, or tiles, are summed before they are scanned: x is read twice.
    "running-sums-of-columns": Case(
        lambda x: np.cumsum(x, axis=0), (zeros(10_000, 1000),), 1.6, 0.99
    ),
    "running-sum": Case(lambda x: np.cumsum(x), (zeros(10_000_000),), 1.51, 0.99),
    "running-sums-of-rows": Case(lambda x: np.cumsum(x, axis=1), (zeros(10_000, 1000),), 1.0, 1.0),
    "running-sums-of-short-rows": Case(
        lambda x: np.cumsum(x, axis=1), (zeros(100_000, 100),), 1.0, 0.9
    ),
    "running-sum-from-the-end": Case(
        tracer.grad(lambda x, w: (np.cumsum(x) * w).sum()),
        (zeros(10_000_000), zeros(10_000_000)),
        1.01,
        0.99,
    ),
    # Activations of three layers are written once and read by each product of the gradient.
    "network": Case(
        tracer.value_and_grad(network),
        (
            [layer(784, 512), layer(512, 512), layer(512, 10)],
            zeros(1024, 784),
            zeros(1024, dtype="i8"),
        ),
        7.0,
        0.6,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_little_more_is_moved_than_must_be(name: str) -> None:
    case = CASES[name]
    program, schedule = planned(case.function, *case.args)
    found = schedule_traffic(schedule.steps, MACHINE)
    assert found.least <= case.moved * least_of(program) * 1.005
    assert found.coalescing >= case.coalescing - 0.005
    assert found.needed <= found.sectors


def test_adding_at_once_sorts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Indices are read, wrapped ones kept, zeros written, and the table read and added to."""
    monkeypatch.setattr(config.SWITCHES["scatter"], "value", "atomic")
    program, schedule = planned(CASES["scatter"].function, *CASES["scatter"].args)
    assert schedule_traffic(schedule.steps, MACHINE).least <= 2.5 * least_of(program)


def counted(function: Function, *args: Any) -> Traffic:
    """The traffic of a function with one kernel."""
    _, schedule = planned(function, *args)
    ((step, runs),) = repeated_steps(schedule.steps)
    assert runs == 1
    return step_traffic(step, MACHINE)


ELEMENTS = 2**20
WARPS = ELEMENTS / 32


def test_neighbours_share_sectors() -> None:
    found = counted(lambda x: x * 2, zeros(ELEMENTS))
    assert found == Traffic(8 * ELEMENTS, 8 * ELEMENTS, 8 * WARPS, 8 * WARPS)


def test_neighbours_apart_touch_a_sector_each() -> None:
    found = counted(lambda x: x[::8] * 2, zeros(8 * ELEMENTS))
    assert found.least == found.asked == 8 * ELEMENTS
    assert found.sectors == (32 + 4) * WARPS
    assert found.coalescing == 8 / 36


def test_every_other_element_touches_twice_as_much() -> None:
    found = counted(lambda x: x[::2] * 2, zeros(2 * ELEMENTS))
    assert found.coalescing == 8 / 12


def test_what_all_neighbours_read_is_one_sector() -> None:
    found = counted(lambda x, y: x[:, None] * y, zeros(ELEMENTS // 64), zeros(64))
    assert found.least == 4 * (ELEMENTS + ELEMENTS // 64 + 64)
    assert found.sectors == (1 + 4 + 4) * WARPS
    assert found.coalescing == 1


def test_places_that_are_data_touch_a_sector_each() -> None:
    places = zeros(ELEMENTS, dtype="i8")
    _, schedule = planned(lambda x, i: x[i], zeros(2**24), places)
    found = schedule_traffic(schedule.steps, MACHINE)
    assert found.sectors >= (8 + 31 + 4) * WARPS


def test_a_loop_of_the_host_multiplies() -> None:
    def repeated(x: Any, w: Any) -> Any:
        return tracer.scan(lambda x, _: (np.sin(x @ w), None), x, None, length=7)[0]

    _, schedule = planned(repeated, zeros(512, 512), zeros(512, 512))
    inner = [step for step, runs in repeated_steps(schedule.steps) if runs == 7]
    once = sum((step_traffic(step, MACHINE).least for step in inner), 0.0)
    assert once >= 5 * 4 * 512**2
    assert schedule_traffic(schedule.steps, MACHINE).least >= 7 * once
