"""The parts of a schedule that one graph can hold: all between two decisions of the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codegen.cuda.library import allows_capture
from codegen.device.schedule import Launch, Library, Repeat, RepeatWhile, Step
from codegen.loops.nodes import Buffer, Expression, Load, Operation, Variable

LONG = 2048
"""Tasks that a segment has at most, and so loops that are unrolled into one."""
LONGEST = 8 * LONG
"""Tasks of a loop that is unrolled into several segments: a turn by the host costs a replay, and an
update of each launch that has the loop's index."""


BATCHES = 6
"""Sizes of batches of turns: the last is of 32."""
BATCH = 512
"""Tasks of a batch of more turns than one."""


@dataclass(frozen=True, slots=True)
class Task:
    """A launch or a library call, with the values that unrolled loops have given their indices."""

    step: Launch | Library
    scalars: tuple[tuple[str, int], ...] = ()

    @property
    def buffers(self) -> set[Buffer]:
        """The roots of what it reads and writes."""
        if isinstance(self.step, Library):
            return {view.buffer.root for view in self.step.views}
        return {
            argument.buffer.root
            for argument in self.step.kernel.arguments
            if argument.buffer is not None
        }

    @property
    def outer(self) -> set[str]:
        """The host's variables that it uses and no unrolled loop has given."""
        if isinstance(self.step, Library):
            indices = [index for view in self.step.views for index in view.indices]
            names = {name for index in indices for name in _names(index)}
        else:
            arguments = self.step.kernel.arguments
            names = {argument.name for argument in arguments if argument.kind == "scalar"}
        return names - {name for name, _ in self.scalars}


class Segment:
    """Tasks that the host can ask for without waiting in between.

    movable   the buffers whose addresses a graph holds: inputs, outputs, tapes, status, constants,
              and one workspace buffer for the whole arena
    outer     the names of the host's variables from outside
    readers   for each of both, the places among the launches that use it
    pinned    those of both that a library call uses: where one changes, a graph cannot follow
    launches  how many of the tasks are launches
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tuple(tasks)
        self.launches = sum(isinstance(task.step, Launch) for task in tasks)
        readers: dict[Buffer | str, dict[int, None]] = {}
        pinned: set[Buffer | str] = set()
        arena: Buffer | None = None
        place = 0
        for task in tasks:
            used: set[Buffer | str] = {*task.outer}
            for buffer in task.buffers:
                if buffer.role == "workspace" and not buffer.is_tape:
                    buffer = arena = arena or buffer
                used.add(buffer)
            for item in used:
                readers.setdefault(item, {})
            if isinstance(task.step, Library):
                pinned |= used
                continue
            for item in used:
                readers[item][place] = None
            place += 1
        self.readers = {item: tuple(places) for item, places in readers.items()}
        self.movable = tuple(item for item in self.readers if not isinstance(item, str))
        self.outer = tuple(item for item in self.readers if isinstance(item, str))
        self.pinned = frozenset(pinned)

    @property
    def keyed(self) -> tuple[Buffer | str, ...]:
        """What a key has the address or value of, in its order."""
        return (*self.movable, *self.outer)


Part = Segment | Step


def batches(loop: RepeatWhile) -> tuple[Segment, ...]:
    """One, two, four … turns of a while loop; none where the host has to wait in each."""
    turn = (*loop.body, *loop.test)
    count = task_count(turn) if loop.ahead else None
    if count is None or count > LONG:
        return ()
    made: list[Segment] = []
    tasks = list(_tasks(turn, ()))
    while not made or (len(made) < BATCHES and len(tasks) <= BATCH):
        made.append(Segment(tasks))
        tasks += tasks
    return tuple(made)


def split(steps: Sequence[Step]) -> tuple[Part, ...]:
    """The steps in their order, with all that can be captured joined into segments."""
    parts: list[Part] = []
    tasks: list[Task] = []

    def close() -> None:
        if tasks:
            parts.append(Segment(tasks))
            tasks.clear()

    for step in steps:
        count = task_count((step,))
        if count is None or count > LONGEST:
            close()
            parts.append(step)
            continue
        for task in _tasks((step,), ()):
            if len(tasks) == LONG:
                close()
            tasks.append(task)
    close()
    return tuple(parts)


def task_count(steps: Sequence[Step]) -> int | None:
    """How many tasks the steps are once their loops are unrolled; None where the host decides."""
    total = 0
    for step in steps:
        if isinstance(step, Launch):
            total += step.blocks > 0
        elif isinstance(step, Library) and allows_capture(step.call):
            total += 1
        elif isinstance(step, Repeat) and not isinstance(step.start, Buffer):
            inner = task_count(step.body)
            if inner is None or isinstance(step.stop, Buffer):
                return None
            total += inner * max(0, step.stop - step.start)
        else:
            return None
    return total


def _tasks(steps: Sequence[Step], scalars: tuple[tuple[str, int], ...]) -> Iterator[Task]:
    for step in steps:
        if isinstance(step, Repeat):
            assert isinstance(step.start, int), "bounds on the device are not unrolled"
            assert isinstance(step.stop, int), "bounds on the device are not unrolled"
            values = range(step.start, step.stop)
            for value in reversed(values) if step.reverse else values:
                yield from _tasks(step.body, (*scalars, (step.index, value)))
        elif isinstance(step, Library) or (isinstance(step, Launch) and step.blocks > 0):
            yield Task(step, scalars)


def _names(expression: Expression) -> set[str]:
    """The variables of an index."""
    if isinstance(expression, Variable):
        return {expression.name}
    parts = expression.operands if isinstance(expression, Operation) else ()
    parts = expression.indices if isinstance(expression, Load) else parts
    return {name for part in parts for name in _names(part)}
