"""Running values by chunks are what one loop finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import DeviceMachine
from codegen.loops.build import index, integer, literal, loop, operation
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Program,
    Statement,
    Store,
    Variable,
)
from codegen.loops.walk import statements
from codegen.passes.chunks import perfect_nest, trips
from codegen.passes.split_scans import split_scans
from codegen.passes.split_sums import split_sums
from tests.codegen.test_split_sums import REAL, TINY, WIDE, check_same, lowered, widest

FLOAT = np.dtype(np.float64)
i = index("i")
SHAPES = [(1, 1), (2, 1), (1, 97), (64, 1), (67, 3), (3, 67)]


def longest(program: Program) -> int:
    """The most iterations of a serial loop with literal bounds."""
    found = [part for part in statements(program.body) if isinstance(part, Loop)]
    return max([trips(perfect_nest(p, "serial")[:1]) for p in found if p.kind == "serial"] or [0])


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sums down": lambda x: np.cumsum(x, axis=0),
    "sums along": lambda x: np.cumsum(x, axis=1),
    "all": lambda x: np.cumsum(x),
    "products": lambda x: np.cumprod(1.0 + 0.1 * x, axis=0),
    "extremes": lambda x: (np.maximum.accumulate(x, axis=0), np.minimum.accumulate(x, axis=1)),
    "gradient": tracer.grad(lambda x: np.sum(np.cumsum(x, axis=0) ** 2 * x)),
    "gradient of products": tracer.grad(lambda x: np.sum(np.cumprod(1.0 + 0.1 * x, axis=0))),
    "sums of sums": lambda x: np.cumsum(np.cumsum(x, axis=0) * x, axis=0).sum(axis=0),
    "of terms": lambda x: np.cumsum(np.sin(x) * x[::-1], axis=0) + x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    changes = 0
    for shape in SHAPES:
        x = np.random.default_rng(len(name)).normal(size=shape)
        program = lowered(FUNCTIONS[name], x)
        terms = 4 * x.size + 16
        changes += check_same(program, [x], TINY, terms, change=split_scans) is not program
        check_same(program, [x], WIDE, terms, change=_both)
    assert changes > 0


def _both(program: Program, machine: DeviceMachine) -> Program:
    return split_sums(split_scans(program, machine), machine)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_integers_are_exact(dtype: Any) -> None:
    x = np.random.default_rng(1).integers(0, 100, 200).astype(dtype)
    for function in (np.cumsum, np.cumprod, np.maximum.accumulate):
        check_same(lowered(function, x), [x], WIDE, change=split_scans)


@pytest.mark.parametrize("function", [np.cumsum, np.maximum.accumulate, np.minimum.accumulate])
def test_special_values(function: Any) -> None:
    """NaN and infinities anywhere, and zeros of both signs from the beginning."""
    rng = np.random.default_rng(2)
    plain = rng.integers(-3, 4, 150).astype(np.float64)
    for special in ([np.nan], [np.inf], [-np.inf, np.inf], [np.inf, np.nan]):
        x = plain.copy()
        x[rng.integers(0, 150, len(special))] = special
        check_same(lowered(function, x), [x], WIDE, change=split_scans)
    zeros = np.full(150, -0.0)
    program = lowered(lambda x: 1.0 / np.cumsum(x), zeros)
    with np.errstate(all="ignore"):
        check_same(program, [zeros], WIDE, change=split_scans)  # -inf, where 0.0 would give inf


def test_no_loop_stays_long() -> None:
    x = np.zeros(5000)
    program = lowered(np.cumsum, x)
    assert longest(program) == 5000
    assert longest(split_scans(program, WIDE)) <= 8
    x = np.zeros(1_000_000)
    changed = split_scans(lowered(np.cumsum, x), REAL)
    assert longest(changed) <= 64
    assert widest(changed.body) == -(-1_000_000 // (REAL.threads * 7)), "tiles"
    x = np.zeros((100_000, 8))
    changed = split_scans(lowered(lambda x: np.cumsum(x, axis=0), x), REAL)
    assert widest(changed.body) == 8 * 3125


def test_columns_have_chunks_that_fill_the_machine() -> None:
    x = np.zeros((20_000, 10_000))
    changed = split_scans(lowered(lambda x: np.cumsum(x, axis=0), x), REAL)
    threads = REAL.blocks * REAL.threads
    assert 0.9 * threads < widest(changed.body) <= threads


@pytest.mark.parametrize("shape", [(2000, 3), (100, 1000), (4000, 50_000)])
def test_what_is_short_or_wide_stays(shape: tuple[int, int]) -> None:
    program = lowered(lambda x: np.cumsum(x, axis=0), np.zeros(shape))
    assert split_scans(program, REAL) is program


def carrying(*body: Statement, reverse: bool = False, extra: tuple[Statement, ...] = ()) -> Program:
    """A loop of 150 iterations over x that carries s, from 1, and t; what both are at the end is
    stored."""
    x = Buffer("x", FLOAT, (150,), "input")
    y, z = Buffer("y", FLOAT, (150,), "output"), Buffer("z", FLOAT, (2,), "output")
    placed = [Store(y, (i,), part.value) if isinstance(part, Store) else part for part in body]
    carried = (Declare("s", literal(1.0, FLOAT)), Declare("t", literal(2.0, FLOAT)))
    ends = (Store(z, (integer(0),), S), Store(z, (integer(1),), T))
    nest = Loop(
        "i", integer(0), integer(150), (Let("v", Load(x, (i,))), *placed), "serial", reverse
    )
    whole = (*carried, loop("i", 150, Store(y, (i,), V0)), nest, *extra, *ends)
    return Program("carrying", (x,), (y, z), (), (), whole)


S, T, V = Variable("s", FLOAT), Variable("t", FLOAT), Variable("v", FLOAT)
V0 = literal(0.0, FLOAT)
ANYWHERE = Buffer("nowhere", FLOAT, (), "output")


def put(value: Expression) -> Store:
    """A store at the loop's own place."""
    return Store(ANYWHERE, (), value)


SPLIT = {
    "before and after": (
        Let("old", S),
        put(operation("multiply", Variable("old", FLOAT), V)),
        Assign("s", operation("add", V, Variable("old", FLOAT))),
        Let("new", operation("sin", S)),
        put(Variable("new", FLOAT)),
    ),
    "two": (
        Assign("s", operation("subtract", S, V)),
        Let("bound", operation("cos", V)),
        Assign("t", operation("minimum", Variable("bound", FLOAT), T)),
        put(operation("add", S, T)),
    ),
    "nothing stored": (Assign("t", operation("maximum", T, V)),),
}
KEPT = {
    "another's value": (
        Assign("s", operation("add", S, V)),
        Assign("t", operation("add", T, S)),
    ),
    "another's value by name": (
        Assign("s", operation("add", S, V)),
        Let("now", S),
        Assign("t", operation("add", T, Variable("now", FLOAT))),
    ),
    "another's value before": (
        Assign("t", operation("add", T, S)),
        Assign("s", operation("add", S, V)),
    ),
    "not associative": (Assign("s", operation("subtract", V, S)),),
    "not one operation": (Assign("s", operation("sin", operation("add", S, V))),),
    "twice": (Assign("s", operation("add", S, S)),),
    "in a branch": (
        If(operation("less", V, V0), (Assign("s", operation("add", S, V)),)),
        Assign("t", operation("add", T, V)),
    ),
    "changed twice": (
        Assign("s", operation("add", S, V)),
        Assign("s", operation("add", S, V)),
    ),
    "term depends": (
        Let("product", operation("multiply", S, V)),
        Assign("s", operation("add", S, Variable("product", FLOAT))),
    ),
}


@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("reverse", [False, True])
def test_hand_written(name: str, reverse: bool) -> None:
    """In both directions, with a loop behind that has the carried value changed once more."""
    x = np.random.default_rng(3).normal(size=150)
    program = carrying(*SPLIT[name], reverse=reverse)
    assert check_same(program, [x], WIDE, 400, change=split_scans) is not program
    again = carrying(*SPLIT[name], extra=(Assign("s", operation("add", S, T)),))
    assert check_same(again, [x], WIDE, 400, change=split_scans) is not again


@pytest.mark.parametrize("name", KEPT)
def test_other_recurrences_stay(name: str) -> None:
    program = carrying(*KEPT[name])
    assert split_scans(program, WIDE) is program
