"""Random bits by counter: Threefry-2x32 with 20 rounds.

J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3"
(2011). A pure function of key and counter, in 32-bit integers, so that every backend and every
order of evaluation gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.cast import cast
from tracer.primitives.pointwise import align_batched
from tracer.primitives.programs import Program
from tracer.trace import bind
from tracer.types import ArrayType, broadcast_shapes

UINT32, UINT64 = np.dtype(np.uint32), np.dtype(np.uint64)
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
_word = np.uint32


def _converted(value: Any, dtype: np.dtype[Any]) -> Any:
    return (
        value.astype(dtype) if isinstance(value, (np.ndarray, np.generic)) else cast(value, dtype)
    )


def threefry(first: Any, second: Any, counter: Any) -> Any:
    """64 bits of a key of two uint32 words and a uint64 counter; arrays or traced scalars."""
    keys = (first, second, first ^ second ^ _word(PARITY))
    x = _converted(counter >> np.uint64(32), UINT32) + first
    y = _converted(counter, UINT32) + second
    for turn in range(5):
        for places in ROTATIONS[turn % 2]:
            x = x + y
            y = (y << _word(places)) | (y >> _word(32 - places))
            y = y ^ x
        x = x + keys[(turn + 1) % 3]
        y = y + (keys[(turn + 2) % 3] + _word(turn + 1))
    return (_converted(x, UINT64) << np.uint64(32)) | _converted(y, UINT64)


Program(
    "threefry2x32",
    3,
    threefry,
    (ArrayType(UINT32, ()), ArrayType(UINT32, ()), ArrayType(UINT64, ())),
)


def _type(first: ArrayType, second: ArrayType, counter: ArrayType) -> ArrayType:
    return ArrayType(UINT64, broadcast_shapes(first.shape, second.shape, counter.shape))


def _evaluate(first: Any, second: Any, counter: Any) -> Any:
    with np.errstate(over="ignore"):  # NumPy warns of scalars that wrap around
        return threefry(first, second, counter)


def _batch(size: int, operands: Any, batched: Any) -> Any:
    return bind(threefry_p, *align_batched(operands, batched, size))


threefry_p = register(
    Primitive(
        "threefry2x32",
        _type,
        _evaluate,
        batch_rule=_batch,
        lowering=Lowering("elementwise", "program"),
        differentiable=False,
    )
)


def random_bits(first: Any, second: Any, counter: Any) -> Any:
    """uint64 of two uint32 key words and a uint64 counter, which broadcast."""
    return bind(threefry_p, first, second, counter)
