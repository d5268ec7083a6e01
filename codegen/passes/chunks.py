"""What the passes that cut long loops into chunks share: names, partial results, flat loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from codegen.loops.build import integer, literal, operation
from codegen.loops.identities import identity
from codegen.loops.linear import LinearForm, constant_trip, flat_index, merge_loops
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
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
)
from codegen.loops.operations import DType
from codegen.loops.sizes import whole
from codegen.loops.walk import own_expressions, statements, subexpressions
from codegen.passes.rewrite import Body, map_blocks, map_own, rename
from tracer.types import INT64

Indices = tuple[Expression, ...]


class Names:
    """New names for a program, and the workspace that a pass adds to it."""

    def __init__(self, program: Program) -> None:
        self.used = {
            buffer.name
            for group in (program.inputs, program.outputs, program.constants, program.workspace)
            for buffer in group
        }
        for part in statements(program.body):
            if isinstance(part, Let | Declare):
                self.used.add(part.name)
            elif isinstance(part, Loop):
                self.used.add(part.index)
        self.last = max((int(name[1:]) for name in self.used if name[1:].isdigit()), default=0)
        self.added: set[Buffer] = set()
        self.buffers: list[Buffer] = []

    def fresh(self, prefix: str) -> str:
        """A name that nothing has; indices of loops begin with i, as those of lowering."""
        while True:
            self.last += 1
            name = f"{prefix}{self.last}"
            if name not in self.used:
                self.used.add(name)
                return name

    def workspace(self, dtype: DType, shape: tuple[int, ...]) -> Buffer:
        """A new buffer."""
        buffer = Buffer(self.fresh("w"), dtype, shape, "workspace")
        self.buffers.append(buffer)
        self.added.add(buffer)
        return buffer

    def finish(self, program: Program, body: Body) -> Program:
        """The program with another body, and the new workspace."""
        return replace(program, body=body, workspace=(*program.workspace, *self.buffers))


def neutral(name: str, dtype: DType) -> Literal:
    """The neutral element of a reduction."""
    return literal(identity(name, dtype), dtype)


def plus(left: Expression, right: Expression) -> Expression:
    """A sum of integers, folded where they are known."""
    if isinstance(left, Literal) and isinstance(right, Literal):
        return integer(whole(left.value) + whole(right.value))
    if isinstance(left, Literal) and whole(left.value) == 0:
        return right
    if isinstance(right, Literal) and whole(right.value) == 0:
        return left
    return operation("add", left, right)


def times(left: Expression, factor: int) -> Expression:
    """An integer times a number."""
    return left if factor == 1 else operation("multiply", left, integer(factor))


def first_of(loop: Loop) -> int:
    """Where a loop with literal bounds starts."""
    assert isinstance(loop.start, Literal), "the caller has looked at the bounds"
    return int(whole(loop.start.value))


def position(loop: Loop) -> Expression:
    """The number of an iteration, from 0, as an expression inside the loop."""
    return plus(Variable(loop.index, INT64), integer(-first_of(loop)))


def wrap(loops: Sequence[Loop], body: Body) -> Statement:
    """Statements inside of parallel loops, of which there is at least one."""
    result = replace(loops[-1], body=body, kind="parallel", reverse=False)
    for loop in reversed(loops[:-1]):
        result = replace(loop, body=(result,), kind="parallel", reverse=False)
    return result


def perfect_nest(loop: Loop, kind: str) -> list[Loop]:
    """A loop and those that fill it, as long as all are of a kind and have literal bounds."""
    nest: list[Loop] = []
    part: Statement = loop
    while isinstance(part, Loop) and part.kind == kind and constant_trip(part) is not None:
        nest.append(part)
        if len(part.body) != 1:
            break
        part = part.body[0]
    return nest


def chunk_bounds(
    names: Names, loop: Loop, each: int, chunks: int, chunk: Expression
) -> tuple[Body, Expression, Expression]:
    """Where a chunk of a loop starts and stops: chunks are counted in the order of the loop."""
    start = first_of(loop)
    begin, end = (Variable(names.fresh("v"), INT64) for _ in range(2))
    if loop.reverse:
        chunk = operation("subtract", integer(chunks - 1), chunk)
    stop = integer(start + (constant_trip(loop) or 0))
    high = operation("minimum", plus(begin, integer(each)), stop)
    first = plus(times(chunk, each), integer(start))
    return (Let(begin.name, first), Let(end.name, high)), begin, end


def trips(loops: Iterable[Loop]) -> int:
    """Iterations of a nest of loops with literal bounds."""
    return math.prod(constant_trip(loop) or 0 for loop in loops)


def retarget(body: Body, names: dict[str, str]) -> Body:
    """The block with mutable scalars renamed where they are changed."""
    result: list[Statement] = []
    for part in body:
        changed = map_blocks(part, lambda inner: retarget(inner, names))
        if isinstance(changed, Reduce) and changed.name in names:
            changed = Reduce(names[changed.name], changed.operation, changed.value)
        elif isinstance(changed, Assign) and changed.name in names:
            changed = Assign(names[changed.name], changed.value)
        result.append(changed)
    return tuple(result)


def flattened(nest: Sequence[Loop], names: Names) -> Loop:
    """One loop for a perfect nest of loops from 0 with literal bounds: through memory in order
    where the accesses allow it, else with the indices found by division."""
    merged, zeros = merge_loops(nest[0])
    loops = perfect_nest(merged, nest[0].kind)
    body = loops[-1].body
    if zeros:
        indices = {part.index for part in loops}
        body = _seen_flat(body, zeros, indices, names)
    if len(loops) == 1:
        return replace(merged, body=body)
    index = names.fresh("i")
    rest: Expression = Variable(index, INT64)
    lets: list[Statement] = []
    for above, loop in zip(loops[-2::-1], loops[:0:-1], strict=True):
        trip = constant_trip(loop) or 1
        outer = Variable(above.index if above is loops[0] else names.fresh("v"), INT64)
        lets.append(Let(outer.name, operation("floor_divide", rest, integer(trip))))
        below = operation("multiply", outer, integer(trip))
        lets.append(Let(loop.index, operation("subtract", rest, below)))
        rest = outer
    return Loop(index, integer(0), integer(trips(loops)), (*lets, *body), merged.kind)


def _seen_flat(body: Body, zeros: dict[str, Expression], indices: set[str], names: Names) -> Body:
    """A block whose merged indices count through several dimensions: memory that they walk
    through is seen as one dimension."""
    flat: dict[Buffer, Buffer] = {}

    def place(buffer: Buffer, where: Indices) -> tuple[Buffer, Indices]:
        used = {
            part.name for e in where for part in subexpressions(e) if isinstance(part, Variable)
        }
        if len(buffer.shape) < 2 or used.isdisjoint({*zeros, *indices}):
            return buffer, where
        root = buffer.root
        if len(root.shape) == 1:
            flat[root] = root
        elif root not in flat:
            flat[root] = Buffer(names.fresh("r"), root.dtype, (root.size,), root.role, None, root)
        return flat[root], (_expression(flat_index(buffer, where, zeros)),)

    return rename(map_accesses(body, place), zeros)


def map_accesses(body: Body, place: Callable[[Buffer, Indices], tuple[Buffer, Indices]]) -> Body:
    """A block without calls whose loads, stores and updates are at another `place`."""

    def change(expression: Expression) -> Expression:
        if isinstance(expression, Operation):
            operands = tuple([change(operand) for operand in expression.operands])
            return Operation(expression.name, operands, expression.dtype)
        if isinstance(expression, Load):
            return Load(*at(expression.buffer, expression.indices))
        return expression

    def at(buffer: Buffer, indices: Indices) -> tuple[Buffer, Indices]:
        return place(buffer, tuple([change(index) for index in indices]))

    def block(part: Body) -> Body:
        result: list[Statement] = []
        for statement in part:
            match statement:
                case Store(buffer, where, value):
                    result.append(Store(*at(buffer, where), change(value)))
                case Update(buffer, where, name, value):
                    result.append(Update(*at(buffer, where), name, change(value)))
                case _:
                    result.append(map_blocks(map_own(statement, change), block))
        return tuple(result)

    return block(body)


def _expression(form: LinearForm) -> Expression:
    result: Expression = integer(form.constant)
    for term, coefficient in form.terms.items():
        result = plus(times(term, coefficient), result)
    return result


def strides_along(body: Body, index: str, other: str) -> tuple[int, int]:
    """How many accesses of a block walk through neighbouring elements with `index`, and how many
    with `other`, of those that both indices move."""
    counts = [0, 0]
    for statement in statements(body):
        found = [
            (part.buffer, part.indices)
            for expression in own_expressions(statement)
            for part in subexpressions(expression)
            if isinstance(part, Load)
        ]
        if isinstance(statement, Store | Update):
            found.append((statement.buffer, statement.indices))
        for buffer, where in found:
            terms = flat_index(buffer, where, {}).terms
            steps = [terms.get(Variable(name, INT64), 0) for name in (index, other)]
            if all(steps):
                for number, step in enumerate(steps):
                    counts[number] += abs(step) == 1
    return counts[0], counts[1]
