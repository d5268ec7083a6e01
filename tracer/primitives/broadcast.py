"""Broadcasting and its transpose, summation; reshaping; and arrays made of one number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering
from tracer.primitives.linear import create, linear
from tracer.trace import bind, current_trace, type_of
from tracer.types import ArrayType, DType, Shape


def _reshape_type(x: ArrayType, *, shape: Shape) -> ArrayType:
    if math.prod(shape) != x.size:
        raise ShapeError(f"cannot reshape array of size {x.size} into shape {shape}")
    return ArrayType(x.dtype, shape)


reshape_p = linear(
    "reshape",
    _reshape_type,
    lambda x, shape: x.reshape(shape),
    lambda ct, operands, active, shape: [reshape(ct, operands[0].shape)],
    lambda size, operands, batched, shape: reshape(operands[0], (size, *shape)),
    Lowering("view", "reshape"),
)


def reshape(x: Any, shape: Shape) -> Any:
    """`x` with that shape (fully given), in C order."""
    return x if x.shape == shape else bind(reshape_p, x, shape=shape)


def _broadcast_type(x: ArrayType, *, shape: Shape) -> ArrayType:
    lead = len(shape) - len(x.shape)
    if lead < 0 or any(a not in (1, b) for a, b in zip(x.shape, shape[lead:], strict=True)):
        raise ShapeError(f"cannot broadcast shape {x.shape} to {shape}")
    return ArrayType(x.dtype, shape)


def _broadcast_batch(size: int, operands: Any, batched: Any, *, shape: Shape) -> Any:
    x = operands[0]
    inner = x.shape[1:]
    aligned = reshape(x, (size, *(1,) * (len(shape) - len(inner)), *inner))
    return broadcast_to(aligned, (size, *shape))


broadcast_to_p = linear(
    "broadcast_to",
    _broadcast_type,
    lambda x, shape: np.broadcast_to(x, shape),
    lambda ct, operands, active, shape: [unbroadcast(ct, operands[0].shape)],
    _broadcast_batch,
    Lowering("view", "broadcast_to"),
)


def broadcast_to(x: Any, shape: Shape) -> Any:
    """`x` repeated to that shape, by NumPy's rule."""
    return x if x.shape == shape else bind(broadcast_to_p, x, shape=shape)


def without_axes(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """`shape` less the extents of `axes`."""
    return tuple(extent for axis, extent in enumerate(shape) if axis not in axes)


def keep_axes(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """`shape` with extent 1 at `axes`."""
    return tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))


def _sum_transpose(ct: Any, operands: Any, active: Any, *, axes: tuple[int, ...]) -> list[Any]:
    shape = operands[0].shape
    return [broadcast_to(reshape(ct, keep_axes(shape, axes)), shape)]


def _sum_evaluate(x: Any, *, axes: tuple[int, ...]) -> Any:
    return np.add.reduce(x, axis=axes, dtype=x.dtype)


reduce_sum_p = linear(
    "reduce_sum",
    lambda x, *, axes: ArrayType(x.dtype, without_axes(x.shape, axes)),
    _sum_evaluate,
    _sum_transpose,
    lambda size, operands, batched, axes: reduce_sum(operands[0], tuple(a + 1 for a in axes)),
    Lowering("reduction", "add"),
)


def reduce_sum(x: Any, axes: tuple[int, ...]) -> Any:
    """The sum over `axes` (counted from the front), which vanish."""
    return bind(reduce_sum_p, x, axes=axes) if axes else x


def unbroadcast(ct: Any, shape: Shape) -> Any:
    """The transpose of `broadcast_to`: `ct` summed down to `shape`."""
    if ct.shape == shape:
        return ct
    lead = ct.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(
        lead + axis
        for axis, extent in enumerate(shape)
        if extent == 1 and ct.shape[lead + axis] != 1
    )
    return reshape(reduce_sum(ct, axes), shape)


def full(shape: Shape, value: Any, dtype: DType) -> Any:
    """An array of one number: traced inside a trace without values, else an ndarray."""
    trace = current_trace()
    if trace is None or trace.carries_values:
        return np.full(shape, value, dtype)[()]
    scalar = dtype.type(value)
    return create(broadcast_to_p, scalar, shape=shape)


def zeros(type_: ArrayType) -> Any:
    """Zeros of a type."""
    return full(type_.shape, 0, type_.dtype)


def zeros_like(x: Any) -> Any:
    """Zeros of the type of `x`."""
    return zeros(type_of(x))
