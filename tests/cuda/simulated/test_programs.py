"""Programs as users write them, and those of the benchmarks: the CUDA backend against NumPy's.

Those of users are called twice more, on other arrays, so that what was captured as a graph is
replayed. Those of benchmarks are called once: they are long, and a thread here is slow.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tracer
from bench.subjects import TRACER, Task, reference_outputs
from bench.workloads import NAMES, load_workload
from tests.cuda.simulated.programs import PROGRAMS, Program
from tests.helpers import assert_near
from tests.transforms.derivatives import weighted

leaves = tracer.tree.leaves


def compare(function: Any, inputs: tuple[Any, ...], tolerance: float = 1e-11) -> None:
    """Values by kernels and by NumPy, call after call."""
    due = tracer.jit(function, backend="numpy")(*copy.deepcopy(inputs))
    compiled = tracer.jit(function, backend="cuda")
    for _ in range(3):
        found = compiled(*copy.deepcopy(inputs))
        for one, other in zip(leaves(found), leaves(due), strict=True):
            assert np.asarray(one).dtype == np.asarray(other).dtype
            assert_near(one, other, tolerance)


def tolerance_of(program: Program) -> float:
    singles = any(np.asarray(leaf).dtype == np.float32 for leaf in leaves(program.inputs))
    return 1e-5 if singles else 1e-11


@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name: str) -> None:
    program = PROGRAMS[name]
    with np.errstate(all="ignore"):
        compare(program.function, program.inputs, tolerance_of(program))


def floating(value: Any) -> bool:
    return all(np.asarray(leaf).dtype.kind == "f" for leaf in leaves(value))


@pytest.mark.parametrize("name", [name for name, program in PROGRAMS.items() if program.smooth])
def test_gradients(name: str) -> None:
    program = PROGRAMS[name]
    places = tuple(place for place, value in enumerate(program.inputs) if floating(value))

    def total(*inputs: Any) -> Any:
        return weighted(lambda _: program.function(*inputs))(None)

    with np.errstate(all="ignore"):
        compare(tracer.grad(total, places), program.inputs, tolerance_of(program))


SIZES: dict[str, dict[str, int]] = {
    "memory": {"steps": 5},
    "conv": {"rows": 2, "filters": 1},
    "loops": {"n": 5},
    "lstm": {"steps": 2},
    "hmc": {"rows": 2},
}
"""Where the size for a dry run is still too much for the simulator."""
TASKS = [(name, program) for name in NAMES for program in load_workload(name).programs]


@pytest.mark.parametrize(("name", "program"), TASKS)
def test_workloads(name: str, program: str) -> None:
    workload = load_workload(name)
    size = {**workload.smoke, **SIZES.get(name, {})}
    inputs = workload.make_inputs(size, np.random.default_rng(3))
    task = Task(workload, size, workload.programs[program], program, inputs)
    function = task.program.make(TRACER, task.build(size))
    due = leaves(reference_outputs(task))
    found = leaves(tracer.jit(function, backend="cuda")(*copy.deepcopy(inputs)))
    for one, other in zip(found, due, strict=True):
        assert_near(one, other, 1e-10)
