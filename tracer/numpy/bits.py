"""Booleans packed as the bits of bytes, and unpacked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.numpy.common import array_function, as_array, cast_to, where_text
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.reductions import truth
from tracer.primitives import shape as primitive
from tracer.primitives.broadcast import reshape
from tracer.primitives.comparison import bitwise_and, right_shift
from tracer.primitives.shape import slice_axis
from tracer.types import normalize_axis

UINT8 = np.dtype(np.uint8)


def _bits(order: str) -> Any:
    """How far each bit of a byte is from the right, in the order in which bits are read."""
    if order not in ("big", "little"):
        raise ValueError("'bitorder' must be either 'little' or 'big'")
    places = np.arange(8, dtype=np.uint8)
    return places[::-1].copy() if order == "big" else places


def _in_row(a: Any, axis: int | None) -> tuple[Any, int]:
    x = as_array(a)
    if axis is None or not x.shape:
        if axis is not None:
            normalize_axis(axis, 1)
        return reshape(x, (math.prod(x.shape),)), 0
    return x, normalize_axis(axis, len(x.shape))


@array_function(np.packbits)
def packbits(a: Any, /, axis: int | None = None, bitorder: str = "big") -> Any:
    """Eight elements along an axis as the bits of one byte, the last byte filled up with zeros."""
    if as_array(a).dtype.kind not in "biu":
        raise TypeError(f"{where_text()}Expected an input array of integer or boolean data type")
    x, place = _in_row(a, axis)
    count = -(-x.shape[place] // 8)
    missing = [0] * len(x.shape)
    missing[place] = count * 8 - x.shape[place]
    nothing = (0,) * len(x.shape)
    x = primitive.pad(cast_to(truth(x), UINT8), np.uint8(0), nothing, tuple(missing), nothing)
    lanes = [1] * (len(x.shape) + 1)
    lanes[place + 1] = 8
    x = reshape(x, (*x.shape[:place], count, 8, *x.shape[place + 1 :]))
    weights = np.left_shift(np.uint8(1), _bits(bitorder)).reshape(lanes)
    return sum_of(x * weights, place + 1, dtype=UINT8)


@array_function(np.unpackbits)
def unpackbits(
    a: Any, /, axis: int | None = None, count: int | None = None, bitorder: str = "big"
) -> Any:
    """The bits of each byte as eight elements along an axis, of which `count` are kept."""
    if as_array(a).dtype != UINT8:
        raise TypeError(f"{where_text()}Expected an input array of unsigned byte data type")
    x, place = _in_row(a, axis)
    lanes = [1] * (len(x.shape) + 1)
    lanes[place + 1] = 8
    wide = reshape(x, (*x.shape[: place + 1], 1, *x.shape[place + 1 :]))
    bits = bitwise_and(right_shift(wide, _bits(bitorder).reshape(lanes)), np.uint8(1))
    length = x.shape[place] * 8
    result = reshape(bits, (*x.shape[:place], length, *x.shape[place + 1 :]))
    if count is None:
        return result
    kept = length + count if count < 0 else count
    if kept < 0:
        raise ValueError(f"-count ({count}) is larger than the number of elements")
    if kept <= length:
        return slice_axis(result, place, 0, kept)
    more, nothing = [0] * len(result.shape), (0,) * len(result.shape)
    more[place] = kept - length
    return primitive.pad(result, np.uint8(0), nothing, tuple(more), nothing)
