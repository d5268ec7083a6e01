"""Every scalar operation on every dtype, at special values: NumPy, interpreter and Numba agree.

One program a dtype holds all its operations, since compiling costs more than running.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from codegen.loops.build import index, loop
from codegen.loops.errors import UnsupportedProgramError
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Buffer, Expression, Load, Operation, Program, Store
from codegen.loops.operations import OPERATIONS, cast_allowed, evaluate
from codegen.render.numba_call import compile_numba
from codegen.render.numba_scalars import find_template

Array = np.ndarray[Any, np.dtype[Any]]
DType = np.dtype[Any]
BOOL = np.dtype(np.bool_)
CODES = ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "c8", "c16")
DTYPES = [np.dtype(code) for code in CODES]
i = index("i")

# Complex functions that Numba lacks, and operations whose rounding is looser than 8 ulp.
NOT_IN_NUMBA = {"erf", "erfc", "digamma"}
LOOSE = {"gammaln": 4e-12, "digamma": 1e-14, "erfc": 1e-14, "zeta": 1e-14, "erfinv": 1e-14}
# Of two zeros NumPy takes the one or the other, by the length of the array.
ZERO_OF_EITHER_SIGN = {"maximum", "minimum", "fmax", "fmin"}
REAL_VALUES = (
    "0 -0.0 1 -1 0.5 -0.5 2.5 -2.5 3 -3 1.5 inf -inf nan 1e30 -1e-30 7.3 -7.3 0.1 88 -87 0.999 "
    "1.4616 1.3 20.5 -20.25"
)
COMPLEX_VALUES = (
    0, 1, -1, 1j, -1j, 1 + 2j, -1.5 + 0.5j, 2 - 0.3j, -0.2 - 0.7j, 3, 0.5 + 1e-3j,
    complex(np.nan, 1), complex(1, np.nan),
)  # fmt: skip


class Case(NamedTuple):
    """An operation on operands of given dtypes, and the arrays it is tried on."""

    name: str
    dtype: DType
    operands: tuple[str, ...]
    arrays: tuple[Array, ...]


def special_values(dtype: DType) -> Array:
    """Zeros, ones, limits, infinities, NaN, and values in ordinary range."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        values = [0, 1, 2, 3, 5, 7, 9, 31, 63, limits.max, limits.max - 1]
        if dtype.kind == "i":
            values += [-1, -2, -7, -9, limits.min, limits.min + 1]
        return np.array(values, dtype)
    if dtype.kind == "f":
        return np.array([float(value) for value in REAL_VALUES.split()], dtype)
    return np.array(COMPLEX_VALUES, dtype)


def operand_arrays(dtype: DType) -> dict[str, Array]:
    """Operands by name: `u` alone; `a`, `b` every pair; `p` exponents; `q` fit for `zeta`."""
    values = special_values(dtype)
    a, b = (part.ravel().copy() for part in np.meshgrid(values, values))
    arrays = {"u": values, "a": a, "b": b, "c": np.arange(a.size) % 3 == 0}
    if dtype.kind == "i":
        powers = np.abs(b)
        powers[powers < 0] = 3
        arrays["p"] = powers
    if dtype.kind == "f":
        arrays["q"] = np.where(np.abs(a) < 30, a, dtype.type(3.5))
    return arrays


def cases(dtype: DType) -> Iterator[Case]:
    """All that can be computed from operands of one dtype."""
    arrays = operand_arrays(dtype)
    for name, operation in OPERATIONS.items():
        dtypes = (BOOL, dtype, dtype) if name == "select" else (dtype,) * operation.arity
        result = operation.result(dtypes)
        if result is None or (dtype.kind == "c" and name in NOT_IN_NUMBA):
            continue
        operands = {1: ("u",), 2: ("a", "b"), 3: ("c", "a", "b")}[operation.arity]
        if name == "power" and "p" in arrays:
            operands = ("a", "p")
        if name == "zeta":
            operands = ("q", "b")
        yield Case(name, result, operands, tuple(arrays[part] for part in operands))
    for target in DTYPES:
        if cast_allowed(dtype, target):
            # Outside of an unsigned target's range NumPy's result differs between machines.
            source = arrays["u"]
            if target.kind == "u" and dtype.kind == "f":
                source = np.where((np.abs(source) < 2**31) & (source > -0.9), source, 77)
                source = source.astype(dtype)
            yield Case("cast", target, ("n" if target.kind == "u" else "u",), (source,))


def make_program(found: list[Case]) -> tuple[Program, list[Array]]:
    """One loop over unary cases, one over the others; the inputs by the cases' operand names."""
    arrays = {
        name: array
        for case in found
        for name, array in zip(case.operands, case.arrays, strict=True)
    }
    inputs = {name: Buffer(name, a.dtype, a.shape, "input") for name, a in arrays.items()}
    outputs, unary, others = [], [], []
    for number, case in enumerate(found):
        output = Buffer(f"out{number}", case.dtype, case.arrays[0].shape, "output")
        loads: tuple[Expression, ...] = tuple(Load(inputs[name], (i,)) for name in case.operands)
        store = Store(output, (i,), Operation(case.name, loads, case.dtype))
        (unary if len(case.operands) == 1 else others).append(store)
        outputs.append(output)
    pairs = arrays["a"].size
    body = (loop("i", arrays["u"].size, *unary), loop("i", pairs, *others))
    program = Program("operations", tuple(inputs.values()), tuple(outputs), (), (), body)
    return program, list(arrays.values())


def assert_same(case: Case, got: Array, expected: Array) -> None:
    """Equal, or within 8 ulp of the larger part for inexact dtypes; NaN and signs of zero too."""
    assert got.dtype == expected.dtype, case.name
    same = (got == expected) | ((got != got) & (expected != expected))
    if expected.dtype.kind in "fc":
        epsilon = float(np.finfo(expected.dtype).eps)
        bound = max(8 * epsilon, LOOSE.get(case.name, 0.0))
        with np.errstate(all="ignore"):
            same |= np.abs(got - expected) <= bound * np.abs(expected)
    if expected.dtype.kind == "f" and case.name not in ZERO_OF_EITHER_SIGN:
        same &= (np.signbit(got) == np.signbit(expected)) | (expected != expected)
    wrong = [
        (*(array[place] for array in case.arrays), expected[place], got[place])
        for place in np.flatnonzero(~same)[:5]
    ]
    assert not wrong, f"{case.name} → {case.dtype}: (operands, NumPy, got) {wrong}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numba_agrees_with_numpy(dtype: DType) -> None:
    found = list(cases(dtype))
    program, inputs = make_program(found)
    results = compile_numba(program)(inputs)
    for case, got in zip(found, results, strict=True):
        assert_same(case, got, evaluate(case.name, case.dtype, case.arrays))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_interpreter_agrees_with_numpy(dtype: DType) -> None:
    found = list(cases(dtype))
    program, inputs = make_program(found)
    with warnings.catch_warnings():
        results = interpret(program, inputs)
    for case, got in zip(found, results, strict=True):
        assert_same(case, got, evaluate(case.name, case.dtype, case.arrays))


@pytest.mark.parametrize("name", sorted(NOT_IN_NUMBA))
def test_what_numba_lacks_is_an_error(name: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=f"no {name} of complex128"):
        find_template(name, np.dtype(np.complex128))


def test_float16_is_an_error_on_the_cpu() -> None:
    half = np.dtype(np.float16)
    x, y = Buffer("x", half, (2,), "input"), Buffer("y", half, (2,), "output")
    body = loop("i", 2, Store(y, (i,), Load(x, (i,))))
    with pytest.raises(UnsupportedProgramError, match=r'no float16 on the CPU.*backend="llvm"'):
        compile_numba(Program("half", (x,), (y,), (), (), (body,)))
