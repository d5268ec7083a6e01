"""NumPy's functions of what a traced mask selects."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer import dispatch
from tracer.dispatch import METHODS
from tracer.errors import DTypeError
from tracer.numpy import reductions, statistics
from tracer.numpy.common import as_array, cast_to, given, renewed, where_text
from tracer.numpy.gathering import take
from tracer.numpy.selected import FUNCTIONS, Selected, ranks, refuse, require, same_value
from tracer.numpy.ufunc_at import function_of
from tracer.primitives import ordering
from tracer.primitives.arithmetic import maximum, minimum
from tracer.primitives.broadcast import broadcast_to, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import (
    greater,
    greater_equal,
    isnan,
    less,
    logical_and,
    logical_not,
    select,
)
from tracer.primitives.shape import flip
from tracer.types import BOOL, INT64, is_inexact, normalize_axis


def handles(*keys: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: what these functions and methods do with a selection."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for key in keys:
            FUNCTIONS[key] = function
        return function

    return add


def _aligned(operand: Any, chosen: Selected) -> Any:
    """An operand beside the values of a selection, whose one axis is those of the mask there."""
    if isinstance(operand, Selected):
        if operand.lead == chosen.lead and same_value(operand.mask, chosen.mask):
            return operand.values
        raise refuse("an operation on selections by two masks")
    if type(operand) in (bool, int, float, complex):
        return operand
    operand = as_array(operand)
    rank = len(chosen.rest)
    place = len(operand.shape) - rank - 1
    if place < 0:
        return operand
    if operand.shape[place] != 1:
        raise refuse("an operation on a selection and an array of a length of its own")
    shape = operand.shape
    ones = (1,) * len(chosen.mask.shape)
    return reshape(operand, (*shape[:place], *ones, *shape[place + 1 :]))


@handles("__call__")
def call(ufunc: np.ufunc, *inputs: Any, **options: Any) -> Any:
    """A universal function of all elements, those that are not meant among them."""
    chosen = next((item for item in inputs if isinstance(item, Selected)), None)
    if chosen is None or any(name not in ("dtype", "casting") for name in options):
        raise refuse(f"numpy.{ufunc.__name__} with out= or where=")
    operands = [_aligned(item, chosen) for item in inputs]
    if ufunc in _PARTIAL:
        pairs = zip(inputs, operands, strict=True)
        operands = [_harmless(ufunc, x) if isinstance(x, Selected) else y for x, y in pairs]
    if options:
        result = METHODS["__ufunc_method__"](ufunc, "__call__", tuple(operands), options)
    else:
        result = function_of(ufunc)(*operands)
    if isinstance(result, tuple):
        return tuple(_wide(part, chosen) for part in result)
    return _wide(result, chosen)


_PARTIAL = frozenset(
    getattr(np, name)
    for name in (
        "sqrt log log2 log10 log1p arcsin arccos arccosh arctanh power float_power divide "
        "floor_divide remainder fmod reciprocal divmod tan exp exp2 expm1 sinh cosh cbrt"
    ).split()
)
"""Functions that are not defined, or infinite, for some numbers."""


def _harmless(ufunc: np.ufunc, x: Selected) -> Any:
    """The values, those that are not meant replaced by one for which the function is defined."""
    number = 2.0 if ufunc is np.arccosh else 0.5
    return select(x.wide_mask(), x.values, x.dtype.type(number if x.dtype.kind in "fc" else 1))


def _wide(result: Any, chosen: Selected) -> Selected:
    """A result whose element axes may be more than the selection's."""
    rest = len(result.shape) - len(chosen.values.shape)
    if rest:
        raise refuse("an operation that adds axes to a selection")
    return chosen.like(result)


@handles("check_cast")
def check_cast(found: Any, wanted: Any, ufunc: np.ufunc) -> None:
    """NumPy's rule for operators that change an array in place."""
    if not np.can_cast(found, wanted, "same_kind"):
        raise DTypeError(
            f"{where_text()}Cannot cast ufunc '{ufunc.__name__}' output from {found!r} to "
            f"{wanted!r} with casting rule 'same_kind'"
        )


def _axes(x: Selected, axis: Any) -> tuple[int, ...]:
    """Axes of a selection as axes of its values."""
    if not given(axis):
        return tuple(range(len(x.values.shape)))
    depth = len(x.mask.shape)
    result: list[int] = []
    for item in axis if isinstance(axis, (tuple, list)) else (axis,):
        place = normalize_axis(item, x.ndim)
        if place < x.lead:
            result.append(place)
        elif place == x.lead:
            result.extend(range(x.lead, x.lead + depth))
        else:
            result.append(place + depth - 1)
    return tuple(result)


def _reduction(function: Callable[..., Any], needs: bool) -> Callable[..., Any]:
    """A reduction, which leaves out what is not meant; `needs`: at least one element."""

    @functools.wraps(function)
    def reduce(x: Any, axis: Any = None, *args: Any, **options: Any) -> Any:
        if not isinstance(x, Selected) or given(options.get("where")) or options.get("keepdims"):
            raise refuse(f"numpy.{function.__name__} with where= or keepdims=")
        axes = _axes(x, axis)
        through = set(_axes(x, x.lead)) <= set(axes)
        if not through:
            return x.like(function(x.values, axes, *args, **options)) if not x.rest else _kept()
        if needs and not given(options.get("initial")):
            options["initial"] = _least(x.dtype, function is reductions.max)
            result = function(x.values, axes, *args, where=x.wide_mask(), **options)
            return require(greater(x.count, 0), result)
        return function(x.values, axes, *args, where=x.wide_mask(), **options)

    return reduce


def _kept() -> Any:
    raise refuse("a reduction over the axes of single elements")


def _least(dtype: np.dtype[Any], largest: bool) -> Any:
    if dtype.kind == "f":
        return -np.inf if largest else np.inf
    if dtype == BOOL:
        return not largest
    if dtype.kind == "c":
        raise refuse("the maximum of complex numbers")
    limits = np.iinfo(dtype)
    return limits.min if largest else limits.max


for _name, _needs in {
    "sum": False, "prod": False, "any": False, "all": False, "mean": False, "var": False,
    "std": False, "max": True, "min": True,
}.items():  # fmt: skip
    _ours = _reduction(getattr(reductions, _name), _needs)
    FUNCTIONS[getattr(np, _name)] = FUNCTIONS[f"ndarray.{_name}"] = _ours
FUNCTIONS[np.amax], FUNCTIONS[np.amin] = FUNCTIONS[np.max], FUNCTIONS[np.min]
for _ufunc, _function in {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_and: np.all, np.logical_or: np.any,
}.items():  # fmt: skip
    FUNCTIONS[_ufunc, "reduce"] = lambda ufunc, x, axis=0, f=_function, **options: FUNCTIONS[f](
        x, axis, **options
    )


@handles(np.count_nonzero)
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """How many of the selected elements are other than 0."""
    return FUNCTIONS[np.sum](x.like(reductions.truth(x.values)), axis)


@handles(np.ptp)
def ptp(x: Any, axis: Any = None) -> Any:
    """Maximum less minimum."""
    return FUNCTIONS[np.max](x, axis) - FUNCTIONS[np.min](x, axis)


@handles(np.average)
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The weighted mean."""
    if weights is None:
        return FUNCTIONS[np.mean](x, axis)
    total = FUNCTIONS[np.sum](x * weights, axis)
    return total / FUNCTIONS[np.sum](x * 0 + weights, axis)


@handles(np.dot, np.inner, np.vdot, "ndarray.dot", (np.matmul, "__call__"), (np.vecdot, "__call__"))
def dot(*operands: Any, **options: Any) -> Any:
    """The inner product of two selections by one mask."""
    first, second = operands[-2:]
    conjugated = isinstance(operands[0], np.ufunc) and operands[0] is np.vecdot
    for item in (first, second):
        if not isinstance(item, Selected) or item.ndim != 1 or options:
            raise refuse("a product with anything but a selection by the same mask")
    return FUNCTIONS[np.sum]((np.conjugate(first) if conjugated else first) * second)


@handles(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of the selected elements, which are a vector."""
    if x.ndim != 1 or keepdims:
        raise refuse("a norm of a matrix")
    inside = select(x.wide_mask(), x.values, x.dtype.type(0))
    if ord in (None, 2):
        return dispatch.FUNCTIONS[np.linalg.norm](reshape(inside, (math.prod(inside.shape),)))
    if ord in (1, np.inf):
        return FUNCTIONS[np.sum if ord == 1 else np.max](np.absolute(x))
    raise refuse(f"a norm of order {ord}")


@handles(np.where)
def where(condition: Any, first: Any, second: Any) -> Any:
    """One of two, where a condition on selected elements holds."""
    chosen = next(item for item in (condition, first, second) if isinstance(item, Selected))
    parts = [_aligned(item, chosen) for item in (condition, first, second)]
    return _wide(dispatch.FUNCTIONS[np.where](*parts), chosen)


def _elementwise(function: Any) -> None:
    def ours(*args: Any, **options: Any) -> Any:
        chosen = next(item for item in args if isinstance(item, Selected))
        parts = [_aligned(item, chosen) if item is not None else None for item in args]
        return _wide(dispatch.FUNCTIONS[function](*parts, **options), chosen)

    FUNCTIONS[function] = ours


for _function in (
    np.clip, np.real, np.imag, np.angle, np.nan_to_num, np.isclose, np.round, np.around, np.sinc,
    np.zeros_like, np.ones_like, np.iscomplex, np.isreal, np.isposinf, np.isneginf, np.fix,
):  # fmt: skip
    _elementwise(_function)
for _name, _function in {"clip": np.clip, "round": np.round}.items():
    FUNCTIONS[f"ndarray.{_name}"] = FUNCTIONS[_function]


@handles("ndarray.astype", np.astype)
def astype(x: Any, dtype: Any, **options: Any) -> Any:
    """The elements in another dtype."""
    return x.like(METHODS["astype"](x.values, dtype, **options))


@handles("ndarray.conj", "ndarray.conjugate")
def conj(x: Any) -> Any:
    """The complex conjugates."""
    return x.like(METHODS["conj"](x.values))


@handles("ndarray.copy", np.copy)
def copy(x: Any, order: str = "K") -> Any:
    """A copy."""
    return x.like(renewed(x.values))


@handles("ndarray.ravel", "ndarray.flatten", np.ravel)
def ravel(x: Any, order: str = "C") -> Any:
    """The selection itself, where it has one axis."""
    if x.ndim != 1:
        raise refuse("one row of a selection of rows")
    return copy(x)


@handles("ndarray.reshape", np.reshape)
def reshaped(x: Any, *shape: Any, order: str = "C") -> Any:
    """One row."""
    if shape in ((-1,), ((-1,),), ([-1],)):
        return ravel(x)
    raise refuse("a shape of a selection")


@handles(np.size)
def size(x: Any, axis: Any = None) -> Any:
    """How many elements are selected: a traced number."""
    return x.size if axis is None else x.shape[axis]


@handles(np.ndim)
def ndim(x: Any) -> int:
    """Number of axes."""
    return x.ndim  # type: ignore[no-any-return]


def in_order(x: Any) -> tuple[Any, Any]:
    """The selected elements sorted along their axis, in front of all others; and how many."""
    values, mask = x.flat_row()
    if x.rest:
        raise refuse("the order of rows")
    order = ordering.argsort(values, 0)
    later = ordering.argsort(cast(logical_not(take(mask, order)), INT64), 0)
    return take(values, take(order, later)), x.count


def _first(values: Any, count: Any) -> Selected:
    return Selected(values, less(np.arange(values.shape[0]), count))


@handles(np.sort)
def sort(x: Any, axis: Any = -1, **_: Any) -> Selected:
    """The selected elements in order."""
    return _first(*in_order(x))


@handles(np.median)
def median(x: Any, axis: Any = None) -> Any:
    """The middle element, or the mean of the middle two; NaN where one is, or there is none."""
    return quantile(x, 0.5)


@handles(np.quantile)
def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear") -> Any:
    """Quantiles of the selected elements."""
    values, count = in_order(x)
    values = values if is_inexact(values.dtype) else cast_to(values, np.float64)
    last = maximum(count - 1, 0)
    shares = statistics.shares_of(q, 1, values)
    result = statistics.order_statistic(values, shares, method, maximum(count, 1))
    bad = isnan(take(values, last))
    nothing = less(count, 1)
    undefined = np.asarray(np.nan, values.dtype)[()]
    return select(broadcast_to(nothing | bad, result.shape), undefined, result)


@handles(np.percentile)
def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear") -> Any:
    """Percentiles of the selected elements."""
    return quantile(x, as_array(q) / 100.0, axis, method)


@handles(np.cumsum, "ndarray.cumsum")
def cumsum(x: Any, axis: Any = None) -> Selected:
    """Running sums of the selected elements."""
    values, mask = x.flat_row()
    if x.rest and axis != 0:
        raise refuse("running sums of single elements")
    column = reshape(mask, (mask.shape[0], *(1,) * len(x.rest)))
    inside = select(column, values, values.dtype.type(0))
    return Selected(dispatch.FUNCTIONS[np.cumsum](inside, 0), mask)


@handles(np.unique)
def unique(x: Any, **options: Any) -> Any:
    """The different elements, in order."""
    values, count = in_order(x)
    return _distinct(values, count, options)


def _distinct(values: Any, count: Any, options: dict[str, Any]) -> Selected:
    if any(options.values()):
        raise refuse("unique with indices or counts")
    length = values.shape[0]
    before = take(values, np.maximum(np.arange(length) - 1, 0))
    new = values != before
    if is_inexact(values.dtype):  # all NaN are one
        new = logical_and(new, logical_not(logical_and(isnan(values), isnan(before))))
    new = np.logical_or(new, np.arange(length) == 0)
    return Selected(values, logical_and(new, less(np.arange(length), count)))


def unique_of(x: Any, options: dict[str, Any]) -> Selected:
    """`np.unique` of a traced array whose values are not known."""
    flat = reshape(x, (math.prod(x.shape),))
    values = take(flat, ordering.argsort(flat, 0))
    return _distinct(values, np.int64(flat.shape[0]), options)


def _place(x: Selected, index: Any) -> Any:
    """Where the element of that number, counted among those that are meant, stands."""
    _, mask = x.flat_row()
    running = ranks(mask)
    index = cast_to(index, np.int64)
    wanted = select(less(index, 0), index + x.count, index)
    wanted = select(less(wanted, 0), np.int64(mask.shape[0]), wanted)
    return ordering.searchsorted(running, wanted + 1, "left")


@handles("__getitem__")
def getitem(x: Any, index: Any) -> Any:
    """Elements of a selection: by number, by slices forwards, and by a selected condition."""
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
        return copy(x)
    if isinstance(index, Selected) and index.dtype == BOOL:
        return _narrowed(x, index)
    values, mask = x.flat_row()
    if isinstance(index, slice):
        return _sliced(values, mask, x.count, index)
    if isinstance(index, (tuple, Selected)) or as_array(index).dtype.kind not in "iu":
        raise refuse("such an index into a selection")
    places = _place(x, as_array(index))
    return take(values, places, 0)


def _narrowed(x: Any, index: Any) -> Selected:
    condition = _aligned(index, x)
    if x.lead or condition.shape != x.mask.shape:
        raise refuse("a condition on rows of a selection")
    return Selected(x.values, logical_and(x.mask, condition))


def _sliced(values: Any, mask: Any, count: Any, part: slice) -> Selected:
    step = 1 if part.step is None else part.step
    if step == -1 and part.start is None and part.stop is None:
        return Selected(flip(values, (0,)), flip(mask, (0,)))
    if step < 1:
        raise refuse("a slice backwards")
    number = ranks(mask) - 1
    low = _bound(part.start, count, 0)
    kept = greater_equal(number, low)
    if part.stop is not None:
        kept = logical_and(kept, less(number, _bound(part.stop, count, 0)))
    if step > 1:
        kept = logical_and(kept, (number - low) % step == 0)
    return Selected(values, logical_and(mask, kept))


def _bound(bound: Any, count: Any, default: int) -> Any:
    if bound is None:
        return np.int64(default)
    if type(bound) is int and bound >= 0:
        return minimum(np.int64(bound), count)
    return maximum(count + bound, 0) if type(bound) is int else minimum(as_array(bound), count)


@handles("__setitem__")
def setitem(x: Any, index: Any, value: Any) -> None:
    """A selection is a copy, which may be written to as a whole or under a condition."""
    if index is Ellipsis or (isinstance(index, slice) and index == slice(None)):
        x.values = broadcast_to(cast_to(_aligned(value, x), x.dtype), x.values.shape)
    elif isinstance(index, Selected) and index.dtype == BOOL:
        new = cast_to(_aligned(value, x), x.dtype)
        x.values = select(_aligned(index, x), new, x.values)
    else:
        raise refuse("an assignment to a place of a selection")


@dispatch.method("__has_selection__")
def has_selection(items: Any) -> bool:
    """Whether one of several operands is a selection."""
    return any(isinstance(item, Selected) for item in items)


@dispatch.method("__of_selections__")
def of_selections(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy on arguments of which one is a selection; else NotImplemented."""
    if not has_selection((*args, *kwargs.values())):
        return NotImplemented
    if isinstance(function, np.ufunc):
        return call(function, *args, **kwargs)
    handler = FUNCTIONS.get(function)
    if handler is None:
        raise refuse(f"numpy.{function.__name__} of a selection")
    return handler(*args, **kwargs)
