"""The calls of the tables on the compiled backends, against NumPy; many share one program."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.helpers import COMPILED
from tests.numpy.compare import all_same, results
from tests.numpy.differential import Call, case_of, inputs_once, names_of
from tests.numpy.test_differential import ABSTRACT

# Calls a program: few enough to compile in seconds.
CHUNK = 30
# Every which call of the table a backend sees in a dtype. The loop programs are the same for both
# backends, whose scalar functions have tests of their own; Numba compiles far more slowly.
STRIDES = {
    ("llvm", "f8"): 3,
    ("llvm", "f4"): 12,
    ("llvm", "i4"): 12,
    ("llvm", "c16"): 12,
    ("llvm", "u1"): 24,
    ("llvm", "?"): 24,
    ("llvm", "f2"): 24,
    ("numba", "f8"): 48,
    ("cuda", "f4"): 48,
    ("cuda", "i4"): 96,
    ("cuda", "c16"): 96,
    ("cuda", "?"): 192,
}
"""The simulator sees single calls in double precision in a run of its own: cuda_calls.py."""

UNSUPPORTED = re.compile(r"\.(item|tolist)\(|density=True")
"""Whole numbers become Python's own, which needs values; and a quotient of single-precision sums in
double precision shows their rounding."""
OF_THE_BITS = re.compile(r"nextafter|spacing")
"""What no backend compiles of float16, and which backend of the CPU compiles the rest."""
WITH_HALVES = "llvm"


def _expected(call: Call, backend: str, dtype: str) -> list[Any] | None:
    if dtype == "?" and call.name.startswith("poly"):
        return None  # the first coefficient is False, and NumPy leaves out leading zeros
    case = case_of(call, inputs_once("plain", dtype), dtype)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            found = case.plain()
        except (ValueError, TypeError, IndexError, ArithmeticError):
            return None
    halves = "'f2'" in call.expression or any(
        np.asarray(value).dtype == np.float16 for value in found
    )
    if halves and (backend != WITH_HALVES or OF_THE_BITS.search(call.expression)):
        return None
    return found


def _chunks() -> list[Any]:
    chosen = [
        call
        for call in ABSTRACT
        if names_of(call.expression) and not UNSUPPORTED.search(call.expression)
    ]
    found = []
    for offset, ((backend, dtype), stride) in enumerate(STRIDES.items()):
        if backend not in COMPILED:
            continue
        calls = chosen[offset % stride :: stride]
        for begin in range(0, len(calls), CHUNK):
            part, label = tuple(calls[begin : begin + CHUNK]), f"{backend}-{dtype}-{begin // CHUNK}"
            found.append(pytest.param(backend, dtype, part, id=label))
    return found


def program(calls: list[Call]) -> Callable[..., list[Any]]:
    """All calls in one function of the arrays that any of them names."""

    def run(values: dict[str, Any]) -> list[Any]:
        found = []
        for call in calls:
            case = case_of(call, values, "")
            found.append(case.function(tnp, *[array.copy() for array in case.arrays]))
        return found

    return run


@pytest.mark.parametrize(("backend", "dtype", "calls"), _chunks())
def test_compiled_value_is_that_of_numpy(backend: str, dtype: str, calls: tuple[Call, ...]) -> None:
    pairs = [(call, _expected(call, backend, dtype)) for call in calls]
    working = [(call, expected) for call, expected in pairs if expected is not None]
    run = program([call for call, _ in working])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = tracer.jit(run, backend=backend)(dict(inputs_once("plain", dtype)))
    for (call, expected), values in zip(working, found, strict=True):
        try:
            all_same(results(values), expected)
        except AssertionError as error:
            raise AssertionError(f"{call}: {error}") from None
