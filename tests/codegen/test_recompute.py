"""Values that are found again where they are read are the values that were stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracer
from codegen.device.machine import SIMULATED, DeviceMachine
from codegen.loops.build import index, integer, literal, loop, operation
from codegen.loops.check import check_program
from codegen.loops.interpret import interpret
from codegen.loops.nodes import Buffer, Declare, Let, Load, Loop, Program, Reduce, Store, Variable
from codegen.loops.text import print_program
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.passes.recompute import recompute
from tests.cuda.test_traffic import clusters, cross_entropy, layer_norm, logsumexp, mixture

FLOAT = np.dtype(np.float64)
ROWS, COLUMNS = 12, 40
i, j, k, t = index("i"), index("j"), index("k"), index("t")
X = Buffer("x", FLOAT, (ROWS, COLUMNS), "input")
Y = Buffer("y", FLOAT, (ROWS, COLUMNS), "output")
Z = Buffer("z", FLOAT, (COLUMNS,), "output")
W = Buffer("w", FLOAT, (ROWS, COLUMNS), "workspace")
ROW = Buffer("r", FLOAT, (COLUMNS,), "workspace")


def value(name: str) -> Variable:
    return Variable(name, FLOAT)


def program(*body: Any, workspace: tuple[Buffer, ...] = (W,)) -> Program:
    made = Program("f", (X,), (Y, Z), (), workspace, body)
    check_program(made)
    return made


def changed(before: Program, machine: DeviceMachine = SIMULATED) -> Program:
    """The program after the pass, which gives the same bits."""
    after = recompute(before, machine)
    check_program(after)
    rng = np.random.default_rng(0)
    inputs: list[Any] = [
        rng.integers(0, 3, buffer.shape)
        if buffer.dtype.kind == "i"
        else rng.normal(size=buffer.shape).astype(buffer.dtype)
        for buffer in before.inputs
    ]
    with np.errstate(all="ignore"):
        pairs = zip(interpret(after, inputs), interpret(before, inputs), strict=True)
        for found, due in pairs:
            np.testing.assert_array_equal(found, due, err_msg=print_program(after))
    return after


def nest(*body: Any, kind: str = "parallel") -> Loop:
    return loop("i", ROWS, loop("j", COLUMNS, *body), kind=kind)


def fill(buffer: Buffer) -> Loop:
    zero = literal(0.0, FLOAT)
    if buffer is Z:
        return loop("j", COLUMNS, Store(buffer, (j,), zero))
    return loop("fi", ROWS, loop("fj", COLUMNS, Store(buffer, (index("fi"), index("fj")), zero)))


def doubled() -> Loop:
    """w = 2·x"""
    return nest(
        Let("a", Load(X, (i, j))),
        Let("b", operation("multiply", value("a"), literal(2.0, FLOAT))),
        Store(W, (i, j), value("b")),
    )


def column_sums(buffer: Buffer) -> Loop:
    k = index("k")
    return loop(
        "c",
        COLUMNS,
        Declare("s", literal(0.0, FLOAT)),
        loop("k", ROWS, Reduce("s", "add", Load(buffer, (k, index("c")))), kind="reduce"),
        Store(Z, (index("c"),), value("s")),
    )


def test_what_is_cheap_needs_no_memory() -> None:
    after = changed(program(doubled(), column_sums(W), fill(Y)))
    assert not after.workspace


def test_small_memory_stays_on_a_real_device() -> None:
    before = program(doubled(), column_sums(W), fill(Y))
    assert recompute(before, DeviceMachine()) is before


def test_a_scalar_of_a_row_is_stored_in_place_of_the_row() -> None:
    rows = loop(
        "i",
        ROWS,
        Declare("s", literal(0.0, FLOAT)),
        loop("j", COLUMNS, Reduce("s", "add", Load(X, (i, j))), kind="reduce"),
        Let("mean", operation("divide", value("s"), literal(float(COLUMNS), FLOAT))),
        loop(
            "k",
            COLUMNS,
            Store(W, (i, k), operation("subtract", Load(X, (i, k)), value("mean"))),
        ),
    )
    after = changed(program(rows, column_sums(W), fill(Y)))
    assert [buffer.shape for buffer in after.workspace] == [(ROWS,)]


def test_what_an_output_has_is_not_stored_again() -> None:
    rows = nest(
        Let("a", operation("exp", Load(X, (i, j)))),
        Store(Y, (i, j), value("a")),
        Store(W, (i, j), operation("negative", value("a"))),
    )
    after = changed(program(rows, column_sums(W)))
    assert not after.workspace


def test_memory_that_changes_in_between_is_no_source() -> None:
    grow = nest(Store(Y, (i, j), operation("add", Load(Y, (i, j)), literal(1.0, FLOAT))))
    copy = nest(Store(W, (i, j), operation("multiply", Load(Y, (i, j)), literal(2.0, FLOAT))))
    after = changed(program(fill(Y), copy, grow, column_sums(W)))
    assert after.workspace == (W,)


def test_what_the_last_turn_left_is_no_source() -> None:
    """In each turn the row is stored after it was read: values come from the turn before."""
    state = Buffer("q", FLOAT, (COLUMNS,), "workspace")
    body = (
        loop("a", COLUMNS, Store(ROW, (index("a"),), Load(state, (index("a"),)))),
        loop("b", COLUMNS, Store(state, (index("b"),), Load(X, (t, index("b"))))),
        loop("c", COLUMNS, Store(Y, (t, index("c")), Load(ROW, (index("c"),)))),
    )
    first = loop("j", COLUMNS, Store(Z, (j,), literal(0.0, FLOAT)))
    start = loop("d", COLUMNS, Store(state, (index("d"),), literal(0.0, FLOAT)))
    turns = Loop("t", integer(0), integer(ROWS), body, "serial")
    after = changed(program(first, start, turns, workspace=(ROW, state)))
    assert ROW in after.workspace


def test_rows_read_by_another_index_stay() -> None:
    """Row i is read with row 0's scalar, which is not the one in sight."""
    rows = loop(
        "i",
        ROWS,
        Let("a", operation("exp", Load(X, (i, integer(0))))),
        loop("j", COLUMNS, Store(W, (i, j), operation("add", Load(X, (i, j)), value("a")))),
    )
    shifted = loop(
        "k",
        ROWS,
        Let("first", Load(W, (integer(0), integer(0)))),
        loop("c", COLUMNS, Store(Y, (k, index("c")), value("first"))),
    )
    after = changed(program(rows, shifted, fill(Z)))
    assert W in after.workspace


def test_much_work_is_not_done_twice() -> None:
    costly = nest(
        Let("a", operation("power", Load(X, (i, j)), literal(3.0, FLOAT))),
        Store(W, (i, j), value("a")),
    )
    after = changed(program(costly, column_sums(W), fill(Y)))
    assert after.workspace == (W,)


GRADIENTS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "logsumexp": (tracer.grad(logsumexp), (np.ones((9, 40)),), 1),
    "cross-entropy": (
        tracer.grad(cross_entropy), (np.ones((9, 40)), np.zeros(9, np.int64)), 2
    ),
    "layer-norm": (
        tracer.value_and_grad(layer_norm, argnums=(0, 1, 2)),
        (np.ones((9, 40)), np.ones(40), np.ones(40), np.ones((9, 40))),
        3,
    ),
    "mixture": (
        tracer.grad(mixture, argnums=(0, 1, 2)),
        (np.ones((20, 9)), np.ones((20, 9)), np.ones(20), np.ones((6, 9))),
        7,
    ),
    "clusters": (tracer.grad(clusters), (np.ones((5, 3)), np.ones((20, 3))), 3),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_keep_their_bits(name: str) -> None:
    """And no more workspace than so many buffers."""
    function, args, most = GRADIENTS[name]
    graph = tracer.jit(function).trace(*args).graph
    before = optimize(lower_graph(graph, "device"), "device")
    after = changed(before)
    assert len(after.workspace) <= most
    assert len(after.workspace) <= len(before.workspace)
