"""Every scalar operation on every dtype, at special values: NumPy and LLVM code agree, in lanes
and one by one.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from codegen.loops.nodes import Loop, Program
from codegen.loops.operations import evaluate
from codegen.render.llvm_call import compile_llvm
from tests.codegen.render.test_numba_operations import (
    DTYPES,
    DType,
    assert_same,
    cases,
    make_program,
)


def serial(program: Program) -> Program:
    """The program with loops that say nothing of the independence of their iterations."""
    body = [
        replace(part, kind="serial") if isinstance(part, Loop) else part for part in program.body
    ]
    return replace(program, body=tuple(body))


@pytest.mark.parametrize("lanes", [True, False], ids=["lanes", "one by one"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_llvm_agrees_with_numpy(dtype: DType, lanes: bool) -> None:
    found = list(cases(dtype))
    program, inputs = make_program(found)
    results = compile_llvm(program if lanes else serial(program))(inputs)
    for case, got in zip(found, results, strict=True):
        assert_same(case, got, evaluate(case.name, case.dtype, case.arrays))
