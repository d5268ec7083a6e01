"""Fusion: neighbouring loops of one extent become one loop, from the outermost level inwards.

Two loops may run as one if whatever one writes and the other touches lies, in every access of
both, at the place
of the loop index: iteration k then depends on iteration k only. A loop moves up past statements
which it does not
depend on, and what it depends on moves up before it where that does not depend on the earlier loop.
"""

from __future__ import annotations

from dataclasses import replace

from codegen.loops.nodes import Buffer, Expression, Loop, Program, Statement, Variable
from codegen.passes.effects import Effects, Indices, effects
from codegen.passes.rewrite import Body, map_blocks, rename, substitute

LOOK_BACK = 24


def fuse(program: Program) -> Program:
    """The program with loops fused."""
    return replace(program, body=fuse_block(program.body))


def fuse_block(body: Body) -> Body:
    """The block with its loops fused, inside of them too."""
    statements: list[Statement] = []
    facts: list[Effects] = []
    for statement in body:
        found = effects(statement)
        if not (isinstance(statement, Loop) and _merge_back(statements, facts, statement, found)):
            statements.append(statement)
            facts.append(found)
    return tuple([map_blocks(statement, fuse_block) for statement in statements])


def _merge_back(
    statements: list[Statement], facts: list[Effects], loop: Loop, found: Effects
) -> bool:
    """Fuse `loop` into an earlier loop of the block, if one takes it."""
    if found.has_call or found.has_check:
        return False
    needed: list[int] = []
    wanted = Effects()
    wanted.include(found)
    for position in range(len(statements) - 1, max(-1, len(statements) - 1 - LOOK_BACK), -1):
        earlier, earlier_facts = statements[position], facts[position]
        if (
            isinstance(earlier, Loop)
            and not earlier_facts.has_call
            and not earlier_facts.has_check
            and _same_range(earlier, loop)
            and not any(earlier_facts.conflicts(facts[p]) for p in needed)
            and _pointwise(earlier, earlier_facts, loop, found)
        ):
            _merge(statements, facts, position, needed, loop, found)
            return True
        if earlier_facts.conflicts(wanted):
            needed.insert(0, position)
            wanted.include(earlier_facts)
    return False


def _same_range(first: Loop, second: Loop) -> bool:
    return (
        first.start == second.start
        and first.stop == second.stop
        and first.reverse == second.reverse
    )


def _place(accesses: list[tuple[Buffer, Indices]], index: str) -> tuple[Buffer, set[int]] | None:
    """The one buffer that is accessed, and the dimensions that hold just the loop index each
    time.
    """
    buffer = accesses[0][0]
    places: set[int] | None = None
    for other, indices in accesses:
        if other is not buffer:
            return None
        here = {
            place
            for place, part in enumerate(indices)
            if isinstance(part, Variable) and part.name == index
        }
        places = here if places is None else places & here
        if not places:
            return None
    return buffer, places or set()


def _pointwise(first: Loop, one: Effects, second: Loop, two: Effects) -> bool:
    """Whether each iteration of `second` depends on the same iteration of `first` only."""
    for base in one.accesses.keys() & two.accesses.keys():
        if base not in one.writes and base not in two.writes:
            continue
        before = _place(one.accesses[base], first.index)
        after = _place(two.accesses[base], second.index)
        if before is None or after is None or before[0] is not after[0]:
            return False
        if not before[1] & after[1]:
            return False
    names = {name for name in two.reads | two.writes if isinstance(name, str)}
    written = {name for name in two.writes if isinstance(name, str)}
    return names.isdisjoint(one.writes) and written.isdisjoint(one.reads)


def _reindexed(found: Effects, name: str, index: Variable) -> Effects:
    """The effects of a loop whose index has got another name."""
    names: dict[str, Expression] = {name: index}
    changed = {
        base: [(buffer, tuple([substitute(i, names) for i in indices])) for buffer, indices in rows]
        for base, rows in found.accesses.items()
    }
    return Effects(found.reads, found.writes, changed, found.has_call, found.has_check)


_KINDS = {"parallel": 0, "reduce": 1, "serial": 2}


def _merge(
    statements: list[Statement],
    facts: list[Effects],
    position: int,
    needed: list[int],
    loop: Loop,
    found: Effects,
) -> None:
    earlier = statements[position]
    assert isinstance(earlier, Loop), "only loops are merged"
    index = Variable(earlier.index, loop.stop.dtype)
    body = (*earlier.body, *rename(loop.body, {loop.index: index}))
    kind = max(earlier.kind, loop.kind, key=_KINDS.__getitem__)
    merged = replace(earlier, body=body, kind=kind)
    renamed = facts[position]
    renamed.include(_reindexed(found, loop.index, index))
    moved = [(statements[p], facts[p]) for p in needed]
    for p in reversed(needed):
        del statements[p], facts[p]
    statements[position], facts[position] = merged, renamed
    for offset, (statement, fact) in enumerate(moved):
        statements.insert(position + offset, statement)
        facts.insert(position + offset, fact)
