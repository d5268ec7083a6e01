"""Patterns against dense derivatives, on every primitive and on random graphs; and colourings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tests.graph.random_graphs import Example, examples
from tests.graph.test_random_graphs import PHASES
from tests.helpers import Array, run_numpy
from tests.primitive_cases import ROWS
from tests.primitives.row import case_graph, operands_of
from tests.primitives.test_derivatives import FORWARD, double_cases
from tracer.graph.build import build_closed
from tracer.graph.nodes import Graph
from tracer.primitives.loop import LoopShape, loop
from tracer.transforms import sparsity_loops
from tracer.transforms.colouring import (
    colour_columns,
    colour_rows,
    colour_symmetric,
    count_colours,
    seeds,
    symmetric_places,
)
from tracer.transforms.graphs import inexact_flags, jvp_graph, vjp_graph
from tracer.transforms.simplify import simplify
from tracer.transforms.sparsity import dependence
from tracer.transforms.vmap import batch_graph
from tracer.types import ArrayType

usual = settings(phases=PHASES, max_examples=60)


def dense_map(linear: Graph, inputs: list[Array], count: int, skip: int) -> list[Array]:
    """The matrix of each output from `skip` on, by unit vectors for inputs from `count` on."""
    types = linear.input_types[count:]
    total = sum(type_.size for type_ in types)
    bases = []
    begin = 0
    for type_ in types:
        basis = np.zeros((total, type_.size), type_.dtype)
        basis[begin : begin + type_.size] = np.eye(type_.size)
        bases.append(basis.reshape(total, *type_.shape))
        begin += type_.size
    flags = tuple(place >= count for place in range(len(linear.inputs)))
    wide, _ = batch_graph(linear, total, flags, (True,) * len(linear.outputs))
    outputs = run_numpy(wide, [*inputs[:count], *bases])[skip:]
    return [output.reshape(total, math.prod(output.shape[1:])).T for output in outputs]


def check_covered(graph: Graph, inputs: list[Array], *, forward: bool = True) -> None:
    """The patterns of both linear maps hold every entry that is not 0."""
    active = inexact_flags(graph.input_types)
    count = len(graph.inputs)
    maps = [(simplify(vjp_graph(graph, active)), 0)]
    if forward:
        maps.append((simplify(jvp_graph(graph, active)), len(graph.outputs)))
    for linear, skip in maps:
        flags = [place >= count for place in range(len(linear.inputs))]
        patterns = dependence(linear, flags)[skip:]
        for matrix, pattern in zip(dense_map(linear, inputs, count, skip), patterns, strict=True):
            missed = (matrix != 0) & ~pattern.toarray()
            assert not missed.any(), f"{np.argwhere(missed)[:3]} of\n{linear}"


@pytest.mark.parametrize("name", FORWARD)
def test_every_primitive_is_covered(name: str) -> None:
    for case in double_cases(ROWS[name]):
        graph = case_graph(name, case)
        if sum(type_.size for type_ in graph.input_types):
            check_covered(graph, operands_of(name, case))


@usual
@given(examples(steps=20))
def test_random_graphs_are_covered(example: Example) -> None:
    check_covered(example.graph, example.inputs)


@usual
@given(examples(steps=20))
def test_integers_have_no_dependence(example: Example) -> None:
    """And a graph's own pattern, not only that of its linear part, covers its derivative."""
    graph = example.graph
    active = inexact_flags(graph.input_types)
    patterns = dependence(graph, active)
    linear = jvp_graph(graph, active)
    dense = iter(dense_map(linear, example.inputs, len(graph.inputs), len(graph.outputs)))
    for pattern, type_ in zip(patterns, graph.output_types, strict=True):
        if type_.dtype.kind not in "fc":
            assert pattern.nnz == 0
        else:
            assert not ((next(dense) != 0) & ~pattern.toarray()).any()


def loop_graph(length: int | None, reverse: bool) -> Graph:
    """A loop that shifts its carry by one place a step and stacks a product with a slice."""

    def body(*operands: Any) -> list[Any]:
        index, weights, carry, element = operands
        moved = np.concatenate([carry[1:], carry[:1] * weights[0]])
        return [moved, element * carry[0] + element[index % 2]]

    vector, pair = ArrayType(np.dtype(float), (6,)), ArrayType(np.dtype(float), (2,))
    integer = ArrayType(np.dtype(np.int64), ())
    inner = build_closed(body, [integer, pair, vector, pair], "body")
    rows = ArrayType(np.dtype(float), (5, 2))
    shape = LoopShape(0, 1, 1, 1, length, reverse)
    return build_closed(lambda *x: list(loop(x, inner, None, shape)), [pair, vector, rows], "loop")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("limits", [(10**6, 64), (0, 64), (0, 2)])
def test_loops_step_by_step_and_by_their_fixpoint(
    monkeypatch: pytest.MonkeyPatch, reverse: bool, limits: tuple[int, int]
) -> None:
    exact = dependence(loop_graph(5, reverse), (True, True, True))
    monkeypatch.setattr(sparsity_loops, "STEPWISE_NODES", limits[0])
    monkeypatch.setattr(sparsity_loops, "FIXPOINT_ROUNDS", limits[1])
    graph = loop_graph(5, reverse)
    rng = np.random.default_rng(0)
    inputs = [rng.uniform(0.5, 1.5, type_.shape) for type_ in graph.input_types]
    check_covered(graph, inputs)
    found = dependence(graph, (True, True, True))
    for pattern, least in zip(found, exact, strict=True):
        assert not (least.toarray() & ~pattern.toarray()).any()
    if limits[0]:
        linear = jvp_graph(graph, (True, True, True))
        for matrix, pattern in zip(dense_map(linear, inputs, 3, 2), found, strict=True):
            np.testing.assert_array_equal(matrix != 0, pattern.toarray())


@st.composite
def patterns(draw: Any, *, symmetric: bool = False) -> Any:
    """A sparse boolean matrix."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    rows, columns = draw(st.integers(1, 25)), draw(st.integers(1, 25))
    if symmetric:
        columns = rows
    dense = rng.random((rows, columns)) < draw(st.sampled_from([0.0, 0.05, 0.15, 0.4, 1.0]))
    if draw(st.booleans()):
        dense[0] = True
    return sparse.csr_array(dense | dense.T if symmetric else dense)


@given(patterns())
def test_column_and_row_colouring(pattern: Any) -> None:
    """No two of one colour meet, and a greedy colouring has at least the colours it must."""
    for colours, matrix in ((colour_columns(pattern), pattern), (colour_rows(pattern), pattern.T)):
        basis = seeds(colours, np.int64)
        assert (np.asarray(matrix.astype(np.int64) @ basis.T) <= 1).all()
        assert count_colours(colours) >= np.max(matrix.sum(axis=1), initial=0)
        assert sorted(set(colours.tolist())) == list(range(count_colours(colours)))


@given(patterns(symmetric=True))
def test_star_colouring_recovers_every_entry(pattern: Any) -> None:
    dense = np.random.default_rng(0).normal(size=pattern.shape) * pattern.toarray()
    dense = dense + dense.T
    colours = colour_symmetric(pattern)
    products = seeds(colours, float) @ dense
    data = products[symmetric_places(pattern, colours)]
    result = sparse.csr_array((data, pattern.indices, pattern.indptr), pattern.shape)
    np.testing.assert_allclose(result.toarray(), dense, rtol=1e-12, atol=1e-12)


def test_known_colour_counts() -> None:
    """A path needs 3 colours for its columns and its stars, a star 2, a complete graph n."""
    n = 500
    path = sparse.csr_array(
        sparse.diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(n, n)) != 0
    )
    assert count_colours(colour_columns(path)) == 3
    assert count_colours(colour_symmetric(path)) == 3
    star = sparse.lil_array((n, n), dtype=bool)
    star[n // 2] = star[:, [n // 2]] = True
    assert count_colours(colour_symmetric(star.tocsr())) == 2
    assert count_colours(colour_columns(star.tocsr())) == n
    assert count_colours(colour_symmetric(sparse.csr_array(np.ones((9, 9), bool)))) == 9
    assert count_colours(colour_symmetric(sparse.csr_array((9, 9), dtype=bool))) == 1
