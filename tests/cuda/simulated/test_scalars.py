"""Every scalar operation on every dtype, as a kernel computes it in the simulator: as NumPy does.

One thread takes all elements, since a thread is what costs time there.
"""

from __future__ import annotations

import functools
import itertools
import types
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import cuda

from codegen.cuda import simulated_math
from codegen.loops.operations import evaluate
from tests.cuda.scalar_kernels import DTYPES, HALF, Case, find_cases, kernel_text, load_kernel

Array = np.ndarray[Any, np.dtype[Any]]
DType = np.dtype[Any]

# Units in the last place: most functions here are NumPy's own, the others are compositions.
ULPS = {"float16": 1.0, "float32": 4.0, "float64": 4.0, "complex64": 4.0, "complex128": 16.0}
# Series and iterations in float64, where SciPy has others.
LOOSE = {"gammaln": 4e-12, "digamma": 1e-14, "erfc": 1e-14, "zeta": 1e-14, "erfinv": 1e-14}
# The simulator's own cbrt is a power of 1/3.
LOOSE_ULPS = {"cbrt": 64.0}
# Of operands with other signs than the result: what was rounded was as large as they are.
CANCELLING = {"logaddexp", "logaddexp2"}
# Of two zeros NumPy takes the one or the other, by the length of the array.
ZERO_OF_EITHER_SIGN = {"maximum", "minimum", "fmax", "fmin"}
REAL = (
    "0 -0.0 1 -1 0.5 -0.5 2.5 -2.5 3 -3 1.5 inf -inf nan 1e30 -1e-30 7.3 -7.3 0.1 88 -87 0.999 "
    "1.4616 1.3 20.5 -20.25 1000 -1000 8388607.5 1e-45 5e-324 65504 6e-8"
)
PARTS = (0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.25, 1e-3, -30.0, 60.0)


def quiet(function: Callable[..., None]) -> Callable[..., None]:
    """The kernel, without NumPy's warnings in the thread that runs it.

    It shares the globals of `function`, where the simulator puts a `cuda` of its own.
    """
    without_warnings = np.errstate

    def run(*arguments: Any) -> None:
        with without_warnings(all="ignore"):
            function(*arguments)

    shared = types.FunctionType(
        run.__code__, function.__globals__, function.__name__, None, run.__closure__
    )
    return functools.wraps(function)(shared)


def special_values(dtype: DType) -> Array:
    """Zeros, ones, limits, infinities, NaN, branch cuts, and some values at random."""
    random = np.random.default_rng(7)
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = [0, 1, 2, 3, 5, 7, 8, 9, 31, 63, 64, limits.max, limits.max - 1]
        if dtype.kind == "i":
            values += [-1, -2, -7, -9, limits.min, limits.min + 1]
        drawn = random.integers(limits.min, limits.max, 12, dtype, endpoint=True)
        return np.concatenate([np.array(values, dtype), drawn])
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            drawn = random.normal(size=8) * 10.0 ** random.integers(-3, 4, 8)
            return np.concatenate([[float(x) for x in REAL.split()], drawn]).astype(dtype)
        made = [complex(x, y) for x, y in itertools.product(PARTS, PARTS)]
        made += [complex(np.nan, 1.0), complex(1.0, np.nan), complex(1e-20, 3e-21)]
        return np.concatenate([made, random.normal(size=(8, 2)) @ [1, 1j]]).astype(dtype)


def operand_arrays(case: Case) -> list[Array]:
    """Each value alone, or every pair of values, as far as the operation is defined there."""
    dtype = case.operands[-1]
    values = special_values(dtype)
    if len(case.operands) == 1:
        return [cast_operand(values, case.result) if case.name == "cast" else values]
    if dtype.kind == "c":
        values = values[::5]
    a, b = (part.ravel().copy() for part in np.meshgrid(values, values))
    if case.name == "power" and dtype.kind == "i":
        b = np.abs(b)
        b[b < 0] = 3
    if case.name == "zeta":
        a = np.where(np.abs(a) < 30, a, dtype.type(3.5)).astype(dtype)
    if len(case.operands) == 3:
        return [np.arange(a.size) % 3 == 0, a, b]
    return [a, b]


def cast_operand(values: Array, target: DType) -> Array:
    """Outside of an unsigned target's range NumPy's result differs between machines."""
    if values.dtype.kind != "f" or target.kind != "u":
        return values
    with np.errstate(all="ignore"):
        inside = (np.abs(values.astype(np.float64)) < 2.0**31) & (values > -0.9)
    return np.where(inside, values, values.dtype.type(77))


def run_cases(cases: list[Case], operands: list[list[Array]]) -> list[Array]:
    """The results of one kernel, which computes all cases over arrays made equally long."""
    count = max(array.size for arrays in operands for array in arrays)
    kernel, names = load_kernel(kernel_text(cases, looped=True), "simulated")
    names["math"] = simulated_math
    arguments, results = [], []
    for case, arrays in zip(cases, operands, strict=True):
        arguments += [np.resize(array, count) for array in arrays]
        results.append(np.zeros(count, case.result))
        arguments.append(results[-1])
    cuda.jit(quiet(kernel))[1, 1](count, *arguments)
    return [result[: arrays[0].size] for result, arrays in zip(results, operands, strict=True)]


def is_same(case: Case, arrays: list[Array], got: Array, expected: Array) -> Array:
    """Where they are equal, or within a few ulp of the size of an inexact number."""
    same = (got == expected) | ((got != got) & (expected != expected))
    if expected.dtype.kind == "c":
        parts = [is_same(case, arrays, part(got), part(expected)) for part in (np.real, np.imag)]
        same |= parts[0] & parts[1]
    if expected.dtype.kind in "fc":
        size = np.abs(expected)
        if case.name in CANCELLING:
            size = np.maximum(size, np.maximum(*np.abs(arrays)))
        elif expected.dtype == HALF:
            size = np.maximum(size, np.finfo(HALF).smallest_normal)
        same |= np.abs(got - expected) <= bound(case) * size
    return np.asarray(same)


def bound(case: Case) -> float:
    """The relative error that an operation may have."""
    units = max(ULPS[case.result.name], LOOSE_ULPS.get(case.name, 0.0))
    return max(units * float(np.finfo(case.result).eps), LOOSE.get(case.name, 0.0))


def assert_same(case: Case, arrays: list[Array], got: Array) -> None:
    """Equal, or within a few ulp; NaN and signs of zero too.

    Of complex64 either NumPy's result or that of complex128, which is closer to the truth.
    """
    expected = evaluate(case.name, case.result, tuple(arrays))
    assert got.dtype == expected.dtype, case.name
    with np.errstate(all="ignore"):
        same = is_same(case, arrays, got, expected)
        if case.operands[0] == np.complex64 and case.result == np.complex64:
            wide = [array.astype(np.complex128) for array in arrays]
            better = evaluate(case.name, case.result, tuple(wide)).astype(np.complex64)
            same |= is_same(case, arrays, got, better)
    if expected.dtype.kind == "f" and case.name not in ZERO_OF_EITHER_SIGN:
        same &= (np.signbit(got) == np.signbit(expected)) | (expected != expected)
    wrong = [
        (*(array[place] for array in arrays), expected[place], got[place])
        for place in np.flatnonzero(~same)[:5]
    ]
    assert not wrong, f"{case.name} → {case.result}: (operands, NumPy, got) {wrong}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_kernels_agree_with_numpy(dtype: DType) -> None:
    cases = find_cases(dtype)
    operands = [operand_arrays(case) for case in cases]
    failures = []
    for case, arrays, got in zip(cases, operands, run_cases(cases, operands), strict=True):
        try:
            assert_same(case, arrays, got)
        except AssertionError as error:
            failures.append(str(error))
    assert not failures, "\n".join(failures)


def test_results_are_ieee_not_exceptions() -> None:
    huge, single = np.float64(1000.0), np.float32(1000.0)
    with np.errstate(all="ignore"):
        assert simulated_math.exp(huge) == np.inf
        assert simulated_math.log(0.0) == -np.inf
        assert np.isnan(simulated_math.sqrt(-1.0))
        assert np.isnan(simulated_math.remainder(1.0, 0.0))
        assert simulated_math.gamma(huge) == simulated_math.lgamma(-2.0) == np.inf
        assert np.isnan(simulated_math.gamma(-2.0))
    for function in (simulated_math.exp, simulated_math.erf, simulated_math.lgamma):
        with np.errstate(all="ignore"):
            assert function(single).dtype == np.float32


def test_a_quiet_kernel_warns_of_nothing() -> None:
    def kernel(values: Any) -> None:
        values[0] = values[0] / values[1] + float(cuda.threadIdx.x)

    values = np.array([1.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cuda.jit(quiet(kernel))[1, 1](values)
    assert values[0] == np.inf
