"""Linear recurrences by chunks are what one loop finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.loops.build import cast, literal, operation
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Assign, Expression, If, Let, Loop, Program, Statement, Variable
from codegen.loops.walk import statements
from codegen.passes.chunks import perfect_nest, trips
from codegen.passes.recurrences import carried_by
from codegen.passes.split_recurrences import split_recurrences
from codegen.passes.split_scans import split_scans
from codegen.passes.split_sums import split_sums
from tests.codegen.test_split_scans import FLOAT, V0, S, T, V, carrying, longest, put
from tests.codegen.test_split_sums import REAL, TINY, WIDE, Array, check_same, lowered, widest

RNG = np.random.default_rng(7)
STEPS = 140
X, DECAYS = RNG.normal(size=STEPS), RNG.uniform(0.2, 1.1, STEPS)
LANES = RNG.normal(size=(STEPS, 3))
RATES = np.array([0.9, 0.5, -0.3])


def running(step: Callable[..., Any], start: Any, over: Any, **options: Any) -> Any:
    def both(carry: Any, item: Any) -> Any:
        carry = step(carry, item)
        return carry, carry

    return tracer.scan(both, start, over, **options)


def average(x: Any, rate: Any) -> Any:
    return running(lambda s, v: rate * s + (1.0 - rate) * v, 0.0, x)[1]


def average_as_written(x: Any, rate: Any) -> Any:
    s, out = x[0] * 1.0, np.zeros(x.shape)
    for t in range(x.shape[0]):
        s = s + rate * (x[t] - s)
        out[t] = s
    return out, s


def returns(rewards: Any, discount: Any) -> Any:
    return running(lambda s, r: r + discount * s, 0.0, rewards, reverse=True)


def decayed(x: Any, decays: Any) -> Any:
    return running(lambda s, item: item[1] * s + item[0], 0.3, (x, decays))


def lanes(x: Any, rates: Any) -> Any:
    return running(lambda s, v: rates * s + v, np.zeros(3), x)


def momentum(x: Any) -> Any:
    def step(carry: Any, slope: Any) -> Any:
        velocity, place = carry
        velocity = 0.9 * velocity + slope
        return velocity, place - 0.1 * velocity

    return running(step, (0.0, 1.0), x)


def second_order(x: Any) -> Any:
    return running(lambda c, v: (1.2 * c[0] - 0.5 * c[1] + v, c[0]), (0.0, 0.5), x)


def reset(x: Any) -> Any:
    return running(lambda s, v: np.where(v > 0.7, 0.0, s / 1.5 - v), 0.0, x)


def moments(x: Any) -> Any:
    """Two averages, a count, a maximum, and a sum of what depends on one of them."""

    def step(carry: Any, v: Any) -> Any:
        mean, square, count, most, cost = carry
        mean = 0.9 * mean + 0.1 * v
        square = 0.99 * square + 0.01 * v * v
        return (
            mean, square, count + 1, np.maximum(most, v), cost + np.sin(mean),
        ), mean / np.sqrt(square + 1e-3)  # fmt: skip

    return tracer.scan(step, (0.0, 1.0, 0, -np.inf, 0.0), x)


def filtered_as_written(x: Any, rate: Any) -> Any:
    y = np.zeros(x.shape)
    y[0] = x[0]
    for t in range(1, x.shape[0]):
        y[t] = rate * y[t - 1] + x[t]
    return y


def returns_as_written(rewards: Any) -> Any:
    y = rewards * 1.0
    for t in range(rewards.shape[0] - 2, -1, -1):
        y[t] = y[t] + 0.9 * y[t + 1]
    return y


def squared(function: Callable[..., Any]) -> Callable[..., Any]:
    def total(*inputs: Any) -> Any:
        return sum(np.sum(leaf * leaf) for leaf in tracer.tree.leaves(function(*inputs)))

    return total


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "average": (average, (X, 0.9)),
    "average as written": (average_as_written, (X, 0.2)),
    "returns": (returns, (X, 0.97)),
    "filtered as written": (filtered_as_written, (X, 0.8)),
    "lanes as written": (filtered_as_written, (LANES, RATES)),
    "returns as written": (returns_as_written, (X,)),
    "decayed": (decayed, (X, DECAYS)),
    "lanes": (lanes, (LANES, RATES)),
    "momentum": (momentum, (X,)),
    "second order": (second_order, (X,)),
    "reset": (reset, (X,)),
    "moments": (moments, (X,)),
    "float32": (average, (X.astype(np.float32), np.float32(0.9))),
    "complex": (lambda x, a: running(lambda s, v: a * s + v, 0j, x)[1], (X, 0.9 * np.exp(0.3j))),
    "of lanes that lie apart": (lambda x, r: lanes(x.T, r), (LANES.T.copy(), RATES)),
}
CASES |= {
    f"gradient of {name}": (tracer.grad(squared(function), tuple(range(len(inputs)))), inputs)
    for name, (function, inputs) in CASES.items()
    if name not in ("moments", "complex")
}


def both(program: Program, machine: Any) -> Program:
    return split_sums(split_recurrences(split_scans(program, machine), machine), machine)


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    function, inputs = CASES[name]
    arrays = [np.asarray(leaf) for leaf in inputs]
    program = lowered(function, *inputs)
    changed = check_same(program, arrays, TINY, 4 * STEPS, change=split_recurrences)
    assert changed is not program
    check_program(changed)
    check_same(program, arrays, WIDE, 4 * STEPS, change=both)


@pytest.mark.parametrize("dtype", [np.uint64, np.int64, np.uint32])
def test_integers_are_exact(dtype: Any) -> None:
    """A congruential generator, modulo what the dtype holds."""
    factor = np.asarray(6364136223846793005 % 2**31, dtype)[()]
    numbers = RNG.integers(0, 100, STEPS).astype(dtype)
    program = lowered(lambda s, x: running(lambda s, v: s * factor + v, s, x), dtype(3), numbers)
    arrays = [np.asarray(dtype(3)), numbers]
    changed = check_same(program, arrays, WIDE, change=split_recurrences)
    assert changed is not program
    assert not any(isinstance(part, If) for part in statements(changed.body))


def exactly(program: Program, inputs: list[Array]) -> None:
    """The split program gives the bits of the program."""
    for machine in (TINY, WIDE):
        changed = split_recurrences(program, machine)
        assert changed is not program
        with np.errstate(all="ignore"):
            pairs = zip(interpret(changed, inputs), interpret(program, inputs), strict=True)
            for found, due in pairs:
                np.testing.assert_array_equal(found, due)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_runs_as_one_loop(special: float) -> None:
    x = X.copy()
    x[[40, 100]] = special, -special
    exactly(lowered(average, x, 0.9), [x, np.asarray(0.9)])
    decays = DECAYS.copy()
    decays[70] = special
    exactly(lowered(decayed, X, decays), [X, decays])
    lane = LANES.copy()
    lane[7, 1] = special
    exactly(lowered(lanes, lane, RATES), [lane, RATES])


def test_products_that_overflow_run_as_one_loop() -> None:
    """Where s stays 0 it does so with any a; where it grows, it is infinite in the end."""
    x, large = np.zeros(STEPS), np.full(STEPS, 1e100)
    grown = [np.asarray(part) for part in (X, large)]
    exactly(lowered(decayed, *grown), grown)
    program = lowered(lambda x, a: running(lambda s, i: i[1] * s + i[0], 0.0, (x, a)), x, large)
    exactly(program, [x, large])


def test_decays_to_nothing_are_right() -> None:
    """Products of a's that underflow."""
    decays = np.full(STEPS, 1e-40)
    decays[::9] = 0.0
    program = lowered(decayed, X, decays)
    check_same(program, [X, decays], WIDE, 8, change=split_recurrences)


def test_no_loop_stays_long() -> None:
    program = lowered(average, np.zeros(1_000_000), 0.9)
    assert longest(program) == 1_000_000
    changed = split_recurrences(program, REAL)
    (whole,) = (part for part in changed.body if isinstance(part, If))
    assert longest(Program("then", (), (), (), (), whole.then)) <= 64
    before = changed.body[: changed.body.index(whole)]
    assert longest(Program("before", (), (), (), (), before)) <= 64
    assert widest(before) >= 1000, "chunks of chunks"


def test_many_lanes_stay_serial() -> None:
    """What fills the device by its lanes reads its operands once."""
    for count, splits in ((8, True), (4096, True), (16384, False), (100_000, False)):
        shape = (4000, count)
        rates = np.broadcast_to(np.float64(0.5), (count,))
        x = np.broadcast_to(np.float64(0.0), shape)
        program = lowered(lambda x, r: running(lambda s, v: r * s + v, 0.0 * r, x)[1], x, rates)
        assert (split_recurrences(program, REAL) is not program) is splits
    few = lowered(average, np.zeros(1000), 0.9)
    assert split_recurrences(few, REAL) is few


def test_lanes_have_chunks_that_fill_the_machine() -> None:
    x = np.broadcast_to(np.float64(0.0), (200_000, 1000))
    program = lowered(lambda x: running(lambda s, v: 0.5 * s + v, np.zeros(1000), x)[1], x)
    changed = split_recurrences(program, REAL)
    nests = [part for part in changed.body if isinstance(part, Loop) and part.kind == "parallel"]
    most = max(trips(perfect_nest(part, "parallel")) for part in nests)
    threads = REAL.blocks * REAL.threads
    assert 0.5 * threads < most <= threads


ONE, TWO = literal(1.0, FLOAT), literal(2.0, FLOAT)


def times(left: Expression, right: Expression) -> Expression:
    return operation("multiply", left, right)


SPLIT: dict[str, tuple[Statement, ...]] = {
    "of another's new value": (
        Assign("s", operation("add", times(S, V), V)),
        Assign("t", operation("subtract", times(T, TWO), S)),
        put(operation("divide", T, operation("exp", S))),
    ),
    "by names": (
        Let("old", S),
        Let("more", times(V, Variable("old", FLOAT))),
        Assign("s", operation("negative", operation("subtract", Variable("more", FLOAT), V))),
        put(Variable("old", FLOAT)),
        Assign("t", operation("maximum", T, operation("sin", S))),
    ),
    "chosen": (
        Assign("s", operation("select", operation("less", V, V0), times(S, V), V)),
        put(S),
    ),
    "divided": (Assign("s", operation("divide", operation("subtract", S, V), TWO)), put(S)),
    "exchanged": (
        Let("old", S),
        Assign("s", operation("add", times(T, V), V)),
        Assign("t", Variable("old", FLOAT)),
        put(S),
    ),
}
KEPT: dict[str, tuple[Statement, ...]] = {
    "squared": (Assign("s", operation("add", times(S, S), V)),),
    "a divisor": (Assign("s", operation("divide", V, S)),),
    "a choice by what is carried": (
        Assign("s", operation("select", operation("less", S, V0), V, times(S, V))),
    ),
    "a factor that is carried": (
        Assign("s", operation("add", times(S, T), V)),
        Assign("t", operation("add", T, V)),
        put(T),
    ),
    "of a function": (Assign("s", operation("sin", S)),),
    "by way of float32": (
        Assign("s", cast(cast(times(S, V), np.dtype(np.float32)), FLOAT)),
        put(S),
    ),
    "in a branch": (If(operation("less", V, V0), (Assign("s", times(S, V)),)), put(S)),
    "a sum that is read": (
        Assign("s", times(S, V)),
        Assign("t", operation("add", T, operation("sin", S))),
        put(T),
    ),
}


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("reverse", [False, True])
def test_hand_written(name: str, reverse: bool) -> None:
    x = np.random.default_rng(3).uniform(0.5, 1.2, size=150)
    program = carrying(*SPLIT[name], reverse=reverse)
    assert check_same(program, [x], WIDE, 400, change=split_recurrences) is not program
    again = carrying(*SPLIT[name], extra=(Assign("s", operation("add", S, T)),))
    assert check_same(again, [x], WIDE, 400, change=split_recurrences) is not again


@pytest.mark.parametrize("name", KEPT)
def test_other_recurrences_stay(name: str) -> None:
    program = carrying(*KEPT[name])
    assert split_recurrences(program, WIDE) is program
    loops = [part for part in program.body if isinstance(part, Loop) and part.kind == "serial"]
    assert [carried_by(part) for part in loops] == [None]
