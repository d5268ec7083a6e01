"""How much memory the kernels of a sort move."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from codegen.device.plan_kernel import KernelPlan
from codegen.device.sort_step import SortStep
from codegen.device.sorting import ALONE, roles_of
from codegen.device.traffic_sum import SECTOR
from codegen.loops.nodes import Buffer, Call


class Moved(NamedTuple):
    """Elements of memory that a kernel reads or writes, each once, in runs of `run` elements that
    lie side by side, and begin anywhere."""

    buffer: Buffer
    written: bool
    elements: float
    run: float

    @property
    def bytes(self) -> float:
        """What is asked for."""
        return self.elements * self.buffer.dtype.itemsize

    @property
    def sectors(self) -> float:
        """Sectors that are touched."""
        size = self.buffer.dtype.itemsize
        return self.elements / self.run * (1 + (self.run - 1) * size / SECTOR)


def moved_by(plan: KernelPlan, step: SortStep) -> Iterator[Moved]:
    """What a kernel of a sort reads and writes; where passes differ, on average."""
    (call,) = plan.body
    assert isinstance(call, Call), "the plan is of a sort"
    memory = {role: view.buffer for role, view in roles_of(call).items()}
    for role, written, elements, run in _accesses(step):
        yield Moved(memory[role], written, elements, run)


def _accesses(step: SortStep) -> Iterator[tuple[str, bool, float, float]]:
    """What memory is, whether it is written, how many elements, and how many side by side."""
    keys = float(step.rows * step.length)
    lines = float(step.rows * step.digits)
    counts = lines * step.chunks
    tile = float(min(step.tile, step.length))
    if step.step == "offsets":
        yield "counts", False, counts, float(step.chunks)
        yield "counts", True, counts, float(step.chunks)
        yield "totals", True, lines, lines
        return
    if step.places and step.step != "pick":
        yield from _selecting(step)
        return
    outside = 1.0 if step.step in ALONE else 1 / step.passes
    between = 1.0 - outside
    yield "source", False, keys * outside, tile
    if between:
        yield "spare_keys", False, keys * between, tile
    if step.step == "count":
        yield "counts", True, counts, 1.0
        return
    run = tile
    if step.step == "move":
        run = max(1.0, tile / step.digits)
        yield "counts", False, counts, 1.0
        yield "totals", False, counts, float(step.digits)
    left = keys * outside
    if step.parts or step.places:
        left, run = float(step.rows * step.chunks * step.kept), float(step.kept)
    for name in step.wanted:
        yield name, True, left, run
    if between:
        yield "spare_keys", True, keys * between, run
        if "order" in step.wanted:
            yield "spare_order", False, keys * between, tile
            yield "spare_order", True, keys * between, run


def _selecting(step: SortStep) -> Iterator[tuple[str, bool, float, float]]:
    """The same of a selection."""
    places = float(step.rows * len(step.places))
    state, lines = float(len(step.places)), places * step.digits
    if step.step == "sift":
        yield "source", False, float(step.rows * step.length), float(min(step.tile, step.length))
        yield "counts", True, lines * step.chunks, 1.0
        yield "prefixes", False, places * step.chunks, state
        yield "slots", False, places * step.chunks, state
        return
    yield "totals", False, lines, float(step.digits)
    for role in ("prefixes", "slots", "rests"):
        yield role, False, places, 1.0
        yield role, True, places, state
    yield "keys", True, places / step.passes, state


def statements_of_step(step: SortStep) -> float:
    """Statements that warps run, about: each key asks for each bit of its digit."""
    keys = step.rows * step.length / step.warp
    passes = step.passes if step.step in ALONE else 1
    each = {
        "count": 8.0,
        "sift": 12.0,
        "offsets": 0.0,
        "choose": 0.0,
        "few": 12.0,
        "pick": 12.0,
    }.get(step.step, 30.0 + 4.0 * step.width)
    return keys * passes * each
