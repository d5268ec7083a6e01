"""Unroll and jam: a loop around a sum over another axis runs several iterations side by side.

Distances between all points and all centres, and quadratic forms, are sums in a loop (over centres)
in a loop (over points). The inner loops read the centres again for each point. Here the loop over
points is written out for `JAMMED` points at a time and their inner loops become one, so that an
element of a centre is read once for all of them, and the sums of several points, which do not wait
for each other, stand in registers. The sums keep their order: results are the same bits.

The axis that is summed lies along rows of the centres. They are copied once, transposed, so that
neighbouring lanes of a vector are neighbouring centres, and no vector has to be summed up at the
end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

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
from codegen.loops.walk import own_expressions, statements, subexpressions
from codegen.passes.contract import accesses
from codegen.passes.effects import Effects, effects
from codegen.passes.fuse import fuse_block
from codegen.passes.rewrite import Body, map_blocks, map_own, rename
from codegen.passes.unroll import with_own_names
from tracer.types import INT64

JAMMED = 4
FEWEST_TRIPS = 16
FEWEST_LANES = 8
LARGEST_BODY = 96
PLAIN = (Let, Declare, Assign, Reduce, Store, Update, Loop)


@dataclass(frozen=True, slots=True)
class Reuse:
    """A load in a sum (`inner`, inside of `middle`) that the loop around both does not change."""

    middle: Loop
    inner: Loop
    load: Load


def jam(program: Program) -> Program:
    """The program with such loops written out and their inner loops joined."""
    found = [loop for loop in _candidates(program.body) if find_reuse(loop) is not None]
    if not found:
        return program
    changer = _Jammer(program, found)
    body = changer.block(program.body)
    return replace(program, workspace=(*program.workspace, *changer.made), body=body)


def _candidates(body: Body) -> Iterator[Loop]:
    """Outermost loops of plain statements."""
    for statement in body:
        if isinstance(statement, Loop):
            inside = list(statements(statement.body))
            if len(inside) <= LARGEST_BODY and all(isinstance(part, PLAIN) for part in inside):
                yield statement


def find_reuse(loop: Loop) -> Reuse | None:
    """The first load of a sum that every iteration of `loop` repeats; None where none does."""
    if _trips(loop) < FEWEST_TRIPS or loop.reverse:
        return None
    written = {
        part.buffer.root for part in statements(loop.body) if isinstance(part, (Store, Update))
    }
    for middle in loop.body:
        if not isinstance(middle, Loop) or not _trips(middle):
            continue
        own = {part.name for part in middle.body if isinstance(part, Declare)}
        for inner in middle.body:
            if not isinstance(inner, Loop) or _trips(inner) < 2:
                continue
            if not any(isinstance(part, Reduce) and part.name in own for part in inner.body):
                continue
            for load in _loads(inner.body):
                names = {"" if not isinstance(i, Variable) else i.name for i in load.indices}
                if names == {middle.index, inner.index} and load.buffer.root not in written:
                    return Reuse(middle, inner, load)
    return None


def _loads(body: Body) -> Iterator[Load]:
    for statement in body:
        if isinstance(statement, Loop):
            continue
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                if isinstance(part, Load):
                    yield part


def _trips(loop: Loop) -> int:
    """How often a loop from 0 runs; 0 where that is not a constant."""
    if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal) and not loop.start.value:
        return int(loop.stop.value.real)
    return 0


def may_interleave(copies: list[Body]) -> bool:
    """Whether the first statements of all copies may run before the second ones of all, and so on:
    a later statement of an earlier copy does not depend on an earlier one of a later copy.
    """
    facts = [[effects(statement) for statement in body] for body in copies]
    for place, earlier in enumerate(facts):
        before = Effects()
        for number, fact in enumerate(earlier):
            if fact.conflicts(before):
                return False
            for later in facts[place + 1 :]:
                before.include(later[number])
    return True


class _Jammer:
    """Rewrites the loops that were found; `made` are the new buffers."""

    def __init__(self, program: Program, found: list[Loop]) -> None:
        self.chosen = {id(loop) for loop in found}
        self.made: list[Buffer] = []
        self.copies = 0
        self.private: dict[int, dict[Buffer, int]] = {}
        self._find_private(program)

    def _find_private(self, program: Program) -> None:
        """The buffers of which one iteration of a chosen loop uses one place along an axis."""
        places: dict[Buffer, set[tuple[int, int]] | None] = {}
        for buffer, indices, loops in accesses(program.body, ()):
            here = set()
            outer = loops[0] if loops else None
            if outer is not None and id(outer) in self.chosen and indices is not None:
                here = {
                    (id(outer), place)
                    for place, index in enumerate(indices)
                    if isinstance(index, Variable) and index.name == outer.index
                }
            before = places.get(buffer.root, here)
            kept = here & before if before is not None and buffer.base is None else set()
            places[buffer.root] = kept or None
        for buffer, found in places.items():
            for owner, place in found or ():
                if buffer.role == "workspace":
                    self.private.setdefault(owner, {})[buffer] = place

    def block(self, body: Body) -> Body:
        """The statements with the chosen loops in their new form."""
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop) and id(statement) in self.chosen:
                result.extend(self.jammed(statement))
            else:
                result.append(statement)
        return tuple(result)

    def jammed(self, loop: Loop) -> list[Statement]:
        """Copies of what is summed over, the loop over groups of iterations, and the rest."""
        private = self.private.get(id(loop), {})
        original = loop
        before: list[Statement] = []
        while (reuse := find_reuse(loop)) is not None and self._turns(reuse):
            copy, loop = self.transposed(loop, reuse)
            before.append(copy)
        trips = _trips(loop)
        groups, left = divmod(trips, JAMMED)
        index = Variable(loop.index, INT64)
        start = Operation("multiply", (index, Literal(JAMMED, INT64)), INT64)
        copies: list[Body] = []
        for number in range(JAMMED):
            here: Expression = start
            if number:
                here = Operation("add", (start, Literal(number, INT64)), INT64)
            copies.append(self.iteration(loop, private, here, index, groups))
        if not may_interleave(copies):
            return [original]
        joined = tuple(
            [
                part
                for same in zip(*copies, strict=True)
                for part in merge_updates(fuse_block(same), self.fresh)
            ]
        )
        result: list[Statement] = [
            *before,
            replace(loop, stop=Literal(groups, INT64), body=joined),
        ]
        if left:
            last = Literal(groups * JAMMED, INT64)
            here = Operation("add", (index, last), INT64)
            rest = tuple(self.iteration(loop, private, here, index, left))
            result.append(replace(loop, stop=Literal(left, INT64), body=rest))
        return result

    def iteration(
        self,
        loop: Loop,
        private: dict[Buffer, int],
        here: Expression,
        index: Expression,
        extent: int,
    ) -> Body:
        """The body for the iteration `here`, with names and private memory of its own."""
        self.copies += 1
        names: dict[str, Expression] = {loop.index: here}
        body = with_own_names(loop.body, 10**6 + self.copies, names)
        own: dict[Buffer, tuple[Buffer, int]] = {}
        for buffer, place in private.items():
            shape = (*buffer.shape[:place], extent, *buffer.shape[place + 1 :])
            name = f"{buffer.name}j{self.copies}"
            own[buffer] = (replace(buffer, name=name, shape=shape), place)
        self.made.extend(made for made, _ in own.values())
        return _moved(rename(body, names), own, index)

    def fresh(self) -> str:
        """A name for a scalar."""
        self.copies += 1
        return f"q{self.copies}"

    def _turns(self, reuse: Reuse) -> bool:
        """Whether the load is worth a transposed copy: its lanes lie along the sum."""
        last = reuse.load.indices[-1]
        along = isinstance(last, Variable) and last.name == reuse.inner.index
        return along and len(reuse.load.indices) == 2 and _trips(reuse.middle) >= FEWEST_LANES

    def transposed(self, loop: Loop, reuse: Reuse) -> tuple[Statement, Loop]:
        """A loop that copies what is loaded, transposed, and `loop` with the copy in its place."""
        source = reuse.load.buffer
        self.copies += 1
        middle, inner = (Variable(part.index, INT64) for part in (reuse.middle, reuse.inner))
        shape = (_trips(reuse.inner), _trips(reuse.middle))
        target = Buffer(f"{source.name}t{self.copies}", source.dtype, shape, "workspace")
        self.made.append(target)
        name = f"c{self.copies}"
        value = Let(name, reuse.load)
        store = Store(target, (inner, middle), Variable(name, source.dtype))
        rows = replace(reuse.inner, body=(value, store), kind="parallel")
        copy = replace(reuse.middle, body=(rows,), kind="parallel")

        def change(expression: Expression) -> Expression:
            if expression == reuse.load:
                return Load(target, (inner, middle))
            if isinstance(expression, Operation):
                operands = tuple([change(operand) for operand in expression.operands])
                return Operation(expression.name, operands, expression.dtype)
            return expression

        def in_sum(body: Body) -> Body:
            return tuple([map_own(statement, change) for statement in body])

        def in_middle(body: Body) -> Body:
            return tuple(
                [map_blocks(part, in_sum) if part is reuse.inner else part for part in body]
            )

        body = tuple(
            [map_blocks(part, in_middle) if part is reuse.middle else part for part in loop.body]
        )
        return copy, replace(loop, body=body)


def merge_updates(body: Body, fresh: Callable[[], str]) -> Body:
    """The block with updates of one element, several in a row, made in a scalar: read and stored
    once.
    """
    body = tuple([map_blocks(part, lambda block: merge_updates(block, fresh)) for part in body])
    if not all(isinstance(part, (Let, Update, Reduce)) for part in body):
        return body
    loaded = {load.buffer.root for load in _loads(body)}
    updates: dict[Buffer, list[Update]] = {}
    for part in body:
        if isinstance(part, Update) and part.buffer.root not in loaded:
            updates.setdefault(part.buffer.root, []).append(part)
    current: dict[Buffer, Expression] = {}
    left = {
        root: len(found)
        for root, found in updates.items()
        if len(found) > 1 and len({(part.buffer, part.indices) for part in found}) == 1
    }
    result: list[Statement] = []
    for part in body:
        if not isinstance(part, Update) or part.buffer.root not in left:
            result.append(part)
            continue
        root = part.buffer.root
        if root not in current:
            name = fresh()
            result.append(Let(name, Load(part.buffer, part.indices)))
            current[root] = Variable(name, part.buffer.dtype)
        name = fresh()
        combined = Operation(part.operation, (current[root], part.value), part.buffer.dtype)
        result.append(Let(name, combined))
        current[root] = Variable(name, part.buffer.dtype)
        left[root] -= 1
        if not left[root]:
            result.append(Store(part.buffer, part.indices, current[root]))
    return tuple(result)


def _moved(body: Body, own: dict[Buffer, tuple[Buffer, int]], index: Expression) -> Body:
    """The block with private buffers replaced, at `index` along their axis."""

    def places(buffer: Buffer, indices: tuple[Expression, ...]) -> tuple[Expression, ...]:
        place = own[buffer][1]
        return (*indices[:place], index, *indices[place + 1 :])

    def change(expression: Expression) -> Expression:
        if isinstance(expression, Load):
            indices = tuple([change(part) for part in expression.indices])
            if expression.buffer in own:
                return Load(own[expression.buffer][0], places(expression.buffer, indices))
            return Load(expression.buffer, indices)
        if isinstance(expression, Operation):
            operands = tuple([change(operand) for operand in expression.operands])
            return Operation(expression.name, operands, expression.dtype)
        return expression

    result: list[Statement] = []
    for statement in body:
        changed = map_own(statement, change)
        if isinstance(changed, (Store, Update)) and changed.buffer in own:
            where = places(changed.buffer, changed.indices)
            changed = replace(changed, buffer=own[changed.buffer][0], indices=where)
        result.append(map_blocks(changed, lambda block: _moved(block, own, index)))
    return tuple(result)
