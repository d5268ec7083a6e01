"""The scalar operations of the loop program: NumPy's names with exactly NumPy's meaning for
each dtype.

An operation never converts its operands: `result_dtype` accepts only dtypes that NumPy's own loop
takes as they are (`sin` of an int64 needs a `cast` first, because NumPy casts there too). Overflow
wraps, integer division and remainder by zero give 0, shifts by the width or more give what NumPy
gives. Where NumPy raises for a value (integers to negative integer powers) the program must hold a
`Check` before the operation.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.loops.errors import ProgramError
from tracer.types import kind_of

DType = np.dtype[Any]
BOOL = np.dtype(np.bool_)

ARITHMETIC = "add subtract multiply divide floor_divide remainder fmod power"
UNARY_ARITHMETIC = "negative positive absolute sign sqrt cbrt square reciprocal"
EXPONENTIAL = "exp exp2 expm1 log log2 log10 log1p"
TRIGONOMETRIC = "sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh"
ROUNDING = "floor ceil trunc rint spacing"
BINARY_REAL = "arctan2 hypot logaddexp logaddexp2 copysign nextafter maximum minimum fmax fmin"
COMPARISONS = "equal not_equal less less_equal greater greater_equal"
LOGICAL = "logical_and logical_or logical_xor"
BITWISE = "bitwise_and bitwise_or bitwise_xor left_shift right_shift gcd lcm"
PREDICATES = "isnan isinf isfinite signbit logical_not"
SPECIAL = {
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "gammaln": "gammaln",
    "digamma": "psi",
    "expit": "expit",
}

COMBINERS = "add multiply maximum minimum fmax fmin"
ASSOCIATIVE = frozenset(
    " ".join((COMBINERS, LOGICAL, "bitwise_and bitwise_or bitwise_xor")).split()
)


@dataclass(frozen=True, slots=True)
class ScalarOperation:
    """One operation: how many operands, the dtype of its result, and its value by NumPy.

    `result` maps operand dtypes to the result's dtype, or None where NumPy has no loop for just
    those dtypes. `evaluate` takes NumPy scalars or arrays.
    """

    name: str
    arity: int
    result: Callable[[tuple[DType, ...]], DType | None]
    evaluate: Callable[..., Any]


def _ufunc_rule(find: Callable[[], np.ufunc]) -> Callable[[tuple[DType, ...]], DType | None]:
    @functools.cache
    def rule(dtypes: tuple[DType, ...]) -> DType | None:
        try:
            resolved = find().resolve_dtypes((*dtypes, None))
        except TypeError:
            return None
        return resolved[-1] if resolved[:-1] == dtypes else None

    return rule


def _ufunc_operation(name: str, arity: int) -> ScalarOperation:
    ufunc: np.ufunc = getattr(np, name)
    return ScalarOperation(name, arity, _ufunc_rule(lambda: ufunc), ufunc)


def _special_operation(name: str, scipy_name: str) -> ScalarOperation:
    @functools.cache
    def find() -> np.ufunc:
        special: np.ufunc = getattr(importlib.import_module("scipy.special"), scipy_name)
        return special

    return ScalarOperation(name, 1, _ufunc_rule(find), lambda value: find()(value))


def _part_rule(dtypes: tuple[DType, ...]) -> DType | None:
    dtype = dtypes[0]
    if dtype.kind == "c":
        return np.dtype(np.float32 if dtype.itemsize == 8 else np.float64)
    return dtype if kind_of(dtype) in "iuf" else None


def _complex_rule(dtypes: tuple[DType, ...]) -> DType | None:
    if dtypes[0] != dtypes[1] or kind_of(dtypes[0]) != "f" or dtypes[0].itemsize < 4:
        return None
    return np.dtype(np.complex64 if dtypes[0].itemsize == 4 else np.complex128)


def _complex_value(real: Any, imaginary: Any) -> Any:
    dtype = _complex_rule((real.dtype, imaginary.dtype))
    result = np.empty(np.broadcast_shapes(real.shape, imaginary.shape), dtype)
    result.real, result.imag = real, imaginary
    return result[()]


def _power_value(base: Any, exponent: Any) -> Any:
    """NumPy's power of each element: for a scalar exponent of 0.5 NumPy takes the square root,
    which differs at -0.0 and -inf."""
    if np.ndim(exponent) == 0:
        return np.power(base, np.stack([exponent, exponent]))[0]
    return np.power(base, exponent)


def _exponent_rule(dtypes: tuple[DType, ...]) -> DType | None:
    return np.dtype(np.int32) if kind_of(dtypes[0]) == "f" else None


def _zeta_rule(dtypes: tuple[DType, ...]) -> DType | None:
    equal = dtypes[0] == dtypes[1]
    return dtypes[0] if equal and dtypes[0] in (np.float32, np.float64) else None


def _zeta_value(exponent: Any, start: Any) -> Any:
    return importlib.import_module("scipy.special").zeta(exponent, start)


def _select_rule(dtypes: tuple[DType, ...]) -> DType | None:
    return dtypes[1] if dtypes[0] == BOOL and dtypes[1] == dtypes[2] else None


def _select_value(condition: Any, if_true: Any, if_false: Any) -> Any:
    return np.asarray(np.where(condition, if_true, if_false))[()]


def _make_table() -> dict[str, ScalarOperation]:
    binary = " ".join((ARITHMETIC, BINARY_REAL, COMPARISONS, LOGICAL, BITWISE)).split()
    unary = " ".join((UNARY_ARITHMETIC, EXPONENTIAL, TRIGONOMETRIC, ROUNDING, PREDICATES)).split()
    operations = [_ufunc_operation(name, 2) for name in binary]
    operations += [
        _ufunc_operation(name, 1) for name in (*unary, "invert", "conjugate", "bitwise_count")
    ]
    operations += [_special_operation(name, scipy_name) for name, scipy_name in SPECIAL.items()]
    operations += [
        ScalarOperation("real", 1, _part_rule, np.real),
        ScalarOperation("imag", 1, _part_rule, np.imag),
        ScalarOperation("power", 2, _ufunc_rule(lambda: np.power), _power_value),
        ScalarOperation("binary_exponent", 1, _exponent_rule, lambda value: np.frexp(value)[1]),
        ScalarOperation("zeta", 2, _zeta_rule, _zeta_value),
        ScalarOperation("complex", 2, _complex_rule, _complex_value),
        ScalarOperation("select", 3, _select_rule, _select_value),
    ]
    return {operation.name: operation for operation in operations}


OPERATIONS: Mapping[str, ScalarOperation] = _make_table()
"""Every operation but `cast`, whose result dtype is its own to choose (`cast_allowed`,
`cast_value`).
"""


def cast_allowed(source: DType, target: DType) -> bool:
    """Whether `cast` converts `source` to `target`: all but complex to real, where `real` says
    what is meant.
    """
    return source.kind != "c" or target.kind in "cb"


def cast_value(value: Any, target: DType) -> Any:
    """`value` as `astype(target)` converts it, without a warning."""
    with np.errstate(all="ignore"):
        return np.asarray(value).astype(target)[()]


def result_dtype(name: str, dtypes: tuple[DType, ...]) -> DType:
    """The dtype of operation `name` on operands of `dtypes`.

    Raises ProgramError for an unknown name, a wrong number of operands, or dtypes that NumPy would
    convert.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        raise ProgramError(f"no scalar operation is called '{name}'")
    if len(dtypes) != operation.arity:
        raise ProgramError(f"{name} takes {operation.arity} operands, not {len(dtypes)}")
    result = operation.result(dtypes)
    if result is None:
        names = ", ".join(dtype.name for dtype in dtypes)
        raise ProgramError(f"{name} has no loop for ({names}) without converting an operand")
    return result


def evaluate(name: str, dtype: DType, values: tuple[Any, ...]) -> Any:
    """The value of operation `name` (or `cast` to `dtype`) on NumPy scalars or arrays, without
    warnings.
    """
    if name == "cast":
        return cast_value(values[0], dtype)
    with np.errstate(all="ignore"):
        return OPERATIONS[name].evaluate(*values)
