"""The choice of a device, device_put and device_get, and what they say where it cannot be."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.cuda import arrays, cupy_driver, function
from codegen.cuda import driver as drivers
from codegen.cuda.cupy_driver import CuPyDriver
from codegen.cuda.simulator_driver import SimulatorDriver
from tests.cuda.fake_cupy import FakeArray, FakeCuPy
from tests.docs.pages import ROOT
from tracer.errors import (
    ArrayConversionError,
    BackendError,
    DeviceMismatchError,
    DeviceNotFoundError,
    MissingPackageError,
    NotAnArrayError,
)


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuPy]:
    """Two GPUs, as far as everything here can tell."""
    made = FakeCuPy()
    chosen = {index: CuPyDriver(index, made, made.bindings) for index in range(2)}
    for module in (drivers, arrays):
        monkeypatch.setattr(module, "cuda_runtime", lambda: made.runtime)
    monkeypatch.setattr(drivers, "_gpu", chosen.__getitem__)
    monkeypatch.setattr(cupy_driver, "cubin_of_kernel", lambda kernel, capability: b"")
    monkeypatch.setattr(cupy_driver, "cubins_of", lambda kernels, capability: [])
    return made


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """What the search for a GPU finds; each test spoils one part of it."""
    state = SimpleNamespace(release=13000, count=1, missing="")

    def devices() -> int:
        if state.count < 0:
            raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
        return int(state.count)

    runtime = SimpleNamespace(
        driverGetVersion=lambda: state.release,
        getDeviceCount=devices,
        getDevice=lambda: 0,
        CUDARuntimeError=RuntimeError,
    )
    cuda = SimpleNamespace(runtime=runtime)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setitem(sys.modules, "cupy.cuda", cuda)
    monkeypatch.setattr(
        drivers.importlib.util,
        "find_spec",
        lambda name: None if name == state.missing else object(),
    )
    drivers.cuda_runtime.cache_clear()
    yield state
    drivers.cuda_runtime.cache_clear()


def documented(error: str) -> str:
    """What docs/errors.md shows that an error says."""
    page = (ROOT / "docs" / "errors.md").read_text("utf-8")
    section = page.partition(f"## {error}\n")[2].partition("\n## ")[0]
    return " ".join(section.split())


def said(caught: pytest.ExceptionInfo[Exception]) -> str:
    """The error as Python prints it."""
    return f"{caught.type.__name__}: {caught.value}"


@pytest.mark.parametrize("package", ["cupy", "cuda.bindings"])
def test_a_missing_package_is_named(packages: SimpleNamespace, package: str) -> None:
    packages.missing = package.partition(".")[0]
    with pytest.raises(
        MissingPackageError, match=rf"needs {package}, .*: pip install 'tracer-ad\["
    ):
        tracer.device_put(np.ones(3))
    with pytest.raises(ImportError):
        drivers.choose_driver()
    with pytest.raises(BackendError) as caught:
        drivers.choose_driver()
    if package == "cupy":
        assert said(caught) in documented("MissingPackageError")


def test_a_package_that_does_not_load_is_named(
    packages: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy.cuda", None)
    with pytest.raises(MissingPackageError, match=r"CuPy cannot be imported, .*: pip install"):
        drivers.choose_driver()


def test_a_missing_driver_is_named(packages: SimpleNamespace) -> None:
    packages.release = 0
    with pytest.raises(DeviceNotFoundError, match="needs an NVIDIA driver, and there is none") as e:
        tracer.device_put(np.ones(3))
    assert said(e) in documented("DeviceNotFoundError")


def test_an_old_driver_is_named(packages: SimpleNamespace) -> None:
    packages.release = 12040
    with pytest.raises(DeviceNotFoundError, match=r"knows CUDA 12\.4, and .* release 580"):
        drivers.choose_driver()


@pytest.mark.parametrize("count", [0, -1])
def test_no_gpu_is_said(
    packages: SimpleNamespace, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages.count = count
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    message = r"finds no GPU \(CUDA_VISIBLE_DEVICES is '7'\)" if count == 0 else "finds no GPU: cu"
    with pytest.raises(DeviceNotFoundError, match=message):
        drivers.choose_driver()


def test_a_number_without_a_gpu_is_said(cupy: FakeCuPy) -> None:
    for device in (2, -1):
        with pytest.raises(DeviceNotFoundError, match=f"no GPU {device}: 2 can be seen, from 0"):
            tracer.device_put(np.ones(3), device)


def test_numpy_goes_to_the_device_and_back(cupy: FakeCuPy) -> None:
    values = {"a": np.arange(6.0).reshape(2, 3).T, "b": [2.5, np.float32(1.5), None]}
    there = tracer.device_put(values)
    assert isinstance(there["a"], FakeArray)
    assert [leaf.dtype for leaf in there["b"][:2]] == [np.float64, np.float32]
    back = tracer.device_get(there)
    assert np.array_equal(back["a"], values["a"])
    assert back["a"].dtype == np.float64
    assert [float(leaf) for leaf in back["b"][:2]] == [2.5, 1.5]
    assert tracer.device_get(values)["a"] is values["a"]


def test_what_is_there_stays(cupy: FakeCuPy) -> None:
    array = tracer.device_put(np.ones(3))
    assert tracer.device_put(array) is array
    assert tracer.device_put(array, 0) is array
    moved = tracer.device_put(array, 1)
    assert moved.device.id == 1
    assert tracer.device_put(moved) is moved
    assert tracer.device_get(moved).tolist() == [1.0, 1.0, 1.0]


def test_arrays_of_other_libraries_on_the_host_are_copied(cupy: FakeCuPy) -> None:
    class Loaned:
        """As arrays of other libraries on the CPU are."""

        def __dlpack_device__(self) -> tuple[int, int]:
            return 1, 0

        def __dlpack__(self, **_: Any) -> None:
            raise AssertionError("np.asarray reads it")

        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            return np.arange(3.0)

    there = tracer.device_put(Loaned())
    assert tracer.device_get(there).tolist() == [0.0, 1.0, 2.0]
    assert tracer.device_get(Loaned()).tolist() == [0.0, 1.0, 2.0]


def test_what_is_no_array_is_named(cupy: FakeCuPy) -> None:
    for move in (tracer.device_put, tracer.device_get):
        with pytest.raises(
            NotAnArrayError, match=r"a str \('text'\) stands where an array was due"
        ):
            move(["text"])
        with pytest.raises(NotAnArrayError, match="a function"):
            move(documented)


def test_traced_arrays_stay_or_raise() -> None:
    assert tracer.jit(lambda x: tracer.device_put(x) * 2)(3.0) == 6.0
    assert tracer.grad(lambda x: tracer.device_put(x) ** 2)(3.0) == 6.0
    with pytest.raises(ArrayConversionError, match="cannot become a plain ndarray"):
        tracer.grad(lambda x: np.sum(tracer.device_get(x)))(np.ones(2))


def test_waiting_waits_for_each_device(cupy: FakeCuPy) -> None:
    values = [tracer.device_put(np.ones(2), index) for index in (0, 1, 0)]
    tree = {"there": values, "here": [np.ones(2), 1.0]}
    assert tracer.block_until_ready(tree) is tree
    assert cupy.waits == 2


def test_a_function_runs_where_its_arguments_are(cupy: FakeCuPy) -> None:
    first, second = (tracer.device_put(np.ones(2), index) for index in range(2))
    assert function.driver_of([second, np.ones(2), 1.0]).index == 1  # type: ignore[attr-defined]
    assert function.driver_of([1.0]).index == 0  # type: ignore[attr-defined]
    told = SimpleNamespace(__cuda_array_interface__=second.__cuda_array_interface__)
    assert function.driver_of([told]).index == 1  # type: ignore[attr-defined]
    with pytest.raises(DeviceMismatchError, match="lie on GPUs 0 and 1: move them") as caught:
        function.driver_of([first, second])
    assert said(caught) in documented("DeviceMismatchError")


def test_messages_of_the_documentation_are_those(cupy: FakeCuPy) -> None:
    interface = {"version": 3, "shape": (3,), "typestr": "<f8", "data": (4096, False)}
    holder = type("Holder", (), {"__cuda_array_interface__": interface})()
    with pytest.raises(tracer.errors.DeviceArrayError) as caught:
        tracer.device_put(holder, 0)
    assert said(caught).replace("0x1000", "0x7f0e94001b40") in documented("DeviceArrayError")
    cupy.limit = 139 * 2**30
    cupy.live = 127 * 2**30
    driver = drivers.choose_driver()
    with pytest.raises(tracer.errors.DeviceMemoryError) as caught:
        driver.empty((2**32,), np.dtype(np.float64))
    assert said(caught) in documented("DeviceMemoryError")


def test_the_simulator_is_chosen_by_its_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert isinstance(drivers.choose_driver(), SimulatorDriver)
    assert drivers.choose_driver(0) is drivers.choose_driver()
    with pytest.raises(DeviceNotFoundError, match="the simulator has one"):
        drivers.choose_driver(1)
    there = tracer.device_put({"a": np.ones(3)})
    assert type(there["a"]) is np.ndarray
    assert tracer.device_get(there)["a"].tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(NotAnArrayError):
        tracer.device_put("text")


def test_the_cpu_never_imports_cuda() -> None:
    program = (
        "import sys, numpy as np, tracer\n"
        "tracer.jit(tracer.grad(lambda x: np.sum(np.sin(x))))(np.ones(3))\n"
        "tracer.block_until_ready(tracer.device_get([np.ones(3), 1.0]))\n"
        "names = [name for name in sys.modules\n"
        "         if name.split('.')[0] in ('cupy', 'numba_cuda', 'cuda')\n"
        "         or name.startswith('numba.cuda')]\n"
        "print(names)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"\[\]\s*", found.stdout), found.stdout
