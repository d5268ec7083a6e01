"""A stand-in for CuPy and for CUDA's driver interface: NumPy's memory, two GPUs, and a limit.

It has what `codegen.cuda.cupy_driver` uses and nothing else; that CuPy has the same names is what
test_cupy_names.py looks at. Memory that a fake GPU has handed out is known to it, all else is the
host's. Launches are recorded as (handle, blocks, threads, words).
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np


class FakeMemory:
    """Bytes of one GPU, which are given back when nothing refers to them."""

    def __init__(self, owner: FakeCuPy, size: int, device: int) -> None:
        self.owner, self.size, self.device = owner, size, device
        self.bytes = np.full(size + 512, 255, np.uint8)
        self.start = self.bytes.ctypes.data + -self.bytes.ctypes.data % 256
        owner.known[self.start] = (size, device)
        owner.live += size

    def __del__(self) -> None:
        self.owner.live -= self.size
        del self.owner.known[self.start]


class FakePointer:
    """A place in memory."""

    def __init__(self, memory: Any, ptr: int, device_id: int) -> None:
        self.mem, self.ptr, self.device_id = memory, ptr, device_id

    def __add__(self, offset: int) -> FakePointer:
        return FakePointer(self.mem, self.ptr + offset, self.device_id)

    def memset_async(self, value: int, size: int) -> None:
        ctypes.memset(self.ptr, value, size)

    def copy_to_host_async(self, mem: int, size: int) -> None:
        assert any(start <= mem < start + 64 for start in self.mem.owner.pinned), "it is not pinned"
        ctypes.memmove(mem, self.ptr, size)

    def copy_from_device_async(self, source: FakePointer, size: int) -> None:
        ctypes.memmove(self.ptr, source.ptr, size)


class FakeArray:
    """An array of a GPU, by way of NumPy's view on its memory."""

    def __init__(
        self,
        owner: FakeCuPy,
        shape: tuple[int, ...],
        dtype: Any,
        memptr: FakePointer | None = None,
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.owner, self.dtype = owner, np.dtype(dtype)
        count = int(np.prod(shape, dtype=object))
        self.data = memptr or owner.alloc(count * self.dtype.itemsize)
        self.device = SimpleNamespace(id=self.data.device_id)
        size = count * self.dtype.itemsize
        if strides is not None and count:
            steps = zip(shape, strides, strict=True)
            size = sum((extent - 1) * step for extent, step in steps) + self.dtype.itemsize
        raw = (ctypes.c_uint8 * size).from_address(self.data.ptr)
        self.held = np.ndarray(shape, self.dtype, raw, 0, strides)
        self.shape, self.strides, self.size = self.held.shape, self.held.strides, self.held.size
        self.flags, self.nbytes = self.held.flags, self.held.nbytes
        self._c_contiguous = self.held.flags.c_contiguous

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.data.ptr, False),
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self.device.id

    def __dlpack__(self, *, stream: int) -> FakeArray:
        return self

    def _like(self, held: np.ndarray[Any, Any]) -> FakeArray:
        made: FakeArray = self.owner.ndarray(held.shape, held.dtype)
        made.held[...] = held
        return made

    def copy(self, order: str = "C") -> FakeArray:
        return self._like(np.array(self.held, order=order))

    def view(self, dtype: Any) -> FakeArray:
        held = self.held.view(dtype)
        return self.owner.ndarray(held.shape, held.dtype, self.data)

    def reshape(self, *shape: Any) -> FakeArray:
        held = self.held.reshape(*shape)
        return self.owner.ndarray(held.shape, held.dtype, self.data)

    def get(self, order: str = "C") -> np.ndarray[Any, Any]:
        return np.array(self.held, order=order)

    def part(self, index: Any) -> FakeArray:
        """A view, strided as the index says."""
        held = self.held[index]
        offset = held.__array_interface__["data"][0] - self.data.ptr
        return self.owner.ndarray(held.shape, held.dtype, self.data + offset, held.strides)


class OutOfMemoryError(MemoryError):
    """CuPy's."""

    def __init__(self, size: int) -> None:
        super().__init__("Out of memory")
        self._size = size


class FakeDevice:
    """One GPU; the current one within a `with`."""

    compute_capability = "100"

    def __init__(self, owner: FakeCuPy, index: int) -> None:
        self.owner, self.index = owner, index
        self.before: list[int] = []
        self.attributes = {"MultiProcessorCount": 7}

    @property
    def mem_info(self) -> tuple[int, int]:
        return self.owner.limit - self.owner.live, self.owner.limit

    def __enter__(self) -> None:
        self.before.append(self.owner.current)
        self.owner.current = self.index

    def __exit__(self, *_: object) -> None:
        self.owner.current = self.before.pop()


class FakePinned(ctypes.Array[ctypes.c_uint8]):
    """Pinned memory of the host, which NumPy can see."""

    _type_, _length_ = ctypes.c_uint8, 64

    @property
    def ptr(self) -> int:
        """Where it is."""
        return ctypes.addressof(self)


class FakeEvent:
    """What comes before it is done when it has been waited for, or the device is not busy."""

    def __init__(self, owner: FakeCuPy) -> None:
        self.owner, self.recorded = owner, False
        self.done = True

    def record(self, stream: FakeStream) -> None:
        assert stream is self.owner.streams[-1]
        self.recorded, self.done = True, not self.owner.busy

    def synchronize(self) -> None:
        assert self.recorded, "nothing to wait for"
        self.owner.waits += not self.done
        self.done = True


class FakeStream:
    """A stream, current within a `with`; what is launched while it is captured is a graph's."""

    def __init__(self, owner: FakeCuPy, ptr: int) -> None:
        self.owner, self.ptr = owner, ptr

    def __enter__(self) -> FakeStream:
        self.owner.streams.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.owner.streams.pop()

    def begin_capture(self) -> None:
        assert self.ptr, "the default stream cannot be captured"
        self.owner.captured = []

    def end_capture(self) -> Any:
        nodes, self.owner.captured = self.owner.captured, None
        assert nodes is not None, "nothing is captured"
        owner = self.owner
        made = SimpleNamespace(graphExec=len(owner.graphs), nodes=nodes)
        made.launch = lambda: owner.launched.extend(node[1:] for node in nodes)
        owner.graphs.append(made)
        return made

    def synchronize(self) -> None:
        self.owner.waits += 1


class FakeCuPy:
    """The module `cupy`; `bindings` is the module `cuda.bindings.driver`."""

    def __init__(self, limit: int = 2**20, devices: int = 2) -> None:
        self.limit, self.live, self.current, self.waits = limit, 0, 0, 0
        self.known: dict[int, tuple[int, int]] = {}
        self.launched: list[tuple[Any, ...]] = []
        self.captured: list[tuple[Any, ...]] | None = None
        self.graphs: list[Any] = []
        self.streams = [FakeStream(self, 0)]
        self.allocators = threading.local()
        self.pools: list[int] = []
        self.words: dict[Any, int] = {}
        self.pinned: list[int] = []
        self.busy = False
        owner = self

        class Array(FakeArray):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(owner, *args, **options)

        self.ndarray = Array
        self.runtime = SimpleNamespace(
            CUDARuntimeError=RuntimeError,
            getDevice=lambda: self.current,
            setDevice=lambda index: setattr(self, "current", index),
            getDeviceCount=lambda: devices,
            driverGetVersion=lambda: 13000,
            pointerGetAttributes=self._attributes,
            streamPerThread=2,
            graphLaunch=self._launch_graph,
        )
        self.cuda = SimpleNamespace(
            Device=lambda index: FakeDevice(self, index),
            Stream=lambda non_blocking: FakeStream(self, 77),
            get_current_stream=lambda: self.streams[-1],
            alloc=self.alloc,
            Event=lambda block, disable_timing: FakeEvent(self),
            alloc_pinned_memory=self._pin,
            MemoryPool=self._pool,
            using_allocator=self._using,
            memory=SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
            runtime=self.runtime,
            function=SimpleNamespace(Module=self._module),
        )
        self.bindings = SimpleNamespace(
            CUfunction=lambda pointer: pointer,
            CUstream=lambda pointer: pointer,
            CUgraphExec=lambda pointer: pointer,
            CUDA_KERNEL_NODE_PARAMS=SimpleNamespace,
            cuLaunchKernel=self._launch,
            cuStreamGetCaptureInfo=self._capture_info,
            cuGraphExecKernelNodeSetParams=self._set_params,
        )

    def alloc(self, size: int) -> FakePointer:
        return getattr(self.allocators, "now", self._malloc)(size)

    def _malloc(self, size: int) -> FakePointer:
        if self.live + size > self.limit:
            raise OutOfMemoryError(size)
        memory = FakeMemory(self, size, self.current)
        return FakePointer(memory, memory.start, self.current)

    def _pin(self, size: int) -> FakePinned:
        assert size == 64
        made = FakePinned()
        self.pinned.append(made.ptr)
        return made

    def _pool(self) -> Any:
        def malloc(size: int) -> FakePointer:
            self.pools.append(size)
            return self._malloc(size)

        return SimpleNamespace(malloc=malloc)

    @contextlib.contextmanager
    def _using(self, allocator: Callable[[int], FakePointer]) -> Iterator[None]:
        self.allocators.now = allocator
        yield
        del self.allocators.now

    def _attributes(self, pointer: int) -> Any:
        for start, (size, device) in self.known.items():
            if start <= pointer < start + size:
                return SimpleNamespace(type=2, device=device)
        return SimpleNamespace(type=0, device=-2)

    def _module(self) -> Any:
        loaded: list[bytes] = []
        return SimpleNamespace(
            load=loaded.append,
            get_function=lambda name: SimpleNamespace(ptr=(name, loaded[0])),
        )

    def _launch(self, handle: Any, *rest: Any) -> tuple[int]:
        blocks, _, _, threads, _, _, shared, stream, pointers, extra = rest
        assert (shared, extra) == (0, 0)
        assert stream == self.streams[-1].ptr
        if threads > 1024:
            return (1,)
        launch = (handle, blocks, threads, self._read(pointers, self.words[handle[0]]))
        if self.captured is None:
            self.launched.append(launch)
        else:
            self.captured.append((f"node {len(self.captured)}", *launch))
        return (0,)

    def _launch_graph(self, executable: int, stream: int) -> None:
        assert stream == self.streams[-1].ptr
        self.graphs[executable].launch()

    def _capture_info(self, stream: int) -> tuple[Any, ...]:
        assert self.captured, "nothing is captured"
        return (0, 1, 1, "graph", [self.captured[-1][0]], [None], 1)

    def _set_params(self, executable: int, node: str, params: Any) -> tuple[int]:
        nodes = self.graphs[executable].nodes
        (place,) = (place for place, known in enumerate(nodes) if known[0] == node)
        words = self._read(params.kernelParams, self.words[params.func[0]])
        nodes[place] = (node, params.func, params.gridDimX, params.blockDimX, words)
        return (0,)

    def _read(self, pointers: int, count: int) -> list[int]:
        places = (ctypes.c_void_p * count).from_address(pointers)
        return [ctypes.c_uint64.from_address(place or 0).value for place in places]

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.ndarray(shape, dtype)

    def array(self, value: Any, order: str = "C") -> Any:
        held = value.held if isinstance(value, FakeArray) else np.asarray(value)
        made = self.ndarray(held.shape, held.dtype)
        made.held[...] = held
        return made

    def asarray(self, value: Any) -> Any:
        interface = value.__cuda_array_interface__
        pointer = interface["data"][0]
        device = self._attributes(pointer).device
        place = FakePointer(value, pointer, max(device, 0))
        strides = interface.get("strides")
        return self.ndarray(interface["shape"], np.dtype(interface["typestr"]), place, strides)

    def from_dlpack(self, value: Any) -> Any:
        exported = value.__dlpack__(stream=self.streams[-1].ptr)
        return self.ndarray(exported.shape, exported.dtype, exported.data, exported.strides)
