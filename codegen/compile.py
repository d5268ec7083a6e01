"""From a graph to a callable: lower, optimize, render, compile."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.loops.nodes import Program
from codegen.loops.sizes import SMALL
from codegen.lower.graph import lower_graph, lower_with_places
from codegen.passes.cost import program_cost
from codegen.passes.pipeline import optimize
from tracer import config
from tracer.cached import cached_property
from tracer.errors import BackendError
from tracer.graph.nodes import Graph

Outputs = list[Any]


class CompiledGraph:
    """A graph compiled by one backend.

    `timings` has the seconds of "lower", "optimize" and "compile"; "load" in place of what is not
    done, where machine code was there.
    """

    _key: str | None = None

    def __init__(self, graph: Graph, backend: str, parallel: str = "auto") -> None:
        self.graph = graph
        self.backend = backend
        self.timings: dict[str, float] = {}
        found = self._on_disk(parallel) if backend in ("llvm", "cuda") else None
        self.native = self._made(backend, parallel) if found is None else found
        if backend == "cuda":
            from codegen.cuda.function import CudaFunction

            self.native = CudaFunction(graph, self.native)
        self.origin: str = getattr(self.native, "origin", "compiled")
        self.reason: str = getattr(self.native, "reason", "")
        self.small = SMALL if backend == "llvm" else sys.maxsize
        if config.debugging("time"):
            print({stage: round(seconds * 1e3, 3) for stage, seconds in self.timings.items()})

    def _on_disk(self, parallel: str) -> Any:
        """The native code of this very graph, where an earlier process has left it."""
        start = time.perf_counter()
        found: Any = None
        if self.backend == "cuda":
            from codegen.cuda.program import find_cuda

            self._key, found = find_cuda(self.graph)
        else:
            from codegen.warm import find, key_of

            self._key = key_of(self.graph, parallel)
            found = None if self._key is None else find(self.graph, self._key)
        if found is not None:
            self.timings["load"] = time.perf_counter() - start
        return found

    def _made(self, backend: str, parallel: str) -> Any:
        start = time.perf_counter()
        target = target_of(backend)
        program, places = lower_with_places(self.graph, target)
        lowered = time.perf_counter()
        self.program = optimize(program, target)
        optimized = time.perf_counter()
        if backend == "cuda":
            from codegen.cuda.program import compile_cuda
            from codegen.device.user_lines import lines_of_names

            made: Any = compile_cuda(self.program, lines_of_names(self.graph, places), self._key)
        else:
            made = _native(self.program, backend, parallel)
        compiled = getattr(made, "origin", "compiled") == "compiled"
        self.timings["lower"] = lowered - start
        self.timings["optimize"] = optimized - lowered
        self.timings["compile" if compiled else "load"] = time.perf_counter() - optimized
        if self._key is not None and backend != "cuda":
            from codegen.warm import keep

            keep(self._key, made)
        return made

    @cached_property
    def program(self) -> Program:
        """The loop program; made when it is asked for, where the code was on disk."""
        target = target_of(self.backend)
        return optimize(lower_graph(self.graph, target), target)

    def run(self, inputs: Sequence[Any]) -> Outputs:
        """The outputs; 0-d ones as NumPy scalars, unless they are on a device."""
        if self.backend == "cuda":
            return list(self.native(inputs))
        outputs = self.native([np.asarray(value) for value in inputs])
        return [output if output.ndim else output[()] for output in outputs]

    def entry(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        leaves: Sequence[Any],
        static: frozenset[int],
        build: Callable[..., Any],
        slow_path: Callable[..., Any],
    ) -> Callable[..., Any] | None:
        """A native entry for calls like this one; None where the backend or the arguments have
        none.

        `leaves` are those of the arguments in the graph's order; positional arguments at `static`
        places are taken by identity. `build` makes the result of all outputs. Calls with other
        arguments go to `slow_path`.
        """
        if self.backend == "cuda":
            from codegen.cuda.entry import make_entry

            program = self.native.enter(leaves)
            return make_entry(program, args, kwargs, leaves, static, build, slow_path)
        if not hasattr(self.native, "make_entry"):
            return None
        from codegen.render.llvm_entry import arguments_of, result_node

        arguments = arguments_of((*args, *kwargs.values()), static, leaves)
        outputs = self.native.program.outputs
        if arguments is None:
            return None
        result = result_node(build(*range(len(outputs))), outputs, build)
        made: Callable[..., Any] = self.native.make_entry(
            arguments, result, slow_path, tuple(kwargs)
        )
        return made

    def is_elsewhere(self, leaves: Sequence[Any]) -> bool:
        """Whether these inputs lie on a device from which no entry takes inputs yet."""
        return self.backend == "cuda" and bool(self.native.is_elsewhere(leaves))

    def cost(self) -> dict[str, float]:
        """flops, bytes and peak workspace in bytes of one call; on a device, launches too."""
        found = {**program_cost(self.program), "workspace": float(self.native.workspace_bytes)}
        if self.backend == "cuda":
            from codegen.cuda.explain import launch_count

            found["launches"] = launch_count(self.native.schedule.steps)
        return found


def target_of(backend: str) -> str:
    """What kind of machine a backend's loop programs are for."""
    return "device" if backend == "cuda" else "cpu"


def _native(program: Program, backend: str, parallel: str) -> Any:
    if backend == "numba":
        from codegen.render.numba_call import compile_numba

        return compile_numba(program)
    if backend == "llvm":
        from codegen.render.llvm_call import compile_llvm

        return compile_llvm(program, parallel)
    raise BackendError(f"no compiler is called {backend!r}")


def compile_graph(graph: Graph, backend: str, parallel: str = "auto") -> CompiledGraph:
    """The graph as native code; `parallel` as in `codegen.render.llvm_machine.Machine`."""
    return CompiledGraph(graph, backend, parallel)


def render_graph(graph: Graph, backend: str, kind: str, parallel: str = "auto") -> str:
    """The text that a backend makes of a graph: "source", "loops", "llvm_ir" or "ptx"; or what it
    launches, "launches"."""
    if backend == "cuda" and kind == "launches":
        from codegen.cuda.explain import explain_graph

        return explain_graph(graph)
    target = target_of(backend)
    program = optimize(lower_graph(graph, target), target)
    if kind == "loops":
        from codegen.loops.text import print_program

        return print_program(program)
    if backend == "cuda" and kind in ("source", "ptx"):
        from codegen.cuda.program import render_cuda

        return render_cuda(program, kind)
    if kind == "source":
        from codegen.render.numba_source import render

        return render(program)
    if kind == "llvm_ir" and backend == "llvm":
        from codegen.passes.products import use_products
        from codegen.render.llvm import render_module
        from codegen.render.llvm_machine import host_machine

        machine = replace(host_machine(), parallel=parallel)
        return render_module(use_products(program, machine.vector_bytes), machine).text
    raise BackendError(f"the {backend} backend has no {kind}")
