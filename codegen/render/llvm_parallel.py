"""Loops whose iterations several threads share: regions, each a function of its own.

A region's iterations are split in chunks. How many there are depends on the loop alone, and what
they reduce into is combined in their order: so results are the same whatever the number of threads.
Scalars and buffers from outside come to the function in a table, filled before the region runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from codegen.loops.identities import identity
from codegen.loops.linear import merge_loops
from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    If,
    Literal,
    Loop,
    Statement,
    Variable,
)
from codegen.loops.sizes import Size, larger, smaller, whole
from codegen.loops.walk import statements
from codegen.passes.parallel import Independent, independent, independent_body
from codegen.render.llvm_emit import (
    INT64,
    Emitter,
    Frame,
    Value,
    literal_value,
    memory_type,
    require_dtype,
)
from codegen.render.llvm_lanes import LONG, PAUSE
from codegen.render.llvm_lapack import RoutineWriter
from codegen.render.llvm_matmul import BLAS_FROM
from codegen.render.llvm_memory import LaneState
from codegen.render.llvm_statements import PYTHON_ERROR
from codegen.render.llvm_vectorize import Lanes as LanePlan
from codegen.render.llvm_vectorize import estimated, trip_count
from codegen.render.vector_math import Target

PICOSECONDS = 150.0
"""About what one unit of the vectorizer's cost takes."""
WORTH = 5_000_000
"""Picoseconds of a loop from which on threads are worth it: some times what a region costs."""
CHUNK = 2_000_000
"""Picoseconds of the shortest chunk."""
LONGEST_CHUNK = 5_000_000_000
"""Picoseconds after which a region looks for signals at the latest."""
LONGEST_ITERATION = 50_000_000_000
"""Picoseconds of an iteration that is rather shared itself."""
MOST_CHUNKS = 64
MOST_PARTIALS = 4096
MOST_PRIVATE = 1 << 17
"""Bytes of a thread's own memory, which lies on its stack."""
BEGIN, END = Variable("#begin", INT64), Variable("#end", INT64)


State = tuple[
    list[str], str, list[Frame], dict[str, Value], dict[Buffer, str], dict[Buffer, str], str
]


@dataclass(frozen=True, slots=True)
class Split:
    """A loop in `count` chunks of `length` iterations, the last one shorter, and about how long a
    chunk takes. All are sizes where the code serves many.
    """

    length: int
    count: int
    nanoseconds: int


@dataclass(frozen=True, slots=True)
class Work:
    """A number of iterations, and about how many picoseconds each takes."""

    trips: int
    each: int

    @property
    def total(self) -> int:
        """Picoseconds of all."""
        return self.trips * self.each


@dataclass(frozen=True, slots=True)
class Region:
    """A loop to be shared: what may run at once, how it is split, and in lanes where `plan` says.

    `around` is a serial loop that stays inside, around the chunk's part of the loop.
    """

    loop: Loop
    shared: Independent
    split: Split
    plan: LanePlan | None = None
    around: Loop | None = None


class Captured(dict[str, Value]):
    """The scalars of a region's function: those from outside are read from the table when they are
    first asked for.
    """

    def __init__(self, outer: dict[str, Value], fetch: Callable[[Value], Value]) -> None:
        super().__init__()
        self.outer = outer
        self.fetch = fetch

    def __missing__(self, name: str) -> Value:
        self[name] = self.fetch(self.outer[name])
        return self[name]


class CapturedBases(dict[Buffer, str]):
    """The same for the places of buffers."""

    def __init__(self, outer: dict[Buffer, str], fetch: Callable[[str], str]) -> None:
        super().__init__()
        self.outer = outer
        self.fetch = fetch

    def __missing__(self, buffer: Buffer) -> str:
        self[buffer] = self.fetch(self.outer[buffer])
        return self[buffer]


class Table:
    """What a region's function gets from outside: registers, in slots of eight bytes."""

    def __init__(self, emitter: Emitter) -> None:
        self.emitter = emitter
        self.slots: list[tuple[str, str]] = []
        self.prologue: list[str] = []

    def register(self, kind: str, register: str) -> str:
        """The register inside for one outside."""
        place, inside = self.emitter.out.fresh(), self.emitter.out.fresh()
        offset = 8 * len(self.slots)
        self.prologue.append(f"  {place} = getelementptr i8, ptr %context, i64 {offset}")
        self.prologue.append(f"  {inside} = load {kind}, ptr {place}")
        self.slots.append((kind, register))
        return inside

    def value(self, value: Value) -> Value:
        """The value inside for one outside."""
        if value.width != 1:
            raise ValueError("a region inside lanes")
        kind = memory_kind(value)
        parts = tuple(
            self.register(kind, part) if part.startswith("%") else part for part in value.parts
        )
        return Value(parts, value.dtype, 1, 0)

    def fill(self) -> str:
        """Outside: the table with what was asked for."""
        emitter = self.emitter
        table = emitter.hoisted(0, f"alloca [{max(1, len(self.slots))} x i64], align 16")
        for number, (kind, register) in enumerate(self.slots):
            place = emitter.write(f"getelementptr i64, ptr {table}, i64 {number}")
            emitter.line(f"store {kind} {register}, ptr {place}")
        return table


def memory_kind(value: Value) -> str:
    """LLVM's type of a scalar's parts, kept as they are in registers."""
    return "i1" if value.dtype.kind == "b" else memory_type(value.dtype)


class ParallelWriter(RoutineWriter):
    """Writes loops that are worth it as regions. `mode`: "auto", "always" or "never"."""

    def __init__(
        self, target: Target, vector_bytes: int, most_copies: int, mode: str = "never"
    ) -> None:
        super().__init__(target, vector_bytes, most_copies)
        self.mode = mode
        self.in_region = False
        self.regions = 0
        self.uses: Counter[Buffer] = Counter()

    def loop(self, loop: Loop) -> None:
        """A loop: as a region where that is worth it."""
        region = None
        if self.mode != "never" and not self.in_region and self.lane_state is None:
            region = self.region_of(loop)
        if region is None:
            super().loop(loop)
        else:
            self.region(region)

    def poll_period(self, body: Iterable[Statement], trips: int | None) -> int:
        """As often as the real sizes ask for; inside a region who runs it looks for signals between
        the chunks.
        """
        if self.in_region:
            return 0
        inside = tuple(body)
        cost = 1.0 + sum(self.vectorizer.scalar_cost(part, self.forms) for part in inside)
        unit = max(1, round(cost / max(1, inner_volume(inside, estimated))))
        each = unit * inner_volume(inside, lambda number: number or 1)
        if each > LONG or (trips is not None and trips * each < LONG):
            return 0
        period = int(PAUSE) // each
        return period if period > 1 else 1

    # What is worth it

    def region_of(self, loop: Loop) -> Region | None:
        """How a loop is shared; None where it is not."""
        if trip_count(loop) is None or not self.may_leave(loop):
            return None
        merged, zeros = merge_loops(loop)
        work = self.work_of(merged)
        if self.mode == "auto" and not work.total > WORTH:
            return None
        if loop.kind == "serial":
            return self.columns_of(loop)
        shared = independent(merged, self.uses)
        if shared is None or private_bytes(shared) > MOST_PRIVATE:
            return None
        plan = self.vectorizer.plan(merged, self.forms)
        step = 1 if plan is None else plan.width * plan.copies
        split = self.split(work, step, bool(shared.reductions))
        if split is None:
            return None
        for name in zeros:
            self.scalars[name] = literal_value(0, INT64)
            self.forms.constant(name, 0)
        return Region(merged, shared, split, plan)

    def columns_of(self, loop: Loop) -> Region | None:
        """A serial loop around a parallel one: each chunk does all rounds for its part."""
        inner = loop.body[0]
        if len(loop.body) > 1 or not isinstance(inner, Loop) or inner.kind != "parallel":
            return None
        if inner.reverse or trip_count(inner) is None:
            return None
        around = replace(loop, body=inner.body)
        shared = independent_body(inner.index, (around,), self.uses)
        if shared is None or shared.reductions or private_bytes(shared) > MOST_PRIVATE:
            return None
        within, rounds = self.work_of(inner), trip_count(loop) or 0
        work = Work(within.trips, within.each * rounds)
        split = self.split(work, self.vectorizer.vector_bytes, False)
        return None if split is None else Region(inner, shared, split, None, loop)

    def work_of(self, loop: Loop) -> Work:
        """How long a loop takes, by its real number of iterations and that of the loops inside."""
        cost = self.vectorizer.cost(loop, self.forms)
        unit = max(1, round(cost * PICOSECONDS / max(1, volume(loop, estimated))))
        return Work(trip_count(loop) or 0, unit * inner_volume(loop.body, lambda trips: trips or 1))

    def split(self, work: Work, step: int, partial: bool) -> Split | None:
        """Chunks of a multiple of `step` iterations; None where one is all, or too long."""
        trips, each = work.trips, work.each
        if not trips or each > LONGEST_ITERATION:
            return None
        length = (trips // MOST_CHUNKS // step + 1) * step
        shortest = CHUNK if self.mode == "auto" else 0
        least = (shortest // each // step + 1) * step
        length = larger(length, least)
        longest = (LONGEST_CHUNK // each // step + 1) * step
        length = smaller(length, longest)
        count = (trips + length - 1) // length
        if partial and count > MOST_PARTIALS:
            length = (trips // MOST_PARTIALS // step + 1) * step
            count = (trips + length - 1) // length
        return Split(length, count, length * each // 1000) if count > 1 else None

    def may_leave(self, loop: Loop) -> bool:
        """Whether other threads can run what is inside: no BLAS, which has threads of its own."""
        for statement in statements(loop.body):
            if isinstance(statement, Call):
                if statement.kernel == "product":
                    continue
                if statement.kernel != "matmul":
                    return False
                left, right = (view.shape for view in statement.operands)
                if math.prod(left) * right[-1] >= BLAS_FROM:
                    return False
        return True

    # The function of a region

    def region(self, region: Region) -> None:
        """Write a region's function, and its call."""
        self.regions += 1
        name = f"@region{self.regions}"
        split, reductions = region.split, region.shared.reductions
        for _, dtype in reductions.values():
            require_dtype(dtype)
        partials = {
            key: self.hoisted(0, f"alloca [2 x i64], i64 {split.count}, align {16 << place % 8}")
            for place, key in enumerate(reductions)
        }
        table = Table(self)
        outer = self.state()
        self.restore(([], "entry", [], self.scalars, self.bases, {}, self.table))
        if self.table:
            self.table = table.register("ptr", self.table)
        self.scalars = Captured(self.scalars, table.value)
        self.bases = CapturedBases(self.bases, lambda base: table.register("ptr", base))
        self.in_region = True
        self.chunk(region, {key: table.register("ptr", place) for key, place in partials.items()})
        lines = "\n".join([*table.prologue, *self.out.lines])
        self.in_region = False
        self.restore(outer)
        self.out.definitions[name] = (
            f"define internal void {name}(ptr noalias %context, i64 %chunk) nounwind {{\n"
            f"entry:\n{lines}\n  ret void\n}}"
        )
        context = table.fill()
        record = "null"
        if self.mode == "auto":
            record = f"{name}_record"
            self.out.constants[record] = f"{record} = internal global [3 x i64] zeroinitializer"
        self.declare("i32 @tracer_threads_run(ptr, ptr, i64, i64, ptr)")
        answer = self.write(
            f"call i32 @tracer_threads_run(ptr {name}, ptr {context}, i64 {split.count}, "
            f"i64 {split.nanoseconds}, ptr {record})"
        )
        self.fail_if(self.write(f"icmp ne i32 {answer}, 0"), PYTHON_ERROR, [])
        self.combine(region, partials)

    def state(self) -> State:
        """What belongs to the function that is being written."""
        out = self.out
        return out.lines, out.block, self.frames, self.scalars, self.bases, self.tapes, self.table

    def restore(self, state: State) -> None:
        """Go on with another function."""
        lines, block, self.frames, self.scalars, self.bases, self.tapes, self.table = state
        self.out.lines, self.out.block = lines, block
        self.here_block = ""

    def chunk(self, region: Region, partials: dict[str, str]) -> None:
        """The body of a region's function: one chunk, and what it reduces into."""
        loop, split = region.loop, region.split
        for buffer in region.shared.private:
            require_dtype(buffer.dtype)
            size = buffer.size * buffer.dtype.itemsize
            self.bases[buffer] = self.write(f"alloca i8, i64 {size}, align 64")
        for name, (operation, dtype) in region.shared.reductions.items():
            self.declare_scalar(name, literal_value(identity(operation, dtype), dtype))
        start, stop = literal_integer(loop.start), literal_integer(loop.stop)
        offset = self.write(f"mul i64 %chunk, {split.length}")
        begin = self.write(f"add i64 {offset}, {start}")
        if region.plan is not None:
            self.chunk_in_lanes(region, region.plan, begin)
        else:
            far = self.write(f"add i64 {begin}, {split.length}")
            within = self.write(f"icmp slt i64 {far}, {stop}")
            end = self.write(f"select i1 {within}, i64 {far}, i64 {stop}")
            self.scalars[BEGIN.name] = self.made(INT64, 1, begin)
            self.scalars[END.name] = self.made(INT64, 1, end)
            part = replace(loop, start=BEGIN, stop=END)
            if region.around is not None:
                super().loop(replace(region.around, body=(part,)))
            else:
                self.plain_loop(part)
        for name, partial in partials.items():
            value = self.scalars[name]
            place = self.write(f"getelementptr [2 x i64], ptr {partial}, i64 %chunk")
            self.put(value, place)

    def chunk_in_lanes(self, region: Region, plan: LanePlan, begin: str) -> None:
        """Whole rounds of vectors, which all chunks have; then the last one's rest."""
        loop, split = region.loop, region.split
        start = literal_integer(loop.start)
        trips = trip_count(loop) or 0
        step = plan.width * plan.copies
        middle = start + trips // step * step
        self.forms.index(loop.index)
        self.begin_reductions(plan)
        first = self.made(INT64, 1, begin)
        state = LaneState(loop.index, plan.width, first, reductions=plan.reductions)
        names = self.changed_in_lanes(loop, state, plan.copies)
        far = self.write(f"add i64 {begin}, {split.length}")
        within = self.write(f"icmp slt i64 {far}, {middle}")
        end = self.made(INT64, 1, self.write(f"select i1 {within}, i64 {far}, i64 {middle}"))

        def body(index: Value) -> None:
            for copy in range(plan.copies):
                here = replace(state, start=index, offset=copy * plan.width, copy=copy)
                self.lanes_at(loop, here)

        self.counted(first, end, step, names, body)
        left = trips % step
        if left:
            last = self.write(f"icmp eq i64 %chunk, {split.count - 1}")
            rest = replace(loop, start=Literal(middle, INT64))
            self.branches(last, names, [lambda: self.rest(rest, state, plan), lambda: None])
        self.end_reductions(plan)

    def rest(self, loop: Loop, state: LaneState, plan: LanePlan) -> None:
        """The last iterations: a few vectors, the last of them with a mask."""
        trips, start = trip_count(loop), self.value(loop.start)
        if not is_size(trips):
            once = replace(plan, light=True, cost=0.0)
            self.known_trips(loop, replace(state, start=start), once, trips or 0)
            return
        stop = self.value(loop.stop)

        def some(index: Value) -> None:
            left = self.made(INT64, 1, self.write(f"sub i64 {stop.text}, {index.text}"))
            numbers = ", ".join(f"i64 {number}" for number in range(plan.width))
            limit = self.widened(left, plan.width)
            mask = self.write(f"icmp slt <{plan.width} x i64> <{numbers}>, {limit.text}")
            self.lanes_at(loop, replace(state, start=index, mask=mask, left=left.text))

        names = self.changed_in_lanes(loop, state, 1)
        self.stepping(start, stop, plan.width, names, some)

    def combine(self, region: Region, partials: dict[str, str]) -> None:
        """What the chunks have reduced, in their order."""
        reductions = region.shared.reductions
        if not reductions:
            return

        def body(index: Value) -> None:
            for name, partial in partials.items():
                operation, dtype = reductions[name]
                place = self.write(f"getelementptr [2 x i64], ptr {partial}, i64 {index.text}")
                self.reduce(name, operation, self.read(dtype, place))

        ends = literal_value(0, INT64), literal_value(region.split.count, INT64)
        self.counted(*ends, 1, list(partials), body)


def private_bytes(shared: Independent) -> int:
    """Bytes of a thread's own memory."""
    return sum(buffer.size * buffer.dtype.itemsize for buffer in shared.private)


def literal_integer(expression: Expression) -> int:
    """The value of a literal, which may be a size."""
    assert isinstance(expression, Literal), "a region's bounds are constants"
    found: int = whole(expression.value)
    return found


def is_size(value: object) -> bool:
    """Whether a number is read when the code runs."""
    return type(value) is Size


def volume(loop: Loop, count: Callable[[int | None], int]) -> int:
    """How often the innermost body of a nest runs; `count` says for how many to take trips."""
    return count(trip_count(loop)) * inner_volume(loop.body, count)


def inner_volume(body: tuple[Statement, ...], count: Callable[[int | None], int]) -> int:
    """The same for a block: of the loops in it, that with the most iterations by estimate."""
    inside = [part for part in body if isinstance(part, Loop)]
    for part in body:
        if isinstance(part, If):
            inside += [loop for loop in (*part.then, *part.otherwise) if isinstance(loop, Loop)]
    if not inside:
        return 1
    return volume(max(inside, key=lambda part: volume(part, estimated)), count)
