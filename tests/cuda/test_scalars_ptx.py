"""Every scalar operation on every dtype compiles for a GPU, many in a kernel.

What a kernel computes is tested in the simulator. Here is what the simulator cannot show: that
the compiler knows the text, and that it stays in the dtype, since a uint64 beside an int64, or a
float32 beside a constant, may become a float64.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from codegen.cuda.target import compile_ptx
from codegen.device.schedule import Argument
from codegen.loops.errors import UnsupportedProgramError
from codegen.render.cuda_functions import FUNCTIONS, NEEDS
from codegen.render.cuda_scalars import find_template, require_dtype
from tests.cuda.scalar_kernels import (
    DTYPES,
    NOT_COMPILED,
    Case,
    find_cases,
    kernel_text,
)

DType = np.dtype[Any]
# Series and iterations, which float32 takes in float64.
IN_DOUBLE = {"digamma", "erfinv", "zeta"}
# The argument of a large angle is reduced in float64 by the GPU's own library.
REDUCED = {"sin", "cos", "tan"}


def compile_cases(cases: list[Case], dtype: DType) -> str:
    """The PTX of a kernel that computes the cases."""
    arguments = [Argument("count", np.dtype(np.int64), "scalar")]
    for number, case in enumerate(cases):
        names = [f"case{number}_{letter}" for letter in "abc"]
        arguments += map(pointer, names, case.operands)
        arguments.append(pointer(f"result{number}", case.result))
    source = kernel_text(cases, looped=False)
    return compile_ptx(source, "kernel", arguments, (9, 0))


def pointer(name: str, dtype: DType) -> Argument:
    """A flat array; booleans are bytes."""
    return Argument(name, np.dtype(np.uint8) if dtype.kind == "b" else dtype)


def in_double(ptx: str) -> list[str]:
    """The instructions on float64."""
    return re.findall(r"^\s*(?!\.reg)\S+\.f64\b.*;$", ptx, re.MULTILINE)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_operation_compiles(dtype: DType) -> None:
    cases = find_cases(dtype)
    assert len(cases) > 40
    if dtype.kind in "fc":
        assert in_double(compile_cases(cases, dtype))
        return
    converting = [case for case in cases if case.name == "cast"]
    assert in_double(compile_cases(converting, dtype))
    assert not in_double(compile_cases([c for c in cases if c.name != "cast"], dtype))


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_single_precision_stays_single(dtype: str) -> None:
    cases = [
        case
        for case in find_cases(np.dtype(dtype))
        if case.name not in IN_DOUBLE | REDUCED and case.result not in (np.float64, np.complex128)
    ]
    assert len(cases) > 60
    assert not in_double(compile_cases(cases, np.dtype(dtype)))


def test_complex_arithmetic_in_single_precision_stays_single() -> None:
    single = np.dtype(np.complex64)
    names = "add subtract multiply divide reciprocal square absolute conjugate sign rint maximum"
    cases = [case for case in find_cases(single) if case.name in names.split()]
    assert len(cases) == len(names.split())
    assert not in_double(compile_cases(cases, single))


@pytest.mark.parametrize("name", sorted(NOT_COMPILED - {"expit"}))
def test_what_is_missing_is_an_error(name: str) -> None:
    with pytest.raises(UnsupportedProgramError, match=f"no {name} of complex128"):
        find_template(name, np.dtype(np.complex128))


def test_dtypes_that_kernels_cannot_hold_are_errors() -> None:
    for dtype in ("longdouble", "datetime64[s]", "S3"):
        with pytest.raises(UnsupportedProgramError, match="convert it before"):
            require_dtype(np.dtype(dtype))


def test_the_functions_that_a_function_needs_exist() -> None:
    known = {function.__name__ for function in FUNCTIONS}
    assert len(known) == len(FUNCTIONS)
    for name, needed in NEEDS.items():
        assert {name, *needed} <= known
        assert all(set(NEEDS.get(other, ())) <= set(needed) for other in needed)
