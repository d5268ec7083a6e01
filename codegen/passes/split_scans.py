"""Long serial loops that carry running sums, products and extremes, for a device: each loop of N
iterations becomes one that finds what chunks of it add up to, a loop of N / K iterations through
those, which is treated likewise while it is long, and one that runs the chunks, each from what all
before it add up to. The order is fixed by the sizes and the machine.

A running value is that of some order of the same operations, as in a sum with several accumulators;
integers, extremes, NaN and infinities in the operands come out as in one loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.build import integer, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Operation,
    Program,
    Reduce,
    Statement,
    Store,
    Update,
    Variable,
    While,
)
from codegen.loops.walk import own_expressions, statements, subexpressions
from codegen.passes.chunks import (
    Names,
    chunk_bounds,
    neutral,
    perfect_nest,
    position,
    retarget,
    strides_along,
    trips,
    wrap,
)
from codegen.passes.effects import written_in
from codegen.passes.fission import Part, apart, cut, is_distinct
from codegen.passes.parallel import REAL_REDUCTIONS, buffer_uses, independent_body
from codegen.passes.rewrite import Body, map_blocks, rename, substitute
from codegen.passes.scan_tiles import Running, Tiles, TileWriter, find_tiles
from codegen.passes.unused import remove_unused
from tracer.types import INT64

SCANNED = REAL_REDUCTIONS - {"bitwise_xor"}


def split_scans(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops in chunks."""
    splitter = _Splitter(Names(program), machine, buffer_uses(program.body))
    body = splitter.block(program.body)
    if not splitter.changed:
        return program
    return remove_unused(splitter.names.finish(program, body))


@dataclass(frozen=True, slots=True)
class _Plan:
    """A loop in chunks of `each` iterations: what it carries, and the statements that its running
    values' terms are computed with. `columns`: neighbours in memory are in other iterations of the
    loops around it."""

    loop: Loop
    running: tuple[Running, ...]
    terms: Body
    each: int
    chunks: int
    columns: bool


class _Splitter:
    def __init__(self, names: Names, machine: DeviceMachine, uses: Counter[Buffer]) -> None:
        self.names, self.machine, self.uses = names, machine, uses
        self.changed = False
        self.totals: set[str] = set()  # loops through totals, which are split while they are long

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            plan = None
            if isinstance(statement, Loop) and statement.kind == "parallel":
                result.extend(self.nest(statement))
            elif isinstance(statement, Loop) and (plan := self.plan(statement, ())) is not None:
                self.changed = True
                for part in self.stages(plan, ()):
                    inner = list(part.inner)
                    result.extend((wrap(inner, part.body),) if inner else self.block(part.body))
            elif isinstance(statement, If | While) or (
                isinstance(statement, Loop) and statement.kind == "serial"
            ):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def nest(self, loop: Loop) -> Sequence[Statement]:
        """Parallel loops, perhaps with such a loop inside."""
        nest = perfect_nest(loop, "parallel")
        if not nest or not 0 < trips(nest) < self.machine.processors * self.machine.threads:
            return (loop,)
        if all(self.plan(part, nest) is None for part in _loops(nest[-1].body)):
            return (loop,)
        body = apart(nest, self.uses, self.names) if is_distinct(loop) else None
        if body is None:
            return (loop,)
        parts: list[Part] = []
        light: list[Statement] = []
        for statement in body:
            plan = self.plan(statement, nest) if isinstance(statement, Loop) else None
            if plan is None:
                light.append(statement)
                continue
            parts += [Part(tuple(light)), *self.stages(plan, nest)]
            light = []
        self.changed = True
        parts = [part for part in (*parts, Part(tuple(light))) if part.body]
        return self.block(tuple(cut(nest, parts, self.names)))

    def plan(self, loop: Loop, nest: Sequence[Loop]) -> _Plan | None:
        """How a loop inside of a nest is split; None where it stays."""
        machine, count = self.machine, constant_trip(loop)
        if loop.kind != "serial" or count is None:
            return None
        around = trips(nest)
        each = max(4, machine.threads // 8)
        if loop.index in self.totals:
            enough = count > 2 * each
        else:
            enough = count >= 8 * machine.threads
            enough = enough and around * work_of((loop,)) >= machine.small
        if not enough:
            return None
        running = running_values(loop)
        terms = terms_of(loop, running) if running else None
        if not running or terms is None:
            return None
        moving = [part.index for part in nest if (constant_trip(part) or 0) > 1]
        columns = False
        if moving:
            along, across = strides_along(loop.body, moving[-1], loop.index)
            columns = along > across
        if columns:
            most = max(1, machine.blocks * machine.threads // around)
            each = max(each, -(-count // most))
        if 2 * each > count:
            return None
        return _Plan(loop, running, terms, each, -(-count // each), columns)

    def stages(self, plan: _Plan, nest: Sequence[Loop]) -> list[Part]:
        """Totals of chunks; what stands before each; the loop from there."""
        loop = plan.loop
        tiles = None if plan.columns else find_tiles(loop, plan.running, self.machine)
        if tiles is not None:
            chunks = -(-(constant_trip(loop) or 0) // tiles.size)
            plan = replace(plan, each=tiles.size, chunks=chunks)
        chunk = Variable(self.names.fresh("i"), INT64)
        over = Loop(chunk.name, integer(0), integer(plan.chunks), (), "parallel")
        around = [position(part) for part in nest]
        where = (chunk, *around) if plan.columns else (*around, chunk)
        extents = [constant_trip(part) or 0 for part in nest]
        extents.insert(0 if plan.columns else len(nest), plan.chunks)
        first: list[Statement] = []
        steps: list[Statement] = []
        totals: list[Statement] = []
        scanned: list[Statement] = []
        starts: list[Statement] = []
        own: dict[str, str] = {}
        for one in plan.running:
            total: Buffer = self.names.workspace(one.dtype, tuple(extents))
            before: Buffer = self.names.workspace(one.dtype, tuple(extents))
            name, carried = self.names.fresh("s"), Variable(one.name, one.dtype)
            own[one.name] = self.names.fresh("s")
            first.append(Declare(name, neutral(one.operation, one.dtype)))
            steps.append(Reduce(name, one.operation, one.value))
            totals.append(Store(total, where, Variable(name, one.dtype)))
            scanned.append(Store(before, where, carried))
            following = operation(one.operation, carried, Load(total, where))
            scanned.append(Assign(one.name, following))
            starts.append(Declare(own[one.name], Load(before, where)))
        bounds, begin, end = chunk_bounds(self.names, loop, plan.each, plan.chunks, chunk)
        adding = replace(
            loop, start=begin, stop=end, body=(*plan.terms, *steps), kind="reduce", reverse=False
        )
        renamed: dict[str, Expression] = {
            one.name: Variable(own[one.name], one.dtype) for one in plan.running
        }
        body = rename(retarget(loop.body, own), renamed)
        running = replace(loop, start=begin, stop=end, body=body)
        self.totals.add(chunk.name)
        last: Body = (*starts, *bounds, running)
        if tiles is not None:
            last = self.tile(plan, tiles, own, replace(loop, body=body), chunk, starts)
        return [
            Part((*first, *bounds, adding, *totals), (over,), plan.columns),
            Part((replace(over, body=tuple(scanned), kind="serial"),)),
            Part(last, (over,), plan.columns),
        ]

    def tile(
        self,
        plan: _Plan,
        tiles: Tiles,
        own: dict[str, str],
        loop: Loop,
        chunk: Expression,
        starts: Sequence[Statement],
    ) -> Body:
        """A chunk, the loop from what stands before it, as a tile of a block's."""
        running = tuple([replace(one, name=own[one.name]) for one in plan.running])
        before = {
            start.name: start.value
            for start in starts
            if isinstance(start, Declare) and isinstance(start.value, Load)
        }
        return TileWriter(
            self.names, tiles, loop, running, plan.terms, chunk, plan.chunks, before
        ).write()


def _loops(body: Body) -> list[Loop]:
    return [part for part in body if isinstance(part, Loop)]


def carried_assigns(loop: Loop) -> list[Assign] | None:
    """The assignments of what a loop carries from one iteration to the next, one a scalar and each
    of them run once in an iteration; None where there is more to it, or iterations meet in memory.
    """
    own = {part.name for part in statements(loop.body) if isinstance(part, Let | Declare)}
    assigns = [
        part for part in statements(loop.body) if isinstance(part, Assign) and part.name not in own
    ]
    carried = {part.name: part.value.dtype for part in assigns}
    if not assigns or len(carried) < len(assigns):
        return None
    if any(isinstance(p, Reduce) and p.name not in own for p in statements(loop.body)):
        return None
    if any(all(part is not one for part in loop.body) for one in assigns):
        return None  # in a branch, or in a loop inside
    zeros = [Declare(name, neutral("add", dtype)) for name, dtype in carried.items()]
    found = independent_body(loop.index, (*zeros, *loop.body), Counter())
    return None if found is None or found.private or found.reductions else assigns


def running_values(loop: Loop) -> tuple[Running, ...] | None:
    """What a loop carries, if that is running values only."""
    assigns = carried_assigns(loop)
    if assigns is None:
        return None
    result = []
    for one in assigns:
        running = _recurrence(loop.body, one, {one.name for one in assigns})
        if running is None:
            return None
        result.append(running)
    return tuple(result)


def _recurrence(body: Body, assign: Assign, carried: set[str]) -> Running | None:
    """An assignment as a running value: what it combines the value before it with."""
    values: dict[str, Expression] = {}  # of scalars that depend on what is carried
    done: set[str] = set()
    for part in body:
        if part is assign:
            break
        if isinstance(part, Assign):
            done.add(part.name)
        elif isinstance(part, Let) and names_in(part.value) & (carried | values.keys()):
            if names_in(part.value) & done:  # another's new value, which stands for itself
                values[part.name] = Variable(part.name, part.value.dtype)
            else:
                values[part.name] = substitute(part.value, values)
        elif not isinstance(part, Let | Store | Update) and names_read(part) & (
            carried | values.keys()
        ):
            return None  # its results might depend on what is carried
    found = running_term(assign.name, substitute(assign.value, values))
    if found is None or names_in(found.value) & (carried | values.keys()):
        return None
    return found


def running_term(scalar: str, value: Expression) -> Running | None:
    """What a scalar is combined with in its new value, if that is one operation."""
    if not isinstance(value, Operation) or len(value.operands) != 2:
        return None
    before = Variable(scalar, value.dtype)
    left, right = value.operands
    name, term = value.name, right if left == before else left
    if before not in (left, right):
        return None
    if name == "subtract" and left == before and term.dtype.kind != "b":
        name, term = "add", operation("negative", term)
    known = name == "add" if term.dtype.kind == "c" else name in SCANNED
    if not known or value.dtype != before.dtype or term.dtype != before.dtype:
        return None
    return Running(scalar, name, term)


def terms_of(
    loop: Loop, running: Sequence[Running], read_first: Collection[Buffer] = ()
) -> Body | None:
    """The statements of a loop that the terms of its running values need; None where they do more
    than compute scalars, or read what the loop writes, but for memory that is `read_first`."""
    needed = {name for one in running for name in names_in(one.value)}
    written = written_in(loop.body)
    own = {one.name for one in running}
    kept: list[Statement] = []
    assigns = {id(part) for part in loop.body if isinstance(part, Assign) and part.name in own}
    before = len(assigns)  # running values that change before a statement
    for part in reversed(loop.body):
        if id(part) in assigns:
            before -= 1
            continue
        if needed.isdisjoint(written_in((part,))):
            continue
        if any(isinstance(inner, Store | Update) for inner in statements((part,))):
            return None
        if before and not isinstance(part, Let):
            return None  # it might change what a term has been computed with
        needed |= names_read(part)
        kept.insert(0, part)
    loads = [
        part.buffer.root
        for value in (*[one.value for one in running], *_values(tuple(kept)))
        for part in subexpressions(value)
        if isinstance(part, Load)
    ]
    if any(root in written and root not in read_first for root in loads):
        return None
    if not needed.isdisjoint(own):
        return None
    return tuple(kept)


def _values(body: Body) -> list[Expression]:
    return [value for part in statements(body) for value in own_expressions(part)]


def names_in(value: Expression) -> set[str]:
    """The scalars in an expression."""
    return {part.name for part in subexpressions(value) if isinstance(part, Variable)}


def names_read(statement: Statement) -> set[str]:
    """The scalars that a statement reads."""
    return {name for value in _values((statement,)) for name in names_in(value)}
