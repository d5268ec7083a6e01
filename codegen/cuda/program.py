"""Programs compiled for a device, and called: inputs in, outputs out."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from codegen.cuda import warm
from codegen.cuda.adoption import host_array
from codegen.cuda.ahead import run_while
from codegen.cuda.calls import make_run
from codegen.cuda.driver import Driver, Span
from codegen.cuda.graphs import Graphs, Recorded
from codegen.cuda.library import runs_on_host
from codegen.cuda.segments import Segment
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import (
    NO_ROOM,
    Choose,
    Library,
    Repeat,
    RepeatWhile,
    Schedule,
    Step,
    kernels_of,
)
from codegen.loops.interpret import make_error
from codegen.loops.nodes import Buffer, Expression, Literal, Operation, Program, Variable, View
from codegen.loops.operations import evaluate
from tracer.graph.nodes import Graph

KEPT = 64 * 1024 * 1024
"""Bytes of workspace that a compiled function keeps for its next call; more goes to the pool."""
FIRST_ROOM = 1024
"""Entries of a tape at first, at most."""
FIRST_BYTES = 1024 * 1024
"""Bytes of a tape at first, at most, if it has more than a few entries."""
FEW = 4
KNOWN = 16
"""Sets of addresses whose graph a place knows."""


def compile_cuda(
    program: Program, lines: Mapping[str, str], key: str | None, driver: Driver | None = None
) -> CudaProgram:
    """The program on a device, by default the one at hand; `lines` are the user's for its names.
    Its schedule is kept on disk under the key, if there is one.

    Raises BackendError, which says what to install, where there is no device.
    """
    from codegen.cuda.driver import choose_driver

    made = CudaProgram(program, driver or choose_driver(), lines)
    if key is not None:
        warm.keep(key, made.schedule)
    return made


def find_cuda(graph: Graph, driver: Driver | None = None) -> tuple[str | None, CudaProgram | None]:
    """The key of a graph, and the program, where the disk has its schedule for that device, by
    default the one at hand; BackendError where there is no device.
    """
    from codegen.cuda.driver import choose_driver

    driver = driver or choose_driver()
    key = warm.key_of(graph, driver.machine)
    schedule = None if key is None else warm.find(key)
    return key, None if schedule is None else CudaProgram(schedule, driver)


def render_cuda(program: Program, kind: str) -> str:
    """The text of all kernels: "source" as Numba-CUDA's Python, or "ptx"; without a GPU for the
    architecture of `DeviceMachine`.
    """
    from codegen.cuda.target import compile_ptx

    machine = DeviceMachine()
    schedule = _schedule(program, machine)
    kernels = list(kernels_of(schedule.steps))
    if kind == "source":
        return "\n\n".join(kernel.source for kernel in kernels)
    texts = [
        compile_ptx(kernel.source, kernel.name, kernel.arguments, machine.capability)
        for kernel in kernels
    ]
    return "\n".join(texts)


def _schedule(
    program: Program, machine: DeviceMachine, lines: Mapping[str, str] = MappingProxyType({})
) -> Schedule:
    # A schedule from the disk needs none of these.
    from codegen.device.plan import plan_program
    from codegen.render.cuda import render_kernel

    return plan_program(program, machine, render_kernel, lines)


class CudaProgram:
    """A program on a device: call it with the list of its inputs, get the list of its outputs.

    Inputs are arrays of the driver's, C-ordered, or host arrays, which are copied. A failed check
    raises the program's error, after all has run. `seconds` is the compile time, `origin` is "disk"
    where it was made of a schedule that lay there. `run` takes arrays of the driver's only, of the
    program's types, and returns a tuple.
    """

    def __init__(
        self,
        program: Program | Schedule,
        driver: Driver,
        lines: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        start = time.perf_counter()
        self.driver = driver
        self.origin = "compiled"
        if isinstance(program, Schedule):
            self.origin = "disk"
            self.schedule = program
        else:
            self.schedule = _schedule(program, driver.machine, lines)
        self.graphs = Graphs(driver, self.library)
        self.graphs.load(self.schedule.steps)
        self.constants = {
            buffer: driver.span(driver.upload(_flat(buffer))) for buffer in self.schedule.constants
        }
        self.room = {buffer: _first_room(buffer) for buffer in self.schedule.tapes}
        self.outside = (*self.schedule.inputs, *self.schedule.outputs)
        # Places that no call is in, by stream: what runs on one runs in order.
        self.idle: dict[int, list[Place]] = {}
        self.run = make_run(self)
        self.seconds = time.perf_counter() - start

    @property
    def workspace_bytes(self) -> int:
        """Workspace of one call, tapes aside."""
        return self.schedule.workspace

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs."""
        driver = self.driver
        arrays = []
        for _, value in zip(self.schedule.inputs, inputs, strict=True):
            array = driver.adopt(value)
            arrays.append(driver.upload(host_array(value)) if array is None else array)
        return list(self.run(*arrays))

    def new_place(self) -> Place:
        """Memory for one more call at the same time."""
        return Place(self)

    def general(
        self,
        place: Place,
        idle: list[Place],
        key: tuple[int, ...],
        arrays: tuple[Any, ...],
        outputs: tuple[Any, ...],
    ) -> tuple[Any, ...]:
        """The outputs, once written; then the place, idle again, knows the graph for the key.

        A place in which a call has failed is not used again.
        """
        call = _Call(self, place)
        while not call.run(arrays, outputs):
            self.idle.clear()
            call = _Call(self, Place(self))
        place = call.place
        for buffer in self.outside:
            del place.memory[buffer]
        if call.recorded is not None and not call.recorded.copies:
            if len(place.known) >= KNOWN:
                place.known.clear()
            place.known[key] = call.recorded
        if place.bytes <= KEPT:
            idle.append(place)
        return outputs

    def settled(self, place: Place) -> bool:
        """Whether all has run; False where a tape was too short, and has more room now."""
        status = place.status
        if status is None:
            return True
        code, *details = (int(value) for value in self.driver.read(status))
        if code <= NO_ROOM:
            self._make_room(*details[:2])
        elif code:
            raise make_error(self.schedule.errors[code - 1], details)
        return code == 0

    def _make_room(self, needed: int, extent: int) -> None:
        """Twice the room for every tape that has fewer elements, and fewer entries, than what was
        asked for.
        """
        for buffer in self.room:
            width = math.prod(buffer.shape[1:])
            while self.room[buffer] * width < needed and self.room[buffer] < extent:
                self.room[buffer] *= 2

    def library(
        self, library: Library, memory: Mapping[Buffer, Span], scalars: Mapping[str, int]
    ) -> None:
        """Run a library call on that memory."""
        call = library.call
        results = [self.view(view, memory, scalars) for view in call.results]
        operands = [self.view(view, memory, scalars) for view in call.operands]
        self.driver.call(call, results, operands)

    def view(self, view: View, memory: Mapping[Buffer, Span], scalars: Mapping[str, int]) -> Any:
        """The driver's array for a view."""
        array = self.driver.view(memory[view.buffer.root], view.buffer.shape)
        for index in view.indices:
            array = array[int(value_of(index, scalars)), ...]  # not a scalar at the end
        return array if view.axes is None else array.transpose(view.axes)


def _first_room(buffer: Buffer) -> int:
    """Entries of a tape at first."""
    entry = math.prod(buffer.shape[1:]) * buffer.dtype.itemsize
    return min(FIRST_ROOM, max(FEW, FIRST_BYTES // max(entry, 1)))


def _flat(buffer: Buffer) -> np.ndarray[Any, np.dtype[Any]]:
    assert buffer.value is not None, "constants have values"
    return np.ascontiguousarray(buffer.value).reshape(-1)


class _Memory(dict[Buffer, Span]):
    """Where each buffer is; workspace when it is asked for."""

    def __init__(self, schedule: Schedule, arena: Any) -> None:
        self.schedule, self.arena = schedule, arena

    def __missing__(self, buffer: Buffer) -> Span:
        size = buffer.size * self.schedule.copies.get(buffer, 1)
        span = Span(self.arena, self.schedule.offsets[buffer], buffer.dtype, size)
        self[buffer] = span
        return span


class Place:
    """Memory for one call at a time: workspace, tapes, and the values of scalars of the host.

    known   the graphs for the addresses of inputs and outputs, where all is one graph
    spare   for each output, arrays that may be used again (`codegen.cuda.calls`)
    status  where kernels leave errors
    """

    def __init__(self, owner: CudaProgram) -> None:
        driver, schedule = owner.driver, owner.schedule
        arena = driver.allocate(schedule.workspace) if schedule.workspace else None
        self.memory = _Memory(schedule, arena)
        self.memory.update(owner.constants)
        self.scalars: dict[str, int] = {}
        self.bytes = schedule.workspace
        for buffer, room in owner.room.items():
            size = room * math.prod(buffer.shape[1:])
            self.bytes += size * buffer.dtype.itemsize
            tape = driver.allocate(size * buffer.dtype.itemsize)
            self.memory[buffer] = Span(tape, 0, buffer.dtype, size)
            self.scalars[f"{buffer.name}_capacity"] = size
        self.known: dict[tuple[int, ...], Recorded] = {}
        self.spare: list[list[Any]] = [[] for _ in schedule.outputs]
        self.status = None if schedule.status is None else self.memory[schedule.status]


class _Call:
    """One call, in a place of its own."""

    runs_ahead = True

    def __init__(self, owner: CudaProgram, place: Place) -> None:
        self.owner, self.driver, self.schedule = owner, owner.driver, owner.schedule
        self.place, self.memory, self.scalars = place, place.memory, place.scalars
        self.recorded: Recorded | None = None

    def run(self, arrays: Sequence[Any], outputs: Sequence[Any]) -> bool:
        """Run all; False where a tape was too short, and has more room now."""
        for buffer, array in zip(self.owner.outside, (*arrays, *outputs), strict=True):
            self.memory[buffer] = self.driver.span(array)
        if self.place.status is not None:
            self.driver.zero(self.place.status)
        self.steps(self.schedule.steps)
        return self.owner.settled(self.place)

    def steps(self, steps: Sequence[Step]) -> None:
        """Run steps in order: what can be captured as graphs, the rest one by one."""
        graphs = self.owner.graphs
        parts = graphs.parts(steps)
        for part in parts:
            if isinstance(part, Segment):
                recorded = self.segment(part)
                if steps is self.schedule.steps and len(parts) == 1:
                    self.recorded = recorded
            else:
                self.step(part)

    def segment(self, part: Segment) -> Recorded | None:
        """Run what can be captured."""
        return self.owner.graphs.run(part, self.memory, self.scalars)

    def grow(self, tape: Buffer, extent: int) -> None:
        """Room for so many entries of a tape, or more; what it has stays."""
        held, width = self.memory[tape], math.prod(tape.shape[1:])
        room = held.size // width
        while room < extent:
            room *= 2
        size, item = room * width, tape.dtype.itemsize
        memory = self.driver.allocate(size * item)
        self.driver.copy(Span(memory, 0, tape.dtype, held.size), held)
        self.memory[tape] = Span(memory, 0, tape.dtype, size)
        self.scalars[f"{tape.name}_capacity"] = size
        self.place.bytes += (size - held.size) * item
        self.owner.room[tape] = max(self.owner.room[tape], room)

    def step(self, step: Step) -> None:
        """Run one step that the host has a part in."""
        match step:
            case Library(call):
                # What kernels have not written must not get into Python's hands.
                if not (runs_on_host(call) and self.failed()):
                    self.owner.library(step, self.memory, self.scalars)
            case Repeat(index, start, stop, reverse, body):
                turns = range(*self.bounds(start, stop))
                for turn in reversed(turns) if reverse else turns:
                    self.scalars[index] = turn
                    self.steps(body)
            case RepeatWhile():
                run_while(self, step)
            case Choose(condition, then, otherwise):
                found = self.look(condition)
                self.steps(then if found and found[0] else otherwise)
            case _:
                raise TypeError(f"{type(step).__name__} belongs into a segment")

    def failed(self) -> bool:
        """Whether a kernel has left an error: those after it have not run."""
        return self.place.status is not None and self.look() is None

    def bounds(self, *bounds: int | Buffer) -> list[int]:
        """Numbers, or what kernels have left; zeros where one has left an error."""
        asked = [bound for bound in bounds if isinstance(bound, Buffer)]
        found = self.look(*asked) if asked else []
        if found is None:
            return [0 for _ in bounds]
        left = iter(found)
        return [next(left) if isinstance(bound, Buffer) else bound for bound in bounds]

    def look(self, *buffers: Buffer) -> list[int] | None:
        """What kernels have left in buffers of one element, by one wait; None where one has left an
        error: those after it have not run."""
        status = self.place.status
        spans = [self.memory[buffer] for buffer in buffers]
        if status is not None:
            spans.append(replace(status, size=1))
        found = [int(values[0]) for values in self.driver.glance(spans).values()]
        return None if status is not None and found.pop() else found


def value_of(expression: Expression, indices: Mapping[str, int]) -> Any:
    """The value of an expression of the host's loop indices."""
    match expression:
        case Literal(value):
            return value
        case Variable(name):
            return np.int64(indices[name])
        case Operation(name, operands, dtype):
            return evaluate(name, dtype, tuple(value_of(part, indices) for part in operands))
    raise TypeError(f"the host cannot find {type(expression).__name__}")
