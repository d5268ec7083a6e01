"""Statements of the loop program as LLVM instructions; mutable scalars become phi nodes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace

from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Check,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Loop,
    Reduce,
    Reserve,
    Statement,
    Store,
    Update,
    While,
)
from codegen.loops.sizes import Size, whole
from codegen.loops.walk import blocks, statements
from codegen.render.llvm_emit import (
    INT64,
    SINGLE,
    Value,
    literal_value,
    require_dtype,
    vector_type,
)
from codegen.render.llvm_expressions import ExpressionWriter
from tracer.types import is_half

OUT_OF_MEMORY = 1 << 20
PYTHON_ERROR = -1
TICKS = "#ticks"
STATUS_WORDS = 4
UNROLLED_TRIPS = 4
UNROLLED_STATEMENTS = 48


class StatementWriter(ExpressionWriter):
    """Writes statements one after the other into the function."""

    def statement(self, statement: Statement) -> None:
        """One statement."""
        match statement:
            case Let(name, value):
                self.scalars[name] = self.value(value)
                self.forms.define(name, value)
            case Declare(name, value):
                self.declare_scalar(name, self.value(value))
            case Assign(name, value):
                self.assign(name, self.value(value))
            case Reduce(name, operation, value):
                self.reduce(name, operation, self.value(value))
            case Store(buffer, indices, value):
                require_dtype(buffer.dtype)
                self.store(buffer, indices, self.value(value))
            case Update(buffer, indices, operation, value):
                require_dtype(buffer.dtype)
                change = self.value(value)
                present = self.load(buffer, indices)
                self.store(buffer, indices, self.updated(operation, present, change))
            case Loop():
                self.loop(statement)
            case If(condition, then, otherwise):
                self.branch(self.value(condition).text, then, otherwise)
            case While():
                self.while_loop(statement)
            case Call():
                self.call(statement)
            case Reserve(buffer, extent):
                self.reserve(buffer, extent)
            case Check():
                self.check(statement)

    def block(self, body: Iterable[Statement]) -> None:
        """Statements in order."""
        for statement in body:
            self.statement(statement)

    def updated(self, operation: str, present: Value, change: Value) -> Value:
        """What an element of memory becomes; float16 and bfloat16 are computed in float32."""
        dtype = present.dtype
        computed = SINGLE if is_half(dtype) else dtype
        values = [self.cast(present, computed), self.cast(change, computed)]
        return self.cast(self.operate(operation, values, computed), dtype)

    # Scalars

    def declare_scalar(self, name: str, value: Value) -> None:
        """A mutable scalar; inside of a loop over lanes, one for each lane."""
        if self.lane_state is not None:
            value = self.widened(value, self.lane_state.width)
        self.scalars[name] = replace(value, level=self.depth)
        self.forms.mutable.add(name)
        self.forms.index(name)

    def assign(self, name: str, value: Value) -> None:
        """A new value of a mutable scalar."""
        self.scalars[name] = replace(
            self.widened(value, self.scalars[name].width), level=self.depth
        )

    def reduce(self, name: str, operation: str, value: Value) -> None:
        """Combine a value into a mutable scalar."""
        combined = self.operate(operation, [self.scalars[name], value], value.dtype)
        self.assign(name, combined)

    def changed(self, body: Iterable[Statement]) -> list[str]:
        """The scalars from outside that statements change, in a stable order."""
        names = []
        for statement in statements(tuple(body)):
            if isinstance(statement, Assign | Reduce):
                names += self.changed_keys(statement)
        return [name for name in dict.fromkeys(names) if name in self.scalars]

    def changed_keys(self, statement: Assign | Reduce) -> list[str]:
        """The scalars that one statement changes."""
        return [statement.name]

    # Branches

    def branch(
        self, condition: str, then: Iterable[Statement], otherwise: Iterable[Statement] = ()
    ) -> None:
        """One of two blocks; scalars that they change meet behind them."""
        names = self.changed((*then, *otherwise))
        sides: list[Callable[[], None]] = [lambda: self.block(then), lambda: self.block(otherwise)]
        self.branches(condition, names, sides)

    def branches(self, condition: str, names: list[str], sides: list[Callable[[], None]]) -> None:
        """One of two pieces of code, that change the scalars of these names."""
        out = self.out
        labels = [out.fresh_label(stem) for stem in ("then", "else", "after")]
        self.line(f"br i1 {condition}, label %{labels[0]}, label %{labels[1]}")
        before = {name: self.scalars[name] for name in names}
        found: list[dict[str, Value]] = []
        ends = []
        for label, side in zip(labels, sides, strict=False):
            self.scalars.update(before)
            out.start_block(label)
            side()
            found.append({name: self.scalars[name] for name in names})
            ends.append(out.block)
            self.line(f"br label %{labels[2]}")
        out.start_block(labels[2])
        self.scalars.update(before)
        for name in names:
            values = [values[name] for values in found]
            same = values[0].parts == values[1].parts
            self.scalars[name] = values[0] if same else self.merged(values, ends)

    # Loops

    def loop(self, loop: Loop) -> None:
        """A loop over a range."""
        self.plain_loop(loop)

    def plain_loop(self, loop: Loop) -> None:
        """A loop whose iterations run one after the other; a few of them one behind the other."""
        trips = literal_range(loop)
        if trips is not None and (len(trips) <= 1 or self.unrolls(loop, len(trips))):
            for trip in reversed(trips) if loop.reverse else trips:
                self.scalars[loop.index] = literal_value(trip, INT64)
                self.forms.constant(loop.index, trip)
                self.block(loop.body)
            return

        def body(index: Value) -> None:
            self.scalars[loop.index] = index
            self.forms.index(loop.index)
            self.block(loop.body)

        start, stop = self.value(loop.start), self.value(loop.stop)
        poll = self.poll_period(loop.body, constant_trip(loop))
        names = self.changed(loop.body)
        runs = bool(constant_trip(loop))
        self.counted(start, stop, 1, names, body, reverse=loop.reverse, poll=poll, runs=runs)

    def unrolls(self, loop: Loop, trips: int) -> bool:
        """Whether the iterations are few and short: outside of lanes with those of the loops
        inside, which are unrolled as well.
        """
        if trips > UNROLLED_TRIPS:
            return False
        if self.lane_state is None:
            return trips * _written_out(loop.body) <= UNROLLED_STATEMENTS
        return trips * sum(1 for _ in statements(loop.body)) <= UNROLLED_STATEMENTS

    def counted(
        self,
        start: Value,
        stop: Value,
        step: int,
        names: list[str],
        body: Callable[[Value], None],
        *,
        reverse: bool = False,
        poll: int = 0,
        runs: bool = False,
    ) -> None:
        """`for index in range(start, stop, step)`, from the top down where `reverse`.

        `names` are the scalars that the body changes. With a step, `stop - start` is a multiple.
        Every `poll` iterations Python may look for signals; 0 for never. `runs` where it is known
        that there is an iteration.
        """
        if poll:
            names, body = self.ticking(names, body, poll)
        if start.is_literal and stop.is_literal:
            if int(start.text) < int(stop.text):
                self.turning(start, stop, step, names, body, reverse)
            return
        if runs:
            self.turning(start, stop, step, names, body, reverse)
            return
        some = self.write(f"icmp slt i64 {start.text}, {stop.text}")
        self.branches(
            some,
            names,
            [lambda: self.turning(start, stop, step, names, body, reverse), lambda: None],
        )

    def turning(
        self,
        start: Value,
        stop: Value,
        step: int,
        names: list[str],
        body: Callable[[Value], None],
        reverse: bool,
    ) -> None:
        """A loop that runs at least once; tested at its end."""
        first, last = start.text, stop.text
        if reverse:
            first = self.write(f"sub i64 {stop.text}, {step}")
            last = start.text
        before = self.out.block
        outer = {name: self.scalars[name] for name in names}
        label = self.open_loop()
        index = self.out.fresh()
        registers = self.phi_registers(names)
        # A copy that LLVM does not see through: what its loop strength reduction finds out about
        # addresses is a fifth to a third of its time, and code without that is as fast.
        plain = self.write(f"freeze i64 {self.write(f'add i64 {index}, 0')}")
        body(Value((plain,), INT64, 1, self.depth))
        following = self.write(f"{'sub' if reverse else 'add'} i64 {index}, {step}")
        test = f"icmp sgt i64 {index}, {last}" if reverse else f"icmp slt i64 {following}, {last}"
        more = self.write(test)
        done = self.out.fresh_label("done")
        self.line(f"br i1 {more}, label %{label}, label %{done}")
        latch = self.out.block
        phis = [f"{index} = phi i64 [ {first}, %{before} ], [ {following}, %{latch} ]"]
        phis += self.phis(names, registers, outer, before, latch)
        self.close_loop([f"br label %{label}"], phis)
        self.out.start_block(done)
        self.leave(names)

    def phi_registers(self, names: list[str]) -> dict[str, Value]:
        """New registers for the scalars that an open loop changes."""
        for name in names:
            value = self.scalars[name]
            parts = tuple(self.out.fresh() for _ in value.parts)
            self.scalars[name] = Value(parts, value.dtype, value.width, self.depth)
        return {name: self.scalars[name] for name in names}

    def phis(
        self,
        names: list[str],
        registers: dict[str, Value],
        outer: dict[str, Value],
        before: str,
        latch: str,
    ) -> list[str]:
        """Where the scalars of a loop come from."""
        lines = []
        for name in names:
            value = registers[name]
            kind = vector_type(value.dtype, value.width)
            sides = zip(value.parts, outer[name].parts, self.scalars[name].parts, strict=True)
            for register, first, following in sides:
                lines.append(
                    f"{register} = phi {kind} [ {first}, %{before} ], [ {following}, %{latch} ]"
                )
        return lines

    def leave(self, names: list[str]) -> None:
        """Behind a loop its scalars are known at the level outside."""
        for name in names:
            self.scalars[name] = replace(self.scalars[name], level=self.depth)

    # Control-C

    @abstractmethod
    def poll_period(self, body: Iterable[Statement], trips: int | None) -> int:
        """After how many iterations of a loop Python may look for signals; 0 for never."""

    def ticking(
        self, names: list[str], body: Callable[[Value], None], period: int
    ) -> tuple[list[str], Callable[[Value], None]]:
        """A loop's changed scalars and body, with a counter and looks for signals."""
        ticks = f"{TICKS}{self.depth}"
        self.scalars[ticks] = literal_value(0, INT64)

        def with_look(index: Value) -> None:
            body(index)
            self.tick(ticks, period)

        return [*names, ticks], with_look

    def tick(self, ticks: str, period: int) -> None:
        """Count an iteration; look for signals after each period."""
        count = self.write(f"add i64 {self.scalars[ticks].text}, 1")
        self.assign(ticks, self.made(INT64, 1, count))
        due = self.write(f"icmp eq i64 {count}, {period}")

        def look() -> None:
            self.declare("i32 @tracer_threads_pause()")
            answer = self.write("call i32 @tracer_threads_pause()")
            self.fail_if(self.write(f"icmp ne i32 {answer}, 0"), PYTHON_ERROR, [])
            self.assign(ticks, literal_value(0, INT64))

        self.branches(due, [ticks], [look, lambda: None])

    def while_loop(self, loop: While) -> None:
        """Test, leave or run the body, again."""
        names = self.changed((*loop.test, *loop.body))
        ticks = f"{TICKS}{self.depth}"
        self.scalars[ticks] = literal_value(0, INT64)
        names.append(ticks)
        before = self.out.block
        outer = {name: self.scalars[name] for name in names}
        label = self.open_loop()
        registers = self.phi_registers(names)
        self.block(loop.test)
        condition = self.value(loop.condition).text
        inside, done = self.out.fresh_label("body"), self.out.fresh_label("done")
        self.line(f"br i1 {condition}, label %{inside}, label %{done}")
        tested = {name: self.scalars[name] for name in names}
        self.out.start_block(inside)
        self.block(loop.body)
        period = self.poll_period((*loop.test, *loop.body), None)
        if period:
            self.tick(ticks, period)
        self.line(f"br label %{label}")
        phis = self.phis(names, registers, outer, before, self.out.block)
        self.close_loop([f"br label %{label}"], phis)
        self.out.start_block(done)
        self.scalars.update(tested)
        self.leave(names)

    # Tapes, checks, kernels

    def reserve(self, buffer: Buffer, extent: Expression) -> None:
        """Room in a tape: twice what is needed, so that copies are few."""
        slot = self.tapes[buffer]
        size = self.tape_row_bytes(buffer)
        needed = self.write(f"mul i64 {self.value(extent).text}, {size}")
        place = self.write(f"getelementptr i8, ptr {slot}, i64 8")
        room = self.write(f"load i64, ptr {place}")
        more = self.write(f"icmp sgt i64 {needed}, {room}")

        def grow() -> None:
            twice = self.write(f"mul i64 {needed}, 2")
            small = self.write(f"icmp slt i64 {twice}, 1024")
            wanted = self.write(f"select i1 {small}, i64 1024, i64 {twice}")
            old = self.write(f"load ptr, ptr {slot}")
            self.declare("ptr @tracer_libc_realloc(ptr, i64)")
            made = self.write(f"call ptr @tracer_libc_realloc(ptr {old}, i64 {wanted})")
            missing = self.write(f"icmp eq ptr {made}, null")
            self.fail_if(missing, OUT_OF_MEMORY, [wanted])
            self.line(f"store ptr {made}, ptr {slot}")
            self.line(f"store i64 {wanted}, ptr {place}")

        self.branches(more, [], [grow, lambda: None])

    def tape_row_bytes(self, buffer: Buffer) -> int:
        """Bytes of one element of a tape's first axis."""
        return -buffer.size * buffer.dtype.itemsize

    def check(self, check: Check) -> None:
        """Leave the function unless the condition holds."""
        condition = self.value(check.condition).text
        failed = self.write(f"xor i1 {condition}, true")
        self.fail_if(failed, check.code + 1, list(check.details))

    def fail_if(self, failed: str, code: int, details: list[Expression | str]) -> None:
        """Leave with a code, and details in `status`."""
        out = self.out
        label, after = out.fresh_label("fail"), out.fresh_label("after")
        self.line(f"br i1 {failed}, label %{label}, label %{after}")
        out.start_block(label)
        for position, detail in enumerate(details[:STATUS_WORDS]):
            text = detail if isinstance(detail, str) else self.value(detail).text
            place = self.write(f"getelementptr i64, ptr %status, i64 {position}")
            self.line(f"store i64 {text}, ptr {place}")
        self.leave_function(code)
        out.start_block(after)

    def leave_function(self, code: int) -> None:
        """Give tapes back and return."""
        for slot in self.tapes.values():
            self.declare("void @tracer_libc_free(ptr)")
            memory = self.write(f"load ptr, ptr {slot}")
            self.line(f"call void @tracer_libc_free(ptr {memory})")
        self.line(f"ret i32 {code}")

    @abstractmethod
    def call(self, call: Call) -> None:
        """A kernel; the kernel writer's."""


def literal_range(loop: Loop) -> range | None:
    """The indices of a loop with constant bounds."""
    if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal):
        start, stop = whole(loop.start.value), whole(loop.stop.value)
        return None if Size in (type(start), type(stop)) else range(start, stop)
    return None


def _written_out(body: Iterable[Statement]) -> float:
    """How many statements a block is with its loops unrolled; endless where one is not short.

    Loops around longer ones stay loops: unrolled they run no faster, and LLVM takes long to find
    out what all those addresses have in common.
    """
    total = 0.0
    for statement in body:
        total += 1
        times = 1
        if isinstance(statement, Loop):
            trips = literal_range(statement)
            if trips is None or len(trips) > UNROLLED_TRIPS:
                return math.inf
            times = len(trips)
        for block in blocks(statement):
            total += times * _written_out(block)
    return total
