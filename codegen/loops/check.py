"""The verifier of loop programs: what every renderer takes for granted, checked statement by
statement.
"""

from __future__ import annotations

import re

import numpy as np

from codegen.loops.errors import ProgramError
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
from codegen.loops.operations import ASSOCIATIVE, BOOL, DType, cast_allowed, result_dtype
from codegen.loops.text import print_statement
from kernels.registry import ArraySpec, find_kernel
from tracer.types import INT64

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LOOP_KINDS = frozenset({"parallel", "product", "reduce", "scatter", "serial"})
DEEPEST_EXPRESSION = 100
LITERAL_KINDS: dict[type, str] = {bool: "b", int: "iu", float: "f", complex: "c"}
ROLES = ("input", "output", "constant", "workspace")


def check_program(program: Program) -> None:
    """Raise ProgramError, naming the statement, unless the program keeps every rule of the loop
    language.
    """
    _Checker(program).check()


class _Checker:
    """Names in scope, innermost last: `visible[name]` is (dtype, mutable)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.visible: dict[str, tuple[DType, bool]] = {}
        self.dtype_of_name: dict[str, DType] = {}
        self.buffers: set[Buffer] = set()
        self.buffer_names: set[str] = set()
        self.place: Statement | str = ""

    def fail(self, reason: str) -> ProgramError:
        """The error for the statement at hand."""
        place = self.place if isinstance(self.place, str) else print_statement(self.place)
        return ProgramError(f"in {self.program.name}, at '{place}': {reason}")

    def check(self) -> None:
        """The buffers, then the body."""
        for role in ROLES:
            group: tuple[Buffer, ...] = getattr(
                self.program, "workspace" if role == "workspace" else f"{role}s"
            )
            for buffer in group:
                self.check_buffer(buffer, role)
        self.check_block(self.program.body)

    def check_buffer(self, buffer: Buffer, role: str) -> None:
        """Unique names, the right role, and a value for constants only."""
        self.place = f"{role} {buffer.name}"
        if NAME.fullmatch(buffer.name) is None:
            raise self.fail("the name is not an identifier")
        if buffer.role != role:
            raise self.fail(f"the buffer's role is '{buffer.role}'")
        if buffer.name in self.buffer_names:
            raise self.fail("two buffers have this name")
        if buffer.base is not None:
            raise self.fail("buffers of a program have no base")
        if any(extent < 0 for extent in (buffer.shape[1:] if buffer.is_tape else buffer.shape)):
            raise self.fail(f"the shape {buffer.shape} has a negative extent")
        if buffer.is_tape and role != "workspace":
            raise self.fail("only workspace grows")
        if (role == "constant") != (buffer.value is not None):
            raise self.fail("constants have a value, other buffers have none")
        if buffer.value is not None and (
            buffer.value.dtype != buffer.dtype or buffer.value.shape != buffer.shape
        ):
            got = f"{buffer.value.dtype}{list(buffer.value.shape)}"
            raise self.fail(f"the value is {got}, not {buffer.dtype}{list(buffer.shape)}")
        self.buffers.add(buffer)
        self.buffer_names.add(buffer.name)

    def check_block(self, body: tuple[Statement, ...]) -> None:
        """The statements in order; what they define is forgotten at the end."""
        outer = dict(self.visible)
        for statement in body:
            self.check_statement(statement)
        self.visible = outer

    def define(self, name: str, dtype: DType, mutable: bool) -> None:
        """A new name: an identifier that nothing visible has, always of one dtype in the whole
        program.
        """
        if NAME.fullmatch(name) is None:
            raise self.fail(f"'{name}' is not an identifier")
        if name in self.visible or name in self.buffer_names:
            raise self.fail(f"'{name}' is already defined here")
        if self.dtype_of_name.setdefault(name, dtype) != dtype:
            raise self.fail(f"'{name}' is {self.dtype_of_name[name]} elsewhere in the program")
        self.visible[name] = (dtype, mutable)

    def check_statement(self, statement: Statement) -> None:
        """Dispatch on the kind of statement."""
        self.place = statement
        match statement:
            case Let(name, value):
                self.define(name, self.check_expression(value), mutable=False)
            case Declare(name, value):
                self.define(name, self.check_expression(value), mutable=True)
            case Assign(name, value):
                self.check_change(name, value)
            case Reduce(name, operation, value):
                self.check_change(name, value)
                self.check_combiner(operation, value.dtype)
                if operation not in ASSOCIATIVE:
                    raise self.fail(f"{operation} is not associative")
            case Store(buffer, indices, value):
                self.check_target(buffer)
                self.check_access(buffer, indices, self.check_expression(value))
            case Update(buffer, indices, operation, value):
                self.check_target(buffer)
                self.check_access(buffer, indices, self.check_expression(value))
                self.check_combiner(operation, value.dtype)
            case Call():
                self.check_call(statement)
            case Reserve(buffer, extent):
                self.check_known(buffer)
                self.expect(extent, INT64, "the extent")
                if not buffer.is_tape:
                    raise self.fail(f"'{buffer.name}' is no tape")
            case Check():
                self.check_check(statement)
            case _:
                self.check_compound(statement)

    def check_compound(self, statement: Statement) -> None:
        """Loops, `If` and `While`."""
        match statement:
            case Loop(index, start, stop, body, kind, _):
                self.expect(start, INT64, "the start")
                self.expect(stop, INT64, "the stop")
                if kind not in LOOP_KINDS:
                    raise self.fail(f"the kind of loop is one of {sorted(LOOP_KINDS)}")
                outer = dict(self.visible)
                self.define(index, INT64, mutable=False)
                self.check_block(body)
                self.visible = outer
            case If(condition, then, otherwise):
                self.expect(condition, BOOL, "the condition")
                self.check_block(then)
                self.check_block(otherwise)
            case While(test, condition, body):
                outer, place = dict(self.visible), self.place
                for part in test:
                    self.check_statement(part)
                self.place = place
                self.expect(condition, BOOL, "the condition")
                self.visible = outer
                self.check_block(body)
            case _:
                raise self.fail(f"{type(statement).__name__} is not a statement")

    def check_change(self, name: str, value: Expression) -> None:
        """A new value for a declared scalar."""
        dtype = self.check_expression(value)
        if name not in self.visible:
            raise self.fail(f"'{name}' is not defined here")
        expected, mutable = self.visible[name]
        if not mutable:
            raise self.fail(f"'{name}' is not declared as mutable")
        if dtype != expected:
            raise self.fail(f"'{name}' is {expected}, the value is {dtype}")

    def check_combiner(self, operation: str, dtype: DType) -> None:
        """A binary operation whose result has the dtype of its operands."""
        if self.operation_dtype(operation, (dtype, dtype)) != dtype:
            raise self.fail(f"{operation} of two {dtype} is not {dtype}")

    def check_known(self, buffer: Buffer) -> None:
        """A buffer of the program, or one in another shape with its size, dtype and role."""
        root = buffer.root
        if root not in self.buffers:
            raise self.fail(f"'{buffer.name}' is not a buffer of the program")
        if (buffer.size, buffer.dtype, buffer.role) != (root.size, root.dtype, root.role):
            raise self.fail(f"'{buffer.name}' does not fit its base '{root.name}'")

    def check_target(self, buffer: Buffer) -> None:
        """Only outputs and workspace are written."""
        if buffer.role not in ("output", "workspace"):
            raise self.fail(f"'{buffer.name}' is {buffer.role} and cannot be written")

    def check_access(self, buffer: Buffer, indices: tuple[Expression, ...], dtype: DType) -> None:
        """As many int64 indices as dimensions, and the buffer's dtype."""
        self.check_known(buffer)
        if len(indices) != len(buffer.shape):
            raise self.fail(
                f"'{buffer.name}' has {len(buffer.shape)} dimensions, not {len(indices)}"
            )
        for index in indices:
            self.expect(index, INT64, f"an index of '{buffer.name}'")
        if dtype != buffer.dtype:
            raise self.fail(f"'{buffer.name}' holds {buffer.dtype}, not {dtype}")

    def check_call(self, call: Call) -> None:
        """A known kernel on views of the types it takes and gives, results apart from operands."""
        try:
            kernel = find_kernel(call.kernel)
            expected = kernel.results(tuple(map(self.view_spec, call.operands)), call.params)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, ProgramError):
                raise
            raise self.fail(str(error.args[0])) from error
        for view in call.results:
            self.check_target(view.buffer)
        written = [view.buffer.root for view in call.results]
        if len(set(written)) < len(written):
            raise self.fail("two results lie in one buffer")
        if not set(written).isdisjoint(view.buffer.root for view in call.operands):
            raise self.fail("a result lies in the buffer of an operand")
        if any(view.axes is not None for view in call.results):
            raise self.fail("results are not transposed")
        if tuple(map(self.view_spec, call.results)) != expected:
            got = ", ".join(f"{spec.dtype}{list(spec.shape)}" for spec in expected)
            raise self.fail(f"{call.kernel} gives ({got})")

    def view_spec(self, view: View) -> ArraySpec:
        """The type of a view whose indices and axes fit its buffer."""
        buffer = view.buffer
        self.check_known(buffer)
        rest = len(buffer.shape) - len(view.indices)
        if rest < 0:
            raise self.fail(f"'{buffer.name}' has {len(buffer.shape)} dimensions")
        for index in view.indices:
            self.expect(index, INT64, f"an index of '{buffer.name}'")
        if view.axes is not None and sorted(view.axes) != list(range(rest)):
            raise self.fail(f"{view.axes} does not permute {rest} axes")
        return ArraySpec(buffer.dtype, view.shape)

    def check_check(self, check: Check) -> None:
        """A condition, a known error, and details that the message uses."""
        self.expect(check.condition, BOOL, "the condition")
        for detail in check.details:
            self.expect(detail, INT64, "a detail")
        if not 0 <= check.code < len(self.program.errors):
            raise self.fail(f"the program has {len(self.program.errors)} errors")
        try:
            self.program.errors[check.code].text.format(*check.details)
        except (IndexError, KeyError, ValueError) as error:
            raise self.fail(f"the message of error {check.code} cannot be filled in") from error

    def expect(self, expression: Expression, dtype: DType, what: str) -> None:
        """The expression is well formed and has this dtype."""
        got = self.check_expression(expression)
        if got != dtype:
            raise self.fail(f"{what} is {got}, not {dtype}")

    def check_expression(self, expression: Expression, depth: int = 0) -> DType:
        """The expression's dtype, after checking all of it."""
        if depth > DEEPEST_EXPRESSION:
            raise self.fail(f"an expression is more than {DEEPEST_EXPRESSION} deep: use Let")
        match expression:
            case Literal(value, dtype):
                if dtype.kind not in LITERAL_KINDS.get(type(value), "") or (
                    dtype.kind in "iu"
                    and not np.iinfo(dtype).min <= value.real <= np.iinfo(dtype).max
                ):
                    raise self.fail(f"{value!r} is not a literal of {dtype}")
            case Variable(name, dtype):
                if name not in self.visible:
                    raise self.fail(f"'{name}' is not defined here")
                if self.visible[name][0] != dtype:
                    raise self.fail(f"'{name}' is {self.visible[name][0]}, not {dtype}")
            case Load(buffer, indices):
                for index in indices:
                    self.check_expression(index, depth + 1)
                self.check_access(buffer, indices, buffer.dtype)
            case Operation(name, operands, dtype):
                dtypes = tuple(self.check_expression(part, depth + 1) for part in operands)
                self.check_operation(name, dtypes, dtype)
            case _:
                raise self.fail(f"{type(expression).__name__} is not an expression")
        return expression.dtype

    def check_operation(self, name: str, dtypes: tuple[DType, ...], dtype: DType) -> None:
        """The dtype of an operation is the one that NumPy gives."""
        if name == "cast":
            if len(dtypes) != 1 or not cast_allowed(dtypes[0], dtype):
                raise self.fail(f"cast from {', '.join(map(str, dtypes))} to {dtype}")
        elif (expected := self.operation_dtype(name, dtypes)) != dtype:
            raise self.fail(f"{name} gives {expected}, not {dtype}")

    def operation_dtype(self, name: str, dtypes: tuple[DType, ...]) -> DType:
        """`result_dtype`, with the place in its message."""
        try:
            return result_dtype(name, dtypes)
        except ProgramError as error:
            raise self.fail(str(error)) from error
