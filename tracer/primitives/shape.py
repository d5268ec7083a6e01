"""Views and their transposes: axes permuted, parts taken, arrays padded, joined and reversed;
iota.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import broadcast_to, reduce_sum, zeros
from tracer.primitives.linear import create, linear
from tracer.trace import bind
from tracer.types import ArrayType, DType, Shape


def inverse_permutation(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(int(position) for position in np.argsort(axes))


transpose_p = linear(
    "transpose",
    lambda x, *, axes: ArrayType(x.dtype, tuple(x.shape[axis] for axis in axes)),
    lambda x, axes: np.transpose(x, axes),
    lambda ct, operands, active, axes: [transpose(ct, inverse_permutation(axes))],
    lambda size, operands, batched, axes: transpose(operands[0], (0, *(a + 1 for a in axes))),
    Lowering("view", "transpose"),
)


def transpose(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with axes in that order."""
    return x if axes == tuple(range(len(axes))) else bind(transpose_p, x, axes=axes)


def move_axis(x: Any, source: int, destination: int) -> Any:
    """`x` with one axis moved (both counted from the front)."""
    order = [axis for axis in range(x.ndim) if axis != source]
    order.insert(destination, source)
    return transpose(x, tuple(order))


def _slice_length(start: int, stop: int, step: int) -> int:
    return max(0, -(-(stop - start) // step))


def _slice_type(x: ArrayType, *, start: Shape, stop: Shape, step: Shape) -> ArrayType:
    bounds = zip(start, stop, step, strict=True)
    return ArrayType(x.dtype, tuple(_slice_length(*bound) for bound in bounds))


def _slice_evaluate(x: Any, *, start: Shape, stop: Shape, step: Shape) -> Any:
    return x[tuple(map(slice, start, stop, step))]


def _slice_transpose(
    ct: Any, operands: Any, active: Any, *, start: Shape, stop: Shape, step: Shape
) -> list[Any]:
    high = tuple(
        extent - begin - max(0, (n - 1) * by + 1) if n else extent - begin
        for extent, begin, n, by in zip(operands[0].shape, start, ct.shape, step, strict=True)
    )
    zero = ct.dtype.type(0)
    return [pad(ct, zero, start, high, tuple(by - 1 for by in step))]


def _slice_batch(
    size: int, operands: Any, batched: Any, *, start: Shape, stop: Shape, step: Shape
) -> Any:
    return bind(slice_p, operands[0], start=(0, *start), stop=(size, *stop), step=(1, *step))


slice_p = linear(
    "slice",
    _slice_type,
    _slice_evaluate,
    _slice_transpose,
    _slice_batch,
    Lowering("view", "slice"),
)


def take_slice(x: Any, start: Shape, stop: Shape, step: Shape) -> Any:
    """`x[start:stop:step]` along every axis; bounds inside of the array, steps positive."""
    if start == (0,) * len(start) and stop == x.shape and step == (1,) * len(step):
        return x
    return bind(slice_p, x, start=start, stop=stop, step=step)


def slice_axis(x: Any, axis: int, start: int, stop: int, step: int = 1) -> Any:
    """`x[start:stop:step]` along one axis."""
    n = x.ndim
    starts = tuple(start if a == axis else 0 for a in range(n))
    stops = tuple(stop if a == axis else x.shape[a] for a in range(n))
    return take_slice(x, starts, stops, tuple(step if a == axis else 1 for a in range(n)))


def _padded(extent: int, low: int, high: int, interior: int) -> int:
    return low + extent + max(0, extent - 1) * interior + high


def _pad_type(
    x: ArrayType, value: ArrayType, *, low: Shape, high: Shape, interior: Shape
) -> ArrayType:
    if value.shape != () or value.dtype != x.dtype:
        raise ShapeError(f"the padding value must be a scalar of dtype {x.dtype}, not {value}")
    rows = zip(x.shape, low, high, interior, strict=True)
    return ArrayType(x.dtype, tuple(_padded(*row) for row in rows))


def _pad_region(shape: Shape, low: Shape, interior: Shape) -> tuple[slice, ...]:
    return tuple(
        slice(first, first + max(0, n - 1) * (gap + 1) + (1 if n else 0), gap + 1)
        for n, first, gap in zip(shape, low, interior, strict=True)
    )


def _pad_evaluate(x: Any, value: Any, *, low: Shape, high: Shape, interior: Shape) -> Any:
    rows = zip(x.shape, low, high, interior, strict=True)
    out = np.full(tuple(_padded(*row) for row in rows), value, x.dtype)
    out[_pad_region(x.shape, low, interior)] = x
    return out


def _pad_transpose(
    ct: Any, operands: Any, active: Any, *, low: Shape, high: Shape, interior: Shape
) -> list[Any]:
    region = _pad_region(operands[0].shape, low, interior)
    inside = take_slice(
        ct,
        tuple(part.start for part in region),
        tuple(part.stop for part in region),
        tuple(part.step for part in region),
    )
    outside = None
    if active[1]:
        every = tuple(range(ct.ndim))
        outside = reduce_sum(ct, every) - reduce_sum(inside, every)
    return [inside, outside]


def _pad_batch(
    size: int, operands: Any, batched: Any, *, low: Shape, high: Shape, interior: Shape
) -> Any:
    x, value = operands
    if not batched[1]:
        return pad(x, value, (0, *low), (0, *high), (0, *interior))
    from tracer.primitives.comparison import select

    if not batched[0]:
        x = broadcast_to(x, (size, *x.shape))
    zero = x.dtype.type(0)
    inside = pad(x, zero, (0, *low), (0, *high), (0, *interior))
    ones = np.broadcast_to(np.True_, x.shape[1:])
    mask = pad(ones, np.False_, low, high, interior)
    column = value.reshape((size, *(1,) * (x.ndim - 1)))
    return select(mask, inside, column)


pad_p = linear("pad", _pad_type, _pad_evaluate, _pad_transpose, _pad_batch, Lowering("view", "pad"))


def pad(x: Any, value: Any, low: Shape, high: Shape, interior: Shape) -> Any:
    """`x` with `value` put before, after and between its elements."""
    if not any(low) and not any(high) and not any(interior):
        return x
    return bind(pad_p, x, value, low=low, high=high, interior=interior)


def _concatenate_type(*operands: ArrayType, axis: int) -> ArrayType:
    first = operands[0]
    for place, other in enumerate(operands[1:], 1):
        if other.ndim != first.ndim:
            raise ShapeError(
                "all the input arrays must have same number of dimensions, but the array at index "
                f"0 is {first} and the array at index {place} is {other}"
            )
        same = all(
            a == b or number == axis
            for number, (a, b) in enumerate(zip(first.shape, other.shape, strict=True))
        )
        if not same or other.dtype != first.dtype:
            raise ShapeError(
                f"all the input arrays must match except along axis {axis}: {first} and {other}"
            )
    total = sum(operand.shape[axis] for operand in operands)
    return ArrayType(first.dtype, (*first.shape[:axis], total, *first.shape[axis + 1 :]))


def _concatenate_transpose(ct: Any, operands: Any, active: Any, *, axis: int) -> list[Any]:
    result = []
    begin = 0
    for operand, wanted in zip(operands, active, strict=True):
        end = begin + operand.shape[axis]
        result.append(slice_axis(ct, axis, begin, end) if wanted else None)
        begin = end
    return result


def _concatenate_batch(size: int, operands: Any, batched: Any, *, axis: int) -> Any:
    full = [
        x if has else broadcast_to(x, (size, *x.shape))
        for x, has in zip(operands, batched, strict=True)
    ]
    return concatenate(full, axis + 1)


concatenate_p = linear(
    "concatenate",
    _concatenate_type,
    lambda *operands, axis: np.concatenate(operands, axis),
    _concatenate_transpose,
    _concatenate_batch,
    Lowering("view", "concatenate"),
)


def concatenate(operands: Sequence[Any], axis: int) -> Any:
    """Arrays of one dtype joined along an axis (counted from the front)."""
    return operands[0] if len(operands) == 1 else bind(concatenate_p, *operands, axis=axis)


flip_p = linear(
    "flip",
    lambda x, *, axes: x,
    lambda x, axes: np.flip(x, axes),
    lambda ct, operands, active, axes: [flip(ct, axes)],
    lambda size, operands, batched, axes: flip(operands[0], tuple(a + 1 for a in axes)),
    Lowering("view", "flip"),
)


def flip(x: Any, axes: tuple[int, ...]) -> Any:
    """`x` with the order along `axes` reversed."""
    return bind(flip_p, x, axes=axes) if axes else x


def _update_type(x: ArrayType, part: ArrayType, *, start: Shape, step: Shape) -> ArrayType:
    if part.dtype != x.dtype or part.ndim != x.ndim:
        raise ShapeError(f"cannot write {part} into {x}")
    return x


def _region(shape: Shape, start: Shape, step: Shape) -> tuple[slice, ...]:
    return tuple(
        slice(first, first + (n - 1) * by + 1 if n else first, by)
        for n, first, by in zip(shape, start, step, strict=True)
    )


def _update_evaluate(x: Any, part: Any, *, start: Shape, step: Shape) -> Any:
    out = x.copy()
    out[_region(part.shape, start, step)] = part
    return out


def _update_transpose(
    ct: Any, operands: Any, active: Any, *, start: Shape, step: Shape
) -> list[Any]:
    part = operands[1]
    kept = written = None
    if active[0]:
        kept = slice_update(ct, zeros(ArrayType(ct.dtype, part.shape)), start, step)
    if active[1]:
        region = _region(part.shape, start, step)
        written = take_slice(ct, start, tuple(piece.stop for piece in region), step)
    return [kept, written]


def _update_batch(size: int, operands: Any, batched: Any, *, start: Shape, step: Shape) -> Any:
    x, part = (
        operand if has else broadcast_to(operand, (size, *operand.shape))
        for operand, has in zip(operands, batched, strict=True)
    )
    return slice_update(x, part, (0, *start), (1, *step))


slice_update_p = linear(
    "slice_update",
    _update_type,
    _update_evaluate,
    _update_transpose,
    _update_batch,
    Lowering("view", "slice_update"),
)


def slice_update(x: Any, part: Any, start: Shape, step: Shape) -> Any:
    """`x` with `x[start::step]`, as far as `part` reaches, replaced by `part`."""
    return bind(slice_update_p, x, part, start=start, step=step)


iota_p = register(
    Primitive(
        "iota",
        lambda *, length, dtype: ArrayType(dtype, (length,)),
        lambda *, length, dtype: np.arange(length, dtype=dtype),
        batch_rule=None,
        lowering=Lowering("view", "iota"),
        differentiable=False,
    )
)


def iota(length: int, dtype: DType) -> Any:
    """0, 1, … length − 1: traced inside a trace, else an ndarray."""
    return create(iota_p, length=length, dtype=dtype)
