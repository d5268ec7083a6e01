"""Transposes: accesses that walk through memory with another index than the threads of a warp do.

Such an access touches a sector of memory for each thread. A block that takes a square tile of
iterations instead can stage those elements in shared memory: it reads, or writes, them with its
threads along the index with which they lie side by side, and runs the iterations with its threads
along the other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.straight import Body, all_statements, is_straight, movable_accesses
from codegen.loops.linear import constant_trip, flat_index, merge_loops
from codegen.loops.nodes import (
    Buffer,
    Declare,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import own_expressions, subexpressions

SECTOR = 32
"""Bytes that memory moves at least."""
GAIN = 1.3
"""How many times as many sectors are touched without tiles, at least: they take two barriers."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """How a block runs square tiles of a nest's iterations.

    along     the index along which neighbouring threads run iterations
    across    the index along which they read and write what is staged
    side      iterations of each in a tile
    loads     what is read before, by all threads
    stores    the memory of what is written afterwards
    """

    along: str
    across: str
    side: int
    loads: tuple[Load, ...]
    stores: tuple[Store, ...]

    @property
    def buffers(self) -> list[Buffer]:
        """The memory of each load, then of each store."""
        loads = [load.buffer for load in self.loads]
        return loads + [store.buffer for store in self.stores]


def find_tiles(plan: KernelPlan, machine: DeviceMachine) -> Tiles | None:
    """The tiles in which a grid of independent iterations is run, each by one thread; None where
    they would not touch much less.
    """
    side = machine.warp
    rows, rest = divmod(plan.threads, side)
    if plan.group > 1 or plan.own or rest or side % max(rows, 1) or not is_straight(plan.body):
        return None
    nest, zeros = merged_grid(plan)
    trips = [constant_trip(loop) or 0 for loop in nest]
    literal = all(isinstance(loop.start, Literal) for loop in nest)
    if len(nest) < 2 or not literal or not all(trips) or trips[-1] < side // 4:
        return None
    best, most = None, 0
    for loop, trip in zip(nest[:-1], trips, strict=False):
        if trip < side // 4:
            continue
        found = _staged(plan, nest[-1].index, loop.index, side, zeros)
        size = sum(buffer.dtype.itemsize for buffer in found.buffers)
        if size > most and size * side * (side + 1) <= machine.shared:
            best, most = found, size
    if best is None:
        return None
    now, then = (_sectors(plan.body, best, zeros, moved=moved) for moved in (False, True))
    return best if now >= GAIN * then else None


def merged_grid(plan: KernelPlan) -> tuple[list[Loop], dict[str, Expression]]:
    """The loops of a grid whose iterations single threads run, neighbours merged where all accesses
    allow it; and the indices that are 0 then.
    """
    nest = list(plan.grid)
    if plan.group > 1 or len(nest) < 2 or plan.before:
        return nest, {}
    body = plan.body
    for loop in reversed(plan.grid):
        body = (Loop(loop.index, loop.start, loop.stop, body, "parallel"),)
    (whole,) = body
    assert isinstance(whole, Loop), "a grid has a loop"
    merged, zeros = merge_loops(whole)
    nest = [merged]
    while len(nest) + len(zeros) < len(plan.grid):
        inner = nest[-1].body[0]
        assert isinstance(inner, Loop), "merging keeps a nest a nest"
        nest.append(inner)
    return nest, zeros


def _staged(
    plan: KernelPlan, along: str, across: str, side: int, zeros: Mapping[str, Expression]
) -> Tiles:
    """What can be staged: accesses whose places are known before the body runs."""
    parts = all_statements(plan.body)
    inside = {part.name for part in parts if isinstance(part, (Let, Declare))}

    def fits(buffer: Buffer, indices: tuple[Expression, ...]) -> bool:
        terms = flat_index(buffer, indices, zeros).terms
        known = all(isinstance(term, Variable) and term.name not in inside for term in terms)
        scales = {term.name: scale for term, scale in terms.items() if isinstance(term, Variable)}
        apart = abs(scales.get(along, 0)) * buffer.dtype.itemsize
        return known and scales.get(across) == 1 and apart >= SECTOR

    found = movable_accesses(plan.body, plan.atomic)
    loads = tuple([load for load in found.loads if fits(load.buffer, load.indices)])
    stores = tuple([store for store in found.stores if fits(store.buffer, store.indices)])
    return Tiles(along, across, side, loads, stores)


def _sectors(body: Body, tiles: Tiles, zeros: Mapping[str, Expression], *, moved: bool) -> int:
    """Sectors that a warp touches in one iteration of each of its threads."""
    total = 0
    for buffer, indices, staged in _accesses(body, tiles):
        apart = 1 if staged else 0
        if not (staged and moved):
            for term, scale in flat_index(buffer, indices, zeros).terms.items():
                if isinstance(term, Variable) and term.name == tiles.along:
                    apart = abs(scale)
        total += min(tiles.side, max(1, tiles.side * apart * buffer.dtype.itemsize // SECTOR))
    return total


def _accesses(body: Body, tiles: Tiles) -> Iterator[tuple[Buffer, tuple[Expression, ...], bool]]:
    """Each access of memory, and whether it is staged."""
    for statement in all_statements(body):
        loads = {
            part: None
            for expression in own_expressions(statement)
            for part in subexpressions(expression)
            if isinstance(part, Load)
        }
        for load in loads:
            yield load.buffer, load.indices, load in tiles.loads
        if isinstance(statement, (Store, Update)):
            yield statement.buffer, statement.indices, statement in tiles.stores
