"""What a lowering works with: blocks of statements, names, buffers, and where each value is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from codegen.loops.nodes import (
    Buffer,
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
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.lower.block import ZERO as ZERO
from codegen.lower.block import Block as Block
from codegen.lower.block import Indices as Indices
from tracer.graph.nodes import Graph, Node, Source
from tracer.graph.nodes import Variable as GraphVariable
from tracer.types import ArrayType

if TYPE_CHECKING:
    from codegen.lower.nest import Nest

INT64 = np.dtype(np.int64)
BOOL = np.dtype(np.bool_)


@dataclass(frozen=True, slots=True)
class Stored:
    """A value in memory: `buffer[prefix]`."""

    buffer: Buffer
    prefix: Indices = ()


@dataclass(frozen=True, slots=True)
class Inline:
    """A value that is computed where it is used."""

    node: Node


@dataclass(frozen=True, slots=True)
class Scalar:
    """A 0-d value in a scalar name."""

    expression: Expression


@dataclass(frozen=True, slots=True)
class Tape:
    """A tape: its elements are `buffer[start]`, `buffer[start + 1]`, …"""

    buffer: Buffer
    start: Expression


@dataclass(frozen=True, slots=True)
class TapeStack:
    """A stack of tapes in one buffer: `starts` holds where each begins."""

    buffer: Buffer
    starts: Stored | Tape | TapeStack


Place = Stored | Inline | Scalar | Tape | TapeStack


Range = tuple[int, int]


def _product_range(x: Range, y: Range) -> Range:
    corners = [a * b for a in x for b in y]
    return min(corners), max(corners)


RANGE_RULES: dict[str, Any] = {
    "add": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "subtract": lambda x, y: (x[0] - y[1], x[1] - y[0]),
    "multiply": _product_range,
    "negative": lambda x: (-x[1], -x[0]),
    "minimum": lambda x, y: (min(x[0], y[0]), min(x[1], y[1])),
    "maximum": lambda x, y: (max(x[0], y[0]), max(x[1], y[1])),
}
"""How ranges of int64 scalars follow from those of their operands."""


class Context:
    """The state of one lowering, for "cpu", or for a "device" that runs thousands of iterations of
    a loop at one time."""

    def __init__(self, target: str = "cpu") -> None:
        self.target = target
        self.block = Block()
        self.count = 0
        self.inputs: list[Buffer] = []
        self.outputs: list[Buffer] = []
        self.constants: list[Buffer] = []
        self.workspace: list[Buffer] = []
        self.errors: list[ErrorMessage] = []
        self.places: dict[GraphVariable, Place] = {}
        self.dropped: dict[GraphVariable, Place] = {}
        self.holders: dict[Buffer, set[GraphVariable]] = {}
        self.prologue: list[Statement] = []
        self.ranges: dict[str, tuple[int, int]] = {}
        self.value_ranges: dict[GraphVariable, Range] = {}  # least and largest elements
        self.distinct: dict[GraphVariable, frozenset[int]] = {}  # axes along which none are equal
        # Of a permutation that sorts: what, along which axis, and that in order, the axis last.
        self.sorted: dict[GraphVariable, tuple[GraphVariable, int, Buffer]] = {}
        self.inner_values: list[GraphVariable] = []
        self.open_tapes: list[tuple[Buffer, str, Expression, Block]] = []
        self.emit_inline: Any = None
        self.called: set[Graph] = set()
        self.nest: Nest | None = None  # that is being added to

    # names and statements

    def fresh(self, prefix: str) -> str:
        """A new name."""
        self.count += 1
        return f"{prefix}{self.count}"

    def add(self, statement: Statement) -> None:
        """Write a statement at the end of the current block."""
        self.block.statements.append(statement)

    def let(self, expression: Expression) -> Expression:
        """A name for a scalar; literals and names stand for themselves."""
        if isinstance(expression, (Literal, Variable)):
            return expression
        name = self.fresh("v")
        self.add(Let(name, expression))
        return Variable(name, expression.dtype)

    def settled(self, variable: Variable) -> Variable:
        """The value of a mutable scalar now, under a name that keeps it."""
        name = self.fresh("v")
        self.add(Let(name, variable))
        if variable.name in self.ranges:
            self.ranges[name] = self.ranges[variable.name]
        return Variable(name, variable.dtype)

    def operation(self, name: str, *operands: Expression, dtype: Any = None) -> Expression:
        """A scalar operation, named."""
        result = self.let(Operation(name, operands, operands[0].dtype if dtype is None else dtype))
        if name in RANGE_RULES and result.dtype == INT64 and isinstance(result, Variable):
            known = [self.range_of(operand) for operand in operands]
            if all(pair is not None for pair in known):
                self.ranges[result.name] = RANGE_RULES[name](*known)
        return result

    def range_of(self, expression: Expression) -> tuple[int, int] | None:
        """The smallest and largest value of an integer scalar, where they are known."""
        if isinstance(expression, Literal):
            return int(expression.value.real), int(expression.value.real)
        return self.ranges.get(expression.name) if isinstance(expression, Variable) else None

    def begin_call(self, graph: Graph) -> None:
        """Forget what is known of a graph's values, where it was called before."""
        if graph in self.called:
            own = {result for node in graph.nodes for result in node.results}
            self.block.forget(own | set(graph.inputs))
        self.called.add(graph)

    @contextmanager
    def inner_graph(self) -> Iterator[None]:
        """Values that get a place inside are those of a body: afterwards nothing reads them."""
        outer, self.inner_values = self.inner_values, []
        try:
            yield
        finally:
            for variable in self.inner_values:
                if variable in self.places:
                    self.drop(variable)
            self.inner_values = outer

    def drop(self, variable: GraphVariable) -> None:
        """A value is dead: its memory has another owner now."""
        place = self.dropped[variable] = self.places.pop(variable)
        if isinstance(place, Stored):
            self.holders.get(place.buffer.root, set()).discard(variable)

    def declare(self, prefix: str, value: Expression) -> Variable:
        """A mutable scalar."""
        name = self.fresh(prefix)
        self.add(Declare(name, value))
        return Variable(name, value.dtype)

    def reduce(self, target: Variable, operation: str, value: Expression) -> None:
        """Combine a value into a mutable scalar."""
        self.add(Reduce(target.name, operation, value))

    def load(self, buffer: Buffer, indices: Indices) -> Expression:
        """One element, named. Equal loads are merged by a pass, which knows what is written
        between.
        """
        if self.nest is None:
            return self.let(Load(buffer, indices))
        key = (buffer, indices)
        found = self.nest.load(buffer, indices) or self.block.find(key)
        if found is None:
            found = self.block.known[key] = self.let(Load(buffer, indices))
        return found

    def store(self, buffer: Buffer, indices: Indices, value: Expression) -> None:
        """Write one element."""
        self.add(Store(buffer, indices, value))

    def update(self, buffer: Buffer, indices: Indices, operation: str, value: Expression) -> None:
        """Combine a value into one element."""
        self.add(Update(buffer, indices, operation, value))

    def check(
        self,
        condition: Expression,
        kind: str,
        text: str,
        source: Source | None,
        *details: Expression,
    ) -> None:
        """Fail with a message unless the condition holds."""
        self.errors.append(ErrorMessage(kind, text, str(source or "")))
        self.add(Check(condition, len(self.errors) - 1, details))

    @contextmanager
    def inner_block(self) -> Iterator[Block]:
        """A nested block; the caller puts its statements into a loop or branch."""
        outer = self.block
        self.block = Block(outer)
        try:
            yield self.block
        finally:
            self.block = outer

    @contextmanager
    def loop(
        self, extent: int | Expression, kind: str = "parallel", *, reverse: bool = False
    ) -> Iterator[Expression]:
        """A loop from 0 to `extent`; yields the index. Nothing is written for a static extent of
        1.
        """
        if extent == 1:
            yield ZERO
            return
        stop = Literal(extent, INT64) if isinstance(extent, int) else extent
        name = self.fresh("i")
        if isinstance(extent, int):
            self.ranges[name] = (0, max(0, extent - 1))
        with self.inner_block() as block:
            yield Variable(name, INT64)
        self.add(Loop(name, ZERO, stop, tuple(block.statements), kind, reverse))

    @contextmanager
    def loops(self, shape: Sequence[int], kind: str = "parallel") -> Iterator[Indices]:
        """Nested loops over a shape; yields the indices."""
        if not shape:
            yield ()
            return
        with self.loop(shape[0], kind) as first, self.loops(shape[1:], kind) as rest:
            yield (first, *rest)

    def branch(self, condition: Expression, then: Block, otherwise: Block | None = None) -> None:
        """An `if` of two finished blocks."""
        other = tuple(otherwise.statements) if otherwise is not None else ()
        self.add(If(condition, tuple(then.statements), other))

    # buffers

    def new_buffer(self, type_: ArrayType, role: str = "workspace") -> Buffer:
        """A new buffer of that type."""
        letter, buffers = {
            "workspace": ("w", self.workspace),
            "output": ("y", self.outputs),
            "input": ("x", self.inputs),
        }[role]
        buffer = Buffer(self.fresh(letter), type_.dtype, type_.shape, role)
        buffers.append(buffer)
        return buffer

    def constant(self, value: np.ndarray) -> Buffer:
        """A buffer that holds a known array."""
        data = np.ascontiguousarray(value)
        buffer = Buffer(self.fresh("c"), data.dtype, data.shape, "constant", data)
        self.constants.append(buffer)
        return buffer

    def alias(self, buffer: Buffer, shape: tuple[int, ...]) -> Buffer:
        """The same memory with another shape."""
        if shape == buffer.shape:
            return buffer
        base = buffer.base or buffer
        if shape == base.shape:
            return base
        return Buffer(self.fresh("r"), buffer.dtype, shape, base.role, None, base)

    # values

    def put(self, variable: GraphVariable, place: Place) -> None:
        """Say where a value is."""
        self.places[variable] = place
        self.inner_values.append(variable)
        if isinstance(place, Stored):
            self.holders.setdefault(place.buffer.root, set()).add(variable)

    def element(self, operand: Any, indices: Indices) -> Expression:
        """The scalar at `indices` of a graph operand."""
        if type(operand) is not GraphVariable:
            return literal(operand.value[()])
        place = self.places[operand]
        if isinstance(place, Stored):
            return self.load(place.buffer, (*place.prefix, *indices))
        if isinstance(place, Scalar):
            return place.expression
        assert isinstance(place, Inline), "tapes are read by loops only"
        key = (operand, indices)
        found = self.block.find(key)
        if found is None:
            found = self.emit_inline(self, place.node, indices)
            self.block.known[key] = found
        return found


def literal(value: Any) -> Literal:
    """A literal of a NumPy scalar."""
    return Literal(value.item(), value.dtype)


def integer(value: int) -> Literal:
    """An int64 literal."""
    return Literal(int(value), INT64)


def add_index(index: Expression, offset: int) -> Expression:
    """index + offset, simplified."""
    if offset == 0:
        return index
    if isinstance(index, Literal):
        return integer(int(index.value.real) + offset)
    return Operation("add", (index, integer(offset)), INT64)


def scale_index(index: Expression, factor: int) -> Expression:
    """index · factor, simplified."""
    if factor == 1:
        return index
    if isinstance(index, Literal):
        return integer(int(index.value.real) * factor)
    return Operation("multiply", (index, integer(factor)), INT64)


def mirror_index(index: Expression, extent: int) -> Expression:
    """extent − 1 − index."""
    if isinstance(index, Literal):
        return integer(extent - 1 - int(index.value.real))
    return Operation("subtract", (integer(extent - 1), index), INT64)
