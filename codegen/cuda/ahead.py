"""While loops that the host runs, and their tapes.

Where kernels look for themselves whether the loop still goes on, the host runs ahead: it asks for
a batch of turns, for a copy of the condition behind it, and for the next batch before it waits for
that copy. So the device always has work, and a loop that is over costs less than two batches of
kernels that do nothing. Batches are of one turn at first, and of twice as many whenever the device
was done with one before the host came to look.

A turn that has found too little room for its tapes has done nothing else: the host doubles the
room, and the loop goes on from there.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from codegen.cuda.driver import Glance, Span
from codegen.device.schedule import RepeatWhile

if TYPE_CHECKING:
    from codegen.cuda.program import _Call

SAID = 3
"""Values of `status` that say all of too little room."""


def run_while(call: _Call, loop: RepeatWhile) -> None:
    """Run a while loop of the host's."""
    call.driver.fill(call.memory[loop.condition], 1)
    call.steps(loop.test)
    watched = _Watched(call, loop)
    try:
        while watched.is_paused():
            watched.make_room()
    finally:
        watched.forget()


class _Watched:
    """A loop under way. `glances` are copies of its condition that are on their way to the host,
    `size` is which of the batches is next, `needed` the room that was not there.
    """

    def __init__(self, call: _Call, loop: RepeatWhile) -> None:
        self.call, self.loop = call, loop
        self.batches = call.owner.graphs.batches(loop) if call.runs_ahead else ()
        self.spans: list[Span] = [call.memory[loop.condition]]
        status = call.place.status
        if status is not None:
            self.spans.append(replace(status, size=min(status.size, SAID)))
        self.glances: deque[Glance] = deque()
        self.size = 0
        self.needed: list[int] = []

    def is_paused(self) -> bool:
        """Run turns until the loop is over; or, True, until one has too little room."""
        self.forget()
        self.look()
        while True:
            if self.batches:
                self.call.segment(self.batches[self.size])
                self.look()
            glance = self.glances.popleft()
            ready = glance.ready
            going, *status = glance.values()
            code, *self.needed = [int(value) for value in status[0]] if status else [0]
            if code:
                return code == self.loop.pause
            if not going[0]:
                return False
            if not self.batches:
                self.call.steps(self.loop.body)
                self.call.steps(self.loop.test)
                self.look()
            elif ready:
                self.size = min(self.size + 1, len(self.batches) - 1)

    def look(self) -> None:
        """Ask for a copy of the condition, and of what kernels have left in `status`."""
        self.glances.append(self.call.driver.glance(self.spans))

    def forget(self) -> None:
        """Nobody waits for the copies any more."""
        while self.glances:
            self.glances.popleft().close()

    def make_room(self) -> None:
        """Twice the room for those of the loop's tapes that are too short."""
        needed, extent = self.needed[:2]
        for buffer in self.loop.tapes:
            width = math.prod(buffer.shape[1:])
            if self.call.memory[buffer].size < min(needed, extent * width):
                self.call.grow(buffer, extent)
        assert self.call.place.status is not None, "what has tapes has a status"
        self.call.driver.zero(self.call.place.status)
