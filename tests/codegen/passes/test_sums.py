"""Sums at one place of memory become scalars, and their loops independent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracer
from codegen.loops.nodes import Loop, Program
from codegen.loops.walk import statements
from codegen.lower.context import integer
from codegen.lower.graph import lower_graph
from codegen.passes.pipeline import optimize
from codegen.passes.sums import sums
from tests.codegen.passes.random_loops import EXTENT, Draw, Writer
from tests.codegen.passes.test_passes import check_equal
from tests.helpers import COMPILED, assert_near


def energy(positions: Any, masses: Any) -> Any:
    between = positions[np.newaxis, :, :] - positions[:, np.newaxis, :]
    square = np.sum(between**2, axis=2) + 0.25
    return np.sum(masses[:, np.newaxis] * masses / np.sqrt(square))


BODIES = 40
POSITIONS = np.random.default_rng(3).normal(size=(BODIES, 3))
MASSES = np.linspace(0.5, 1.5, BODIES)


def test_pairs_are_not_stored() -> None:
    """The gradient by positions: a loop over pairs, in lanes, and no array of pairs."""
    graph = tracer.jit(tracer.grad(energy)).trace(POSITIONS, MASSES).graph
    program = optimize(lower_graph(graph))
    assert all(buffer.size < BODIES * BODIES for buffer in program.workspace)
    loops = [part for part in statements(program.body) if isinstance(part, Loop)]
    inner = [loop for loop in loops if not any(isinstance(part, Loop) for part in loop.body)]
    assert not any(loop.kind == "serial" for loop in inner)


@pytest.mark.parametrize("backend", COMPILED)
def test_gradient_of_pairs(backend: str) -> None:
    found = tracer.jit(tracer.grad(energy), backend=backend)(POSITIONS, MASSES)
    assert_near(found, tracer.jit(tracer.grad(energy), backend="numpy")(POSITIONS, MASSES), 1e-12)


@st.composite
def nests(draw: Draw) -> Program:
    """Loops of updates in loops: of elements that the inner loop changes, and of one."""
    writer = Writer(draw)
    context = writer.context
    with context.loop(EXTENT, "serial") as outer, context.loop(EXTENT, "serial") as inner:
        for _ in range(draw(st.integers(1, 3))):
            buffer = draw(st.sampled_from(writer.writable))
            value = writer.value((outer, inner))
            fixed = draw(st.booleans())
            places = outer, integer(draw(st.integers(0, EXTENT - 1)))
            where = writer.place(buffer, (inner,)) if not fixed else places[: len(buffer.shape)]
            context.update(buffer, where, "add", value)
    return writer.finish()


def test_random_nests() -> None:
    counts = {True: 0, False: 0}

    @settings(max_examples=200)
    @given(nests())
    def check(program: Program) -> None:
        changed = sums(program)
        counts[changed is not program] += 1
        check_equal(program, changed, "sums")

    check()
    assert min(counts.values()) > 10, f"some are sums in registers, some not: {counts}"


def test_what_is_read_stays_in_memory() -> None:
    """Each element is divided by the sum of the elements so far."""

    def function(x: Any) -> Any:
        total = np.zeros(2) * x[0]
        y = x * 1.0
        for i in range(BODIES):
            total[0] += x[i]
            y[i] = y[i] / total[0]
        return y

    x = np.linspace(1.0, 2.0, BODIES)
    assert_near(tracer.jit(function)(x), x / np.cumsum(x), 1e-14)
