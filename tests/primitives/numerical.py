"""Numerical derivatives, and the derivative graphs that are compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.helpers import Array, run_numpy
from tests.primitives.row import direction
from tracer.graph.nodes import Graph
from tracer.transforms.graphs import inexact_flags, jvp_graph, vjp_graph
from tracer.types import kind_of

STEP = 2.0**-9


def moved(operands: Sequence[Array], tangents: Sequence[Array], step: float) -> list[Array]:
    """The operands, each inexact one moved along its tangent."""
    given = iter(tangents)
    return [
        (operand + step * next(given)).astype(operand.dtype) if is_inexact(operand) else operand
        for operand in operands
    ]


def is_inexact(value: Array) -> bool:
    """Whether it has a derivative."""
    return kind_of(value.dtype) in "fc"


def inexact_outputs(graph: Graph, operands: Sequence[Array]) -> list[Array]:
    """The outputs that have derivatives."""
    return [value for value in run_numpy(graph, operands) if is_inexact(value)]


def central_difference(
    graph: Graph, operands: Sequence[Array], tangents: Sequence[Array], step: float = STEP
) -> list[Array]:
    """The derivative of the outputs along the tangents, by differences of the sixth order."""
    total: list[Any] = []
    for weight, multiple in ((45, 1), (-9, 2), (1, 3)):
        ahead = inexact_outputs(graph, moved(operands, tangents, multiple * step))
        behind = inexact_outputs(graph, moved(operands, tangents, -multiple * step))
        terms = [weight * (a - b) for a, b in zip(ahead, behind, strict=True)]
        total = [t + u for t, u in zip(total, terms, strict=True)] if total else terms
    return [value / (60 * step) for value in total]


def random_tangents(graph: Graph, rng: np.random.Generator) -> list[Array]:
    """A direction for each inexact input."""
    return [direction(rng, type_) for type_ in graph.input_types if kind_of(type_.dtype) in "fc"]


def random_cotangents(graph: Graph, rng: np.random.Generator) -> list[Array]:
    """A weight for each inexact output."""
    return [direction(rng, type_) for type_ in graph.output_types if kind_of(type_.dtype) in "fc"]


def forward_graph(graph: Graph) -> Graph:
    """(inputs, tangents) → (outputs, tangents)."""
    return jvp_graph(graph, inexact_flags(graph.input_types)).check()  # type: ignore[no-any-return]


def reverse_graph(graph: Graph) -> Graph:
    """(inputs, cotangents) → cotangents."""
    return vjp_graph(graph, inexact_flags(graph.input_types)).check()  # type: ignore[no-any-return]


def pushed(graph: Graph, operands: Sequence[Array], tangents: Sequence[Array]) -> list[Array]:
    """The tangents of the inexact outputs, by the JVP rules."""
    return run_numpy(forward_graph(graph), [*operands, *tangents])[len(graph.outputs) :]


def pulled(graph: Graph, operands: Sequence[Array], cotangents: Sequence[Array]) -> list[Array]:
    """The cotangents of the inexact inputs, by the VJP rules."""
    return run_numpy(reverse_graph(graph), [*operands, *cotangents])


def pairing(one: Sequence[Array], two: Sequence[Array]) -> float:
    """⟨one, two⟩ as it stands in the differential df = Re Σ (∂f/∂x − i ∂f/∂y)·dz."""
    return float(sum(np.real(np.sum(a * b)) for a, b in zip(one, two, strict=True)))
