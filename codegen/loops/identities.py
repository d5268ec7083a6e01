"""The neutral elements of reductions."""

from __future__ import annotations

import math

import numpy as np

from codegen.loops.errors import ProgramError
from codegen.loops.operations import DType
from tracer.types import kind_of


def identity(operation: str, dtype: DType) -> bool | int | float | complex:
    """What leaves every value as it is: operation(identity, x) is x, signed zeros included.

    Raises ProgramError for operations without one.
    """
    if operation in ("add", "logical_or", "logical_xor", "bitwise_or", "bitwise_xor"):
        zero = {"b": False, "f": -0.0, "c": complex(-0.0, -0.0)}.get(kind_of(dtype), 0)
        return zero if operation == "add" or dtype.kind == "b" else 0
    if operation in ("multiply", "logical_and"):
        return True if dtype.kind == "b" else {"f": 1.0, "c": complex(1.0)}.get(kind_of(dtype), 1)
    if operation == "bitwise_and":
        return True if dtype.kind == "b" else -1 if dtype.kind == "i" else int(np.iinfo(dtype).max)
    if operation in ("maximum", "fmax", "minimum", "fmin"):
        return _extreme(operation, dtype)
    raise ProgramError(f"{operation} has no neutral element")


def _extreme(operation: str, dtype: DType) -> bool | int | float | complex:
    lowest = operation in ("maximum", "fmax")
    if dtype.kind == "b":
        return not lowest
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return int(limits.min if lowest else limits.max)
    if operation in ("fmax", "fmin"):
        return math.nan if kind_of(dtype) == "f" else complex(math.nan, math.nan)
    infinity = -math.inf if lowest else math.inf
    return infinity if kind_of(dtype) == "f" else complex(infinity, infinity)
