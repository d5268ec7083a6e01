"""Convolution of two sequences."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering
from tracer.primitives.broadcast import broadcast_to
from tracer.primitives.contract import dot_general
from tracer.primitives.index import gather
from tracer.primitives.linear import linear
from tracer.primitives.shape import flip, move_axis, pad, slice_axis
from tracer.trace import bind
from tracer.types import ArrayType


def _convolve_type(x: ArrayType, y: ArrayType) -> ArrayType:
    if x.ndim != 1 or y.ndim != 1 or x.dtype != y.dtype or not x.size or not y.size:
        raise ShapeError(f"convolve takes two sequences of one dtype, not {x} and {y}")
    return ArrayType(x.dtype, (x.shape[0] + y.shape[0] - 1,))


def _convolve_transpose(ct: Any, operands: Any, active: Any) -> list[Any]:
    x, y = operands
    n, m = x.shape[0], y.shape[0]
    return [
        slice_axis(convolve(ct, flip(y, (0,))), 0, m - 1, m - 1 + n) if active[0] else None,
        slice_axis(convolve(ct, flip(x, (0,))), 0, n - 1, n - 1 + m) if active[1] else None,
    ]


def _convolve_batch(size: int, operands: Any, batched: Any) -> Any:
    """Lanes side by side: each element of the result is a product of a row of the shifted
    operand.
    """
    x, y = operands
    if not batched[0]:
        x, y, batched = y, x, batched[::-1]
    n, m = x.shape[-1], y.shape[-1]
    padded = pad(x, x.dtype.type(0), (0, m - 1), (0, m - 1), (0, 0))
    rows = np.arange(n + m - 1)[:, None] + np.arange(m - 1, -1, -1)
    shifted = move_axis(gather(padded, [rows], (1,)), 2, 0)  # lanes, result, terms
    if not batched[1]:
        return dot_general(shifted, y, ((2,), (0,)))
    return dot_general(shifted, broadcast_to(y, (size, m)), ((2,), (1,)), ((0,), (0,)))


convolve_p = linear(
    "convolve",
    _convolve_type,
    lambda x, y: np.convolve(x, y),
    _convolve_transpose,
    _convolve_batch,
    Lowering("kernel", "convolve"),
    each=True,
)


def convolve(x: Any, y: Any) -> Any:
    """z with z[k] = Σ x[i]·y[k − i], as long as both together less one."""
    return bind(convolve_p, x, y)
