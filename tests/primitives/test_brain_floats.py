"""Every primitive of bfloat16, and its derivatives, compiled for the CPU, against the reference."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from tests.primitive_cases import ROWS
from tests.primitives.numerical import random_cotangents, reverse_graph
from tests.primitives.row import generator, operands_of
from tests.primitives.test_compiled import Job, check_jobs
from tests.primitives.test_halves import CHUNKS, WITH_HALVES, half_graphs
from tests.primitives.test_values import label
from tracer.transforms.simplify import simplify

BRAIN = np.dtype(ml_dtypes.bfloat16)
# A cube is two products that round twice.
ULPS = 2.0
RUNNING = {"cumsum", "cumprod", "recurrence"}
"""Which no function makes of bfloat16: they convert, and keep what runs as float32."""


def test_there_are_many() -> None:
    found = [name for name in WITH_HALVES if any(True for _ in half_graphs(name, BRAIN))]
    assert len(found) > 60


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: f"{names[0]}-{names[-1]}")
def test_values(names: list[str]) -> None:
    jobs = [
        Job(graph, operands_of(name, case), ULPS, True, f"{name} {label(case)}")
        for name in names
        if name not in RUNNING
        for case, graph in half_graphs(name, BRAIN)
    ]
    check_jobs(jobs, "llvm")


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: f"{names[0]}-{names[-1]}")
def test_derivatives(names: list[str]) -> None:
    jobs = []
    for name in names:
        known = ROWS[name].order and name not in RUNNING
        for case, graph in half_graphs(name, BRAIN) if known else ():
            operands = operands_of(name, case)
            operands += random_cotangents(graph, generator(name, "half"))
            reverse = simplify(reverse_graph(graph))
            what = f"reverse mode of {name} {label(case)}"
            jobs.append(Job(reverse, operands, 4 * ULPS, True, what))
    check_jobs(jobs, "llvm")
