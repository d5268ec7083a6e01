"""Calls of functions on a GPU, by way of their entries: what fits goes there, and all else not."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracer
from codegen.cuda import arrays, cupy_driver
from codegen.cuda import driver as drivers
from codegen.cuda.cupy_driver import CuPyDriver
from tests.cuda.fake_cupy import FakeArray, FakeCuPy
from tracer.errors import (
    DeviceArrayError,
    DeviceMemoryError,
    DeviceMismatchError,
    NotAnArrayError,
)

SIZE = 600


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> FakeCuPy:
    """Two GPUs that run nothing."""
    made = FakeCuPy(limit=2**24)
    made.words = defaultdict(lambda: 1)
    chosen = {index: CuPyDriver(index, made, made.bindings) for index in range(2)}
    for module in (drivers, arrays):
        monkeypatch.setattr(module, "cuda_runtime", lambda: made.runtime)
    monkeypatch.setattr(drivers, "_gpu", chosen.__getitem__)
    monkeypatch.setattr(cupy_driver, "cubin_of_kernel", lambda kernel, capability: b"")
    monkeypatch.setattr(cupy_driver, "cubins_of", lambda kernels, capability: [])
    return made


def several_launches(x: Any) -> Any:
    return np.exp(x - np.max(x)), np.cumsum(x)


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    return tracer.jit(function, backend="cuda", **options)


def slow_calls(function: Any) -> int:
    return int(function._slow_calls)


def test_calls_like_the_first_are_quick(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    for _ in range(10):
        outputs = function(x)
    assert [type(output) for output in outputs] == [cupy.ndarray] * 2
    assert slow_calls(function) == 1
    info = function.cache_info()
    assert (info.hits, info.misses) == (9, 1)


def test_a_settled_call_allocates_nothing(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    for _ in range(6):
        outputs = function(x)
    before, live, made = len(cupy.launched), cupy.live, len(cupy.graphs)
    for _ in range(4):
        outputs = function(x)
    assert cupy.live == live
    assert len(cupy.graphs) == made
    assert len(cupy.launched) - before == 4 * len(cupy.graphs[0].nodes)
    assert outputs[0].shape == (SIZE,)


HOLDERS: dict[str, Callable[[Any], Any]] = {
    "array": lambda result: result,
    "view": lambda result: result.part(slice(3, None)),
    "memory": lambda result: result.data.mem,
    "pointer": lambda result: result.data,
    "weak": weakref.ref,
}


@pytest.mark.parametrize("hold", HOLDERS)
def test_results_that_someone_has_are_not_written_again(cupy: FakeCuPy, hold: str) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    for _ in range(3):
        function(x)
    result = function(x)[0]
    address = result.data.ptr
    held = HOLDERS[hold](result)
    del result
    later = [function(x)[0].data.ptr for _ in range(8)]
    assert address not in later
    del held
    if hold != "weak":  # which may go on for as long as the array is there
        assert address in [function(x)[0].data.ptr for _ in range(2)]


def test_results_of_another_shape_are_not_used_again(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    for _ in range(4):
        function(x)[0].shape = (2, SIZE // 2)
        assert function(x)[0].shape == (SIZE,)


def test_structures_are_looked_at(cupy: FakeCuPy) -> None:
    class Pair(NamedTuple):
        left: Any
        right: Any

    function = compiled(lambda p, q: {"sum": p["a"] + p["b"][0], "rest": [q.left * q.right, None]})
    a, b, c = (tracer.device_put(np.ones(3)) for _ in range(3))
    for _ in range(3):
        result = function({"a": a, "b": [b]}, Pair(b, c))
        assert sorted(result) == ["rest", "sum"]
        assert result["rest"][1] is None
    function({"b": [b], "a": a}, q=Pair(b, c))
    assert slow_calls(function) == 2
    function({"b": [b], "a": a}, Pair(b, c))
    assert slow_calls(function) == 2, "keys in another order"
    for wrong in ({"a": a, "b": (b,)}, {"a": a, "b": [b], "c": c}, {"a": a, "b": [b, c]}):
        before = slow_calls(function)
        function(wrong, Pair(b, c))
        assert slow_calls(function) == before + 1
    with pytest.raises(KeyError):
        function({"a": a, "d": [b]}, Pair(b, c))
    with pytest.raises(TypeError):
        function({"a": a, "b": [b]})


def test_other_classes_go_the_slow_way(cupy: FakeCuPy) -> None:
    @dataclass
    class Model:
        weights: Any

    function = compiled(lambda model: Model(model.weights * 2.0))
    model = Model(tracer.device_put(np.ones(3)))
    for _ in range(3):
        assert isinstance(function(model).weights, FakeArray)
    assert slow_calls(function) == 3
    made = compiled(lambda x: Model(x * 2.0))
    for _ in range(3):
        assert isinstance(made(model.weights).weights, FakeArray)
    assert slow_calls(made) == 1


def test_what_does_not_fit_is_another_signature(cupy: FakeCuPy) -> None:
    function = compiled(lambda x: x * 2.0)
    there = tracer.device_put(np.arange(6.0).reshape(2, 3))
    assert function(there).shape == (2, 3)
    assert function(tracer.device_put(np.arange(3, dtype=np.float32))).dtype == np.float32
    assert function(tracer.device_put(np.ones((3, 2)))).shape == (3, 2)
    assert function.cache_info().misses == 3
    strided = there.part((slice(None), slice(0, 2)))
    assert function(strided).shape == (2, 2)
    before = slow_calls(function)
    assert function(strided).shape == (2, 2)
    assert slow_calls(function) == before + 1, "which is copied first"
    with pytest.raises(NotAnArrayError):
        function("text")


def test_a_function_follows_its_arguments_from_gpu_to_gpu(cupy: FakeCuPy) -> None:
    function = compiled(lambda x, y: x * y + 1.0)
    places = [tracer.device_put(np.ones(SIZE), device) for device in range(2)]
    for _ in range(3):
        for device, there in enumerate(places):
            assert function(there, there).data.device_id == device
            assert function(there, np.ones(SIZE)).data.device_id == device
    assert cupy.current == 0
    assert slow_calls(function) == 2, "an entry for each GPU"
    assert function.cache_info().misses == 1
    for _ in range(2):
        with pytest.raises(DeviceMismatchError, match="lie on GPUs 0 and 1"):
            function(*places)
        assert function(places[1], places[1]).data.device_id == 1


def test_a_first_call_on_another_gpu(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    there = tracer.device_put(np.ones(SIZE), 1)
    for _ in range(3):
        for output in function(there):
            assert output.data.device_id == 1
    assert slow_calls(function) == 1


def test_host_arrays_go_to_the_current_gpu(cupy: FakeCuPy) -> None:
    function = compiled(lambda x: x * 2.0)
    for _ in range(3):
        for device in range(2):
            with cupy.cuda.Device(device):
                assert function(np.ones(SIZE)).data.device_id == device
    assert slow_calls(function) == 2


def test_gpus_of_two_kinds(cupy: FakeCuPy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a schedule of its own."""
    other = drivers.choose_driver(1)
    monkeypatch.setattr(other, "machine", replace(other.machine, processors=3))
    function = compiled(lambda x: np.cumsum(np.exp(x)) * 2.0)
    places = [tracer.device_put(np.ones(2**16), device) for device in range(2)]
    for device, there in enumerate(places):
        assert function(there).data.device_id == device
    (entry,) = function._entries.values()
    first, second = entry.executable.native.programs.values()
    assert first.schedule is not second.schedule


def test_memory_of_the_host_is_not_taken_for_a_gpus(cupy: FakeCuPy) -> None:
    host = np.ones(SIZE)
    interface = {**host.__array_interface__, "version": 3}
    told = SimpleNamespace(__cuda_array_interface__=interface, dtype=host.dtype, shape=host.shape)
    moves = (tracer.device_put, tracer.device_get, tracer.block_until_ready)
    for function in (compiled(lambda x: x * 2.0), *moves):
        with pytest.raises(DeviceArrayError, match="a SimpleNamespace offers address 0x"):
            function(told)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_no_elements(cupy: FakeCuPy, shape: tuple[int, ...]) -> None:
    """Grids without blocks are not launched."""
    function = compiled(lambda x: (np.exp(x), np.sum(x), np.cumsum(x, axis=0), x.T @ x))
    for _ in range(3):
        found = function(tracer.device_put(np.ones(shape)))
        assert [part.shape for part in found[:3]] == [shape, (), shape]
    with pytest.raises(ValueError, match="zero-size array to reduction operation maximum"):
        compiled(np.max)(tracer.device_put(np.ones(shape)))


def test_arrays_and_numbers_of_the_host(cupy: FakeCuPy) -> None:
    function = compiled(lambda x, step, rate: x * rate + step)
    for turn in range(5):
        function(np.ones(3), turn, np.float64(0.5))
    assert slow_calls(function) == 1
    function(tracer.device_put(np.ones(3)), 7, np.ones(()))
    assert slow_calls(function) == 1, "where an array lies is no matter of types"
    function(np.ones(3), 1.0, np.float64(0.5))
    function(np.ones(3), True, np.float64(0.5))
    function(np.ones(3), np.int64(1), np.float64(0.5))
    function(np.ones(3), 1, np.float32(0.5))
    assert function.cache_info().misses == 5
    with pytest.raises(OverflowError):
        function(np.ones(3), 2**70, np.float64(0.5))


def test_a_number_that_stays_is_copied_no_more(
    cupy: FakeCuPy, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[float] = []
    upload = CuPyDriver.upload

    def counted(self: CuPyDriver, value: Any) -> Any:
        copied.append(float(value))
        return upload(self, value)

    function = compiled(lambda x, rate: x * rate)
    x = tracer.device_put(np.ones(3))
    function(x, 1.5)
    monkeypatch.setattr(CuPyDriver, "upload", counted)
    for text in ["0.25"] * 6 + ["0.0"] * 4 + ["-0.0"] * 2 + ["nan"] * 5:
        function(x, float(text))
    assert str(copied) == str([0.25] * 3 + [0.0] * 3 + [-0.0] * 2 + [float("nan")] * 3)


def test_static_arguments_are_taken_as_they_are(cupy: FakeCuPy) -> None:
    function = compiled(lambda x, power: x**power, static_argnums=1)
    x = tracer.device_put(np.ones(3))
    for power in (2, 2, 3, 3, 2):
        function(x, power)
    assert function.cache_info().misses == 2
    assert slow_calls(function) == 2


def test_traced_and_watched_calls_are_seen(cupy: FakeCuPy) -> None:
    function = compiled(lambda x: x * x)
    x = tracer.device_put(np.ones(3))
    function(x)
    outer = compiled(lambda x: function(x) + function(x))
    assert isinstance(outer(x), FakeArray)
    before = slow_calls(function)
    graph = tracer.make_graph(function)(np.ones(3))
    assert [str(type_) for type_ in (graph.outputs[0].type,)] == ["f64[3]"]
    assert slow_calls(function) == before + 1
    with tracer.debug():
        function(np.ones(3))
        assert slow_calls(function) == before + 2
    function(np.ones(3))
    assert slow_calls(function) == before + 2


def test_inputs_are_not_kept(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    for _ in range(4):
        x = tracer.device_put(np.ones(SIZE))
        gone = weakref.ref(x)
        function(x)
        del x
        assert gone() is None


def test_streams_have_places_of_their_own(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    first = {output.data.ptr for _ in range(4) for output in function(x)}
    with cupy.cuda.Stream(non_blocking=True):
        second = {output.data.ptr for _ in range(4) for output in function(x)}
    assert not first & second
    assert {output.data.ptr for output in function(x)} <= first


def test_too_little_memory_is_said_and_passes(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    for _ in range(3):
        held = function(x)
    gc.collect()
    cupy.limit = cupy.live
    other: list[Any] = []
    with pytest.raises(DeviceMemoryError, match=r"bytes .* are asked of GPU 0"):
        other.extend(function(x) for _ in range(4))
    del other
    cupy.limit = 2**24
    assert function(x)[0].shape == held[0].shape


def test_threads_have_results_of_their_own(cupy: FakeCuPy) -> None:
    function = compiled(several_launches)
    x = tracer.device_put(np.ones(SIZE))
    function(x)
    found: list[list[int]] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            held = [function(x) for _ in range(50)]
            found.append([output.data.ptr for outputs in held for output in outputs])
            kept.append(held)
        except BaseException as error:
            failed.append(error)

    kept: list[Any] = []
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    addresses = Counter(address for part in found for address in part)
    assert len(addresses) == 4 * 50 * 2
    assert function.cache_info().hits == 200
