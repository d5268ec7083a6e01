"""Fewer launches for scalars: what is found from other scalars alone, as the number of the next
turn, joins an earlier kernel of one block, and so does what is stored of it for the host."""

from __future__ import annotations

from collections.abc import Iterable

from codegen.device.items import (
    MOST_STATEMENTS,
    ChooseItem,
    Item,
    KernelItem,
    LibraryItem,
    RepeatItem,
    WhileItem,
    names_in,
)
from codegen.device.work import memory_read, memory_written, size_of
from codegen.loops.nodes import Assign, Declare, Let, Loop, Reduce, Statement, Store
from codegen.loops.walk import contains_load, statements


def gather_scalars(items: list[Item], testing: bool = False) -> list[Item]:
    """The items with such kernels joined to earlier ones, in all blocks. What ends a loop is left
    where it is: the kernels of the test behind it would see that there is nothing to do."""
    result: list[Item] = []
    for item in items:
        match item:
            case RepeatItem():
                item.body = gather_scalars(item.body)
            case WhileItem():
                item.test = gather_scalars(item.test, testing=True)
                item.body = gather_scalars(item.body)
            case ChooseItem():
                item.then = gather_scalars(item.then)
                item.otherwise = gather_scalars(item.otherwise)
        earlier = None if testing and item is items[-1] else _earlier(item, result)
        if earlier is None:
            result.append(item)
        else:
            assert isinstance(item, KernelItem), "only kernels join others"
            earlier.body.extend(item.body)
    return result


def _earlier(item: Item, before: list[Item]) -> KernelItem | None:
    """The kernel that may find an item's scalars as well; what stands between uses none of them,
    and changes nothing that they are found from."""
    if not isinstance(item, KernelItem) or item.grid or not all(map(_is_scalar, item.body)):
        return None
    found, used = _changed(item.body), _used(item.body)
    for other in reversed(before):
        if isinstance(other, KernelItem) and not other.grid:
            fits = size_of(other.body) + size_of(item.body) <= MOST_STATEMENTS
            return other if fits else None
        if not isinstance(other, KernelItem | LibraryItem):
            return None
        body = tuple(other.body) if isinstance(other, KernelItem) else (other.call,)
        if not (found | used).isdisjoint(_changed(body)) or not found.isdisjoint(_used(body)):
            return None
        if not memory_written(item.body).isdisjoint(memory_read(body) | memory_written(body)):
            return None
    return None


def _is_scalar(statement: Statement) -> bool:
    if isinstance(statement, Store) and statement.indices:
        return False
    if not isinstance(statement, Let | Declare | Assign | Store):
        return False
    return not contains_load(statement.value)


def _used(body: Iterable[Statement]) -> set[str]:
    return {name for part in body for name in names_in(part)}


def _changed(body: Iterable[Statement]) -> set[str]:
    """Scalars that statements define or change, indices of loops too."""
    found: set[str] = set()
    for outer in body:
        for part in statements((outer,)):
            if isinstance(part, Let | Declare | Assign | Reduce):
                found.add(part.name)
            elif isinstance(part, Loop):
                found.add(part.index)
    return found
