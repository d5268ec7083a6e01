"""NumPy's functions on traced arrays: values, shapes, dtypes, types of graphs, derivatives."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import tracer.numpy as tnp
from tests.numpy import analysis_cases, array_cases, core_cases, linalg_cases
from tests.numpy.compare import (
    Case,
    check_batched,
    check_derivatives,
    check_dtype,
    check_eager,
    check_graph,
    check_special,
)

ARRAY_CASES = [*core_cases.CASES, *array_cases.CASES, *analysis_cases.CASES]
CASES = [*ARRAY_CASES, *linalg_cases.CASES]


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("namespace", [np, tnp], ids=["numpy", "tracer.numpy"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_eager_value_is_that_of_numpy(case: Case, namespace: ModuleType) -> None:
    check_eager(case, namespace)


@pytest.mark.parametrize("case", [case for case in CASES if case.abstract], ids=str)
def test_graph_has_the_types_and_values_of_numpy(case: Case) -> None:
    check_graph(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.derivatives], ids=str)
def test_derivatives_agree_with_numerical_ones(case: Case) -> None:
    check_derivatives(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.abstract], ids=str)
def test_lanes_of_a_batch_are_those_of_numpy(case: Case) -> None:
    check_batched(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.complex64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("case", [case for case in CASES if case.sweep], ids=str)
def test_dtypes_are_those_of_numpy(case: Case, dtype: type) -> None:
    check_dtype(case, dtype)


@pytest.mark.parametrize("values", [(np.nan,), (np.inf, -np.inf), (-0.0,)], ids=str)
@pytest.mark.parametrize("case", [case for case in ARRAY_CASES if case.sweep], ids=str)
def test_special_values_are_those_of_numpy(case: Case, values: tuple[float, ...]) -> None:
    check_special(case, values)
