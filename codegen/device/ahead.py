"""Loops and branches that the host need not wait in: it asks for more turns than it knows of, and
for the kernels of both branches, each of which begins with a look at a flag and does nothing where
the flag says so.

A library's routine cannot look. In a turn too many it runs in vain, which does no harm where
nobody reads what it writes before it is written again: not after the loop, and in a turn only
behind the routine itself. So a turn that has come to nothing can also be begun again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codegen.device.items import ChooseItem, Item, KernelItem, LibraryItem, RepeatItem, WhileItem
from codegen.device.schedule import NO_ROOM
from codegen.device.work import memory_read, memory_written
from codegen.loops.nodes import Assign, Buffer, Declare, Let, Reserve, Statement
from codegen.loops.walk import statements

MOST_KERNELS = 16
"""Kernels of two branches that are launched in vain rather than waited for: the host's look at a
condition takes as long as about ten kernels that do nothing."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Where a turn may find too little room for a tape before it has done anything else.

    code   what its first kernel leaves in `status` then: each loop has a number
    tapes  what that kernel reserves room in
    """

    code: int
    tapes: tuple[Buffer, ...]


@dataclass(frozen=True, slots=True)
class Unwatched:
    """What the host need not wait for, and what can be begun again, by the `id` of items."""

    loops: frozenset[int]
    branches: frozenset[int]
    pauses: dict[int, Pause]


def find_unwatched(items: list[Item]) -> Unwatched:
    """Such loops and branches of a program."""
    branches = frozenset(
        id(item)
        for item in _every(items)
        if isinstance(item, ChooseItem) and _has_few_kernels(item)
    )
    loops: set[int] = set()
    pauses: dict[int, Pause] = {}
    whiles = [item for item in _every(items) if isinstance(item, WhileItem)]
    for item in whiles:
        turn = [*item.body, *item.test]
        if not _can_begin_again(turn):
            continue
        inside = {id(part) for part in _every(turn)}
        outside = [part for part in _every(items) if id(part) not in inside]
        written = {view.buffer.root for call in _calls(turn) for view in call.call.results}
        if _needs_no_host(turn, branches) and written.isdisjoint(_read(outside)):
            loops.add(id(item))
        tapes = _reserved_first(item.body)
        if tapes:
            pauses[id(item)] = Pause(NO_ROOM - 1 - len(pauses), tapes)
    return Unwatched(frozenset(loops), branches, pauses)


def _every(items: Iterable[Item]) -> Iterator[Item]:
    """All items, those of loops and branches behind these."""
    for item in items:
        yield item
        match item:
            case RepeatItem(body=body):
                yield from _every(body)
            case WhileItem(test, _, body):
                yield from _every((*test, *body))
            case ChooseItem(_, then, otherwise):
                yield from _every((*then, *otherwise))


def _calls(items: Iterable[Item]) -> list[LibraryItem]:
    return [item for item in _every(items) if isinstance(item, LibraryItem)]


def _read(items: Iterable[Item]) -> set[Buffer]:
    """The memory that items read, those inside of others aside."""
    found: set[Buffer] = set()
    for item in items:
        if isinstance(item, KernelItem):
            found |= memory_read(item.body)
        elif isinstance(item, LibraryItem):
            found |= {view.buffer.root for view in item.call.operands}
    return found


def _has_few_kernels(item: ChooseItem) -> bool:
    """Whether both branches are few kernels, and nothing else."""
    inside = list(_every((*item.then, *item.otherwise)))
    kinds = all(isinstance(part, KernelItem | ChooseItem) for part in inside)
    return kinds and sum(isinstance(part, KernelItem) for part in inside) <= MOST_KERNELS


def _needs_no_host(items: Iterable[Item], branches: frozenset[int]) -> bool:
    """Whether the host can ask for all of it without a look at the device."""
    for item in _every(items):
        if isinstance(item, WhileItem) or (
            isinstance(item, ChooseItem) and id(item) not in branches
        ):
            return False
        if isinstance(item, RepeatItem) and not (
            isinstance(item.start, int) and isinstance(item.stop, int)
        ):
            return False
    return True


def _can_begin_again(turn: list[Item]) -> bool:
    """Whether what libraries write in a turn is workspace that the turn reads only behind them;
    none may be in a branch."""
    if any(_calls((item,)) for item in _every(turn) if isinstance(item, ChooseItem)):
        return False
    written: set[Buffer] = set()
    touched: set[Buffer] = set()
    for item in _every(turn):
        if isinstance(item, LibraryItem):
            touched |= {view.buffer.root for view in item.call.operands}
            for view in item.call.results:
                root = view.buffer.root
                fresh = root in written or (root not in touched and not view.indices)
                if not fresh or root.role != "workspace" or root.is_tape:
                    return False
                written.add(root)
        elif isinstance(item, KernelItem):
            touched |= memory_read(item.body) | memory_written(item.body)
    return True


def _reserved_first(body: list[Item]) -> tuple[Buffer, ...]:
    """The tapes that a turn's first kernel reserves room in before it writes anything."""
    if not body or not isinstance(body[0], KernelItem) or body[0].grid:
        return ()
    tapes: list[Buffer] = []
    rest: list[Statement] = []
    for part in body[0].body:
        if isinstance(part, Reserve) and not rest:
            tapes.append(part.buffer)
        elif rest or not isinstance(part, Let | Declare | Assign):
            rest.append(part)
    again = any(isinstance(inner, Reserve) for part in rest for inner in statements((part,)))
    return () if again else tuple(tapes)
