"""General contraction: sums of products over axes that two arrays share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering
from tracer.primitives.linear import linear
from tracer.primitives.shape import inverse_permutation, move_axis, transpose
from tracer.trace import bind
from tracer.types import ArrayType

Axes = tuple[int, ...]
Pair = tuple[Axes, Axes]


def _free(ndim: int, used: Axes) -> Axes:
    return tuple(axis for axis in range(ndim) if axis not in used)


def _dot_type(x: ArrayType, y: ArrayType, *, contract: Pair, batch: Pair) -> ArrayType:
    for pair in (contract, batch):
        for a, b in zip(*pair, strict=True):
            if x.shape[a] != y.shape[b]:
                raise ShapeError(
                    f"matrix product of shapes {x.shape} and {y.shape}: axis {a} of the first has "
                    f"length {x.shape[a]}, axis {b} of the second {y.shape[b]}"
                )
    if x.dtype != y.dtype:
        raise ShapeError(f"a product takes two equal dtypes, not {x.dtype} and {y.dtype}")
    free_x = _free(x.ndim, contract[0] + batch[0])
    free_y = _free(y.ndim, contract[1] + batch[1])
    shape = [x.shape[axis] for axis in batch[0] + free_x] + [y.shape[axis] for axis in free_y]
    return ArrayType(x.dtype, tuple(shape))


def _dot_evaluate(x: Any, y: Any, *, contract: Pair, batch: Pair) -> Any:
    free_x = _free(x.ndim, contract[0] + batch[0])
    free_y = _free(y.ndim, contract[1] + batch[1])
    if not batch[0] and len(contract[0]) == 1 and x.ndim <= 2 and y.ndim <= 2:
        left = x if contract[0][0] == x.ndim - 1 else x.T
        right = y if contract[1][0] == 0 else y.T
        return np.dot(left, right)
    lengths = [x.shape[axis] for axis in batch[0]]
    rows = [x.shape[axis] for axis in free_x]
    columns = [y.shape[axis] for axis in free_y]
    depth = math.prod(x.shape[axis] for axis in contract[0])
    left = np.transpose(x, batch[0] + free_x + contract[0])
    right = np.transpose(y, batch[1] + contract[1] + free_y)
    left = left.reshape(*lengths, math.prod(rows), depth)
    right = right.reshape(*lengths, depth, math.prod(columns))
    return np.matmul(left, right).reshape((*lengths, *rows, *columns))[()]


def _cotangent_of_first(ct: Any, x: Any, y: Any, contract: Pair, batch: Pair) -> Any:
    """The product of ct and y, or of y and ct: whichever needs no transpose afterwards."""
    free_x = _free(x.ndim, contract[0] + batch[0])
    free_y = _free(y.ndim, contract[1] + batch[1])
    b, rows = len(batch[0]), len(free_x)
    columns_of_ct = tuple(range(b + rows, b + rows + len(free_y)))
    lead = tuple(range(b))
    # both have the batch first, then the free axes of x, and the contracted ones as they stand in y
    contracted = tuple(contract[0][contract[1].index(axis)] for axis in sorted(contract[1]))
    order = batch[0] + contracted + free_x
    if order == tuple(range(x.ndim)) and rows and contracted:
        return dot_general(y, ct, (free_y, columns_of_ct), (batch[1], lead))
    product = dot_general(ct, y, (columns_of_ct, free_y), (lead, batch[1]))
    return transpose(product, inverse_permutation(batch[0] + free_x + contracted))


def _dot_transpose(
    ct: Any, operands: Any, active: Any, *, contract: Pair, batch: Pair
) -> list[Any]:
    x, y = operands
    result: list[Any] = [None, None]
    if active[0]:
        result[0] = _cotangent_of_first(ct, x, y, contract, batch)
    if active[1]:
        b, rows = len(batch[0]), x.ndim - len(batch[0]) - len(contract[0])
        order = (*range(b), *range(b + rows, ct.ndim), *range(b, b + rows))
        swapped = transpose(ct, order)
        result[1] = _cotangent_of_first(swapped, y, x, contract[::-1], batch[::-1])
    return result


def _shift(axes: Axes) -> Axes:
    return tuple(axis + 1 for axis in axes)


def _dot_batch(size: int, operands: Any, batched: Any, *, contract: Pair, batch: Pair) -> Any:
    x, y = operands
    in_x, in_y = batched
    pairs = [
        (_shift(pair[0]) if in_x else pair[0], _shift(pair[1]) if in_y else pair[1])
        for pair in (contract, batch)
    ]
    if in_x and in_y:
        return dot_general(x, y, pairs[0], ((0, *pairs[1][0]), (0, *pairs[1][1])))
    product = dot_general(x, y, pairs[0], pairs[1])
    b = len(batch[0])
    free_x = x.ndim - b - len(contract[0])
    return move_axis(product, b if in_x else b + free_x, 0)


dot_general_p = linear(
    "dot_general",
    _dot_type,
    _dot_evaluate,
    _dot_transpose,
    _dot_batch,
    Lowering("contraction"),
    each=True,
)


def dot_general(x: Any, y: Any, contract: Pair, batch: Pair = ((), ())) -> Any:
    """Sum of products over the axes `contract` = (of x, of y); axes `batch` go side by side.

    Result axes: batch, the other axes of x, the other axes of y. Both operands have one dtype.
    """
    return bind(dot_general_p, x, y, contract=contract, batch=batch)
