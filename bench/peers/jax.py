"""JAX: the same source with `jax.numpy`, jitted whole, 64 bits, inputs already on its device."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy
import jax.scipy.special
import numpy as np

from bench.rebind import rebind
from bench.subjects import Prepared, Stopwatch, Subject, Task
from bench.workload import Differentiation, Function

jax.config.update("jax_enable_x64", True)

NAMESPACES = {
    "np": jax.numpy,
    "special": jax.scipy.special,
    "tracer": SimpleNamespace(scan=jax.lax.scan),
}


def value_and_grad(function: Function, argnums: tuple[int, ...]) -> Function:
    derived: Function = jax.value_and_grad(function, argnums)
    return derived


def elementwise_grad(function: Function, argnum: int) -> Function:
    def total(*arguments: Any) -> Any:
        return function(*arguments).sum()

    derived: Function = jax.grad(total, argnum)
    return derived


def repeat(count: int, step: Function, state: Any) -> Any:
    """`step` applied `count` times: a loop of XLA."""
    return jax.lax.fori_loop(0, count, lambda _, carry: step(carry), state)


def batched_jacobian(function: Function, argnums: tuple[int, ...]) -> Function:
    derived: Function = jax.vmap(jax.jacrev(function, argnums))
    return derived


DIFFERENTIATION = Differentiation(value_and_grad, elementwise_grad, repeat, batched_jacobian)


class Jax(Subject):
    name = "jax"
    kind = "peer"
    keeps_code = True

    def prepare(self, task: Task) -> Prepared:
        if task.workload.jax_build is not None:
            function = task.workload.jax_build(jax, task.size)
        else:
            function = rebind(task.build, NAMESPACES)(task.size)
        jitted = jax.jit(task.program.make(DIFFERENTIATION, function))
        inputs = jax.block_until_ready(tuple(jax.numpy.asarray(value) for value in task.inputs))
        stopwatch = Stopwatch()
        traced = stopwatch.time("trace", jitted.trace, *inputs)
        lowered = stopwatch.time("lower", traced.lower)
        compiled = stopwatch.time("compile", lowered.compile)
        return Prepared(
            call=lambda: jax.block_until_ready(jitted(*inputs)),
            first_call=lambda: jax.block_until_ready(compiled(*inputs)),
            stages=stopwatch.stages,
            to_numpy=lambda results: tuple(np.asarray(result) for result in results),
        )


PEER = Jax()
