"""Each primitive by the reference evaluator against NumPy's function: values, types, text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.helpers import Array, assert_same, run_lowered, run_numpy
from tests.primitive_cases import ROWS
from tests.primitives.row import Case, Row, case_graph, operands_of, special_operands, type_of
from tracer.graph.text import parse_graph, print_graph

NAMES = sorted(ROWS)


def reference(row: Row, case: Case, operands: list[Array]) -> list[Array]:
    """What NumPy's function gives, as a list of arrays."""
    with np.errstate(all="ignore"):
        value = row.reference(*operands, **case.params)
    return [np.asarray(item) for item in (value if isinstance(value, tuple) else (value,))]


def special_cases(row: Row) -> Iterator[tuple[Case, list[Array]]]:
    """An elementwise function at the values where functions go wrong."""
    if not row.special:
        return
    first = row.cases[0]
    for dtype in row.special:
        operands = special_operands([np.dtype(dtype)] * len(first.types))
        if row.ambiguous is not None:
            clear = ~row.ambiguous(*operands)
            operands = [operand[clear] for operand in operands]
        types = tuple(type_of(dtype, operand.shape) for operand in operands)
        yield Case(types, first.domains, first.params), operands


def every_case(row: Row, name: str) -> Iterator[tuple[Case, list[Array]]]:
    """All cases with operands, the special ones included."""
    for case in row.cases:
        yield case, operands_of(name, case)
    yield from special_cases(row)


def label(case: Case) -> str:
    """How messages call a case."""
    return f"{', '.join(map(str, case.types))} {dict(case.params)}"


@pytest.mark.parametrize("name", NAMES)
def test_value_and_type(name: str) -> None:
    row = ROWS[name]
    for case, operands in every_case(row, name):
        graph = case_graph(name, case).check()
        results = run_numpy(graph, operands)
        for result, type_ in zip(results, graph.output_types, strict=True):
            assert (result.dtype, result.shape) == (type_.dtype, type_.shape), label(case)
        for result, expected in zip(results, reference(row, case, operands), strict=True):
            assert_same(result, expected, row.ulps, label(case), scaled=row.scaled)


@pytest.mark.parametrize("name", NAMES)
def test_operands_are_left_alone(name: str) -> None:
    """No evaluation writes into its operands."""
    for case in ROWS[name].cases:
        operands = operands_of(name, case)
        before = [operand.copy() for operand in operands]
        run_numpy(case_graph(name, case), operands)
        for operand, copy in zip(operands, before, strict=True):
            assert_same(operand, copy, 0, label(case))


@pytest.mark.parametrize("name", [n for n in NAMES if "text" not in ROWS[n].unsupported])
def test_text_round_trip(name: str) -> None:
    for case in ROWS[name].cases:
        graph = case_graph(name, case)
        text = print_graph(graph)
        again = parse_graph(text).check()
        assert print_graph(again) == text
        operands = operands_of(name, case)
        for result, expected in zip(
            run_numpy(again, operands), run_numpy(graph, operands), strict=True
        ):
            assert_same(result, expected, 0, label(case))


def check_lowered(name: str, optimized: bool) -> None:
    row = ROWS[name]
    for case, operands in every_case(row, name):
        graph = case_graph(name, case)
        results: list[Any] = run_lowered(graph, operands, optimized=optimized)
        for result, expected in zip(results, run_numpy(graph, operands), strict=True):
            assert_same(result, expected, row.ulps, label(case), scaled=row.scaled)


@pytest.mark.parametrize("name", NAMES)
def test_loop_program(name: str) -> None:
    """The loop program that a graph is lowered to, run by the interpreter."""
    check_lowered(name, optimized=False)


@pytest.mark.parametrize("name", NAMES)
def test_optimized_loop_program(name: str) -> None:
    """The same after all passes."""
    check_lowered(name, optimized=True)
