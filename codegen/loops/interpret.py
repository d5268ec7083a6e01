"""The loop program's meaning, by running it slowly: every access is checked, every statement is
one step.

Renderers are compared with this. An index out of range raises ProgramError here, where rendered
code would read or write outside of a buffer; a read of an element that was never written raises
too.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

import tracer.errors
from codegen.loops.check import check_program
from codegen.loops.errors import ProgramError
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    ErrorMessage,
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
from codegen.loops.operations import evaluate
from codegen.loops.text import print_statement
from kernels.callback import take_error
from kernels.registry import find_kernel

Array = np.ndarray[Any, np.dtype[Any]]


def interpret(program: Program, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of a program for these inputs.

    Raises what a failed `Check` of the program names, and ProgramError for a program that is not
    well formed or that leaves its buffers.
    """
    check_program(program)
    return _Interpreter(program, inputs).run()


def error_class(kind: str) -> type[Exception]:
    """The exception that an ErrorMessage names: one of tracer.errors, or a built-in one."""
    found = getattr(tracer.errors, kind, None) or getattr(builtins, kind, None)
    if not isinstance(found, type) or not issubclass(found, Exception):
        raise ProgramError(f"'{kind}' is not an exception")
    return found


def make_error(message: ErrorMessage, details: Sequence[int]) -> BaseException:
    """The exception for a failed check: the message filled in, and the user's line.

    For a Python function that was called back it is that function's own exception, at the end of
    whose chain of causes stands the one which names the user's line.
    """
    text = message.text.format(*details)
    error = error_class(message.kind)(f"{text} ({message.source})" if message.source else text)
    raised = take_error(details[0]) if isinstance(error, tracer.errors.CallbackError) else None
    if raised is None:
        return error
    first = raised
    while (before := _cause(first)) is not None:
        first = before
    if str(first) != str(error):  # else the same exception is raised once more
        first.__cause__ = error
    return raised


def _cause(error: BaseException) -> BaseException | None:
    """What a traceback shows above an exception."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class _Interpreter:
    def __init__(self, program: Program, inputs: Sequence[Array]) -> None:
        self.program = program
        self.memory: dict[Buffer, Array] = {}
        self.written: dict[Buffer, Array] = {}
        self.scalars: dict[str, Any] = {}
        self.place: Statement | None = None
        if len(inputs) != len(program.inputs):
            raise ProgramError(f"{program.name} takes {len(program.inputs)} inputs")
        for buffer, value in zip(program.inputs, inputs, strict=True):
            if value.dtype != buffer.dtype or value.shape != buffer.shape:
                raise ProgramError(
                    f"input {buffer.name} is {buffer.dtype}{list(buffer.shape)}, "
                    f"not {value.dtype}{list(value.shape)}"
                )
            self.memory[buffer] = np.ascontiguousarray(value).reshape(buffer.shape)
        for buffer in program.constants:
            assert buffer.value is not None, "check_program has seen that constants have values"
            self.memory[buffer] = np.ascontiguousarray(buffer.value).reshape(buffer.shape)
        for buffer in (*program.outputs, *program.workspace):
            if buffer.is_tape:
                self.memory[buffer] = np.zeros((0, *buffer.shape[1:]), buffer.dtype)
                self.written[buffer] = np.zeros((0, *buffer.shape[1:]), np.bool_)
                continue
            self.memory[buffer] = np.zeros(buffer.shape, buffer.dtype)
            self.written[buffer] = np.zeros(buffer.shape, np.bool_)

    def run(self) -> list[Array]:
        self.run_block(self.program.body)
        for buffer in self.program.outputs:
            if not self.written[buffer].all():
                raise ProgramError(f"{self.program.name} leaves output {buffer.name} unwritten")
        return [self.memory[buffer] for buffer in self.program.outputs]

    def fail(self, reason: str) -> ProgramError:
        where = "" if self.place is None else print_statement(self.place)
        return ProgramError(f"in {self.program.name}, at '{where}': {reason}")

    def run_block(self, body: tuple[Statement, ...]) -> None:
        for statement in body:
            self.run_statement(statement)

    def run_statement(self, statement: Statement) -> None:
        self.place = statement
        match statement:
            case Let(name, value) | Declare(name, value) | Assign(name, value):
                self.scalars[name] = self.value(value)
            case Reduce(name, operation, value):
                pair = (self.scalars[name], self.value(value))
                self.scalars[name] = evaluate(operation, value.dtype, pair)
            case Store(buffer, indices, value):
                self.store(buffer, self.position(buffer, indices), self.value(value))
            case Update(buffer, indices, operation, value):
                position = self.position(buffer, indices)
                pair = (self.load(buffer, position), self.value(value))
                self.store(buffer, position, evaluate(operation, value.dtype, pair))
            case Loop(index, start, stop, body, _, reverse):
                steps = range(int(self.value(start)), int(self.value(stop)))
                for step in reversed(steps) if reverse else steps:
                    self.scalars[index] = np.int64(step)
                    self.run_block(body)
            case If(condition, then, otherwise):
                self.run_block(then if self.value(condition) else otherwise)
            case While(test, condition, body):
                self.run_block(test)
                while self.value(condition):
                    self.run_block(body)
                    self.run_block(test)
            case Call():
                self.call(statement)
            case Reserve(buffer, extent):
                self.grow(buffer, int(self.value(extent)))
            case Check(condition, code, details):
                if not self.value(condition):
                    raise make_error(
                        self.program.errors[code], [int(self.value(part)) for part in details]
                    )

    def grow(self, buffer: Buffer, extent: int) -> None:
        """A tape of at least that length, with what it holds."""
        for arrays in (self.memory, self.written):
            missing = extent - len(arrays[buffer])
            if missing > 0:
                more = np.zeros((missing, *buffer.shape[1:]), arrays[buffer].dtype)
                arrays[buffer] = np.concatenate([arrays[buffer], more])

    def value(self, expression: Expression) -> Any:
        match expression:
            case Literal(value, dtype):
                return dtype.type(value)
            case Variable(name):
                return self.scalars[name]
            case Load(buffer, indices):
                return self.load(buffer, self.position(buffer, indices))
            case Operation("select", (condition, if_true, if_false)):
                return self.value(if_true if self.value(condition) else if_false)
            case Operation(name, operands, dtype):
                return evaluate(name, dtype, tuple(self.value(part) for part in operands))
        raise self.fail(f"{type(expression).__name__} is not an expression")

    def position(self, buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[int, ...]:
        position = tuple(int(self.value(index)) for index in indices)
        shape = self.memory[buffer].shape if buffer.is_tape else buffer.shape
        extents = shape[: len(position)]
        if any(not 0 <= index < extent for index, extent in zip(position, extents, strict=True)):
            raise self.fail(f"{list(position)} lies outside of {buffer.name}{list(buffer.shape)}")
        return position

    def load(self, buffer: Buffer, position: tuple[int, ...]) -> Any:
        root = buffer.root
        if root in self.written and not self.seen(self.written, buffer)[position].all():
            raise self.fail(f"{buffer.name}{list(position)} is read before it is written")
        return self.seen(self.memory, buffer)[position]

    def store(self, buffer: Buffer, position: tuple[int, ...], value: Any) -> None:
        self.seen(self.memory, buffer)[position] = value
        self.seen(self.written, buffer)[position] = True

    def seen(self, arrays: dict[Buffer, Array], buffer: Buffer) -> Array:
        """A buffer's array in the buffer's own shape."""
        return arrays[buffer] if buffer.is_tape else arrays[buffer.root].reshape(buffer.shape)

    def call(self, call: Call) -> None:
        operands = []
        for view in call.operands:
            part = np.asarray(self.load(view.buffer, self.view_position(view)))
            operands.append(part if view.axes is None else part.transpose(view.axes))
        results = find_kernel(call.kernel).evaluate(tuple(operands), call.params)
        for view, result in zip(call.results, results, strict=True):
            self.store(view.buffer, self.view_position(view), result)

    def view_position(self, view: View) -> tuple[int, ...]:
        return self.position(view.buffer, view.indices)
