"""Views of another shape: reshaping, axes moved, added and dropped, broadcasting, reversing."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.dispatch import method
from tracer.errors import ShapeError
from tracer.numpy.common import (
    Axis,
    array_function,
    as_array,
    as_arrays,
    as_shape,
    axis_tuple,
    renewed,
    where_text,
)
from tracer.numpy.views import as_view, read_only
from tracer.primitives import broadcast as wide
from tracer.primitives import shape as primitive
from tracer.types import Shape, broadcast_shapes, normalize_axis


def known_shape(shape: Any, size: int, old: Shape) -> Shape:
    """`shape` with −1 worked out."""
    extents = as_shape(shape)
    unknown = [place for place, extent in enumerate(extents) if extent == -1]
    if len(unknown) > 1:
        raise ShapeError(f"{where_text()}can only specify one unknown dimension")
    known = math.prod(extent for extent in extents if extent != -1)
    if (unknown and (known == 0 or size % known)) or (not unknown and known != size):
        raise ShapeError(
            f"{where_text()}cannot reshape array of size {size} (shape {old}) into shape {extents}"
        )
    if unknown:
        place = unknown[0]
        extents = (*extents[:place], size // known, *extents[place + 1 :])
    return extents


def _reversed_axes(x: Any) -> Any:
    return primitive.transpose(x, tuple(range(x.ndim))[::-1])


def _in_order(x: Any, shape: Shape, order: Any) -> Any:
    if order == "F":
        return _reversed_axes(wide.reshape(_reversed_axes(x), shape[::-1]))
    return wide.reshape(x, shape)


def reshape_view(x: Any, shape: Shape, order: Any = "C") -> Any:
    """`x` in that shape, as a view."""
    if x.shape == shape:
        return x
    old = x.shape
    return as_view(
        x,
        lambda base: _in_order(base, shape, order),
        lambda base, part: _in_order(part, old, order),
    )


@array_function(np.reshape)
def reshape(a: Any, /, shape: Any, order: Any = "C", *, copy: Any = None) -> Any:
    """`a` in another shape; −1 is worked out."""
    x = as_array(a)
    result = reshape_view(x, known_shape(shape, math.prod(x.shape), x.shape), order)
    return renewed(result) if copy else result


@method("reshape")
def reshape_method(self: Any, *shape: Any, order: Any = "C", copy: Any = None) -> Any:
    """`x.reshape(shape)` or `x.reshape(*shape)`."""
    wanted = shape[0] if len(shape) == 1 else shape
    return reshape(self, wanted, order, copy=copy)


@method("ravel")
@array_function(np.ravel)
def ravel(a: Any, order: Any = "C") -> Any:
    """All elements in one row; a view."""
    x = as_array(a)
    return reshape_view(x, (math.prod(x.shape),), order)


@method("flatten")
def flatten(self: Any, order: Any = "C") -> Any:
    """All elements in one row; a copy."""
    return renewed(ravel(renewed(self), order))


def transpose_view(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with its axes in that order, as a view."""
    return as_view(
        x,
        lambda base: primitive.transpose(base, axes),
        lambda base, part: primitive.transpose(part, primitive.inverse_permutation(axes)),
    )


@array_function(np.transpose)
def transpose(a: Any, axes: Any = None) -> Any:
    """`a` with its axes in that order, by default reversed."""
    x = as_array(a)
    if axes is None:
        return transpose_view(x, tuple(range(x.ndim))[::-1])
    order = tuple([normalize_axis(axis, x.ndim) for axis in axes])
    if len(order) != x.ndim:
        raise ValueError(f"{where_text()}axes don't match array")
    if len(set(order)) != len(order):
        raise ValueError(f"{where_text()}repeated axis in transpose")
    return transpose_view(x, order)


@method("transpose")
def transpose_method(self: Any, *axes: Any) -> Any:
    """`x.transpose()`, `x.transpose(axes)` or `x.transpose(*axes)`."""
    if not axes:
        return transpose_view(self, tuple(range(len(self.shape)))[::-1])
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        return transpose(self, axes[0])
    return transpose(self, axes or None)


@array_function(np.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    x = as_array(x)
    if x.ndim < 2:
        raise ShapeError(
            f"{where_text()}Input array must be at least 2-dimensional, but it is {x.ndim}"
        )
    return swapaxes(x, -1, -2)


@method("swapaxes")
@array_function(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    x = as_array(a)
    first, second = normalize_axis(axis1, x.ndim), normalize_axis(axis2, x.ndim)
    order = list(range(x.ndim))
    order[first], order[second] = second, first
    return transpose_view(x, tuple(order))


@array_function(np.moveaxis)
def moveaxis(a: Any, source: Axis, destination: Axis) -> Any:
    """Axes moved to other places; the rest keep their order."""
    x = as_array(a)
    if source is None or destination is None:
        raise TypeError("moveaxis takes axes, not None")
    origin, target = axis_tuple(source, x.ndim), axis_tuple(destination, x.ndim)
    if len(origin) != len(target):
        raise ValueError(
            "`source` and `destination` arguments must have the same number of elements"
        )
    order = [axis for axis in range(x.ndim) if axis not in origin]
    for place, axis in sorted(zip(target, origin, strict=True)):
        order.insert(place, axis)
    return transpose_view(x, tuple(order))


@array_function(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """One axis moved before another."""
    x = as_array(a)
    place = normalize_axis(axis, x.ndim)
    target = start + x.ndim if start < 0 else start
    if place < target:
        target -= 1
    return moveaxis(x, place, target)


@array_function(np.expand_dims)
def expand_dims(a: Any, axis: Axis) -> Any:
    """New axes of length 1."""
    x = as_array(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    places = axis_tuple(axis, x.ndim + count)
    extents = iter(x.shape)
    shape = tuple(1 if place in places else next(extents) for place in range(x.ndim + count))
    return reshape_view(x, shape)


@method("squeeze")
@array_function(np.squeeze)
def squeeze(a: Any, axis: Axis = None) -> Any:
    """Axes of length 1 dropped."""
    x = as_array(a)
    if axis is None:
        return reshape_view(x, tuple(extent for extent in x.shape if extent != 1))
    places = axis_tuple(axis, x.ndim, loose=True)
    if any(x.shape[place] != 1 for place in places):
        raise ShapeError(
            f"{where_text()}cannot select an axis to squeeze out which has size not equal to one"
        )
    return reshape_view(x, wide.without_axes(x.shape, places))


@array_function(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """`array` repeated to that shape, by NumPy's rule."""
    wanted = as_shape(shape)
    return as_view(as_array(array), lambda base: wide.broadcast_to(base, wanted), read_only)


@array_function(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """The arrays, all broadcast to one shape."""
    arrays = as_arrays(*args)
    shape = broadcast_shapes(*[array.shape for array in arrays]) if arrays else ()
    return tuple(broadcast_to(array, shape) for array in arrays)


def _at_least(arrays: Sequence[Any], grow: Any) -> Any:
    results = tuple(reshape_view(x, grow(x.shape)) for x in as_arrays(*arrays))
    return results[0] if len(results) == 1 else results


@array_function(np.atleast_1d)
def atleast_1d(*arys: Any) -> Any:
    """Each array with at least one axis."""
    return _at_least(arys, lambda shape: shape or (1,))


@array_function(np.atleast_2d)
def atleast_2d(*arys: Any) -> Any:
    """Each array with at least two axes."""
    return _at_least(arys, lambda shape: (1,) * (2 - len(shape)) + shape)


def _three(shape: Shape) -> Shape:
    if len(shape) < 2:
        return (1, *(shape or (1,)), 1)
    return (*shape, 1) if len(shape) == 2 else shape


@array_function(np.atleast_3d)
def atleast_3d(*arys: Any) -> Any:
    """Each array with at least three axes."""
    return _at_least(arys, _three)


@array_function(np.flip)
def flip(m: Any, axis: Axis = None) -> Any:
    """The order along `axis` reversed."""
    x = as_array(m)
    axes = axis_tuple(axis, x.ndim)
    return as_view(
        x, lambda base: primitive.flip(base, axes), lambda base, part: primitive.flip(part, axes)
    )


@array_function(np.flipud)
def flipud(m: Any) -> Any:
    """The rows in reverse order."""
    x = as_array(m)
    if x.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return flip(x, 0)


@array_function(np.fliplr)
def fliplr(m: Any) -> Any:
    """The columns in reverse order."""
    x = as_array(m)
    if x.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(x, 1)


@array_function(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turned by `k` right angles in the plane of two axes."""
    x = as_array(m)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    first, second = (normalize_axis(axis, x.ndim) for axis in axes)
    if first == second:
        raise ValueError("Axes must be different.")
    turns = operator.index(k) % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (first, second))
    if turns == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second)


def _roll_one(x: Any, shift: int, axis: int) -> Any:
    length = x.shape[axis]
    if length == 0 or shift % length == 0:
        return x
    cut = length - shift % length
    tail = primitive.slice_axis(x, axis, cut, length)
    return primitive.concatenate([tail, primitive.slice_axis(x, axis, 0, cut)], axis)


@array_function(np.roll)
def roll(a: Any, shift: Any, axis: Axis = None) -> Any:
    """Elements shifted along axes; what falls off one end comes in at the other."""
    x = as_array(a)
    if axis is None:
        flat = ravel(x)
        amount = int(np.sum(shift))
        return wide.reshape(renewed(_roll_one(flat, amount, 0)), x.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts, places = np.broadcast_arrays(np.asarray(shift), np.asarray(axes))
    result = x
    for amount, place in zip(shifts.ravel(), places.ravel(), strict=True):
        result = _roll_one(result, int(amount), normalize_axis(int(place), x.ndim))
    return renewed(result)


@method("copy")
def copy_method(self: Any, order: Any = "C") -> Any:
    """A copy: assignments to it do not change the original."""
    result = renewed(self)
    result.variable.weak = self.variable.weak
    return result


@array_function(np.copy)
def copy(a: Any, order: Any = "K", subok: bool = False) -> Any:
    """A copy: assignments to it do not change the original."""
    return renewed(as_array(a))


@array_function(np.ndim)
def ndim(a: Any) -> int:
    """Number of axes."""
    return len(as_array(a).shape)


@array_function(np.shape)
def shape(a: Any) -> Shape:
    """The shape."""
    return as_array(a).shape  # type: ignore[no-any-return]


@array_function(np.size)
def size(a: Any, axis: Axis = None) -> int:
    """Number of elements, or along `axis`."""
    extents = as_array(a).shape
    return math.prod(extents[place] for place in axis_tuple(axis, len(extents)))


def _resized(x: Any, new_shape: Any) -> Any:
    wanted = as_shape(new_shape)
    count, have = math.prod(wanted), math.prod(x.shape)
    if have == 0 or count == 0:
        return wide.broadcast_to(x.dtype.type(0), wanted)
    flat = wide.reshape(x, (have,))
    copies = -(-count // have)
    flat = primitive.concatenate([flat] * copies, 0) if copies > 1 else flat
    return wide.reshape(primitive.slice_axis(flat, 0, 0, count), wanted)


@array_function(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """`a` repeated or cut to that shape."""
    return renewed(_resized(as_array(a), new_shape))
