"""Fusion: neighbouring loops of one extent become one loop, from the outermost level inwards.

Two loops may run as one if whatever one writes and the other touches lies, in every access of
both, at the place of the loop index: iteration k then depends on iteration k only. A loop moves up
past statements which it does not depend on, and what it depends on moves up before it where that
does not depend on the earlier loop.

A loop that has grown to `MOST_STATEMENTS` takes no more: the time that machine code takes to make
grows faster than a block, and what one loop leaves in memory for the next costs little there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from codegen.loops.nodes import (
    Buffer,
    Expression,
    Literal,
    Loop,
    Program,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import blocks, statements
from codegen.passes.effects import Effects, effects
from codegen.passes.rewrite import Body, map_blocks, rename
from tracer.types import INT64

LOOK_BACK = 24
MOST_STATEMENTS = 800


@dataclass(frozen=True, slots=True)
class Policy:
    """Which of the loops that may run as one do so.

    most_statements  of one loop, blocks inside included
    joined           one loop for two, of which the second is about to run in the iterations of the
                     first, with its insides fused; None where they stay two loops. Its arguments
                     are the two, what each reads and writes, and whether a loop around them has
                     iterations that run at the same time. Without it all are joined.
    """

    most_statements: int = MOST_STATEMENTS
    joined: Callable[[Loop, Loop, Effects, Effects, bool], Loop | None] | None = None

    def block(self, body: Body, *, shared: bool = False) -> Body:
        """The block with its loops fused, inside of them too."""
        return _block(body, self, shared)


CPU = Policy()


def fuse(program: Program, policy: Policy = CPU) -> Program:
    """The program with loops fused."""
    return replace(program, body=policy.block(program.body))


class _Entry:
    """A statement of the block being written; for loops, the body as a list that grows."""

    __slots__ = ("_facts", "body", "range", "size", "statement")

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self._facts: Effects | None = None
        self.body: list[Statement] | None = None
        self.size = 1
        self.range: tuple[Any, ...] | None = None
        if isinstance(statement, Loop):
            self.size = _size(statement.body)
            bounds = (statement.start, statement.stop)
            values = [part.value if isinstance(part, Literal) else part for part in bounds]
            self.range = (*values, statement.reverse)

    @property
    def facts(self) -> Effects:
        """What the statement reads and writes; found when it is first asked for."""
        if self._facts is None:
            self._facts = effects(self.statement)
        return self._facts

    def take(self, loop: Loop, other: _Entry) -> None:
        """Run another loop's body in each iteration of this one."""
        own = self.statement
        assert isinstance(own, Loop), "only loops are merged"
        index: dict[str, Expression] = {loop.index: Variable(own.index, loop.stop.dtype)}
        if self.body is None:
            self.body = list(own.body)
        self.body.extend(rename(loop.body, index))
        kind = max(own.kind, loop.kind, key=_KINDS.__getitem__)
        if kind != own.kind:
            self.statement = replace(own, kind=kind)
        self.facts.include(other.facts.renamed(loop.index, own.index))
        self.size += other.size

    def become(self, joined: Loop) -> None:
        """Stand for a loop that has taken another."""
        self.statement = joined
        self._facts = None
        self.size = _size(joined.body)

    def finished(self) -> Statement:
        """The statement with all that it took."""
        if self.body is None:
            return self.statement
        assert isinstance(self.statement, Loop), "only loops are merged"
        return replace(self.statement, body=tuple(self.body))


_KINDS = {"parallel": 0, "reduce": 1, "serial": 2}


def _size(body: Iterable[Statement]) -> int:
    """How many statements a block has, blocks inside included."""
    total = 0
    for part in body:
        total += 1
        for block in blocks(part):
            total += _size(block)
    return total


def fuse_block(body: Body) -> Body:
    """The block with its loops fused, inside of them too, for the CPU."""
    return CPU.block(body)


def _inside(statement: Statement, policy: Policy, shared: bool) -> Statement:
    """The statement with the loops in its blocks fused."""
    shared = shared or (isinstance(statement, Loop) and statement.kind != "serial")
    return map_blocks(statement, lambda body: _block(body, policy, shared))


def _block(body: Body, policy: Policy, shared: bool) -> Body:
    nested = [statement for statement in body if blocks(statement)]
    if not nested:
        return body
    if len(nested) == 1 or sum(1 for part in nested if isinstance(part, Loop)) < 2:
        return tuple([_inside(statement, policy, shared) for statement in body])
    entries: list[_Entry] = []
    waiting: list[_Entry] = []
    sums = _summed_in_memory(body) if policy.joined is None else set()
    for statement in body:
        entry = _Entry(statement)
        if isinstance(statement, Loop):
            if sums and _begins(statement, sums):
                waiting.append(entry)
            elif _merge_back(entries, entry, statement, policy, shared):
                continue
        entries.append(entry)
    for entry in waiting:
        place = entries.index(entry)
        before, loop = entries[:place], entry.finished()
        if isinstance(loop, Loop) and _merge_back(before, entry, loop, policy, shared):
            entries[: place + 1] = before
    return tuple([_inside(entry.finished(), policy, shared) for entry in entries])


def _summed_in_memory(body: Body) -> set[Buffer]:
    """What loops of a block add to, other than at the place of their index."""
    found: set[Buffer] = set()
    for loop in body:
        if isinstance(loop, Loop) and loop.kind == "serial":
            for part in statements(loop.body):
                if isinstance(part, Update) and Variable(loop.index, INT64) not in part.indices:
                    found.add(part.buffer.root)
    return found


def _begins(loop: Loop, sums: set[Buffer]) -> bool:
    """Whether a loop only gives such sums their first values. In one loop with what comes before,
    it would keep the loop that adds from being joined with that, too: so it waits."""
    for part in statements(loop.body):
        if isinstance(part, Store):
            if part.buffer.root not in sums or not isinstance(part.value, Literal):
                return False
        elif not isinstance(part, Loop):
            return False
    return True


def _merge_back(
    entries: list[_Entry], entry: _Entry, loop: Loop, policy: Policy, shared: bool
) -> bool:
    """Fuse `loop` into an earlier loop of the block, if one takes it."""
    first = max(0, len(entries) - LOOK_BACK)
    same, room = entry.range, policy.most_statements - entry.size
    if not any(part.range == same and part.size <= room for part in entries[first:]):
        return False
    found = entry.facts
    if found.has_call or found.has_check:
        return False
    needed: list[int] = []
    between = Effects()  # of what is needed
    wanted = found
    for position in range(len(entries) - 1, first - 1, -1):
        earlier = entries[position]
        facts = earlier.facts
        if (
            earlier.range == same
            and earlier.size <= room
            and not facts.has_call
            and not facts.has_check
            and not (needed and facts.conflicts(between))
            and isinstance(earlier.statement, Loop)
            and _pointwise(earlier.statement, facts, loop, found)
            and _taken(earlier, loop, entry, policy, shared)
        ):
            if needed:
                moved = [entries[p] for p in reversed(needed)]
                for p in needed:
                    del entries[p]
                entries[position:position] = moved
            return True
        if facts.conflicts(wanted):
            if not needed:
                wanted = Effects(set(found.reads), set(found.writes))
            needed.append(position)
            for group in (wanted, between):
                group.reads |= facts.reads
                group.writes |= facts.writes
    return False


def _taken(earlier: _Entry, loop: Loop, entry: _Entry, policy: Policy, shared: bool) -> bool:
    """Run a loop in an earlier one, if the policy is to do so."""
    if policy.joined is None:
        earlier.take(loop, entry)
        return True
    own = earlier.statement
    assert isinstance(own, Loop), "only loops are merged"
    joined = policy.joined(own, loop, earlier.facts, entry.facts, shared)
    if joined is None:
        return False
    earlier.become(joined)
    return True


def _pointwise(first: Loop, one: Effects, second: Loop, two: Effects) -> bool:
    """Whether each iteration of `second` depends on the same iteration of `first` only."""
    for base in one.accesses.keys() & two.accesses.keys():
        if base not in one.writes and base not in two.writes:
            continue
        buffer, before = one.accesses[base]
        other, after = two.accesses[base]
        if buffer is None or buffer is not other:
            return False
        rows = zip(before, after, strict=True)
        if not any(a == first.index and b == second.index for a, b in rows):
            return False
    names = {name for name in two.reads if isinstance(name, str)}
    written = {name for name in two.writes if isinstance(name, str)}
    if not names.isdisjoint(one.writes) or not written.isdisjoint(one.writes):
        return False
    return written.isdisjoint(one.reads)
