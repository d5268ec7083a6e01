"""float16 as NumPy computes it: each operation in float32, and its result rounded.

Scalars become float32, and each that an operation has computed is rounded to float16 and back, so
that a value is the same number whether it is kept in a register, stored or computed again. Sums
and products alone are rounded at their end: their registers are float32, and so is the memory that
adds up.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
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
)
from codegen.loops.walk import expressions, statements
from codegen.passes.rewrite import Body, map_blocks, map_own, map_view
from tracer.errors import UnsupportedProgramError
from tracer.types import INT64

HALF, SINGLE = np.dtype(np.float16), np.dtype(np.float32)
OF_THE_BITS = frozenset({"spacing", "nextafter"})
"""Operations whose result tells how a number is stored."""
EXACT = frozenset(
    (
        *("maximum", "minimum", "fmax", "fmin", "select", "copysign"),
        *("negative", "positive", "absolute", "sign", "conjugate", "real", "imag"),
        *("floor", "ceil", "trunc", "rint"),
    )
)
"""Operations that give float16 for float16 without rounding."""


def round_halves(program: Program) -> Program:
    """The program with float16 in memory and in conversions only.

    Raises UnsupportedProgramError for operations on the bits of float16.
    """
    buffers = (*program.inputs, *program.outputs, *program.constants, *program.workspace)
    if not any(buffer.dtype == HALF for buffer in buffers) and not any(
        part.dtype == HALF for part in expressions(program.body)
    ):
        return program
    writer = _Writer(program)
    body = writer.block(program.body)
    for buffer in program.outputs:
        if buffer in writer.wide:
            body = (*body, writer.copied(writer.wide[buffer], buffer))
    kept = tuple([buffer for buffer in program.workspace if buffer not in writer.wide])
    wide = tuple([buffer for buffer in writer.wide.values() if buffer.base is None])
    return replace(program, body=body, workspace=(*kept, *wide))


class _Writer:
    """`wide` has the float32 memory that takes the place of memory that is updated; `sums` the
    names of registers and the memory of which an element is rounded when it is read.
    """

    def __init__(self, program: Program) -> None:
        self.names = {buffer.name for buffer in _buffers(program)}
        self.sums: set[str | Buffer] = set()
        self.wide: dict[Buffer, Buffer] = {}
        updated: dict[Buffer, None] = {}
        called: set[Buffer] = set()
        for statement in statements(program.body):
            match statement:
                case Reduce(name, operation, value):
                    if value.dtype == HALF and operation not in EXACT:
                        self.sums.add(name)
                case Update(buffer, _, operation, _):
                    if buffer.dtype == HALF:
                        updated[buffer.root] = None
                        if operation not in EXACT:
                            self.sums.add(buffer.root)
                case Call(_, results, operands):
                    called.update([view.buffer.root for view in (*results, *operands)])
        for buffer in updated:
            if buffer not in called:
                self.wide[buffer] = Buffer(
                    self.fresh(buffer.name), SINGLE, buffer.shape, "workspace"
                )

    def fresh(self, stem: str) -> str:
        """A name that no buffer has."""
        name = f"{stem}_single"
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def buffer(self, buffer: Buffer) -> Buffer:
        """The float32 memory in place of a buffer's, in its shape; itself where there is none."""
        root = buffer.root
        if root not in self.wide or buffer in self.wide:
            return self.wide.get(buffer, buffer)
        base = self.wide[root]
        seen = Buffer(self.fresh(buffer.name), SINGLE, buffer.shape, base.role, None, base)
        self.wide[buffer] = seen
        return seen

    def copied(self, source: Buffer, target: Buffer) -> Statement:
        """float32 memory rounded into an output."""
        names = [f"{source.name}_{axis}" for axis in range(len(target.shape))]
        indices = tuple([Variable(name, INT64) for name in names])
        copy: Statement = Store(target, indices, Operation("cast", (Load(source, indices),), HALF))
        for name, extent in zip(reversed(names), reversed(target.shape), strict=True):
            copy = Loop(name, Literal(0, INT64), Literal(extent, INT64), (copy,))
        return copy

    # Statements

    def block(self, body: Body) -> Body:
        """The statements of a block."""
        return tuple([map_blocks(self.statement(statement), self.block) for statement in body])

    def statement(self, statement: Statement) -> Statement:
        """A statement, but for its blocks."""
        match statement:
            case Store(buffer, indices, value) if buffer.dtype == HALF:
                memory, places = self.buffer(buffer), tuple(map(self.single, indices))
                return Store(memory, places, self.kept(memory, value))
            case Update(buffer, indices, operation, value) if buffer.dtype == HALF:
                memory, places = self.buffer(buffer), tuple(map(self.single, indices))
                if memory.dtype == SINGLE:
                    return Update(memory, places, operation, self.single(value))
                changed = Operation(operation, (Load(buffer, indices), value), HALF)
                return Store(memory, places, self.kept(memory, changed))
            case Reserve(buffer, extent):
                return Reserve(self.buffer(buffer), self.single(extent))
            case Call(kernel, results, operands, params):
                written = tuple([map_view(view, self.single) for view in results])
                read = tuple([map_view(view, self.single) for view in operands])
                return Call(kernel, written, read, params)
        return map_own(statement, self.single)

    def kept(self, memory: Buffer, value: Expression) -> Expression:
        """A value as memory holds it."""
        single = self.single(value)
        if memory.dtype == SINGLE:
            return single
        match single:
            case Operation("cast", (source,)) if source.dtype == HALF:
                return source
        return Operation("cast", (single,), HALF)

    # Expressions

    def single(self, expression: Expression) -> Expression:
        """The expression, as float32 where it is float16."""
        match expression:
            case Literal(value, dtype):
                if dtype != HALF:
                    return expression
                return Literal(float(HALF.type(value.real)), SINGLE)
            case Variable(name, dtype):
                if dtype != HALF:
                    return expression
                found = Variable(name, SINGLE)
                return _rounded(found) if name in self.sums else found
            case Load(buffer, indices):
                memory = self.buffer(buffer)
                load = Load(memory, tuple(map(self.single, indices)))
                if memory.dtype == HALF:
                    return Operation("cast", (load,), SINGLE)
                return _rounded(load) if buffer.root in self.sums else load
            case Operation(name, operands, dtype):
                return self.operation(name, operands, dtype)

    def operation(self, name: str, operands: tuple[Expression, ...], dtype: np.dtype) -> Expression:
        """An operation on float32 in place of float16."""
        if name in OF_THE_BITS and operands[0].dtype == HALF:
            raise UnsupportedProgramError(
                f"{name} of float16 is not compiled: convert with x.astype(np.float32) where "
                "that precision is meant, or compute it outside of jit"
            )
        single = tuple(map(self.single, operands))
        if name == "cast":
            if dtype != HALF:
                return single[0] if single[0].dtype == dtype else Operation("cast", single, dtype)
            return single[0] if operands[0].dtype == HALF else _rounded(single[0])
        if dtype != HALF:
            return Operation(name, single, dtype)
        found = Operation(name, single, SINGLE)
        return found if name in EXACT else _rounded(found)


def _rounded(value: Expression) -> Expression:
    """The nearest float16 as a float32."""
    return Operation("cast", (Operation("cast", (value,), HALF),), SINGLE)


def _buffers(program: Program) -> tuple[Buffer, ...]:
    return (*program.inputs, *program.outputs, *program.constants, *program.workspace)
