"""The permutation that sorts, and places in what is sorted. Neither has a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import cast
from tracer.primitives.comparison import less, less_equal
from tracer.trace import bind
from tracer.types import INT64, ArrayType

argsort_p = register(
    Primitive(
        "argsort",
        lambda x, *, axis: ArrayType(INT64, x.shape),
        lambda x, *, axis: np.argsort(x, axis, kind="stable"),
        batch_rule=lambda size, operands, batched, axis: argsort(operands[0], axis + 1),
        lowering=Lowering("kernel", "argsort"),
        differentiable=False,
    )
)


def argsort(x: Any, axis: int) -> Any:
    """The stable permutation that sorts along an axis, NaN last."""
    return bind(argsort_p, x, axis=axis)


def _searchsorted_type(table: ArrayType, values: ArrayType, *, side: str) -> ArrayType:
    if table.ndim != 1:
        raise ShapeError(f"searchsorted takes a table of one axis, not {table}")
    if table.dtype != values.dtype:
        raise ShapeError(f"searchsorted takes two equal dtypes, not {table} and {values}")
    return ArrayType(INT64, values.shape)


def _searchsorted_batch(size: int, operands: Any, batched: Any, *, side: str) -> Any:
    table, values = operands
    if not batched[0]:
        return searchsorted(table, values, side)
    if not batched[1]:
        values = broadcast_to(values, (size, *values.shape))
    # Each lane has a table of its own: count its elements before each value.
    rank = len(values.shape)
    rows = reshape(table, (size, *(1,) * (rank - 1), table.shape[1]))
    columns = reshape(values, (*values.shape, 1))
    before = (less if side == "left" else less_equal)(rows, columns)
    return reduce_sum(cast(before, INT64), (rank,))


searchsorted_p = register(
    Primitive(
        "searchsorted",
        _searchsorted_type,
        lambda table, values, *, side: np.searchsorted(table, values, side),
        batch_rule=_searchsorted_batch,
        lowering=Lowering("kernel", "searchsorted"),
        differentiable=False,
    )
)


def searchsorted(table: Any, values: Any, side: str) -> Any:
    """Where each value would be put into a sorted table: before ("left") or after equal ones."""
    return bind(searchsorted_p, table, values, side=side)
