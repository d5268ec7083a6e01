"""The one place that knows the backends: NumPy's evaluator here, all others through `codegen`,
loaded when used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tracer import config
from tracer.errors import BackendError
from tracer.graph.build import cached_by_graph
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph

BACKENDS = ("llvm", "numba", "cuda", "numpy")


class Executable(Protocol):
    """A compiled graph.

    origin  where its code came from: "compiled" just now, "memory", "disk", or "" without code
    reason  why code had to be compiled, where the backend can tell
    small   dimensions up to this one are part of the code
    """

    timings: dict[str, float]
    origin: str
    reason: str
    small: int

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for contiguous input arrays of the graph's types."""

    def cost(self) -> dict[str, float]:
        """flops, bytes, peak workspace in bytes."""

    def is_elsewhere(self, leaves: Sequence[Any]) -> bool:
        """Whether these inputs lie where no entry takes inputs from yet: on another device."""

    def entry(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        leaves: Sequence[Any],
        static: frozenset[int],
        build: Callable[..., Any],
        slow_path: Callable[..., Any],
    ) -> Callable[..., Any] | None:
        """What takes calls like this one without Python, and hands others to `slow_path`."""


class Reference:
    """The reference backend: the graph evaluated by NumPy, node by node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.timings: dict[str, float] = {}
        self.origin = self.reason = ""
        self.small = 0

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs, by NumPy."""
        with np.errstate(all="ignore"):  # as compiled code, which says nothing either
            return evaluate(self.graph, inputs)

    def cost(self) -> dict[str, float]:
        """What NumPy moves: each node reads its operands and writes its results."""
        moved = 0
        for node in self.graph.nodes:
            for item in (*node.operands, *node.results):
                moved += item.type.size * item.type.dtype.itemsize
        return {"flops": float("nan"), "bytes": float(moved), "workspace": float(moved)}

    def is_elsewhere(self, leaves: Sequence[Any]) -> bool:
        """All are the host's."""
        return False

    def entry(self, *_: Any) -> None:
        """NumPy's evaluator has no entry but Python."""


def choose(name: str | None) -> str:
    """The backend's name, by default the configured one."""
    chosen = name or config.get("backend")
    if chosen not in BACKENDS:
        raise BackendError(f"backend {chosen!r} is unknown; it is one of {', '.join(BACKENDS)}")
    return chosen


def _threading(parallel: bool | None) -> str:
    """Which loops threads share: "auto", "always" or "never"."""
    return config.get("parallel") if parallel is None else "always" if parallel else "never"


def function_base(backend: str) -> type | None:
    """The class of functions that native code is entered from without Python, where there is one.

    Its instances have a `target`, which takes every call, and count `calls`.
    """
    if backend not in ("llvm", "cuda"):
        return None
    from codegen.cache import share_object_store
    from codegen.dispatch import function_class

    share_object_store()
    return function_class()


def numba_type(function: Callable[..., Any], result_types: Callable[..., Any]) -> Any:
    """The type under which `numba.njit` code knows and calls a jitted function; `result_types`
    gives the types of its results for example arguments.
    """
    from codegen.numba_calls import numba_type as made

    return made(function, result_types)


def executable(graph: Graph, backend: str, parallel: bool | None = None) -> Executable:
    """The graph compiled by that backend; kept with the graph. `parallel` as for `jit`."""
    made: Executable = _executable(graph, backend, _threading(parallel))
    return made


@cached_by_graph
def _executable(graph: Graph, backend: str, parallel: str) -> Executable:
    if backend == "numpy":
        return Reference(graph)
    from codegen.compile import compile_graph

    return compile_graph(graph, backend, parallel)


def run(graph: Graph, inputs: Sequence[Any], backend: str) -> list[Any]:
    """The outputs of the graph for plain arrays."""
    return executable(graph, backend).run(inputs)


def render(graph: Graph, backend: str, kind: str, parallel: bool | None = None) -> str:
    """The text that a backend makes of a graph: "source", "loops", "llvm_ir" or "ptx"; or what the
    cuda backend launches, "launches"."""
    if backend == "numpy":
        raise BackendError(f"the numpy backend evaluates the graph and has no {kind}")
    from codegen.compile import render_graph

    return render_graph(graph, backend, kind, _threading(parallel))


def kernels_of(graph: Graph, backend: str = "llvm") -> list[list[int]]:
    """For each compiled kernel, in the order in which they run, the positions of its nodes."""
    from codegen.lower.groups import kernel_groups

    return kernel_groups(graph, "device" if backend == "cuda" else "cpu")


def profile(
    graph: Graph, inputs: Sequence[Any], seconds: float, calls: int, backend: str = "llvm"
) -> Any:
    """What each kernel takes, as `codegen.profile.GraphTime`."""
    if backend == "cuda":
        from codegen.cuda.profile import profile_cuda

        return profile_cuda(graph, inputs, seconds, calls)
    from codegen.profile import profile_graph

    return profile_graph(graph, inputs, seconds, calls)


def device_put(value: Any, device: int | None) -> Any:
    """An array or number on a GPU."""
    from codegen.cuda.arrays import put

    return put(value, device)


def device_get(value: Any) -> Any:
    """An array on the host."""
    from codegen.cuda.arrays import get

    return get(value)


def device_wait(values: Sequence[Any]) -> None:
    """Return once these arrays of GPUs are computed."""
    from codegen.cuda.arrays import wait

    wait(values)


def machine_limits() -> tuple[dict[int, float], dict[int, float]]:
    """Measured once: operations a second by the bytes of a number, bytes a second by how many are
    touched; of one thread.
    """
    from codegen.limits import machine_limits

    return machine_limits()
