"""Programs compiled for a device, and called: inputs in, outputs out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from codegen.cuda.driver import Driver, Span
from codegen.device.plan import plan_program
from codegen.device.schedule import (
    Choose,
    Kernel,
    Launch,
    Library,
    Repeat,
    RepeatWhile,
    Schedule,
    Step,
)
from codegen.loops.interpret import make_error
from codegen.loops.nodes import Buffer, Expression, Literal, Operation, Program, Variable, View
from codegen.loops.operations import evaluate
from codegen.render.cuda import render_kernel
from codegen.render.cuda_statements import NO_ROOM

FIRST_ROOM = 1024
"""Entries of a tape at first."""


class CudaProgram:
    """A program on a device: call it with the list of its inputs, get the list of its outputs.

    Inputs are arrays of the driver's, C-ordered, or host arrays, which are copied. A failed check
    raises the program's error, after all has run. `seconds` is the compile time.
    """

    def __init__(self, program: Program, driver: Driver) -> None:
        start = time.perf_counter()
        self.program = program
        self.driver = driver
        self.schedule: Schedule = plan_program(program, driver.machine, render_kernel)
        self.loaded = {
            kernel: driver.load(kernel) for kernel in kernels_of(self.schedule.steps)
        }
        self.constants = {
            buffer: driver.upload(np.ascontiguousarray(buffer.value).reshape(buffer.shape))
            for buffer in self.schedule.constants
        }
        self.room = {buffer: FIRST_ROOM for buffer in self.schedule.tapes}
        self.seconds = time.perf_counter() - start

    @property
    def workspace_bytes(self) -> int:
        """Workspace of one call, tapes aside."""
        return self.schedule.workspace

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs for these inputs."""
        while True:
            outputs = _Call(self, inputs).run()
            if outputs is not None:
                return outputs


class _Call:
    """One call: where each buffer is."""

    def __init__(self, owner: CudaProgram, inputs: Sequence[Any]) -> None:
        self.owner, self.driver, self.schedule = owner, owner.driver, owner.schedule
        driver, schedule = self.driver, self.schedule
        self.arrays: dict[Buffer, Any] = dict(owner.constants)
        for buffer, value in zip(schedule.inputs, inputs, strict=True):
            array = driver.adopt(value)
            self.arrays[buffer] = driver.upload(np.asarray(value)) if array is None else array
        self.outputs = [driver.empty(buffer.shape, buffer.dtype) for buffer in schedule.outputs]
        self.arrays.update(zip(schedule.outputs, self.outputs, strict=True))
        self.spans = {buffer: driver.span(array) for buffer, array in self.arrays.items()}
        self.arena = driver.allocate(schedule.workspace) if schedule.workspace else None
        for buffer, offset in schedule.offsets.items():
            size = buffer.size * schedule.copies.get(buffer, 1)
            self.spans[buffer] = Span(self.arena, offset, buffer.dtype, size)
        for buffer, room in owner.room.items():
            width = int(np.prod(buffer.shape[1:], dtype=np.int64))
            memory = driver.allocate(room * width * buffer.dtype.itemsize)
            self.spans[buffer] = Span(memory, 0, buffer.dtype, room * width)
        self.indices: dict[str, int] = {}

    def run(self) -> list[Any] | None:
        """The outputs; None where a tape was too short, and has more room now."""
        status = self.schedule.status
        if status is not None:
            self.driver.zero(self.spans[status])
        self.steps(self.schedule.steps)
        if status is None:
            return self.outputs
        code, *details = (int(value) for value in self.driver.read(self.spans[status]))
        if code == 0:
            return self.outputs
        if code == NO_ROOM:
            self.make_room(details[0])
            return None
        raise make_error(self.schedule.errors[code - 1], details)

    def make_room(self, needed: int) -> None:
        """Twice the room for every tape that is shorter than what was asked for."""
        room = self.owner.room
        for buffer in room:
            width = int(np.prod(buffer.shape[1:], dtype=np.int64))
            while room[buffer] * width < needed:
                room[buffer] *= 2

    def steps(self, steps: Sequence[Step]) -> None:
        """Run steps in order."""
        for step in steps:
            self.step(step)

    def step(self, step: Step) -> None:
        """Run one step."""
        match step:
            case Launch(kernel, blocks, threads):
                self.launch(kernel, blocks, threads)
            case Library(call):
                results = [self.view(view) for view in call.results]
                operands = [self.view(view) for view in call.operands]
                self.driver.call(call, results, operands)
            case Repeat(index, start, stop, reverse, body):
                turns = range(self.bound(start), self.bound(stop))
                for turn in reversed(turns) if reverse else turns:
                    self.indices[index] = turn
                    self.steps(body)
            case RepeatWhile(test, condition, body):
                self.steps(test)
                while not self.failed() and self.driver.read(self.spans[condition])[0]:
                    self.steps(body)
                    self.steps(test)
            case Choose(condition, then, otherwise):
                chosen = not self.failed() and self.driver.read(self.spans[condition])[0]
                self.steps(then if chosen else otherwise)

    def failed(self) -> bool:
        """Whether a kernel has left an error: those after it have not run."""
        status = self.schedule.status
        return status is not None and bool(self.driver.read(self.spans[status])[0])

    def bound(self, bound: int | Buffer) -> int:
        """A number, or what a kernel has left."""
        if isinstance(bound, int):
            return bound
        return 0 if self.failed() else int(self.driver.read(self.spans[bound])[0])

    def launch(self, kernel: Kernel, blocks: int, threads: int) -> None:
        """Run a kernel on the memory of its arguments."""
        given: list[Any] = []
        for argument in kernel.arguments:
            if argument.buffer is not None:
                given.append(self.spans[argument.buffer])
            elif argument.name in self.indices:
                given.append(np.int64(self.indices[argument.name]))
            else:
                given.append(np.int64(self.capacity(argument.name)))
        self.driver.launch(self.owner.loaded[kernel], blocks, threads, given)

    def capacity(self, name: str) -> int:
        """How many elements a tape has room for."""
        for buffer in self.schedule.tapes:
            if name == f"{buffer.name}_capacity":
                return self.spans[buffer].size
        raise KeyError(name)

    def view(self, view: View) -> Any:
        """The driver's array for a view."""
        buffer = view.buffer
        span = self.spans[buffer.root]
        array = self.driver.view(span, buffer.shape)
        for index in view.indices:
            array = array[int(value_of(index, self.indices))]
        return array if view.axes is None else array.transpose(view.axes)


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


def kernels_of(steps: Sequence[Step]) -> Iterator[Kernel]:
    """All kernels of a schedule, those of loops once."""
    for step in steps:
        match step:
            case Launch(kernel):
                yield kernel
            case Repeat(body=body):
                yield from kernels_of(body)
            case RepeatWhile(test, _, body):
                yield from kernels_of((*test, *body))
            case Choose(_, then, otherwise):
                yield from kernels_of((*then, *otherwise))
