"""`out=`, `where=`, `dtype=` and the methods of ufuncs: reduce, accumulate, outer, at, reduceat."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import FUNCTIONS, METHODS, method
from tracer.errors import DTypeError, NotAnArrayError
from tracer.numpy import cumulative, reductions
from tracer.numpy.common import (
    NO_VALUE,
    any_traced,
    as_array,
    as_dtype,
    axis_tuple,
    cast_to,
    given,
    store,
    unsupported,
    where_text,
)
from tracer.numpy.indexing import index_view
from tracer.numpy.ufunc_at import at, function_of
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.primitives.comparison import select
from tracer.primitives.shape import concatenate, move_axis, slice_axis
from tracer.types import BOOL, normalize_axis, resolve_ufunc


def call(ufunc: np.ufunc, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """The universal function itself, with its options."""
    options = dict(kwargs)
    out = options.pop("out", None)
    where = options.pop("where", True)
    dtype, signature = options.pop("dtype", None), options.pop("signature", None)
    casting = options.pop("casting", "same_kind")
    options.pop("order", None), options.pop("subok", None)
    if len(inputs) > ufunc.nin:  # NumPy lets outputs stand after the operands
        if out is not None:
            raise TypeError("cannot specify 'out' as both a positional and keyword argument")
        inputs, out = inputs[: ufunc.nin], (*inputs[ufunc.nin :], None, None)[: ufunc.nout]
    if dtype is not None:
        signature = (None,) * ufunc.nin + (as_dtype(dtype),) * ufunc.nout
    if isinstance(signature, tuple):
        inputs = _converted(ufunc, inputs, signature, casting)
    elif casting != "same_kind":
        _converted(ufunc, inputs, (None,) * (ufunc.nin + ufunc.nout), casting)
    elif signature is not None:
        raise unsupported(f"numpy.{ufunc.__name__}", "with signature= as text", "use dtype=")
    result = function_of(ufunc)(*inputs, **options)
    results = result if isinstance(result, tuple) else (result,)
    targets = out if isinstance(out, tuple) else (out,) * ufunc.nout
    stored = tuple(
        store(_chosen(value, target, where, casting), target, casting)
        for value, target in zip(results, targets, strict=True)
    )
    return stored if isinstance(result, tuple) else stored[0]


def _converted(
    ufunc: np.ufunc, inputs: Any, signature: tuple[Any, ...], casting: Any
) -> list[Any]:
    """The operands in the dtypes of the loop that `dtype=` or `signature=` asks for."""
    from tracer.primitives.pointwise import as_operand, converted, promotion_key

    operands = [as_operand(value) for value in inputs]
    keys = [promotion_key(operand) for operand in operands]
    request = tuple(BOOL if key is bool else key for key in keys) + (None,) * ufunc.nout
    try:
        dtypes = ufunc.resolve_dtypes(request, signature=signature, casting=casting)
    except TypeError as error:
        raise DTypeError(f"{where_text()}{error}") from None
    return [converted(operand, dtype) for operand, dtype in zip(operands, dtypes, strict=False)]


def _chosen(value: Any, out: Any, where: Any, casting: Any) -> Any:
    """The result where `where` holds, else what `out` had: 0 where there is no `out`."""
    if where is True:
        return value
    value, mask = as_array(value), cast_to(where, BOOL)
    if out is None:
        return select(mask, value, value.dtype.type(0))
    if not np.can_cast(value.dtype, out.dtype, casting):
        return value  # which is refused when it is stored
    return select(mask, cast_to(value, out.dtype), out)


_REDUCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.add: reductions.sum,
    np.multiply: reductions.prod,
    np.maximum: reductions.max,
    np.minimum: reductions.min,
    np.logical_and: reductions.all,
    np.logical_or: reductions.any,
}


def reduce(
    ufunc: np.ufunc,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = NO_VALUE,
    where: Any = True,
) -> Any:
    """All elements along axes made one by the function, from the first to the last."""
    x = as_array(array)
    function = _REDUCTIONS.get(ufunc)
    if function is not None:
        options: dict[str, Any] = {"keepdims": keepdims}
        if where is not True:
            options["where"] = where
        if given(initial):
            options["initial"] = initial
        if ufunc in (np.add, np.multiply):
            return function(x, axis, dtype, out, **options)
        return store(function(cast_to(x, dtype), axis, **options), out)
    if where is not True and not given(initial) and ufunc.identity is None:
        raise ValueError(
            f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where "
            "mask one has to specify 'initial'"
        )
    axes = axis_tuple(axis, x.ndim, loose=True)
    x = _in_loop(ufunc, x, dtype)
    if where is not True:
        x = select(cast_to(where, BOOL), x, cast_to(_identity(ufunc, initial), x.dtype))
    if ufunc.identity is not None and not given(initial):
        initial = ufunc.identity
    kept = tuple(1 if place in axes else extent for place, extent in enumerate(x.shape))
    rest = tuple(extent for place, extent in enumerate(x.shape) if place not in axes)
    for place in reversed(axes):
        x = move_axis(x, place, 0)
    x = reshape(x, (math.prod(x.shape[: len(axes)]), *rest))
    return store(_folded(ufunc, x, initial, kept if keepdims else rest), out)


def _in_loop(ufunc: np.ufunc, x: Any, dtype: Any) -> Any:
    """`x` in the dtype in which the function takes two of its kind and gives a third."""
    x = cast_to(x, dtype)
    if ufunc.nin != 2 or ufunc.nout != 1:
        raise ValueError(f"{where_text()}reduce and accumulate take functions of two operands")
    if ufunc in _LOGICAL:
        return reductions.truth(x)
    return cast_to(x, resolve_ufunc(ufunc, (x.dtype, x.dtype))[2])


_LOGICAL = (np.logical_and, np.logical_or, np.logical_xor)


def _identity(ufunc: np.ufunc, initial: Any) -> Any:
    return ufunc.identity if ufunc.identity is not None else initial


def _folded(ufunc: np.ufunc, x: Any, initial: Any, shape: tuple[int, ...]) -> Any:
    function = function_of(ufunc)
    rows = [index_view(x, place) for place in range(x.shape[0])]
    if given(initial):
        rows.insert(0, broadcast_to(cast_to(initial, x.dtype), x.shape[1:]))
    elif not rows:
        raise ValueError(
            f"zero-size array to reduction operation {ufunc.__name__} which has no identity"
        )
    return reshape(functools.reduce(function, rows), shape)


def accumulate(
    ufunc: np.ufunc, array: Any, axis: int = 0, dtype: Any = None, out: Any = None
) -> Any:
    """What `reduce` would have at each step."""
    x = as_array(array)
    if not x.shape:
        raise TypeError(f"{where_text()}cannot accumulate on a scalar")
    if ufunc is np.add:
        return cumulative.cumsum(x, axis, dtype, out)
    if ufunc is np.multiply:
        return cumulative.cumprod(x, axis, dtype, out)
    if ufunc is np.maximum:
        return store(cumulative.running_max(cast_to(x, dtype), axis), out)
    if ufunc is np.minimum:
        return store(cumulative.running_min(cast_to(x, dtype), axis), out)
    x = _in_loop(ufunc, x, dtype)
    place = normalize_axis(axis, x.ndim)
    x = move_axis(x, place, 0)
    if x.shape[0] == 0:
        return store(move_axis(x, 0, place), out)
    rows = [index_view(x, 0)]
    for step in range(1, x.shape[0]):
        rows.append(function_of(ufunc)(rows[-1], index_view(x, step)))
    grown = [reshape(row, (1, *row.shape)) for row in rows]
    return store(move_axis(concatenate(grown, 0), 0, place), out)


def outer(ufunc: np.ufunc, first: Any, second: Any, **kwargs: Any) -> Any:
    """The function of every pair of elements."""
    x, y = as_array(first), as_array(second)
    x = reshape(x, (*x.shape, *(1,) * len(y.shape)))
    return call(ufunc, (x, y), kwargs)


def reduceat(
    ufunc: np.ufunc,
    array: Any,
    indices: Any,
    axis: int = 0,
    dtype: Any = None,
    out: Any = None,
) -> Any:
    """`reduce` over the parts that begin at `indices`."""
    x = as_array(array)
    if not x.shape:
        raise TypeError(f"{where_text()}cannot reduceat on a scalar")
    place = normalize_axis(axis, x.ndim)
    bounds = [int(bound) for bound in np.asarray(indices)]
    length = x.shape[place]
    parts = []
    _check_bounds(ufunc, bounds, length)
    if ufunc not in _REDUCTIONS:
        x = _in_loop(ufunc, x, dtype)
    for begin, end in zip(bounds, [*bounds[1:], length], strict=True):
        part = slice_axis(x, place, begin, end if end > begin else begin + 1)
        if ufunc in _REDUCTIONS:
            parts.append(reduce(ufunc, part, place, dtype, keepdims=True))
        else:
            shape = tuple(1 if axis == place else n for axis, n in enumerate(x.shape))
            parts.append(_folded(ufunc, move_axis(part, place, 0), NO_VALUE, shape))
    return store(concatenate(parts, place), out)


def _check_bounds(ufunc: np.ufunc, bounds: list[int], length: int) -> None:
    for begin in bounds:
        if not 0 <= begin < length:
            raise IndexError(
                f"index {begin} out-of-bounds in {ufunc.__name__}.reduceat [0, {length})"
            )


_UFUNC_METHODS: dict[str, Callable[..., Any]] = {
    "reduce": reduce,
    "accumulate": accumulate,
    "outer": outer,
    "at": at,
    "reduceat": reduceat,
}


@method("__ufunc_method__")
def ufunc_method(ufunc: np.ufunc, name: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """What `__array_ufunc__` is asked for, apart from plain calls."""
    if name == "__call__":
        return call(ufunc, inputs, kwargs)
    options = dict(kwargs)
    out = options.get("out")
    if isinstance(out, tuple):
        options["out"] = out[0]
    return _UFUNC_METHODS[name](ufunc, *inputs, **options)


class Ufunc:
    """A universal function of NumPy: ours where an operand is traced, else NumPy's."""

    def __init__(self, ufunc: np.ufunc) -> None:
        self.ufunc = ufunc
        self.function = function_of(ufunc)
        self.nin, self.nout = ufunc.nin, ufunc.nout
        self.nargs, self.identity, self.signature = ufunc.nargs, ufunc.identity, ufunc.signature
        self.__name__ = self.__qualname__ = ufunc.__name__
        self.__doc__ = ufunc.__doc__

    def __repr__(self) -> str:
        return f"<ufunc '{self.__name__}' on traced arrays>"

    def __call__(self, *inputs: Any, **kwargs: Any) -> Any:
        if not any_traced(inputs, kwargs):
            return self.ufunc(*inputs, **kwargs)
        try:
            if kwargs or len(inputs) > self.nin:
                return call(self.ufunc, inputs, kwargs)
            return self.function(*inputs)
        except NotAnArrayError:
            result = METHODS["__of_selections__"](self.ufunc, inputs, kwargs)
            if result is NotImplemented:
                raise
            return result

    def _method(self, name: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
        if not any_traced(inputs, kwargs):
            return getattr(self.ufunc, name)(*inputs, **kwargs)
        return ufunc_method(self.ufunc, name, inputs, kwargs)

    def reduce(self, *args: Any, **kwargs: Any) -> Any:
        """All elements along axes made one, from the first to the last."""
        return self._method("reduce", args, kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Any:
        """What `reduce` would have at each step."""
        return self._method("accumulate", args, kwargs)

    def outer(self, *args: Any, **kwargs: Any) -> Any:
        """The function of every pair of elements."""
        return self._method("outer", args, kwargs)

    def at(self, *args: Any, **kwargs: Any) -> Any:
        """The function applied in place."""
        return self._method("at", args, kwargs)

    def reduceat(self, *args: Any, **kwargs: Any) -> Any:
        """`reduce` over parts."""
        return self._method("reduceat", args, kwargs)


UFUNCS = {
    name: Ufunc(value)
    for name, value in vars(np).items()
    if isinstance(value, np.ufunc) and value in FUNCTIONS
}
