"""The record of a primitive: everything the system knows of one operation, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tracer.types import ArrayType

Rule = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Lowering:
    """What code generation needs to know, as data: the `kind` names the file of `codegen/lower/`
    that does it,
    `operation` the scalar operation, combiner or kernel."""

    kind: str
    operation: str = ""


@dataclass(slots=True, eq=False)
class Primitive:
    """One operation.

    name           how it prints
    type_rule      (*operand types, **params) → ArrayType, or a tuple of them where `multiple`
    evaluate       (*arrays, **params) → array(s): the NumPy reference
    jvp_rule       (primals, tangents, results, **params) → result tangent(s); a tangent None is
    zero
    vjp_rule       (cotangents, primals, results, active, **params) → operand cotangents; None is
    zero
    forward_rule   (primals, active, **params) → results, residuals for the vjp_rule, where those
    are worth storing
    transpose_rule (cotangents, operands, active, **params) → operand cotangents, where it is linear
    linear         "joint": linear in all of `linear_operands` at once; "each": in each alone
    batch_rule     (size, operands, batched, **params) → result(s); batch axes are at the front
    lowering       data for code generation
    """

    name: str
    type_rule: Rule
    evaluate: Rule
    jvp_rule: Rule | None = None
    vjp_rule: Rule | None = None
    forward_rule: Rule | None = None
    transpose_rule: Rule | None = None
    linear: str | None = None
    linear_operands: tuple[int, ...] | None = None
    batch_rule: Rule | None = None
    lowering: Lowering | None = None
    multiple: bool = False
    differentiable: bool = True

    def __repr__(self) -> str:
        return self.name

    def result_types(
        self, operand_types: Sequence[ArrayType], params: dict[str, Any]
    ) -> tuple[ArrayType, ...]:
        """The types of the results, always as a tuple."""
        types = self.type_rule(*operand_types, **params)
        return tuple(types) if self.multiple else (types,)


REGISTRY: dict[str, Primitive] = {}


def register(primitive: Primitive) -> Primitive:
    """Add `primitive` to the table by which graphs are parsed and tests find every primitive."""
    if primitive.name in REGISTRY:
        raise ValueError(f"there are two primitives called {primitive.name}")
    REGISTRY[primitive.name] = primitive
    return primitive
