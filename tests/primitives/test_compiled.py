"""Every primitive and its derivatives on every compiled backend against the reference.

Compiling takes far longer than running, so that many cases share one program.

Functions that are programs of scalars all go through one rule of lowering, and what they are made
of, operations, branches and loops, has rows of its own. Numba takes up to minutes for one of them:
it sees one of each shape, in double precision. The fast backends see them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.helpers import COMPILED, Array, assert_same, merge, run_compiled, run_numpy
from tests.primitive_cases import ROWS
from tests.primitives.numerical import (
    forward_graph,
    random_cotangents,
    random_tangents,
    reverse_graph,
)
from tests.primitives.row import Case, case_graph, generator, operands_of
from tests.primitives.rows_elementwise import ROWS as ELEMENTWISE
from tests.primitives.test_values import label, special_cases
from tracer.graph.nodes import Graph
from tracer.graph.text import print_graph
from tracer.primitives.programs import PROGRAMS
from tracer.transforms.simplify import simplify

ARRAYS = sorted(set(ROWS) - set(ELEMENTWISE))
DTYPES = sorted({case.types[0].dtype.str[1:] for row in ELEMENTWISE.values() for case in row.cases})
# Rows a program: few enough to compile in seconds, many enough that the suite does not take long.
CHUNK = 24
# In single precision the derivatives are the same nodes with other dtypes.
PRECISE = ("f8", "c16")
# Numba compiles tens of times more slowly: it sees each primitive once a dtype (of whole numbers
# the widest and the narrowest: its rules of promotion tell wide from narrow), and reverse mode in
# double precision. All programs in all variations go through the backends that compile fast.
SLOW = ("numba",)
NOT_FOR_SLOW = ("i2", "i4", "u2", "u4")
# Of the programs of scalars a choice of two values, a loop, and loops in branches.
SHAPES_OF_PROGRAMS = ("xlogy", "lambertw", "gammainc")
PROGRAM_ROWS = frozenset(PROGRAMS) | {"program_derivative"}


class Job(NamedTuple):
    """One graph of a program, its inputs, and how near its outputs must be."""

    graph: Graph
    inputs: list[Array]
    ulps: float
    scaled: bool
    what: str


def widest(cases: Sequence[Case]) -> list[Case]:
    """Of the cases that differ in shape only the one of highest rank, which broadcasts most."""
    found: dict[Any, Case] = {}
    for case in sorted(cases, key=lambda case: sum(type_.ndim for type_ in case.types)):
        found[tuple(type_.dtype for type_ in case.types), case.domains] = case
    return list(found.values())


def value_jobs(name: str, backend: str, dtype: str | None = None) -> Iterator[Job]:
    """The values of a row's cases (of those whose first operand has that dtype)."""
    row = ROWS[name]
    cases = row.cases if dtype is None or dtype not in row.special else ()
    if backend in SLOW and dtype is None:
        cases = tuple(widest(cases))
    pairs = [(case, operands_of(name, case)) for case in cases]
    for case, operands in [*pairs, *special_cases(row)]:
        if dtype is None or case.types[0].dtype == np.dtype(dtype):
            what = f"{name} {label(case)}"
            yield Job(case_graph(name, case), operands, row.ulps, row.scaled, what)


def derivative_jobs(name: str, backend: str, dtype: str | None = None) -> Iterator[Job]:
    """Both modes of a row's differentiable cases."""
    row = ROWS[name]
    cases = row.cases if dtype is None and backend not in SLOW else widest(row.cases)
    for case in cases if row.order else ():
        dtypes = {type_.dtype for type_ in case.types}
        if backend in SLOW and np.dtype(np.float64) not in dtypes:
            continue
        if not any(found.kind in "fc" for found in dtypes):
            continue
        if dtype is None or case.types[0].dtype == np.dtype(dtype):
            jobs = list(_derivatives(name, case, max(8.0, row.ulps) * 16))
            # The partials of a program serve both modes: reverse mode compiles all of them.
            yield from jobs[-1:] if backend in SLOW or name in PROGRAM_ROWS else jobs


def _derivatives(name: str, case: Case, ulps: float) -> Iterator[Job]:
    graph, operands = case_graph(name, case), operands_of(name, case)
    rng = generator(name, "compiled")
    what = f"{name} {label(case)}"
    tangents = random_tangents(graph, rng)
    if "forward" not in ROWS[name].unsupported:
        forward = simplify(forward_graph(graph))
        yield Job(forward, [*operands, *tangents], ulps, True, f"forward mode of {what}")
    cotangents = random_cotangents(graph, rng)
    reverse = simplify(reverse_graph(graph))
    yield Job(reverse, [*operands, *cotangents], ulps, True, f"reverse mode of {what}")


def check_jobs(jobs: list[Job], backend: str) -> None:
    """All graphs in one program, each output against the reference's.

    Jobs that differ in the values of their inputs only share one graph, and the program runs as
    often as the graph with the most jobs needs it.
    """
    alike: dict[str, list[Job]] = {}
    for job in jobs:
        alike.setdefault(print_graph(job.graph), []).append(job)
    program = merge([group[0].graph for group in alike.values()])
    for turn in range(max(map(len, alike.values()), default=0)):
        chosen = [group[min(turn, len(group) - 1)] for group in alike.values()]
        results = iter(run_compiled(program, [x for job in chosen for x in job.inputs], backend))
        for job in chosen:
            for expected in run_numpy(job.graph, job.inputs):
                assert_same(next(results), expected, job.ulps, job.what, scaled=job.scaled)


def elementwise_chunks() -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """The elementwise rows by dtype, a few at a time."""
    for dtype in DTYPES:
        names = [
            name
            for name in sorted(ELEMENTWISE)
            if any(case.types[0].dtype == np.dtype(dtype) for case in ELEMENTWISE[name].cases)
        ]
        for begin in range(0, len(names), CHUNK):
            yield dtype, begin // CHUNK, tuple(names[begin : begin + CHUNK])


CHUNKS = list(elementwise_chunks())


def supported(names: Sequence[str], backend: str) -> list[str]:
    """The rows that the backend can compile; of programs the slow one takes a few."""
    left_out = PROGRAM_ROWS.difference(SHAPES_OF_PROGRAMS) if backend in SLOW else frozenset()
    able = [name for name in names if backend not in ROWS[name].unsupported]
    return [name for name in able if name not in left_out]


VALUES = [
    pytest.param(backend, dtype, names, id=f"{backend}-{dtype}-{number}")
    for backend in COMPILED
    for dtype, number, names in CHUNKS
    if backend not in SLOW or dtype not in NOT_FOR_SLOW
]


@pytest.mark.parametrize(("backend", "dtype", "names"), VALUES)
def test_elementwise_values(backend: str, dtype: str, names: tuple[str, ...]) -> None:
    chosen = supported(names, backend)
    check_jobs([job for name in chosen for job in value_jobs(name, backend, dtype)], backend)


DERIVATIVES = [
    pytest.param(backend, dtype, names, id=f"{backend}-{dtype}-{number}")
    for backend in COMPILED
    for dtype, number, names in CHUNKS
    if dtype in (PRECISE[:1] if backend in SLOW else PRECISE)
]


@pytest.mark.parametrize(("backend", "dtype", "names"), DERIVATIVES)
def test_elementwise_derivatives(backend: str, dtype: str, names: tuple[str, ...]) -> None:
    chosen = supported(names, backend)
    check_jobs([job for name in chosen for job in derivative_jobs(name, backend, dtype)], backend)


@pytest.mark.parametrize(
    ("backend", "name"), [(b, name) for b in COMPILED for name in supported(ARRAYS, b)]
)
def test_arrays(backend: str, name: str) -> None:
    check_jobs([*value_jobs(name, backend), *derivative_jobs(name, backend)], backend)
