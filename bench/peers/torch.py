"""PyTorch, eager: the workload's own version of the function for it, in float64, on tensors."""

import os
from typing import Any

import torch

from bench.subjects import Prepared, Subject, Task, eager
from bench.workload import Differentiation, Function, Inputs

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


def value_and_grad(function: Function, argnums: tuple[int, ...]) -> Function:
    """By the tape, which costs less a call than `torch.func` does."""

    def derived(*arguments: Any) -> tuple[Any, tuple[Any, ...]]:
        leaves = list(arguments)
        for argnum in argnums:
            leaves[argnum] = leaves[argnum].detach().requires_grad_()
        value = function(*leaves)
        gradients = torch.autograd.grad(value, [leaves[argnum] for argnum in argnums])
        return value.detach(), gradients

    return derived


def elementwise_grad(function: Function, argnum: int) -> Function:
    """By `torch.func`, whose derivatives nest."""

    def total(*arguments: Any) -> Any:
        return function(*arguments).sum()

    derived: Function = torch.func.grad(total, argnums=argnum)
    return derived


def repeat(count: int, step: Function, state: Any) -> Any:
    """`step` applied `count` times, by a loop in Python."""
    for _ in range(count):
        state = step(state)
    return state


def batched_jacobian(function: Function, argnums: tuple[int, ...]) -> Function:
    derived: Function = torch.func.vmap(torch.func.jacrev(function, argnums))
    return derived


DIFFERENTIATION = Differentiation(value_and_grad, elementwise_grad, repeat, batched_jacobian)


def to_tensors(inputs: Inputs) -> Inputs:
    """Tensors of the same dtypes, which own their memory."""
    return tuple(torch.tensor(value) for value in inputs)


def to_numpy(results: Any) -> tuple[Any, ...]:
    return tuple(result.detach().numpy() for result in results)


class Torch(Subject):
    name = "torch"
    kind = "peer"

    def has(self, task: Task) -> bool:
        return task.torch_build is not None

    def prepare(self, task: Task) -> Prepared:
        assert task.torch_build is not None, "asked for a version that there is not"
        function = task.torch_build(torch, task.size)
        program = task.program.make(DIFFERENTIATION, function)
        inputs = to_tensors(task.inputs)
        return eager(lambda: program(*inputs), to_numpy)


PEER = Torch()
