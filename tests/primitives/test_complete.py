"""Every primitive has a row, and a rule or a reason for each transform."""

from __future__ import annotations

import pytest

import tracer  # noqa: F401  (registers every primitive)
from tests.primitive_cases import ROWS
from tracer.graph.primitive import REGISTRY

# What a primitive may lack, and why.
NO_BATCHING = {"iota": "it has no operands, so that nothing can be batched"}


def test_every_primitive_has_a_row() -> None:
    missing = sorted(set(REGISTRY) - set(ROWS))
    assert not missing, f"no row in tests/primitive_cases.py for {', '.join(missing)}"


def test_every_row_belongs_to_a_primitive() -> None:
    assert not sorted(set(ROWS) - set(REGISTRY))


@pytest.mark.parametrize("name", sorted(ROWS))
def test_rules(name: str) -> None:
    primitive = REGISTRY[name]
    assert primitive.batch_rule is not None or name in NO_BATCHING, "no batching rule"
    assert primitive.lowering is not None, "no lowering"
    forward = primitive.jvp_rule is not None or primitive.linear is not None
    reverse = primitive.vjp_rule or primitive.transpose_rule or primitive.jvp_rule
    if primitive.differentiable:
        assert forward, "no derivative in forward mode"
        assert reverse, "no derivative in reverse mode"
    else:
        assert not forward, "a derivative, but differentiable=False"
    assert ROWS[name].order == 0 or primitive.differentiable, "a derivative order, but none"
