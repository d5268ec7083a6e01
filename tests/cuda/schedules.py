"""Small schedules for tests of what the host does: kernels without text, buffers, steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from codegen.cuda.counting_driver import CountedArray, CountingDriver
from codegen.cuda.driver import Span
from codegen.cuda.graphs import Graphs
from codegen.cuda.segments import Segment
from codegen.device.schedule import Argument, Kernel, Launch, Library, Step
from codegen.loops.nodes import Buffer, Call, View

F64 = np.dtype(np.float64)
I64 = np.dtype(np.int64)


def make_buffer(name: str, role: str, *shape: int) -> Buffer:
    return Buffer(name, F64, shape, role)


def make_launch(
    name: str, *buffers: Buffer, scalars: Sequence[str] = (), blocks: int = 1
) -> Launch:
    """A launch of a kernel that takes these buffers, and then these variables of the host."""
    arguments = [Argument(buffer.name, F64, "pointer", buffer.root) for buffer in buffers]
    arguments += [Argument(scalar, I64, "scalar") for scalar in scalars]
    return Launch(Kernel(name, "", tuple(arguments)), blocks, 32)


def make_product(result: Buffer, left: Buffer, right: Buffer) -> Library:
    return Library(Call("matmul", (View(result),), (View(left), View(right))))


class Host:
    """Runs the segments of some steps as a compiled program would, on the counting driver."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.driver = CountingDriver()
        self.graphs = Graphs(self.driver, self._call)
        self.steps = steps
        self.held: list[CountedArray] = []

    def memory(self, *buffers: Buffer) -> dict[Buffer, Span]:
        """New memory for each, which `held` keeps from being handed out again."""
        arrays = {buffer: self.driver.empty(buffer.shape, buffer.dtype) for buffer in buffers}
        self.held += arrays.values()
        return {buffer: self.driver.span(array) for buffer, array in arrays.items()}

    def run(
        self, memory: Mapping[Buffer, Span], scalars: Mapping[str, int] | None = None
    ) -> dict[str, int]:
        """Run all segments: what was asked of the driver."""
        before = self.driver.counts.copy()
        self.driver.ran.clear()
        for part in self.graphs.parts(self.steps):
            assert isinstance(part, Segment), part
            self.graphs.run(part, memory, scalars or {})
        return dict(self.driver.counts - before)

    def _call(self, step: Library, memory: Mapping[Buffer, Span], scalars: Any) -> None:
        views = [self.driver.view(memory[view.buffer], view.shape) for view in step.views]
        self.driver.call(step.call, views[:1], views[1:])

    def addresses(self, memory: Mapping[Buffer, Span], *buffers: Buffer) -> list[int]:
        return [self.driver.address(memory[buffer]) for buffer in buffers]
