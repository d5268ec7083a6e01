"""The calls of the tables on the compiled backends, against NumPy; many share one program."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from tests.numpy.compare import all_same, results
from tests.numpy.differential import Call, case_of, inputs_once, names_of
from tests.numpy.test_differential import ABSTRACT

# Calls a program: few enough to compile in seconds.
CHUNK = 30
# Numba compiles tens of times more slowly: it sees every eighth call of the table.
STRIDE = {"llvm": 1, "numba": 8}
DTYPES = {"llvm": ("f8", "f4", "i4", "u1", "?", "c16"), "numba": ("f8",)}

# What is not compiled, and why.
UNSUPPORTED: dict[str, str] = {}


def _expected(call: Call, dtype: str) -> list[Any] | None:
    case = case_of(call, inputs_once("plain", dtype), dtype)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return case.plain()
        except (ValueError, TypeError, IndexError, ArithmeticError):
            return None


def _chunks() -> list[Any]:
    chosen = [call for call in ABSTRACT if names_of(call.expression)]
    return [
        pytest.param(backend, dtype, tuple(calls[begin : begin + CHUNK]), id=f"{backend}-{dtype}-{begin // CHUNK}")
        for backend, stride in STRIDE.items()
        for calls in [[call for call in chosen[::stride] if str(call) not in UNSUPPORTED]]
        for dtype in DTYPES[backend]
        for begin in range(0, len(calls), CHUNK)
    ]


def _program(calls: list[Call]) -> Callable[..., list[Any]]:
    """All calls in one function of the arrays that any of them names."""

    def run(values: dict[str, Any]) -> list[Any]:
        found = []
        for call in calls:
            case = case_of(call, values, "")
            found.append(case.function(tnp, *[array.copy() for array in case.arrays]))
        return found

    return run


@pytest.mark.parametrize(("backend", "dtype", "calls"), _chunks())
def test_compiled_value_is_that_of_numpy(
    backend: str, dtype: str, calls: tuple[Call, ...]
) -> None:
    pairs = [(call, _expected(call, dtype)) for call in calls]
    working = [(call, expected) for call, expected in pairs if expected is not None]
    run = _program([call for call, _ in working])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = tracer.jit(run, backend=backend)(dict(inputs_once("plain", dtype)))
    for (call, expected), values in zip(working, found, strict=True):
        try:
            all_same(results(values), expected)
        except AssertionError as error:
            raise AssertionError(f"{call}: {error}") from None
