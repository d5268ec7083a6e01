"""Every primitive over a batch, each subset of its operands batched, against a Python loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from tests.helpers import Array, assert_same, run_numpy
from tests.primitive_cases import ROWS
from tests.primitives.numerical import (
    forward_graph,
    random_cotangents,
    random_tangents,
    reverse_graph,
)
from tests.primitives.row import Case, case_graph, generator, operands_of
from tests.primitives.test_complete import NO_BATCHING
from tests.primitives.test_values import label
from tracer.graph.nodes import Graph
from tracer.graph.primitive import REGISTRY
from tracer.transforms.vmap import batch_graph

NAMES = sorted(set(ROWS) - set(NO_BATCHING))
SIZE = 3
Flags = tuple[bool, ...]


def subsets(count: int) -> Iterator[Flags]:
    """Which operands are batched: every choice but none; of many operands the first three vary."""
    for head in itertools.product((True, False), repeat=min(count, 3)):
        flags = head + (head[-1],) * (count - 3)
        if any(flags):
            yield flags


def lanes_of(name: str, case: Case) -> list[list[Array]]:
    """Operands for each lane, all from the case's domains."""
    lanes = [operands_of(name, case)]
    for lane in range(1, SIZE):
        renamed = Case(case.types, case.domains, {**case.params, "lane": lane})
        lanes.append(operands_of(name, renamed))
    return lanes


def check_batched(
    graph: Graph, lanes: Sequence[Sequence[Array]], flags: Flags, ulps: float, what: str
) -> None:
    """The batched graph on stacked operands against the graph on each lane."""
    batched, out_flags = batch_graph(graph, SIZE, flags)
    batched.check()
    stacked = [
        np.stack([lane[position] for lane in lanes]) if flag else lanes[0][position]
        for position, flag in enumerate(flags)
    ]
    results = run_numpy(batched, stacked)
    each = [
        run_numpy(
            graph,
            [lane[p] if flag else lanes[0][p] for p, flag in enumerate(flags)],
        )
        for lane in lanes
    ]
    for position, (result, has) in enumerate(zip(results, out_flags, strict=True)):
        expected = [lane[position] for lane in each]
        due = np.stack(expected) if has else expected[0]
        assert_same(result, due, ulps, f"{what}, batched {flags}", scaled=True)
        if not has:
            for other in expected[1:]:
                assert_same(other, expected[0], 0, f"{what}: an output is not batched but depends")


@pytest.mark.parametrize("name", NAMES)
def test_batched_values(name: str) -> None:
    for case in ROWS[name].cases:
        graph = case_graph(name, case)
        lanes = lanes_of(name, case)
        for flags in subsets(len(case.types)):
            check_batched(graph, lanes, flags, max(8, ROWS[name].ulps), label(case))


@pytest.mark.parametrize("name", [n for n in NAMES if REGISTRY[n].differentiable])
def test_batched_derivatives(name: str) -> None:
    for case in ROWS[name].cases:
        if all(type_.dtype != np.float64 for type_ in case.types):
            continue
        graph = case_graph(name, case)
        lanes = lanes_of(name, case)
        ways = [(reverse_graph, random_cotangents), (forward_graph, random_tangents)]
        for make, directions in ways[:1] if "forward" in ROWS[name].unsupported else ways:
            derivative = make(graph)
            full = [
                [*lane, *directions(graph, generator(name, number))]
                for number, lane in enumerate(lanes)
            ]
            given = len(case.types)
            rest = len(derivative.inputs) - given
            for flags in (
                (True,) * (given + rest),
                (False,) * given + (True,) * rest,
                (True,) * given + (False,) * rest,
            ):
                if any(flags):
                    check_batched(derivative, full, flags, 256, label(case))
