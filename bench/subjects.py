"""Who is measured: this library on each of its backends, and the peers."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tracer
from bench.workload import Differentiation, Function, Inputs, Program, Size, Workload

REFERENCE = "numpy"
"""The backend to which every other subject is compared, and its speed with it."""
BACKENDS = ("numpy", "numba", "llvm", "cuda", "eager")
"""`eager` is no compilation at all: each call traces anew and evaluates as it goes."""


@dataclass(frozen=True)
class Task:
    """One program of one workload at one size, with its inputs as NumPy arrays."""

    workload: Workload
    size: Size
    program: Program
    program_name: str
    inputs: Inputs

    @property
    def build(self) -> Callable[[Size], Function]:
        """What makes the function in plain NumPy: the program's own, or the workload's."""
        return self.program.build or self.workload.build

    @property
    def torch_build(self) -> Callable[[Any, Size], Function] | None:
        """The same for PyTorch."""
        return self.program.torch_build or self.workload.torch_build


@dataclass(frozen=True)
class Prepared:
    """A subject that is ready to be called.

    `call()` runs the program as a user would, and returns when its results are there; `first_call`
    calls what the stages have made; `stages` says what it took in seconds to get so far, by name;
    `to_numpy` turns the results into a tuple of NumPy arrays.
    """

    call: Callable[[], Any]
    first_call: Callable[[], Any]
    stages: Mapping[str, float]
    to_numpy: Callable[[Any], tuple[Any, ...]]


def eager(call: Callable[[], Any], to_numpy: Callable[[Any], tuple[Any, ...]] = tuple) -> Prepared:
    """A subject without stages, whose first call is like any other."""
    return Prepared(call, call, {}, to_numpy)


class Subject(ABC):
    """One way to run a workload."""

    name: str
    kind: str
    keeps_code: bool = False
    """Whether a later process finds its machine code on the disk."""

    def has(self, task: Task) -> bool:
        """Whether the workload has a version for this one."""
        return True

    @abstractmethod
    def prepare(self, task: Task) -> Prepared:
        """Everything up to the first call."""


class Stopwatch:
    """Collects the seconds of named stages."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}

    def time(self, stage: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call, add the seconds to the stage's, and return the result."""
        started = time.perf_counter()
        result = call(*arguments, **options)
        passed = time.perf_counter() - started
        self.stages[stage] = self.stages.get(stage, 0.0) + passed
        return result


def tracer_elementwise_grad(function: Function, argnum: int) -> Function:
    """The derivative of each result by its own element: the gradient of the results' sum."""

    def total(*arguments: Any) -> Any:
        return function(*arguments).sum()

    return tracer.grad(total, argnum)


def tracer_repeat(count: int, step: Function, state: Any) -> Any:
    """`step` applied `count` times: a loop of the graph."""
    return tracer.fori_loop(0, count, lambda _, carry: step(carry), state)


def tracer_batched_jacobian(function: Function, argnums: tuple[int, ...]) -> Function:
    return tracer.vmap(tracer.jacrev(function, argnums))


TRACER = Differentiation(
    value_and_grad=lambda function, argnums: tracer.value_and_grad(function, argnums=argnums),
    elementwise_grad=tracer_elementwise_grad,
    repeat=tracer_repeat,
    batched_jacobian=tracer_batched_jacobian,
)


def reference_outputs(task: Task) -> tuple[Any, ...]:
    """The task's results by the NumPy reference, evaluated eagerly; or by the workload's own."""
    own = task.workload.reference.get(task.program_name)
    if own is not None:
        return tuple(own(task.size)(*task.inputs))
    return traced_outputs(task)


def traced_outputs(task: Task) -> tuple[Any, ...]:
    """The task's results by this library without compiling, each operation by NumPy."""
    function = task.program.make(TRACER, task.build(task.size))
    return tuple(function(*task.inputs))


class TracerSubject(Subject):
    """This library on one backend."""

    kind = "tracer"

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.name = f"tracer-{backend}"
        self.keeps_code = backend == "llvm"

    def has(self, task: Task) -> bool:
        """Not without a compiler where the workload says that this would take minutes."""
        slow = self.backend in (REFERENCE, "eager")
        return not (slow and task.program_name in task.workload.reference)

    def prepare(self, task: Task) -> Prepared:
        function = task.program.make(TRACER, task.build(task.size))
        inputs = task.inputs
        if self.backend == "eager":
            return eager(lambda: function(*inputs))
        jitted = tracer.jit(function, backend=self.backend)
        stopwatch = Stopwatch()
        traced = stopwatch.time("trace", jitted.trace, *inputs)
        lowered = stopwatch.time("lower", traced.lower, backend=self.backend)
        compiled = stopwatch.time("compile", lowered.compile)
        # Lowering happens on the way to machine code; the compiled function says how long it took.
        within = sum(compiled.timings.get(stage, 0.0) for stage in ("lower", "optimize"))
        stopwatch.stages["lower"] += within
        stopwatch.stages["compile"] -= within
        return Prepared(lambda: jitted(*inputs), lambda: compiled(*inputs), stopwatch.stages, tuple)


def find_subject(name: str) -> Subject:
    """The subject of a name: this library on a backend (`tracer-llvm`), or a peer."""
    prefix = "tracer-"
    if name.startswith(prefix):
        return TracerSubject(name.removeprefix(prefix))
    from bench.peers import load_peer  # which knows subjects itself

    return load_peer(name)


def backend_problem(backend: str) -> str | None:
    """Why a backend cannot be used here, in its own words; None where it can."""
    if backend == "eager":
        return None
    try:
        tracer.jit(lambda x: x + x, backend=backend)(1.0)
    except (ImportError, tracer.errors.TracerError) as error:
        return str(error)
    return None
