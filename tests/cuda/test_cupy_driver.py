"""CuPy's driver on a stand-in for CuPy: what is copied, what is refused, what a launch is given."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from codegen.cuda import cupy_driver
from codegen.cuda.cupy_driver import CuPyDriver
from codegen.cuda.driver import Span
from codegen.cuda.packing import words_of
from codegen.device.schedule import Argument, Kernel
from codegen.loops.nodes import Call
from tests.cuda.fake_cupy import FakeArray, FakeCuPy
from tracer.errors import (
    BackendError,
    DeviceArrayError,
    DeviceMemoryError,
    DeviceMismatchError,
)

F64, I64, F32 = (np.dtype(kind) for kind in (np.float64, np.int64, np.float32))
KERNEL = Kernel(
    "kernel",
    "text",
    (
        Argument("x", F64),
        Argument("total", I64, written=True),
        Argument("step", I64, "scalar"),
    ),
)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> FakeCuPy:
    monkeypatch.setattr(cupy_driver, "cubin_of_kernel", lambda kernel, cc: b"code %d.%d" % cc)
    monkeypatch.setattr(cupy_driver, "cubins_of", lambda kernels, capability: [])
    made = FakeCuPy()
    made.words["kernel"] = 3
    return made


@pytest.fixture
def driver(cupy: FakeCuPy) -> CuPyDriver:
    return CuPyDriver(0, cupy, cupy.bindings)


class Foreign:
    """An array of another library, told of by `__cuda_array_interface__`."""

    def __init__(self, array: FakeArray, **changes: Any) -> None:
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.data.ptr, False),
            "strides": array.strides,
            "version": 3,
            **changes,
        }


class Exported:
    """An array of another library, told of by DLPack."""

    def __init__(self, array: FakeArray | None, kind: int = 2) -> None:
        self.array, self.kind = array, kind
        self.streams: list[int] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, *, stream: int) -> FakeArray:
        self.streams.append(stream)
        if self.array is None:
            raise BufferError("it needs a gradient: use detach()")
        return self.array


def test_the_machine_is_read_from_the_device(driver: CuPyDriver) -> None:
    assert driver.machine.capability == (10, 0)
    assert driver.machine.processors == 7


def test_arrays_come_and_go(driver: CuPyDriver) -> None:
    value = np.arange(6.0).reshape(2, 3)
    array = driver.upload(value.T)
    assert array.flags.c_contiguous
    assert np.array_equal(driver.download(array), value.T)
    assert driver.empty((), F32).shape == ()
    assert driver.empty((0, 4), F32).shape == (0, 4)
    span = driver.span(array)
    assert driver.read(span).tolist() == value.T.ravel().tolist()
    part = Span(span.memory, 8, F64, 2)
    assert driver.read(part).tolist() == value.T.ravel()[1:3].tolist()
    driver.zero(part)
    assert driver.view(part, (2, 1)).get().tolist() == [[0.0], [0.0]]
    driver.copy(Span(span.memory, 40, F64, 1), span)
    assert driver.download(array)[2, 1] == value[0, 0]
    assert driver.address(part) == driver.address(span) + 8


@pytest.mark.parametrize("value", [np.ones(3), np.float32(1), 1.5, 2, True, 1j, [1, 2], "text"])
def test_values_of_the_host_are_not_adopted(driver: CuPyDriver, value: object) -> None:
    assert driver.adopt(value) is None


def test_arrays_in_place(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    array = cupy.array(np.arange(6.0).reshape(2, 3))
    before = cupy.live
    assert driver.adopt(array) is array
    for other in (Foreign(array), Exported(array)):
        adopted = driver.adopt(other)
        assert adopted.data.ptr == array.data.ptr
        assert adopted.shape == (2, 3)
    assert cupy.live == before


def test_dlpack_is_asked_with_the_current_stream(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    exported = Exported(cupy.array(np.ones(2)))
    with cupy.cuda.Stream(non_blocking=True):
        driver.adopt(exported)
    assert exported.streams == [77]
    assert driver.adopt(Exported(None, kind=1)) is None


@pytest.mark.parametrize("index", [np.s_[:, ::2], np.s_[::2], np.s_[1:, 1:]])
def test_arrays_in_another_order_are_copied(driver: CuPyDriver, cupy: FakeCuPy, index: Any) -> None:
    array = cupy.array(np.arange(12.0).reshape(3, 4))
    for value in (array.part(index), Foreign(array.part(index)), Exported(array.part(index))):
        adopted = driver.adopt(value)
        assert adopted.flags.c_contiguous
        assert adopted.data.ptr != array.data.ptr
        assert np.array_equal(adopted.get(), array.held[index])


@pytest.mark.parametrize("strided", [False, True])
def test_arrays_at_odd_addresses_are_copied(
    driver: CuPyDriver, cupy: FakeCuPy, strided: bool
) -> None:
    octets = cupy.array(np.arange(65, dtype=np.uint8))
    strides = (16,) if strided else (8,)
    odd = cupy.ndarray((4,), F64, octets.data + 1, strides)
    adopted = driver.adopt(odd)
    assert adopted.data.ptr % 8 == 0
    assert adopted.shape == (4,)
    assert adopted.get().tobytes() == odd.held.tobytes()


def test_other_devices_are_named(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    with cupy.cuda.Device(1):
        array = cupy.array(np.arange(3.0))
    with pytest.raises(DeviceMismatchError, match=r"lies on GPU 1, .*device_put\(array, 0\)"):
        driver.adopt(array)
    with pytest.raises(DeviceMismatchError):
        driver.adopt(Foreign(array))
    fetched = driver.fetch(array)
    assert fetched.device.id == 0
    assert fetched.get().tolist() == [0.0, 1.0, 2.0]
    assert driver.fetch(Foreign(array)).device.id == 0


def test_memory_of_the_host_is_refused(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    array = cupy.array(np.ones(3))
    host = np.ones(3)
    message = "a Foreign offers address 0x[0-9a-f]+ as memory of a GPU, but no GPU knows it"
    with pytest.raises(DeviceArrayError, match=message):
        driver.adopt(Foreign(array, data=(host.ctypes.data, False)))
    with pytest.raises(DeviceArrayError, match="address 0x0"):
        driver.adopt(Foreign(array, data=(0, False)))
    empty = Foreign(array, data=(0, False), shape=(0,), strides=None)
    assert driver.adopt(empty).shape == (0,)


def test_interfaces_that_are_not_whole_are_refused(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    class Half:
        def __init__(self) -> None:
            self.__cuda_array_interface__ = {"shape": (3,), "version": 3}

    class Broken:
        @property
        def __cuda_array_interface__(self) -> None:
            raise RuntimeError("it needs a gradient")

    with pytest.raises(DeviceArrayError, match="of a Half has no data, typestr"):
        driver.adopt(Half())
    with pytest.raises(DeviceArrayError, match="a Broken does not give its memory: it needs a gr"):
        driver.adopt(Broken())
    with pytest.raises(DeviceArrayError, match=r"a Exported does not give .*: use detach\(\)"):
        driver.adopt(Exported(None))
    with pytest.raises(DeviceArrayError, match=r"a device that CUDA does not know: \(10, 0\)"):
        driver.adopt(Exported(cupy.array(np.ones(3)), kind=10))


def test_too_little_memory_is_an_error_with_sizes(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    kept = driver.empty((1000,), F64)
    message = (
        r"2097152 bytes \(0.0 GiB\) are asked of GPU 0, where 1040576 .* of 1048576 .* are free"
    )
    for ask in (
        lambda: driver.empty((2**18,), F64),
        lambda: driver.allocate(2**21),
        lambda: driver.upload(np.zeros(2**18)),
    ):
        with pytest.raises(DeviceMemoryError, match=message) as caught:
            ask()
        assert isinstance(caught.value, MemoryError)
        del caught
        gc.collect()
        assert cupy.live == 8000
    big = driver.empty((2**16,), F64)
    strided = (
        big.part(np.s_[::-1][:1]) if False else cupy.ndarray((2**15, 1), F64, big.data, (16, 8))
    )
    cupy.limit = cupy.live
    with pytest.raises(DeviceMemoryError, match="262144 bytes"):
        driver.adopt(strided)
    cupy.limit = 2**20
    assert driver.adopt(strided).shape == (2**15, 1)
    assert kept.size == 1000


def test_workspace_of_a_routine_may_be_too_much(
    driver: CuPyDriver, cupy: FakeCuPy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which only the routine asks for."""
    monkeypatch.setattr(cupy_driver, "run_call", lambda *given: cupy.alloc(2**21))
    with pytest.raises(DeviceMemoryError, match=r"2097152 bytes .* are asked of GPU 0, where 1048"):
        driver.call(Call("lapack", (), ()), [], [])
    assert cupy.live == 0


def test_a_launch_is_given_words(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    loaded = driver.load(KERNEL)
    x, total = driver.empty((4,), F64), driver.empty((3,), I64)
    driver.launch(loaded, 5, 64, [driver.span(x), driver.span(total), np.int64(-2)])
    driver.launch(loaded, 0, 64, [driver.span(x), driver.span(total), np.int64(-2)])
    words = [x.data.ptr, total.data.ptr, 2**64 - 2]
    assert cupy.launched == [(("kernel", b"code 10.0"), 5, 64, words)]
    with pytest.raises(BackendError, match="GPU 0 refuses to launch kernel on 1 blocks of 9999"):
        driver.launch(loaded, 1, 9999, [driver.span(x), driver.span(total), np.int64(0)])


def test_words_are_the_parameters_of_kernels() -> None:
    class Place:
        ptr = 2**40

    count = 2**33 + 1
    span = Span(Place(), 2**34, F64, count)
    words = words_of(
        KERNEL.arguments, [span, span, 2**40], lambda span: span.memory.ptr + span.offset
    )
    assert words == [2**40 + 2**34, 2**40 + 2**34, 2**40]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.float32(1.0), 0x3F800000),
        (np.int8(-1), 0xFF),
        (np.bool_(True), 1),
        (np.float64(-0.0), 2**63),
        (np.uint64(2**64 - 1), 2**64 - 1),
    ],
)
def test_scalars_of_every_width_fit_a_word(value: Any, word: int) -> None:
    assert words_of([Argument("value", value.dtype, "scalar")], [value], int) == [word]


def test_graphs_are_captured_replayed_and_updated(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    loaded = driver.load(KERNEL)
    x, y, total = (driver.span(driver.empty((4,), kind)) for kind in (F64, F64, I64))

    def record() -> None:
        driver.launch(loaded, 1, 32, [x, total, np.int64(0)])
        driver.launch(loaded, 2, 32, [x, total, np.int64(1)])
        driver.allocate(100)

    graph = driver.capture(record)
    assert cupy.launched == []
    assert cupy.pools == [100]
    driver.replay(graph)
    driver.update(graph, 1, [y, total, np.int64(5)])
    driver.replay(graph)
    starts = [(blocks, words[0], words[-1]) for _, blocks, _, words in cupy.launched]
    first, second = driver.address(x), driver.address(y)
    assert starts == [(1, first, 0), (2, first, 1), (1, first, 0), (2, second, 5)]


def test_a_failed_capture_is_ended(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    def record() -> None:
        raise KeyError("what the caller did")

    with pytest.raises(KeyError):
        driver.capture(record)
    assert cupy.captured is None
    assert driver.stream == 0
    loaded = driver.load(KERNEL)
    x = driver.span(driver.empty((4,), F64))
    driver.launch(loaded, 1, 32, [x, x, 0])
    assert len(cupy.launched) == 1


def test_another_thread_and_another_device_make_theirs_current(cupy: FakeCuPy) -> None:
    second = CuPyDriver(1, cupy, cupy.bindings)
    array = second.empty((2,), F64)
    assert array.device.id == 1
    assert cupy.current == 0
    second.synchronize()
    assert cupy.waits == 1


def test_a_refused_capture_is_a_backend_error(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    def record() -> None:
        raise cupy.runtime.CUDARuntimeError("cudaErrorStreamCaptureUnsupported")

    with pytest.raises(BackendError, match="GPU 0 refuses to capture a graph: cudaErrorStreamCap"):
        driver.capture(record)


def test_glances_are_copies_that_are_waited_for(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    flag = driver.span(driver.empty((1,), np.dtype(bool)))
    status = driver.span(driver.upload(np.array([7, 8, 9], np.int64)))
    driver.fill(flag, 1)
    cupy.busy = True
    first = driver.glance([flag, status])
    driver.fill(flag, 0)
    second = driver.glance([flag])
    assert not first.ready
    going, said = first.values()
    assert (going.tolist(), said.tolist()) == ([True], [7, 8, 9])
    assert cupy.waits == 1
    third = driver.glance([status])
    assert third is first, "its values have been taken"
    assert said.tolist() == [7, 8, 9]
    assert second.values()[0].tolist() == [False]
    assert third.values()[0].tolist() == [7, 8, 9]
    assert len(cupy.pinned) == 2


def test_a_glance_that_nobody_waits_for_is_left_alone(driver: CuPyDriver, cupy: FakeCuPy) -> None:
    span = driver.span(driver.upload(np.array([1, 2], np.int64)))
    cupy.busy = True
    dropped = driver.glance([span])
    dropped.close()
    other = driver.glance([span])
    assert other is not dropped, "its copy may be under way"
    dropped.event.done = True
    assert driver.glance([span]) is dropped
