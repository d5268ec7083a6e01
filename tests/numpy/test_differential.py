"""Every call of the tables: plain NumPy against eager tracing, graphs, derivatives and batches."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tracer.numpy as tnp
from tests.numpy.compare import (
    Case,
    all_same,
    check_batched,
    check_derivatives,
    check_graph,
    results,
)
from tests.numpy.deviations import deviation
from tests.numpy.deviations import names as deviation_names
from tests.numpy.differential import Call, calls_of, case_of, inputs_once, names_of, variants
from tests.numpy.signatures import TABLE
from tracer.errors import ConcretizationError
from tracer.trace import ValueTrace, opened

CALLS = calls_of(TABLE)
_VALUES = (np.ndarray, np.generic, bool, int, float, complex)
ERRORS = (ValueError, TypeError, IndexError, ArithmeticError, AttributeError, OverflowError)


@contextmanager
def _quiet() -> Iterator[None]:
    """NumPy warns of NaN and of overflow; here only results count."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _outcome(case: Case, namespace: Any, arrays: list[Any]) -> list[Any] | Exception:
    try:
        return results(case.function(namespace, *arrays))
    except ERRORS as error:
        return error


def _built_in(error: Exception) -> type[Exception]:
    """The class of Python that an error belongs to."""
    return next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")


def compare(case: Case, namespace: Any) -> None:
    """Value, dtype, shape, or the class of the error, of NumPy."""
    with _quiet():
        expected = _outcome(case, np, [np.array(array) for array in case.arrays])
        with opened(ValueTrace()) as trace:
            traced = [trace.input(np.array(array)) for array in case.arrays]
            found = _outcome(case, namespace, traced)
            if isinstance(expected, Exception):
                assert isinstance(found, _built_in(expected)), f"{expected!r} is due: {found!r}"
            else:
                assert not isinstance(found, Exception), f"no error is due: {found!r}"
                all_same(found, expected)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_value_dtype_shape_and_error_are_those_of_numpy(call: Call) -> None:
    for number, case in enumerate(variants(call)):
        if deviation(case.name) is None:
            compare(case, np if number % 2 == 0 and not call.ours else tnp)


def test_deviations_are_of_calls_that_exist() -> None:
    cases = {case.name for call in CALLS for case in variants(call)}
    assert [name for name in deviation_names() if name not in cases] == []


def works(call: Call, dtype: str) -> bool:
    """Whether NumPy takes the call on arrays of that dtype."""
    case = case_of(call, inputs_once("plain", dtype), dtype)
    with _quiet():
        return isinstance(_outcome(case, np, [np.array(array) for array in case.arrays]), list)


def _gives_arrays(call: Call) -> bool:
    case = case_of(call, inputs_once("plain", "f8"), "f8")
    with _quiet():
        found = _outcome(case, np, [np.array(array) for array in case.arrays])
    return isinstance(found, list) and all(isinstance(value, _VALUES) for value in found)


ABSTRACT = [call for call in CALLS if not call.eager and _gives_arrays(call)]
DEPENDENT = [call for call in CALLS if call.eager and works(call, "f8")]


@pytest.mark.parametrize("call", ABSTRACT, ids=str)
def test_graph_has_the_types_and_values_of_numpy(call: Call) -> None:
    with _quiet():
        check_graph(case_of(call, inputs_once("plain", "f8"), "f8"))


@pytest.mark.parametrize("call", DEPENDENT, ids=str)
def test_what_needs_values_says_so(call: Call) -> None:
    case = case_of(call, inputs_once("plain", "f8"), "f8")
    with pytest.raises(ConcretizationError):
        check_graph(case)


def _finite(call: Call, dtype: str) -> bool:
    """Whether NumPy takes the call, and all numbers that come of it are finite."""
    case = case_of(call, inputs_once("plain", dtype), dtype)
    with _quiet():
        found = _outcome(case, np, [np.array(array) for array in case.arrays])
    if isinstance(found, Exception) or deviation(case.name) is not None:
        return False
    return all(isinstance(value, _VALUES) and np.all(np.isfinite(value)) for value in found)


def has_derivatives(call: Call, dtype: str) -> bool:
    """Whether finite numbers of that dtype come in and out."""
    case = case_of(call, inputs_once("plain", dtype), dtype)
    if not any(np.asarray(array).dtype.kind in "fc" for array in case.arrays):
        return False
    if not _finite(call, dtype):
        return False
    with _quiet():
        return any(np.asarray(value).dtype.kind in "fc" for value in case.plain())


# Differences of single-precision results are mostly rounding.
SMOOTH = [call for call in CALLS if call.smooth and not re.search(r"'f[24]'", call.expression)]


@pytest.mark.parametrize("call", SMOOTH, ids=str)
def test_derivatives_agree_with_numerical_ones(call: Call) -> None:
    for dtype in ("f8", "c16"):
        if has_derivatives(call, dtype):
            with _quiet():
                check_derivatives(case_of(call, inputs_once("plain", dtype), dtype))


@pytest.mark.parametrize(
    "call", [call for call in ABSTRACT if names_of(call.expression)], ids=str
)
def test_lanes_of_a_batch_are_those_of_numpy(call: Call) -> None:
    with _quiet():
        check_batched(case_of(call, inputs_once("plain", "f8"), "f8"))
