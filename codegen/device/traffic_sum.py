"""What kernels do to global memory, in figures that can be added."""

from __future__ import annotations

from dataclasses import dataclass

SECTOR = 32
"""Bytes that memory moves at least."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What kernels do to global memory.

    least    bytes that must move: each element that a kernel reads, once, and that it writes, once
    asked    bytes that the warps' loads and stores ask for
    needed   sectors of memory that would hold what each warp asks for, if it lay together
    sectors  sectors that the warps' loads and stores touch
    """

    least: float = 0.0
    asked: float = 0.0
    needed: float = 0.0
    sectors: float = 0.0

    @property
    def coalescing(self) -> float:
        """How much of what is touched is asked for: 1 where neighbours read neighbours."""
        return self.needed / self.sectors if self.sectors else 1.0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.least + other.least,
            self.asked + other.asked,
            self.needed + other.needed,
            self.sectors + other.sectors,
        )

    def times(self, count: float) -> Traffic:
        """That of so many runs."""
        return Traffic(
            self.least * count, self.asked * count, self.needed * count, self.sectors * count
        )
