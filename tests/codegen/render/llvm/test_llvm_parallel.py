"""Loops that threads share: the reference's values, and the same bits for any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tracer
import tracer.numpy as tnp
from codegen.compile import compile_graph
from codegen.dispatch.threads import set_thread_count, thread_count
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Program
from codegen.loops.text import print_program
from codegen.passes.pipeline import optimize
from codegen.render.llvm import render_module
from codegen.render.llvm_call import compile_llvm
from codegen.render.llvm_machine import Machine
from codegen.render.vector_math import GENERIC
from tests.codegen.passes.random_loops import inputs_of, programs
from tests.codegen.programs import PROGRAMS
from tests.helpers import Array

RNG = np.random.default_rng(11)
COUNTS = (1, 2, 3, 4)


@pytest.fixture(autouse=True)
def _same_number_of_threads() -> Iterator[None]:
    before = thread_count()
    yield
    set_thread_count(before)


def softmax(a: Any) -> Any:
    """Rows: three passes over a temporary which only one row uses."""
    e = np.exp(a - a.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def logsumexp(x: Any) -> Any:
    """A maximum and a sum."""
    top = np.max(x)
    return np.log(np.sum(np.exp(x - top))) + top


def distances(x: Any, y: Any) -> Any:
    """To the nearest of the rows of y."""
    return ((x[:, None, :] - y[None, :, :]) ** 2).sum(-1).min(1)


def real(*shape: int) -> Array:
    """Normal deviates."""
    return RNG.standard_normal(shape)


def with_nan(size: int) -> Array:
    """A few NaN, infinities and negative zeros among normal deviates."""
    x = real(size)
    x[[3, size // 2, size - 1]] = np.nan, np.inf, -0.0
    return x


def complex_numbers(*shape: int) -> Array:
    """Normal deviates in both parts."""
    return real(*shape) + 1j * real(*shape)


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "exp": (lambda x: np.exp(x) * x, (real(100_003),)),
    "float32": (lambda x: np.tanh(x) * 2, (real(50_001).astype(np.float32),)),
    "logsumexp": (tracer.grad(logsumexp), (real(70_001),)),
    "maximum": (lambda x: (np.max(x), np.min(x), np.nanmax(x)), (with_nan(60_007),)),
    "softmax": (softmax, (real(301, 203),)),
    "softmax gradient": (tracer.grad(lambda a: (softmax(a) ** 2).sum()), (real(203, 301),)),
    "long rows": (softmax, (real(5, 40_000),)),
    "columns": (lambda a: a.sum(axis=0), (real(300, 1001),)),
    "columns of a temporary": (lambda a: np.exp(a).sum(axis=0), (real(300, 1001),)),
    "rows": (lambda a: a.sum(axis=1), (real(1001, 300),)),
    "running rows": (lambda a: np.cumsum(a, axis=1), (real(1001, 100),)),
    "running columns": (lambda a: np.cumsum(a, axis=0), (real(100, 1001),)),
    "distances": (distances, (real(1000, 7), real(30, 7))),
    "gather": (lambda x, i: np.sin(x[i]), (real(5000), RNG.integers(0, 5000, 40_000))),
    "scatter": (
        lambda x, i: tnp.zeros(50).at[i].add(np.sin(x)),
        (real(40_000), RNG.integers(0, 50, 40_000)),
    ),
    "integers": (lambda x: ((x % 7).sum(), (x & 255).max()), (RNG.integers(0, 999, 90_001),)),
    "truth": (lambda x: ((x > 9).any(), (x < 9).all()), (real(90_001),)),
    "complex": (lambda z: (np.exp(z).sum(), np.conj(z) * z), (complex_numbers(30_001),)),
    "transpose": (lambda a: np.exp(a.T), (real(200, 301),)),
    "small products": (lambda a, b: a @ b, (real(900, 5, 5), real(900, 5, 3))),
    "reversed": (lambda x: np.exp(x[::-1]), (real(40_001),)),
    "steps": (
        lambda x: tracer.fori_loop(0, 5, lambda k, y: np.sin(y) + y.mean(), x),
        (real(30_001),),
    ),
    "scan": (
        lambda x: tracer.scan(lambda c, r: (c + np.exp(r).sum(), np.exp(r) + c), 0.0, x),
        (real(6, 20_001),),
    ),
}


def results(compiled: Any, inputs: list[Array]) -> list[list[Array]]:
    """The outputs for each number of threads."""
    found = []
    for count in COUNTS:
        set_thread_count(count)
        found.append([np.asarray(output) for output in compiled.run(inputs)])
    return found


@pytest.mark.parametrize("mode", ["auto", "always"])
@pytest.mark.parametrize("name", CASES)
def test_against_the_reference(name: str, mode: str) -> None:
    function, arguments = CASES[name]
    graph = tracer.jit(function).trace(*arguments).graph
    inputs = [np.asarray(value) for value in arguments]
    expected = tracer.backend.run(graph, inputs, "numpy")
    first, *others = results(compile_graph(graph, "llvm", mode), inputs)
    for got, wanted in zip(first, expected, strict=True):
        assert got.dtype == wanted.dtype
        scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0)
        single = wanted.dtype.itemsize == (8 if wanted.dtype.kind == "c" else 4)
        relative = 1e-5 if single else 1e-11
        np.testing.assert_allclose(got, wanted, rtol=relative, atol=relative / 100 * scale)
    for outputs in others:
        for one, other in zip(first, outputs, strict=True):
            assert one.tobytes() == other.tobytes(), "the same bits for any number of threads"


@pytest.mark.parametrize("name", [n for n in CASES if n != "scatter"])
def test_what_is_shared(name: str) -> None:
    """All these have a loop that threads share."""
    function, arguments = CASES[name]
    graph = tracer.jit(function).trace(*arguments).graph
    program = compile_graph(graph, "llvm").program
    text = render_module(program, Machine(32, GENERIC, "always")).text
    assert "@tracer_threads_run" in text
    assert "@tracer_threads_run" not in render_module(program, Machine(32, GENERIC)).text


def test_small_loops_stay_alone() -> None:
    graph = tracer.jit(lambda x: np.exp(x) + x.sum()).trace(np.ones(300)).graph
    program = compile_graph(graph, "llvm").program
    assert "@tracer_threads_run" not in render_module(program, Machine(32, GENERIC, "auto")).text


@pytest.mark.parametrize("name", PROGRAMS)
def test_hand_written_programs(name: str) -> None:
    make, inputs = PROGRAMS[name]
    program = make()
    expected = interpret(program, inputs)
    compiled = compile_llvm(program, "always")
    for count in COUNTS:
        set_thread_count(count)
        for got, wanted in zip(compiled(inputs), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-13)


@settings(max_examples=40)
@given(programs())
def test_random_programs(program: Program) -> None:
    """Loops that accumulate, overwrite and read each other's buffers in every pattern."""
    inputs = inputs_of(program)
    expected = interpret(program, inputs)
    set_thread_count(3)
    for changed in (program, optimize(program)):
        for got, wanted in zip(compile_llvm(changed, "always")(inputs), expected, strict=True):
            np.testing.assert_array_equal(got, wanted, err_msg=print_program(changed))


def test_jit_takes_parallel() -> None:
    x = real(2000)
    shared, alone = (tracer.jit(np.exp, parallel=mode) for mode in (True, False))
    np.testing.assert_array_equal(shared(x), alone(x))
    texts = [function.lower(x).llvm_ir() for function in (shared, alone)]
    assert ["@tracer_threads_run" in text for text in texts] == [True, False]
