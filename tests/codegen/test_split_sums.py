"""Reductions in two stages compute what they computed in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.loops.build import cast, index, integer, literal, loop, operation
from codegen.loops.interpret import interpret
from codegen.loops.nodes import (
    Buffer,
    Declare,
    Let,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    Variable,
)
from codegen.loops.text import print_program
from codegen.loops.walk import statements
from codegen.lower.graph import lower_graph
from codegen.passes.chunks import neutral, perfect_nest, trips
from codegen.passes.pipeline import optimize
from codegen.passes.split_sums import split_sums

Array = np.ndarray[Any, np.dtype[Any]]
TINY = DeviceMachine(warp=2, threads=4, processors=3, small=64, simulated=True)
WIDE = DeviceMachine(warp=2, threads=8, processors=5, small=64)
"""With forty blocks of a grid."""
REAL = DeviceMachine()
FLOAT = np.dtype(np.float64)
i, j = index("i"), index("j")
X, Y = Buffer("x", FLOAT, (200,), "input"), Buffer("y", FLOAT, (3,), "output")


def lowered(function: Callable[..., Any], *arguments: Any) -> Program:
    """A function as the device's passes leave it."""
    graph = tracer.jit(function).trace(*arguments).graph
    return optimize(lower_graph(graph, "device"), "device")


def check_same(
    program: Program,
    inputs: list[Array],
    machine: DeviceMachine,
    terms: int = 1,
    change: Callable[[Program, DeviceMachine], Program] = split_sums,
) -> Program:
    """The split program, whose outputs are those of the program: integers exactly, floats up to
    what adding so many `terms` in another order may change."""
    changed = change(program, machine)
    with np.errstate(all="ignore"):
        pairs = zip(interpret(changed, inputs), interpret(program, inputs), strict=True)
        for found, due in pairs:
            assert found.dtype == due.dtype
            if due.dtype.kind not in "fc":
                np.testing.assert_array_equal(found, due, err_msg=print_program(changed))
                continue
            finite = np.abs(due[np.isfinite(due)]).max(initial=1.0)
            bound = terms * np.finfo(due.dtype).eps * finite
            np.testing.assert_allclose(
                found, due, rtol=0, atol=bound, err_msg=print_program(changed)
            )
    return changed


def widest(body: tuple[Statement, ...]) -> int:
    """The most iterations of a nest of parallel loops of the outermost block."""
    nests = [part for part in body if isinstance(part, Loop) and part.kind == "parallel"]
    return max((trips(perfect_nest(part, "parallel")) for part in nests), default=0)


def reduction(name: str, dtype: Any, extent: int, first: Any) -> Program:
    """y[()] = first, reduced with all elements of x."""
    kind = np.dtype(dtype)
    x, y = Buffer("x", kind, (extent,), "input"), Buffer("y", kind, (), "output")
    body = (
        Declare("s", literal(first, kind)),
        loop("i", extent, Reduce("s", name, Load(x, (i,))), kind="reduce"),
        Store(y, (), Variable("s", kind)),
    )
    return Program(name, (x,), (y,), (), (), body)


SPECIAL = {
    "f": [-0.0, 0.0, np.nan, np.inf, -np.inf, 1.0, -2.0],
    "c": [-0.0, np.nan, 1j, np.inf, -2.0],
    "i": [0, -1, 3, np.iinfo(np.int32).min, np.iinfo(np.int32).max],
    "b": [False, True],
}
CASES = [
    *((name, kind) for name in ("add", "multiply", "maximum", "minimum") for kind in "fib"),
    *((name, "f") for name in ("fmax", "fmin")),
    *((name, "b") for name in ("logical_and", "logical_or")),
    *((name, kind) for name in ("bitwise_and", "bitwise_or", "bitwise_xor") for kind in "ib"),
    ("add", "c"),
]
DTYPES = {"f": np.float32, "i": np.int32, "b": np.bool_, "c": np.complex64}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_neutral_elements_change_no_bit(name: str, kind: str) -> None:
    dtype = np.dtype(DTYPES[kind])
    program = reduction(name, dtype, 1, neutral(name, dtype).value)
    for value in SPECIAL[kind]:
        x = np.array([value], dtype)
        (found,) = interpret(program, [x])
        np.testing.assert_array_equal(found, x[0])
        if kind in "fc" and not np.isnan(value):
            assert str(found) == str(x[0]), "signs of zero are the same"


@pytest.mark.parametrize(("name", "kind"), CASES)
@pytest.mark.parametrize("extent", [0, 1, 2, 67, 128])
def test_operations(name: str, kind: str, extent: int) -> None:
    dtype = np.dtype(DTYPES[kind])
    rng = np.random.default_rng(extent)
    plain = rng.integers(0, 3, extent).astype(dtype)
    mixed = rng.choice(np.array(SPECIAL[kind], dtype), extent)
    zeros = np.full(extent, -0.0).astype(dtype)
    for first in SPECIAL[kind][:2]:
        program = reduction(name, dtype, extent, first)
        for values in (plain, mixed, zeros):
            changed = check_same(program, [values], WIDE, max(1, extent))
            assert (changed is not program) == (extent >= WIDE.small)
            with np.errstate(all="ignore"):
                found, due = (interpret(part, [values])[0] for part in (changed, program))
            if kind == "f" and values is zeros:
                assert np.signbit(found) == np.signbit(due)


def test_first_value_counts_once() -> None:
    program = reduction("add", np.int64, 1000, 7)
    changed = check_same(program, [np.ones(1000, np.int64)], WIDE)
    assert interpret(changed, [np.ones(1000, np.int64)])[0] == 1007


def test_other_orders_are_not_made_of_what_has_none() -> None:
    """Complex products are not associative where parts are infinite; they stay."""
    program = reduction("multiply", np.complex128, 1000, 1.0)
    assert split_sums(program, WIDE) is program


def test_several_sums_and_stores() -> None:
    """Two reductions of one loop, which stores what it computes besides, from 5."""
    x = Buffer("x", FLOAT, (300,), "input")
    y, z = Buffer("y", FLOAT, (2,), "output"), Buffer("z", FLOAT, (295,), "output")
    value = Variable("v", FLOAT)
    place = operation("subtract", i, integer(5))
    body: tuple[Statement, ...] = (
        Declare("s", literal(1.0, FLOAT)),
        Declare("t", literal(-np.inf, FLOAT)),
        Loop(
            "i",
            integer(5),
            integer(300),
            (
                Let("v", operation("exp", Load(x, (i,)))),
                Reduce("s", "add", value),
                Store(z, (place,), value),
                Reduce("t", "maximum", operation("multiply", value, cast(i, FLOAT))),
                Reduce("s", "add", literal(0.5, FLOAT)),
            ),
            "reduce",
        ),
        Store(y, (integer(0),), Variable("s", FLOAT)),
        Store(y, (integer(1),), Variable("t", FLOAT)),
    )
    program = Program("several", (x,), (y, z), (), (), body)
    changed = check_same(program, [np.random.default_rng(0).normal(size=300)], WIDE, 600)
    assert widest(changed.body) == 9, "chunks of at least four elements a thread"


def logsumexp(x: Any) -> Any:
    top = x.max(axis=1, keepdims=True)
    return (np.log(np.exp(x - top).sum(axis=1)) + top[:, 0]).sum()


def variance(x: Any) -> Any:
    return np.var(x, axis=0), np.mean(x), np.std(x)


def softmax_columns(x: Any) -> Any:
    e = np.exp(x - x.max(axis=0))
    return e / e.sum(axis=0)


def pairs(x: Any) -> Any:
    between = x[:, None, :] - x[None, :, :]
    return np.sum(1.0 / (1.0 + np.sum(between**2, axis=2)))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sum": lambda x: np.sum(x * x),
    "sum of columns": lambda x: x.sum(axis=0),
    "sum of rows": lambda x: x.sum(axis=1),
    "several": lambda x: (np.sum(x), x.sum(axis=0), x.T + 1.0, x.max(axis=1)),
    "mirrored": lambda x: np.sum(x * x[:, ::-1]),
    "variance": variance,
    "gradient of variance": tracer.grad(lambda x: np.sum(np.var(x, axis=0) * x[0])),
    "logsumexp": logsumexp,
    "gradient of logsumexp": tracer.grad(logsumexp),
    "softmax of columns": softmax_columns,
    "gradient of softmax": tracer.grad(lambda x: np.sum(softmax_columns(x) ** 2)),
    "largest": lambda x: (np.argmax(x), np.argmax(x, axis=0), np.argmin(x, axis=1)),
    "any": lambda x: (np.any(x > 1.0), np.all(x < 9.0, axis=0), np.prod(np.tanh(x), axis=0)),
    "pairs": pairs,
    "gradient of pairs": tracer.grad(pairs),
    "product": lambda x: x.T @ x,
}
OF_NOTHING = {"sum", "sum of columns", "sum of rows", "mirrored", "any", "product"}
"""What has a value for an empty matrix."""
SHAPES = [(0, 3), (3, 0), (1, 1), (1, 131), (131, 1), (2, 67), (37, 2), (13, 11)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """Matrices of all shapes, on three machines."""
    split = 0
    for shape in SHAPES:
        if (0 in shape and name not in OF_NOTHING) or (name.endswith("pairs") and shape[0] > 13):
            continue  # without a value; and what would take the interpreter long
        x = np.random.default_rng(len(name)).normal(size=shape)
        program = lowered(FUNCTIONS[name], x)
        for machine in (TINY, WIDE):
            split += check_same(program, [x], machine, 4 * x.size + 16) is not program
    assert split > 0


def backwards(program: Program) -> Program:
    """The program with its parallel loops run from the top down, as they may be."""

    def block(body: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(
            replace(part, body=block(part.body), reverse=part.reverse != (part.kind == "parallel"))
            if isinstance(part, Loop)
            else part
            for part in body
        )

    return replace(program, body=block(program.body))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(3, 67), (70, 2)])
def test_iterations_are_independent(name: str, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(len(name)).normal(size=shape if "pairs" not in name else shape[1:])
    x = x.reshape(len(x), -1)
    changed = split_sums(lowered(FUNCTIONS[name], x), WIDE)
    for found, due in zip(interpret(backwards(changed), [x]), interpret(changed, [x]), strict=True):
        np.testing.assert_array_equal(found, due)


def test_workspace_of_an_iteration_becomes_one_of_all() -> None:
    """The gradient by few long rows, whose arrays are a row long until it is cut."""
    x = np.random.default_rng(4).normal(size=(3, 140))
    program = lowered(tracer.grad(logsumexp), x)
    assert any(buffer.shape == (140,) for buffer in program.workspace)
    changed = check_same(program, [x], WIDE, 1000)
    assert widest(changed.body) == x.size
    assert all(buffer.shape != (140,) for buffer in changed.workspace)


def test_loops_inside_of_shared_ones_stay() -> None:
    """Iterations of a scatter run at the same time: partial sums would lie in one place."""
    inner = loop("j", 200, Reduce("s", "add", Load(X, (j,))), kind="reduce")
    for kind, due in (("scatter", False), ("serial", True)):
        body = (Declare("s", literal(0.0, FLOAT)), inner, Store(Y, (i,), Variable("s", FLOAT)))
        program = Program("inside", (X,), (Y,), (), (), (loop("i", 3, *body, kind=kind),))
        changed = check_same(program, [np.linspace(0.0, 1.0, 200)], WIDE, 200)
        assert (changed is not program) is due


def test_real_machine() -> None:
    """Sizes at which a GPU's chunks are more than one; the passes only, without the values."""
    x = np.zeros((2000, 1000))
    changed = split_sums(lowered(lambda x: np.sum(x * x), x), REAL)
    assert widest(changed.body) == REAL.blocks
    tall = np.zeros((100_000, 16))
    changed = split_sums(lowered(lambda x: x.sum(axis=0), tall), REAL)
    assert widest(changed.body) > REAL.processors * REAL.threads / 2
    long = np.zeros((4, 100_000))
    changed = split_sums(lowered(lambda x: x.sum(axis=1), long), REAL)
    assert REAL.processors < widest(changed.body) <= REAL.blocks


def test_no_stage_is_long() -> None:
    """Three columns fill the machine with so many chunks that these are added up in two stages."""
    tall = np.zeros((10_000_000, 3))
    changed = split_sums(lowered(lambda x: x.sum(axis=0), tall), REAL)
    loops = [part for part in statements(changed.body) if isinstance(part, Loop)]
    assert max(trips([p]) for p in loops if p.kind == "reduce") < 1000
    small = np.random.default_rng(5).normal(size=(1500, 2))
    changed = check_same(lowered(lambda x: x.sum(axis=0), small), [small], WIDE, 3000)
    assert len(changed.body) == 3


@pytest.mark.parametrize("shape", [(1000, 1000), (200, 100), (100_000, 16)])
def test_rows_which_fill_the_machine_stay(shape: tuple[int, int]) -> None:
    program = lowered(lambda x: x.sum(axis=1), np.zeros(shape))
    assert split_sums(program, REAL) is program


def test_small_sums_stay() -> None:
    program = lowered(lambda x: (np.sum(x), x.sum(axis=0)), np.zeros((100, 100)))
    assert split_sums(program, REAL) is program


def test_work_behind_few_rows_is_shared() -> None:
    """Three long rows: no nest walks through a whole row in an iteration."""
    x = np.random.default_rng(1).normal(size=(3, 500))
    program = lowered(lambda x: np.exp(x - np.max(x, axis=1, keepdims=True)) * np.sum(x), x)
    changed = check_same(program, [x], WIDE, 2000)
    assert widest(changed.body) == x.size
    for part in changed.body:
        if isinstance(part, Loop) and part.kind == "parallel" and not _is_short(part):
            assert trips(perfect_nest(part, "parallel")) > len(x)


def _is_short(loop: Loop) -> bool:
    """Whether an iteration runs through no more than what chunks have left."""
    return all(trips([part]) <= 40 for part in statements(loop.body) if isinstance(part, Loop))


def test_results_are_the_same_bits_every_time() -> None:
    x = np.random.default_rng(2).normal(size=(300, 7)).astype(np.float32)
    texts = {print_program(split_sums(lowered(variance, x), WIDE)) for _ in range(2)}
    assert len(texts) == 1


def test_what_is_split_is_not_split_again() -> None:
    x = np.random.default_rng(3).normal(size=(300, 7))
    once = split_sums(lowered(variance, x), WIDE)
    check_same(once, [x], WIDE, 3000)
