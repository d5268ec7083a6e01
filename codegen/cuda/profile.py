"""What each launch and each library call of a program takes: run one by one, between two looks at
the device's clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from codegen.cuda.adoption import host_array
from codegen.cuda.driver import Driver
from codegen.cuda.explain import describe_step, plan_graph
from codegen.cuda.function import driver_of
from codegen.cuda.program import CudaProgram, _Call
from codegen.cuda.segments import Segment, Task
from codegen.device.plan_kernel import KernelPlan
from codegen.device.schedule import Launch, Library, Step
from codegen.device.traffic import repeated_steps, step_traffic
from codegen.loops.nodes import Loop, Statement
from codegen.passes.cost import block_cost
from codegen.profile import GraphTime, KernelTime
from tracer.graph.nodes import Graph, Source
from tracer.types import kind_of


def profile_cuda(
    graph: Graph,
    inputs: Sequence[Any],
    seconds: float,
    calls: int,
    driver: Driver | None = None,
) -> GraphTime:
    """Run a graph on the device of its inputs, for at least so many seconds and calls after one.

    The whole call is measured as it runs otherwise, its launches one by one. Raises BackendError
    where there is no device, and what the program raises.
    """
    driver = driver or driver_of(inputs)
    program = CudaProgram(plan_graph(graph, driver.machine), driver)
    outputs = program(inputs)
    begin = time.perf_counter()
    whole = np.inf
    rows: dict[int, tuple[float, int]] = {}
    count = 0
    while count < calls or time.perf_counter() - begin < seconds:
        whole = min(whole, driver.elapsed(lambda: program(inputs)))
        for step, (spent, visits) in _timed(program, inputs).items():
            least = rows.get(step, (np.inf, 0))[0]
            rows[step] = min(least, spent), visits
        count += 1
    lines = {str(node.source): node.source for node in graph.nodes if node.source is not None}
    times = tuple(
        _kernel_time(step, *rows[id(step)], lines, driver)
        for step, _ in repeated_steps(program.schedule.steps)
        if id(step) in rows
    )
    return GraphTime(float(whole), count, times, outputs)


class _TimedCall(_Call):
    """A call whose launches and library calls run one by one, each between two looks at a clock."""

    runs_ahead = False
    rows: dict[int, tuple[float, int]]

    def steps(self, steps: Sequence[Step]) -> None:
        """Run steps in order, and note the seconds and the visits of each by its `id`."""
        for step in steps:
            if not isinstance(step, Launch | Library):
                self.step(step)
            elif isinstance(step, Library) or step.blocks > 0:
                alone = Segment((Task(step),))
                run = partial(self.owner.graphs.run, alone, self.memory, self.scalars)
                seconds, visits = self.rows.get(id(step), (0.0, 0))
                self.rows[id(step)] = seconds + self.driver.elapsed(run), visits + 1


def _timed(program: CudaProgram, inputs: Sequence[Any]) -> dict[int, tuple[float, int]]:
    """Seconds and visits of each step in one call."""
    driver = program.driver
    arrays = []
    for value in inputs:
        array = driver.adopt(value)
        arrays.append(driver.upload(host_array(value)) if array is None else array)
    outputs = [driver.empty(buffer.shape, buffer.dtype) for buffer in program.schedule.outputs]
    call = _TimedCall(program, program.new_place())
    call.rows = {}
    call.run(arrays, outputs)
    return call.rows


def _kernel_time(
    step: Launch | Library,
    seconds: float,
    visits: int,
    lines: Mapping[str, Source],
    driver: Driver,
) -> KernelTime:
    moved = step_traffic(step, driver.machine).least
    flops, exact, width = 0.0, False, 8
    places: tuple[str, ...] = ()
    if isinstance(step, Launch) and step.plan is not None:
        flops, exact = _flops(step.plan)
        places = step.kernel.places
        floats = [a.dtype for a in step.kernel.arguments if a.written and kind_of(a.dtype) in "fc"]
        sizes = [dtype.itemsize // (2 if dtype.kind == "c" else 1) for dtype in floats]
        width = max(sizes, default=8)
    elif isinstance(step, Library):
        cost = block_cost((step.call,))
        flops, exact = cost.flops, cost.exact
        width = step.call.results[0].buffer.dtype.itemsize
    return KernelTime(
        describe_step(step),
        float(seconds),
        visits,
        visits * flops,
        visits * moved,
        exact,
        width,
        (),
        tuple([lines[place] for place in places if place in lines]),
    )


def _flops(plan: KernelPlan) -> tuple[float, bool]:
    """Operations of one launch, and whether their number is known."""
    if plan.product is not None:
        product = plan.product.nest.product
        return 2.0 * product.count * product.m * product.k * product.n, True
    body: tuple[Statement, ...] = (*plan.before, *plan.body)
    for loop in reversed(plan.grid):
        body = (Loop(loop.index, loop.start, loop.stop, body, "parallel"),)
    cost = block_cost(body)
    return cost.flops, cost.exact
