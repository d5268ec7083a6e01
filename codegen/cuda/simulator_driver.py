"""The driver of Numba's simulator: NumPy arrays, and Python threads that run the kernels.

It is what checks kernels, and the host's part, where there is no GPU. It is stricter than a GPU: an
index outside a parameter's memory, a negative one, or a store to a parameter that is not declared
as written raises an error that names the parameter; fresh memory is full of ones, as bits, and so
of NaNs.
"""

from __future__ import annotations

import linecache
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from codegen.cuda import simulated_math
from codegen.cuda.driver import Span
from codegen.cuda.library import run_call
from codegen.device.machine import SIMULATED
from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Call
from tracer.errors import DeviceMemoryError, DeviceNotFoundError

Array = np.ndarray[Any, np.dtype[Any]]

ALIGNMENT = 256

# Each thread starts with NumPy's own settings, in which an overflow warns.
_QUIET = """
def _quiet(*arguments):
    with _errstate(all="ignore"):
        {name}(*arguments)
"""


class Parameter:
    """Memory as a kernel sees it: flat, of a known size, and not to be written unless declared."""

    __slots__ = ("declared", "memory", "ndim", "size")

    def __init__(self, memory: Array, declared: Argument) -> None:
        self.memory = memory
        self.size = memory.size
        self.declared = declared
        self.ndim = 1

    @property
    def shape(self) -> tuple[int]:
        """One extent."""
        return (self.size,)

    @property
    def address(self) -> int:
        """Where the host has it."""
        return int(self.memory.ctypes.data)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the elements."""
        return self.memory.dtype

    def __getitem__(self, index: Any) -> Any:
        return self.memory[self._place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self.declared.written:
            raise TypeError(f"parameter {self.declared.name} is not declared as written")
        self.memory[self._place(index)] = value

    def _place(self, index: Any) -> Any:
        place = index[0] if isinstance(index, tuple) else index
        if not 0 <= place < self.size:
            raise IndexError(f"{self.declared.name}[{place}] of {self.size} elements")
        return place


class Loaded:
    """A kernel that the simulator can start."""

    def __init__(self, kernel: Kernel, start: Any) -> None:
        self.kernel = kernel
        self.start = start


@dataclass(slots=True, eq=False)
class SimulatedGraph:
    """What a graph does, step by step, and at which of the steps its launches are."""

    steps: list[Callable[[], None]] = field(default_factory=list)
    launches: list[tuple[int, Loaded, int, int]] = field(default_factory=list)


class SimulatorDriver:
    """`codegen.cuda.driver.Driver` on the host. Everything has happened when a call returns."""

    def __init__(self) -> None:
        self.machine = SIMULATED
        self.stream = 0
        self._recording: SimulatedGraph | None = None
        self._freed: dict[int, list[Array]] = {}

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
        return array

    def download(self, array: Array) -> Array:
        """A copy."""
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
        return memory

    def load(self, kernel: Kernel) -> Loaded:
        """The kernel's text, executed; `math` in it is the simulator's."""
        from numba import cuda

        filename = f"<cuda {kernel.name} {id(kernel):x}>"
        lines = kernel.source.splitlines(keepends=True)
        linecache.cache[filename] = (len(kernel.source), None, lines, filename)
        namespace: dict[str, Any] = {"__name__": f"cuda_{kernel.name}", "_errstate": np.errstate}
        exec(compile(kernel.source, filename, "exec"), namespace)
        if "math" in namespace:
            namespace["math"] = simulated_math
        exec(_QUIET.format(name=kernel.name), namespace)
        quiet: Callable[..., None] = namespace["_quiet"]
        return Loaded(kernel, cuda.jit(quiet))

    def launch(self, loaded: Loaded, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Run all threads of one block after another."""
        if blocks == 0:
            return
        if self._recording is not None:
            self._recording.launches.append((len(self._recording.steps), loaded, blocks, threads))
            self._recording.steps.append(partial(_run, loaded, blocks, threads, list(arguments)))
            return
        _run(loaded, blocks, threads, arguments)

    def call(self, call: Call, results: Sequence[Array], operands: Sequence[Array]) -> None:
        """By NumPy, as the interpreter of loop programs does."""
        if self._recording is not None:
            self._recording.steps.append(partial(self.call, call, results, operands))
            return
        with np.errstate(all="ignore"):
            run_call(call, results, operands, np)

    def view(self, span: Span, shape: tuple[int, ...]) -> Array:
        """The span's memory."""
        return _array(span).reshape(shape)

    def zero(self, span: Span) -> None:
        """Zero bytes."""
        _array(span).view(np.uint8)[...] = 0

    def read(self, span: Span) -> Array:
        """A copy."""
        return _array(span).copy()

    def synchronize(self) -> None:
        """Nothing is ever under way."""

    def address(self, span: Span) -> int:
        """Where the host has it."""
        return int(span.memory.ctypes.data) + span.offset

    def copy(self, target: Span, source: Span) -> None:
        """At once."""
        size = target.size * target.dtype.itemsize
        _array(target).view(np.uint8)[...] = _array(source).view(np.uint8)[:size]

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
        graph.steps[step] = partial(_run, loaded, blocks, threads, list(arguments))


def _run(loaded: Loaded, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
    given = [
        Parameter(_array(value), argument) if isinstance(value, Span) else value
        for argument, value in zip(loaded.kernel.arguments, arguments, strict=True)
    ]
    loaded.start[blocks, threads](*given)


def _array(span: Span) -> Array:
    """The elements of a span, flat, in place."""
    size = span.size * span.dtype.itemsize
    part: Array = span.memory[span.offset : span.offset + size]
    if part.size != size:
        raise ValueError(f"{size} bytes from {span.offset} on are not in {span.memory.size}")
    return part.view(span.dtype)
