"""Workspace of which each iteration of a loop has a copy of its own.

`contract` drops a dimension of a workspace buffer where every access has the index of one and the
same loop there: an element is written and read in one iteration. A processor, which runs one
iteration at a time, then needs one copy of what is left. A device, whose groups of threads run
iterations at the same time, needs a copy for each group: in registers, in shared memory, or as a
slice of memory with one more dimension.
"""

from __future__ import annotations

from collections.abc import Iterable

from codegen.loops.nodes import Buffer, Expression, Loop, Program, Statement, Variable
from codegen.passes.contract import accesses
from codegen.passes.effects import base_of

SHARED_KINDS = frozenset({"parallel", "reduce", "scatter"})
"""Loops whose iterations a device may run at the same time."""


def private_buffers(part: Program | Statement) -> dict[Buffer, Loop]:
    """The workspace of which each iteration of a loop needs its own copy, by that loop.

    Of a buffer take the parallel, reduce and scatter loops that stand around all of its accesses.
    The buffer is private to the innermost of these whose index is not in one and the same place of
    every access: different iterations of it write the same elements, so since they may run at the
    same time they cannot mean the same memory. Iterations of such loops further out have copies of
    their own as well; in serial ones a copy may be used again, since an iteration writes what it
    reads. A buffer that is used outside of such a loop, or at the places of the indices of all of
    them, is not private, and lies in memory as it is.

    For a statement, "all accesses" are those inside of it: ask with a program, or with statements
    that share no workspace with others.
    """
    body = part.body if isinstance(part, Program) else (part,)
    found: dict[Buffer, list[tuple[Buffer, tuple[Expression, ...] | None, tuple[Loop, ...]]]] = {}
    for access in accesses(body, ()):
        root = base_of(access[0])
        if root.role == "workspace" and not root.is_tape:
            found.setdefault(root, []).append(access)
    owners: dict[Buffer, Loop] = {}
    for root, places in found.items():
        owner: Loop | None = None
        for loop in _around([loops for _, _, loops in places]):
            if loop.kind in SHARED_KINDS and not _distinguishes(loop, places):
                owner = loop
        if owner is not None:
            owners[root] = owner
    return owners


def _around(chains: Iterable[tuple[Loop, ...]]) -> list[Loop]:
    """The loops that all chains begin with."""
    common: list[Loop] = []
    for level in zip(*chains, strict=False):
        if any(loop is not level[0] for loop in level):
            break
        common.append(level[0])
    return common


def _distinguishes(
    loop: Loop,
    places: list[tuple[Buffer, tuple[Expression, ...] | None, tuple[Loop, ...]]],
) -> bool:
    """Whether every access has the loop's index in one and the same place."""
    first = places[0][0]
    if any(buffer is not first or indices is None for buffer, indices, _ in places):
        return False
    rows = zip(*(indices for _, indices, _ in places if indices is not None), strict=True)
    return any(
        all(isinstance(index, Variable) and index.name == loop.index for index in row)
        for row in rows
    )
