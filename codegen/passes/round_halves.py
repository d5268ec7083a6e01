"""float16 and bfloat16 as NumPy computes them: each operation in float32, and its result rounded.

Scalars become float32, and each that an operation has computed is rounded to its dtype and back, so
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
)
from codegen.loops.walk import expressions, statements
from codegen.passes.rewrite import Body, map_blocks, map_own, map_view
from tracer.errors import UnsupportedProgramError
from tracer.types import INT64, is_brain, is_half

SINGLE = np.dtype(np.float32)
OF_THE_BITS = frozenset({"spacing", "nextafter"})
"""Operations whose result tells how a number is stored."""
EXACT = frozenset(
    (
        *("maximum", "minimum", "fmax", "fmin", "select", "copysign"),
        *("negative", "positive", "absolute", "sign", "conjugate", "real", "imag"),
        *("floor", "ceil", "trunc", "rint"),
    )
)
"""Operations that give a number of the dtype without rounding."""


def round_halves(program: Program) -> Program:
    """The program with float16 and bfloat16 in memory and in conversions only.

    Raises UnsupportedProgramError for operations on their bits.
    """
    buffers = (*program.inputs, *program.outputs, *program.constants, *program.workspace)
    if not any(is_half(buffer.dtype) for buffer in buffers) and not any(
        is_half(part.dtype) for part in expressions(program.body)
    ):
        return program
    writer = _Writer(program)
    body = writer.block(program.body)
    for buffer in program.outputs:
        if buffer in writer.wide:
            body = (*body, writer.copied(writer.wide[buffer], buffer))
    kept = tuple(
        [
            buffer
            for buffer in program.workspace
            if buffer not in writer.wide or buffer in writer.read
        ]
    )
    wide = tuple([buffer for buffer in writer.wide.values() if buffer.base is None])
    return replace(program, body=body, workspace=(*kept, *wide))


class _Writer:
    """`wide` has the float32 memory that takes the place of memory that is updated, which is
    rounded before a call that reads it (`read`); `sums` the names of registers and the memory of
    which an element is rounded when it is read. Names that are stored as they are (`copied_names`)
    have another one for the element before it became float32, `bits`.
    """

    def __init__(self, program: Program) -> None:
        self.names = {buffer.name for buffer in _buffers(program)}
        self.sums: set[str | Buffer] = set()
        self.wide: dict[Buffer, Buffer] = {}
        self.copied_names: set[str] = set()
        self.bits: dict[str, Variable] = {}
        updated: dict[Buffer, None] = {}
        self.read: set[Buffer] = set()
        called: set[Buffer] = set()
        for statement in statements(program.body):
            match statement:
                case Reduce(name, operation, value):
                    if is_half(value.dtype) and operation not in EXACT:
                        self.sums.add(name)
                case Store(buffer, _, Variable(name)) if is_half(buffer.dtype):
                    self.copied_names.add(name)
                case Update(buffer, _, operation, _):
                    if is_half(buffer.dtype):
                        updated[buffer.root] = None
                        if operation not in EXACT:
                            self.sums.add(buffer.root)
                case Call(_, results, operands):
                    called.update([view.buffer.root for view in results])
                    self.read.update([view.buffer.root for view in operands])
        for buffer in updated:
            # NumPy rounds each partial sum of float16 along an axis that is not the last.
            if buffer not in called and (buffer not in self.read or is_brain(buffer.dtype)):
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
        value = Operation("cast", (Load(source, indices),), target.dtype)
        copy: Statement = Store(target, indices, value)
        for name, extent in zip(reversed(names), reversed(target.shape), strict=True):
            copy = Loop(name, Literal(0, INT64), Literal(extent, INT64), (copy,))
        return copy

    # Statements

    def block(self, body: Body) -> Body:
        """The statements of a block."""
        written: list[Statement] = []
        for statement in body:
            if isinstance(statement, Call):
                roots = dict.fromkeys(view.buffer.root for view in statement.operands)
                changed = [root for root in roots if root in self.wide]
                written += [self.copied(self.wide[root], root) for root in changed]
            if isinstance(statement, Let) and statement.name in self.copied_names:
                written += self.named_twice(statement)
                continue
            written.append(map_blocks(self.statement(statement), self.block))
        return tuple(written)

    def named_twice(self, statement: Let) -> list[Statement]:
        """What is stored as it is has a name of its own before it becomes float32: it is rounded
        once, and an element that is copied keeps the bits of NaN.
        """
        single = self.single(statement.value)
        match single:
            case Operation("cast", (source,)) if source.dtype == statement.value.dtype:
                bits = Variable(f"{statement.name}_bits", source.dtype)
                self.bits[statement.name] = bits
                wide = Operation("cast", (bits,), SINGLE)
                return [Let(bits.name, source), Let(statement.name, wide)]
        self.bits.pop(statement.name, None)  # another one of that name, elsewhere
        return [Let(statement.name, single)]

    def statement(self, statement: Statement) -> Statement:
        """A statement, but for its blocks."""
        match statement:
            case Store(buffer, indices, value) if is_half(buffer.dtype):
                memory, places = self.buffer(buffer), tuple(map(self.single, indices))
                return Store(memory, places, self.kept(memory, value))
            case Update(buffer, indices, operation, value) if is_half(buffer.dtype):
                memory, places = self.buffer(buffer), tuple(map(self.single, indices))
                if memory.dtype == SINGLE:
                    return Update(memory, places, operation, self.single(value))
                changed = Operation(operation, (Load(buffer, indices), value), buffer.dtype)
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
        if isinstance(value, Variable):
            bits = self.bits.get(value.name)
            if bits is not None and bits.dtype == memory.dtype:
                return bits
        single = self.single(value)
        if memory.dtype == SINGLE:
            return single
        match single:
            case Operation("cast", (source,)) if source.dtype == memory.dtype:
                return source
        return Operation("cast", (single,), memory.dtype)

    # Expressions

    def single(self, expression: Expression) -> Expression:
        """The expression, as float32 where it is float16 or bfloat16."""
        match expression:
            case Literal(value, dtype):
                if not is_half(dtype):
                    return expression
                return Literal(float(dtype.type(value.real)), SINGLE)
            case Variable(name, dtype):
                if not is_half(dtype):
                    return expression
                found = Variable(name, SINGLE)
                return _rounded(found, dtype) if name in self.sums else found
            case Load(buffer, indices):
                memory = self.buffer(buffer)
                load = Load(memory, tuple(map(self.single, indices)))
                if is_half(memory.dtype):
                    return Operation("cast", (load,), SINGLE)
                return _rounded(load, buffer.dtype) if buffer.root in self.sums else load
            case Operation(name, operands, dtype):
                return self.operation(name, operands, dtype)

    def operation(self, name: str, operands: tuple[Expression, ...], dtype: np.dtype) -> Expression:
        """An operation on float32 in place of float16 or bfloat16."""
        if name in OF_THE_BITS and is_half(operands[0].dtype):
            raise UnsupportedProgramError(
                f"{name} of {operands[0].dtype.name} is not compiled: convert with "
                "x.astype(np.float32) where that precision is meant, or compute it outside of jit"
            )
        single = tuple(map(self.single, operands))
        if name == "cast":
            if not is_half(dtype):
                return single[0] if single[0].dtype == dtype else Operation("cast", single, dtype)
            return single[0] if operands[0].dtype == dtype else _rounded(single[0], dtype)
        if not is_half(dtype):
            return Operation(name, single, dtype)
        found = Operation(name, single, SINGLE)
        return found if name in EXACT else _rounded(found, dtype)


def _rounded(value: Expression, dtype: np.dtype) -> Expression:
    """The nearest number of a dtype as a float32."""
    if is_brain(dtype) and value.dtype != SINGLE:  # ml_dtypes goes by way of float32
        value = Operation("cast", (value,), SINGLE)
    return Operation("cast", (Operation("cast", (value,), dtype),), SINGLE)


def _buffers(program: Program) -> tuple[Buffer, ...]:
    return (*program.inputs, *program.outputs, *program.constants, *program.workspace)
