"""The permutation that sorts, and places in what is sorted. Neither has a derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import broadcast_to, reduce_sum, reshape
from tracer.primitives.cast import cast, imag_part, real_part
from tracer.primitives.comparison import (
    equal,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    select,
)
from tracer.primitives.index import gather
from tracer.trace import bind, is_abstract
from tracer.types import INT64, ArrayType

INT8 = np.dtype(np.int8)

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
    if x.dtype.kind == "c" and is_abstract(x):  # loops know the order of real numbers
        return _lexicographic(_keys(x), axis)
    return bind(argsort_p, x, axis=axis)


def _keys(x: Any) -> tuple[Any, Any, Any]:
    """Real numbers in whose order, the first before the second, complex ones are sorted: those
    without NaN first, then those whose imaginary, whose real, and of which both parts are NaN."""
    real, imag = real_part(x), imag_part(x)
    zero = real.dtype.type(0)
    kind = cast(isnan(real), INT8) * 2 + cast(isnan(imag), INT8)
    return kind, select(isnan(real), zero, real), select(isnan(imag), zero, imag)


def _lexicographic(keys: tuple[Any, ...], axis: int) -> Any:
    """The permutation that sorts by the first key, equal ones by the second, and so on."""
    found = argsort(keys[-1], axis)
    for key in keys[-2::-1]:
        found = _along(found, argsort(_along(key, found, axis), axis), axis)
    return found


def _along(x: Any, places: Any, axis: int) -> Any:
    """For each place along the axis, the element there."""
    grid: list[Any] = list(np.indices(x.shape, sparse=True))
    grid[axis] = places
    return gather(x, grid, tuple(range(len(x.shape))))


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


def _counted(table: Any, values: Any, side: str) -> Any:
    """How many elements of a table of complex numbers stand before each value."""
    column = reshape(values, (*values.shape, 1))
    table_keys, value_keys = _keys(table), _keys(column)
    if side == "left":
        before = _less(table_keys, value_keys)
    else:
        before = logical_not(_less(value_keys, table_keys))
    return reduce_sum(cast(before, INT64), (len(values.shape),))


def _less(first: tuple[Any, ...], second: tuple[Any, ...]) -> Any:
    result = less(first[-1], second[-1])
    for one, other in zip(first[-2::-1], second[-2::-1], strict=True):
        result = logical_or(less(one, other), logical_and(equal(one, other), result))
    return result


def searchsorted(table: Any, values: Any, side: str) -> Any:
    """Where each value would be put into a sorted table: before ("left") or after equal ones."""
    if table.dtype.kind == "c" and (is_abstract(table) or is_abstract(values)):
        return _counted(table, values, side)
    return bind(searchsorted_p, table, values, side=side)
