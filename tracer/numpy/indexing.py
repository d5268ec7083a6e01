"""Reading, assigning and updating parts of a traced array."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.dispatch import method
from tracer.errors import NotAnArrayError
from tracer.numpy.common import as_array, where_text
from tracer.numpy.masks import has_unknown_mask, masked_read, masked_write
from tracer.numpy.selected import Selected
from tracer.numpy.selection import Selection, check_place, fit, select_by
from tracer.numpy.views import as_view, rebind
from tracer.primitives.arithmetic import (
    add,
    divide,
    maximum,
    minimum,
    multiply,
    power,
    reciprocal,
    subtract,
)
from tracer.primitives.broadcast import broadcast_to, reshape, reshape_p
from tracer.primitives.cast import cast
from tracer.primitives.comparison import select
from tracer.primitives.index import gather
from tracer.primitives.pointwise import converted
from tracer.primitives.shape import slice_p, take_slice, transpose
from tracer.trace import Tracer, bind
from tracer.types import BOOL, PYTHON_SCALARS, DType, Shape, is_complex, kind_of


@method("__getitem__")
def getitem(self: Any, index: Any) -> Any:
    """`self[index]`, for every form of index that NumPy has."""
    shape = self.variable.type.shape
    kind = type(index)
    if kind is int and len(shape) == 1:  # one element is a value, not a view
        place = check_place(index, 0, shape[0])
        one = bind(slice_p, self, start=(place,), stop=(place + 1,), step=(1,))
        return bind(reshape_p, one, shape=())
    if shape and (kind is int or kind is slice or kind is tuple):
        plain = _plain(index if kind is tuple else (index,), shape)
        if plain is not None:
            return _sliced(self, index, plain)
    if not shape and isinstance(index, (int, slice, list)) and not isinstance(index, bool):
        raise IndexError(f"{where_text()}invalid index to scalar variable.")
    return index_view(self, index)


def _plain(index: Any, shape: Shape) -> tuple[Shape, Shape, Shape, Shape] | None:
    """Start, stop, step and resulting shape of an index of ints and forward slices; else None."""
    if len(index) > len(shape):
        return None
    start, stop, step, kept = [], [], [], []
    for axis, part in enumerate(index):
        extent = shape[axis]
        if type(part) is int:
            low = check_place(part, axis, extent)
            start.append(low)
            stop.append(low + 1)
            step.append(1)
        elif type(part) is slice:
            low, high, by = part.indices(extent)
            if by <= 0 or high <= low:
                return None
            count = (high - low - 1) // by + 1
            start.append(low)
            stop.append(low + (count - 1) * by + 1)
            step.append(by if count > 1 else 1)
            kept.append(count)
        else:
            return None
    rest = shape[len(index) :]
    nothing, ones = (0,) * len(rest), (1,) * len(rest)
    return (*start, *nothing), (*stop, *rest), (*step, *ones), (*kept, *rest)


def _sliced(x: Any, index: Any, plain: tuple[Shape, Shape, Shape, Shape]) -> Any:
    """`x[index]` for the commonest indices, without a `Selection`."""
    start, stop, step, kept = plain

    def read(base: Any) -> Any:
        part = take_slice(base, start, stop, step)
        return part if part.shape == kept else bind(reshape_p, part, shape=kept)

    if not kept:
        return read(x)  # one element is a value, not a view
    return as_view(x, read, lambda base, part: select_by(index, base.shape).write(base, part))


def index_view(x: Any, index: Any) -> Any:
    """`x[index]`; a view where the index is of ints and slices only."""
    if type(x) is not Tracer and not _has_tracer(index):
        return x[index]
    if has_unknown_mask(index):
        return masked_read(as_array(x), index)
    chosen = select_by(index, x.shape)
    if chosen.arrays or (chosen.result == () and x.shape):
        result = chosen.read(x)
        return Tracer(result.variable) if result is x else result
    return as_view(x, chosen.read, lambda base, part: chosen.write(base, part))


def _has_tracer(index: Any) -> bool:
    if type(index) is tuple or type(index) is list:
        return any(map(_has_tracer, index))
    return type(index) is Tracer or type(index) is Selected


def as_value(value: Any, dtype: DType) -> Any:
    """`value` in the dtype of the array that it is assigned to, by NumPy's rules."""
    if type(value) in PYTHON_SCALARS:
        if type(value) is complex and not is_complex(dtype) and dtype != BOOL:
            raise TypeError(
                f"{where_text()}float() argument must be a string or a real number, not 'complex'"
            )
        return converted(value, dtype)
    value = as_array(value)
    if is_complex(value.dtype) and kind_of(dtype) in "iuf":
        warnings.warn(
            "Casting complex values to real discards the imaginary part",
            np.exceptions.ComplexWarning,
            stacklevel=4,
        )
    return cast(value, dtype)


def _masked_whole(x: Any, index: Any, value: Any) -> Any:
    """The mask, grown to the rank of `x`, and the value, if it fits every element; else None."""
    if type(index) is tuple and len(index) == 1:
        index = index[0]
    if type(index) is not Tracer and type(index) is not np.ndarray:
        return None
    if index.dtype != BOOL or not 0 < len(index.shape) <= len(x.shape):
        return None
    rank = len(index.shape)
    if index.shape != x.shape[:rank]:
        return None
    rest = len(x.shape) - rank
    if len(value.shape) > rest + 1 or (len(value.shape) == rest + 1 and value.shape[0] != 1):
        return None
    if rest == 0 and len(value.shape) == 1:
        value = reshape(value, ())
    return reshape(index, (*index.shape, *(1,) * rest)), value


_WITH_MASKS = (tuple, Tracer, Selected)


def updated(x: Any, index: Any, value: Any) -> Any:
    """A copy of `x` with `x[index] = value`."""
    if type(value) is Selected or (type(index) in _WITH_MASKS and has_unknown_mask(index)):
        whole = None if type(value) is Selected else _masked_whole(x, index, as_array(value))
        if whole is None:
            return masked_write(x, index, value)
    value = as_value(value, x.dtype)
    whole = _masked_whole(x, index, value)
    if whole is not None:
        return select(whole[0], broadcast_to(whole[1], x.shape), x)
    chosen = select_by(index, x.shape)
    return chosen.write(x, _fitted(value, chosen, index))


def _fitted(value: Any, chosen: Selection, index: Any) -> Any:
    def message() -> str:
        if chosen.indices:
            return (
                f"{where_text()}shape mismatch: value array of shape {value.shape} could not be "
                f"broadcast to indexing result of shape {chosen.result}"
            )
        return (
            f"{where_text()}could not broadcast input array from shape {value.shape} into shape "
            f"{chosen.result}"
        )

    return fit(value, chosen.result, message)


@method("__setitem__")
def setitem(self: Any, index: Any, value: Any) -> None:
    """`self[index] = value`: the array gets a new variable."""
    try:
        new = updated(self, index, value)
    except NotAnArrayError as error:
        raise NotAnArrayError(
            f"{error.args[0]}; it was assigned to a traced array of type {self.type}"
        ) from None
    rebind(self, new)


_MODES = {multiply: "multiply", minimum: "minimum", maximum: "maximum", add: "add"}


def combined(x: Any, index: Any, value: Any, combine: Callable[[Any, Any], Any]) -> Any:
    """A copy of `x` with `x[index]` combined with `value`; a place named twice changes twice."""
    value = as_array(value)
    plain = as_value(value, x.dtype)
    whole = _masked_whole(x, index, plain)
    if whole is not None:
        return select(whole[0], cast(combine(x, whole[1]), x.dtype), x)
    chosen = select_by(index, x.shape)
    if chosen.indices and combine in _MODES:
        return chosen.write(x, _fitted(plain, chosen, index), _MODES[combine])
    if chosen.indices and combine is subtract:
        return chosen.write(x, _fitted(-plain, chosen, index), "add")
    if chosen.indices and combine is divide and kind_of(x.dtype) in "fc":
        return chosen.write(x, _fitted(reciprocal(plain), chosen, index), "multiply")
    changed = combine(chosen.read(x), value)
    return chosen.write(x, _fitted(cast(changed, x.dtype), chosen, index))


class At:
    """`x.at[index]`: a copy of `x` with the elements there changed, or those elements."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> Place:
        return Place(self.array, index)


class Place:
    """The elements that an index of `x.at` names."""

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array = array
        self.index = index

    def get(self) -> Any:
        """The elements, as a copy."""
        return index_view(Tracer(self.array.variable), self.index)

    def set(self, value: Any) -> Any:
        """The array with the elements replaced."""
        return updated(self.array, self.index, value)

    def apply(self, function: Callable[[Any], Any]) -> Any:
        """The array with a function applied to the elements, once each."""
        return updated(self.array, self.index, function(self.get()))

    def add(self, value: Any) -> Any:
        """The array with `value` added to the elements; duplicates add up."""
        return combined(self.array, self.index, value, add)

    def subtract(self, value: Any) -> Any:
        """The array with `value` subtracted from the elements; duplicates add up."""
        return combined(self.array, self.index, value, subtract)

    def multiply(self, value: Any) -> Any:
        """The array with the elements multiplied by `value`."""
        return combined(self.array, self.index, value, multiply)

    def divide(self, value: Any) -> Any:
        """The array with the elements divided by `value`."""
        return combined(self.array, self.index, value, divide)

    def power(self, value: Any) -> Any:
        """The array with the elements raised to `value`."""
        return combined(self.array, self.index, value, power)

    def min(self, value: Any) -> Any:
        """The array with the smaller of each element and `value`."""
        return combined(self.array, self.index, value, minimum)

    def max(self, value: Any) -> Any:
        """The array with the larger of each element and `value`."""
        return combined(self.array, self.index, value, maximum)


@method("__at__")
def at(self: Any) -> At:
    """`x.at`."""
    return At(self)


def take_along(x: Any, places: Any, axis: int) -> Any:
    """`x` at integer places along one axis, which those take the place of."""
    taken = gather(x, [places], (axis,))
    depth = len(places.shape)
    rest = len(x.shape) - 1
    order = (*range(depth, depth + axis), *range(depth), *range(depth + axis, depth + rest))
    return transpose(taken, order)


