"""Cutting a nest of parallel loops into several, which run one after the other: scalars that later
parts need are computed again where that takes no more than loads, and lie in memory otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    Let,
    Load,
    Loop,
    Reduce,
    Statement,
    Store,
    Variable,
)
from codegen.loops.operations import DType
from codegen.loops.walk import own_expressions, statements, subexpressions
from codegen.passes.chunks import Indices, Names, map_accesses, position, wrap
from codegen.passes.effects import written_in
from codegen.passes.parallel import independent_body
from codegen.passes.rewrite import Body


@dataclass(slots=True)
class Part:
    """Statements of the body of a nest, which become a nest of their own.

    `inner` are parallel loops around them, inside of the nest's own or, with `inner_first`,
    outside of those.
    """

    body: Body
    inner: tuple[Loop, ...] = ()
    inner_first: bool = False


def cut(nest: Sequence[Loop], parts: Sequence[Part], names: Names) -> list[Statement]:
    """The nest as one nest a part. What iterations write must lie apart from what others touch;
    parts with inner loops change no scalar from outside of them."""
    return _Cutter(nest, parts, names).write()


def is_distinct(loop: Loop) -> bool:
    """Whether no name is defined twice in a loop."""
    names = Counter(
        part.index if isinstance(part, Loop) else part.name
        for part in statements((loop,))
        if isinstance(part, Let | Declare | Loop)
    )
    return max(names.values()) == 1


def apart(nest: Sequence[Loop], uses: Counter[Buffer], names: Names) -> Body | None:
    """The body of a nest whose iterations touch nothing of each other: workspace that each
    iteration has for itself has dimensions for that. None where they meet.

    `uses` counts the names of buffers in the whole program.
    """
    more: dict[Buffer, list[Loop]] = {}
    for loop in nest:
        found = independent_body(loop.index, loop.body, uses)
        if found is None or found.reductions or not names.added.isdisjoint(found.private):
            return None
        for buffer in found.private:
            more.setdefault(buffer, []).append(loop)
    wider: dict[Buffer, Buffer] = {}

    def place(buffer: Buffer, where: Indices) -> tuple[Buffer, Indices]:
        root = buffer.root
        if root not in more:
            return buffer, where
        extents = tuple([constant_trip(loop) or 0 for loop in more[root]])
        if root not in wider:
            wider[root] = names.workspace(root.dtype, (*extents, *root.shape))
        if buffer is not root and buffer not in wider:
            shape = (*extents, *buffer.shape)
            wider[buffer] = replace(buffer, name=names.fresh("r"), shape=shape, base=wider[root])
        return wider[buffer], (*[position(loop) for loop in more[root]], *where)

    return map_accesses(nest[-1].body, place) if more else nest[-1].body


class _Cutter:
    """`plain` are scalars which may be computed anywhere in the nest; `dtypes` those which stand
    in memory between parts, unless nothing reads them."""

    def __init__(self, nest: Sequence[Loop], parts: Sequence[Part], names: Names) -> None:
        self.nest, self.parts, self.names = nest, parts, names
        self.where = tuple([position(loop) for loop in nest])
        self.extents = tuple([constant_trip(loop) or 0 for loop in nest])
        self.written: set[Any] = set()
        for part in parts:
            self.written |= written_in(part.body)
        self.plain: dict[str, Let | Declare] = {}
        self.dtypes: dict[str, DType] = {}
        self.home: dict[str, Buffer] = {}

    def write(self) -> list[Statement]:
        """The nests in order."""
        bodies = [self.without_plain(part) for part in self.parts]
        uses = [_names_used(body) for body in bodies]
        later: list[set[str]] = []  # what the parts behind each one use, in plain scalars or not
        behind: set[str] = set()
        for used in reversed(uses):
            later.insert(0, set(behind))
            behind |= self.with_sources(used)
        result: list[Statement] = []
        stale: set[str] = set()  # declared plainly, and changed since
        for part, body, used, needed in zip(self.parts, bodies, uses, later, strict=True):
            changed = _changed(body)
            own = {one.name for one in body if isinstance(one, Let | Declare)}
            before = self.reloads(self.with_sources(used) - own, changed, stale)
            after = self.spills((own | changed) & needed)
            stale |= changed
            if body:
                loops = [*part.inner, *self.nest] if part.inner_first else [*self.nest, *part.inner]
                result.append(wrap(loops, (*before, *body, *after)))
        return result

    def without_plain(self, part: Part) -> Body:
        """A part's statements but for scalars that are computed again where they are used."""
        if part.inner:
            return part.body
        rest: list[Statement] = []
        for statement in part.body:
            if isinstance(statement, Let | Declare):
                self.dtypes[statement.name] = statement.value.dtype
                if self.is_plain(statement.value):
                    self.plain[statement.name] = statement
                    continue
            rest.append(statement)
        return tuple(rest)

    def is_plain(self, value: Expression) -> bool:
        """Whether a value is the same wherever in the nest it is computed."""
        for part in subexpressions(value):
            if isinstance(part, Load) and part.buffer.root in self.written:
                return False
            if (
                isinstance(part, Variable)
                and part.name in self.written
                and not isinstance(self.plain.get(part.name), Let)
            ):
                return False
        return True

    def with_sources(self, used: set[str]) -> set[str]:
        """Names of the nest's scalars among those used, and what plain ones are computed from."""
        found: set[str] = set()
        pending = [name for name in used if name in self.dtypes]
        while pending:
            name = pending.pop()
            if name in found:
                continue
            found.add(name)
            if name in self.plain:
                sources = _names_used((self.plain[name],))
                pending += [source for source in sources if source in self.dtypes]
        return found

    def reloads(self, needed: set[str], changed: set[str], stale: set[str]) -> list[Statement]:
        """Definitions, at the beginning of a part, of scalars from earlier ones."""
        result: list[Statement] = []
        for name in (name for name in self.dtypes if name in needed):
            if name in self.plain and name not in stale:
                result.append(self.plain[name])
                continue
            value = Load(self.memory(name), self.where)
            result.append(Declare(name, value) if name in changed else Let(name, value))
        return result

    def spills(self, names: set[str]) -> list[Statement]:
        """Stores, at the end of a part, of scalars that later ones use."""
        return [
            Store(self.memory(name), self.where, Variable(name, self.dtypes[name]))
            for name in self.dtypes
            if name in names
        ]

    def memory(self, name: str) -> Buffer:
        """Where a scalar lies between parts."""
        if name not in self.home:
            self.home[name] = self.names.workspace(self.dtypes[name], self.extents)
        return self.home[name]


def _names_used(body: Body) -> set[str]:
    """Scalars that statements read or change."""
    found: set[str] = set()
    for statement in statements(body):
        for expression in own_expressions(statement):
            found |= {p.name for p in subexpressions(expression) if isinstance(p, Variable)}
        if isinstance(statement, Assign | Reduce):
            found.add(statement.name)
    return found


def _changed(body: Body) -> set[str]:
    """Scalars that statements change."""
    return {part.name for part in statements(body) if isinstance(part, Assign | Reduce)}
