"""Where a program stores and reads each buffer, and which scalars are known there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Call,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import blocks, own_expressions, subexpressions, views
from codegen.passes.rewrite import Body

Around = tuple[Loop | While | If, ...]
Slot = tuple[Buffer, tuple[Expression, ...]]
"""Memory of a scalar, and the element that has it."""


@dataclass(slots=True)
class Stored:
    """Where a buffer is stored, and what stands around."""

    statement: Store
    around: Around


@dataclass(slots=True)
class Read:
    """A load, the statement that it is in, and what stands around."""

    load: Load
    statement: Statement
    around: Around


class Uses:
    """All accesses of a program in its order, and where things stand."""

    def __init__(self, body: Body) -> None:
        self.stores: dict[Buffer, list[Stored]] = {}
        self.reads: dict[Buffer, list[Read]] = {}
        self.viewed: set[Buffer] = set()
        self.made: dict[Buffer, list[Around]] = {}
        self.changed: set[Buffer] = set()
        self.holders: dict[str, list[Buffer]] = {}
        self.shared = False
        self.defined: Counter[str] = Counter()
        self.place: dict[int, int] = {}
        self.lets: dict[str, tuple[Let, Around]] = {}
        self.collect(body, ())

    def collect(self, body: Body, around: Around) -> None:
        """Walk through a block."""
        for statement in body:
            self.shared = self.shared or id(statement) in self.place
            self.place[id(statement)] = len(self.place)
            for expression in own_expressions(statement):
                for part in subexpressions(expression):
                    if isinstance(part, Load):
                        read = Read(part, statement, around)
                        self.reads.setdefault(part.buffer, []).append(read)
                        if part.buffer.base is not None:
                            self.viewed.add(part.buffer.root)
            match statement:
                case Let(name, _):
                    self.lets[name] = statement, around
                    self.defined[name] += 1
                case Declare(name, _):
                    self.defined[name] += 1
                case Store(buffer):
                    store = Stored(statement, around)
                    self.stores.setdefault(buffer, []).append(store)
                    if isinstance(statement.value, Variable):
                        self.holders.setdefault(statement.value.name, []).append(buffer)
                    if buffer.base is not None:
                        self.changed.add(buffer.root)
                case Update(buffer) | Reserve(buffer):
                    self.changed.add(buffer.root)
                case Call():
                    self.viewed.update(view.buffer.root for view in views(statement))
                    for view in statement.results:
                        self.made.setdefault(view.buffer.root, []).append(around)
                case Loop(index):
                    self.defined[index] += 1
                    self.collect(statement.body, (*around, statement))
                case If() | While():
                    for block in blocks(statement):
                        self.collect(block, (*around, statement))

    def knows(self, read: Read, name: str) -> bool:
        """Whether a scalar is defined where a read is; False too where branches might part them."""
        let, around = self.lets[name]
        if any(not isinstance(part, Loop) for part in around) or len(around) > len(read.around):
            return False
        inside = all(one is other for one, other in zip(around, read.around, strict=False))
        return inside and self.place[id(let)] < self.place[id(read.statement)]

    def once(self, buffer: Buffer) -> Around | None:
        """What stands around the loops in which a buffer is stored once an element; None where it
        is written otherwise."""
        if buffer in self.changed or buffer.base is not None or buffer.is_tape:
            return None
        stores, made = self.stores.get(buffer, []), self.made.get(buffer, [])
        if buffer.role in ("input", "constant"):
            return None if stores or made else ()
        if made:
            return None if stores or len(made) > 1 or made[0] else ()
        return outside_of(stores[0]) if len(stores) == 1 else None

    def saved(self, name: str, loops: tuple[Loop, ...], besides: Buffer) -> Slot | None:
        """Where the program itself stores a scalar of these loops, for good."""
        for buffer in self.holders.get(name, ()):
            indices = self.stores[buffer][0].statement.indices
            found = {index.name for index in indices if isinstance(index, Variable)}
            own = found == {loop.index for loop in loops}
            if own and buffer is not besides and self.once(buffer) == ():
                return buffer, indices
        return None


def outside_of(store: Stored) -> Around | None:
    """What stands around the loops whose indices say where it stores."""
    indices = store.statement.indices
    wanted = {index.name for index in indices if isinstance(index, Variable)}
    fixed = sum(isinstance(index, Literal) for index in indices)
    if len(wanted) + fixed != len(indices):
        return None
    split = len(store.around) - len(wanted)
    if split < 0:
        return None
    inner = store.around[split:]
    own = {loop.index for loop in inner if isinstance(loop, Loop) and constant_trip(loop)}
    return store.around[:split] if own == wanted else None
