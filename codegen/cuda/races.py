"""What simulated threads do to memory, and whether they may: on a GPU nothing but a barrier orders
the accesses of two threads.

The simulator runs the threads one after another, so that a missing barrier changes no result. Here
every access of memory that is written is noted, with the thread and with how many barriers it has
been through. Two accesses of one element are in conflict where two threads make them, at least one
writes, not both are atomic, and no barrier that both take part in lies between. Equal values excuse
nothing. Threads of different blocks have no barrier. Exchange within a warp orders no memory.

`status` alone may be looked at while others add an error to it: whoever sees it late does work that
nobody reads.
"""

from __future__ import annotations

import linecache
import sys
from bisect import bisect_right, insort
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

READ, WRITE, ATOMIC = "reads", "writes", "adds to"
LOOKED_AT = "status"


class RaceError(RuntimeError):
    """Two threads access the same element, and nothing orders them."""


class UnwrittenError(RuntimeError):
    """A thread reads what nobody has written."""


class Moment(NamedTuple):
    """A thread, and the barriers of its block and of its warp that it has been through."""

    block: int
    thread: int
    warp: int
    block_barriers: int
    warp_barriers: int

    def is_ordered(self, other: Moment) -> bool:
        """Whether one of both is certain to come before the other."""
        if self.block != other.block:
            return False
        if self.thread == other.thread or self.block_barriers != other.block_barriers:
            return True
        return self.warp == other.warp and self.warp_barriers != other.warp_barriers

    def __str__(self) -> str:
        return f"thread {self.thread} of block {self.block}"


START = Moment(0, 0, 0, 0, 0)


class Access(NamedTuple):
    """Who did what, in which line of the kernel."""

    moment: Moment
    action: str
    line: int


@dataclass(slots=True, eq=False)
class Accesses:
    """The accesses of one launch of the kernel `name`, whose text is the file `filename`.

    `moment` is that of the thread that runs. Of each element are kept the accesses that a later one
    may be in conflict with.
    """

    name: str
    filename: str
    moment: Moment = START
    places: dict[int, list[Access]] = field(default_factory=dict)
    held: list[Memory] = field(default_factory=list)

    def line(self, frame: FrameType | None) -> int:
        """The line of the kernel in which an access is."""
        while frame is not None:
            code = frame.f_code
            if code.co_name == self.name and code.co_filename == self.filename:
                return frame.f_lineno
            frame = frame.f_back
        return 0

    def note(self, memory: Memory, place: int, action: str, frame: FrameType | None) -> None:
        """An access of the thread that runs."""
        address = memory.address + place * memory.memory.itemsize
        before = self.places.get(address)
        now = self.moment
        if before is None:
            self.places[address] = [Access(now, action, self.line(frame))]
            return
        last = before[-1]
        if last.moment is now and last.action is action:
            return
        mine = Access(now, action, self.line(frame))
        kept = []
        for other in before:
            ordered = now.is_ordered(other.moment)
            if not ordered and _is_conflict(memory.name, action, other.action):
                raise RaceError(self.message(memory, place, other, mine))
            # What is in conflict with an access that went before is so with this one.
            if not ordered or not (action is WRITE or action is other.action):
                kept.append(other)
        self.places[address] = [*kept, mine]

    def message(self, memory: Memory, place: int, first: Access, second: Access) -> str:
        """What went wrong, with both lines of the kernel."""
        parts = [
            f"{access.moment} {access.action} it in line {access.line}: "
            + linecache.getline(self.filename, access.line).strip()
            for access in (first, second)
        ]
        return f"a race in {self.name} for {memory.name}[{place}]: " + "; ".join(parts)


def _is_conflict(name: str, action: str, other: str) -> bool:
    if action is other:
        return action is WRITE
    return not (name == LOOKED_AT and READ in (action, other) and ATOMIC in (action, other))


class Memory:
    """Flat memory as the threads of a kernel see it: of a known size, whose elements have to be
    written before they are read.

    name       by which errors call it
    address    where it starts; elements at the same address are the same element
    accesses   where accesses are noted; None for what only one thread can see, or nobody writes
    known      which elements have been written; None where all have
    is_input   whether it must not be written
    """

    __slots__ = ("accesses", "address", "is_input", "known", "memory", "name", "ndim", "size")

    def __init__(
        self,
        name: str,
        memory: Array,
        accesses: Accesses | None,
        known: Array | None,
        is_input: bool = False,
    ) -> None:
        self.name = name
        self.memory = memory
        self.size = memory.size
        self.ndim = 1
        self.address = int(memory.ctypes.data)
        self.accesses = accesses
        self.known = known
        self.is_input = is_input

    @property
    def shape(self) -> tuple[int]:
        """One extent."""
        return (self.size,)

    def touches(self, other: Memory) -> bool:
        """Whether some bytes are in both."""
        stop, last = self.address + self.memory.nbytes, other.address + other.memory.nbytes
        return self.address < last and other.address < stop

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the elements."""
        return self.memory.dtype

    def __getitem__(self, index: Any) -> Any:
        place = self.place(index)
        if self.accesses is not None:
            self.accesses.note(self, place, READ, _caller())
        return self.value(place)

    def __setitem__(self, index: Any, value: Any) -> None:
        place = self.place(index)
        if self.accesses is not None:
            self.accesses.note(self, place, WRITE, _caller())
        self.put(place, value)

    def change(self, index: Any, value: Any) -> Any:
        """Atomically what `value` makes of the element; the element before."""
        place = self.place(index)
        if self.accesses is not None:
            self.accesses.note(self, place, ATOMIC, _caller())
        before = self.value(place)
        self.put(place, value(before))
        return before

    def place(self, index: Any) -> int:
        """The place of an index; IndexError where there is none."""
        place = index[0] if isinstance(index, tuple) else index
        if not 0 <= place < self.size:
            raise IndexError(f"{self.name}[{place}] of {self.size} elements")
        return int(place)

    def value(self, place: int) -> Any:
        """An element; UnwrittenError where nobody has written it."""
        found = self.memory[place]
        known = self.known
        if known is not None and not known[place] and is_fresh(self.memory[place : place + 1]):
            raise UnwrittenError(f"{self.name}[{place}] is read before anybody has written it")
        return found

    def put(self, place: int, value: Any) -> None:
        """Change an element."""
        if self.is_input:
            raise TypeError(f"parameter {self.name} is not declared as written")
        self.memory[place] = value
        if self.known is not None:
            self.known[place] = True


def is_fresh(memory: Array) -> bool:
    """Whether all bits are ones, as in memory that was just allocated."""
    return bool((memory.view(np.uint8) == 255).all())


def _caller() -> FrameType | None:
    return sys._getframe(2)


class Known:
    """Which bytes of the memory that a driver has handed out have been written."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.maps: dict[int, Array] = {}

    def add(self, memory: Array) -> None:
        """Memory that is handed out now, of which nothing has been written."""
        start = int(memory.ctypes.data)
        if start not in self.maps:
            insort(self.starts, start)
        self.maps[start] = np.zeros(memory.nbytes, np.bool_)

    def part(self, memory: Array) -> Array | None:
        """Which bytes of an array have been, of each element the first, in the array's shape; None
        where the memory is not the driver's.
        """
        address, span = int(memory.ctypes.data), _span(memory)
        place = bisect_right(self.starts, address) - 1
        if place < 0 or memory.size == 0:
            return None
        start = self.starts[place]
        whole = self.maps[start]
        if address - start + span > whole.size:
            return None
        return np.ndarray(memory.shape, np.bool_, whole, address - start, memory.strides)

    def learn(self, memory: Array) -> None:
        """All of it has been written."""
        found = self.part(memory)
        if found is not None:
            found[...] = True

    def check(self, name: str, memory: Array) -> None:
        """UnwrittenError where elements have not been written."""
        found = self.part(memory)
        if found is None or found.all():
            return
        elements = memory[~found]
        bits = np.ascontiguousarray(elements).view(np.uint8).reshape(len(elements), -1)
        missing = int((bits == 255).all(axis=1).sum())
        if missing:
            raise UnwrittenError(
                f"{name}: {missing} of {memory.size} elements have never been written"
            )


def _span(memory: Array) -> int:
    """Bytes from the first element to the end of the last."""
    steps = zip(memory.shape, memory.strides, strict=True)
    return int(memory.itemsize + sum((extent - 1) * stride for extent, stride in steps))
