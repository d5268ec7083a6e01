"""What a program costs: operations and bytes of one call, counted from its loops."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
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
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import blocks, own_expressions, subexpressions
from tracer.types import kind_of

_INTEGER: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "minimum": min,
    "right_shift": operator.rshift,
}
"""What bounds of loops are computed with."""
_FREE = frozenset({"select", "cast", "real", "imag", "complex", "positive"})
_PRODUCTS = frozenset({"matmul", "product"})


@dataclass(frozen=True, slots=True)
class Cost:
    """Operations and bytes. `exact` where all numbers of iterations are known before the program
    runs, no branch is taken by values, and no routine of a library is called; otherwise each such
    loop counts as one iteration, both branches as taken, and routines as their bytes alone.
    """

    flops: float
    bytes: float
    exact: bool


def program_cost(program: Program) -> dict[str, float]:
    """`flops`: arithmetic operations and function values, each counted as one (a matrix product as
    2·m·n·k); `bytes`: what the statements of the outermost block read and write, each element once
    a statement.
    """
    costs = [block_cost((statement,)) for statement in program.body]
    return {
        "flops": float(sum(cost.flops for cost in costs)),
        "bytes": float(sum(cost.bytes for cost in costs)),
    }


def block_cost(body: Iterable[Statement]) -> Cost:
    """What statements cost together: an element that several of them touch is moved once."""
    counter = _Counter()
    flops = sum(counter.statement(statement) for statement in body)
    return Cost(float(flops), counter.bytes(), counter.exact)


@dataclass(slots=True)
class _Counter:
    """Walks statements with the loops around them in mind.

    trips     iterations of each loop that is open, by its index
    depends   the loops that change a scalar
    integers  values of integer scalars
    touched   elements of each buffer that are read, and written, by what is accessed
    """

    trips: dict[str, float] = field(default_factory=dict)
    depends: dict[str, frozenset[str]] = field(default_factory=dict)
    touched: dict[tuple[Buffer, bool], dict[object, float]] = field(default_factory=dict)
    exact: bool = True
    integers: dict[str, Expression] = field(default_factory=dict)

    def statement(self, statement: Statement) -> float:
        """Operations of a statement; what it touches is kept."""
        own = sum(self.expression(expression) for expression in own_expressions(statement))
        match statement:
            case Let(name, value) | Declare(name, value) | Assign(name, value):
                known = self.depends.get(name, frozenset())
                self.depends[name] = known | self.loops_of((value,))
                if isinstance(statement, Let) and value.dtype.kind == "i":
                    self.integers[name] = value
            case Reduce(name, _, value):
                self.depends[name] = self.depends.get(name, frozenset()) | self.loops_of((value,))
                return own + 1.0
            case Store(buffer, indices, _):
                self.touch(buffer, True, indices)
            case Update(buffer, indices, _, _):
                self.touch(buffer, True, indices)
                self.touch(buffer, False, indices)
                return own + 1.0
            case Call():
                return self.call(statement)
            case Loop():
                return self.loop(statement)
            case If(condition=condition):
                self.exact = self.exact and isinstance(condition, Literal)
            case While():
                self.exact = False
        return own + sum(self.statement(inner) for block in blocks(statement) for inner in block)

    def loop(self, loop: Loop) -> float:
        """A loop's operations."""
        trips = self.mean_trips(loop)
        if trips is None:
            trips, self.exact = 1.0, False
        if not trips:
            return 0.0
        self.trips[loop.index] = trips
        self.depends[loop.index] = frozenset((loop.index,))
        return trips * sum(self.statement(inner) for inner in loop.body)

    def mean_trips(self, loop: Loop) -> float | None:
        """How often a loop runs each time; the last time in the loop around it perhaps less often,
        as the rows of a last strip. None where that is not known before the program runs."""
        around = [self.trips[index] for index in self.loops_of((loop.start, loop.stop))]
        if len(around) > 1:
            return None
        times = around[0] if around else 1.0
        found = []
        for turn in (0, max(0, int(times) - 2), int(times) - 1):
            start, stop = self.value(loop.start, turn), self.value(loop.stop, turn)
            if start is None or stop is None:
                return None
            found.append(max(0, stop - start))
        if found[0] != found[1]:
            return None
        return ((times - 1.0) * found[0] + found[2]) / times

    def value(self, expression: Expression, turn: int) -> int | None:
        """An integer at one turn of the loop that it depends on."""
        if isinstance(expression, Literal):
            return int(expression.value.real)
        if isinstance(expression, Variable):
            if expression.name in self.trips:
                return turn
            known = self.integers.get(expression.name)
            return None if known is None else self.value(known, turn)
        if not isinstance(expression, Operation) or expression.name not in _INTEGER:
            return None
        one, two = (self.value(operand, turn) for operand in expression.operands)
        return None if one is None or two is None else _INTEGER[expression.name](one, two)

    def call(self, call: Call) -> float:
        """A kernel reads its operands and writes its results."""
        product = call.kernel in _PRODUCTS
        results = call.results[:1] if product else call.results  # the second is memory to work in
        for written, group in ((True, results), (False, call.operands)):
            for view in group:
                self.touch(view.buffer, written, view.indices, math.prod(view.shape))
        if not product:
            self.exact = False
            return 0.0
        rows, columns = call.results[0].shape[-2:]
        return 2.0 * rows * columns * call.operands[0].shape[-1]

    def expression(self, expression: Expression) -> float:
        """Operations of an expression; what it loads is kept."""
        count = 0.0
        for part in subexpressions(expression):
            if isinstance(part, Load):
                self.touch(part.buffer, False, part.indices)
            elif (
                isinstance(part, Operation)
                and part.name not in _FREE
                and kind_of(part.dtype) in "fc"
            ):
                count += 1.0
        return count

    def loops_of(self, parts: Iterable[Expression]) -> frozenset[str]:
        """The loops whose iterations change the value of some expressions."""
        found: frozenset[str] = frozenset()
        for expression in parts:
            for part in subexpressions(expression):
                if isinstance(part, Variable):
                    found |= self.depends.get(part.name, frozenset())
        return found

    def touch(
        self, buffer: Buffer, written: bool, indices: tuple[Expression, ...], each: int = 1
    ) -> None:
        """An access, which meets another element with each iteration that changes its indices."""
        known = self.touched.setdefault((buffer.root, written), {})
        key = (buffer, indices, each)
        if key not in known:
            loops = self.loops_of(indices)
            known[key] = each * math.prod(self.trips.get(index, 1.0) for index in loops)

    def bytes(self) -> float:
        """Of all that is touched; of a buffer at most all, read once and written once."""
        total = 0.0
        for (buffer, _), accesses in self.touched.items():
            elements = sum(accesses.values())
            if not buffer.is_tape:
                elements = min(elements, float(buffer.size))
            total += elements * buffer.dtype.itemsize
        return total
