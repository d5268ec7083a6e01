"""Kinds of loops for a device: which loops many threads may share that one processor runs in order.

Three kinds of serial loops become another kind:

- "parallel" where iterations meet in checks only (which of several failing checks is reported does
  not matter), or touch what they write at the place of the loop's own index only, or in workspace
  which each iteration writes as a whole before it reads it, and which nothing else uses;
- "reduce" where they meet in `Reduce`s of scalars besides;
- "scatter" where they meet besides in `Update`s only, whose places are data, of memory which the
  loop does not touch otherwise, with one associative operation for each buffer: sums by index.

A loop which carries anything else from one iteration to the next stays serial.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Let,
    Literal,
    Load,
    Loop,
    Program,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.operations import ASSOCIATIVE
from codegen.loops.walk import blocks, own_expressions, statements, subexpressions
from codegen.passes.contract import accesses
from codegen.passes.effects import Effects, base_of, effects
from codegen.passes.rewrite import Body, map_blocks


def device_kinds(program: Program) -> Program:
    """The program with the kinds of its loops as a device may run them."""
    marker = _Marker(program)
    return replace(program, body=marker.block(program.body))


class _Marker:
    def __init__(self, program: Program) -> None:
        self.counts: dict[Buffer, int] = {}
        self.workspace = set(program.workspace)
        for buffer, _, _ in accesses(program.body, ()):
            self.counts[base_of(buffer)] = self.counts.get(base_of(buffer), 0) + 1

    def block(self, body: Body) -> Body:
        return tuple([self.statement(part) for part in body])

    def statement(self, statement: Statement) -> Statement:
        changed = map_blocks(statement, self.block) if blocks(statement) else statement
        if isinstance(changed, Loop) and changed.kind == "serial":
            kind = self.kind(changed)
            return changed if kind == "serial" else replace(changed, kind=kind)
        return changed

    def kind(self, loop: Loop) -> str:
        """The kind of a loop that lowering has made serial."""
        uses = _Uses()
        if not uses.collect(loop.body):
            return "serial"
        meets = {base for base in uses.written if not _at_index(loop, uses.effects, base)}
        meets -= self.private(loop, meets)
        if any(base in uses.stored or base in uses.loaded for base in meets):
            return "serial"
        if any(len(uses.updated[base]) > 1 for base in meets):
            return "serial"
        if any(not uses.updated[base] <= ASSOCIATIVE for base in meets):
            return "serial"
        if uses.reduced:
            return "serial" if meets else "reduce"
        return "scatter" if meets else "parallel"

    def private(self, loop: Loop, candidates: set[Buffer]) -> set[Buffer]:
        """Of some memory, the workspace that each iteration fills before it reads it, and which
        nothing but this loop uses."""
        candidates = {base for base in candidates & self.workspace if not base.is_tape}
        inside: dict[Buffer, int] = {}
        for buffer, _, _ in accesses(loop.body, ()):
            inside[base_of(buffer)] = inside.get(base_of(buffer), 0) + 1
        candidates = {base for base in candidates if inside[base] == self.counts[base]}
        filled: set[Buffer] = set()
        touched: set[Buffer] = set()
        for part in loop.body:
            full = _filled(part)
            if full is not None and full in candidates and full not in touched:
                filled.add(full)
            facts = effects(part)
            touched |= facts.accesses.keys()
        return filled


def _filled(statement: Statement) -> Buffer | None:
    """The buffer of which a nest of loops writes each element, and reads none."""
    extents: dict[str, object] = {}
    inner: Statement = statement
    while isinstance(inner, Loop):
        if not isinstance(inner.start, Literal) or inner.start.value != 0:
            return None
        if not isinstance(inner.stop, Literal):
            return None
        extents[inner.index] = inner.stop.value
        if any(isinstance(part, Loop) for part in inner.body):
            if len(inner.body) != 1:
                return None
            (inner,) = inner.body
            continue
        return _stored_all(inner.body, extents)
    return _stored_all((statement,), extents)


def _stored_all(body: Body, extents: dict[str, object]) -> Buffer | None:
    read = {
        part.buffer.root
        for statement in statements(body)
        for expression in own_expressions(statement)
        for part in subexpressions(expression)
        if isinstance(part, Load)
    }
    for part in body:
        if not isinstance(part, Store) or part.buffer.root in read:
            continue
        names = [index.name for index in part.indices if isinstance(index, Variable)]
        if len(names) == len(part.indices) == len(set(names)) and all(
            extents.get(name) == extent
            for name, extent in zip(names, part.buffer.shape, strict=True)
        ):
            return part.buffer.root
    return None


def _at_index(loop: Loop, facts: Effects, base: Buffer) -> bool:
    """Whether each access of some memory has the loop's index in one place."""
    buffer, names = facts.accesses[base]
    return buffer is not None and loop.index in names


@dataclass(slots=True)
class _Uses:
    """What the statements of a loop's body do.

    written   memory that is stored to or updated
    stored    of that, what is stored to
    updated   the operations of updates
    loaded    memory that is read, other than by updates
    reduced   scalars from outside of the loop that are reduced
    """

    effects: Effects = field(default_factory=Effects)
    written: set[Buffer] = field(default_factory=set)
    stored: set[Buffer] = field(default_factory=set)
    updated: dict[Buffer, set[str]] = field(default_factory=dict)
    loaded: set[Buffer] = field(default_factory=set)
    reduced: dict[str, set[str]] = field(default_factory=dict)

    def collect(self, body: Body) -> bool:
        """Look at a loop's body; False where it does what keeps iterations in order anyway."""
        own: set[str] = set()
        read: set[str] = set()
        changed: set[str] = set()
        for part in statements(body):
            match part:
                case Call() | Reserve():
                    return False
                case Let(name) | Declare(name):
                    own.add(name)
                case Assign(name):
                    changed.add(name)
                case Reduce(name, operation):
                    self.reduced.setdefault(name, set()).add(operation)
                case Store(buffer):
                    self.stored.add(base_of(buffer))
                case Update(buffer, _, operation):
                    self.updated.setdefault(base_of(buffer), set()).add(operation)
            for expression in own_expressions(part):
                for inner in subexpressions(expression):
                    if isinstance(inner, Load):
                        self.loaded.add(base_of(inner.buffer))
                    elif isinstance(inner, Variable):
                        read.add(inner.name)
        for part in body:
            self.effects.include(effects(part))
        self.written = self.stored | self.updated.keys()
        self.reduced = {name: found for name, found in self.reduced.items() if name not in own}
        if not changed <= own or not read.isdisjoint(self.reduced):
            return False
        return all(len(found) == 1 for found in self.reduced.values())
