"""Grid kernels in which a thread runs several neighbouring iterations at a time.

One thread's load of four bytes is too little to keep memory busy, however many threads there are.
Where accesses walk through memory with the innermost index, an access of 16 bytes serves several
iterations, whose statements are written side by side. Such accesses need aligned memory: arrays of
the user's may start anywhere, so the kernel looks at addresses, and runs one iteration at a time
where they do not fit, and for what is left over at the end.

A thread that reads little in a turn asks for what its next turn reads, too, before it computes:
memory is busy as long as enough bytes are under way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.straight import all_statements, always_run, is_straight, movable_accesses
from codegen.device.tiles import find_tiles
from codegen.device.work import size_of
from codegen.loops.linear import constant_trip, flat_index, linear_form
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Store,
    Variable,
)
from codegen.loops.walk import buffers_written, subexpressions
from codegen.passes.rewrite import Body, rename, substitute
from codegen.passes.unroll import with_own_names
from codegen.render.cuda_tiles import TileWriter
from tracer.types import INT64

MOST_COPIED = 160
"""Statements of a kernel, at most, with all copies."""
COUNTS = (8, 4, 2)
WIDEST = 16
"""Bytes of one access."""
UNDER_WAY = 32
"""Bytes of reads that a thread has under way: with fewer it reads for two turns at a time."""
SIMULATED_VECTORS = """

def aligned(memory):
    return memory.address % 16 == 0


def _vector(memory, place, count):
    size = memory.dtype.itemsize
    if (memory.address + place * size) % min(16, count * size):
        raise ValueError("a vector is not aligned")
    return range(place, place + count)


def _load(memory, place, count):
    return tuple([memory[each] for each in _vector(memory, place, count)])


def _store(memory, place, *values):
    for each, value in zip(_vector(memory, place, len(values)), values):
        memory[each] = value


def load2(memory, place):
    return _load(memory, place, 2)


def load4(memory, place):
    return _load(memory, place, 4)


def load8(memory, place):
    return _load(memory, place, 8)


store2 = store4 = store8 = _store
"""


@dataclass(frozen=True, slots=True)
class Vectors:
    """How iterations run `count` at a time: which accesses are one for all of them, which names
    have a value for each, and the memory whose alignment only the run knows.
    """

    count: int
    index: str
    loads: frozenset[Load]
    stored: frozenset[Buffer]
    varying: frozenset[str]
    checked: tuple[Buffer, ...]


def find_vectors(
    plan: KernelPlan,
    nest: list[Loop],
    zeros: Mapping[str, Expression],
    machine: DeviceMachine,
) -> Vectors | None:
    """How many iterations of a nest's last loop run at a time; None where one does."""
    body, inner = plan.body, nest[-1]
    trips = [constant_trip(loop) or 0 for loop in nest]
    if machine.vector == 0 or plan.own or not is_straight(body):
        return None
    varying = _varying(body, inner.index)
    found = movable_accesses(body, plan.atomic)
    start = linear_form(inner.start, {}).constant
    for count in COUNTS:
        enough = math.prod(trips) >= count * machine.processors * machine.threads
        short = size_of(body) * (count + 1) <= MOST_COPIED
        divided = len(nest) == 1 or trips[-1] % count == 0
        if not (enough and short and divided):
            continue
        fits = _Fit(inner.index, count, start, varying, zeros)
        loads = [load for load in found.loads if fits(load.buffer, load.indices)]
        stores = [store for store in found.stores if fits(store.buffer, store.indices)]
        roots = [load.buffer.root for load in loads]
        roots += [store.buffer.root for store in stores]
        if roots and count <= _widest(roots):
            checked = {root for root in roots if root.role == "input"}
            return Vectors(
                count,
                inner.index,
                frozenset(loads),
                frozenset(store.buffer.root for store in stores),
                varying,
                tuple(sorted(checked, key=lambda root: root.name)),
            )
    return None


def _widest(roots: list[Buffer]) -> int:
    """How many elements an access of 16 bytes has, of the larger ones; four, or two, at least."""
    sizes = [root.dtype.itemsize for root in roots]
    return min(8, max(WIDEST // max(sizes), 4 if min(sizes) <= 4 else WIDEST // min(sizes)))


def early_loads(body: Body, nest: list[Loop], vectors: Vectors) -> list[Load]:
    """The wide loads that a turn may make for the next one, where it makes few."""
    indices = {loop.index for loop in nest}
    loads = dict.fromkeys(
        load
        for statement in body
        for load in always_run(statement)
        if isinstance(load, Load) and load in vectors.loads
    )
    size = sum(load.buffer.dtype.itemsize * vectors.count for load in loads)
    found = [
        load
        for load in loads
        if all(
            isinstance(part, (Literal, Operation))
            or (isinstance(part, Variable) and part.name in indices)
            for index in load.indices
            for part in subexpressions(index)
        )
    ]
    return found if size < UNDER_WAY else []


def _varying(body: Body, index: str) -> frozenset[str]:
    """Names whose values differ between iterations of the loop `index`, and the index."""
    found = {index}
    for statement in all_statements(body):
        if isinstance(statement, (Declare, Assign)):
            found.add(statement.name)
    written = {buffer.root for part in all_statements(body) for buffer in buffers_written(part)}
    for statement in all_statements(body):
        if isinstance(statement, Let) and (
            _uses(statement.value, found)
            or any(
                isinstance(part, Load) and part.buffer.root in written
                for part in subexpressions(statement.value)
            )
        ):
            found.add(statement.name)
    return frozenset(found)


def _uses(expression: Expression, names: set[str] | frozenset[str]) -> bool:
    return any(
        isinstance(part, Variable) and part.name in names for part in subexpressions(expression)
    )


@dataclass(frozen=True, slots=True)
class _Fit:
    """Whether an access is at neighbouring places in `count` iterations, the first of which is at
    a multiple of `count`.
    """

    index: str
    count: int
    start: int
    varying: frozenset[str]
    zeros: Mapping[str, Expression]

    def __call__(self, buffer: Buffer, indices: tuple[Expression, ...]) -> bool:
        form = flat_index(buffer, indices, self.zeros)
        own = Variable(self.index, INT64)
        if form.terms.get(own) != 1 or (form.constant + self.start) % self.count:
            return False
        others = [(term, scale) for term, scale in form.terms.items() if term != own]
        return all(
            scale % self.count == 0 and not _uses(term, self.varying) for term, scale in others
        )


class VectorWriter(TileWriter):
    """Writes kernels in which threads may run several iterations at a time."""

    vectors: Vectors | None = None

    def grid(self, plan: KernelPlan, nest: list[Loop], zeros: Mapping[str, Expression]) -> None:
        """The loops in which each thread runs iterations of a nest."""
        tiles = find_tiles(plan, self.machine)
        if tiles is not None:
            self.tiled(plan, tiles, nest)
            return
        found = self.vectors = find_vectors(plan, nest, zeros, self.machine)
        if found is None:
            self.one_by_one(plan, nest, "group")
            return
        total = int(self.total(nest))
        whole = total - total % found.count
        outer = self.indent
        if found.checked:
            tests = [f"aligned({self.array(root)})" for root in found.checked]
            self.line("first = group")
            self.line(f"if {' & '.join(tests)}:")
            self.indent += "    "
            self.line(f"first = group + {whole}")
        step = plan.groups * found.count
        early = early_loads(plan.body, nest, found) if 2 * step <= whole else []
        if early:
            self.two_turns(plan, nest, early, whole)
        else:
            self.line(f"for place in range(group * {found.count}, {whole}, {step}):")
            self.indent += "    "
            self.indices(nest, "place")
            self.side_by_side(plan.body, found)
        self.held.clear()
        self.indent = outer
        if found.checked or whole < total:
            self.one_by_one(plan, nest, "first" if found.checked else f"group + {whole}")

    def two_turns(self, plan: KernelPlan, nest: list[Loop], early: list[Load], whole: int) -> None:
        """Two turns of a thread, with what both read at the beginning."""
        vectors = self.vectors
        assert vectors is not None, "turns are of several iterations"
        step = plan.groups * vectors.count
        near, far = self.fresh("near"), self.fresh("far")
        self.line(f"for {near} in range(group * {vectors.count}, {whole}, {2 * step}):")
        self.indent += "    "
        self.indices(nest, near)
        now = [self.load_all(load, self.copies(vectors)) for load in early]
        following = [[self.fresh(f"{name}_far") for name in names] for names in now]
        moves = [
            (", ".join(names), ", ".join(others))
            for names, others in zip(now, following, strict=True)
        ]
        for names, others in moves:
            self.line(f"{others} = {names}")
        self.line(f"{far} = {near} + {step}")
        self.line(f"if {far} < {whole}:")
        outer, self.indent = self.indent, self.indent + "    "
        self.indices(nest, far)
        for load, (_, others) in zip(early, moves, strict=True):
            self.line(f"{others} = {self.wide_load(load, vectors.count)}")
        self.indent = outer
        self.line(f"for place in range({near}, min({near} + {2 * step}, {whole}), {step}):")
        self.indent += "    "
        self.indices(nest, "place")
        self.side_by_side(plan.body, vectors)
        for names, others in moves:
            self.line(f"{names} = {others}")

    def one_by_one(self, plan: KernelPlan, nest: list[Loop], first: str) -> None:
        """One iteration at a time."""
        total = self.total(nest)
        outer = self.indent
        self.line(f"for place in range({first}, {total}, {plan.groups}):")
        self.indent += "    "
        self.indices(nest, "place")
        self.run(plan.body)
        self.line("pass")
        self.indent = outer

    def side_by_side(self, body: Body, vectors: Vectors) -> None:
        """Each statement for all iterations; once where they have it in common."""
        names = self.copies(vectors)
        for statement in body:
            if isinstance(statement, Let) and statement.name not in vectors.varying:
                self.statement(statement)
                continue
            for load in always_run(statement):
                if isinstance(load, Load) and load in vectors.loads and load not in self.held:
                    self.load_all(load, names)
            if isinstance(statement, Store) and statement.buffer.root in vectors.stored:
                self.store_all(statement, names)
                continue
            for copy, known in enumerate(names):
                block: Body = (statement,)
                if copy:
                    block = with_own_names(block, f"_{copy}", known)
                self.run(rename(block, known))

    def copies(self, vectors: Vectors) -> list[dict[str, Expression]]:
        """What the index is in each of the iterations."""
        own = Variable(vectors.index, INT64)
        return [
            {vectors.index: Operation("add", (own, Literal(copy, INT64)), INT64)} if copy else {}
            for copy in range(vectors.count)
        ]

    def wide_load(self, load: Load, count: int) -> str:
        """The text of one load for all iterations."""
        place = self.offset(load.buffer, load.indices)
        return f"load{count}({self.array(load.buffer)}, {place})"

    def load_all(self, load: Load, names: list[dict[str, Expression]]) -> list[str]:
        """One load for all iterations; the names of its elements."""
        text = self.wide_load(load, len(names))
        results = []
        for known in names:
            self.temporaries += 1
            results.append(self.fresh(f"t{self.temporaries}"))
            indices = tuple([substitute(index, known) for index in load.indices])
            self.held[Load(load.buffer, indices)] = results[-1]
        self.line(f"{', '.join(results)} = {text}")
        return results

    def store_all(self, store: Store, names: list[dict[str, Expression]]) -> None:
        """One store for all iterations."""
        values = [self.short(substitute(store.value, known)) for known in names]
        place = self.offset(store.buffer, store.indices)
        array = self.array(store.buffer)
        self.line(f"store{len(names)}({array}, {place}, {', '.join(values)})")
