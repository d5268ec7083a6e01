"""Short ways to write expressions and loops, with the dtypes worked out."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.loops.nodes import Expression, Literal, Loop, Operation, Statement, Variable
from codegen.loops.operations import DType, result_dtype
from tracer.types import INT64

PYTHON_KINDS: dict[str, type[Any]] = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


def literal(value: complex, dtype: DType) -> Literal:
    """A constant of any dtype; `value` is converted as NumPy converts it."""
    return Literal(PYTHON_KINDS[dtype.kind](np.asarray(value).astype(dtype)[()]), dtype)


def integer(value: int) -> Literal:
    """An int64 constant, as indices and loop bounds are."""
    return Literal(int(value), INT64)


def index(name: str) -> Variable:
    """A loop index."""
    return Variable(name, INT64)


def operation(name: str, *operands: Expression) -> Operation:
    """A scalar operation with the dtype that NumPy gives; ProgramError where it would convert."""
    return Operation(name, operands, result_dtype(name, tuple(part.dtype for part in operands)))


def cast(operand: Expression, dtype: DType) -> Expression:
    """`operand` converted to `dtype`; itself where it has that dtype."""
    return operand if operand.dtype == dtype else Operation("cast", (operand,), dtype)


def loop(name: str, extent: int, *body: Statement, kind: str = "parallel") -> Loop:
    """`for name in range(extent)`."""
    return Loop(name, integer(0), integer(extent), body, kind)
