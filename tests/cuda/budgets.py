"""What the kernels of known programs take of a GPU: `python -m tests.cuda.budgets` writes it down.

A budget is the number of a program's kernels, and the most that any of them takes: registers of a
thread in eights, as they are given out, bytes of spills, of shared memory and of stack.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypedDict

import numpy as np

from bench.subjects import TRACER, Task
from bench.workload import Size, Workload
from bench.workloads import load_workloads
from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import Kernel, kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tests.primitive_cases import ROWS
from tests.primitives.row import case_graph
from tracer import jit
from tracer.graph.nodes import Graph

FILE = Path(__file__).with_suffix(".json")
COMPILED_FOR = (8, 0)
"""PTX for an architecture assembles for those after it."""
ASSEMBLED_FOR = ((8, 0), (9, 0), (10, 0))
EIGHT = 8


class Budget(TypedDict):
    """How many kernels, and by architecture the most that one takes."""

    kernels: int
    most: dict[str, dict[str, int]]


def workload_graph(workload: Workload, program_name: str, size: Size) -> Graph:
    """What a benchmark compiles."""
    program = workload.programs[program_name]
    inputs = workload.make_inputs(size, np.random.default_rng(1))
    task = Task(workload, size, program, program_name, inputs)
    return jit(program.make(TRACER, task.build(size))).trace(*inputs).graph


def graphs() -> Mapping[str, Callable[[], Graph]]:
    """All that has a budget: each program of the workloads, as small as it is tested and as large
    as it is measured (which is other kernels), and of each primitive the first case.
    """
    found: dict[str, Callable[[], Graph]] = {}
    for name, workload in load_workloads().items():
        if workload.measure is not None:
            continue
        sizes = {key: workload.sizes[key] for key in workload.default_sizes[:1]}
        for size_name, size in {"smoke": workload.smoke, **sizes}.items():
            for program in workload.programs:
                make = partial(workload_graph, workload, program, size)
                found[f"{name}-{program}-{size_name}"] = make
    for name, row in ROWS.items():
        if "cuda" not in row.unsupported:
            found[f"primitive-{name}"] = partial(case_graph, name, row.cases[0])
    return found


def kernels(graph: Graph) -> list[Kernel]:
    """The kernels of a graph, each text once."""
    program = optimize(lower_graph(graph, "device"), "device")
    schedule = plan_program(program, DeviceMachine(), render_kernel)
    return list({kernel.source: kernel for kernel in kernels_of(schedule.steps)}.values())


def measure(found: Sequence[Kernel]) -> Budget:
    """Compile and assemble them."""
    most: dict[str, dict[str, int]] = {}
    for kernel in found:
        ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, COMPILED_FOR)
        for capability in ASSEMBLED_FOR:
            taken = figures(ptx, capability)
            values = {
                "registers": -(-taken.registers // EIGHT) * EIGHT,
                "spills": taken.spill_stores + taken.spill_loads,
                "shared": taken.shared,
                "stack": taken.stack,
            }
            largest = most.setdefault("sm_{}{}".format(*capability), dict.fromkeys(values, 0))
            for name, value in values.items():
                largest[name] = max(largest[name], value)
    return {"kernels": len(found), "most": most}


def excess(taken: Budget, budget: Budget) -> list[str]:
    """Where more is taken than the budget has."""
    found = []
    if taken["kernels"] > budget["kernels"]:
        found.append(f"{taken['kernels']} kernels instead of {budget['kernels']}")
    for machine, values in taken["most"].items():
        allowed = budget["most"].get(machine, {})
        found += [
            f"{value} {name} on {machine} instead of {allowed.get(name, 0)}"
            for name, value in values.items()
            if value > allowed.get(name, 0)
        ]
    return found


def calls_function(kernel: Kernel) -> bool:
    """Whether a kernel calls a function of libdevice that is not put in place: one that saves
    registers for whom it is called by, which counts as spills.
    """
    return "math.lgamma" in kernel.source


def spills(budget: Budget) -> int:
    """The most bytes that a kernel spills on any architecture."""
    return max((values["spills"] for values in budget["most"].values()), default=0)


def load() -> dict[str, Budget]:
    """The budgets as they are committed."""
    budgets: dict[str, Budget] = json.loads(FILE.read_text("utf-8"))
    return budgets


def write(budgets: Mapping[str, Budget]) -> None:
    """Replace the committed budgets, a line each."""
    lines = [f"{json.dumps(name)}: {json.dumps(budget)}" for name, budget in budgets.items()]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _measured(name: str) -> tuple[str, Budget | None, str]:
    try:
        return name, measure(kernels(graphs()[name]())), ""
    except Exception as error:
        return name, None, f"{type(error).__name__}: {error}"


def main() -> None:
    """Write the budgets of all programs; exit with those that do not compile."""
    budgets: dict[str, Budget] = {}
    failures = []
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        for name, budget, problem in pool.map(_measured, graphs()):
            print(name, problem, flush=True)
            if budget is None:
                failures.append(name)
            else:
                budgets[name] = budget
                write(budgets)
    if failures:
        raise SystemExit(f"without a budget: {', '.join(failures)}")


if __name__ == "__main__":
    main()
