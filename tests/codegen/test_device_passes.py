"""What the passes for a device leave of programs: which loops, of which kinds, in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings

import tracer
from bench.subjects import TRACER
from bench.workloads import load_workload
from codegen.device.private import private_buffers
from codegen.loops.build import integer, loop, operation
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import (
    Buffer,
    Call,
    Check,
    ErrorMessage,
    If,
    Let,
    Load,
    Loop,
    Program,
    Statement,
    Store,
    Update,
    While,
)
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.device_kinds import device_kinds
from codegen.passes.pipeline import DEVICE_PASSES, optimize
from tests.codegen.programs import INT, buffer, i, j, k
from tests.graph.random_graphs import Example, examples
from tests.primitives.numerical import random_cotangents
from tracer import nn
from tracer.transforms.graphs import adjoint
from tracer.transforms.simplify import simplify

RNG_SEED = 5
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
few = settings(phases=PHASES, max_examples=30)


def device_program(function: Callable[..., Any], *args: Any) -> Program:
    """The loop program of a function, for a device."""
    program = optimize(lower_graph(tracer.jit(function).trace(*args).graph, "device"), "device")
    check_program(program)
    return program


def outline(body: tuple[Statement, ...]) -> str:
    """The loops of a block by the first letters of their kinds, with what is in them; straight
    statements are left out. "S" is a serial loop, "s" one that adds by index."""
    parts = []
    for statement in body:
        match statement:
            case Loop(body=inner, kind=kind):
                letter = {"serial": "S", "scatter": "s"}.get(kind, kind[0])
                within = outline(inner)
                parts.append(f"{letter}({within})" if within else letter)
            case Call(kernel):
                parts.append(kernel)
            case While(test, _, inner):
                parts.append(f"while({outline(test)}; {outline(inner)})")
            case If(_, then, otherwise):
                parts.append(f"if({outline(then)}; {outline(otherwise)})")
    return " ".join(parts)


def shape_of(function: Callable[..., Any], *args: Any) -> str:
    return outline(device_program(function, *args).body)


def private(program: Program) -> dict[str, tuple[int, ...]]:
    """The shapes of private workspace, by owner's kind and the buffer's name."""
    return {
        f"{owner.kind} {found.name}": found.shape
        for found, owner in private_buffers(program).items()
    }


@pytest.mark.parametrize("target", ["device", "cpu"])
@few
@given(examples())
def test_random_programs(target: str, example: Example) -> None:
    """Every pass keeps every bit of what the interpreter computes, forward and backward, of
    programs lowered for either target."""
    rng = np.random.default_rng(RNG_SEED)
    cotangents = random_cotangents(example.graph, rng)
    cases = [
        (simplify(example.graph), example.inputs),
        (adjoint(example.graph), [*example.inputs, *cotangents]),
    ]
    for graph, inputs in cases:
        arrays = [np.asarray(value) for value in inputs]
        program = lower_graph(graph, target)
        before = interpret(program, arrays)
        for name, change in DEVICE_PASSES:
            program = change(program)
            check_program(program)
            for result, due in zip(interpret(program, arrays), before, strict=True):
                np.testing.assert_array_equal(result, due, err_msg=name, strict=True)


def logsumexp(x: Any) -> Any:
    largest = np.max(x, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(x - largest), axis=1)) + largest[:, 0])


def cross_entropy(weights: Any, x: Any, labels: Any) -> Any:
    logits = x @ weights
    logits = logits - np.max(logits, axis=1, keepdims=True)
    chosen = logits[np.arange(len(labels)), labels]
    return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - chosen)


def test_logsumexp_gradient_is_one_loop_over_rows() -> None:
    program = device_program(tracer.grad(logsumexp), np.ones((1000, 50)))
    assert outline(program.body) == "p(r r r p)"
    assert set(private(program).values()) == {(50,)}
    assert {found.shape for found in program.workspace} == {(50,)}


def test_cross_entropy_gradient() -> None:
    """Between two products a loop that checks labels and one over rows, in which the update at the
    label's place stays; the second product takes the rows as they come."""
    args = np.ones((50, 10)), np.ones((1000, 50)), np.zeros(1000, int)
    program = device_program(tracer.grad(cross_entropy), *args)
    assert outline(program.body) == "matmul p p(r r p r p) matmul"
    assert sorted(private(program).values()) == [(10,)] * 3
    product = program.body[-1]
    assert isinstance(product, Call)
    assert [view.axes for view in product.operands] == [(1, 0), None]


def test_sums_keep_their_parallel_loops() -> None:
    """A full sum, a sum of columns and a transposed copy walk through memory in three ways."""

    def f(x: Any) -> Any:
        return np.sum(x * x), np.sum(x, axis=0), np.copy(x.T)

    assert shape_of(f, np.ones((1000, 50))) == "r(r) p(r) p(p)"


def test_layer_norm() -> None:
    """Backward the gradients by scale and shift are sums of columns, in one loop."""
    x, scale = np.ones((4096, 1024), np.float32), np.ones(1024, np.float32)
    forward = device_program(nn.layer_norm, x, scale, scale)
    assert outline(forward.body) == "p(r r p)"

    def loss(x: Any, scale: Any, shift: Any, weights: Any) -> Any:
        return np.sum(nn.layer_norm(x, scale, shift) * weights)

    backward = device_program(tracer.grad(loss, argnums=(0, 1, 2)), x, scale, scale, x)
    assert outline(backward.body) == "p(r r r r p) p(r)"
    assert sorted(private(backward).values()) == [(1024,)] * 3


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("kmeans", "large", "p(p(r) r r) r p(p(r))"),
        (
            "gmm",
            "medium",
            "p(p) p(r) p(p) r p(p(p)) p(p(p)) p(p(p)) p(p(p)) p(matmul) p(p(p)) p(p(r) r r) r r "
            "r(r) r(r) r p(r p(p)) p(r) p(p(p)) p(p(p)) p(matmul) p(p(p)) p(matmul) p(p(r)) "
            "p(p) s(s(p)) p(p p p p)",
        ),
        ("blackscholes", "medium", "p"),
        ("ode", "medium", "p(S) r S(r r r p) p(p) p p(p) p p(p) p p p"),
        ("nbody", "medium", "r(r) r p(p(r))"),
    ],
)
def test_workloads(name: str, size: str, expected: str) -> None:
    """The first program of workloads of the benchmarks."""
    workload = load_workload(name)
    sizes = workload.sizes[size]
    program = next(iter(workload.programs.values()))
    made = program.make(TRACER, (program.build or workload.build)(sizes))
    inputs = workload.make_inputs(sizes, np.random.default_rng(RNG_SEED))
    assert shape_of(made, *inputs) == expected


def test_independent_trajectories_are_one_loop() -> None:
    """A scan whose elements never meet, and its adjoint: each element takes all steps."""

    def f(y: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            return c + 0.01 * np.sin(c), None

        return np.sum(tracer.scan(step, y, None, length=100)[0])

    program = device_program(tracer.grad(f), np.ones(300))
    assert outline(program.body) == "p(S S)"
    assert {found.shape for found in program.workspace} == {(100, 300)}


def test_short_axes_are_written_out() -> None:
    """Forces between bodies: three coordinates in registers, one loop over the others."""

    def forces(places: Any) -> Any:
        apart = places[:, None] - places[None]
        squared = np.sum(apart * apart, axis=-1) + 1e-2
        return np.sum(apart / (squared * np.sqrt(squared))[..., None], axis=1)

    program = device_program(forces, np.ones((500, 3)))
    assert outline(program.body) == "p(r)"
    assert program.workspace == ()


def test_last_axis_stays_a_loop() -> None:
    """Neighbouring threads take neighbouring elements, however short the axis is."""
    assert shape_of(lambda x: np.exp(x) * x[:, :, :1], np.ones((100, 50, 3))) == "p(p(p))"


def test_scatter() -> None:
    """A gradient by what is gathered adds by index; checks are a loop of their own."""

    def f(x: Any, index: Any) -> Any:
        return np.sum(x[index] ** 2)

    args = np.ones((1000, 50)), np.zeros(500, int)
    assert shape_of(tracer.grad(f), *args) == "p p(p) p(p) s(p)"


def test_few_long_rows_stay_apart() -> None:
    """Three rows joined would be three groups of threads at work."""

    def f(x: Any) -> Any:
        return np.exp(x - np.max(x, axis=1, keepdims=True))

    assert shape_of(f, np.ones((3, 100_000))) == "p(r) p(p)"
    assert shape_of(f, np.ones((3000, 100))) == "p(r p)"


def test_carried_loops_stay_serial() -> None:
    assert shape_of(np.cumsum, np.ones(100)) == "S"
    assert shape_of(lambda x: np.cumsum(x, axis=0), np.ones((100, 50))) == "p(S)"


def test_private_buffers_inside_of_serial_loops() -> None:
    """Steps of a serial loop whose rows have memory of their own; what all rows use has none."""
    row, shared = buffer("w", (4,), "workspace"), buffer("t", (3, 4), "workspace")
    source, result = buffer("x", (3, 4), "input"), buffer("y", (3, 4), "output")
    step = loop(
        "i",
        3,
        loop("j", 4, Store(row, (j,), Load(source, (i, j)))),
        loop("k", 4, Store(shared, (i, k), Load(row, (k,)))),
    )
    spread = loop("i", 3, loop("j", 4, Store(result, (i, j), Load(shared, (i, j)))))
    program = Program(
        "f", (source,), (result,), (), (row, shared), (loop("n", 2, step, kind="serial"), spread)
    )
    check_program(program)
    found = private_buffers(program)
    assert found.keys() == {row}
    assert found[row] is step


X, Y, N = (
    buffer("x", (3, 4), "input"),
    buffer("y", (3, 4), "output"),
    buffer("n", (3,), "input", INT),
)
ERROR = ErrorMessage("IndexError", "no", "")
CHOSEN, NEXT = Load(N, (i,)), operation("add", i, integer(1))
ELEMENT = Load(X, (i, integer(0)))


def kind_of(*body: Statement, workspace: tuple[Buffer, ...] = ()) -> str:
    """The kind that a serial loop over i with such a body gets, in a program of x, y and n."""
    program = Program(
        "f", (X, N), (Y,), (), workspace, (loop("i", 3, *body, kind="serial"),), (ERROR,)
    )
    check_program(program)
    (marked,) = device_kinds(program).body
    assert isinstance(marked, Loop)
    return marked.kind


def test_kinds_of_loops() -> None:
    """What iterations of a loop share decides who may run them."""
    zero = integer(0)
    check = Check(operation("less", CHOSEN, zero), 0)
    assert kind_of(check) == "parallel"
    assert kind_of(check, Store(Y, (i, zero), ELEMENT)) == "parallel"
    assert kind_of(Update(Y, (i, CHOSEN), "add", ELEMENT)) == "parallel"
    assert kind_of(Update(Y, (CHOSEN, i), "add", ELEMENT)) == "parallel"
    assert kind_of(Update(Y, (CHOSEN, zero), "add", ELEMENT)) == "scatter"
    assert kind_of(check, Update(Y, (CHOSEN, zero), "maximum", ELEMENT)) == "scatter"


def test_loops_that_carry_stay_serial() -> None:
    zero = integer(0)
    update = Update(Y, (CHOSEN, zero), "add", ELEMENT)
    assert kind_of(update, Update(Y, (CHOSEN, zero), "multiply", ELEMENT)) == "serial"
    assert kind_of(update, Let("v", Load(Y, (i, zero)))) == "serial"
    assert kind_of(update, Store(Y, (i, zero), ELEMENT)) == "serial"
    assert kind_of(Update(Y, (CHOSEN, zero), "subtract", ELEMENT)) == "serial"
    assert kind_of(Store(Y, (CHOSEN, zero), ELEMENT)) == "serial"
    assert kind_of(Store(Y, (i, zero), Load(Y, (NEXT, zero)))) == "serial"


def test_memory_filled_first_is_an_iterations_own() -> None:
    """Workspace that each iteration writes as a whole before it reads any of it."""
    own = buffer("w", (4,), "workspace")
    fill = loop("j", 4, Store(own, (j,), Load(X, (i, j))))
    use = Store(Y, (i, integer(0)), Load(own, (CHOSEN,)))
    assert kind_of(fill, use, workspace=(own,)) == "parallel"
    assert kind_of(use, fill, workspace=(own,)) == "serial"
    half = loop("j", 2, Store(own, (j,), Load(X, (i, j))))
    assert kind_of(half, use, workspace=(own,)) == "serial"


def test_steps_that_meet_are_not_moved_outward() -> None:
    """Each step of the serial loop reads what other elements have become."""

    def f(y: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            return c + 0.01 * np.flip(c), None

        return tracer.scan(step, y, None, length=100)[0]

    assert shape_of(f, np.ones(300)) == "p S(p p)"


def test_serial_loops_carry_scalars() -> None:
    """Elements at fixed places lie in scalars while a loop runs, and in memory behind it."""

    def f(y: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            return np.array([c[1], c[0] + c[1]]), None

        return tracer.scan(step, y, None, length=30)[0]

    program = device_program(f, np.ones(2))
    (steps,) = [part for part in program.body if isinstance(part, Loop) and part.kind == "serial"]
    assert not any(isinstance(part, (Store, Update)) for part in statements(steps.body))
    (result,) = interpret(program, [np.ones(2)])
    np.testing.assert_array_equal(result, [1346269.0, 2178309.0])
