"""Calls for whole stacks of matrices, with stand-ins for the libraries, against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
import tracer.numpy as tnp
from codegen.cuda import library
from codegen.device.machine import DeviceMachine
from codegen.device.plan import plan_program
from codegen.device.schedule import Launch, Library
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Call, Program
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.batch_calls import BATCHED, LARGEST, batch_products
from codegen.passes.fuse_products import fuse_products
from codegen.passes.pipeline import optimize
from codegen.render.cuda import render_kernel
from tests.cuda.host_routines import HostRoutines
from tests.helpers import Array

MACHINE = DeviceMachine()


def sample(dtype: str, *shape: int) -> Array:
    """Numbers around zero, the same ones whatever else has run."""
    generator = np.random.default_rng([*shape, *dtype.encode()])
    values = generator.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * generator.normal(size=shape)
    return values.astype(dtype)


def batched(function: Callable[..., Any], *inputs: Array) -> Program:
    """The program for a device, with calls for stacks."""
    graph = tracer.jit(function).trace(*inputs).graph
    program = optimize(lower_graph(graph, target="device"), target="device")
    return batch_products(fuse_products(program, MACHINE), MACHINE)


def run(function: Callable[..., Any], *inputs: Array) -> list[Array]:
    return interpret(batched(function, *inputs), list(inputs))


def tolerance(dtype: str) -> float:
    return 4000 * float(np.finfo(dtype).eps)


def positive(dtype: str, *shape: int) -> Array:
    a = sample(dtype, *shape)
    return a @ a.conj().swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1], dtype=dtype)


@pytest.mark.parametrize("dtype", ["f8", "c16", "c8"])
@pytest.mark.parametrize("lead", [(3,), (2, 2)], ids=str)
def test_cholesky(dtype: str, lead: tuple[int, ...], routines: HostRoutines) -> None:
    size = 40 if dtype == "f8" else 6
    a = positive(dtype, *lead, size, size)
    (found,) = run(tnp.linalg.cholesky, a)
    np.testing.assert_allclose(found, np.linalg.cholesky(a), atol=tolerance(dtype))
    assert routines.asked == ["potrf_stack"]
    a[-1] *= -1
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        run(tnp.linalg.cholesky, a)


@pytest.mark.parametrize("dtype", ["f8", "c16", "f4"])
@pytest.mark.parametrize("columns", [1, 3])
def test_solve(dtype: str, columns: int, routines: HostRoutines) -> None:
    size = 6 if dtype == "c16" else 40
    a, b = sample(dtype, 3, size, size), sample(dtype, 3, size, columns)
    (found,) = run(tnp.linalg.solve, a, b)
    np.testing.assert_allclose(found, np.linalg.solve(a, b), rtol=tolerance(dtype) * 100)
    assert routines.asked == ["getrf_stack", "trsm_stack", "trsm_stack"]
    a[1] = 0
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        run(tnp.linalg.solve, a, b)


def test_gradients_of_solutions(routines: HostRoutines) -> None:
    a, b = sample("f8", 2, 40, 40), sample("f8", 2, 40, 2)
    slope = tracer.grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2))
    (found,) = run(slope, a, b)
    np.testing.assert_allclose(found, tracer.jit(slope, backend="numpy")(a, b), rtol=1e-7)
    assert set(routines.asked) == {"getrf_stack", "trsm_stack"}


def test_matrices_that_fill_a_device_alone_come_one_by_one(routines: HostRoutines) -> None:
    a = positive("f4", 2, LARGEST + 1, LARGEST + 1)
    (found,) = run(tnp.linalg.cholesky, a)
    np.testing.assert_allclose(found, np.linalg.cholesky(a), rtol=1e-3, atol=1e-3)
    assert routines.asked == ["potrf", "potrf"]


@pytest.mark.parametrize("shared", [False, True])
def test_products(shared: bool, routines: HostRoutines) -> None:
    """Too deep for a kernel of our own."""
    a = sample("c16", 2, 3, 40, 30)
    b = sample("c16", *(() if shared else (2, 3)), 50, 30)
    (found,) = run(lambda a, b: a @ b.swapaxes(-1, -2), a, b)
    np.testing.assert_allclose(found, a @ b.swapaxes(-1, -2), rtol=1e-11)
    assert routines.asked == ["gemm"]


def test_nothing_is_left_to_the_host() -> None:
    """A stack is one step, and so are the loops around it."""
    a, b = positive("f8", 5, 40, 40), sample("f8", 5, 40, 2)
    program = batched(lambda a, b: (np.linalg.cholesky(a), np.linalg.solve(a, b)), a, b)
    schedule = plan_program(program, MACHINE, render_kernel)
    kinds = {type(step) for step in schedule.steps}
    assert kinds == {Launch, Library}
    calls = [step.call for step in schedule.steps if isinstance(step, Library)]
    assert [library.describe_call(call) for call in calls] == [
        "cuSOLVER potrfBatched",
        "cuBLAS getrfBatched",
        "cuBLAS trsmBatched",
        "cuBLAS trsmBatched",
    ]
    assert [library.allows_capture(call) for call in calls] == [False, True, True, True]


def test_the_twins_take_stacks() -> None:
    a = positive("f8", 3, 40, 40)
    (found,) = run(tnp.linalg.cholesky, a)
    np.testing.assert_allclose(found, np.linalg.cholesky(a), atol=1e-12)


def test_every_routine_has_a_stack() -> None:
    from codegen.cuda.linear_algebra import ON_STACKS, STACK_NAMES

    assert set(ON_STACKS) == set(STACK_NAMES) == BATCHED
    a = positive("f8", 3, 40, 40)
    calls = [
        part for part in statements(batched(tnp.linalg.cholesky, a).body) if type(part) is Call
    ]
    assert [call.params["batch"] for call in calls] == [1]
