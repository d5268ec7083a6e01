"""The simulator's driver: NumPy arrays, and Python that runs the kernels thread after thread.

It is what checks kernels, and the host's part, where there is no GPU. It is stricter than a GPU: an
index outside a parameter's memory, a negative one, a store to a parameter that is not declared as
written, a race, threads that do not meet, or a read of what nobody has written raises an error.
Fresh memory is full of ones, as bits, and so of NaNs.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from codegen.cuda.driver import Span, Texts
from codegen.cuda.library import run_call
from codegen.cuda.races import LOOKED_AT, Accesses, Known, Memory, RaceError
from codegen.cuda.simulated_blocks import SimulatedKernel
from codegen.device.machine import SIMULATED
from codegen.device.schedule import Kernel
from codegen.loops.nodes import Call
from tracer.errors import DeviceMemoryError, DeviceNotFoundError

Array = np.ndarray[Any, np.dtype[Any]]

ALIGNMENT = 256


@dataclass(slots=True, eq=False)
class SimulatedGraph:
    """What a graph does, step by step, and at which of the steps its launches are."""

    steps: list[Callable[[], None]] = field(default_factory=list)
    launches: list[tuple[int, SimulatedKernel, int, int]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class SimulatedGlance:
    """What was there when it was asked for: what comes later does not change it."""

    found: list[Array]
    ready: bool = True

    def values(self) -> list[Array]:
        """The copies."""
        return self.found

    def close(self) -> None:
        """Nothing is held."""


class SimulatorDriver:
    """`codegen.cuda.driver.Driver` on the host. Everything has happened when a call returns."""

    def __init__(self) -> None:
        self.machine = SIMULATED
        self.texts = Texts()
        self.stream = 0
        self._recording: SimulatedGraph | None = None
        self._freed: dict[int, list[Array]] = {}
        self._known = Known()
        self._stopped = False

    def adopt(self, value: Any) -> Array | None:
        """Arrays of the simulated device are those that Numba's `to_device` made."""
        held = getattr(value, "_ary", None) if hasattr(value, "__cuda_ndarray__") else None
        return None if held is None else np.ascontiguousarray(held).reshape(held.shape)

    def fetch(self, value: Any) -> Array:
        """There is one device."""
        raise DeviceNotFoundError("there is one device only")

    def upload(self, value: Array) -> Array:
        """A copy."""
        array = self.empty(value.shape, value.dtype)
        array[...] = value
        self._known.learn(array)
        return array

    def download(self, array: Array) -> Array:
        """A copy."""
        self._known.check("an array", array)
        return np.array(array, order="C")

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """A new array whose bits are ones."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        view: Array = self.allocate(size).view(dtype).reshape(shape)
        return view

    def span(self, array: Array) -> Span:
        """All of the array."""
        if not array.flags.c_contiguous:
            raise ValueError("only a C-ordered array is one span")
        return Span(array.reshape(-1).view(np.uint8), 0, array.dtype, array.size)

    def allocate(self, size: int) -> Array:
        """Bytes that are all 255, from the pool: what was freed last of that size, if anything."""
        freed = self._freed.setdefault(size, [])
        try:
            owner = freed.pop() if freed else np.empty(size + ALIGNMENT, np.uint8)
        except MemoryError as error:
            raise DeviceMemoryError(f"{size} bytes are more than there is room for") from error
        lent = np.frombuffer(owner.data, np.uint8)  # which all views of it keep alive
        weakref.finalize(lent, freed.append, owner)
        start = -lent.ctypes.data % ALIGNMENT
        memory: Array = lent[start : start + size]
        memory[...] = 255
        self._known.add(memory)
        return memory

    def prepare(self, kernels: Sequence[Kernel]) -> None:
        """Texts run as they are."""

    def load(self, kernel: Kernel) -> SimulatedKernel:
        """The kernel's text, executed."""
        return SimulatedKernel(kernel)

    def launch(
        self, loaded: SimulatedKernel, blocks: int, threads: int, arguments: Sequence[Any]
    ) -> None:
        """Run all threads of one block after another."""
        if blocks == 0:
            return
        if self._recording is not None:
            self._recording.launches.append((len(self._recording.steps), loaded, blocks, threads))
            run = partial(self._run, loaded, blocks, threads, list(arguments))
            self._recording.steps.append(run)
            return
        self._run(loaded, blocks, threads, arguments)

    def call(self, call: Call, results: Sequence[Array], operands: Sequence[Array]) -> None:
        """By NumPy, as the interpreter of loop programs does. Behind a kernel that has found an
        error operands may not have been written, and nobody reads the results.
        """
        if self._recording is not None:
            self._recording.steps.append(partial(self.call, call, results, operands))
            return
        for place, operand in enumerate(() if self._stopped else operands):
            self._known.check(f"operand {place} of {call.kernel}", operand)
        with np.errstate(all="ignore"):
            run_call(call, results, operands, np)
        for result in results:
            self._known.learn(result)

    def view(self, span: Span, shape: tuple[int, ...]) -> Array:
        """The span's memory."""
        return _array(span).reshape(shape)

    def zero(self, span: Span) -> None:
        """Zero bytes."""
        _array(span).view(np.uint8)[...] = 0
        self._known.learn(_array(span))

    def fill(self, span: Span, byte: int) -> None:
        """All bytes alike."""
        _array(span).view(np.uint8)[...] = byte
        self._known.learn(_array(span))

    def read(self, span: Span) -> Array:
        """A copy."""
        self._known.check("what the host reads", _array(span))
        return _array(span).copy()

    def glance(self, spans: Sequence[Span]) -> SimulatedGlance:
        """Copies. Behind an error nobody looks at them, and its details are written there only."""
        for span in () if self._stopped else spans:
            self._known.check("what the host reads", _array(span)[:1])
        return SimulatedGlance([_array(span).copy() for span in spans])

    def synchronize(self) -> None:
        """Nothing is ever under way."""

    def elapsed(self, run: Callable[[], object]) -> float:
        """By the host's clock."""
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    def address(self, span: Span) -> int:
        """Where the host has it."""
        return int(span.memory.ctypes.data) + span.offset

    def copy(self, target: Span, source: Span) -> None:
        """At once."""
        size = target.size * target.dtype.itemsize
        from_bytes, to_bytes = _array(source).view(np.uint8)[:size], _array(target).view(np.uint8)
        to_bytes[...] = from_bytes
        known, copied = self._known.part(from_bytes), self._known.part(to_bytes)
        if copied is not None:
            copied[...] = True if known is None else known

    def capture(self, record: Callable[[], None]) -> SimulatedGraph:
        """What `record` asks for, to be run later on the same memory."""
        self._recording = graph = SimulatedGraph()
        try:
            record()
        finally:
            self._recording = None
        return graph

    def replay(self, graph: SimulatedGraph) -> None:
        """Step by step."""
        for step in graph.steps:
            step()

    def update(self, graph: SimulatedGraph, place: int, arguments: Sequence[Any]) -> None:
        """The launch with other arguments."""
        step, loaded, blocks, threads = graph.launches[place]
        graph.steps[step] = partial(self._run, loaded, blocks, threads, list(arguments))

    def _run(
        self, loaded: SimulatedKernel, blocks: int, threads: int, arguments: Sequence[Any]
    ) -> None:
        kernel = loaded.kernel
        accesses = Accesses(kernel.name, loaded.filename)
        given: list[Any] = []
        written: list[Memory] = []
        for argument, value in zip(kernel.arguments, arguments, strict=True):
            if not isinstance(value, Span):
                given.append(value)
                continue
            seen = _array(value).view(argument.dtype)
            known = self._known.part(seen)
            memory = Memory(argument.name, seen, None, known, not argument.written)
            given.append(memory)
            written += [memory] if argument.written else []
        for memory in given:
            if isinstance(memory, Memory) and any(memory.touches(other) for other in written):
                memory.accesses = accesses
        _check_aliases(kernel, [part for part in given if isinstance(part, Memory)])
        loaded.run(blocks, threads, self.machine, accesses, given)
        self._stopped = _has_stopped(kernel, given)


def _has_stopped(kernel: Kernel, given: Sequence[Any]) -> bool:
    """Whether a kernel like this one would do nothing now."""
    wanted = dict(kernel.looks)
    for argument, memory in zip(kernel.arguments, given, strict=True):
        if argument.name == LOOKED_AT and memory.memory[0]:
            return True
        if argument.buffer in wanted and bool(memory.memory[0]) != wanted[argument.buffer]:
            return True
    return False


def _check_aliases(kernel: Kernel, memories: Sequence[Memory]) -> None:
    """What a kernel writes is no other parameter's memory, or the same element by element; and none
    of which the compiler is told that no store reaches it.
    """
    pointers = [argument for argument in kernel.arguments if argument.kind != "scalar"]
    pairs = list(zip(pointers, memories, strict=True))
    for argument, memory in pairs:
        for written, other in pairs:
            if not written.written or other is memory or not memory.touches(other):
                continue
            apart = abs(memory.address - other.address) % other.memory.itemsize
            if argument.fixed or apart or memory.memory.itemsize != other.memory.itemsize:
                raise RaceError(f"{kernel.name}: {written.name} is written in {argument.name}")


def _array(span: Span) -> Array:
    """The elements of a span, flat, in place."""
    size = span.size * span.dtype.itemsize
    part: Array = span.memory[span.offset : span.offset + size]
    if part.size != size:
        raise ValueError(f"{size} bytes from {span.offset} on are not in {span.memory.size}")
    return part.view(span.dtype)
