"""A program as text: one line a statement, stable from run to run, so that it serves tests and
cache keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
    View,
    While,
)
from codegen.loops.operations import DType
from tracer.types import SHORT_NAMES, ArrayType

INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
}
PLAIN_LITERALS = {np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.bool_)}
SMALL_CONSTANT = 16


def print_program(program: Program) -> str:
    """The whole program; two programs with the same text compute the same from the same inputs."""
    return "\n".join(_program_lines(program)) + "\n"


def print_statement(statement: Statement) -> str:
    """The first line of a statement, for messages."""
    return next(statement_lines(statement, "")).strip()


def short_name(dtype: DType) -> str:
    """`f64` for float64."""
    return SHORT_NAMES.get(dtype.name, dtype.name)


def print_expression(expression: Expression) -> str:
    """One line; every compound operand in parentheses."""
    if isinstance(expression, Literal):
        return print_literal(expression)
    if isinstance(expression, Variable):
        return expression.name
    if isinstance(expression, Load):
        return _element(expression.buffer, expression.indices)
    return _operation(expression)


def print_literal(literal: Literal) -> str:
    """`1.5`, `1.5:f32`, `(1+2j):c128`: the dtype is shown where the value does not tell it."""
    suffix = "" if literal.dtype in PLAIN_LITERALS else f":{short_name(literal.dtype)}"
    return f"{literal.value!r}{suffix}"


def _operation(operation: Operation) -> str:
    operands = [print_expression(operand) for operand in operation.operands]
    if operation.name == "cast":
        return f"{short_name(operation.dtype)}({operands[0]})"
    if operation.name in INFIX:
        parts = [
            f"({text})" if isinstance(operand, Operation) and operand.name in INFIX else text
            for operand, text in zip(operation.operands, operands, strict=True)
        ]
        return f" {INFIX[operation.name]} ".join(parts)
    return f"{operation.name}({', '.join(operands)})"


def _element(buffer: Buffer, indices: tuple[Expression, ...]) -> str:
    return f"{_name(buffer)}[{', '.join(print_expression(index) for index in indices)}]"


def _name(buffer: Buffer) -> str:
    """A buffer's name; that of its base and the shape in which it is seen, where it has one."""
    shape = ", ".join(str(extent) for extent in buffer.shape)
    return buffer.name if buffer.base is None else f"{buffer.base.name}.reshape({shape})"


def _view(view: View) -> str:
    indices = [print_expression(index) for index in view.indices]
    text = f"{_name(view.buffer)}[{', '.join([*indices, '...'])}]"
    return text if view.axes is None else f"{text}.transpose{view.axes}"


def _type(buffer: Buffer) -> str:
    return f"{buffer.name}: {ArrayType(buffer.dtype, buffer.shape)}"


def _constant(value: np.ndarray) -> str:
    if value.size <= SMALL_CONSTANT:
        return repr(value.tolist())
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"sha256 {digest}"


def _program_lines(program: Program) -> Iterator[str]:
    inputs = ", ".join(_type(buffer) for buffer in program.inputs)
    outputs = ", ".join(_type(buffer) for buffer in program.outputs)
    yield f"program {program.name}({inputs}) -> ({outputs})"
    for buffer in program.constants:
        value = "nothing" if buffer.value is None else _constant(buffer.value)
        yield f"constant {_type(buffer)} = {value}"
    for buffer in program.workspace:
        yield f"workspace {_type(buffer)}"
    for code, error in enumerate(program.errors):
        yield f"error {code}: {error.kind} {error.text!r} at {error.source}"
    yield from block_lines(program.body, "  ")


def block_lines(body: tuple[Statement, ...], indent: str) -> Iterator[str]:
    """The lines of the statements of one block."""
    for statement in body:
        yield from statement_lines(statement, indent)


def statement_lines(statement: Statement, indent: str) -> Iterator[str]:
    """The lines of one statement, those inside it indented further."""
    deeper = indent + "  "
    match statement:
        case Loop(index, start, stop, body, kind, reverse):
            bounds = f"{print_expression(start)}:{print_expression(stop)}"
            yield f"{indent}for {index} in {bounds} {kind}{' reverse' if reverse else ''}"
            yield from block_lines(body, deeper)
        case If(condition, then, otherwise):
            yield f"{indent}if {print_expression(condition)}"
            yield from block_lines(then, deeper)
            if otherwise:
                yield f"{indent}else"
                yield from block_lines(otherwise, deeper)
        case While(test, condition, body):
            yield f"{indent}while"
            yield from block_lines(test, deeper)
            yield f"{indent}holds {print_expression(condition)}"
            yield from block_lines(body, deeper)
        case _:
            yield indent + _simple(statement)


def _simple(statement: Statement) -> str:
    match statement:
        case Let(name, value):
            return f"let {name}: {short_name(value.dtype)} = {print_expression(value)}"
        case Declare(name, value):
            return f"declare {name}: {short_name(value.dtype)} = {print_expression(value)}"
        case Assign(name, value):
            return f"{name} = {print_expression(value)}"
        case Reduce(name, operation, value):
            return f"reduce {name} {operation} {print_expression(value)}"
        case Store(buffer, indices, value):
            return f"{_element(buffer, indices)} = {print_expression(value)}"
        case Update(buffer, indices, operation, value):
            return f"update {_element(buffer, indices)} {operation} {print_expression(value)}"
        case Call(kernel, results, operands, params):
            outputs = ", ".join(_view(view) for view in results)
            inputs = ", ".join(_view(view) for view in operands)
            return f"{outputs} = call {kernel}({inputs}){_params(params)}"
        case Reserve(buffer, extent):
            return f"reserve {buffer.name} {print_expression(extent)}"
        case Check(condition, code, details):
            shown = "".join(f", {print_expression(detail)}" for detail in details)
            return f"check {print_expression(condition)} else error {code}{shown}"
        case _:
            raise TypeError(f"{type(statement).__name__} is not a statement")


def _params(params: Mapping[str, object]) -> str:
    if not params:
        return ""
    return " {" + ", ".join(f"{key}={params[key]!r}" for key in sorted(params)) + "}"
