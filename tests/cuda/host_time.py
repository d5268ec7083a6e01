"""The host's own time for a settled call on a GPU, without one: `python -m tests.cuda.host_time`.

Arrays are CuPy's, on memory that is not there. What asks CUDA for something is a C function that
does nothing, so that the microseconds are those of Python, CuPy's attributes included: of a
compiled program alone, and of a call of the jitted function. On a GPU, CUDA's launch of a graph
comes on top.
"""

from __future__ import annotations

import itertools
import operator
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import cupy
import numpy as np
from cupy.cuda import memory

import tracer
from codegen.cuda import driver as drivers
from codegen.cuda.counting_driver import CountingDriver
from codegen.cuda.cupy_driver import CuPyDriver
from codegen.cuda.driver import Span

ROUNDS, CALLS = 200, 100


class SilentDriver(CountingDriver):
    """The counting driver with CuPy's arrays and CuPy's texts; a replay is counted nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self._places = itertools.count(2**32, 2**24)
        nothing: Any = SimpleNamespace(graph=SimpleNamespace(graphExec=1))
        self._graph = nothing
        runtime = SimpleNamespace(
            getDevice=itertools.repeat(0).__next__,
            streamPerThread=2,
            graphLaunch=operator.is_,
        )
        stream = SimpleNamespace(ptr=0)
        cuda = SimpleNamespace(
            runtime=runtime, get_current_stream=itertools.repeat(stream).__next__
        )
        stand_in = SimpleNamespace(
            cupy=SimpleNamespace(cuda=cuda, ndarray=cupy.ndarray), index=0, _elsewhere=None
        )
        self.texts = CuPyDriver._texts(stand_in)  # type: ignore[arg-type]

    def adopt(self, value: Any) -> Any:
        """CuPy's arrays."""
        return value if isinstance(value, cupy.ndarray) else None

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """An array without memory."""
        return cupy.ndarray(shape, dtype, self.allocate(1))

    def allocate(self, size: int) -> Any:
        """A place where no memory is."""
        self.counts["allocate"] += 1
        place = memory.UnownedMemory(next(self._places), size, None, 0)
        return memory.MemoryPointer(place, 0)

    def span(self, array: Any) -> Span:
        """All of the array."""
        return Span(array.data, 0, array.dtype, array.size)

    def address(self, span: Span) -> int:
        """Where it would be."""
        return int(span.memory.ptr) + span.offset

    def call(self, call: Any, results: Any, operands: Any) -> None:
        """Nothing."""

    def capture(self, record: Callable[[], None]) -> Any:
        """A graph that does nothing."""
        super().capture(record)
        return self._graph

    def replay(self, graph: Any) -> None:
        """Nothing; in calls that are not settled."""
        self.counts["replay"] += 1


@contextmanager
def silent() -> Iterator[SilentDriver]:
    """Functions for `cuda` are compiled for a driver that does nothing."""
    before = drivers.choose_driver
    driver = SilentDriver()
    drivers.choose_driver = lambda device=None: driver
    try:
        yield driver
    finally:
        drivers.choose_driver = before


def seconds(call: Callable[[], object], rounds: int = ROUNDS, calls: int = CALLS) -> float:
    """Of one call: the fastest of some rounds."""
    for _ in range(8):
        call()
    fastest = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in itertools.repeat(None, calls):
            call()
        fastest = min(fastest, (time.perf_counter() - start) / calls)
    return fastest


def total(*arrays: Any) -> Any:
    """One output, of all arguments."""
    result = arrays[0]
    for array in arrays[1:]:
        result = result + array
    return result


def network(parameters: Any, x: Any) -> Any:
    """Six layers, whose gradient takes dozens of launches."""
    for weights in parameters:
        x = np.tanh(x @ weights + 0.1)
    return np.sum(x**2)


def cases(driver: SilentDriver) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Functions with arguments on the device."""

    def array(*shape: int) -> Any:
        return driver.empty(shape, np.dtype(np.float32))

    table = {f"layer{number}": array(64, 64) for number in range(6)}
    return {
        "1 argument": (total, (array(1000),)),
        "3 arguments": (total, tuple(array(1000) for _ in range(3))),
        "10 arguments": (total, tuple(array(1000) for _ in range(10))),
        "an array and a number": (total, (array(1000), 0.5)),
        "a dict of 6 arrays": (lambda p: total(*p.values()), (table,)),
        "gradient of 6 layers": (
            tracer.value_and_grad(network),
            ([array(256, 256) for _ in range(6)], array(512, 256)),
        ),
    }


def measure(rounds: int = ROUNDS, calls: int = CALLS) -> list[tuple[str, int, float, float]]:
    """Of each case: its name, the launches and calls of libraries in its graph, and microseconds
    of the jitted function and of its program alone.
    """
    found = []
    with silent() as driver:
        for name, (function, arguments) in cases(driver).items():
            compiled = tracer.jit(function, backend="cuda")
            compiled(*arguments)
            jitted = seconds(partial(compiled, *arguments), rounds, calls)
            (entry,) = compiled._entries.values()
            program = entry.executable.native.first
            flat = [
                leaf if isinstance(leaf, cupy.ndarray) else driver.upload(np.asarray(leaf))
                for leaf in tracer.tree.leaves(arguments)
            ]
            alone = seconds(partial(program.run, *flat), rounds, calls)
            steps = len(program.schedule.steps)
            found.append((name, steps, 1e6 * jitted, 1e6 * alone))
    return found


def main() -> None:
    """Print a table."""
    print("| call | steps | jitted function, µs | program alone, µs |")
    print("| --- | --- | --- | --- |")
    for name, steps, jitted, alone in measure():
        print(f"| {name} | {steps} | {jitted:.1f} | {alone:.1f} |")


if __name__ == "__main__":
    main()
