"""Which loops may be shared, and which buffers each thread must have for itself."""

from __future__ import annotations

import numpy as np
import pytest

from codegen.loops.build import integer, loop, operation
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Check,
    Declare,
    Expression,
    Load,
    Loop,
    Reduce,
    Statement,
    Store,
    Update,
    While,
)
from codegen.passes.parallel import Independent, buffer_uses, independent
from tests.codegen.programs import INT, buffer, i, j, real, scalar

N = 8
X, Y = buffer("x", (N, N), "input"), buffer("y", (N, N), "output")
V, OUT = buffer("v", (N,), "input"), buffer("out", (N,), "output")
ROW = buffer("row", (N,), "workspace")
PLACES = buffer("places", (N,), "input", INT)


def times(factor: int, index: Expression) -> Expression:
    """A multiple of an index."""
    return operation("multiply", integer(factor), index)


def plus(index: Expression, step: int) -> Expression:
    """A neighbour."""
    return operation("add", index, integer(step))


def found(*body: Statement, kind: str = "parallel", rest: tuple[Statement, ...] = ()) -> object:
    """What is known of a loop over i with this body, in a program that goes on with `rest`."""
    over = loop("i", N, *body, kind=kind)
    return independent(over, buffer_uses((over, *rest)))


def names(result: object) -> list[str]:
    """The private buffers of a loop that may be shared."""
    assert isinstance(result, Independent)
    return [private.name for private in result.private]


COPY = Store(OUT, (i,), Load(V, (i,)))
SHARED: dict[str, tuple[Statement, ...]] = {
    "elements": (COPY,),
    "rows": (loop("j", N, Store(Y, (i, j), Load(X, (j, i)))),),
    "columns": (loop("j", N, Store(Y, (j, i), Load(X, (i, j)))),),
    "own element": (Update(OUT, (i,), "add", Load(V, (integer(3),))),),
    "row again": (loop("j", N, COPY, Store(Y, (i, j), Load(Y, (i, plus(j, 0))))),),
    "a place of the row by data": (Store(Y, (i, Load(PLACES, (i,))), real(1.0)),),
    "strided": (Store(buffer("s", (2 * N,), "output"), (times(2, i),), real(1.0)),),
    "pairs": (
        Store(buffer("s", (2 * N,), "output"), (times(2, i),), real(1.0)),
        Store(buffer("t", (2 * N,), "output"), (plus(times(2, i), 1),), real(1.0)),
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_shared(name: str) -> None:
    assert names(found(*SHARED[name])) == []


ALONE: dict[str, tuple[Statement, ...]] = {
    "one place": (Store(OUT, (integer(0),), Load(V, (i,))),),
    "an accumulation in memory": (loop("j", N, Update(OUT, (j,), "add", Load(X, (i, j)))),),
    "the neighbour": (Store(OUT, (i,), Load(OUT, (plus(i, -1),))),),
    "overlapping rows": (loop("j", 3, Store(OUT, (operation("add", i, j),), real(1.0))),),
    "a place by data": (Store(OUT, (Load(PLACES, (i,)),), real(1.0)),),
    "the other way round": (Store(Y, (i, integer(0)), Load(Y, (integer(0), i))),),
    "a scalar from outside": (Assign("s", Load(V, (i,))),),
    "a sum that is read": (
        Reduce("s", "add", Load(V, (i,))),
        Store(OUT, (i,), scalar("s")),
    ),
    "two operations": (
        Reduce("s", "add", Load(V, (i,))),
        Reduce("s", "maximum", Load(V, (i,))),
    ),
    "a check": (Check(operation("less", Load(V, (i,)), real(1.0)), 0),),
    "a loop by data": (While((), operation("less", Load(V, (i,)), real(1.0)), (COPY,)),),
}


@pytest.mark.parametrize("name", ALONE)
def test_alone(name: str) -> None:
    assert found(*ALONE[name], kind="reduce") is None


def test_serial_and_reversed_loops_are_not_shared() -> None:
    assert found(COPY, kind="serial") is None
    backwards = Loop("i", integer(0), integer(N), (COPY,), "parallel", True)
    assert independent(backwards, buffer_uses((backwards,))) is None


def test_a_temporary_of_one_iteration_is_private() -> None:
    fill = loop("j", N, Store(ROW, (j,), Load(X, (i, j))))
    use = loop("j", N, Store(Y, (i, j), Load(ROW, (j,))))
    assert names(found(fill, use)) == ["row"]
    later = loop("j", N, Store(OUT, (j,), Load(ROW, (j,))))
    assert found(fill, use, rest=(later,)) is None, "what is read later is not a thread's own"
    result = buffer("result", (N,), "output")
    assert found(loop("j", N, Store(result, (j,), Load(X, (i, j))))) is None


def test_views_of_one_memory() -> None:
    flat = Buffer("flat", Y.dtype, (N * N,), "output", None, Y)
    place = operation("add", times(N, i), j)
    assert names(found(loop("j", N, Store(flat, (place,), Load(Y, (i, j)))))) == []
    assert found(loop("j", N, Store(flat, (place,), Load(Y, (j, i))))) is None


def test_reductions() -> None:
    sums = found(
        Declare("inner", real(0.0)),
        loop("j", N, Reduce("inner", "add", Load(X, (i, j))), kind="reduce"),
        Reduce("total", "add", scalar("inner")),
        Reduce("top", "maximum", scalar("inner")),
        kind="reduce",
    )
    assert isinstance(sums, Independent)
    double = np.dtype(np.float64)
    assert sums.reductions == {"total": ("add", double), "top": ("maximum", double)}
