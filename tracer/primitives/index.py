"""Gather and scatter: NumPy's advanced indexing, and its transposes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.errors import DerivativeError, ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import broadcast_to, reshape, without_axes, zeros
from tracer.primitives.comparison import equal, select
from tracer.primitives.linear import linear
from tracer.primitives.pointwise import align_batched
from tracer.primitives.shape import iota, move_axis
from tracer.trace import bind
from tracer.types import INT64, ArrayType, Shape, broadcast_shapes

Axes = tuple[int, ...]


def _index_shape(indices: Sequence[Any]) -> Shape:
    for index in indices:
        if index.dtype.kind not in "iu":
            raise ShapeError(f"indices must be integers, not {index.dtype}")
    return broadcast_shapes(*[index.shape for index in indices])


def _gather_type(x: ArrayType, *indices: ArrayType, axes: Axes) -> ArrayType:
    return ArrayType(x.dtype, (*_index_shape(indices), *without_axes(x.shape, axes)))


def _axes_first(x: Any, axes: Axes) -> Any:
    return np.moveaxis(x, axes, range(len(axes)))


def _gather_evaluate(x: Any, *indices: Any, axes: Axes) -> Any:
    return _axes_first(np.asarray(x), axes)[indices]


def _gather_transpose(ct: Any, operands: Any, active: Any, *, axes: Axes) -> list[Any]:
    x, *indices = operands
    blank = zeros(ArrayType(ct.dtype, x.shape))
    return [scatter(blank, ct, indices, axes, "add"), *(None,) * len(indices)]


def _batch_index(size: int, indices: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """The indices aligned, with one more in front that counts the lanes."""
    aligned = align_batched(indices, batched, size)
    rank = max([index.ndim - bool(b) for index, b in zip(indices, batched, strict=True)], default=0)
    lanes = reshape(iota(size, INT64), (size, *(1,) * rank))
    return [lanes, *aligned]


def _gather_batch(size: int, operands: Any, batched: Any, *, axes: Axes) -> Any:
    x, *indices = operands
    shifted = tuple(axis + 1 for axis in axes)
    if not batched[0]:
        return gather(x, align_batched(indices, batched[1:], size), axes)
    if not any(batched[1:]):
        taken = gather(x, indices, shifted)
        return move_axis(taken, len(_index_shape(indices)), 0)
    return gather(x, _batch_index(size, indices, batched[1:]), (0, *shifted))


gather_p = linear(
    "gather",
    _gather_type,
    _gather_evaluate,
    _gather_transpose,
    _gather_batch,
    Lowering("gather"),
    operands=(0,),
)


def gather(x: Any, indices: Sequence[Any], axes: Axes) -> Any:
    """`x` indexed by integer arrays along `axes`: their broadcast shape comes first, then the
    other axes.

    Negative indices count from the end; one outside raises IndexError.
    """
    return bind(gather_p, x, *indices, axes=axes)


_AT = {
    "add": np.add.at,
    "multiply": np.multiply.at,
    "minimum": np.minimum.at,
    "maximum": np.maximum.at,
}


def _scatter_type(
    x: ArrayType, updates: ArrayType, *indices: ArrayType, axes: Axes, mode: str, unique: bool
) -> ArrayType:
    expected = (*_index_shape(indices), *without_axes(x.shape, axes))
    if updates.shape != expected or updates.dtype != x.dtype:
        raise ShapeError(f"cannot write {updates} where {ArrayType(x.dtype, expected)} was due")
    return x


def _scatter_evaluate(
    x: Any, updates: Any, *indices: Any, axes: Axes, mode: str, unique: bool
) -> Any:
    out = np.array(x)
    view = _axes_first(out, axes)
    if mode == "set":
        view[indices] = updates
    else:
        _AT[mode](view, indices, updates)
    return out


def _last_writer(shape: Shape, indices: Sequence[Any], axes: Axes) -> Any:
    """Which of the updates stays where several are written to one place."""
    index_shape = _index_shape(indices)
    count = int(np.prod(index_shape, dtype=np.int64))
    order = reshape(iota(count, INT64), index_shape)
    extents = tuple(shape[axis] for axis in axes)
    blank = zeros(ArrayType(INT64, extents))
    places = tuple(range(len(axes)))
    written = scatter(blank, order, indices, places, "set")
    return equal(gather(written, indices, places), order)


def _scatter_jvp(
    primals: Any, tangents: Any, out: Any, *, axes: Axes, mode: str, unique: bool
) -> Any:
    x, updates, *indices = primals
    t_x, t_updates = (
        zeros(ArrayType(primal.dtype, primal.shape)) if tangent is None else tangent
        for primal, tangent in zip((x, updates), tangents[:2], strict=True)
    )
    if mode in ("add", "set"):
        return scatter(t_x, t_updates, indices, axes, mode, unique=unique)
    if not unique:
        raise DerivativeError(
            f"scatter with mode '{mode}' has no derivative where an index may repeat; "
            "write x.at[i].add, or make the indices unique"
        )
    old = gather(x, indices, axes)
    t_old = gather(t_x, indices, axes)
    if mode == "multiply":
        changed = t_old * updates + old * t_updates
    else:
        half = x.dtype.type(0.5)
        wins = updates < old if mode == "minimum" else updates > old
        changed = select(
            equal(updates, old), half * (t_old + t_updates), select(wins, t_updates, t_old)
        )
    return scatter(t_x, changed, indices, axes, "set", unique=True)


def _scatter_transpose(
    ct: Any, operands: Any, active: Any, *, axes: Axes, mode: str, unique: bool
) -> list[Any]:
    x, updates, *indices = operands
    rest = (None,) * len(indices)
    taken = gather(ct, indices, axes) if active[1] else None
    if mode == "add":
        return [ct if active[0] else None, taken, *rest]
    kept = None
    if active[0]:
        nothing = zeros(ArrayType(ct.dtype, updates.shape))
        kept = scatter(ct, nothing, indices, axes, "set", unique=unique)
    if taken is not None and not unique:
        mask = _last_writer(x.shape, indices, axes)
        mask = reshape(mask, (*mask.shape, *(1,) * (taken.ndim - mask.ndim)))
        taken = select(mask, taken, ct.dtype.type(0))
    return [kept, taken, *rest]


def _scatter_vjp(
    ct: Any, primals: Any, out: Any, active: Any, *, axes: Axes, mode: str, unique: bool
) -> list[Any]:
    if mode in ("add", "set"):
        return _scatter_transpose(ct, primals, active, axes=axes, mode=mode, unique=unique)
    from tracer.transforms.reverse import vjp_by_transposing

    params = {"axes": axes, "mode": mode, "unique": unique}
    return vjp_by_transposing(scatter_p, [ct], primals, out, active, params)


def _scatter_batch(
    size: int, operands: Any, batched: Any, *, axes: Axes, mode: str, unique: bool
) -> Any:
    x, updates = (
        operand if has else broadcast_to(operand, (size, *operand.shape))
        for operand, has in zip(operands[:2], batched[:2], strict=True)
    )
    indices = _batch_index(size, operands[2:], batched[2:])
    shifted = (0, *(axis + 1 for axis in axes))
    return scatter(x, updates, indices, shifted, mode, unique=unique)


scatter_p = register(
    Primitive(
        "scatter",
        _scatter_type,
        _scatter_evaluate,
        jvp_rule=_scatter_jvp,
        vjp_rule=_scatter_vjp,
        batch_rule=_scatter_batch,
        lowering=Lowering("scatter"),
    )
)


def scatter(
    x: Any, updates: Any, indices: Sequence[Any], axes: Axes, mode: str, *, unique: bool = False
) -> Any:
    """`x` with `updates` (shaped as `gather` would return) written at the indices.

    mode: "set" (the last writer stays), "add", "multiply", "minimum", "maximum".
    """
    return bind(scatter_p, x, updates, *indices, axes=axes, mode=mode, unique=unique)
