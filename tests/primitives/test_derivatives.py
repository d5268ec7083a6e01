"""Both modes of every primitive against numerical derivatives, Taylor's remainder, each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.helpers import Array, assert_near
from tests.primitive_cases import ROWS
from tests.primitives.numerical import (
    central_difference,
    forward_graph,
    inexact_outputs,
    moved,
    pairing,
    pulled,
    pushed,
    random_cotangents,
    random_tangents,
    reverse_graph,
)
from tests.primitives.row import Case, Row, case_graph, generator, operands_of
from tests.primitives.test_values import label

SMOOTH = sorted(name for name, row in ROWS.items() if row.order)
FORWARD = [name for name in SMOOTH if "forward" not in ROWS[name].unsupported]
FLAT = sorted(name for name, row in ROWS.items() if not row.order)
# Sixth-order differences of functions of moderate size in double precision.
NUMERICAL = 1e-9


def double_cases(row: Row) -> list[Case]:
    """The cases in double precision, of which numerical derivatives can be taken."""
    wide = [np.dtype(np.float64), np.dtype(np.complex128)]
    return [
        case
        for case in row.cases
        if all(type_.dtype in wide or type_.dtype.kind not in "fc" for type_ in case.types)
        and any(type_.dtype in wide for type_ in case.types)
        and ("dtype" not in case.params or np.dtype(case.params["dtype"]) in wide)
    ]


def single_cases(row: Row) -> list[Case]:
    """The cases in single precision."""
    narrow = [np.dtype(np.float32), np.dtype(np.complex64)]
    return [
        case
        for case in row.cases
        if all(type_.dtype in narrow or type_.dtype.kind not in "fc" for type_ in case.types)
        and any(type_.dtype in narrow for type_ in case.types)
        and "dtype" not in case.params
    ]


def test_no_row_is_without_a_derivative_check() -> None:
    assert not [name for name in SMOOTH if not double_cases(ROWS[name])]


@pytest.mark.parametrize("name", FORWARD)
def test_forward_against_differences(name: str) -> None:
    for case in double_cases(ROWS[name]):
        graph, operands = case_graph(name, case), operands_of(name, case)
        tangents = random_tangents(graph, generator(name, "tangent"))
        numerical = central_difference(graph, operands, tangents)
        for value, expected in zip(pushed(graph, operands, tangents), numerical, strict=True):
            assert value.dtype == expected.dtype, label(case)
            assert_near(value, expected, NUMERICAL, label(case))


@pytest.mark.parametrize("name", FORWARD)
def test_taylor_remainder(name: str) -> None:
    """‖f(x + h·v) − f(x) − h·Df·v‖ falls at least as h²."""
    for case in double_cases(ROWS[name]):
        graph, operands = case_graph(name, case), operands_of(name, case)
        tangents = random_tangents(graph, generator(name, "taylor"))
        base = inexact_outputs(graph, operands)
        derivative = pushed(graph, operands, tangents)
        size = 1 + max((float(np.max(np.abs(part), initial=0.0)) for part in base), default=0.0)

        def remainder(step: float) -> float:
            ahead = inexact_outputs(graph, moved(operands, tangents, step))  # noqa: B023
            rows = zip(ahead, base, derivative, strict=True)  # noqa: B023
            return float(np.sqrt(sum(np.sum(np.abs(a - b - step * d) ** 2) for a, b, d in rows)))

        steps = [2.0**-k for k in (7, 8, 9, 10)]
        found = [remainder(step) for step in steps]
        rounding = 1e-14 * size
        for larger, smaller in itertools.pairwise(found):
            assert smaller <= larger / 3.5 + rounding, f"{label(case)}: {found}"


@pytest.mark.parametrize("name", SMOOTH)
def test_reverse_is_the_adjoint_of_forward(name: str) -> None:
    """⟨u, J·v⟩ = ⟨Jᵀ·u, v⟩."""
    for case in double_cases(ROWS[name]):
        graph, operands = case_graph(name, case), operands_of(name, case)
        tangents = random_tangents(graph, generator(name, "v"))
        cotangents = random_cotangents(graph, generator(name, "u"))
        backward = pulled(graph, operands, cotangents)
        for result, operand in zip(backward, _inexact(operands), strict=True):
            assert (result.dtype, result.shape) == (operand.dtype, operand.shape), label(case)
        forward, tolerance = pushed, 1e-12
        if name not in FORWARD:
            forward, tolerance = central_difference, NUMERICAL
        left = pairing(cotangents, forward(graph, operands, tangents))
        assert_near(pairing(backward, tangents), left, tolerance, label(case))


def _inexact(operands: list[Array]) -> list[Array]:
    return [operand for operand in operands if operand.dtype.kind in "fc"]


@pytest.mark.parametrize("name", [name for name in SMOOTH if ROWS[name].order > 1])
def test_second_order(name: str) -> None:
    """Forward over reverse, reverse over forward and reverse over reverse against differences."""
    for case in double_cases(ROWS[name]):
        graph, operands = case_graph(name, case), operands_of(name, case)
        rng = generator(name, "second")
        firsts = [(reverse_graph(graph), [*operands, *random_cotangents(graph, rng)])]
        if name in FORWARD:
            firsts.append((forward_graph(graph), [*operands, *random_tangents(graph, rng)]))
        for first, inputs in firsts:
            tangents = random_tangents(first, rng)
            numerical = central_difference(first, inputs, tangents)
            forward = pushed(first, inputs, tangents)
            for value, expected in zip(forward, numerical, strict=True):
                assert_near(value, expected, 20 * NUMERICAL, label(case))
            cotangents = random_cotangents(first, rng)
            backward = pulled(first, inputs, cotangents)
            left = pairing(cotangents, forward)
            assert_near(pairing(backward, tangents), left, 1e-11, label(case))


@pytest.mark.parametrize("name", SMOOTH)
def test_single_precision(name: str) -> None:
    """Derivatives in single precision: its dtypes, and the values of double precision."""
    for case in single_cases(ROWS[name]):
        graph, operands = case_graph(name, case), operands_of(name, case)
        wide_case = Case(tuple(map(_widened, case.types)), case.domains, case.params, case.build)
        wide = case_graph(name, wide_case)
        tangents = random_tangents(graph, generator(name, "single"))
        cotangents = random_cotangents(graph, generator(name, "single"))
        ways = [(pushed, tangents), (pulled, cotangents)]
        for way, given in ways if name in FORWARD else ways[1:]:
            results = way(graph, operands, given)
            precise = way(wide, list(map(_wide, operands)), list(map(_wide, given)))
            for result, expected in zip(results, precise, strict=True):
                assert _wide(result).dtype == expected.dtype, label(case)
                assert result.dtype != expected.dtype, label(case)
                assert_near(result, expected, 1e-4, label(case))


def _widened(type_: object) -> object:
    return type_._replace(dtype=_wide(np.zeros((), type_.dtype)).dtype)  # type: ignore[attr-defined]


def _wide(value: Array) -> Array:
    target = {"f": np.float64, "c": np.complex128}.get(value.dtype.kind)
    return value if target is None else value.astype(target)


@pytest.mark.parametrize("name", FLAT)
def test_without_derivative(name: str) -> None:
    """Where the derivative is zero almost everywhere, both modes give zeros."""
    for case in ROWS[name].cases:
        graph, operands = case_graph(name, case), operands_of(name, case)
        tangents = random_tangents(graph, generator(name))
        cotangents = random_cotangents(graph, generator(name))
        for value in (*pushed(graph, operands, tangents), *pulled(graph, operands, cotangents)):
            assert not np.any(value), label(case)
