"""Keys, and the bits that come of them. A key is an array of two uint32; nothing is hidden."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.errors import DTypeError, ShapeError
from tracer.primitives.threefry import random_bits
from tracer.trace import type_of

Shape = int | tuple[int, ...]
HALF = np.uint64(32)
SPLIT, FOLD = np.uint64(1 << 62), np.uint64(1 << 63)
"""Counters from here on are for making keys, so that those bits are never drawn as numbers."""


def key(seed: Any) -> Any:
    """The key of an integer: uint32, shape (2,). Negative seeds count as their 64 bits."""
    if isinstance(seed, int):
        seed = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    if type_of(seed).dtype.kind not in "iu" or type_of(seed).shape != ():
        raise DTypeError(f"a seed is one integer, not {type_of(seed)}")
    wide = tnp.asarray(seed).astype(np.uint64)
    return tnp.stack([wide >> HALF, wide & np.uint64(0xFFFFFFFF)]).astype(np.uint32)


def words(key: Any) -> tuple[Any, Any]:
    """The two words of a key; raises where it is not one."""
    kind = type_of(key)
    if kind.dtype != np.uint32 or kind.shape != (2,):
        raise DTypeError(
            f"a key is a uint32 array of shape (2,), as tracer.random.key(seed) makes it; this is "
            f"{kind}"
        )
    return key[0], key[1]


def as_shape(shape: Shape) -> tuple[int, ...]:
    """A shape as a tuple of Python ints."""
    given = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(extent < 0 for extent in given):
        raise ShapeError(f"negative dimensions in the shape {given}")
    return tuple(int(extent) for extent in given)


def _keys_at(key: Any, counters: Any) -> Any:
    wide = random_bits(*words(key), counters)
    halves = tnp.stack([wide >> HALF, wide & np.uint64(0xFFFFFFFF)], axis=-1)
    return halves.astype(np.uint32)


def split(key: Any, n: Shape = 2) -> Any:
    """`n` new keys, shape (n, 2) (or (*n, 2) for a tuple): independent streams of numbers.

    Use each key once: for drawing, or for splitting.
    """
    shape = as_shape(n)
    count = math.prod(shape)
    counters = tnp.arange(count, dtype=np.uint64) + SPLIT
    return _keys_at(key, counters).reshape(*shape, 2)


def fold_in(key: Any, data: Any) -> Any:
    """The key that belongs to an integer, which may be traced: one stream a step of a loop."""
    if type_of(data).dtype.kind not in "iub" or type_of(data).shape != ():
        raise DTypeError(f"fold_in takes one integer, not {type_of(data)}")
    wide = np.uint64(data & 0xFFFFFFFFFFFFFFFF) if isinstance(data, int) else data
    return _keys_at(key, tnp.asarray(wide).astype(np.uint64) ^ FOLD)


def bits(key: Any, shape: Shape = (), dtype: Any = np.uint64) -> Any:
    """Uniform random bits: unsigned integers of `dtype`, all of whose values are equally likely."""
    wanted = np.dtype(dtype)
    if wanted.kind != "u":
        raise DTypeError(f"random bits are unsigned integers, not {wanted}")
    given = as_shape(shape)
    counters = tnp.arange(math.prod(given), dtype=np.uint64)
    wide = random_bits(*words(key), counters).reshape(given)
    if wanted.itemsize == 8:
        return wide
    return (wide >> np.uint64(64 - 8 * wanted.itemsize)).astype(wanted)
