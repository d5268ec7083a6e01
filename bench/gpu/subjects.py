"""Who is measured on a device: this library, JAX, and PyTorch with and without its compiler.

`device` is "cuda"; or "host" in a dry run, where peers run on the CPU, this library by its NumPy
reference (or in the simulator), and clocks are the host's.
"""

import importlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np

import tracer
from bench.errors import BenchError
from bench.gpu.case import Case
from bench.subjects import TRACER, Stopwatch
from bench.workload import Differentiation, Function, Inputs, Size

NAMES = ("tracer", "jax", "torch", "torch-compile", "torch-graphs")
DEFAULT_PEERS = ("jax", "torch", "torch-compile")
"""`torch-graphs`, torch.compile with CUDA graphs, is run only where it is asked for."""
MATRIX_SIDE = 8_192
COPY_BYTES = 2**30


@dataclass
class Running:
    """A program that is ready: `call` starts it and may return before it is done.

    `wait(results)` returns when the device has done everything that was started before.
    """

    call: Callable[[], Any]
    stages: Mapping[str, float] = field(default_factory=dict)
    figures: Callable[[], Mapping[str, float]] = dict
    """`launches` a call, and `memory` in bytes at its highest; those that can be known."""


class DeviceSubject(ABC):
    """One library on one device."""

    def __init__(self, device: str) -> None:
        self.device = device

    @abstractmethod
    def put(self, inputs: Inputs) -> Inputs:
        """The inputs on the device."""

    @abstractmethod
    def prepare(self, case: Case, size: Size, inputs: Inputs) -> Running:
        """Everything up to the first call, of inputs on the device."""

    @abstractmethod
    def wait(self, results: Any) -> None:
        """Until the results, and what was started before them, are there."""

    @abstractmethod
    def to_numpy(self, results: Any) -> tuple[Any, ...]:
        """The results as NumPy arrays."""

    def about(self) -> dict[str, Any]:
        """The device's name and limits, where this subject knows them."""
        return {}

    def batch_seconds(self, call: Callable[[], Any], calls: int) -> float:
        """Seconds a call of so many, one started after the other; by the host's clock."""
        started = time.perf_counter()
        results = None
        for _ in range(calls):
            results = call()
        self.wait(results)
        return (time.perf_counter() - started) / calls

    def release(self) -> None:
        """Give up what was kept for the last row."""
        return


class TracerOnDevice(DeviceSubject):
    """This library: CuPy arrays in, CuPy arrays out."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        simulated = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
        self.backend = "cuda" if device == "cuda" or simulated else "numpy"
        self.cupy: Any = importlib.import_module("cupy") if device == "cuda" else None

    def put(self, inputs: Inputs) -> Inputs:
        placed: Inputs = tracer.device_put(inputs) if self.backend == "cuda" else inputs
        return placed

    def prepare(self, case: Case, size: Size, inputs: Inputs) -> Running:
        function = case.program.make(TRACER, case.workload.build(size))
        jitted = tracer.jit(function, backend=self.backend)
        stopwatch = Stopwatch()
        traced = stopwatch.time("trace", jitted.trace, *inputs)
        lowered = stopwatch.time("lower", traced.lower, backend=self.backend)
        compiled = stopwatch.time("compile", lowered.compile)

        def figures() -> Mapping[str, float]:
            cost = compiled.cost()
            found = {"launches": float(cost["launches"])} if "launches" in cost else {}
            if self.cupy is not None:
                found["memory"] = float(self.cupy.get_default_memory_pool().total_bytes())
            return found

        return Running(lambda: jitted(*inputs), stopwatch.stages, figures)

    def wait(self, results: Any) -> None:
        if self.cupy is not None:
            self.cupy.cuda.get_current_stream().synchronize()
        else:
            tracer.block_until_ready(results)

    def to_numpy(self, results: Any) -> tuple[Any, ...]:
        found = tracer.device_get(results) if self.backend == "cuda" else results
        return tuple(np.asarray(value) for value in found)

    def batch_seconds(self, call: Callable[[], Any], calls: int) -> float:
        if self.cupy is None:
            return super().batch_seconds(call, calls)
        begin, end = self.cupy.cuda.Event(), self.cupy.cuda.Event()
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        milliseconds: float = self.cupy.cuda.get_elapsed_time(begin, end)
        return 1e-3 * milliseconds / calls

    def release(self) -> None:
        if self.cupy is not None:
            self.cupy.get_default_memory_pool().free_all_blocks()

    def about(self) -> dict[str, Any]:
        """The device's name, and what a large copy and a large product attain on it.

        Something trivial is compiled first: a row's time is not that of loading the compiler.
        """
        (one,) = self.put((np.float32(1.0),))
        tracer.jit(lambda x: x + x, backend=self.backend)(one)
        if self.cupy is None:
            return {"device": "no device"}
        cupy = self.cupy
        properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
        copying, product = self._copy_seconds(), self._product_seconds()
        self.release()
        return {
            "device": properties["name"].decode(),
            "compute_capability": f"{properties['major']}.{properties['minor']}",
            "memory_bytes": int(properties["totalGlobalMem"]),
            "processors": int(properties["multiProcessorCount"]),
            "bandwidth": 2.0 * COPY_BYTES / copying,
            "flops32": 2.0 * MATRIX_SIDE**3 / product,
            "cupy": str(cupy.__version__),
        }

    def _copy_seconds(self) -> float:
        source = self.cupy.random.random(COPY_BYTES // 4, dtype=self.cupy.float32)
        target = self.cupy.empty_like(source)
        return self._least(lambda: self.cupy.copyto(target, source))

    def _product_seconds(self) -> float:
        factor = self.cupy.random.random((MATRIX_SIDE, MATRIX_SIDE), dtype=self.cupy.float32)
        return self._least(lambda: self.cupy.matmul(factor, factor))

    def _least(self, call: Callable[[], Any]) -> float:
        self.batch_seconds(call, 3)
        return min(self.batch_seconds(call, 5) for _ in range(8))


class JaxOnDevice(DeviceSubject):
    """JAX, jitted whole, products in full float32. It has no events, so the host's clock serves."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.peer = importlib.import_module("bench.peers.jax")
        self.jax: Any = importlib.import_module("jax")
        self.jax.config.update("jax_default_matmul_precision", "highest")
        platform = self.jax.devices()[0].platform
        if device == "cuda" and platform != "gpu":
            raise BenchError(f"JAX sees no GPU here: its platform is {platform}")

    def put(self, inputs: Inputs) -> Inputs:
        placed: Inputs = self.jax.block_until_ready(
            tuple(self.jax.numpy.asarray(value) for value in inputs)
        )
        return placed

    def prepare(self, case: Case, size: Size, inputs: Inputs) -> Running:
        from bench.rebind import rebind

        workload = case.workload
        if workload.jax_build is not None:
            function = workload.jax_build(self.jax, size)
        else:
            function = rebind(workload.build, self.peer.NAMESPACES)(size)
        jitted = self.jax.jit(case.program.make(self.peer.DIFFERENTIATION, function))
        stopwatch = Stopwatch()
        traced = stopwatch.time("trace", jitted.trace, *inputs)
        lowered = stopwatch.time("lower", traced.lower)
        compiled = stopwatch.time("compile", lowered.compile)

        def figures() -> Mapping[str, float]:
            parts = ("argument", "output", "temp")
            about = compiled.memory_analysis()
            return {"memory": sum(getattr(about, f"{part}_size_in_bytes") for part in parts)}

        return Running(lambda: jitted(*inputs), stopwatch.stages, figures)

    def wait(self, results: Any) -> None:
        self.jax.block_until_ready(results)

    def to_numpy(self, results: Any) -> tuple[Any, ...]:
        return tuple(np.asarray(value) for value in results)


class TorchOnDevice(DeviceSubject):
    """PyTorch, products and convolutions in full float32."""

    def __init__(self, device: str, compiled: bool, mode: str = "default") -> None:
        super().__init__(device)
        self.compiled, self.mode = compiled, mode
        self.peer = importlib.import_module("bench.peers.torch")
        self.torch: Any = importlib.import_module("torch")
        self.torch.set_float32_matmul_precision("highest")
        self.torch.backends.cudnn.allow_tf32 = False
        self.torch.backends.cudnn.benchmark = True
        if compiled:  # where it would go on without compiling, the row has to say so
            importlib.import_module("torch._dynamo").config.fail_on_recompile_limit_hit = True
        self.place = "cuda" if device == "cuda" else "cpu"
        if device == "cuda" and not self.torch.cuda.is_available():
            raise BenchError("PyTorch sees no GPU here")

    def put(self, inputs: Inputs) -> Inputs:
        return tuple(self.torch.tensor(value, device=self.place) for value in inputs)

    def prepare(self, case: Case, size: Size, inputs: Inputs) -> Running:
        build = case.workload.torch_build
        assert build is not None, "every row has a version for PyTorch"
        own = case.torch_compiled if self.compiled else None
        with self.torch.device(self.place):
            function = (own or build)(self.torch, size)
        stopwatch = Stopwatch()
        if self.compiled and own is None:
            program = self.torch.compile(
                case.program.make(self._functional(), function), dynamic=False, mode=self.mode
            )
        else:
            program = case.program.make(self.peer.DIFFERENTIATION, function)
        if self.compiled:
            stopwatch.time("compile", lambda: self.wait(program(*inputs)))
        if self.device == "cuda":
            self.torch.cuda.reset_peak_memory_stats()

        def figures() -> Mapping[str, float]:
            if self.device != "cuda":
                return {}
            return {"memory": float(self.torch.cuda.max_memory_allocated())}

        return Running(lambda: program(*inputs), stopwatch.stages, figures)

    def _functional(self) -> Differentiation:
        """Derivatives that `torch.compile` sees through, so that it has both ways in one graph."""
        torch = self.torch

        def value_and_grad(function: Function, argnums: tuple[int, ...]) -> Function:
            derived = torch.func.grad_and_value(function, argnums=argnums)

            def value_first(*arguments: Any) -> Any:
                gradients, value = derived(*arguments)
                return value, gradients

            return value_first

        peer = self.peer
        return Differentiation(value_and_grad, peer.elementwise_grad, peer.repeat)

    def wait(self, results: Any) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def to_numpy(self, results: Any) -> tuple[Any, ...]:
        return tuple(value.detach().cpu().numpy() for value in results)

    def batch_seconds(self, call: Callable[[], Any], calls: int) -> float:
        if self.device != "cuda":
            return super().batch_seconds(call, calls)
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(calls):
            call()
        end.record()
        end.synchronize()
        return 1e-3 * float(begin.elapsed_time(end)) / calls

    def release(self) -> None:
        if self.compiled:
            self.torch.compiler.reset()
        if self.device == "cuda":
            self.torch.cuda.empty_cache()


def is_installed(name: str) -> bool:
    """Whether a subject's package is there."""
    return name == "tracer" or find_spec(name.partition("-")[0]) is not None


def open_subject(name: str, device: str) -> DeviceSubject:
    """The subject of that name on "cuda" or "host"; `BenchError` where it cannot be."""
    if not is_installed(name):
        raise BenchError(f"{name.partition('-')[0]} is not installed")
    if name == "tracer":
        return TracerOnDevice(device)
    if name == "jax":
        return JaxOnDevice(device)
    if name == "torch":
        return TorchOnDevice(device, compiled=False)
    mode = "reduce-overhead" if name == "torch-graphs" else "default"
    return TorchOnDevice(device, compiled=True, mode=mode)
