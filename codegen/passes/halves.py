"""float16 in memory only: scalars of it become float32.

A value is converted where it is loaded and rounded where it is stored, or where the program itself
converts to float16. What is computed in between has float32's precision, sums among it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.loops.nodes import (
    Call,
    Expression,
    Literal,
    Load,
    Operation,
    Program,
    Statement,
    Store,
    Update,
    Variable,
    View,
)
from codegen.loops.operations import DType
from codegen.loops.walk import expressions
from codegen.passes.rewrite import Body, map_blocks, map_own
from tracer.errors import UnsupportedProgramError

HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)
OF_THE_BITS = frozenset({"spacing", "nextafter", "binary_exponent"})
"""Operations whose result tells how a number is stored."""


def widen_halves(program: Program) -> Program:
    """The program with float16 in memory only.

    Raises UnsupportedProgramError for operations on the bits of float16.
    """
    buffers = (*program.inputs, *program.outputs, *program.constants, *program.workspace)
    if not any(buffer.dtype == HALF for buffer in buffers) and not _converts(program.body):
        return program
    return replace(program, body=_block(program.body))


def _converts(body: Body) -> bool:
    return any(part.dtype == HALF for part in expressions(body))


def _block(body: Body) -> Body:
    return tuple([map_blocks(_statement(statement), _block) for statement in body])


def _statement(statement: Statement) -> Statement:
    match statement:
        case Store(buffer, indices, value) if buffer.dtype == HALF:
            return Store(buffer, tuple(map(_wide, indices)), _half(_wide(value)))
        case Update(buffer, indices, operation, value) if buffer.dtype == HALF:
            return Update(buffer, tuple(map(_wide, indices)), operation, _half(_wide(value)))
        case Call(kernel, results, operands, params):
            return Call(kernel, tuple(map(_view, results)), tuple(map(_view, operands)), params)
    return map_own(statement, _wide)


def _view(view: View) -> View:
    return View(view.buffer, tuple(map(_wide, view.indices)), view.axes)


def _half(value: Expression) -> Expression:
    """A float32 rounded to float16; what was just widened, as it is."""
    if isinstance(value, Operation) and value.name == "cast" and value.operands[0].dtype == HALF:
        return value.operands[0]
    return Operation("cast", (value,), HALF)


def _wide(expression: Expression) -> Expression:
    """The expression with float32 in place of float16."""
    match expression:
        case Literal(value, dtype):
            return Literal(value, SINGLE) if dtype == HALF else expression
        case Variable(name, dtype):
            return Variable(name, SINGLE) if dtype == HALF else expression
        case Load(buffer, indices):
            load = Load(buffer, tuple(map(_wide, indices)))
            return Operation("cast", (load,), SINGLE) if buffer.dtype == HALF else load
        case Operation(name, operands, dtype):
            if name in OF_THE_BITS and operands[0].dtype == HALF:
                raise UnsupportedProgramError(
                    f"{name} of float16 is not compiled: convert with x.astype(np.float32) where "
                    "that precision is meant, or compute it outside of jit"
                )
            return _operation(name, tuple(map(_wide, operands)), operands, dtype)


def _operation(
    name: str, wide: tuple[Expression, ...], operands: tuple[Expression, ...], dtype: DType
) -> Expression:
    if name != "cast":
        return Operation(name, wide, SINGLE if dtype == HALF else dtype)
    if dtype == HALF:
        if operands[0].dtype == HALF:
            return wide[0]
        return Operation("cast", (Operation("cast", wide, HALF),), SINGLE)
    return wide[0] if wide[0].dtype == dtype else Operation("cast", wide, dtype)
