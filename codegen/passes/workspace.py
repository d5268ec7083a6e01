"""Where each workspace buffer lies: offsets by liveness, so that buffers share memory when they
can.
"""

from __future__ import annotations

import bisect
import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np

from codegen.loops.nodes import Buffer, If, Program
from codegen.passes.split import is_section
from codegen.passes.unused import memory_of

ALIGNMENT = 64
MANY = 1000
"""Buffers from which on they are placed in the order of the program."""


@dataclass(frozen=True, slots=True)
class Arena:
    """One piece of memory: `dtype` of its elements (None: of any dtype) and its size in bytes."""

    dtype: np.dtype[Any] | None
    size: int


@dataclass(frozen=True, slots=True)
class WorkspacePlan:
    """`offsets[buffer]` in bytes from the start of its arena, a multiple of 64; and the arenas.

    With one arena a dtype, `arenas` holds one for each dtype in use, in order of first use.
    """

    offsets: dict[Buffer, int]
    arenas: tuple[Arena, ...]

    @property
    def peak(self) -> int:
        """Bytes of all arenas together."""
        return sum(arena.size for arena in self.arenas)


def plan_workspace(program: Program, separate_dtypes: bool = False) -> WorkspacePlan:
    """Offsets for the program's workspace buffers.

    A buffer lives from the first to the last top-level statement that uses it, nested uses
    included. With `separate_dtypes` buffers share memory only with others of their dtype, which
    lets a renderer index one flat array for each dtype.
    """
    lives = _live_ranges(program)
    groups: dict[np.dtype[Any] | None, list[Buffer]] = {}
    for buffer in program.workspace:
        if buffer in lives and not buffer.is_tape:
            groups.setdefault(buffer.dtype if separate_dtypes else None, []).append(buffer)
    offsets: dict[Buffer, int] = {}
    arenas = []
    for dtype, buffers in groups.items():
        sizes = {buffer: _byte_size(buffer) for buffer in buffers}
        arenas.append(Arena(dtype, _place(buffers, sizes, lives, offsets)))
    return WorkspacePlan(offsets, tuple(arenas))


def place_buffers(
    sizes: dict[Buffer, int], lives: dict[Buffer, tuple[int, int]], alignment: int
) -> tuple[dict[Buffer, int], int]:
    """Offsets in one arena for buffers of so many bytes that live from one step to another, and
    the arena's size.
    """
    rounded = {buffer: max(1, -(-size // alignment)) * alignment for buffer, size in sizes.items()}
    offsets: dict[Buffer, int] = {}
    peak = _place(list(sizes), rounded, lives, offsets)
    return offsets, peak


def _live_ranges(program: Program) -> dict[Buffer, tuple[int, int]]:
    """First and last top-level statement that uses each workspace buffer; statements of sections
    count as such.
    """
    lives: dict[Buffer, tuple[int, int]] = {}
    body = [
        inner
        for outer in program.body
        for inner in (outer.then if isinstance(outer, If) and is_section(outer) else (outer,))
    ]
    for position, outer in enumerate(body):
        for buffer in memory_of((outer,)):
            if buffer.role == "workspace":
                lives[buffer] = (lives.get(buffer, (position, 0))[0], position)
    return lives


def _place(
    buffers: list[Buffer],
    sizes: dict[Buffer, int],
    lives: dict[Buffer, tuple[int, int]],
    offsets: dict[Buffer, int],
) -> int:
    """Give each buffer the lowest gap that is free during its life, large ones first; the peak."""
    if len(buffers) > MANY:
        return _place_in_order(buffers, sizes, lives, offsets)
    placed: list[tuple[int, int, tuple[int, int]]] = []
    peak = 0
    for buffer in sorted(buffers, key=sizes.__getitem__, reverse=True):
        size = sizes[buffer]
        first, last = lives[buffer]
        offset = 0
        for start, end, (other_first, other_last) in placed:
            if other_last < first or last < other_first:
                continue
            if offset + size <= start:
                break
            if end > offset:
                offset = end
        offsets[buffer] = offset
        bisect.insort(placed, (offset, offset + size, (first, last)))
        peak = max(peak, offset + size)
    return peak


def _place_in_order(
    buffers: list[Buffer],
    sizes: dict[Buffer, int],
    lives: dict[Buffer, tuple[int, int]],
    offsets: dict[Buffer, int],
) -> int:
    """The same in the order of the program, the smallest gap that is large enough: memory of
    buffers that are dead by then is used again. Packs a little less well, in no time.
    """
    gaps: list[tuple[int, int]] = []  # size and start
    busy: list[tuple[int, int, int]] = []  # last use, start and size
    peak = 0
    for buffer in sorted(buffers, key=lambda buffer: lives[buffer]):
        first, last = lives[buffer]
        while busy and busy[0][0] < first:
            _, start, free = heapq.heappop(busy)
            bisect.insort(gaps, (free, start))
        size = sizes[buffer]
        found = bisect.bisect_left(gaps, (size, -1))
        if found < len(gaps):
            free, start = gaps.pop(found)
            if free > size:
                bisect.insort(gaps, (free - size, start + size))
        else:
            start, peak = peak, peak + size
        offsets[buffer] = start
        heapq.heappush(busy, (last, start, size))
    return peak


def _byte_size(buffer: Buffer) -> int:
    """Bytes of a buffer, rounded up to the alignment; never 0, so that offsets stay distinct."""
    return max(1, -(-buffer.size * buffer.dtype.itemsize // ALIGNMENT)) * ALIGNMENT
