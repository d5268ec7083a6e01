"""Kernels run by Python, thread after thread.

A kernel's text is changed so that a thread stops where it has to meet others, as a generator does:
at a barrier, or at an exchange within its warp. The others then run up to there, and all go on once
everybody has come, in an order that is always the same. Where somebody does not come, or comes to
another place, a GPU would wait for ever or exchange nonsense: here that is an error.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Sequence
from types import GeneratorType
from typing import Any, NamedTuple

import numpy as np

from codegen.cuda import simulated_math
from codegen.cuda.races import Accesses, Memory, Moment
from codegen.device.machine import DeviceMachine
from codegen.device.schedule import Kernel

BARRIER, VOTE, WARP_BARRIER = "barrier", "vote", "barrier of a warp"
EXCHANGE, BROADCAST, SHIFT, BALLOT = "exchange", "broadcast", "shift", "ballot"
MEETINGS = {
    "syncthreads": BARRIER,
    "syncthreads_or": VOTE,
    "syncwarp": WARP_BARRIER,
    "shfl_xor_sync": EXCHANGE,
    "shfl_sync": BROADCAST,
    "shfl_up_sync": SHIFT,
    "ballot_sync": BALLOT,
}
WHOLE_WARP = 0xFFFFFFFF


class DivergenceError(RuntimeError):
    """Threads that have to meet do not come to the same place."""


class Meeting(NamedTuple):
    """Where a thread waits: for whom, in which line, with what."""

    kind: str
    line: int
    operands: tuple[Any, ...]


class _Stops(ast.NodeTransformer):
    """Calls at which threads meet become yields."""

    found = False

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`cuda.syncthreads()` and its like."""
        self.generic_visit(node)
        function = node.func
        if (
            not isinstance(function, ast.Attribute)
            or not isinstance(function.value, ast.Name)
            or function.value.id != "cuda"
            or function.attr not in MEETINGS
        ):
            return node
        self.found = True
        kind = ast.Constant(MEETINGS[function.attr])
        stop = ast.Yield(ast.Tuple([kind, *node.args], ast.Load()))
        return ast.copy_location(stop, node)


class Place:
    """An index or an extent, of one dimension."""

    __slots__ = ("x", "y", "z")

    def __init__(self, x: int, rest: int) -> None:
        self.x, self.y, self.z = x, rest, rest


class _Arrays:
    """`cuda.shared`: one memory a block for each declaration, in the order of declarations."""

    def __init__(self, device: SimulatedCuda) -> None:
        self.device = device
        self.found: list[Memory] = []
        self.next = 0
        self.bytes = 0

    def array(self, shape: int, dtype: Any) -> Memory:
        """The next declaration's memory."""
        device = self.device
        if self.next == len(self.found):
            made = _fresh(f"shared array {self.next}", shape, dtype, device.accesses)
            device.accesses.held.append(made)  # so that no address is used twice
            self.found.append(made)
            self.bytes += made.memory.nbytes
            if self.bytes > device.machine.shared:
                raise MemoryError(f"{self.bytes} bytes of shared memory in one block")
        self.next += 1
        return self.found[self.next - 1]


class _Local:
    """`cuda.local`: memory of a thread's own."""

    def array(self, shape: int, dtype: Any) -> Memory:
        """New memory."""
        return _fresh("a local array", shape, dtype, None)


class _Atomic:
    """`cuda.atomic`: threads run one after another, so everything is."""

    def add(self, array: Memory, index: Any, value: Any) -> Any:
        """The element before."""
        return array.change(index, lambda before: before + value)

    def max(self, array: Memory, index: Any, value: Any) -> Any:
        """The element before."""
        return array.change(index, lambda before: max(before, value))

    def min(self, array: Memory, index: Any, value: Any) -> Any:
        """The element before."""
        return array.change(index, lambda before: min(before, value))

    def cas(self, array: Memory, index: Any, old: Any, value: Any) -> Any:
        """The element before, which only gives way to `value` if it is `old`."""
        return array.change(index, lambda before: value if before == old else before)


class SimulatedCuda:
    """What kernels know as `cuda`, for one launch."""

    def __init__(self, machine: DeviceMachine, accesses: Accesses) -> None:
        self.machine = machine
        self.accesses = accesses
        self.shared = _Arrays(self)
        self.local = _Local()
        self.atomic = _Atomic()
        self.blockIdx, self.threadIdx = Place(0, 0), Place(0, 0)
        self.blockDim, self.gridDim = Place(1, 1), Place(1, 1)

    def grid(self, _: int) -> int:
        """The thread's number in the whole grid."""
        return self.threadIdx.x + self.blockIdx.x * self.blockDim.x

    def gridsize(self, _: int) -> int:
        """Threads of the whole grid."""
        return self.blockDim.x * self.gridDim.x

    def selp(self, condition: Any, if_true: Any, if_false: Any) -> Any:
        """One of two values."""
        return if_true if condition else if_false

    def popc(self, value: Any) -> int:
        """How many bits are ones."""
        return int(value).bit_count()

    def cbrt(self, value: Any) -> Any:
        """The cube root."""
        return np.cbrt(value)


def _fresh(name: str, shape: int, dtype: Any, accesses: Accesses | None) -> Memory:
    memory = np.empty(shape, dtype)
    memory.view(np.uint8)[...] = 255
    return Memory(name, memory, accesses, np.zeros(shape, np.bool_))


def _with_stops(kernel: Kernel) -> ast.Module:
    """The text in which threads stop at meetings; functions of the device are plain ones, and
    Numba is not needed.
    """
    module = ast.parse(kernel.source)
    module.body = [
        part
        for part in module.body
        if not (isinstance(part, ast.ImportFrom) and part.module == "numba")
    ]
    for part in module.body:
        stops = _Stops()
        stops.visit(part)
        if isinstance(part, ast.FunctionDef):
            part.decorator_list.clear()
            if stops.found and part.name != kernel.name:
                raise TypeError(f"threads meet in {part.name}, which is not the kernel itself")
    return ast.fix_missing_locations(module)


class SimulatedKernel:
    """A kernel that can be run. `cuda` and `math` in its text are the simulator's."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.filename = f"<cuda {kernel.name} {id(kernel):x}>"
        lines = kernel.source.splitlines(keepends=True)
        linecache.cache[self.filename] = (len(kernel.source), None, lines, self.filename)
        namespace: dict[str, Any] = {"__name__": f"cuda_{kernel.name}"}
        exec(compile(_with_stops(kernel), self.filename, "exec"), namespace)
        if "math" in namespace:
            namespace["math"] = simulated_math
        self.namespace = namespace
        self.start: Callable[..., Any] = namespace[kernel.name]

    def run(
        self,
        blocks: int,
        threads: int,
        machine: DeviceMachine,
        accesses: Accesses,
        arguments: Sequence[Any],
    ) -> None:
        """All blocks, one after another."""
        device = SimulatedCuda(machine, accesses)
        device.blockDim, device.gridDim = Place(threads, 1), Place(blocks, 1)
        self.namespace["cuda"] = device
        with np.errstate(all="ignore"):
            for block in range(blocks):
                device.blockIdx = Place(block, 0)
                device.shared = _Arrays(device)
                _Block(self, device, threads, arguments).run()


class _Thread:
    """One thread: it runs until it waits."""

    def __init__(self, number: int, warp: int, start: Callable[[], Any]) -> None:
        self.number, self.warp, self.start = number, warp, start
        self.running: GeneratorType[tuple[Any, ...], Any, None] | None = None
        self.meeting: Meeting | None = None
        self.ended = False
        self.answer: Any = None
        self.declared = 0

    def go_on(self) -> None:
        """Run to the next meeting, or to the end."""
        self.meeting = None
        try:
            if self.running is None:
                started = self.start()
                if not isinstance(started, GeneratorType):
                    self.ended = True
                    return
                self.running = started
            kind, *operands = self.running.send(self.answer)
        except StopIteration:
            self.ended = True
            return
        self.answer = None
        frame = self.running.gi_frame
        assert frame is not None, "it has only stopped"
        self.meeting = Meeting(kind, frame.f_lineno, tuple(operands))


class _Block:
    """The threads of a block, and the barriers that they have been through."""

    def __init__(
        self,
        kernel: SimulatedKernel,
        device: SimulatedCuda,
        threads: int,
        arguments: Sequence[Any],
    ) -> None:
        self.kernel, self.device, self.size = kernel, device, device.machine.warp
        self.threads = [
            _Thread(number, number // self.size, lambda: kernel.start(*arguments))
            for number in range(threads)
        ]
        self.barriers = 0
        self.warp_barriers = [0] * -(-threads // self.size)

    def run(self) -> None:
        """All threads to their ends."""
        while True:
            for start in range(0, len(self.threads), self.size):
                self.run_warp(self.threads[start : start + self.size])
            if all(thread.ended for thread in self.threads):
                return
            self.check(self.threads, "the block")
            vote(self.threads)
            self.barriers += 1
            self.warp_barriers = [0] * len(self.warp_barriers)

    def run_warp(self, warp: list[_Thread]) -> None:
        """A warp until all of its threads wait for the block, or have ended."""
        while True:
            for thread in warp:
                if not thread.ended:
                    self.go_on(thread)
            kinds = {thread.meeting.kind for thread in warp if thread.meeting is not None}
            if kinds <= {BARRIER, VOTE}:
                return
            self.check(warp, "the warp")
            if len(warp) < self.size:
                raise DivergenceError(f"{self.where(warp[0])}: the warp has {len(warp)} threads")
            if kinds == {WARP_BARRIER}:
                self.warp_barriers[warp[0].warp] += 1
            elif kinds == {BALLOT}:
                ballot(warp)
            elif kinds == {SHIFT}:
                shift(warp)
            else:
                exchange(warp)

    def go_on(self, thread: _Thread) -> None:
        """Run one thread."""
        device, barriers = self.device, self.warp_barriers[thread.warp]
        block = device.blockIdx.x
        device.threadIdx = Place(thread.number, 0)
        device.shared.next = thread.declared
        moment = Moment(block, thread.number, thread.warp, self.barriers, barriers)
        device.accesses.moment = moment
        try:
            thread.go_on()
        except Exception as error:
            error.add_note(f"in {moment} of {self.kernel.kernel.name}")
            raise
        thread.declared = device.shared.next

    def check(self, threads: list[_Thread], everybody: str) -> None:
        """DivergenceError unless all of them wait at the same place."""
        first = next(thread for thread in threads if thread.meeting is not None)
        assert first.meeting is not None, "it was chosen for that"
        for thread in threads:
            found = thread.meeting
            if found is None or found[:2] != first.meeting[:2]:
                raise DivergenceError(
                    f"not all of {everybody} come to the {first.meeting.kind}: "
                    f"{self.where(first)}; {self.where(thread)}"
                )

    def where(self, thread: _Thread) -> str:
        """Where a thread is, for errors."""
        name = f"thread {thread.number} of block {self.device.blockIdx.x}"
        if thread.meeting is None:
            return f"{name} has left {self.kernel.kernel.name}"
        line = thread.meeting.line
        text = linecache.getline(self.kernel.filename, line).strip()
        return f"{name} of {self.kernel.kernel.name} waits in line {line}: {text}"


def vote(threads: list[_Thread]) -> None:
    """Tell each thread whether any has come with something else than 0."""
    given = [thread.meeting.operands for thread in threads if thread.meeting is not None]
    found = any(value for operands in given for value in operands)
    for thread in threads:
        thread.answer = int(found)


def exchange(warp: list[_Thread]) -> None:
    """Give each thread of a warp the value of the one whose number differs in the asked bits, or
    that has the asked number.
    """
    for place, thread in enumerate(warp):
        assert thread.meeting is not None, "all have come"
        whole, _, number = thread.meeting.operands
        partner = warp[int(number) ^ (place if thread.meeting.kind is EXCHANGE else 0)].meeting
        if whole != WHOLE_WARP or partner is None or partner.operands[2] != number:
            raise DivergenceError(f"the warp exchanges {thread.meeting} with {partner}")
        thread.answer = partner.operands[1]


def ballot(warp: list[_Thread]) -> None:
    """Tell each thread of a warp which of them hold something else than 0: a bit for each."""
    found = 0
    for place, operands in enumerate(_given(warp)):
        found |= (1 << place) if operands[1] else 0
    for thread in warp:
        thread.answer = np.uint32(found).view(np.int32)


def shift(warp: list[_Thread]) -> None:
    """Give each thread of a warp the value of the one so many places before it; its own where there
    is none.
    """
    given = _given(warp)
    distances = {int(operands[2]) for operands in given}
    if len(distances) > 1:
        raise DivergenceError(f"the warp moves values by {distances}")
    (distance,) = distances
    for place, thread in enumerate(warp):
        thread.answer = given[place - distance if place >= distance else place][1]


def _given(warp: list[_Thread]) -> list[tuple[Any, ...]]:
    """What the threads of a whole warp have come with."""
    given = [thread.meeting.operands for thread in warp if thread.meeting is not None]
    if len(given) < len(warp) or any(operands[0] != WHOLE_WARP for operands in given):
        raise DivergenceError("not all threads of the warp take part")
    return given
