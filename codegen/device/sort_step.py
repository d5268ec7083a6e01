"""What one kernel of a sort has to know."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

SORT = "sort"
"""What calls of a sort are named."""


@dataclass(frozen=True, slots=True)
class SortStep:
    """One kernel of a sort of `rows` rows of `length` keys.

    step     "rows": each row by one block, all passes; or of one pass "count", "offsets" or "move";
             or of a pass that finds the keys at `places` only, "sift" and "choose"; or by one
             block a row, the keys at `places`, "pick", or at both ends, in no order, "few"
    wanted   what the sort has as results: "keys", "order", or both
    mapped   how bits become an unsigned number of the same order: "plain", "signed" or "float"
    passes   in which `width` bits each are sorted by
    threads  of a block, in warps of `warp`; each has `items` keys of a tile
    chunks   into which a row is divided, of `span` keys, a multiple of the tile, but the last;
             where `span` is 0 they differ in length by one at most. "rows" and "few" take each by
             itself
    parts    of "rows": what becomes of each row or chunk, as pairs of places; negative ones are
             counted from the end, where 0 stands for the end itself
    turn     the host's variable with the number of the pass, if there is one
    """

    step: str
    wanted: tuple[str, ...]
    rows: int
    length: int
    dtype: np.dtype[Any]
    mapped: str
    passes: int
    width: int
    threads: int
    items: int
    warp: int
    chunks: int
    span: int
    parts: tuple[tuple[int, int], ...] = ()
    places: tuple[int, ...] = ()
    turn: str = ""

    @property
    def kept(self) -> int:
        """Keys that are left of a row or chunk."""
        if not self.parts:
            return len(self.places) or self.length
        return sum(last - first for first, last in self.parts)

    @property
    def tile(self) -> int:
        """Keys that a block has at one time."""
        return self.threads * self.items

    @property
    def digits(self) -> int:
        """How many numbers a digit may be."""
        return int(2**self.width)

    @property
    def bits(self) -> int:
        """Those of a key in memory."""
        return 8 * self.dtype.itemsize

    def named(self, step: str, turn: str) -> SortStep:
        """Another kernel of the same sort."""
        return replace(self, step=step, turn=turn)
