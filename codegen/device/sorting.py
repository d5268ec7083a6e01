"""Sorts as kernels of their own: from the least digit to the greatest, each pass a stable one.

A pass of a long row is three kernels. Blocks count the digits of their chunks; what they counted
becomes where the digits of each chunk begin; and blocks move their chunks' keys there, tile by
tile. Ranks within a tile come from votes of warps, and its keys leave it in order, through shared
memory, so that neighbours are written side by side. All passes are the same three kernels, which
the host tells the number of the pass. What fits a tile is sorted there, all passes in one kernel.

Where only the least or the greatest few of a row are wanted, tiles are sorted by themselves, and of
each remain its least or greatest, until one tile holds them all.

Keys stay as they are in all passes. What is sorted by is found from their bits: those of signed
numbers and of floats are mapped to unsigned numbers in the same order, both zeros to one number,
every NaN to the greatest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.device.items import (
    ChooseItem,
    Item,
    KernelItem,
    LibraryItem,
    RepeatItem,
    WhileItem,
)
from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.sort_step import SORT, SortStep
from codegen.loops.build import integer
from codegen.loops.nodes import Buffer, Call, Loop, View
from tracer.types import kind_of

STEP = "sort step"
"""What the calls are named that are one kernel each."""
DIGIT = 8
"""Bits that a pass sorts by, at most."""
SIMULATED_DIGIT = 4
ITEMS = 16
"""Keys of four bytes or less that a thread has of a tile; half as many longer ones."""
PER_PASS = 3
"""Kernels of a pass."""
MERGES = 4
"""Merges that take less time than kernels take to start, at most: of 16 tiles."""
MOVED = 8
"""Keys that a thread moves at a time, at most: more would take a processor's registers."""
SIMULATED_ITEMS = 18
WAVES = 4
"""Blocks for each processor that a pass is divided into, at most."""
CHOSEN = 8
"""Places of a long row, at most, whose keys are found without a sort."""
PICKED = 4
"""Places of a short row, at most, whose keys are found without a sort."""
FEWER = 4
"""How many times as many keys as are wanted are worth to find these before they are sorted."""
FEW = 8
"""What part of the keys of a chunk its ends are that are kept of it, at most."""
ALONE = ("rows", "few", "pick")
"""Kernels that make all passes."""
SHORT = 16
"""Chunks that one thread adds up."""


def is_sort_step(item: KernelItem) -> bool:
    """Whether an item is one kernel of a sort."""
    first = item.body[0]
    return isinstance(first, Call) and first.kernel == STEP


def with_sorts(items: list[Item], machine: DeviceMachine) -> list[Item]:
    """Items in which sorts are kernels."""
    numbers = itertools.count()

    def changed(block: list[Item]) -> list[Item]:
        found: list[Item] = []
        for item in block:
            match item:
                case LibraryItem(call) if call.kernel == SORT:
                    found += sort_items(call, machine, next(numbers))
                    continue
                case RepeatItem() | WhileItem():
                    item.body = changed(item.body)
                case ChooseItem():
                    item.then, item.otherwise = changed(item.then), changed(item.otherwise)
            if isinstance(item, WhileItem):
                item.test = changed(item.test)
            found.append(item)
        return found

    return changed(items)


def sort_items(call: Call, machine: DeviceMachine, number: int) -> list[Item]:
    """The kernels of a sort, the program's `number`-th."""
    (source,) = call.operands
    params: Any = call.params
    step = sort_step(source, params, machine)
    results = dict(zip(step.wanted, call.results, strict=True))
    parts, run = params["parts"], params["run"]
    if run:
        runs = replace(_sized(step, run, machine), length=step.length, span=run)
        runs = replace(runs, chunks=-(-step.length // run))
        return [_item(runs, results, {"source": source})]
    if parts != ((0, step.length),):
        places = tuple(place for first, last in parts for place in range(first, last))
        chosen = replace(step, places=places)
        if not ends_fit(machine, step.dtype, step.length, parts):
            return _chosen(chosen, results["keys"], source, number)
        one = step.length <= most_keys(step.dtype, machine)
        if one and len(places) <= PICKED and step.wanted == ("keys",):
            return [_item(replace(chosen, step="pick", parts=()), results, {"source": source})]
        return _few(call, machine, results, number)
    if step.length <= most_keys(source.buffer.dtype, machine):
        return [_item(step, results, {"source": source})]
    return _all(step, results, source, number)


def _all(whole: SortStep, results: Mapping[str, View], source: View, number: int) -> list[Item]:
    """The kernels of a sort in passes."""
    counted = _counted(whole.length)

    def buffer(role: str, dtype: np.dtype[Any], *shape: int) -> View:
        return View(Buffer(f"sort{number}_{role}", dtype, shape, "workspace"))

    digits = whole.rows * whole.digits
    counts = buffer("counts", counted, digits, whole.chunks)
    totals = buffer("totals", counted, digits)
    spare: dict[str, View] = {}
    if whole.passes > 1:
        shape = min(2, whole.passes - 1), whole.rows, whole.length
        spare["spare_keys"] = buffer("keys", whole.dtype, *shape)
        if "order" in results:
            spare["spare_order"] = buffer("order", counted, *shape)
    turn = f"sort{number}_pass"
    keys = {name: view for name, view in spare.items() if name == "spare_keys"}
    items: list[Item] = [
        _item(whole.named("count", turn), {"counts": counts}, {"source": source, **keys}),
        _item(whole.named("offsets", turn), {"counts": counts, "totals": totals}, {}),
        _item(
            whole.named("move", turn),
            {**spare, **results},
            {"source": source, "counts": counts, "totals": totals},
        ),
    ]
    loop = Loop(turn, integer(0), integer(whole.passes), (), "serial")
    return [RepeatItem(loop, 0, whole.passes, items)]


def _chosen(step: SortStep, keys: View, source: View, number: int) -> list[Item]:
    """The kernels that find the keys at some places of long rows."""
    counted, count = _counted(step.length), len(step.places)
    wide = np.dtype(np.uint64 if step.dtype.itemsize == 8 else np.uint32)

    def buffer(role: str, dtype: np.dtype[Any], *shape: int) -> View:
        return View(Buffer(f"sort{number}_{role}", dtype, shape, "workspace"))

    lines = step.rows * count * step.digits
    counts = {"counts": buffer("counts", counted, lines, step.chunks)}
    totals = {"totals": buffer("totals", counted, lines)}
    state = {
        "prefixes": buffer("prefixes", wide, step.rows, count),
        "slots": buffer("slots", np.dtype(np.int32), step.rows, count),
    }
    rests = {"rests": buffer("rests", counted, step.rows, count)}
    turn = f"sort{number}_pass"
    adding = replace(step.named("offsets", turn), rows=step.rows * count)
    items: list[Item] = [
        _item(step.named("sift", turn), counts, {"source": source, **state}),
        _item(adding, {**counts, **totals}, {}),
        _item(step.named("choose", turn), {**state, **rests, "keys": keys}, totals),
    ]
    loop = Loop(turn, integer(0), integer(step.passes), (), "serial")
    return [RepeatItem(loop, 0, step.passes, items)]


def _few(
    call: Call, machine: DeviceMachine, results: Mapping[str, View], number: int
) -> list[Item]:
    """The kernels that leave parts of rows near their ends: each chunk's own, again and again,
    until there are no more; then these are sorted."""
    params: Any = call.params
    operands = {"source": call.operands[0]}
    step = sort_step(call.operands[0], params, machine)
    low, high = ends_of(params["parts"], step.length)
    ends = tuple([(0, low)] * bool(low) + [(-high, 0)] * bool(high))
    most, length, parts = most_keys(step.dtype, machine), step.length, params["parts"]
    held = _counted(length)
    items: list[Item] = []
    while length > most or length >= FEWER * (low + high):
        chunks = -(-length // most)
        longer = chunks * (low + high)
        left: dict[str, View] = {}
        for role in ("keys", "order") if "order" in step.wanted else ("keys",):
            dtype = step.dtype if role == "keys" else held
            name = f"sort{number}_{role}{len(items)}"
            left[role] = View(Buffer(name, dtype, (step.rows, longer), "workspace"))
        cut = _sized(replace(step, step="few", wanted=tuple(left), parts=ends), length, machine)
        items.append(_item(replace(cut, chunks=chunks, span=0), left, operands))
        operands = {"source": left["keys"]}
        if "order" in left:
            operands["source_order"] = left["order"]
        # What was counted from the end still is.
        parts = tuple(
            part if part[1] <= low else (part[0] - length + longer, part[1] - length + longer)
            for part in parts
        )
        length = longer
    last = replace(_sized(step, length, machine), chunks=1, parts=parts)
    return [*items, _item(last, results, operands)]


def _sized(step: SortStep, length: int, machine: DeviceMachine) -> SortStep:
    """The same for rows of another length, each by one block, or in chunks."""
    threads, items = machine.threads, _items(step.dtype, machine)
    if length <= threads * items:
        while threads > 2 * machine.warp and threads * items >= 4 * length:
            threads //= 2
        items = -(-length // threads)
    return replace(step, length=length, threads=threads, items=items)


def merged_run(call: Call, machine: DeviceMachine) -> int:
    """How many keys of a row blocks sort by themselves before they are merged; 0 where passes over
    all of a row take fewer kernels."""
    (source,) = call.operands
    most = most_keys(source.buffer.dtype, machine)
    run = 1 << (most.bit_length() - 1)
    step = sort_step(source, call.params, machine)
    merges = (-(-step.length // run) - 1).bit_length()
    fewer = 1 + merges <= PER_PASS * step.passes // 2
    short = merges <= (1 if machine.simulated else MERGES)
    return run if step.length > most and short and fewer else 0


def leaves_few(machine: DeviceMachine, call: Call, parts: tuple[tuple[int, int], ...]) -> bool:
    """Whether parts of sorted rows are found in less than a whole sort."""
    (source,) = call.operands
    params: Any = call.params
    length, kept = source.shape[-1], sum(last - first for first, last in parts)
    if 2 * kept > length:
        return False
    if ends_fit(machine, source.buffer.dtype, length, parts):
        return True
    return kept <= CHOSEN and params["wanted"] == ("keys",)


def ends_fit(
    machine: DeviceMachine, dtype: np.dtype[Any], length: int, parts: tuple[tuple[int, int], ...]
) -> bool:
    """Whether parts of a sorted row are so near to its ends, or the row is so short, that blocks
    find them by sorting tiles."""
    most = most_keys(dtype, machine)
    return length <= most or sum(ends_of(parts, length)) <= most // FEW


def ends_of(parts: tuple[tuple[int, int], ...], length: int) -> tuple[int, int]:
    """How many keys from the beginning and from the end of a sorted row hold all parts."""
    low = max((last for _, last in parts if last <= length // 2), default=0)
    high = max((length - first for first, last in parts if last > length // 2), default=0)
    return low, high


def most_keys(dtype: np.dtype[Any], machine: DeviceMachine) -> int:
    """How many keys a block sorts by itself."""
    return machine.threads * _items(dtype, machine)


def _items(dtype: np.dtype[Any], machine: DeviceMachine) -> int:
    if machine.simulated:
        return SIMULATED_ITEMS
    return ITEMS if dtype.itemsize <= 4 else ITEMS // 2


def _counted(length: int) -> np.dtype[Any]:
    """The numbers of places in a row."""
    return np.dtype(np.int32 if length < 2**31 else np.int64)


def sort_step(source: View, params: Any, machine: DeviceMachine) -> SortStep:
    """How rows are sorted, each in one block where it fits."""
    *outer, length = source.shape
    dtype, rows = source.buffer.dtype, math.prod(outer)
    bits = params["bits"] or (1 if dtype.kind == "b" else 8 * dtype.itemsize)
    most = SIMULATED_DIGIT if machine.simulated else DIGIT
    passes = -(-bits // most)
    step = SortStep(
        "rows", params["wanted"], rows, length, dtype, _order_of(dtype, params["bits"]), passes,
        -(-bits // passes), machine.threads, 1, machine.warp, 1, length,
    )  # fmt: skip
    step = _sized(step, length, machine)
    if length <= step.tile:
        return step
    step = replace(step, items=min(step.items, SIMULATED_ITEMS if machine.simulated else MOVED))
    tiles = -(-length // step.tile)
    wanted = -(-WAVES * machine.processors // rows)
    span = -(-tiles // min(tiles, max(1, wanted))) * step.tile
    return replace(step, chunks=-(-length // span), span=span)


def _order_of(dtype: np.dtype[Any], bits: int) -> str:
    """What a key's bits are: those of a float, of a signed number, or in order as they are."""
    if bits or kind_of(dtype) in "bu":
        return "plain"
    return "float" if kind_of(dtype) == "f" else "signed"


def _item(step: SortStep, results: Mapping[str, View], operands: Mapping[str, View]) -> KernelItem:
    params = {"step": step, "roles": (*results, *operands)}
    call = Call(STEP, tuple(results.values()), tuple(operands.values()), params)
    return KernelItem([call], grid=True)


def step_of(call: Call) -> SortStep:
    """Which kernel of a sort a call is."""
    step: Any = call.params["step"]
    assert isinstance(step, SortStep), "calls of this name are made here"
    return step


def roles_of(call: Call) -> dict[str, View]:
    """The memory of a kernel of a sort, by what it is there."""
    roles: Any = call.params["roles"]
    return dict(zip(roles, (*call.results, *call.operands), strict=True))


def sort_plan(item: KernelItem, name: str, machine: DeviceMachine) -> KernelPlan:
    """Blocks for the rows, chunks or digits of a step."""
    (call,) = item.body
    assert isinstance(call, Call), "a step is a call"
    step = step_of(call)
    blocks = step.rows * step.chunks
    if step.step == "offsets":
        lines = step.rows * step.digits
        blocks = -(-lines // step.threads) if step.chunks <= SHORT else lines
    if step.step == "choose":
        blocks = step.rows
    if step.step in ("rows", "few", "pick", "offsets", "choose"):
        blocks = min(blocks, machine.blocks)
    work = step.rows * step.length * (step.passes if step.step in ALONE else 1)
    return KernelPlan(
        name, (), (), (call,), step.threads, step.threads, blocks, work=work, sort=step
    )


def host_indices(plan: KernelPlan) -> set[str]:
    """The host's variables that a kernel of a sort takes."""
    return {plan.sort.turn} if plan.sort is not None and plan.sort.turn else set()
