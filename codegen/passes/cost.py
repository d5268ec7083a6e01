"""What a program costs: operations and bytes of one call, counted from its loops."""

from __future__ import annotations

import math

from codegen.loops.nodes import (
    Call,
    Expression,
    Literal,
    Loop,
    Operation,
    Program,
    Statement,
)
from codegen.loops.walk import blocks, own_expressions, subexpressions

_FREE = frozenset({"select", "cast", "real", "imag", "complex", "positive"})


def program_cost(program: Program) -> dict[str, float]:
    """`flops`: arithmetic operations and function values, each counted as one (a matrix product as
    2·m·n·k); `bytes`: of all inputs, outputs, constants, and twice the workspace."""
    flops = sum(_statement(statement) for statement in program.body)
    traffic = sum(
        factor * math.prod(buffer.shape) * buffer.dtype.itemsize
        for factor, group in (
            (1, (*program.inputs, *program.outputs, *program.constants)),
            (2, program.workspace),
        )
        for buffer in group
    )
    return {"flops": float(flops), "bytes": float(traffic)}


def _statement(statement: Statement) -> float:
    own = float(sum(_expression(expression) for expression in own_expressions(statement)))
    if isinstance(statement, Call):
        rows, columns = statement.results[0].shape[-2:]
        depth = statement.operands[0].shape[-1]
        return 2.0 * rows * columns * depth if statement.kernel == "matmul" else 0.0
    inside = sum(_statement(inner) for block in blocks(statement) for inner in block)
    if isinstance(statement, Loop):
        return inside * _trips(statement)
    return own + inside + (1.0 if type(statement).__name__ in ("Reduce", "Update") else 0.0)


def _trips(loop: Loop) -> float:
    if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal):
        return max(0.0, float(loop.stop.value.real) - float(loop.start.value.real))
    return 1.0


def _expression(expression: Expression) -> int:
    return sum(
        1
        for part in subexpressions(expression)
        if isinstance(part, Operation) and part.name not in _FREE and part.dtype.kind in "fc"
    )
