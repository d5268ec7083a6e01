"""What a schedule has to know of the device it is made for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceMachine:
    """An accelerator.

    warp         threads that run in step and exchange values without memory
    threads      threads of a block, at most
    processors   multiprocessors: blocks that run at one time, at least
    shared       bytes of shared memory a block may declare
    small        statements that one block runs in about the time of a launch
    serial       iterations that one thread runs in about the time of a sort
    capability   the architecture, as (9, 0)
    vector       bytes of the widest access of one thread; 0 where kernels have none but elements
    simulated    whether Python runs the threads one after another
    """

    warp: int = 32
    threads: int = 256
    processors: int = 132
    shared: int = 48 * 1024
    small: int = 2**15
    serial: int = 128
    capability: tuple[int, int] = (9, 0)
    vector: int = 16
    simulated: bool = False

    @property
    def blocks(self) -> int:
        """Blocks of a grid that walks through more than fits at one time."""
        return self.processors * (1 if self.simulated else 8)


SIMULATED = DeviceMachine(warp=2, threads=4, processors=2, small=2**9, serial=8, simulated=True)
"""The simulator: a thread takes milliseconds to start, so there are few."""
