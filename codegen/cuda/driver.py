"""What runs a schedule: the interface of drivers, and the choice of one.

There are three: CuPy's on a GPU, Numba's simulator, and one that only counts, for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Kernel
from codegen.loops.nodes import Call

DType = np.dtype[Any]


@dataclass(frozen=True, slots=True)
class Span:
    """`size` elements of `dtype` in a piece of memory of the driver's, from byte `offset` on."""

    memory: Any
    offset: int
    dtype: DType
    size: int


class Driver(Protocol):
    """A device with one current stream. Arrays are the driver's own: CuPy's on a GPU, NumPy's in
    the simulator. Everything is asynchronous but `download`, `read` and `synchronize`.
    """

    machine: DeviceMachine

    def adopt(self, value: Any) -> Any | None:
        """A C-ordered array of the driver's for `value`: in place where it lies on this device,
        copied where its layout asks for it; None where `value` lies on the host."""

    def upload(self, value: np.ndarray[Any, DType]) -> Any:
        """A host array's copy on the device."""

    def download(self, array: Any) -> np.ndarray[Any, DType]:
        """A device array's copy on the host."""

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any:
        """A new array; MemoryError with the sizes where there is no room."""

    def span(self, array: Any) -> Span:
        """The memory of a C-ordered array of the driver's."""

    def allocate(self, size: int) -> Any:
        """`size` bytes from the pool, at a multiple of 256; freed when dropped, in stream order."""

    def load(self, kernel: Kernel) -> Any:
        """The kernel, compiled for this device."""

    def launch(self, loaded: Any, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Run it: a `Span` for each pointer or array, a NumPy scalar for each other argument."""

    def call(self, call: Call, results: Sequence[Any], operands: Sequence[Any]) -> None:
        """A library routine on arrays of the driver's, which may be strided."""

    def view(self, span: Span, shape: tuple[int, ...]) -> Any:
        """A C-ordered array of the driver's on memory that is there."""

    def zero(self, span: Span) -> None:
        """Set memory to zero bytes."""

    def read(self, span: Span) -> np.ndarray[Any, DType]:
        """What the memory holds, after all that was asked for has run."""

    def synchronize(self) -> None:
        """Wait until all that was asked for has run."""


class GraphDriver(Driver, Protocol):
    """A driver that keeps many launches as one graph, which is started by one call."""

    @property
    def stream(self) -> int:
        """Which stream is the current one."""

    def address(self, span: Span) -> int:
        """Where the span starts."""

    def copy(self, target: Span, source: Span) -> None:
        """Copy as many bytes as `target` has, within the device."""

    def capture(self, record: Callable[[], None]) -> Any:
        """A graph of all launches and calls that `record` asks for, none of which runs now. What
        it allocates belongs to the graph."""

    def replay(self, graph: Any) -> None:
        """Run the graph."""

    def update(self, graph: Any, place: int, arguments: Sequence[Any]) -> None:
        """Give the graph's launch number `place` other arguments, for all later runs."""
