"""Workspace offsets: aligned, apart while both live, shared when they do not."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codegen.loops.build import integer, loop
from codegen.loops.nodes import Buffer, Load, Program, Statement, Store
from codegen.passes.workspace import ALIGNMENT, plan_workspace
from tests.codegen.programs import buffer, i, literal


def chain(sizes: list[int], dtypes: list[str], reach: list[int]) -> tuple[Program, list[range]]:
    """Buffer n is written by statement n and read by statement n + reach; and the lives."""
    count = len(sizes)
    buffers = [buffer(f"w{n}", (sizes[n],), "workspace", dtypes[n]) for n in range(count)]
    lives = [range(n, min(n + reach[n], count - 1) + 1) for n in range(count)]
    body: list[Statement] = []
    for position in range(count):
        w = buffers[position]
        statements: list[Statement] = [Store(w, (i,), literal(0, w.dtype))]
        for other, life in zip(buffers, lives, strict=True):
            if life[-1] == position and other is not w:
                statements.append(Store(other, (integer(0),), Load(other, (integer(0),))))
        body.append(loop("i", 1, *statements))
    return Program("chain", (), (), (), tuple(buffers), tuple(body)), lives


def overlap(first: Buffer, start: int, second: Buffer, other: int) -> bool:
    """Whether two buffers at these offsets share a byte."""
    end = start + first.size * first.dtype.itemsize
    return start < other + second.size * second.dtype.itemsize and other < end


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.sampled_from(["f8", "f4", "i8", "?"]), st.integers(0, 4)),
        min_size=1,
        max_size=12,
    )
)
def test_buffers_that_live_together_lie_apart(rows: list[tuple[int, str, int]]) -> None:
    sizes, dtypes, reach = (list(column) for column in zip(*rows, strict=True))
    program, lives = chain(sizes, dtypes, reach)
    for separate in (False, True):
        plan = plan_workspace(program, separate)
        pairs = itertools.combinations(zip(program.workspace, lives, strict=True), 2)
        for (first, life), (second, other) in pairs:
            together = life[0] <= other[-1] and other[0] <= life[-1]
            same_arena = not separate or first.dtype == second.dtype
            if together and same_arena:
                starts = plan.offsets[first], plan.offsets[second]
                assert not overlap(first, starts[0], second, starts[1])
        for arena in plan.arenas:
            shared = arena.dtype is None
            inside = [b for b in program.workspace if shared or b.dtype == arena.dtype]
            ends = [plan.offsets[b] + b.size * b.dtype.itemsize for b in inside]
            assert max(ends) <= arena.size
        assert all(offset % ALIGNMENT == 0 for offset in plan.offsets.values())
        assert plan.peak == sum(arena.size for arena in plan.arenas)


def test_dead_buffers_give_their_memory_away() -> None:
    program, _ = chain([1000] * 6, ["f8"] * 6, [1] * 6)
    plan = plan_workspace(program)
    assert plan.peak == 2 * 8000
    assert len(plan.arenas) == 1


def test_one_arena_a_dtype() -> None:
    program, _ = chain([8, 8, 8], ["f8", "f4", "f8"], [0, 0, 0])
    plan = plan_workspace(program, separate_dtypes=True)
    assert [(arena.dtype, arena.size) for arena in plan.arenas] == [
        (np.dtype("f8"), 64),
        (np.dtype("f4"), 64),
    ]


def test_unused_buffers_take_no_memory() -> None:
    program = Program("idle", (), (), (), (buffer("w", (100,), "workspace"),), ())
    assert plan_workspace(program).peak == 0
