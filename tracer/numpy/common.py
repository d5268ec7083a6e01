"""What every function here needs: conversion to arrays, axes, dtypes, `out=`, registration."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import numpy as np

from tracer.dispatch import FUNCTIONS, METHODS
from tracer.errors import DTypeError, NotAnArrayError, ShapeError, UnsupportedFunctionError
from tracer.numpy.views import rebind
from tracer.primitives.cast import cast as cast_array
from tracer.primitives.pointwise import as_operand as as_operand
from tracer.primitives.pointwise import promotion_key
from tracer.source_lines import user_source
from tracer.trace import Tracer, is_abstract
from tracer.types import PYTHON_SCALARS, DType, check_dtype, kind_of, normalize_axis

Function = TypeVar("Function", bound=Callable[..., Any])
Axis = int | Sequence[int] | None

# What users call, by the function of NumPy that it stands for.
PUBLIC: dict[Any, Callable[..., Any]] = {}

NO_VALUE = np._NoValue  # what NumPy's own signatures use for "not given"
_SAMPLES: dict[type, Any] = {bool: False, int: 0, float: 0.0, complex: 0j}


def is_traced(value: Any) -> bool:
    """Whether `value` is a traced array, or a list, tuple or dict with one inside."""
    kind = type(value)
    if kind is Tracer:
        return True
    if kind is list or kind is tuple:
        return any(map(is_traced, value))
    if kind is dict:
        return any(map(is_traced, value.values()))
    return False


def any_traced(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether any argument of a call is traced."""
    for value in args:
        if type(value) is Tracer:
            return True
    return is_traced(args) or (bool(kwargs) and is_traced(kwargs))


def array_function(*numpy_functions: Any) -> Callable[[Function], Function]:
    """Decorator: our version of these functions of NumPy, which get what is not traced."""

    def add(ours: Function) -> Function:
        for numpy_function in numpy_functions:
            FUNCTIONS[numpy_function] = ours
        theirs = numpy_functions[0]

        @functools.wraps(ours)
        def function(*args: Any, **kwargs: Any) -> Any:
            if not any_traced(args, kwargs):
                return theirs(*args, **kwargs)
            try:
                return ours(*args, **kwargs)
            except NotAnArrayError:
                result = METHODS["__of_selections__"](theirs, args, kwargs)
                if result is NotImplemented:
                    raise
                return result

        for numpy_function in numpy_functions:
            PUBLIC[numpy_function] = function
        return cast(Function, function)

    return add


def given(value: Any) -> bool:
    """Whether an optional argument was given (neither None nor NumPy's marker)."""
    return value is not None and value is not NO_VALUE


def where_text() -> str:
    """The user's line, as the beginning of an error message."""
    source = user_source()
    return f"{source}: " if source else ""


def unsupported(name: str, use: str, cure: str) -> UnsupportedFunctionError:
    """The error for a use of a NumPy function that is not traced."""
    return UnsupportedFunctionError(f"{where_text()}{name} {use} is not traced; {cure}")


def as_array(value: Any) -> Any:
    """`value` as an array: tracers and arrays as they are, numbers and nested lists converted."""
    kind = type(value)
    if kind is Tracer or kind is np.ndarray:
        return value
    if kind in PYTHON_SCALARS:
        return as_concrete(value)
    return as_operand(value)


def as_concrete(value: Any) -> np.ndarray:
    """`np.asarray(value)` of what is not traced; NotAnArrayError for a Python object."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(str(error)) from error
    if kind_of(array.dtype) not in "biufc":
        raise NotAnArrayError(
            f"{where_text()}a {type(value).__name__} ({value!r:.60}) stands where an array or a "
            "number was due"
        )
    check_dtype(array.dtype)
    return array


def as_arrays(*values: Any) -> list[Any]:
    """Each value as an array."""
    return [as_array(value) for value in values]


def renewed(x: Any) -> Any:
    """`x` as a result of its own: a tracer that no later assignment to `x` changes, or a copy."""
    if type(x) is Tracer:
        return Tracer(x.variable)
    return x.copy() if type(x) is np.ndarray else x


def result_dtype(*values: Any) -> DType:
    """NumPy's `result_type` of arrays, dtypes and numbers; weak scalars are weak."""
    keys = [value if isinstance(value, np.dtype) else promotion_key(value) for value in values]
    return _result_dtype(tuple(keys))


@functools.cache
def _result_dtype(keys: tuple[Any, ...]) -> DType:
    return check_dtype(np.result_type(*[_SAMPLES.get(key, key) for key in keys]))


def as_dtype(dtype: Any) -> DType:
    """The dtype that NumPy understands by `dtype`, if traced arrays may have it."""
    try:
        return check_dtype(np.dtype(dtype))
    except TypeError as error:
        raise DTypeError(str(error)) from error


def cast_to(x: Any, dtype: Any) -> Any:
    """`x` as an array of a dtype (None: as it is)."""
    x = as_array(x)
    return x if dtype is None else cast_array(x, as_dtype(dtype))


def as_real(x: Any, dtype: Any, name: str) -> Any:
    """`x` as an array of a real dtype; `DTypeError` where it is complex."""
    x = as_array(x)
    if x.dtype.kind == "c":
        raise DTypeError(f"{where_text()}{name} does not take complex numbers, such as {x.dtype}")
    return cast_to(x, dtype)


def axis_tuple(axis: Axis, ndim: int, *, loose: bool = False) -> tuple[int, ...]:
    """`axis` of a reduction as axes counted from the front; None is all of them.

    `loose`: of a 0-d array the axes 0 and -1 are let pass, as NumPy's reductions do.
    """
    if not given(axis):
        return tuple(range(ndim))
    if loose and ndim == 0 and type(axis) is int and axis in (0, -1):
        return ()
    if isinstance(axis, (tuple, list)):
        axes = tuple([normalize_axis(operator.index(item), ndim) for item in axis])
        if len(set(axes)) != len(axes):
            raise ValueError("duplicate value in 'axis'")
        return axes
    return (normalize_axis(operator.index(cast(int, axis)), ndim),)


def known_value(value: Any) -> Any:
    """The value of an array or tracer where it is known, else None."""
    if type(value) is not Tracer:
        return value
    return None if is_abstract(value) else value.concrete("a check of values")


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape given as an int or a sequence of ints."""
    if isinstance(shape, (tuple, list)) or (hasattr(shape, "shape") and shape.shape):
        return tuple([operator.index(extent) for extent in shape])
    return (operator.index(shape),)


def given_dtype(x: Any, dtype: Any, out: Any) -> Any:
    """The dtype in which to reduce: the one asked for, or that of the array for the result."""
    if dtype is None and given(out):
        target = out[0] if isinstance(out, tuple) else out
        if target is not None and np.can_cast(x.dtype, target.dtype, "same_kind"):
            return target.dtype
    return dtype


def store(result: Any, out: Any, casting: str = "same_kind") -> Any:
    """`result`, written into `out=` (a traced array) where that is given."""
    if isinstance(out, tuple) and len(out) == 1:
        out = out[0]
    if out is None or out is NO_VALUE:
        return result
    if type(out) is not Tracer:
        raise unsupported(
            "out=",
            "with a plain ndarray",
            "make the array with tracer.numpy.empty or tracer.numpy.zeros, or use the result",
        )
    result = as_array(result)
    if result.shape != out.shape:
        raise ShapeError(
            f"{where_text()}output parameter has shape {out.shape}, the result {result.shape}"
        )
    if not np.can_cast(result.dtype, out.dtype, casting):  # type: ignore[arg-type]
        raise DTypeError(
            f"{where_text()}Cannot cast output from {result.dtype!r} to {out.dtype!r} with casting "
            f"rule '{casting}'"
        )
    rebind(out, cast_array(result, out.dtype))
    return out
