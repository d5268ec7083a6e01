"""A driver that runs nothing and counts everything: what a call costs the host, without a GPU.

Its arrays are NumPy's; its memory has made-up addresses, from a pool that hands out what was freed
last, as real pools do, and that has a limit.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codegen.cuda.driver import Span, Texts
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Kernel
from codegen.loops.nodes import Call
from tracer.errors import DeviceMemoryError, DeviceNotFoundError

DType = np.dtype[Any]
Array = np.ndarray[Any, DType]

ALIGNMENT = 256


class Block:
    """Memory that is not there: an address and a size."""

    __slots__ = ("__weakref__", "address", "size")

    def __init__(self, address: int, size: int) -> None:
        self.address = address
        self.size = size


@dataclass(slots=True, eq=False)
class CountedArray:
    """An array without elements: shape, dtype and memory."""

    shape: tuple[int, ...]
    dtype: DType
    block: Block

    @property
    def size(self) -> int:
        """Number of elements."""
        return _product(self.shape)

    def __getitem__(self, index: int) -> CountedArray:
        """A part along the first axis."""
        rest = self.shape[1:]
        step = _product(rest) * self.dtype.itemsize
        return CountedArray(rest, self.dtype, Block(self.block.address + index * step, step))

    def transpose(self, axes: Sequence[int]) -> CountedArray:
        """The same memory, with the axes in another order."""
        return CountedArray(tuple(self.shape[axis] for axis in axes), self.dtype, self.block)


@dataclass(slots=True, eq=False)
class CountedGraph:
    """The launches of a graph with the arguments that each now has, and how many calls it has."""

    launches: list[tuple[str, list[int]]] = field(default_factory=list)
    calls: int = 0


class CountedGlance:
    """Values that are there, or will be; whoever takes them has waited."""

    def __init__(self, driver: CountingDriver, values: list[Array]) -> None:
        self.ready = driver.is_fast
        self._driver, self._values = driver, values

    def values(self) -> list[Array]:
        """As they were when the glance was asked for."""
        self._driver.counts["wait"] += 1
        return self._values

    def close(self) -> None:
        """Nothing is held."""


class CountingDriver:
    """`codegen.cuda.driver.Driver`; `counts` has how often each thing was asked for.

    counts   "launch", "call", "replay", "capture", "update", "copy", "allocate", "upload",
             "download", "read", "zero", "fill", "glance", "wait", "load", "synchronize"
    is_fast  whether the device has done all before the host looks
    live     bytes that are allocated now; `peak`, the most there were
    limit    bytes that may be
    ran      what would have run, in this order: names, with addresses and numbers
    """

    def __init__(self, machine: DeviceMachine | None = None, limit: int = 2**40) -> None:
        self.machine = machine or DeviceMachine()
        self.texts = Texts(
            address="{x}.block.address",
            array=CountedArray,
            unused="references({x}) == alone and references({x}.block) == inner",
        )
        self.limit = limit
        self.counts: Counter[str] = Counter()
        self.live = self.peak = 0
        self.stream = 0
        self.is_fast = True
        self.ran: list[tuple[str, list[int]]] = []
        self._free: dict[int, list[int]] = {}
        self._next = 2**32
        self._recording: CountedGraph | None = None

    def adopt(self, value: Any) -> CountedArray | None:
        """Its own arrays are on the device."""
        return value if isinstance(value, CountedArray) else None

    def fetch(self, value: Any) -> CountedArray:
        """There is one device."""
        raise DeviceNotFoundError("there is one device only")

    def upload(self, value: Array) -> CountedArray:
        """Memory for a copy."""
        self.counts["upload"] += 1
        return self.empty(value.shape, value.dtype)

    def download(self, array: CountedArray) -> Array:
        """Zeros."""
        self.counts["download"] += 1
        return np.zeros(array.shape, array.dtype)

    def empty(self, shape: tuple[int, ...], dtype: DType) -> CountedArray:
        """An array from the pool."""
        return CountedArray(shape, dtype, self.allocate(_product(shape) * dtype.itemsize))

    def span(self, array: CountedArray) -> Span:
        """All of the array."""
        return Span(array.block, 0, array.dtype, array.size)

    def allocate(self, size: int) -> Block:
        """What was freed last of that size, or a new address; DeviceMemoryError over the limit."""
        self.counts["allocate"] += 1
        whole = -(-size // ALIGNMENT) * ALIGNMENT
        if self.live + whole > self.limit:
            raise DeviceMemoryError(
                f"{size} bytes are asked for where {self.limit - self.live} of {self.limit} are "
                "free"
            )
        freed = self._free.get(whole)
        if freed:
            address = freed.pop()
        else:
            address, self._next = self._next, self._next + max(whole, ALIGNMENT)
        self.live += whole
        self.peak = max(self.peak, self.live)
        block = Block(address, size)
        weakref.finalize(block, self._freed, address, whole)
        return block

    def _freed(self, address: int, whole: int) -> None:
        self.live -= whole
        self._free.setdefault(whole, []).append(address)

    def prepare(self, kernels: Sequence[Kernel]) -> None:
        """Nothing is compiled."""

    def load(self, kernel: Kernel) -> Kernel:
        """The kernel itself."""
        self.counts["load"] += 1
        return kernel

    def launch(self, loaded: Kernel, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Count it, or make it part of the graph that is captured."""
        if len(arguments) != len(loaded.arguments):
            raise TypeError(f"{loaded.name} takes {len(loaded.arguments)} arguments")
        if self._recording is not None:
            self._recording.launches.append((loaded.name, self._plain(arguments)))
            return
        self.counts["launch"] += 1
        self.ran.append((loaded.name, self._plain(arguments)))

    def call(self, call: Call, results: Sequence[Any], operands: Sequence[Any]) -> None:
        """Count it."""
        if self._recording is not None:
            self._recording.calls += 1
            return
        self.counts["call"] += 1
        arrays = [*results, *operands]
        self.ran.append((call.kernel, self._plain([self.span(array) for array in arrays])))

    def view(self, span: Span, shape: tuple[int, ...]) -> CountedArray:
        """An array on the span's memory."""
        part = Block(self.address(span), span.size * span.dtype.itemsize)
        return CountedArray(shape, span.dtype, part)

    def zero(self, span: Span) -> None:
        """Count it."""
        self.counts["zero"] += 1

    def fill(self, span: Span, byte: int) -> None:
        """Count it."""
        self.counts["fill"] += 1

    def read(self, span: Span) -> Array:
        """Zeros: no kernel ever left an error."""
        self.counts["read"] += 1
        return np.zeros(span.size, span.dtype)

    def glance(self, spans: Sequence[Span]) -> CountedGlance:
        """Zeros: loops end at once."""
        self.counts["glance"] += 1
        return CountedGlance(self, [np.zeros(span.size, span.dtype) for span in spans])

    def synchronize(self) -> None:
        """Count it."""
        self.counts["synchronize"] += 1

    def elapsed(self, run: Callable[[], object]) -> float:
        """Nothing runs, and takes no time."""
        run()
        return 0.0

    def address(self, span: Span) -> int:
        """The made-up address."""
        address: int = span.memory.address + span.offset
        return address

    def copy(self, target: Span, source: Span) -> None:
        """Count it."""
        self.counts["copy"] += 1

    def capture(self, record: Callable[[], None]) -> CountedGraph:
        """What `record` launches."""
        self.counts["capture"] += 1
        self._recording = graph = CountedGraph()
        try:
            record()
        finally:
            self._recording = None
        return graph

    def replay(self, graph: CountedGraph) -> None:
        """Count it; the graph's launches appear in `ran`."""
        self.counts["replay"] += 1
        self.ran += graph.launches

    def update(self, graph: CountedGraph, place: int, arguments: Sequence[Any]) -> None:
        """Other arguments for one launch."""
        self.counts["update"] += 1
        graph.launches[place] = (graph.launches[place][0], self._plain(arguments))

    def _plain(self, arguments: Sequence[Any]) -> list[int]:
        """Addresses and numbers, which keep no memory alive."""
        return [
            self.address(value) if isinstance(value, Span) else int(value) for value in arguments
        ]


def _product(shape: tuple[int, ...]) -> int:
    count = 1
    for extent in shape:
        count *= extent
    return count
