"""The table of scalar operations: dtypes, arities, and the values that NumPy defines."""

from __future__ import annotations

import numpy as np
import pytest

import tracer.numpy
from codegen.loops.errors import ProgramError
from codegen.loops.operations import (
    ASSOCIATIVE,
    OPERATIONS,
    cast_allowed,
    cast_value,
    evaluate,
    result_dtype,
)
from tracer.graph.primitive import REGISTRY

DTYPES = [
    np.dtype(code)
    for code in ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
]
INT64, FLOAT64, BOOL = np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_values_have_the_dtype_that_the_rule_gives(name: str) -> None:
    operation = OPERATIONS[name]
    accepted = 0
    for dtype in DTYPES:
        dtypes = (BOOL, dtype, dtype) if name == "select" else (dtype,) * operation.arity
        expected = operation.result(dtypes)
        if expected is None:
            continue
        accepted += 1
        value = evaluate(name, expected, tuple(part.type(1) for part in dtypes))
        assert value.dtype == expected, f"{name} of {dtype}"
        assert value.shape == (), f"{name} of {dtype} is a scalar"
    assert accepted > 0, "some dtype is accepted"


def test_operands_are_never_converted() -> None:
    with pytest.raises(ProgramError, match=r"sin has no loop for \(int64\)"):
        result_dtype("sin", (INT64,))
    with pytest.raises(ProgramError, match=r"add has no loop for \(int64, float64\)"):
        result_dtype("add", (INT64, FLOAT64))
    with pytest.raises(ProgramError, match="subtract has no loop"):
        result_dtype("subtract", (BOOL, BOOL))
    with pytest.raises(ProgramError, match="select has no loop"):
        result_dtype("select", (INT64, FLOAT64, FLOAT64))


def test_unknown_names_and_wrong_counts_are_errors() -> None:
    with pytest.raises(ProgramError, match="no scalar operation is called 'sum'"):
        result_dtype("sum", (FLOAT64,))
    with pytest.raises(ProgramError, match="add takes 2 operands, not 1"):
        result_dtype("add", (FLOAT64,))


def test_integers_wrap_and_divide_by_zero_gives_zero() -> None:
    smallest = np.int64(-(2**63))
    assert evaluate("add", INT64, (smallest, np.int64(-1))) == 2**63 - 1
    assert evaluate("floor_divide", INT64, (np.int64(7), np.int64(0))) == 0
    assert evaluate("remainder", INT64, (np.int64(7), np.int64(0))) == 0
    assert evaluate("remainder", INT64, (np.int64(-7), np.int64(3))) == 2
    assert evaluate("fmod", INT64, (np.int64(-7), np.int64(3))) == -1
    assert evaluate("left_shift", INT64, (np.int64(1), np.int64(64))) == 0


def test_maximum_and_fmax_differ_on_nan() -> None:
    pair = (np.float64(np.nan), np.float64(1.0))
    assert np.isnan(evaluate("maximum", FLOAT64, pair))
    assert evaluate("fmax", FLOAT64, pair) == 1.0


def test_casts() -> None:
    assert cast_value(np.float64(-1.9), INT64) == -1
    assert cast_value(np.int64(300), np.dtype(np.uint8)) == 44
    assert cast_value(np.float64(np.nan), BOOL)
    assert cast_allowed(FLOAT64, np.dtype(np.complex64))
    assert not cast_allowed(np.dtype(np.complex64), FLOAT64)


def test_associative_operations_are_binary_and_keep_their_dtype() -> None:
    for name in ASSOCIATIVE:
        dtype = BOOL if name.startswith("logical") else INT64
        assert result_dtype(name, (dtype, dtype)) == dtype


def test_every_lowering_of_an_elementwise_primitive_is_known() -> None:
    assert "sinh" in dir(tracer.numpy), "importing it has registered the primitives"
    composed = {"cast", "integer_power", "program", "stop_gradient"}
    for primitive in REGISTRY.values():
        if primitive.lowering is not None and primitive.lowering.kind == "elementwise":
            assert primitive.lowering.operation in OPERATIONS.keys() | composed, primitive.name
