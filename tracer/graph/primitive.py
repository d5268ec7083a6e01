"""The record of a primitive: everything the system knows of one operation, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
IN_SINGLE = frozenset({"reduction", "arg_reduction", "contraction", "scatter", "kernel"})
"""Kinds of operations of which NumPy has none for bfloat16, or one that rounds each partial sum and
puts NaN anywhere: they are float32's, rounded once at their end, as compiled code does it.
"""


def register(primitive: Primitive) -> Primitive:
    """Add `primitive` to the table by which graphs are parsed and tests find every primitive."""
    if primitive.name in REGISTRY:
        raise ValueError(f"there are two primitives called {primitive.name}")
    if primitive.lowering is not None and primitive.lowering.kind in IN_SINGLE:
        primitive.evaluate = _in_single(primitive)
    REGISTRY[primitive.name] = primitive
    return primitive


def _in_single(primitive: Primitive) -> Rule:
    """The evaluation of a primitive, in float32 where operands are bfloat16."""
    evaluate = primitive.evaluate

    def evaluated(*operands: Any, **params: Any) -> Any:
        if all(operand.dtype.kind != "V" for operand in operands):
            return evaluate(*operands, **params)
        types = [ArrayType(operand.dtype, operand.shape) for operand in operands]
        wide = [
            operand.astype(np.float32) if operand.dtype.kind == "V" else operand
            for operand in operands
        ]
        results = evaluate(*wide, **params)
        found = results if primitive.multiple else (results,)
        with np.errstate(all="ignore"):
            rounded = [
                result.astype(type_.dtype, copy=False)
                for result, type_ in zip(found, primitive.result_types(types, params), strict=True)
            ]
        return tuple(rounded) if primitive.multiple else rounded[0]

    return evaluated
