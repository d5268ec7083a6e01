"""Runs of launches as one graph each, so that a call costs the host one launch and few updates.

How to run a schedule with them:

    graphs = Graphs(driver, call)                  # one a compiled function
    graphs.load(schedule.steps)                    # all kernels, at compile time
    for part in graphs.parts(schedule.steps):      # split once, and kept
        if isinstance(part, Segment):
            graphs.run(part, memory, scalars)
        else:                                      # Repeat, RepeatWhile, Choose, or a Library that
            ...                                    # waits: the host decides, and asks for the
                                                   # parts of their bodies

`memory` is the Span of every root buffer, `scalars` the values of the host's loop variables, and
`call(library, memory, scalars)` runs a library call on the memory given, by `driver.call`.

`memory` may be lazy: a replay asks only for the buffers in `segment.movable`.

A graph holds addresses, so it serves a call best that takes all its memory from a pool in the same
order as the call before, and gives all but its outputs back: the addresses return. The workspace is
one arena, which moves as a whole; tapes, status and constants are known one by one.

What becomes of a segment is decided by the addresses and scalars it is run with, its *key*:

- the first run launches one by one, which also lets libraries set themselves up;
- where a graph has this key, it is replayed: one call;
- for a key that comes back, a graph is captured. Memory pools hand out the same addresses again, so
  a loop over calls soon has such keys only;
- else the graph that was used longest ago follows: the launches that the change concerns get new
  arguments, which costs less than to make all launches unless there are only two. A library call in
  a graph cannot follow;
- else everything is launched one by one.

Outputs are allocated anew for each call, never a graph's own, so that a result in the user's hands
is not written again; the launches that write them are what is updated. Inputs of at most 64 KiB
which have moved before the capture, and which several launches read, or a library call, are copied
into memory of the graph's in each run, until their addresses come back: one call instead of
several.
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from codegen.cuda.driver import Driver, Span
from codegen.cuda.segments import Part, Segment, Task, batches, split
from codegen.device.schedule import (
    Kernel,
    Launch,
    Library,
    RepeatWhile,
    Step,
    kernels_of,
)
from codegen.loops.nodes import Buffer
from tracer.errors import BackendError

SMALL = 64 * 1024
"""Bytes of an input that is rather copied than updated in several launches."""
UPDATES, REPLAY = 2, 2
"""Updates that cost the host what one launch does, and what one replay does: one call each, but
CUDA's part of a launch is longer, and so is ours."""
KEPT = 4
"""Graphs of one segment: addresses alternate between few sets."""
SEEN = 64
"""Keys of a segment that are remembered; runs after which an unused graph makes room."""

Key = tuple[int, ...]
Memory = Mapping[Buffer, Span]
Scalars = Mapping[str, int]


@dataclass(slots=True, eq=False)
class Recorded:
    """A captured graph for one key, when it ran last, and its copies of inputs. `graph` is None
    from when the graph serves another key, or none.
    """

    graph: Any
    key: Key
    clock: Iterator[int]
    used: int
    copies: dict[Buffer, Span]
    copied: frozenset[int] = frozenset()

    def fits(self, key: Key) -> bool:
        """Whether the graph is right for a key as it stands."""
        if not self.copied:
            return self.key == key
        return not any(True for _ in self.changes(key))

    def drop(self) -> Any:
        """The graph, which is not this key's any more."""
        graph, self.graph, self.copies = self.graph, None, {}
        return graph

    def changes(self, key: Key) -> Iterator[int]:
        """The places in the key where it is not."""
        for place, (own, wanted) in enumerate(zip(self.key, key, strict=True)):
            if own != wanted and place not in self.copied:
                yield place


@dataclass(slots=True, eq=False)
class _State:
    """What is known of one segment on one stream."""

    last: Key | None = None
    runs: int = 0
    clock: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    seen: OrderedDict[Key, None] = field(default_factory=OrderedDict)
    recorded: list[Recorded] = field(default_factory=list)
    refused: bool = False

    def returns(self, key: Key) -> bool:
        """Whether the key was seen before; from now on it was."""
        known = key in self.seen
        self.seen[key] = None
        self.seen.move_to_end(key)
        if len(self.seen) > SEEN:
            self.seen.popitem(last=False)
        return known


class Graphs:
    """The kernels and graphs of one compiled function on one device."""

    def __init__(self, driver: Driver, call: Callable[[Library, Memory, Scalars], None]) -> None:
        self.driver = driver
        self._call = call
        self._loaded: dict[Kernel, Any] = {}
        self._parts: dict[int, tuple[Sequence[Step], tuple[Part, ...]]] = {}
        self._batches: dict[int, tuple[RepeatWhile, tuple[Segment, ...]]] = {}
        self._states: dict[tuple[int, Segment], _State] = {}
        self.lock = threading.RLock()
        self._busy = False

    def load(self, steps: Sequence[Step]) -> None:
        """Compile and load every kernel of the steps and of their bodies."""
        kernels = list(dict.fromkeys(kernels_of(steps)))
        self.driver.prepare(kernels)
        for kernel in kernels:
            self._kernel(kernel)

    def parts(self, steps: Sequence[Step]) -> tuple[Part, ...]:
        """The steps with all that can be captured joined into segments."""
        found = self._parts.get(id(steps))
        if found is None:
            found = self._parts[id(steps)] = (steps, split(steps))
        return found[1]

    def batches(self, loop: RepeatWhile) -> tuple[Segment, ...]:
        """As `codegen.cuda.segments.batches`, made once."""
        found = self._batches.get(id(loop))
        if found is None:
            found = self._batches[id(loop)] = (loop, batches(loop))
        return found[1]

    def run(self, segment: Segment, memory: Memory, scalars: Scalars) -> Recorded | None:
        """Run the segment on that memory, in whichever way costs the host least; the graph that
        was replayed, if any.

        Threads take turns: a graph that one of them replays must not follow another's memory.
        """
        where = (self.driver.stream, segment)
        state = self._states.get(where)
        if state is None:
            state = self._states.setdefault(where, _State())
        if state.refused:
            self._launch(segment, memory, scalars)
            return None
        address = self.driver.address
        key = tuple(
            [address(memory[buffer]) for buffer in segment.movable]
            + [scalars[name] for name in segment.outer]
        )
        with self.lock:
            if self._busy:
                raise BackendError(
                    "a signal handler or finalizer has called the compiled function that it "
                    "interrupted"
                )
            self._busy = True
            try:
                recorded = self._replayed(segment, state, key, memory, scalars)
            finally:
                self._busy = False
        if recorded is None:
            self._launch(segment, memory, scalars)
        return recorded

    def _replayed(
        self, segment: Segment, state: _State, key: Key, memory: Memory, scalars: Scalars
    ) -> Recorded | None:
        """The graph for this key, after its replay; None where launches cost less."""
        state.runs = next(state.clock)
        fitting = [graph for graph in state.recorded if graph.fits(key)]
        recorded = min(fitting, key=lambda graph: len(graph.copies), default=None)
        if recorded is None:
            recorded = self._prepared(segment, state, key, memory, scalars)
        elif recorded.copies and state.returns(key) and len(state.recorded) < KEPT:
            recorded = self._record(segment, state, key, memory, scalars, {}) or recorded
        state.last = key
        if recorded is None:
            return None
        recorded.used = state.runs
        for buffer, span in recorded.copies.items():
            self.driver.copy(span, memory[buffer])
        self.driver.replay(recorded.graph)
        return recorded

    def _prepared(
        self, segment: Segment, state: _State, key: Key, memory: Memory, scalars: Scalars
    ) -> Recorded | None:
        """A new graph, or one that follows; None where neither is worth it."""
        returned = state.returns(key)
        if state.last is None:
            return None
        first = len(segment.movable)
        if state.last[first:] != key[first:]:  # a loop of the host's, with a key for each turn
            returned = False
        if not returned and len(segment.tasks) == 1:
            return None  # one launch is not worth a graph that serves once
        oldest = min(state.recorded, key=lambda graph: graph.used, default=None)
        room = len(state.recorded) < KEPT
        if returned and oldest is not None and not room and state.runs - oldest.used > SEEN:
            state.recorded.remove(oldest)
            oldest.drop()
            room = True
        if returned and room:
            return self._record(segment, state, key, memory, scalars, {})
        if oldest is not None:
            return self._follow(segment, state, oldest, key, memory, scalars)
        moved = [place for place, old in enumerate(state.last) if old != key[place]]
        copies = self._copies(segment, moved)
        if any(segment.keyed[place] in segment.pinned - set(copies) for place in moved):
            return None
        return self._record(segment, state, key, memory, scalars, copies)

    def _copies(self, segment: Segment, moved: Sequence[int]) -> dict[Buffer, Span]:
        """Memory for the small inputs that move and that one copy serves best."""
        copies = {}
        for place in moved:
            buffer = segment.keyed[place]
            if isinstance(buffer, str) or buffer.role != "input":
                continue
            size = buffer.size * buffer.dtype.itemsize
            shared = len(segment.readers[buffer]) > 1 or buffer in segment.pinned
            if 0 < size <= SMALL and shared:
                memory = self.driver.allocate(size)
                copies[buffer] = Span(memory, 0, buffer.dtype, buffer.size)
        return copies

    def _record(
        self,
        segment: Segment,
        state: _State,
        key: Key,
        memory: Memory,
        scalars: Scalars,
        copies: dict[Buffer, Span],
    ) -> Recorded | None:
        """A graph for this key; None, with a warning, where the driver refuses to capture it."""
        own = _overlay(memory, copies)
        try:
            graph = self.driver.capture(lambda: self._launch(segment, own, scalars))
        except BackendError as error:
            state.refused = True
            warnings.warn(f"launches are made one by one: {error}", RuntimeWarning, stacklevel=2)
            return None
        copied = frozenset(segment.keyed.index(buffer) for buffer in copies)
        recorded = Recorded(graph, key, state.clock, state.runs, copies, copied)
        state.recorded.append(recorded)
        return recorded

    def _follow(
        self,
        segment: Segment,
        state: _State,
        recorded: Recorded,
        key: Key,
        memory: Memory,
        scalars: Scalars,
    ) -> Recorded | None:
        """The graph, with new arguments where the key changed; None where launches cost less."""
        changed = [segment.keyed[place] for place in recorded.changes(key)]
        if any(item in segment.pinned for item in changed):
            return None
        places = {place for item in changed for place in segment.readers[item]}
        if len(places) + REPLAY >= UPDATES * len(segment.tasks):
            return None
        copies, copied = recorded.copies, recorded.copied
        own = _overlay(memory, copies)
        state.recorded.remove(recorded)  # an interrupt leaves it with arguments of both keys
        graph = recorded.drop()
        launches = [task for task in segment.tasks if isinstance(task.step, Launch)]
        for place in sorted(places):
            self.driver.update(graph, place, _arguments(launches[place], own, scalars))
        followed = Recorded(graph, key, state.clock, state.runs, copies, copied)
        state.recorded.append(followed)
        return followed

    def _launch(self, segment: Segment, memory: Memory, scalars: Scalars) -> None:
        for task in segment.tasks:
            step = task.step
            if isinstance(step, Library):
                self._call(step, memory, {**scalars, **dict(task.scalars)})
                continue
            arguments = _arguments(task, memory, scalars)
            self.driver.launch(self._kernel(step.kernel), step.blocks, step.threads, arguments)

    def _kernel(self, kernel: Kernel) -> Any:
        loaded = self._loaded.get(kernel)
        if loaded is None:
            loaded = self._loaded[kernel] = self.driver.load(kernel)
        return loaded


class _Overlay(dict[Buffer, Span]):
    """Some buffers elsewhere; the others where a memory, which may be lazy, has them."""

    def __init__(self, memory: Memory, own: Mapping[Buffer, Span]) -> None:
        super().__init__(own)
        self.memory = memory

    def __missing__(self, buffer: Buffer) -> Span:
        return self.memory[buffer]


def _overlay(memory: Memory, own: Mapping[Buffer, Span]) -> Memory:
    return _Overlay(memory, own) if own else memory


def _arguments(task: Task, memory: Memory, scalars: Scalars) -> list[Any]:
    """What the kernel of a launch is given."""
    assert isinstance(task.step, Launch), "a library call has no arguments"
    own = dict(task.scalars)
    values: list[Any] = []
    for argument in task.step.kernel.arguments:
        if argument.buffer is not None:
            values.append(memory[argument.buffer.root])
            continue
        name = argument.name
        values.append(argument.dtype.type(own[name] if name in own else scalars[name]))
    return values
