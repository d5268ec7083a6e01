"""What runs a schedule: the interface of drivers, and the choice of one.

There are three: CuPy's on a GPU, the simulator, and one that only counts, for tests.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from codegen.cuda.target import simulated
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Kernel
from codegen.loops.nodes import Call
from tracer.errors import DeviceNotFoundError, MissingPackageError

DType = np.dtype[Any]

OLDEST = 13000
"""The CUDA release, as the driver counts it, that machine code is made for."""
INSTALL = "pip install 'tracer-ad[cuda13]'"


@dataclass(frozen=True, slots=True)
class Span:
    """`size` elements of `dtype` in a piece of memory of the driver's, from byte `offset` on."""

    memory: Any
    offset: int
    dtype: DType
    size: int


@dataclass(frozen=True, slots=True)
class Texts:
    """Python text for what is done in every call, with fewer steps than the driver's methods have.

    names    what the text uses, besides `driver` and `stream`
    here     whether the driver's device is the current one, if there are others; where it is not,
             `elsewhere(function, *arrays)` calls the function there
    stream   the current stream
    where    as `Driver.stream`, given `stream`
    address  where the array `{x}` starts
    replay   a statement that runs the graph `{graph}`
    array    the class of arrays on the device; None where only the driver can tell
    fits     " and …": whether an array of that class is C-ordered and on this device
    unused   whether nobody else has the array `{x}` or its memory, by `references`, `alone`,
             `inner` and `weak` (`codegen.cuda.calls`); "" where that is not known
    """

    names: dict[str, Any] = field(default_factory=dict)
    here: str = ""
    stream: str = "driver.stream"
    where: str = "stream"
    address: str = "driver.address(driver.span({x}))"
    replay: str = "driver.replay({graph})"
    array: type | None = None
    fits: str = ""
    unused: str = ""


class Glance(Protocol):
    """What some memory held at one point of the stream, on its way to the host."""

    @property
    def ready(self) -> bool:
        """Whether it is there."""

    def values(self) -> list[np.ndarray[Any, DType]]:
        """It, once it is there, for each span; after that the glance is closed."""

    def close(self) -> None:
        """Nobody is going to ask."""


class Driver(Protocol):
    """A device with one current stream. Arrays are the driver's own: CuPy's on a GPU, NumPy's in
    the simulator. Everything is asynchronous but `download`, `read` and `synchronize`.
    """

    machine: DeviceMachine
    texts: Texts

    def adopt(self, value: Any) -> Any | None:
        """A C-ordered array of the driver's for `value`: in place where it lies on this device,
        copied where its layout asks for it; None where `value` lies on the host."""

    def fetch(self, value: Any) -> Any:
        """A copy on this device of an array on another one."""

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

    def prepare(self, kernels: Sequence[Kernel]) -> None:
        """Compile kernels which will be loaded, as many at a time as there are processors."""

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

    def fill(self, span: Span, byte: int) -> None:
        """Set each byte of memory."""

    def read(self, span: Span) -> np.ndarray[Any, DType]:
        """What the memory holds, after all that was asked for has run."""

    def glance(self, spans: Sequence[Span]) -> Glance:
        """Start to copy a few values to the host, behind all that was asked for."""

    def synchronize(self) -> None:
        """Wait until all that was asked for has run."""

    def elapsed(self, run: Callable[[], object]) -> float:
        """Seconds from the start of what `run` asks for until all of it has run."""

    @property
    def stream(self) -> int:
        """Which stream is the current one."""

    def address(self, span: Span) -> int:
        """Where the span starts."""

    def copy(self, target: Span, source: Span) -> None:
        """Copy as many bytes as `target` has, within the device."""

    def capture(self, record: Callable[[], None]) -> Any:
        """A graph of all launches and calls that `record` asks for, none of which runs now. What
        it allocates belongs to the graph. BackendError where that cannot be captured."""

    def replay(self, graph: Any) -> None:
        """Run the graph."""

    def update(self, graph: Any, place: int, arguments: Sequence[Any]) -> None:
        """Give the graph's launch number `place` other arguments, for all later runs."""


def choose_driver(device: int | None = None) -> Driver:
    """The simulator where NUMBA_ENABLE_CUDASIM is 1, else a GPU: by default the current one.

    Raises MissingPackageError or DeviceNotFoundError, which say what to install.
    """
    if simulated():
        if device:
            raise DeviceNotFoundError(f"there is no GPU {device}: the simulator has one, number 0")
        return _simulator()
    return _gpu(_visible(device))


@functools.cache
def _simulator() -> Driver:
    from codegen.cuda.simulator_driver import SimulatorDriver

    return SimulatorDriver()


@functools.cache
def _gpu(index: int) -> Driver:
    from codegen.cuda.cupy_driver import CuPyDriver

    return CuPyDriver(index)


def _visible(device: int | None) -> int:
    """The number of a GPU that is there."""
    runtime = cuda_runtime()
    if device is None:
        return int(runtime.getDevice())
    count = runtime.getDeviceCount()
    if not 0 <= device < count:
        raise DeviceNotFoundError(f"there is no GPU {device}: {count} can be seen, from 0 on")
    return device


@functools.cache
def cuda_runtime() -> Any:
    """CuPy's `runtime`, where there are a driver and a GPU that it can use."""
    for package in ("cupy", "cuda.bindings"):
        if importlib.util.find_spec(package.partition(".")[0]) is None:
            raise MissingPackageError(
                f"the cuda backend needs {package}, which is not installed: {INSTALL}"
            )
    try:
        from cupy.cuda import runtime
    except Exception as error:
        raise MissingPackageError(
            f"CuPy cannot be imported, so the cuda backend cannot run: {error}: {INSTALL}"
        ) from error
    release = runtime.driverGetVersion()
    if release == 0:
        raise DeviceNotFoundError(
            "the cuda backend needs an NVIDIA driver, and there is none: install release 580 or "
            "later for your GPU (https://www.nvidia.com/drivers), or use backend='llvm'"
        )
    if release < OLDEST:
        raise DeviceNotFoundError(
            f"the NVIDIA driver knows CUDA {release // 1000}.{release % 1000 // 10}, and the cuda "
            "backend needs 13.0: install release 580 of the driver or a later one"
        )
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise DeviceNotFoundError(f"the NVIDIA driver finds no GPU: {error}") from error
    if count == 0:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES")
        hint = "" if seen is None else f" (CUDA_VISIBLE_DEVICES is {seen!r})"
        raise DeviceNotFoundError(f"the NVIDIA driver finds no GPU{hint}")
    return runtime
