"""Arrays made anew: traced inside a trace, so that traced values may be assigned to them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import FUNCTIONS, METHODS, method
from tracer.errors import ShapeError
from tracer.numpy.common import (
    PUBLIC,
    array_function,
    as_array,
    as_concrete,
    as_dtype,
    as_operand,
    as_shape,
    cast_to,
    is_traced,
    renewed,
    result_dtype,
    where_text,
)
from tracer.primitives import shape as primitive
from tracer.primitives.broadcast import broadcast_to, broadcast_to_p, reshape, reshape_p
from tracer.primitives.cast import cast
from tracer.primitives.linear import create
from tracer.trace import GraphTrace, Tracer, current_trace
from tracer.types import FLOAT64, DType, Shape, is_complex, kind_of


def traced_constant(value: Any) -> Any:
    """`value` as a traced array of the innermost open trace; as it is where none is open."""
    trace = current_trace()
    if trace is None or type(value) is Tracer:
        return value
    value = np.asarray(value)
    if isinstance(trace, GraphTrace) and not trace.linear and value.ndim:
        variable = trace.operand(value)
        variable.value = value.copy()  # so that it can still be a mask, or looked at by Python
        return Tracer(variable)
    return create(reshape_p, value, shape=value.shape)


def blank(shape: Shape, value: Any, dtype: DType) -> Any:
    """An array of one number, traced inside a trace."""
    if current_trace() is None:
        return np.full(shape, value, dtype)
    return create(broadcast_to_p, np.asarray(value, dtype), shape=shape)


def _stacked(items: Any, dtype: DType | None) -> Any:
    """Nested lists with tracers inside, as one array."""
    if not isinstance(items, (list, tuple)):
        return as_array(items)
    parts = [_stacked(item, dtype) for item in items]
    first = parts[0].shape
    if any(part.shape != first for part in parts):
        raise ShapeError(
            f"{where_text()}setting an array element with a sequence. The requested array has an "
            f"inhomogeneous shape: its rows have the shapes {[part.shape for part in parts]}"
        )
    common = dtype or result_dtype(*[part.dtype for part in parts])
    rows = [reshape(cast_to(part, common), (1, *first)) for part in parts]
    return primitive.concatenate(rows, 0)


def from_items(value: Any, dtype: Any = None) -> Any:
    """An array of numbers, arrays, or nested lists of both: traced if one of them is."""
    wanted = None if dtype is None else as_dtype(dtype)
    if is_traced(value):
        return cast_to(_stacked(value, wanted), wanted)
    if wanted is None:
        return as_concrete(value)
    return np.asarray(value, wanted)


FUNCTIONS[np.asarray] = FUNCTIONS[np.array] = from_items


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
    like: Any = None,
) -> Any:
    """An array of numbers, arrays, or nested lists of both, traced and concrete ones mixed."""
    if current_trace() is None and not is_traced(object):
        return np.array(object, dtype, copy=copy, order=order, subok=subok, ndmin=ndmin)
    result = traced_constant(from_items(object, dtype))
    if len(result.shape) < ndmin:
        result = reshape(result, (1,) * (ndmin - len(result.shape)) + result.shape)
    return renewed(result) if copy else result


def asarray(
    a: Any,
    dtype: Any = None,
    order: Any = None,
    *,
    device: Any = None,
    copy: Any = None,
    like: Any = None,
) -> Any:
    """`a` as an array; inside a trace as a traced one, which a traced value can index."""
    if current_trace() is None and not is_traced(a):
        return np.asarray(a, dtype, order, copy=copy)
    result = traced_constant(from_items(a, dtype))
    return renewed(result) if copy else result


def _same_as_asarray(name: str, rank: int = 0) -> Callable[..., Any]:
    def function(a: Any, dtype: Any = None, order: Any = None, **options: Any) -> Any:
        result = asarray(a, dtype)
        return result if len(result.shape) >= rank else reshape(result, (1,) * rank)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "`a` as an array; inside a trace as a traced one."
    FUNCTIONS[getattr(np, name)] = function
    return function


asanyarray = _same_as_asarray("asanyarray")
ascontiguousarray = _same_as_asarray("ascontiguousarray", 1)
asfortranarray = _same_as_asarray("asfortranarray", 1)


@functools.wraps(np.asarray_chkfinite)
def asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """`a` as an array, which must be finite where its values are known."""
    result = asarray(a, dtype)
    known = result.concrete("asarray_chkfinite") if type(result) is Tracer else result
    if not np.all(np.isfinite(known)):
        raise ValueError("array must not contain infs or NaNs")
    return result


FUNCTIONS[np.asarray_chkfinite] = asarray_chkfinite


@functools.wraps(np.require)
def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """`a` as an array; a traced one, in C order and its own, meets every requirement."""
    if current_trace() is None and not is_traced(a):
        return np.require(a, dtype, requirements)
    return asarray(a, dtype)


def ndenumerate(arr: Any) -> Any:
    """Pairs of the indices and the value of each element, in C order."""
    if current_trace() is None and not is_traced(arr):
        return np.ndenumerate(arr)
    x = as_array(arr)
    return ((place, x[place]) for place in np.ndindex(x.shape))


def zeros(
    shape: Any, dtype: Any = float, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    """Zeros."""
    return blank(as_shape(shape), 0, as_dtype(dtype))


def ones(
    shape: Any, dtype: Any = None, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    """Ones."""
    return blank(as_shape(shape), 1, as_dtype(dtype))


def empty(
    shape: Any, dtype: Any = float, order: Any = "C", *, device: Any = None, like: Any = None
) -> Any:
    """An array to be assigned to; its elements are 0."""
    return blank(as_shape(shape), 0, as_dtype(dtype))


def full(
    shape: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "C",
    *,
    device: Any = None,
    like: Any = None,
) -> Any:
    """An array of one value, which may be traced."""
    wanted = as_shape(shape)
    if not is_traced(fill_value) and np.ndim(fill_value) == 0:
        chosen = np.asarray(fill_value).dtype if dtype is None else dtype
        return blank(wanted, np.asarray(fill_value).astype(chosen), as_dtype(chosen))
    value = traced_constant(cast_to(fill_value, dtype))
    return renewed(broadcast_to(value, wanted))


def _like(name: str, value: Any) -> Callable[..., Any]:
    def function(
        a: Any,
        dtype: Any = None,
        order: Any = "K",
        subok: bool = True,
        shape: Any = None,
        *,
        device: Any = None,
    ) -> Any:
        x = as_array(a)
        wanted = x.shape if shape is None else as_shape(shape)
        return blank(wanted, value, x.dtype if dtype is None else as_dtype(dtype))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"An array filled with {value}, of the shape and dtype of another."
    FUNCTIONS[getattr(np, name)] = function
    return function


zeros_like = _like("zeros_like", 0)
ones_like = _like("ones_like", 1)
empty_like = _like("empty_like", 0)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: Any = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """An array of one value, of the shape and dtype of another."""
    x = as_array(a)
    wanted = x.shape if shape is None else as_shape(shape)
    return full(wanted, fill_value, x.dtype if dtype is None else dtype)


FUNCTIONS[np.full_like] = full_like


def _traced_inside(made: Callable[..., Any]) -> Callable[..., Any]:
    """That function, whose arrays are traced ones inside a trace, whatever its arguments are."""

    @functools.wraps(made)
    def function(*args: Any, **kwargs: Any) -> Any:
        result = made(*args, **kwargs)
        if isinstance(result, tuple):
            return tuple([traced_constant(part) for part in result])
        return traced_constant(result)

    return function


def _fixed(name: str) -> Callable[..., Any]:
    """A function whose result depends on static numbers only."""
    function = _traced_inside(getattr(np, name))
    function.__doc__ = f"NumPy's `{name}`; a traced array inside a trace."
    return function


arange = _fixed("arange")
eye = _fixed("eye")
identity = _fixed("identity")
tri = _fixed("tri")
frombuffer = _fixed("frombuffer")
fromiter = _fixed("fromiter")
hamming, hanning = _fixed("hamming"), _fixed("hanning")
bartlett, blackman = _fixed("bartlett"), _fixed("blackman")
kaiser = _fixed("kaiser")
indices = _fixed("indices")


def fromfunction(
    function: Any, shape: Any, *, dtype: Any = float, like: Any = None, **kwargs: Any
) -> Any:
    """`function` of the indices."""
    grid = np.indices(as_shape(shape), dtype=dtype)
    return function(*[traced_constant(axis) for axis in grid], **kwargs)


def _spread(
    start: Any, stop: Any, num: int, endpoint: bool, dtype: Any
) -> tuple[Any, Any, Any, int, DType]:
    """Broadcast ends as floats, the step, the number of gaps, and the dtype of the result."""
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    gaps = num - 1 if endpoint else num
    start, stop = as_operand(start), as_operand(stop)  # Python numbers stay weak
    wide = result_dtype(start, stop, 1.0)
    start, stop = as_array(start), as_array(stop)
    start, stop = cast(start, wide), cast(stop, wide)
    final = wide if dtype is None else as_dtype(dtype)
    step = (stop - start) / wide.type(gaps) if gaps > 0 else wide.type(np.nan) * (stop - start)
    return start, stop, step, gaps, final


@array_function(np.linspace)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`num` equally spaced numbers; the ends may be traced."""
    from tracer.numpy.shapes import moveaxis

    start, stop, step, gaps, final = _spread(start, stop, num, endpoint, dtype)
    base, last_one = broadcast_to(start, step.shape), broadcast_to(stop, step.shape)
    rise = step
    shape = (num, *(1,) * len(base.shape))
    counts = np.arange(num).reshape(shape).astype(base.dtype)
    result = base + counts * rise if gaps > 0 else base + counts * (stop - start)
    if endpoint and num > 1:
        last = reshape(last_one, (1, *base.shape))
        result = primitive.concatenate([primitive.slice_axis(result, 0, 0, num - 1), last], 0)
    if final.kind in "iu":
        result = FUNCTIONS[np.floor](result)
    result = cast(moveaxis(result, 0, axis) if axis else result, final)
    return (result, step) if retstep else result


@array_function(np.logspace)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Numbers whose logarithms are equally spaced."""
    powers = linspace(start, stop, num, endpoint, axis=axis)
    result = FUNCTIONS[np.power](base, powers)
    return cast_to(result, dtype)


@array_function(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Numbers in geometric progression; the ends are met exactly."""
    from tracer.numpy.indexing import updated
    from tracer.numpy.shapes import moveaxis

    start, stop = as_array(start), as_array(stop)
    wide = result_dtype(start.dtype, stop.dtype, FLOAT64)
    start, stop, _, _, final = _spread(cast(start, wide), cast(stop, wide), 2, True, dtype)
    sign = FUNCTIONS[np.sign](start)
    low, high = FUNCTIONS[np.log10](start / sign), FUNCTIONS[np.log10](stop / sign)
    result = sign * FUNCTIONS[np.power](10.0, linspace(low, high, num, endpoint))
    if num > 0:
        result = updated(result, 0, start)
        if endpoint and num > 1:
            result = updated(result, -1, stop)
    return cast(moveaxis(result, 0, axis) if axis else result, final)


for _spaced in (np.linspace, np.logspace, np.geomspace):
    PUBLIC[_spaced] = _traced_inside(PUBLIC[_spaced])


@array_function(np.astype)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """`x` in another dtype."""
    return _astype(x, dtype, copy=copy)


@method("astype")
def _astype(
    self: Any,
    dtype: Any,
    order: Any = "K",
    casting: Any = "unsafe",
    subok: bool = True,
    copy: bool = True,
) -> Any:
    x = as_array(self)
    wanted = as_dtype(dtype)
    if not np.can_cast(x.dtype, wanted, casting):
        raise TypeError(
            f"{where_text()}Cannot cast array data from {x.dtype!r} to {wanted!r} according to the "
            f"rule '{casting}'"
        )
    if is_complex(x.dtype) and kind_of(wanted) in "iuf":
        warnings.warn(
            "Casting complex values to real discards the imaginary part",
            np.exceptions.ComplexWarning,
            stacklevel=3,
        )
    result = cast(x, wanted)
    return renewed(result) if copy and result is x else result


@method("item")
def item(self: Any, *args: Any) -> Any:
    """One element: of floating dtype a traced number, which keeps its derivative; otherwise a
    Python number, which needs a value."""
    if kind_of(self.dtype) not in "fc":
        return self.concrete("item()").item(*args)
    index = args[0] if len(args) == 1 and isinstance(args[0], tuple) else args
    if not index and self.size != 1:
        raise ValueError(
            f"{where_text()}can only convert an array of size 1 to a Python scalar"
        )
    flat = index if len(index) > 1 else (index or (0,))
    number = renewed((self if len(index) > 1 else METHODS["reshape"](self, -1))[flat])
    number = cast(number, np.dtype(np.complex128) if is_complex(self.dtype) else FLOAT64)
    number.variable.weak = True
    return number


@method("tolist")
def tolist(self: Any) -> Any:
    """Nested lists of the elements: traced numbers, or Python's, as `item` gives them."""
    if not self.shape:
        return item(self)
    return [tolist(row) for row in self]


@method("fill")
def fill(self: Any, value: Any) -> None:
    """Every element becomes `value`."""
    METHODS["__setitem__"](self, Ellipsis, value)


# What `tracer.numpy` shows of this module beside what NumPy dispatches.
CREATION = (
    "arange", "array", "asanyarray", "asarray", "asarray_chkfinite", "ascontiguousarray",
    "asfortranarray", "bartlett", "blackman", "empty", "empty_like", "eye", "frombuffer",
    "fromfunction", "fromiter", "full", "full_like", "hamming", "hanning", "identity", "indices",
    "kaiser", "ndenumerate", "ones", "ones_like", "require", "tri", "zeros", "zeros_like",
)
