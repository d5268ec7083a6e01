"""HIPS autograd: traces and evaluates on every call. The same source, with its own `np`."""

from types import SimpleNamespace
from typing import Any

import autograd
import autograd.numpy
import autograd.scipy.special

from bench.rebind import rebind
from bench.subjects import Prepared, Subject, Task, eager
from bench.workload import Differentiation, Function


def scan(step: Function, init: Any, xs: Any, length: int | None = None) -> tuple[Any, Any]:
    """A loop in Python, which is all that autograd has; the results of the steps are stacked."""
    steps = range(len(xs) if length is None else length)
    carry, found = init, []
    for k in steps:
        carry, result = step(carry, None if xs is None else xs[k])
        found.append(result)
    stacked = None if not found or found[0] is None else autograd.numpy.stack(found)
    return carry, stacked


def repeat(count: int, step: Function, state: Any) -> Any:
    """`step` applied `count` times, by a loop in Python."""
    for _ in range(count):
        state = step(state)
    return state


NAMESPACES = {
    "np": autograd.numpy,
    "special": autograd.scipy.special,
    "tracer": SimpleNamespace(scan=scan),
}


def value_and_grad(function: Function, argnums: tuple[int, ...]) -> Function:
    """Autograd differentiates by a tuple of arguments, and returns a tuple of gradients."""
    return _as_function(autograd.value_and_grad(function, argnums))


def elementwise_grad(function: Function, argnum: int) -> Function:
    return _as_function(autograd.elementwise_grad(function, argnum))


def gradient(function: Function, argnum: int) -> Function:
    """The gradient alone, of a scalar function."""
    return _as_function(autograd.grad(function, argnum))


def _as_function(function: Any) -> Function:
    typed: Function = function
    return typed


DIFFERENTIATION = Differentiation(value_and_grad, elementwise_grad, repeat)


class Autograd(Subject):
    name = "autograd"
    kind = "peer"

    def has(self, task: Task) -> bool:
        return task.workload.jax_build is None and not task.program.needs_batching

    def prepare(self, task: Task) -> Prepared:
        function = rebind(task.build, NAMESPACES)(task.size)
        program = task.program.make(DIFFERENTIATION, function)
        return eager(lambda: program(*task.inputs))


PEER = Autograd()
