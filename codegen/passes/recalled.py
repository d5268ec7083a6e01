"""Serial loops that meet in memory only from one iteration to the next, as `y[t] = a * y[t - 1] +
x[t]` and its adjoint, with what they carry in scalars instead. The bits stay the same."""

from __future__ import annotations

from dataclasses import dataclass, replace

from codegen.loops.build import integer, literal, operation
from codegen.loops.linear import constant_trip, flat_index
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Expression,
    Let,
    Load,
    Loop,
    Operation,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import (
    blocks,
    buffers_read,
    buffers_written,
    own_expressions,
    statements,
    subexpressions,
)
from codegen.passes.chunks import Names, first_of
from codegen.passes.rewrite import Body, map_own, substitute
from tracer.types import INT64

Indices = tuple[Expression, ...]
_Made = tuple[Declare, Loop, list[Update]]
"""What stands before a loop, the loop, and what stands behind it."""


def recalled(loop: Loop, names: Names) -> Body:
    """Statements for the loop, in which elements that the iteration before has written, or added
    to, are scalars; the loop alone where there are none."""
    before: list[Statement] = []
    after: list[Statement] = []
    if loop.kind == "serial" and constant_trip(loop):
        known = _integers(loop.body)
        written = [part.root for one in statements(loop.body) for part in buffers_written(one)]
        for root in dict.fromkeys(written):
            places = _places(loop, root, known)
            found = places and (places.read_again(names) or places.added_to(names))
            if found:
                first, loop, last = found
                before.append(first)
                after += last
    return (*before, loop, *after)


@dataclass(slots=True)
class _Access:
    """An access of memory: which statement of the body it is in, and by how many iterations it is
    ahead of the element that is the iteration's own."""

    part: int
    indices: Indices
    ahead: int = 0


@dataclass(slots=True)
class _Places:
    """A loop's accesses of some memory, of which one is a store; `known` are the integers that
    indices are made of."""

    loop: Loop
    root: Buffer
    known: dict[str, Expression]
    store: _Access
    loads: list[_Access]
    updates: list[_Access]

    def at(self, access: _Access, *, end: bool) -> Indices:
        """Where an access is in the first iteration, or at the end, in the last."""
        loop = self.loop
        place = first_of(loop)
        if end is not loop.reverse:
            place += (constant_trip(loop) or 0) - 1
        there: dict[str, Expression] = {loop.index: integer(place)}
        return tuple([substitute(substitute(part, self.known), there) for part in access.indices])

    def read_again(self, names: Names) -> _Made | None:
        """With what the iteration before has stored in a scalar."""
        again = [access for access in self.loads if access.ahead == -1]
        if not again or self.updates or any(access.ahead not in (-1, 0) for access in self.loads):
            return None
        name, root, number = names.fresh("s"), self.root, self.store.part
        value = Variable(names.fresh("v"), root.dtype)
        scalar = Variable(name, root.dtype)
        body = _with_loads(self.loop.body, root, {access.indices for access in again}, scalar)
        written = body[number]
        assert isinstance(written, Store), "its part is the store"
        kept = (Let(value.name, written.value), replace(written, value=value))
        body = (*body[:number], *kept, *body[number + 1 :], Assign(name, value))
        start = Declare(name, Load(root, self.at(again[0], end=False)))
        return start, replace(self.loop, body=body), []

    def added_to(self, names: Names) -> _Made | None:
        """With what the iteration before has added in a scalar."""
        own = [access for access in self.updates if access.ahead == 0]
        further = [access for access in self.updates if access.ahead != 0]
        early = all(access.ahead == 0 and access.part < self.store.part for access in self.loads)
        late = all(access.part > self.store.part for access in own)
        if not (early and late and self.loads) or [one.ahead for one in further] != [1]:
            return None
        root, (update,) = self.root, further
        added = self.loop.body[update.part]
        assert isinstance(added, Update), "its part is the update"
        if added.operation != "add" or root.dtype.kind not in "fiu":
            return None
        name, value = names.fresh("s"), Variable(names.fresh("v"), root.dtype)
        scalar = Variable(name, root.dtype)
        both = operation("add", Load(root, self.loads[0].indices), scalar)
        body = _with_loads(self.loop.body, root, {one.indices for one in self.loads}, both)
        kept = Let(value.name, added.value)
        body = (*body[: update.part], kept, *body[update.part + 1 :], Assign(name, value))
        nothing = literal(-0.0 if root.dtype.kind == "f" else 0, root.dtype)
        end = Update(root, self.at(update, end=True), "add", scalar)
        return Declare(name, nothing), replace(self.loop, body=body), [end]


def _places(loop: Loop, root: Buffer, known: dict[str, Expression]) -> _Places | None:
    """The accesses of memory, where each is so many iterations ahead of the store's."""
    loads: list[_Access] = []
    stores: list[_Access] = []
    updates: list[_Access] = []
    for number, part in enumerate(loop.body):
        inside = [inner for value in own_expressions(part) for inner in subexpressions(value)]
        loads += [
            _Access(number, inner.indices)
            for inner in inside
            if isinstance(inner, Load) and inner.buffer.root is root
        ]
        if isinstance(part, Store) and part.buffer.root is root:
            stores.append(_Access(number, part.indices))
        elif isinstance(part, Update) and part.buffer.root is root:
            updates.append(_Access(number, part.indices))
    if len(stores) != 1 or not _is_plain(loop, root):
        return None
    own = flat_index(root, stores[0].indices, known)
    step = own.terms.get(Variable(loop.index, INT64), 0) * (-1 if loop.reverse else 1)
    for access in (*loads, *updates):
        form = flat_index(root, access.indices, known)
        distance = form.constant - own.constant
        if step == 0 or form.terms != own.terms or distance % step:
            return None
        access.ahead = distance // step
    return _Places(loop, root, known, stores[0], loads, updates)


def _is_plain(loop: Loop, root: Buffer) -> bool:
    """Whether only statements of the loop's own block touch the memory, under its own name."""
    for part in loop.body:
        inside = [one for one in statements((part,)) if one is not part]
        if any(root in _touched(one) for one in inside):
            return False
        if isinstance(part, Call) and root in _touched(part):
            return False
        if root in _touched(part) and (blocks(part) or not isinstance(part, Let | Store | Update)):
            return False
        if any(one is not root and one.root is root for one in _buffers(part)):
            return False
    return True


def _touched(statement: Statement) -> set[Buffer]:
    return {buffer.root for buffer in _buffers(statement)}


def _buffers(statement: Statement) -> list[Buffer]:
    return [*buffers_read(statement), *buffers_written(statement)]


def _with_loads(body: Body, root: Buffer, places: set[Indices], value: Expression) -> Body:
    """The block with a value for what is loaded from some places."""

    def change(expression: Expression) -> Expression:
        if isinstance(expression, Load) and expression.buffer is root:
            return value if expression.indices in places else expression
        if isinstance(expression, Operation):
            operands = tuple([change(operand) for operand in expression.operands])
            return Operation(expression.name, operands, expression.dtype)
        return expression

    return tuple([map_own(part, change) for part in body])


def _integers(body: Body) -> dict[str, Expression]:
    """What integers that the block defines are, without each other's names."""
    found: dict[str, Expression] = {}
    for part in body:
        if isinstance(part, Let) and part.value.dtype == INT64 and not _reads(part.value):
            found[part.name] = substitute(part.value, found)
    return found


def _reads(value: Expression) -> bool:
    return any(isinstance(part, Load) for part in subexpressions(value))
