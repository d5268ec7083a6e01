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
from tracer.numpy import reductions
from tracer.numpy.common import as_array, given, renewed, where_text
from tracer.numpy.selected import FUNCTIONS, Selected, refuse, require, same_value
from tracer.numpy.ufunc_at import function_of
from tracer.primitives.broadcast import reshape
from tracer.primitives.comparison import (
    greater,
    select,
)
from tracer.types import BOOL, kind_of, normalize_axis


def handles(*keys: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: what these functions and methods do with a selection."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for key in keys:
            FUNCTIONS[key] = function
        return function

    return add


def aligned(operand: Any, chosen: Selected) -> Any:
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
    operands = [aligned(item, chosen) for item in inputs]
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
    for name in [
        "sqrt",
        "log",
        "log2",
        "log10",
        "log1p",
        "arcsin",
        "arccos",
        "arccosh",
        "arctanh",
        "power",
        "float_power",
        "divide",
        "floor_divide",
        "remainder",
        "fmod",
        "reciprocal",
        "divmod",
        "tan",
        "exp",
        "exp2",
        "expm1",
        "sinh",
        "cosh",
        "cbrt",
    ]
)
"""Functions that are not defined, or infinite, for some numbers."""


def _harmless(ufunc: np.ufunc, x: Selected) -> Any:
    """The values, those that are not meant replaced by one for which the function is defined."""
    number = 2.0 if ufunc is np.arccosh else 0.5
    return select(x.wide_mask(), x.values, x.dtype.type(number if kind_of(x.dtype) in "fc" else 1))


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
    if kind_of(dtype) == "f":
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
    parts = [aligned(item, chosen) for item in (condition, first, second)]
    return _wide(dispatch.FUNCTIONS[np.where](*parts), chosen)


def _elementwise(function: Any) -> None:
    def ours(*args: Any, **options: Any) -> Any:
        chosen = next(item for item in args if isinstance(item, Selected))
        parts = [aligned(item, chosen) if item is not None else None for item in args]
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
