"""Loops whose iterations become lanes of vectors: whole vectors first, then one with a mask."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from codegen.loops.identities import identity
from codegen.loops.linear import merge_loops
from codegen.loops.nodes import Assign, Declare, Loop, Reduce, Statement
from codegen.loops.operations import DType
from codegen.loops.sizes import Size, is_size, whole
from codegen.loops.walk import statements
from codegen.render.llvm_emit import INT64, Value, literal_value
from codegen.render.llvm_memory import LaneState
from codegen.render.llvm_operands import Lanes
from codegen.render.llvm_statements import StatementWriter
from codegen.render.llvm_vectorize import Lanes as LanePlan
from codegen.render.llvm_vectorize import Vectorizer, trip_count
from codegen.render.vector_math import Target

LONG = 1e9
"""The estimated cost from which on a loop looks for signals: some tenths of a second."""
PAUSE = 1e8
"""The estimated cost between two looks."""
MOST_STRAIGHT = 8
"""As many vectors of a light body stand one behind the other instead of in a loop."""
EXTREMES = {"maximum": "ogt", "minimum": "olt"}


class LaneWriter(StatementWriter):
    """Writes loops in lanes where that pays."""

    def __init__(self, target: Target, vector_bytes: int, most_copies: int) -> None:
        super().__init__(target)
        self.vectorizer = Vectorizer(vector_bytes, most_copies)

    def loop(self, loop: Loop) -> None:
        """A loop, merged with those inside it where memory is walked in order."""
        loop, zeros = merge_loops(loop)
        for name in zeros:
            self.scalars[name] = literal_value(0, INT64)
            self.forms.constant(name, 0)
        plan = None
        if self.lane_state is None:
            plan = self.vectorizer.plan(loop, self.forms)
        if plan is None:
            self.plain_loop(loop)
        else:
            self.lane_loop(loop, plan)

    def poll_period(self, body: Iterable[Statement], trips: int | None) -> int:
        """Looks for signals where a loop may take long, but not its iterations."""
        cost = 1.0 + sum(self.vectorizer.scalar_cost(part, self.forms) for part in body)
        if cost > LONG or (trips is not None and trips < LONG / cost):
            return 0
        return max(1, int(PAUSE / cost))

    def lane_loop(self, loop: Loop, plan: LanePlan) -> None:
        """A loop in lanes."""
        start, stop = self.value(loop.start), self.value(loop.stop)
        self.forms.index(loop.index)
        self.begin_reductions(plan)
        state = LaneState(loop.index, plan.width, start, reductions=plan.reductions)
        trips = trip_count(loop)
        if trips is None:
            self.unknown_trips(loop, state, stop)
        elif is_size(trips):
            plan = self.sized_trips(loop, state, plan, trips, stop)
        else:
            self.known_trips(loop, state, plan, trips)
        self.end_reductions(plan)

    def known_trips(self, loop: Loop, state: LaneState, plan: LanePlan, trips: int) -> None:
        """Several vectors at once in a loop, then the rest, the last with a constant mask."""
        width, copies = plan.width, plan.copies
        first = int(state.start.text)
        rounds = trips // (width * copies)
        poll = 0 if plan.cost < LONG else max(1, int(PAUSE / plan.cost * rounds))
        done = 0
        if rounds > 1 and not (plan.light and trips // width <= MOST_STRAIGHT):
            done = rounds * width * copies
            names = self.changed_in_lanes(loop, state, copies)
            end = literal_value(first + done, INT64)

            def body(index: Value) -> None:
                for copy in range(copies):
                    self.lanes_at(loop, replace(state, start=index, offset=copy * width, copy=copy))

            self.counted(state.start, end, width * copies, names, body, poll=poll)
        copy = 0
        while done < trips:
            active = min(width, trips - done)
            mask = None
            if active < width:
                lanes = ", ".join(f"i1 {'true' if k < active else 'false'}" for k in range(width))
                mask = f"<{lanes}>"
            here = literal_value(first + done, INT64)
            part = replace(state, start=here, copy=copy % copies, mask=mask)
            self.lanes_at(loop, replace(part, active=active if mask else None))
            done += width
            copy += 1

    def unknown_trips(self, loop: Loop, state: LaneState, stop: Value) -> None:
        """Whole vectors in a loop, then what is left under a mask."""
        width = state.width
        names = self.changed_in_lanes(loop, state, 1)
        count = self.write(f"sub i64 {stop.text}, {state.start.text}")
        whole = self.write(f"and i64 {count}, {-width}")
        negative = self.write(f"icmp slt i64 {count}, 0")
        whole = self.write(f"select i1 {negative}, i64 0, i64 {whole}")
        middle = self.made(INT64, 1, self.write(f"add i64 {state.start.text}, {whole}"))
        self.counted(
            state.start,
            middle,
            width,
            names,
            lambda index: self.lanes_at(loop, replace(state, start=index)),
        )
        some = self.write(f"icmp slt i64 {middle.text}, {stop.text}")

        def rest() -> None:
            left = self.made(INT64, 1, self.write(f"sub i64 {stop.text}, {middle.text}"))
            numbers = ", ".join(f"i64 {number}" for number in range(width))
            limit = self.widened(left, width)
            mask = self.write(f"icmp slt <{width} x i64> <{numbers}>, {limit.text}")
            self.lanes_at(loop, replace(state, start=middle, mask=mask))

        self.branches(some, names, [rest, lambda: None])

    def sized_trips(
        self, loop: Loop, state: LaneState, plan: LanePlan, trips: Size, stop: Value
    ) -> LanePlan:
        """As many vectors at once as are whole in a loop, then the rest under a mask: code for any
        number of iterations that is not small. Gives the plan whose reductions are open.
        """
        width, copies = plan.width, plan.copies
        first = whole(loop.start.value)  # type: ignore[union-attr]
        together = trips // (width * copies) * (width * copies)
        middle = self.integer(first + together)
        period = self.poll_period(loop.body, trips)  # type: ignore[arg-type]
        poll = max(1, period // (width * copies)) if period else 0

        def body(index: Value) -> None:
            for copy in range(copies):
                self.lanes_at(loop, replace(state, start=index, offset=copy * width, copy=copy))

        names = self.changed_in_lanes(loop, state, copies)
        runs = bool(together)
        self.counted(state.start, middle, width * copies, names, body, poll=poll, runs=runs)
        several = copies > 1
        if plan.narrow < width:  # the rest one register at a time: less code, and as fast
            self.end_reductions(plan)
            plan = replace(plan, width=plan.narrow, copies=1)
            self.begin_reductions(plan)
            state, width, several = replace(state, width=plan.width), plan.width, True
            for statement in statements(loop.body):
                if isinstance(statement, Declare):  # its last value is as wide as before
                    self.scalars.pop(statement.name, None)

        def rest(index: Value) -> None:
            left = self.made(INT64, 1, self.write(f"sub i64 {stop.text}, {index.text}"))
            numbers = ", ".join(f"i64 {number}" for number in range(width))
            limit = self.widened(left, width)
            mask = self.write(f"icmp slt <{width} x i64> <{numbers}>, {limit.text}")
            self.lanes_at(loop, replace(state, start=index, mask=mask, left=left.text))

        names = self.changed_in_lanes(loop, state, 1)
        if several:
            self.stepping(middle, stop, width, names, rest)
        else:
            some = self.write(f"icmp slt i64 {middle.text}, {stop.text}")
            self.branches(some, names, [lambda: rest(middle), lambda: None])
        return plan

    def stepping(
        self, start: Value, stop: Value, step: int, names: list[str], body: Callable[[Value], None]
    ) -> None:
        """`for index in range(start, stop, step)`, where `stop - start` is any number."""
        some = self.write(f"icmp slt i64 {start.text}, {stop.text}")
        turn = lambda: self.turning(start, stop, step, names, body, reverse=False)  # noqa: E731
        self.branches(some, names, [turn, lambda: None])

    def lanes_at(self, loop: Loop, state: LaneState) -> None:
        """The body for one vector of iterations."""
        with self.in_lanes(state):
            self.block(loop.body)

    @contextmanager
    def in_lanes(self, state: LaneState) -> Iterator[None]:
        """Statements inside run in lanes."""
        self.lane_state = state
        yield
        self.lane_state = None

    # Reductions into scalars from outside

    def changed_in_lanes(self, loop: Loop, state: LaneState, copies: int) -> list[str]:
        """The accumulators that a loop in lanes changes."""
        names = []
        for name, (operation, dtype) in state.reductions.items():
            for copy in range(copies):
                names.append(accumulator(name, copy))
                if has_flag(operation, dtype):
                    names.append(flag(name, copy))
        return names

    def changed_keys(self, statement: Assign | Reduce) -> list[str]:
        """In lanes, a scalar from outside is an accumulator."""
        lane = self.lane_state
        if lane is None or statement.name not in lane.reductions:
            return [statement.name]
        return [accumulator(statement.name, lane.copy), flag(statement.name, lane.copy)]

    def begin_reductions(self, plan: LanePlan) -> None:
        """Accumulators that change nothing yet."""
        for name, (operation, dtype) in plan.reductions.items():
            for copy in range(plan.copies):
                neutral = literal_value(identity(operation, dtype), dtype)
                self.scalars[accumulator(name, copy)] = self.widened(neutral, plan.width)
                self.scalars.pop(flag(name, copy), None)
                if has_flag(operation, dtype):
                    integer = np.dtype(f"i{dtype.itemsize}")
                    zero = self.widened(literal_value(0, integer), plan.width)
                    self.scalars[flag(name, copy)] = zero

    def reduce(self, name: str, operation: str, value: Value) -> None:
        """In lanes, into the accumulator of this copy; lanes that do not count add nothing."""
        lane = self.lane_state
        if lane is None or name not in lane.reductions:
            super().reduce(name, operation, value)
            return
        value = self.widened(value, lane.width)
        if lane.mask is not None:
            neutral = literal_value(identity(operation, value.dtype), value.dtype)
            value = self.chosen(lane.mask, value, self.widened(neutral, lane.width))
        key = accumulator(name, lane.copy)
        present = self.scalars[key]
        if not has_flag(operation, value.dtype):
            self.assign(key, self.operate(operation, [present, value], value.dtype))
            return
        lanes = Lanes(self, value.dtype, lane.width)
        larger = lanes.compare(EXTREMES[operation], value.text, present.text)
        self.assign(key, self.chosen(larger, value, present))
        seen = self.scalars[flag(name, lane.copy)]
        integers = Lanes(self, seen.dtype, lane.width)
        nan = self.write(f"sext {lanes.mask_type} {lanes.is_nan(value.text)} to {integers.type}")
        both = integers.op("or", seen.text, nan)
        self.assign(flag(name, lane.copy), self.made(seen.dtype, lane.width, both))

    def end_reductions(self, plan: LanePlan) -> None:
        """The accumulators in one scalar, and that combined with what was there before."""
        for name, (operation, dtype) in plan.reductions.items():
            keys = [accumulator(name, copy) for copy in range(plan.copies)]
            marked = has_flag(operation, dtype)
            total = self.folded(operation, [self.scalars[key] for key in keys], marked)
            if marked:
                flags = [self.scalars[flag(name, copy)] for copy in range(plan.copies)]
                seen = self.folded("bitwise_or", flags, False)
                some = Lanes(self, seen.dtype, 1).not_zero(seen.text)
                total = self.chosen(some, literal_value(math.nan, dtype), total)
            self.assign(name, self.operate(operation, [self.scalars[name], total], dtype))

    def folded(self, operation: str, values: list[Value], ordered: bool) -> Value:
        """Vectors combined pairwise, then the halves of what is left."""
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=False)
            rest = values[-1:] if len(values) % 2 else []
            values = [self.combined(operation, a, b, ordered) for a, b in pairs] + rest
        (value,) = values
        while value.width > 1:
            halves = [self.half(value, number) for number in (0, 1)]
            value = self.combined(operation, halves[0], halves[1], ordered)
        return value

    def combined(self, operation: str, a: Value, b: Value, ordered: bool) -> Value:
        """One operation; where neither operand is NaN, a simple comparison."""
        if not ordered:
            return self.operate(operation, [a, b], a.dtype)
        lanes = Lanes(self, a.dtype, a.width)
        return self.chosen(lanes.compare(EXTREMES[operation], a.text, b.text), a, b)

    def half(self, value: Value, number: int) -> Value:
        """The lower or upper half of a vector."""
        width = value.width // 2
        if width == 1:
            return self.lane(value, number)
        lanes = Lanes(self, value.dtype, value.width)
        places = ", ".join(f"i32 {number * width + place}" for place in range(width))
        register = self.write(
            f"shufflevector {lanes.type} {value.text}, {lanes.type} poison, "
            f"<{width} x i32> <{places}>"
        )
        return self.made(value.dtype, width, register)


def accumulator(name: str, copy: int) -> str:
    """The name of an accumulator."""
    return f"{name}#{copy}"


def flag(name: str, copy: int) -> str:
    """The name of what remembers that an accumulator has seen NaN."""
    return f"{name}#{copy}?"


def has_flag(operation: str, dtype: DType) -> bool:
    """Whether a reduction needs to remember NaN."""
    return operation in EXTREMES and dtype.kind == "f"
