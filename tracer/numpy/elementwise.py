"""Elementwise functions that are no ufuncs: choices, rounding, complex parts, closeness."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.dispatch import METHODS, method
from tracer.errors import DTypeError, UnsupportedFunctionError
from tracer.numpy.common import (
    NO_VALUE,
    array_function,
    as_array,
    as_arrays,
    as_real,
    cast_to,
    given,
    known_value,
    renewed,
    result_dtype,
    store,
    where_text,
)
from tracer.numpy.reductions import all as all_of
from tracer.numpy.reductions import truth
from tracer.numpy.views import as_view
from tracer.primitives import arithmetic, comparison, transcendental
from tracer.primitives.arithmetic import absolute, maximum, minimum
from tracer.primitives.broadcast import broadcast_to, zeros_like
from tracer.primitives.cast import imag_part, make_complex, real_part
from tracer.primitives.comparison import equal, isfinite, isinf, isnan, logical_and, select
from tracer.primitives.index import gather
from tracer.primitives.pointwise import converted
from tracer.primitives.shape import concatenate
from tracer.trace import Tracer
from tracer.types import BOOL, FLOAT32, PYTHON_SCALARS, is_brain, is_complex, kind_of


def _operand(x: Any) -> Any:
    return x if type(x) in PYTHON_SCALARS else as_array(x)


@array_function(np.where)
def where(condition: Any, x: Any = NO_VALUE, y: Any = NO_VALUE, /) -> Any:
    """`x` where the condition holds, else `y`; of the condition alone: where it holds."""
    if x is NO_VALUE and y is NO_VALUE:
        return METHODS["nonzero"](as_array(condition))
    if x is NO_VALUE or y is NO_VALUE:
        raise ValueError("either both or neither of x and y should be given")
    first, second = _operand(x), _operand(y)
    dtype = result_dtype(first, second)
    return select(truth(condition), converted(first, dtype), converted(second, dtype))


@array_function(np.clip)
def clip(
    a: Any,
    a_min: Any = NO_VALUE,
    a_max: Any = NO_VALUE,
    out: Any = None,
    *,
    min: Any = NO_VALUE,
    max: Any = NO_VALUE,
    **options: Any,
) -> Any:
    """`a` with what lies outside of the bounds moved to them."""
    low = a_min if min is NO_VALUE else min
    high = a_max if max is NO_VALUE else max
    x = _operand(a)
    if given(options.get("dtype")):
        wanted = options["dtype"]
        low = cast_to(low, wanted) if given(low) else None
        high = cast_to(high, wanted) if given(high) else None
        x = cast_to(x, wanted)
    low, high = _effective(x, low, high)
    if not given(low) and not given(high):
        return store(arithmetic.positive(as_array(x)), out)
    result = x
    if given(low):
        result = maximum(result, _operand(low))
    if given(high):
        result = minimum(result, _operand(high))
    bounds = [_operand(bound) for bound in (low, high) if given(bound)]
    if not is_brain(as_array(x).dtype):
        dtype = result_dtype(x, *bounds)
    elif len(bounds) == 1:  # which NumPy leaves to maximum or minimum
        dtype = result.dtype
    else:
        dtype = result_dtype(FLOAT32, *bounds)  # of its own ufunc bfloat16 has no loop
    return store(cast_to(result, dtype), out)


def _effective(x: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The bounds of `clip`, less those Python integers that no element of `x` goes beyond."""
    dtype = as_array(x).dtype
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
        if low is None and high is None:
            return limits.min, None
    return low, high


@method("clip")
def clip_method(
    self: Any, min: Any = None, max: Any = None, out: Any = None, **options: Any
) -> Any:
    """`x.clip(min, max)`."""
    return clip(self, min, max, out, **options)


@method("round")
@array_function(np.round)
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Rounded to a number of decimals, halves to even."""
    x = as_array(a)
    if x.dtype == BOOL and decimals:
        raise DTypeError(f"{where_text()}booleans are not rounded to decimals; convert them")
    if kind_of(x.dtype) not in "fc":
        if decimals < 0 and x.dtype.kind in "iu":
            scale = x.dtype.type(10**-decimals)
            rounded = arithmetic.rint(x / scale) * scale
            return store(cast_to(rounded, x.dtype), out)
        result = cast_to(x, np.float16) if x.dtype == BOOL else renewed(x)
    elif is_complex(x.dtype):
        result = make_complex(round(real_part(x), decimals), round(imag_part(x), decimals))
    elif decimals == 0:
        result = arithmetic.rint(x)
    elif decimals > 0:
        scale = x.dtype.type(10.0**decimals)
        result = arithmetic.rint(x * scale) / scale
    else:
        scale = x.dtype.type(10.0**-decimals)
        result = arithmetic.rint(x / scale) * scale
    return store(result, out)


@array_function(np.around)
def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """NumPy's other name of `round`."""
    return round(a, decimals, out)


@method("__round__")
def round_operator(self: Any, ndigits: Any = None) -> Any:
    """Python's `round` of a number: an integer where no number of digits is given."""
    if self.shape:
        raise TypeError(f"{where_text()}type numpy.ndarray doesn't define __round__ method")
    if ndigits is None:
        return cast_to(arithmetic.rint(self), np.int64)
    return round(self, ndigits or 0)


@array_function(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    """Rounded towards 0."""
    return store(arithmetic.trunc(as_array(x)), out)


@array_function(np.real)
def real(val: Any) -> Any:
    """The real part, as a view."""
    x = as_array(val)
    if not is_complex(x.dtype):
        return x
    return as_view(x, real_part, lambda base, part: make_complex(part, imag_part(base)))


@array_function(np.imag)
def imag(val: Any) -> Any:
    """The imaginary part, as a view; zeros for what is real."""
    x = as_array(val)
    if not is_complex(x.dtype):
        return zeros_like(x)
    return as_view(x, imag_part, lambda base, part: make_complex(real_part(base), part))


METHODS["__real__"] = real
METHODS["__imag__"] = imag


@method("conj", "conjugate")
def conjugate_method(self: Any) -> Any:
    """`x.conj()`: of real numbers and booleans the array itself."""
    return arithmetic.conjugate(self) if is_complex(self.dtype) else self


@array_function(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """The angle of a complex number."""
    z = as_array(z)
    x, y = (real_part(z), imag_part(z)) if is_complex(z.dtype) else (z, 0)
    result = transcendental.arctan2(y, x)
    return result * result.dtype.type(180 / math.pi) if deg else result


@array_function(np.isreal)
def isreal(x: Any) -> Any:
    """Whether the imaginary part is 0."""
    return equal(imag(x), 0)


@array_function(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """Whether the imaginary part is not 0."""
    return comparison.not_equal(imag(x), 0)


@array_function(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return is_complex(as_array(x).dtype)


@array_function(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not is_complex(as_array(x).dtype)


@array_function(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """The real part, where every imaginary part is negligible: which needs the values."""
    x = as_array(a)
    if not is_complex(x.dtype):
        return x
    known = x.concrete("real_if_close") if type(x) is Tracer else x
    return real_part(x) if not np.iscomplexobj(np.real_if_close(known, tol)) else x


@array_function(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """Whether +∞."""
    x = as_real(x, None, "isposinf")
    return store(logical_and(isinf(x), comparison.greater(x, 0)), out)


@array_function(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """Whether −∞."""
    x = as_real(x, None, "isneginf")
    return store(logical_and(isinf(x), comparison.less(x, 0)), out)


@array_function(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """NaN and infinities replaced by numbers."""
    x = as_array(x)
    if x.dtype.kind not in "fc":  # NumPy leaves bfloat16 as it is
        return renewed(x)
    if is_complex(x.dtype):
        if is_complex(as_array(nan).dtype):
            raise DTypeError(f"{where_text()}nan= stands for real parts, and is no complex number")
        parts = [
            nan_to_num(part, True, nan, posinf, neginf) for part in (real_part(x), imag_part(x))
        ]
        return make_complex(*parts)
    limits = np.finfo(x.dtype)
    high = limits.max if posinf is None else posinf
    low = limits.min if neginf is None else neginf
    result = where(isnan(x), cast_to(nan, x.dtype), x)
    result = where(isposinf(x), cast_to(high, x.dtype), result)
    return where(isneginf(x), cast_to(low, x.dtype), result)


@array_function(np.isclose)
def isclose(
    a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False
) -> Any:
    """Whether |a − b| ≤ atol + rtol·|b|, elementwise."""
    x, y = as_arrays(a, b)
    if y.dtype.kind != "m":
        y = cast_to(y, np.result_type(y.dtype, 1.0))
    near = comparison.less_equal(absolute(x - y), atol + rtol * absolute(y))
    result = comparison.logical_or(logical_and(near, isfinite(y)), equal(x, y))
    if equal_nan:
        result = comparison.logical_or(result, logical_and(isnan(x), isnan(y)))
    return result


@array_function(np.allclose)
def allclose(
    a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False
) -> Any:
    """Whether all elements are close."""
    return all_of(isclose(a, b, rtol, atol, equal_nan))


@array_function(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether shapes and all elements are equal."""
    x, y = as_arrays(a1, a2)
    if x.shape != y.shape:
        return False
    same = equal(x, y)
    if equal_nan:
        same = comparison.logical_or(same, logical_and(isnan(x), isnan(y)))
    return all_of(same)


@array_function(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether the arrays broadcast to equal ones."""
    x, y = as_arrays(a1, a2)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return all_of(equal(x, y))


@array_function(np.i0)
def i0(x: Any) -> Any:
    """The modified Bessel function of order 0, of real numbers."""
    from tracer.primitives.special import bessel  # which imports SciPy

    x = as_real(x, None, "i0")
    x = x if kind_of(x.dtype) == "f" else cast_to(x, np.float64)
    return cast_to(bessel.i0(x), x.dtype)


def _sinc_series(y: Any) -> Any:
    """sin(y)/y by its series, for |y| ≤ ½: its derivatives of every order are accurate there."""
    square = y * y
    total = 1 / math.factorial(19)
    for order in range(17, 0, -2):
        total = square * total * -1 + 1 / math.factorial(order)
    return total


@array_function(np.sinc)
def sinc(x: Any) -> Any:
    """sin(πx)/(πx), 1 at 0, where its derivatives are right too."""
    x = as_array(x)
    y = x * np.pi
    small = comparison.less_equal(absolute(y), 0.5)
    away = where(small, y.dtype.type(1), y)
    near = where(small, y, y.dtype.type(0))
    return where(small, _sinc_series(near), transcendental.sin(away) / away)


@array_function(np.select)
def select_first(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each element, the choice of the first condition that holds."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    choices = [_operand(choice) for choice in choicelist]
    other = _operand(default)
    dtype = result_dtype(*choices, other)
    result = converted(other, dtype)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        condition = as_array(condition)
        if condition.dtype != BOOL:
            raise TypeError("invalid entry in condlist: should be boolean ndarray")
        result = select(condition, converted(choice, dtype), result)
    shape = np.broadcast_shapes(
        *[as_array(item).shape for item in (*condlist, *choices)]
    )
    return broadcast_to(result, shape)


@array_function(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """A function made of pieces, each evaluated everywhere and used where its condition holds."""
    x = as_array(x)
    conditions = [truth(condition) for condition in _conditions(x, condlist)]
    pieces = list(funclist)
    if len(pieces) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected"
        )
    result = cast_to(0, x.dtype)
    if len(pieces) > len(conditions):
        result = _piece(pieces[-1], x, args, kw)
    for condition, piece in zip(conditions, pieces, strict=False):
        result = select(condition, _piece(piece, x, args, kw), result)
    return broadcast_to(result, x.shape)


def _conditions(x: Any, condlist: Any) -> list[Any]:
    """The conditions of `piecewise`: several, or one that is as long as `x`."""
    if isinstance(condlist, (list, tuple)):
        several = len(condlist) > 0 and bool(np.shape(condlist[0]))
        return list(condlist) if several or not x.shape else [condlist]
    condition = as_array(condlist)
    if len(condition.shape) == 0 or (len(condition.shape) == 1 and x.shape):
        return [condition]
    if condition.shape[0] == 0:
        raise IndexError(f"{where_text()}index 0 is out of bounds for axis 0 with size 0")
    return [condition[place] for place in range(condition.shape[0])]


def _piece(piece: Any, x: Any, args: Any, kw: Any) -> Any:
    if callable(piece):
        return cast_to(piece(x, *args, **kw), x.dtype)
    return cast_to(converted(_operand(piece), x.dtype), x.dtype)


@array_function(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """For each element of `a`, that element of the choice it names."""
    index, *arrays = as_arrays(a, *choices)
    count = len(arrays)
    dtype = result_dtype(*[array.dtype for array in arrays])
    shape = np.broadcast_shapes(index.shape, *[array.shape for array in arrays])
    index = wrapped_places(index, count, mode)
    known = known_value(index)
    if known is not None and np.any((known < 0) | (known >= count)):
        raise ValueError(f"{where_text()}invalid entry in choice array")
    rows = [broadcast_to(cast_to(array, dtype), (1, *shape)) for array in arrays]
    grid: list[Any] = list(np.indices(shape, sparse=True))
    index = broadcast_to(index, shape)
    axes = tuple(range(len(shape) + 1))
    return store(gather(concatenate(rows, 0), [index, *grid], axes), out)


METHODS["choose"] = choose


def wrapped_places(index: Any, extent: int, mode: str) -> Any:
    """Integer places under NumPy's modes "raise", "wrap" and "clip"."""
    if mode == "wrap":
        return arithmetic.remainder(index, extent)
    if mode == "clip":
        return minimum(maximum(index, 0), extent - 1)
    if mode != "raise":
        raise UnsupportedFunctionError(
            f"{where_text()}mode must be raise, wrap or clip, not {mode!r}"
        )
    return index


@array_function(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Any:
    """Angles with jumps of a whole period taken out."""
    from tracer.numpy.cumulative import cumsum, diff
    from tracer.numpy.indexing import index_view
    from tracer.numpy.shapes import moveaxis

    x = moveaxis(as_array(p), axis, -1)
    steps = diff(x, axis=-1)
    dtype = result_dtype(steps, _operand(period))
    whole = dtype.kind in "iu"
    half = period // 2 if whole else period / 2
    folded = arithmetic.remainder(steps + half, period) - half
    if not whole or not isinstance(period, int) or period % 2 == 0:
        up = logical_and(equal(folded, -half), comparison.greater(steps, 0))
        folded = where(up, half, folded)
    x = cast_to(x, dtype)
    limit = period / 2 if discont is None else discont
    correct = where(comparison.less(absolute(steps), limit), 0.0, folded - steps)
    rest = index_view(x, (..., slice(1, None))) + cumsum(correct, axis=-1)
    first = index_view(x, (..., slice(0, 1)))
    return moveaxis(concatenate([first, cast_to(rest, first.dtype)], len(x.shape) - 1), -1, axis)
