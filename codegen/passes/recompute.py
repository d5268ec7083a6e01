"""Values that are found again where they are read, in place of memory that holds them.

What one loop stores for others, an element an iteration, is often little work to find again from
what they read anyway: on a device, where a pass over memory takes the time of dozens of operations,
that is quicker. Scalars that belong to a part of the loops only, as the mean of a row, are stored
instead of the elements that they are in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from codegen.device.machine import DeviceMachine
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Statement,
    Store,
    Variable,
    While,
)
from codegen.loops.walk import own_expressions, subexpressions
from codegen.passes.accessed import Around, Read, Slot, Uses
from codegen.passes.chunks import Names
from codegen.passes.forward import forward
from codegen.passes.rewrite import Body, map_blocks, map_own, substitute
from codegen.passes.unused import remove_unused

BIG = 2**16
"""Bytes of memory from which on its values are found again."""
BIG_SIMULATED = 2**6
"""The same in the simulator, where all is small."""
FEW = 16
"""Elements of a row that one thread holds in its registers."""
LONG_ROW = 2**15
"""Bytes of a row that lies near the threads only with others left out."""
FREE = 2
"""Operations that are less than to store a scalar for."""
CHEAP = 8
"""Operations, in additions, that are less than to keep a value near the threads."""
WORTH = 48
"""Operations that are less than to bring a value from far away, and to have stored it there."""
MOST_READERS = 6
ARITHMETIC = """
add subtract multiply negative positive absolute square maximum minimum fmax fmin equal not_equal
less less_equal greater greater_equal logical_and logical_or logical_not logical_xor bitwise_and
bitwise_or bitwise_xor isnan isinf isfinite signbit sign select cast real imag complex conjugate
copysign reciprocal floor ceil
"""
COSTS = {
    **dict.fromkeys(ARITHMETIC.split(), 1),
    **dict.fromkeys(("divide", "sqrt", "remainder", "floor_divide"), 8),
    **dict.fromkeys(("exp", "log", "sin", "cos", "exp2", "log2", "expm1", "log1p"), 16),
    **dict.fromkeys(("tanh", "sinh", "cosh", "tan", "arctan", "erf", "erfc"), 24),
}
"""What operations take, in additions; others that are no arithmetic are not repeated."""


def recompute(program: Program, machine: DeviceMachine) -> Program:
    """The program without the memory whose values are less work to find than to fetch."""
    if not any(buffer.size >= FEW for buffer in program.workspace):
        return program
    names = Names(program)
    slots: dict[str, Slot] = {}
    least = BIG_SIMULATED if machine.simulated else BIG
    body = program.body
    tried: set[Buffer] = set()
    changed = False
    while True:
        found = Uses(body)
        if found.shared:
            return program
        plan = next(_plans(program, found, tried, least), None)
        if plan is None:
            break
        body = _Rewriter(plan, found, names, slots).block(body)
        changed = True
    return forward(remove_unused(names.finish(program, body))) if changed else program


@dataclass(slots=True)
class _Copy:
    """What takes the place of a read: definitions before its statement, and a value; `spilled` are
    the scalars in these that are loaded."""

    lets: dict[str, Let] = field(default_factory=dict)
    spilled: dict[str, tuple[Let, tuple[Loop, ...]]] = field(default_factory=dict)


@dataclass(slots=True)
class _Plan:
    """How a buffer's loads are replaced, by the statement and the indices of each."""

    buffer: Buffer
    store: Store
    copies: dict[tuple[int, tuple[Expression, ...]], _Copy]


def _plans(program: Program, uses: Uses, tried: set[Buffer], least: int) -> Iterator[_Plan]:
    """A plan for each buffer that can be done without."""
    for buffer in program.workspace:
        if buffer in tried or buffer.is_tape or len(uses.stores.get(buffer, ())) != 1:
            continue
        tried.add(buffer)
        plan = _Planner(uses, buffer, least).plan()
        if plan is not None:
            yield plan


class _Planner:
    """Finds out whether a buffer's values can be found where they are read."""

    def __init__(self, uses: Uses, buffer: Buffer, least: int) -> None:
        self.uses, self.buffer, self.least = uses, buffer, least
        self.store = uses.stores[buffer][0]
        self.outside: Around = ()
        self.loops: dict[str, Loop] = {}

    def plan(self) -> _Plan | None:
        """The plan; None where values stay in memory."""
        reads = self.uses.reads.get(self.buffer, [])
        outside = self.uses.once(self.buffer)
        if outside is None or not 0 < len(reads) <= MOST_READERS or not self.buffer.shape:
            return None
        if self.buffer in self.uses.viewed:
            return None
        statement = self.store.statement
        if not all(isinstance(index, Variable) for index in statement.indices):
            return None
        if statement.value.dtype != self.buffer.dtype:
            return None
        size = self.buffer.size * self.buffer.dtype.itemsize
        if (not outside and size < self.least) or (outside and self.buffer.size < FEW):
            return None
        most = WORTH if not outside or size > LONG_ROW else CHEAP
        self.outside = outside
        self.loops = {
            part.index: part for part in self.store.around[len(outside) :] if isinstance(part, Loop)
        }
        copies = {}
        extra = 0
        for read in reads:
            if not self.is_after(read):
                return None
            copied = self.copy(read, most)
            if copied is None:
                return None
            copies[id(read.statement), read.load.indices] = copied
            moved = self.moved(copied, read)
            if moved is None:
                return None
            extra += moved
        if extra > self.buffer.dtype.itemsize * (len(reads) + 1):
            return None
        return _Plan(self.buffer, self.store.statement, copies)

    def is_after(self, read: Read) -> bool:
        """Whether a read is in the same iterations as the store, later, in other loops, and takes
        an element of each of its own iterations."""
        if isinstance(read.statement, While | Loop) or len(read.around) < len(self.outside):
            return False
        if any(one is not other for one, other in zip(read.around, self.outside, strict=False)):
            return False
        mine = (*self.store.around, self.store.statement)
        theirs = (*read.around, read.statement)
        apart = [(a, b) for a, b in zip(mine, theirs, strict=False) if a is not b]
        if not apart or self.uses.place[id(apart[0][1])] <= self.uses.place[id(apart[0][0])]:
            return False
        inner = read.around[len(self.outside) :]
        own = {part.index: part for part in inner if isinstance(part, Loop)}
        times = math.prod(constant_trip(part) or self.buffer.size + 1 for part in own.values())
        if times > 2 * self.buffer.size or any(isinstance(part, While) for part in inner):
            return False
        return all(
            isinstance(index, Variable)
            and isinstance(target, Variable)
            and index.name in own
            and _within(own[index.name], self.loops[target.name])
            for index, target in zip(read.load.indices, self.store.statement.indices, strict=True)
        )

    def copy(self, read: Read, most: int) -> _Copy | None:
        """What takes the place of a read."""
        pairs = zip(self.store.statement.indices, read.load.indices, strict=True)
        same = {
            target.name: target == index for target, index in pairs if isinstance(target, Variable)
        }
        copy = _Copy()
        cost = self.needs(self.store.statement.value, read, same, copy, most)
        return None if cost is None or cost > most else copy

    def needs(
        self, value: Expression, read: Read, same: dict[str, bool], copy: _Copy, most: int
    ) -> int | None:
        """What a value takes, with the definitions that it needs added; None where it cannot be
        found there."""
        cost = 0
        for part in subexpressions(value):
            if isinstance(part, Operation):
                own = COSTS.get(part.name)
            elif isinstance(part, Load):
                own = 0 if self.is_stable(part.buffer) else None
            elif isinstance(part, Variable) and not self.has(part.name, same, copy):
                own = self.scalar(part.name, read, same, copy, most)
            else:
                own = 0
            if own is None or cost + own > most:
                return None
            cost += own
        return cost

    def has(self, name: str, same: dict[str, bool], copy: _Copy) -> bool:
        """Whether a scalar is there already."""
        return name in same or name in copy.lets or name in copy.spilled

    def scalar(
        self, name: str, read: Read, same: dict[str, bool], copy: _Copy, most: int
    ) -> int | None:
        """What a scalar takes: nothing where it is known, its definition, or a load."""
        if self.uses.defined[name] != 1:
            return None
        if name not in self.uses.lets:  # perhaps the index of a loop around
            outer = any(isinstance(part, Loop) and part.index == name for part in self.outside)
            return 0 if outer else None
        let, around = self.uses.lets[name]
        inner = tuple([p for p in around[len(self.outside) :] if isinstance(p, Loop)])
        if self.uses.knows(read, name) and all(same.get(loop.index, False) for loop in inner):
            return 0
        if not self.outside and self.uses.saved(name, inner, self.buffer) is not None:
            copy.spilled[name] = let, inner
            return 0
        found = self.definition(let, read, same, copy, FREE)
        if found is None and self.can_spill(inner, around):
            copy.spilled[name] = let, inner
            return 0
        return self.definition(let, read, same, copy, most) if found is None else found

    def definition(
        self, let: Let, read: Read, same: dict[str, bool], copy: _Copy, most: int
    ) -> int | None:
        """What it takes to define a scalar again; nothing is added where that is too much."""
        before = dict(copy.lets), dict(copy.spilled)
        cost = self.needs(let.value, read, same, copy, most)
        if cost is None:
            copy.lets, copy.spilled = before
        else:
            copy.lets[let.name] = let
        return cost

    def can_spill(self, inner: tuple[Loop, ...], around: Around) -> bool:
        """Whether a scalar may be stored: it belongs to few of the loops, and to no branch."""
        if self.outside or len(inner) != len(around) or not 0 < len(inner) < len(self.loops):
            return False
        extents = math.prod(_stop(loop) for loop in inner)
        return extents * 8 <= self.buffer.size

    def is_stable(self, buffer: Buffer) -> bool:
        """Whether memory holds at every read what it held at the store."""
        if buffer.root is self.buffer or buffer.root is not buffer:
            return False
        if buffer in self.uses.made and len(self.uses.reads[buffer]) == 1:
            return False  # the product's own kernel may make the values
        outside = self.uses.once(buffer)
        if outside is None or len(outside) > len(self.outside):
            return False
        if outside and buffer in self.uses.stores:  # what the last iteration left, if stored later
            place = self.uses.place
            written = self.uses.stores[buffer][0].statement
            if place[id(written)] > place[id(self.store.statement)]:
                return False
        return all(one is other for one, other in zip(outside, self.outside, strict=False))

    def moved(self, copy: _Copy, read: Read) -> int | None:
        """Bytes that a read of an element now brings: of memory as large, not read there yet; None
        where neighbouring elements would be far apart."""
        last = self.store.statement.indices[-1]
        loads: dict[Load, None] = {}
        for expression in (*[let.value for let in copy.lets.values()], self.store.statement.value):
            found = [part for part in subexpressions(expression) if isinstance(part, Load)]
            loads.update(dict.fromkeys(found))
        total = 0
        for load in loads:
            used = {part.name for part in subexpressions(load) if isinstance(part, Variable)}
            if not self.loops.keys() <= used:
                continue
            if load.indices[-1] != last:
                return None
            if not self.is_read_there(load.buffer, read):
                total += load.dtype.itemsize
        return total

    def is_read_there(self, buffer: Buffer, read: Read) -> bool:
        """Whether the innermost loop around a read also reads another buffer."""
        return any(
            other.around and read.around and other.around[-1] is read.around[-1]
            for other in self.uses.reads.get(buffer, ())
        )


class _Rewriter:
    """Carries out a plan; keeps the program's own statements where nothing changes."""

    def __init__(self, plan: _Plan, uses: Uses, names: Names, slots: dict[str, Slot]) -> None:
        self.plan, self.names, self.slots = plan, names, slots
        self.new: set[str] = set()
        for copy in plan.copies.values():
            for name, (let, loops) in copy.spilled.items():
                if name not in slots:
                    slots[name] = uses.saved(name, loops, plan.buffer) or self.slot(let, loops)

    def slot(self, let: Let, loops: tuple[Loop, ...]) -> Slot:
        """New memory for a scalar."""
        self.new.add(let.name)
        memory = self.names.workspace(let.value.dtype, tuple([_stop(loop) for loop in loops]))
        return memory, tuple([Variable(loop.index, loop.start.dtype) for loop in loops])

    def block(self, body: Body) -> Body:
        """A block with loads replaced and scalars stored."""
        result: list[Statement] = []
        for statement in body:
            replaced = self.replaced(statement, result)
            result.append(map_blocks(replaced, self.block))
            if isinstance(statement, Let) and statement.name in self.new:
                value = Variable(statement.name, statement.value.dtype)
                result.append(Store(*self.slots[statement.name], value))
        return tuple(result)

    def replaced(self, statement: Statement, before: list[Statement]) -> Statement:
        """The statement with its loads replaced, after the definitions that it needs."""
        values: dict[Expression, Expression] = {}
        for expression in own_expressions(statement):
            for part in subexpressions(expression):
                is_own = isinstance(part, Load) and part.buffer is self.plan.buffer
                if is_own and part not in values:
                    values[part] = self.value(part, statement, before)
        if not values:
            return statement
        return map_own(statement, lambda expression: _with(expression, values))

    def value(self, load: Expression, statement: Statement, before: list[Statement]) -> Expression:
        """Define again what a load read."""
        assert isinstance(load, Load), "only loads are replaced"
        copy = self.plan.copies[id(statement), load.indices]
        names: dict[str, Expression] = {
            target.name: index
            for target, index in zip(self.plan.store.indices, load.indices, strict=True)
            if isinstance(target, Variable)
        }
        for name in copy.spilled:
            memory, places = self.slots[name]
            new = Variable(self.names.fresh("v"), memory.dtype)
            places = tuple([substitute(place, names) for place in places])
            before.append(Let(new.name, Load(memory, places)))
            names[name] = new
        for name, let in copy.lets.items():
            new = Variable(self.names.fresh("v"), let.value.dtype)
            before.append(Let(new.name, substitute(let.value, names)))
            names[name] = new
        return substitute(self.plan.store.value, names)


def _with(expression: Expression, values: dict[Expression, Expression]) -> Expression:
    """The expression with parts of it replaced."""
    if isinstance(expression, Load) and expression in values:
        return values[expression]
    if isinstance(expression, Operation):
        operands = tuple([_with(part, values) for part in expression.operands])
        return Operation(expression.name, operands, expression.dtype)
    if isinstance(expression, Load):
        return Load(expression.buffer, tuple([_with(part, values) for part in expression.indices]))
    return expression


def _within(inner: Loop, outer: Loop) -> bool:
    """Whether a loop's indices are all of the other's."""
    parts = (inner.start, inner.stop, outer.start, outer.stop)
    if not all(isinstance(part, Literal) for part in parts):
        return False
    first, last, start, stop = (int(part.value.real) for part in parts if isinstance(part, Literal))
    return start <= first and last <= stop


def _stop(loop: Loop) -> int:
    assert isinstance(loop.stop, Literal), "loops of elements count between literals"
    return int(loop.stop.value.real)
