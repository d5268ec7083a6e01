"""HIPS autograd: traces and evaluates on every call. The same source, with its own `np`."""

from typing import Any

import autograd
import autograd.numpy
import autograd.scipy.special

from bench.rebind import rebind
from bench.subjects import Prepared, Subject, Task, eager
from bench.workload import Differentiation, Function

NAMESPACES = {"np": autograd.numpy, "special": autograd.scipy.special}


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


DIFFERENTIATION = Differentiation(value_and_grad, elementwise_grad)


class Autograd(Subject):
    name = "autograd"
    kind = "peer"

    def has(self, task: Task) -> bool:
        return task.workload.jax_build is None

    def prepare(self, task: Task) -> Prepared:
        function = rebind(task.workload.build, NAMESPACES)(task.size)
        program = task.program.make(DIFFERENTIATION, function)
        return eager(lambda: program(*task.inputs))


PEER = Autograd()
