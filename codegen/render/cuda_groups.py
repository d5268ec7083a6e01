"""Statements of the loop program as Numba-CUDA's Python, run by a group of threads together.

All threads of a group run scalar statements alike. They share the iterations of a loop that is not
serial: each takes every `group`-th one, and what it reduces they put together afterwards, in an
order that depends on the size of the group only. Where one has written what another reads, a
barrier stands between.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from codegen.device.rows import is_short, shared_nest
from codegen.device.work import (
    has_failures,
    is_divided,
    memory_read,
    memory_written,
    trips_of,
)
from codegen.loops.build import literal
from codegen.loops.identities import identity
from codegen.loops.linear import constant_trip, linear_form
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
from codegen.loops.operations import DType
from codegen.loops.walk import statements
from codegen.render.cuda_statements import Body, ThreadWriter

AS_INTEGERS = {
    "add": "maximum",
    "multiply": "minimum",
    "logical_and": "minimum",
    "logical_or": "maximum",
    "bitwise_and": "minimum",
    "bitwise_or": "maximum",
    "fmax": "maximum",
    "fmin": "minimum",
    "logical_xor": "bitwise_xor",
    "not_equal": "bitwise_xor",
}
"""What an operation on booleans is on the integers 0 and 1."""
UNEVEN = frozenset({"maximum", "minimum", "fmax", "fmin"})
"""Operations that give one of two equal zeros, or of two NaNs: threads that exchange values get
different ones, and may then not go the same way.
"""


class GroupWriter(ThreadWriter):
    """Writes what a group of `group` threads in a block of `threads` does."""

    group = 1
    threads = 1
    turn = ""

    def begin(
        self,
        group: int,
        threads: int,
        guarded: bool,
        rows: dict[Buffer, int] | None = None,
        *,
        written_out: bool = False,
    ) -> None:
        """Start a kernel of such groups; `guarded` where a group may have to stop; of `rows` each
        thread has some elements in registers; loops of few turns are `written_out`.
        """
        self.written_out = written_out
        self.group, self.threads, self.flagged = group, threads, guarded and group > 1
        self.unseen_writes: set[Buffer] = set()
        self.unseen_reads: set[Buffer] = set()
        self.shared: list[str] = []
        self.rows: dict[Buffer, int] = rows or {}

    # Barriers

    def barrier(self) -> None:
        """All threads of the group arrive, and see what the others have written."""
        if self.group == 1:
            return
        if self.group == self.threads:
            self.line("cuda.syncthreads()")
        else:
            self.line("cuda.syncwarp(0xFFFFFFFF)")
        self.unseen_writes.clear()
        self.unseen_reads.clear()

    def meet(self, body: Body) -> None:
        """A barrier where the block touches what other threads may still be at; then note what it
        touches.
        """
        if self.group == 1:
            return
        reads, writes = self.seen_by_others(body)
        if (
            not reads.isdisjoint(self.unseen_writes)
            or not writes.isdisjoint(self.unseen_writes)
            or not writes.isdisjoint(self.unseen_reads)
        ):
            self.barrier()
        self.unseen_reads |= reads
        self.unseen_writes |= writes

    def seen_by_others(self, body: Body) -> tuple[set[Buffer], set[Buffer]]:
        """The memory that a block reads and writes, but for registers."""
        return memory_read(body) - self.rows.keys(), memory_written(body) - self.rows.keys()

    def unseen(self) -> tuple[set[Buffer], set[Buffer]]:
        """What has been read and written since the last barrier."""
        return set(self.unseen_reads), set(self.unseen_writes)

    def leave_unseen(self, unseen: tuple[set[Buffer], set[Buffer]]) -> None:
        """Behind a block that may not have run, its barriers neither: all of that is unseen too."""
        self.unseen_reads |= unseen[0]
        self.unseen_writes |= unseen[1]

    # Statements

    def together(self, body: Body) -> None:
        """The statements of a block, run by the group."""
        if self.group == 1:
            self.run(body)
            return
        for statement in body:
            self.common(statement)

    def common_block(self, body: Body) -> None:
        """The same, indented; `pass` where there are none."""
        outer, self.indent = self.indent, self.indent + "    "
        start = len(self.lines)
        self.together(body)
        if len(self.lines) == start:
            self.line("pass")
        self.indent = outer

    def common(self, statement: Statement) -> None:
        """One statement, run by the group."""
        match statement:
            case Let() | Declare() | Assign() | Reduce():
                self.meet((statement,))
                self.statement(statement)
            case Store() | Update():
                self.meet((statement,))
                self.line("if lane == 0:")
                self.block((statement,))
            case Check() | Reserve():
                self.meet((statement,))
                self.leave(statement)
            case Loop():
                self.group_loop(statement)
            case If(condition, then, otherwise):
                self.meet((If(condition, ()),))
                self.line(f"if {self.value(condition)}:")
                self.branch_together(then, otherwise)
            case While():
                self.group_while(statement)
            case Call():
                self.meet((statement,))
                self.product(statement, "lane", str(self.group))
            case _:
                raise TypeError(f"a group runs no {type(statement).__name__}")

    def branch_together(self, then: Body, otherwise: Body) -> None:
        """Both branches of an `if`; after them, what either has left unseen."""
        before = self.unseen()
        self.common_block(then)
        after = self.unseen()
        self.unseen_reads, self.unseen_writes = before
        if otherwise:
            self.line("else:")
            self.common_block(otherwise)
        self.leave_unseen(after)

    def leave(self, check: Check | Reserve) -> None:
        """The whole group returns where a check fails."""
        condition, code, details = self.failure(check)
        self.line(f"if not ({condition}):")
        outer, self.indent = self.indent, self.indent + "    "
        self.line("if lane == 0:")
        self.indent += "    "
        self.fail(code, details)
        self.indent = outer + "    "
        self.line("return")
        self.indent = outer

    # Loops

    def group_loop(self, loop: Loop) -> None:
        """A loop whose iterations the threads share, or one that they all run."""
        trip = trips_of(loop)
        if trip == 0:
            return
        if is_divided(loop, self.group):
            self.meet((loop,))
            self.share(loop)
            return
        if isinstance(loop.start, Literal) and isinstance(loop.stop, Literal) and trip == 1:
            self.substitution[loop.index] = loop.start
            self.together(loop.body)
            del self.substitution[loop.index]
            return
        self.meet((replace(loop, body=()),))
        if loop.kind == "reduce":
            loop = replace(loop, kind="serial")
        unseen = self.unseen()
        self.line(f"for {self.name(loop.index)} in {self.range(loop)}:")
        self.repeated(loop.body)
        if not constant_trip(loop):
            self.leave_unseen(unseen)

    def repeated(self, body: Body) -> None:
        """A block that runs again and again: what its end leaves unseen meets its beginning."""
        self.common_block(body)
        outer, self.indent = self.indent, self.indent + "    "
        reads, writes = self.seen_by_others(body)
        if not writes.isdisjoint(self.unseen_reads | self.unseen_writes) or not reads.isdisjoint(
            self.unseen_writes
        ):
            self.barrier()
        self.indent = outer

    def group_while(self, loop: While) -> None:
        """`while True`; all threads find the same condition."""
        self.line("while True:")
        outer, self.indent = self.indent, self.indent + "    "
        self.together(loop.test)
        self.meet((If(loop.condition, ()),))
        unseen = self.unseen()
        self.line(f"if not ({self.value(loop.condition)}):")
        self.line("    break")
        self.together(loop.body)
        body = (*loop.test, *loop.body)
        reads, writes = self.seen_by_others(body)
        if not writes.isdisjoint(self.unseen_reads | self.unseen_writes) or not reads.isdisjoint(
            self.unseen_writes
        ):
            self.barrier()
        self.indent = outer
        self.leave_unseen(unseen)

    def share(self, loop: Loop) -> None:
        """Each thread runs every `group`-th iteration of a loop and of those that fill it."""
        nest, zeros = shared_nest(loop)
        self.substitution.update(zeros)
        reduced = reduced_names(nest[-1].body)
        kept = []
        for name, (operation, dtype) in reduced.items():
            own = self.name(name)
            kept.append(self.temporary(own))
            first = literal(identity(operation, dtype), dtype)
            self.line(f"{own} = {self.literal(first.value, dtype)}")
        self.divided(nest)
        for (name, (operation, dtype)), before in zip(reduced.items(), kept, strict=True):
            own = self.name(name)
            self.reduce_group(own, operation, dtype)
            self.line(f"{own} = {self.combine(operation, before, own, dtype)}")
        for name in zeros:
            del self.substitution[name]
        if self.flagged and has_failures(nest[-1].body):
            self.line("if cuda.syncthreads_or(failed) != 0:")
            self.line("    return")
            self.unseen_writes.clear()
            self.unseen_reads.clear()

    def divided(self, nest: list[Loop]) -> None:
        """The loop of a thread over its iterations of a nest.

        Where these are few the loop counts turns that all threads have as many of, so that the
        compiler writes them out, loads first; elements in registers are numbered by turns.
        """
        group = self.group
        full, rest = self.whole_turns(nest)
        if full + rest == 0 and self.total(nest) == str(group):
            self.iteration(nest, "lane", "")
            return
        if full + rest == 0:
            counter = self.fresh("step")
            self.line(f"for {counter} in range(lane, {self.total(nest)}, {group}):")
            self.iteration(nest, counter)
            return
        if full == 1:
            self.turn = "0"
            self.iteration(nest, "lane", "")
        elif full:
            self.turn = self.fresh("turn")
            self.line(f"for {self.turn} in range({full}):")
            self.iteration(nest, f"lane + {self.turn} * {group}")
        if rest:
            self.turn = str(full)
            self.line(f"if lane < {rest}:")
            self.iteration(nest, f"lane + {full * group}" if full else "lane")

    def iteration(self, nest: list[Loop], counter: str, deeper: str = "    ") -> None:
        """What a thread does in an iteration, indented."""
        outer, self.indent = self.indent, self.indent + deeper
        name = counter if counter.isidentifier() else self.temporary(counter)
        self.indices(nest, name)
        self.run(nest[-1].body)
        self.line("pass")
        self.indent = outer

    def whole_turns(self, nest: list[Loop]) -> tuple[int, int]:
        """How many iterations all threads of a group have, and how many have one more; nothing
        where the loop is not written out.
        """
        body, total = nest[-1].body, self.total(nest)
        needed = not (memory_read(body) | memory_written(body)).isdisjoint(self.rows.keys())
        if not needed and not (self.written_out and is_short(nest, self.group)):
            return 0, 0
        return divmod(int(total), self.group)

    def offset(self, buffer: Buffer, indices: tuple[Expression, ...]) -> str:
        """As always, but for registers."""
        return self.turn if buffer.root in self.rows else super().offset(buffer, indices)

    def total(self, nest: list[Loop]) -> str:
        """How many iterations a nest has."""
        parts = [self.extent(loop) for loop in nest]
        known = [int(part) for part in parts if part.isdigit()]
        product = 1
        for number in known:
            product *= number
        others = [f"max({part}, 0)" for part in parts if not part.isdigit()]
        return " * ".join([*([str(product)] if product != 1 or not others else []), *others])

    def extent(self, loop: Loop) -> str:
        """How often a loop runs."""
        start, stop = loop.start, loop.stop
        between = linear_form(stop, {})
        between.add(linear_form(start, {}), -1)
        if not between.terms:
            return str(max(0, between.constant))
        if isinstance(start, Literal) and start.value == 0:
            return self.short(stop)
        return f"({self.short(stop)} - {self.atom(start)})"

    def indices(self, nest: list[Loop], counter: str) -> None:
        """The lines that find the indices of a nest from one counter through all of it.

        Where that fits into 32 bits it is divided as such a number: 64 take several times as long.
        """
        total = self.total(nest)
        if len(nest) > 1 and total.isdigit() and int(total) <= 2**31:
            self.short_indices(nest, counter)
            return
        rest = counter
        for position in range(len(nest) - 1, -1, -1):
            loop = nest[position]
            extent = self.extent(loop)
            if not extent.isdigit() and not extent.isidentifier():
                extent = self.temporary(extent)
            value = rest if position == 0 else f"{rest} % {extent}"
            if extent == "1":
                value = "0"
            if not (isinstance(loop.start, Literal) and loop.start.value == 0):
                value = f"{self.atom(loop.start)} + {value}"
            self.line(f"{self.name(loop.index)} = {value}")
            if position:
                rest = self.temporary(f"{rest} // {extent}") if extent != "1" else rest

    def short_indices(self, nest: list[Loop], counter: str) -> None:
        """The same with numbers of 32 bits, for loops between literals."""
        rest = self.temporary(f"np.uint32({counter})")
        for position in range(len(nest) - 1, -1, -1):
            loop = nest[position]
            extent = f"np.uint32({self.extent(loop)})"
            value = f"np.int64({rest} % {extent})" if position else f"np.int64({rest})"
            if not (isinstance(loop.start, Literal) and loop.start.value == 0):
                value = f"{self.atom(loop.start)} + {value}"
            self.line(f"{self.name(loop.index)} = {value}")
            if position:
                rest = self.temporary(f"np.uint32({rest} // {extent})")

    # Reductions

    def reduce_group(self, name: str, operation: str, dtype: DType) -> None:
        """The value of `name` of all threads, put together, in each of them."""
        if dtype.kind == "b":
            whole = self.temporary(f"np.int32({name})")
            self.reduce_group(whole, AS_INTEGERS.get(operation, operation), np.dtype(np.int32))
            self.line(f"{name} = {whole} != 0")
            return
        steps = min(self.group, self.machine.warp).bit_length() - 1
        mask = self.fresh("mask")
        self.line(f"for {mask} in range({steps}):")
        outer, self.indent = self.indent, self.indent + "    "
        other = self.shuffled(name, f"{1 << steps >> 1} >> {mask}", dtype)
        self.line(f"{name} = {self.combine(operation, name, other, dtype)}")
        self.indent = outer
        if self.group > self.machine.warp:
            self.reduce_warps(name, operation, dtype)
        elif operation in UNEVEN and dtype.kind in "fc":
            self.line(f"{name} = {self.shuffled(name, '0', dtype, 'shfl_sync')}")

    def shuffled(self, name: str, mask: str, dtype: DType, way: str = "shfl_xor_sync") -> str:
        """The value of `name` in the thread whose number differs in the bit `mask`; by `shfl_sync`
        in that with this number.
        """
        call = f"cuda.{way}(0xFFFFFFFF, "
        if dtype.kind == "c":
            parts = [self.temporary(f"{call}{name}.{part}, {mask})") for part in ("real", "imag")]
            return self.temporary(f"np.{dtype.name}(complex({parts[0]}, {parts[1]}))")
        if dtype.kind == "f" and dtype.itemsize > 2:
            return self.temporary(f"{call}{name}, {mask})")
        wide = "float32" if dtype.kind == "f" else "int64" if dtype.itemsize == 8 else "int32"
        return self.temporary(f"np.{dtype.name}({call}np.{wide}({name}), {mask}))")

    def reduce_warps(self, name: str, operation: str, dtype: DType) -> None:
        """The values of the warps of a block, put together in their order."""
        warps = self.threads // self.machine.warp
        array = self.fresh("part")
        self.shared.append(f"{array} = cuda.shared.array({warps}, np.{dtype.name})")
        self.line(f"if lane % {self.machine.warp} == 0:")
        self.line(f"    {array}[lane // {self.machine.warp}] = {name}")
        self.line("cuda.syncthreads()")
        self.line(f"{name} = {array}[0]")
        warp = self.fresh("warp")
        self.line(f"for {warp} in range(1, {warps}):")
        outer, self.indent = self.indent, self.indent + "    "
        self.line(f"{name} = {self.combine(operation, name, f'{array}[{warp}]', dtype)}")
        self.indent = outer
        self.line("cuda.syncthreads()")
        self.unseen_reads.clear()
        self.unseen_writes.clear()


def reduced_names(body: Body) -> dict[str, tuple[str, DType]]:
    """The scalars from outside that a block reduces into, with operation and dtype."""
    own = {
        part.name
        for outer in body
        for part in statements((outer,))
        if isinstance(part, (Let, Declare))
    }
    return {
        part.name: (part.operation, part.value.dtype)
        for outer in body
        for part in statements((outer,))
        if isinstance(part, Reduce) and part.name not in own
    }
