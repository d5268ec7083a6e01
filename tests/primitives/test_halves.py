"""Every primitive of float16, and its derivatives, compiled for the CPU, against the reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.primitive_cases import ROWS
from tests.primitives.numerical import random_cotangents, reverse_graph
from tests.primitives.row import Case, case_graph, generator, operands_of
from tests.primitives.test_compiled import Job, check_jobs
from tests.primitives.test_values import label
from tracer.errors import UnsupportedProgramError
from tracer.graph.nodes import Graph
from tracer.transforms.simplify import simplify
from tracer.types import ArrayType, DType

HALF = np.dtype(np.float16)
OF_THE_BITS = ("nextafter", "spacing")
CHUNK = 12
# A cube is two products that round twice, and NumPy's own sums of float16 round at each step where
# ours are float32's.
ULPS = 2.0


def in_half(value: Any, half: DType = HALF) -> Any:
    """A type or dtype with float16, or another half, in place of another floating one."""
    if isinstance(value, ArrayType):
        return ArrayType(in_half(value.dtype, half), value.shape)
    return half if isinstance(value, np.dtype) and value.kind == "f" else value


def half_graphs(name: str, dtype: DType = HALF) -> Iterator[tuple[Case, Graph]]:
    """The cases of a row in float16 whose results are float16, or no floating numbers: what NumPy
    has no float16 of is given as float32 or float64. So for another half.
    """
    singles = [case for case in ROWS[name].cases if case.build is None and is_single(case)]
    for case in singles:
        params = {key: in_half(value, dtype) for key, value in case.params.items()}
        types = tuple([in_half(type_, dtype) for type_ in case.types])
        half = replace(case, types=types, params=params)
        graph = case_graph(name, half)
        results = [type_.dtype for type_ in graph.output_types]
        if all(found == dtype or found.kind in "biu" for found in results):
            yield half, graph


def is_single(case: Case) -> bool:
    """Whether operands are float32, and none is complex or wider."""
    floating = {type_.dtype for type_ in case.types if type_.dtype.kind in "fc"}
    return floating == {np.dtype(np.float32)}


NAMES = [name for name in sorted(ROWS) if "llvm" not in ROWS[name].unsupported]
WITH_HALVES = [
    name for name in NAMES if name not in OF_THE_BITS and any(map(is_single, ROWS[name].cases))
]
CHUNKS = [WITH_HALVES[begin : begin + CHUNK] for begin in range(0, len(WITH_HALVES), CHUNK)]


def test_there_are_many() -> None:
    assert len(WITH_HALVES) > 60


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: f"{names[0]}-{names[-1]}")
def test_values(names: list[str]) -> None:
    jobs = [
        Job(graph, operands_of(name, case), ULPS, True, f"{name} {label(case)}")
        for name in names
        for case, graph in half_graphs(name)
    ]
    check_jobs(jobs, "llvm")


@pytest.mark.parametrize("names", CHUNKS, ids=lambda names: f"{names[0]}-{names[-1]}")
def test_derivatives(names: list[str]) -> None:
    jobs = []
    for name in names:
        for case, graph in half_graphs(name) if ROWS[name].order else ():
            operands = operands_of(name, case)
            operands += random_cotangents(graph, generator(name, "half"))
            reverse = simplify(reverse_graph(graph))
            what = f"reverse mode of {name} {label(case)}"
            jobs.append(Job(reverse, operands, 4 * ULPS, True, what))
    check_jobs(jobs, "llvm")


@pytest.mark.parametrize("name", OF_THE_BITS)
def test_bits_are_refused(name: str) -> None:
    ((case, graph), *_) = half_graphs(name)
    job = Job(graph, operands_of(name, case), 0.0, False, name)
    with pytest.raises(UnsupportedProgramError, match=f"{name} of float16"):
        check_jobs([job], "llvm")
