"""Row of the random bits: the same integers everywhere, and those of the paper's own program."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.primitives.row import Case, Row, type_of

WORD = 2**32 - 1


def reference(first: Any, second: Any, counter: Any) -> Any:
    """Threefry-2x32-20 in Python's own integers, one element at a time."""
    out = np.empty(np.broadcast_shapes(first.shape, second.shape, counter.shape), np.uint64)
    arrays = np.broadcast_arrays(first, second, counter)
    for place in np.ndindex(out.shape):
        a, b, c = (int(array[place]) for array in arrays)
        keys = (a, b, a ^ b ^ 0x1BD11BDA)
        x, y = ((c >> 32) + a) & WORD, ((c & WORD) + b) & WORD
        for turn in range(20):
            x = (x + y) & WORD
            places = (13, 15, 26, 6, 17, 29, 16, 24)[turn % 8]
            y = (((y << places) | (y >> (32 - places))) & WORD) ^ x
            if turn % 4 == 3:
                step = turn // 4 + 1
                x = (x + keys[step % 3]) & WORD
                y = (y + keys[(step + 1) % 3] + step) & WORD
        out[place] = (x << 32) | y
    return out


WIDE = ((0.0, 2.0**32), (0.0, 2.0**32), (0.0, 2.0**63))
ROWS = {
    "threefry2x32": Row(
        reference,
        (
            Case((type_of("u4"), type_of("u4"), type_of("u8")), WIDE),
            Case((type_of("u4"), type_of("u4"), type_of("u8", (37,))), WIDE),
            Case((type_of("u4", (3, 1)), type_of("u4", (3, 1)), type_of("u8", (4,))), WIDE),
            Case((type_of("u4"), type_of("u4"), type_of("u8", (0,))), WIDE),
        ),
        order=0,
    ),
}
