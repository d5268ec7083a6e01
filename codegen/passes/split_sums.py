"""Reductions with too few results to keep a device busy, in two stages: chunks first, which many
blocks reduce at the same time, then what the chunks gave, in their order. How many chunks there are
depends on the sizes and the machine alone, so that results are the same bits every time.

Four shapes of them:

- `full`: a reduction which no parallel loop surrounds. Nested loops of it become one, and a block
  of threads reduces a range of it.
- `rows`: in few parallel iterations, each of which walks through memory in order: the same.
- `columns`: neighbouring parallel iterations read neighbours. A thread of a chunk reduces every
  C-th element, so that the threads of all chunks together read memory in order.
- `each`: iterations with loops inside, which keep a block busy: each is a chunk.

What surrounds a reduction in parallel loops is cut into nests before, for, and behind it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.build import integer, operation
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Declare,
    Expression,
    If,
    Let,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Store,
    Variable,
    While,
)
from codegen.loops.operations import DType
from codegen.loops.walk import statements
from codegen.passes.chunks import (
    Names,
    first_of,
    flattened,
    neutral,
    perfect_nest,
    plus,
    position,
    retarget,
    strides_along,
    times,
    trips,
    wrap,
)
from codegen.passes.fission import Part, apart, cut, is_distinct
from codegen.passes.parallel import Independent, buffer_uses, independent_body
from codegen.passes.rewrite import Body, map_blocks, rename
from codegen.passes.unused import remove_unused
from tracer.types import INT64


def split_sums(program: Program, machine: DeviceMachine) -> Program:
    """The program with such reductions in two stages."""
    splitter = _Splitter(Names(program), machine, buffer_uses(program.body))
    body = splitter.block(program.body)
    if not splitter.changed:
        return program
    return remove_unused(splitter.names.finish(program, body))


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a reduction is split: its shape, the loop, chunks, iterations of each, its sums."""

    shape: str
    loop: Loop
    chunks: int
    each: int
    sums: dict[str, tuple[str, DType]]


class _Splitter:
    def __init__(self, names: Names, machine: DeviceMachine, uses: Counter[Buffer]) -> None:
        self.names, self.machine, self.uses = names, machine, uses
        self.changed = False

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop) and statement.kind == "reduce":
                result.extend(self.full(statement))
            elif isinstance(statement, Loop) and statement.kind == "parallel":
                result.extend(self.nest(statement))
            elif isinstance(statement, If | While) or (
                isinstance(statement, Loop) and statement.kind == "serial"
            ):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def full(self, loop: Loop) -> Sequence[Statement]:
        """A reduction that no parallel loop surrounds."""
        plan = self.plan(loop, ())
        if plan is None:
            return (loop,)
        self.changed = True
        inner, body, combine = self.stages(plan, ())
        first = wrap(inner, body)
        assert isinstance(first, Loop), "a nest of loops"
        return self.block((first, combine)) if plan.shape == "each" else (first, combine)

    def nest(self, loop: Loop) -> Sequence[Statement]:
        """Parallel loops, perhaps with reductions inside."""
        nest = perfect_nest(loop, "parallel")
        if not nest or not 0 < trips(nest) < self.machine.processors * self.machine.threads:
            return (loop,)
        if work_of((loop,)) < self.machine.small or not is_distinct(loop):
            return (loop,)
        body = apart(nest, self.uses, self.names)
        if body is None:
            return (loop,)
        parts, again = self.parts(nest, body)
        if not any(part.inner for part in parts):
            return (loop,)
        self.changed = True
        result = tuple(cut(nest, parts, self.names))
        return self.block(result) if again else result

    def parts(self, nest: Sequence[Loop], body: Body) -> tuple[list[Part], bool]:
        """The body of a nest in parts; and whether some of them may be split further."""
        parts: list[Part] = []
        light: list[Statement] = []
        again = False
        for statement in body:
            if not isinstance(statement, Loop) or constant_trip(statement) is None:
                light.append(statement)
                continue
            if statement.kind == "reduce":
                plan = self.plan(statement, nest)
                if plan is not None:
                    inner, chunk, combine = self.stages(plan, nest)
                    parts += [
                        Part(tuple(light)),
                        Part(chunk, tuple(inner), plan.shape == "columns"),
                    ]
                    light = [combine]
                    # What many chunks gave is again a long reduction.
                    again = again or plan.shape == "each" or self.is_long_row(plan.chunks)
                    continue
            elif statement.kind == "parallel" and self.is_long(statement, nest) and len(body) > 1:
                inner = perfect_nest(statement, "parallel")
                columns = _is_columns(nest, inner[-1])
                parts += [Part(tuple(light)), Part(inner[-1].body, tuple(inner), columns)]
                light = []
                again = True
                continue
            light.append(statement)
        return [part for part in [*parts, Part(tuple(light))] if part.body], again

    def is_long(self, loop: Loop, nest: Sequence[Loop]) -> bool:
        """Whether a parallel loop is to have a nest of its own: the nest without it is too small
        for the device, and with it is not."""
        if work_of((loop,)) * trips(nest) < self.machine.small:
            return False
        few = _is_columns(nest, perfect_nest(loop, "parallel")[-1]) or (
            trips(nest) < self.machine.processors
        )
        return few and self.is_long_row(trips(perfect_nest(loop, "parallel")))

    def is_long_row(self, count: int) -> bool:
        """Whether so many iterations are much for one block."""
        return count > 16 * self.machine.threads

    def plan(self, loop: Loop, nest: Sequence[Loop]) -> _Plan | None:
        """How a reduction inside of a nest is split; None where it stays."""
        machine = self.machine
        around = trips(nest)
        inner = perfect_nest(loop, "reduce")
        if not inner or trips(inner) < 2 or around * work_of((loop,)) < machine.small:
            return None
        sums = self.sums(inner)
        if sums is None:
            return None
        if _widest(inner[-1].body) > machine.warp:  # loops inside of the innermost one
            return self.plan_each(inner, around, sums)
        columns = bool(nest) and _is_columns(nest, inner[-1])
        flat, made = (inner[0], True) if len(inner) == 1 else self.flat(inner)
        if not made:
            return self.plan_each(inner[:1], around, sums)
        total = constant_trip(flat) or 0
        if columns:
            most = min(machine.blocks * machine.threads // around, total // _least(machine))
            shape = "columns"
        elif around < machine.processors and (not nest or self.is_long_row(total)):
            most = min(machine.blocks // around, total // (4 * machine.threads))
            shape = "rows" if nest else "full"
        else:
            return None
        if most < 2:
            return None
        each = -(-total // most)
        return _Plan(shape, flat, -(-total // each), each, sums)

    def sums(self, nest: Sequence[Loop]) -> dict[str, tuple[str, DType]] | None:
        """The reductions of a nest whose iterations are independent; None for others."""
        found: Independent | None = None
        for loop in nest:
            found = independent_body(loop.index, loop.body, self.uses)
            if found is None or not self.names.added.isdisjoint(found.private):
                return None
        return found.reductions or None if found else None

    def flat(self, inner: Sequence[Loop]) -> tuple[Loop, bool]:
        """A nest as one loop; False where one by one its outer iterations keep a block busy, and
        one loop would have to divide."""
        loop = flattened(inner, self.names)
        divides = isinstance(loop.body[0], Let) and loop.index not in {p.index for p in inner}
        return loop, not divides or trips(inner[1:]) <= 4 * self.machine.threads

    def plan_each(
        self, inner: Sequence[Loop], around: int, sums: dict[str, tuple[str, DType]]
    ) -> _Plan | None:
        """Iterations that are chunks: of the outermost loop of several."""
        count = constant_trip(inner[0]) or 0
        if count < 2 or around >= self.machine.blocks:
            return None
        return _Plan("each", inner[0], count, 1, sums)

    def stages(self, plan: _Plan, nest: Sequence[Loop]) -> tuple[list[Loop], Body, Statement]:
        """The loop over chunks and what it holds, and the loop that combines what they give."""
        own = {name: self.names.fresh("s") for name in plan.sums}
        renamed: dict[str, Expression] = {
            name: Variable(own[name], dtype) for name, (_, dtype) in plan.sums.items()
        }
        body = rename(retarget(plan.loop.body, own), renamed)
        chunk, inside = self.chunk(plan, body)
        where = (*[position(loop) for loop in nest], position(chunk))
        extents = tuple([constant_trip(loop) or 0 for loop in (*nest, chunk)])
        second = Variable(self.names.fresh("i"), INT64)
        declares: list[Statement] = []
        stores: list[Statement] = []
        combined: list[Statement] = []
        for name, (combiner, dtype) in plan.sums.items():
            partial: Buffer = self.names.workspace(dtype, extents)
            declares.append(Declare(own[name], neutral(combiner, dtype)))
            stores.append(Store(partial, where, Variable(own[name], dtype)))
            value = Load(partial, (*where[:-1], second))
            combined.append(Reduce(name, combiner, value))
        combine = Loop(second.name, integer(0), integer(plan.chunks), tuple(combined), "reduce")
        return [chunk], (*declares, *inside, *stores), combine

    def chunk(self, plan: _Plan, body: Body) -> tuple[Loop, Body]:
        """The loop over chunks, and the loop through one of them."""
        loop = plan.loop
        if plan.shape == "each":
            return replace(loop, kind="parallel", reverse=False), body
        chunk = Variable(self.names.fresh("i"), INT64)
        over = Loop(chunk.name, integer(0), integer(plan.chunks), (), "parallel")
        start, total = first_of(loop), constant_trip(loop) or 0
        if plan.shape == "columns":
            step = Variable(self.names.fresh("i"), INT64)
            here = plus(plus(times(step, plan.chunks), chunk), integer(start))
            full = total - (plan.each - 1) * plan.chunks  # chunks with as many as the first
            count: Expression = integer(plan.each)
            if full < plan.chunks:
                has_last = operation("less", chunk, integer(full))
                count = operation("select", has_last, count, integer(plan.each - 1))
            inside = Loop(step.name, integer(0), count, (Let(loop.index, here), *body), "reduce")
            return over, (inside,)
        first = Variable(self.names.fresh("v"), INT64)
        last = Variable(self.names.fresh("v"), INT64)
        end = operation("minimum", plus(first, integer(plan.each)), integer(start + total))
        inside = replace(loop, start=first, stop=last, body=body, reverse=False)
        begin = plus(times(chunk, plan.each), integer(start))
        return over, (Let(first.name, begin), Let(last.name, end), inside)


def _least(machine: DeviceMachine) -> int:
    """Iterations of a chunk that one thread runs, at least."""
    return max(4, machine.threads // 4)


def _is_columns(nest: Sequence[Loop], inner: Loop) -> bool:
    """Whether neighbouring iterations of a nest, not of the loop in it, touch neighbours."""
    moving = [loop for loop in nest if (constant_trip(loop) or 0) > 1]
    if not moving:
        return False
    columns, rows = strides_along(inner.body, moving[-1].index, inner.index)
    return columns > rows


def _widest(body: Body) -> float:
    """The most iterations of a loop in a block; infinitely many where they are not known."""
    found = [constant_trip(part) for part in statements(body) if isinstance(part, Loop)]
    return max((math.inf if trip is None else trip for trip in found), default=0)
