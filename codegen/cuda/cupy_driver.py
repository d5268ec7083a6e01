"""The driver of a GPU: arrays, memory and modules by CuPy, launches by the driver's own interface.

Memory is that of CuPy's current allocator, by default its pool. What is freed there goes to the
free list of the stream it was allocated on, to be handed out to that stream only, where the next
kernel comes later: no wait, and no call of the driver's, which cudaMallocAsync would take each
time. Users' own CuPy arrays come from the same pool, and an allocator that they set is ours too.
Everything is asked for on CuPy's current stream.
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codegen.cuda.adoption import aligned_copy, device_view, is_host_value
from codegen.cuda.cubins import cubin_of_kernel, cubins_of
from codegen.cuda.driver import Span, Texts
from codegen.cuda.library import run_call
from codegen.cuda.packing import Packed, words_of
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Call
from tracer.errors import BackendError, DeviceMemoryError, DeviceMismatchError

DType = np.dtype[Any]

GLANCED = 64
"""Bytes that a glance may take: flags, and what a kernel says of an error."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A kernel on the device: its handle, and the module that keeps it there."""

    name: str
    arguments: tuple[Argument, ...]
    handle: Any
    module: Any


@dataclass(slots=True, eq=False)
class Node:
    """A launch in a graph: its handle, what CUDA is told of it, and the memory of its words."""

    handle: Any
    loaded: Loaded
    params: Any
    packed: Packed


@dataclass(slots=True, eq=False)
class CapturedGraph:
    """An executable graph, its launches in order, and the pool of its calls' workspace."""

    pool: Any
    graph: Any = None
    executable: Any = None
    nodes: list[Node] = field(default_factory=list)


class CuPyGlance:
    """A few values in pinned memory, and the event behind the copies. It is idle again once its
    values are taken, or nobody is going to; the copies may be under way for a while then.
    """

    def __init__(self, cupy: Any, idle: list[CuPyGlance]) -> None:
        self.event = cupy.cuda.Event(block=False, disable_timing=True)
        self.pinned = cupy.cuda.alloc_pinned_memory(GLANCED)
        self._cupy, self._idle = cupy, idle
        self._parts: list[tuple[int, DType, int]] = []

    def start(self, spans: Sequence[Span]) -> None:
        """Copy to the host what comes before on the current stream, and record the event."""
        offset = 0
        self._parts = []
        for span in spans:
            size = span.size * span.dtype.itemsize
            place = span.memory + span.offset
            place.copy_to_host_async(self.pinned.ptr + offset, size)
            self._parts.append((offset, span.dtype, span.size))
            offset += -(-size // 8) * 8
        self.event.record(self._cupy.cuda.get_current_stream())

    @property
    def ready(self) -> bool:
        """Whether the copies are there."""
        done: bool = self.event.done
        return done

    def values(self) -> list[np.ndarray[Any, DType]]:
        """Copies of the copies: the pinned memory is used again."""
        self.event.synchronize()
        found = [
            np.frombuffer(self.pinned, dtype, size, offset).copy()
            for offset, dtype, size in self._parts
        ]
        self.close()
        return found

    def close(self) -> None:
        """From now on it serves another, when the copies are there."""
        self._idle.append(self)


class _Thread(threading.local):
    """What a thread is doing with the driver."""

    bound = False
    capturing: Any = None
    recording: CapturedGraph | None = None


class CuPyDriver:
    """`codegen.cuda.driver.Driver` on one GPU."""

    def __init__(self, index: int, cupy: Any = None, bindings: Any = None) -> None:
        self.cupy = cupy or importlib.import_module("cupy")
        self.bindings = bindings or importlib.import_module("cuda.bindings.driver")
        self.index = index
        self.device = self.cupy.cuda.Device(index)
        self.machine = _machine_of(self.device)
        self._thread = _Thread()
        # All that there are, since a copy may be under way to one that an interrupt has dropped.
        self._glances: list[CuPyGlance] = []
        self._idle_glances: list[CuPyGlance] = []
        self.texts = self._texts()

    def _texts(self) -> Texts:
        """What a call asks of CuPy where it knows all addresses: nothing makes CUDA's context, or
        this device, the current one. Threads have streams of their own behind one handle.
        """
        runtime = self.cupy.cuda.runtime
        names = {
            "get_device": runtime.getDevice,
            "device": self.index,
            "elsewhere": self._elsewhere,
            "current_stream": self.cupy.cuda.get_current_stream,
            "per_thread": runtime.streamPerThread,
            "thread": threading.get_ident,
            "launch_graph": runtime.graphLaunch,
        }
        return Texts(
            names,
            here="get_device() == device",
            stream="current_stream().ptr",
            where="stream if stream != per_thread else -thread()",
            address="{x}.data.ptr",
            replay="launch_graph({graph}.graph.graphExec, stream)",
            array=self.cupy.ndarray,
            fits=" and {x}._c_contiguous and {x}.data.device_id == device",
            unused="references({x}) == alone and references({x}.data) == inner"
            " and references({x}.data.mem) == inner and not weak({x})",
        )

    def _elsewhere(self, function: Callable[..., Any], *arrays: Any) -> Any:
        with self._current():
            return function(*arrays)

    def adopt(self, value: Any) -> Any | None:
        """A CuPy array on the same memory; a copy where that is not C-ordered or not aligned."""
        array = value
        if not isinstance(value, self.cupy.ndarray):
            if is_host_value(value):
                return None
            with self._current():
                array = device_view(value, self.cupy)
        where = array.data.device_id
        if where != self.index:
            raise DeviceMismatchError(
                f"an array lies on GPU {where}, and others on GPU {self.index}: move it "
                f"with tracer.device_put(array, {self.index})"
            )
        aligned = array.data.ptr % max(array.dtype.itemsize, 1) == 0
        if array.flags.c_contiguous and aligned:
            return array
        with self._current():
            return self._within(array.nbytes, lambda: self._in_order(array, aligned))

    def _in_order(self, array: Any, aligned: bool) -> Any:
        return array.copy(order="C") if aligned else aligned_copy(array, self.cupy)

    def fetch(self, value: Any) -> Any:
        """A copy of an array of another GPU, directly where the two can reach each other."""
        array = value if isinstance(value, self.cupy.ndarray) else device_view(value, self.cupy)
        with self._current():
            return self._within(array.nbytes, lambda: self.cupy.array(array, order="C"))

    def upload(self, value: np.ndarray[Any, DType]) -> Any:
        """A copy, by way of pinned memory, so that `value` may change at once."""
        with self._current():
            return self._within(value.nbytes, lambda: self.cupy.array(value, order="C"))

    def download(self, array: Any) -> np.ndarray[Any, DType]:
        """A copy, once the array is computed."""
        with self._current():
            copied: np.ndarray[Any, DType] = array.get(order="C")
            return copied

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any:
        """A new array from the pool."""
        try:
            with self._current():
                return self.cupy.ndarray(shape, dtype)
        except self.cupy.cuda.memory.OutOfMemoryError:
            error = self._no_room(math.prod(shape) * dtype.itemsize)
        raise error

    def span(self, array: Any) -> Span:
        """All of the array."""
        return Span(array.data, 0, array.dtype, array.size)

    def allocate(self, size: int) -> Any:
        """Memory from the pool, whose pieces start at multiples of 512."""
        with self._current():
            return self._within(size, lambda: self.cupy.cuda.alloc(size))

    def prepare(self, kernels: Sequence[Kernel]) -> None:
        """Their machine code, in memory from here on."""
        cubins_of(kernels, self.machine.capability)

    def load(self, kernel: Kernel) -> Loaded:
        """The kernel's machine code, from the cache or compiled, in a module of its own."""
        code = cubin_of_kernel(kernel, self.machine.capability)
        with self._current():
            module = self.cupy.cuda.function.Module()
            module.load(code)
            function = module.get_function(kernel.name)
            handle = self.bindings.CUfunction(function.ptr)
        return Loaded(kernel.name, kernel.arguments, handle, module)

    def launch(self, loaded: Loaded, blocks: int, threads: int, arguments: Sequence[Any]) -> None:
        """Run it on the current stream, or make it part of the graph that is captured."""
        if blocks == 0:
            return
        packed = Packed(words_of(loaded.arguments, arguments, self.address))
        with self._current():
            stream = self.bindings.CUstream(self.stream)
            shape = (blocks, 1, 1, threads, 1, 1)
            self._check(
                self.bindings.cuLaunchKernel(loaded.handle, *shape, 0, stream, packed.pointers, 0),
                f"launch {loaded.name} on {blocks} blocks of {threads} threads",
            )
            if self._thread.recording is not None:
                self._note(self._thread.recording, stream, loaded, shape, packed)

    def _note(
        self,
        graph: CapturedGraph,
        stream: Any,
        loaded: Loaded,
        shape: tuple[int, ...],
        packed: Packed,
    ) -> None:
        """Remember the node of the launch just captured: what the next one would wait for."""
        found = self.bindings.cuStreamGetCaptureInfo(stream)
        self._check(found, "read what is captured")
        (handle,) = found[4]
        params = self.bindings.CUDA_KERNEL_NODE_PARAMS()
        params.func = loaded.handle
        names = ("gridDimX", "gridDimY", "gridDimZ", "blockDimX", "blockDimY", "blockDimZ")
        for name, extent in zip(names, shape, strict=True):
            setattr(params, name, extent)
        params.kernelParams = packed.pointers
        graph.nodes.append(Node(handle, loaded, params, packed))

    def call(self, call: Call, results: Sequence[Any], operands: Sequence[Any]) -> None:
        """By cuBLAS, cuSOLVER, or on the host."""
        with self._current():
            try:
                run_call(call, results, operands, self.cupy)
                return
            except self.cupy.cuda.memory.OutOfMemoryError as error:
                size = int(error._size)  # what a routine works in, which only it knows
        raise self._no_room(size)

    def view(self, span: Span, shape: tuple[int, ...]) -> Any:
        """A CuPy array on the memory."""
        return self.cupy.ndarray(shape, span.dtype, memptr=span.memory + span.offset)

    def zero(self, span: Span) -> None:
        """Set memory to zero bytes, in the stream's order."""
        with self._current():
            (span.memory + span.offset).memset_async(0, span.size * span.dtype.itemsize)

    def fill(self, span: Span, byte: int) -> None:
        """As `zero`."""
        with self._current():
            size = span.size * span.dtype.itemsize
            (span.memory + span.offset).memset_async(byte, size)

    def glance(self, spans: Sequence[Span]) -> CuPyGlance:
        """By way of pinned memory."""
        with self._current():
            found = self._idle_glance()
            found.start(spans)
        return found

    def _idle_glance(self) -> CuPyGlance:
        """One whose copies are there, and that nobody has."""
        for _ in range(len(self._idle_glances)):
            try:
                found = self._idle_glances.pop(0)
            except IndexError:  # another thread has taken it
                break
            if found.ready:
                return found
            self._idle_glances.append(found)
        made = CuPyGlance(self.cupy, self._idle_glances)
        self._glances.append(made)
        return made

    def read(self, span: Span) -> np.ndarray[Any, DType]:
        """A copy, once all before it has run."""
        return self.download(self.view(span, (span.size,)))

    def synchronize(self) -> None:
        """Wait for the current stream."""
        with self._current():
            self.cupy.cuda.get_current_stream().synchronize()

    def elapsed(self, run: Callable[[], object]) -> float:
        """By two events of the current stream."""
        with self._current():
            begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
            begin.record()
            run()
            end.record()
            end.synchronize()
            milliseconds: float = self.cupy.cuda.get_elapsed_time(begin, end)
        return 1e-3 * milliseconds

    @property
    def stream(self) -> int:
        """The current stream's handle."""
        handle: int = self.cupy.cuda.get_current_stream().ptr
        return handle

    def address(self, span: Span) -> int:
        """Where the span starts."""
        address: int = span.memory.ptr + span.offset
        return address

    def copy(self, target: Span, source: Span) -> None:
        """Copy within the device, in the stream's order."""
        with self._current():
            size = target.size * target.dtype.itemsize
            place = target.memory + target.offset
            place.copy_from_device_async(source.memory + source.offset, size)

    def capture(self, record: Callable[[], None]) -> CapturedGraph:
        """A graph, recorded on a stream of its own: the default stream cannot be captured.

        What calls allocate comes from a pool that lives as long as the graph, which would otherwise
        write to memory that was freed and belongs to others. BackendError where CUDA refuses.
        """
        try:
            return self._captured(record)
        except self.cupy.cuda.runtime.CUDARuntimeError as error:
            raise BackendError(f"GPU {self.index} refuses to capture a graph: {error}") from error

    def _captured(self, record: Callable[[], None]) -> CapturedGraph:
        made = CapturedGraph(self.cupy.cuda.MemoryPool())
        with self._current(), self.cupy.cuda.using_allocator(made.pool.malloc):
            stream = self._thread.capturing
            if stream is None:
                stream = self._thread.capturing = self.cupy.cuda.Stream(non_blocking=True)
            with stream:
                stream.begin_capture()
                self._thread.recording = made
                try:
                    record()
                except BaseException:
                    with suppress(Exception):  # the capture may have ended by the error
                        stream.end_capture()
                    raise
                finally:
                    self._thread.recording = None
                made.graph = stream.end_capture()
        made.executable = self.bindings.CUgraphExec(made.graph.graphExec)
        return made

    def replay(self, graph: CapturedGraph) -> None:
        """Run the graph on the current stream."""
        with self._current():
            graph.graph.launch()

    def update(self, graph: CapturedGraph, place: int, arguments: Sequence[Any]) -> None:
        """Other words for one launch; runs under way keep theirs."""
        node = graph.nodes[place]
        node.packed.fill(words_of(node.loaded.arguments, arguments, self.address))
        with self._current():
            self._check(
                self.bindings.cuGraphExecKernelNodeSetParams(
                    graph.executable, node.handle, node.params
                ),
                f"give {node.loaded.name} other arguments",
            )

    def _current(self) -> Any:
        """A context in which this device is the current one, in any thread."""
        if not self._thread.bound:
            with self.device:
                self.cupy.cuda.runtime.setDevice(self.index)  # makes CUDA's context current
            self._thread.bound = True
        return self.device

    def _within(self, size: int, make: Callable[[], Any]) -> Any:
        """What `make` allocates; DeviceMemoryError with the sizes where there is no room."""
        try:
            return make()
        except self.cupy.cuda.memory.OutOfMemoryError:
            error = self._no_room(size)
        raise error  # here, where nothing refers to CuPy's own error and its frames

    def _no_room(self, size: int) -> DeviceMemoryError:
        free, total = self.device.mem_info
        return DeviceMemoryError(
            f"{size} bytes ({size / 2**30:.1f} GiB) are asked of GPU {self.index}, where {free} "
            f"({free / 2**30:.1f} GiB) of {total} ({total / 2**30:.1f} GiB) are free"
        )

    def _check(self, answer: tuple[Any, ...], what: str) -> None:
        if int(answer[0]):
            raise BackendError(f"GPU {self.index} refuses to {what}: {answer[0]!r}")


def _machine_of(device: Any) -> DeviceMachine:
    digits = device.compute_capability
    return DeviceMachine(
        processors=device.attributes["MultiProcessorCount"],
        capability=(int(digits[:-1]), int(digits[-1])),
    )
