"""What functions of rows become: one pass, a row in registers, and no shared memory for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from codegen.cuda.assemble import figures
from codegen.cuda.target import compile_ptx
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import kernels_of
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tracer import grad, jit

CAPABILITIES = ((8, 0), (9, 0), (10, 0))


def logsumexp(x: Any) -> Any:
    largest = x.max(axis=1, keepdims=True)
    return (np.log(np.exp(x - largest).sum(axis=1)) + largest[:, 0]).sum()


def softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("capability", CAPABILITIES, ids=str)
@pytest.mark.parametrize(
    ("function", "shape", "turns", "shared"),
    [
        (softmax, (10_000, 512), 16, 0),
        (softmax, (10_000, 1024), 4, 2 * 8 * 4),
        (grad(logsumexp), (100_000, 64), 2, 0),
        (grad(logsumexp), (1000, 5120), 20, 4 * 8 * 4),
    ],
    ids=["softmax", "wide softmax", "logsumexp", "wide logsumexp"],
)
def test_each_element_is_read_once(
    function: Callable[..., Any],
    shape: tuple[int, int],
    turns: int,
    shared: int,
    capability: tuple[int, int],
) -> None:
    graph = jit(function).trace(np.ones(shape, np.float32)).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    (kernel,) = kernels_of(plan_program(program, DeviceMachine(), render_kernel).steps)
    ptx = compile_ptx(kernel.source, kernel.name, kernel.arguments, capability)
    found = figures(ptx, capability)
    assert (found.spill_stores, found.spill_loads, found.stack) == (0, 0, 0)
    assert found.shared == shared, "only what warps exchange"
    assert len(re.findall(r"\bld\.global", ptx)) == turns
    assert len(re.findall(r"\bst\.global", ptx)) == turns
