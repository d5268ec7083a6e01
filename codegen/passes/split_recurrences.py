"""Long serial loops that carry linear recurrences, `s = a·s + b`, in chunks, for a device.

What a chunk does to s is linear, too: a product of a's, and what it makes of 0. So these are found
first, for all chunks at once; then for chunks of chunks, until few are left; then what s is before
each of those, and down again; at last each chunk runs the loop's own statements from there. Sums
that depend on s and that the loop only adds to are added up in each chunk, and then over all.

The order is fixed by the sizes and the machine. Results differ from those of one loop by rounding.
Where a product or a result overflows, or an operand is not finite, the loop runs as it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.build import integer, literal
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Buffer,
    Declare,
    If,
    Let,
    Load,
    Loop,
    Program,
    Reduce,
    Statement,
    Variable,
    While,
)
from codegen.loops.operations import BOOL
from codegen.loops.walk import expressions, statements
from codegen.passes.chunks import (
    Names,
    perfect_nest,
    strides_along,
    trips,
    wrap,
)
from codegen.passes.fission import Part, apart, cut, is_distinct
from codegen.passes.parallel import buffer_uses
from codegen.passes.recalled import recalled
from codegen.passes.recurrence_stages import Plan, StageWriter
from codegen.passes.recurrences import carried_by
from codegen.passes.rewrite import Body, map_blocks
from codegen.passes.scan_tiles import find_tiles
from codegen.passes.unused import remove_unused
from tracer.types import INT64

FEWEST = 8
"""Times a block's threads: iterations from which on a loop is worth the launches of all stages."""


def split_recurrences(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops in chunks."""
    uses, reads = buffer_uses(program.body), _reads(program.body)
    splitter = _Splitter(Names(program), machine, uses, reads)
    body = splitter.block(program.body)
    if not splitter.changed:
        return program
    return remove_unused(splitter.names.finish(program, body))


def _reads(body: Body) -> Counter[str]:
    """How often a block reads scalars, or reduces into them."""
    found = Counter(part.name for part in expressions(body) if isinstance(part, Variable))
    found.update(part.name for part in statements(body) if isinstance(part, Reduce))
    return found


class _Splitter:
    def __init__(
        self, names: Names, machine: DeviceMachine, uses: Counter[Buffer], reads: Counter[str]
    ) -> None:
        self.names, self.machine, self.uses, self.reads = names, machine, uses, reads
        self.changed = False

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in self.recalled(body, ()):
            if isinstance(statement, Loop) and statement.kind == "parallel":
                result.extend(self.nest(statement))
            elif isinstance(statement, Loop) and (plan := self.plan(statement, ())) is not None:
                result.extend(self.split((), [statement], [plan]))
            elif isinstance(statement, If | While) or (
                isinstance(statement, Loop) and statement.kind == "serial"
            ):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def nest(self, loop: Loop) -> Sequence[Statement]:
        """Parallel loops, perhaps with such a loop inside."""
        nest = tuple(perfect_nest(loop, "parallel"))
        again = self.recalled(nest[-1].body, nest) if nest else ()
        if nest and again is not nest[-1].body:
            nest = (*nest[:-1], replace(nest[-1], body=again))
            loop = nest[-1]
            for part in reversed(nest[:-1]):
                loop = replace(part, body=(loop,))
        if not nest or not any(self.plan(part, nest) for part in nest[-1].body):
            return (loop,)
        body = apart(nest, self.uses, self.names) if is_distinct(loop) else None
        if body is None:
            return (loop,)
        return self.split(nest, body, [self.plan(part, nest) for part in body])

    def recalled(self, body: Body, nest: tuple[Loop, ...]) -> Body:
        """The block, in which loops that carry a recurrence in memory do so in a scalar."""
        result: list[Statement] = []
        for statement in body:
            made: Body = (statement,)
            if (
                isinstance(statement, Loop)
                and (constant_trip(statement) or 0) >= FEWEST * self.machine.threads
                and self.plan(statement, nest) is None
            ):
                made = recalled(statement, self.names)
                if not any(self.plan(part, nest) for part in made):
                    made = (statement,)
                for name, count in _reads(made).items():
                    self.reads.setdefault(name, count)
            result += made
        same = len(result) == len(body) and all(a is b for a, b in zip(result, body, strict=True))
        return body if same else tuple(result)

    def plan(self, loop: Statement, nest: tuple[Loop, ...]) -> Plan | None:
        """How a loop inside of a nest is split; None where it stays."""
        machine, around = self.machine, trips(nest)
        if not isinstance(loop, Loop) or loop.kind != "serial":
            return None
        count = constant_trip(loop) or 0
        if count < FEWEST * machine.threads or around * work_of((loop,)) < machine.small:
            return None
        # Loops that are many fill the device as they are, and read their operands once.
        if not 0 < 4 * around <= machine.processors * machine.threads:
            return None
        carried = carried_by(loop)
        if carried is None:
            return None
        moving = [part.index for part in nest if (constant_trip(part) or 0) > 1]
        columns = False
        if moving:
            along, across = strides_along(loop.body, moving[-1], loop.index)
            columns = along > across
        tiles = None if columns else find_tiles(loop, (), machine)
        each = max(4, machine.threads // 8)
        if tiles is None:
            most = max(1, machine.blocks * machine.threads // around)
            each = chunk = max(each, -(-count // most))
            counts = [count, -(-count // chunk)]
        else:
            chunk = tiles.each
            counts = [count, -(-count // tiles.size) * tiles.threads]
        while counts[-1] > 2 * each:
            counts.append(-(-counts[-1] // each))
        own = _reads((loop,))
        wanted = frozenset(name for name in own if self.reads[name] > own[name])
        return Plan(loop, carried, nest, chunk, each, tuple(counts), columns, tiles, wanted)

    def split(
        self, nest: tuple[Loop, ...], body: Sequence[Statement], plans: Sequence[Plan | None]
    ) -> list[Statement]:
        """The statements of a nest's body, of which some are such loops, as nests of their own."""
        self.changed = True
        parts: list[Part] = []
        branches: list[tuple[int, int, int, int, Buffer | None]] = []
        light: list[Statement] = []
        for statement, plan in zip(body, plans, strict=True):
            if plan is None:
                light.append(statement)
                continue
            stages = StageWriter(self.names, plan).stages()
            known = len(parts) + stages.known
            parts += [Part((*light, *stages.before[0].body)), *stages.before[1:]]
            first = len(parts)
            parts += [*stages.then, *stages.otherwise]
            branches.append((known, first, first + len(stages.then), len(parts), stages.fine))
            light = list(stages.after)
        parts.append(Part(tuple(light)))
        return self.joined(nest, _written(nest, parts, self.names), branches)

    def joined(
        self,
        nest: tuple[Loop, ...],
        written: list[list[Statement]],
        branches: Sequence[tuple[int, int, int, int, Buffer | None]],
    ) -> list[Statement]:
        """What the parts became, with those in branches that are: `known` parts before it is known
        which, `first` and `middle` where the branches start, `last` where they end."""
        result: list[Statement] = []
        done = 0

        def take(start: int, stop: int) -> list[Statement]:
            return [one for part in written[start:stop] for one in part]

        for known, first, middle, last, fine in branches:
            result += take(done, known)
            if fine is None:
                result += take(known, middle)
            else:
                condition = Variable(self.names.fresh("v"), BOOL)
                result += self.all_fine(nest, fine, condition.name)
                result += take(known, first)
                result.append(If(condition, tuple(take(first, middle)), tuple(take(middle, last))))
            done = last
        return result + take(done, len(written))

    def all_fine(self, nest: tuple[Loop, ...], fine: Buffer, name: str) -> list[Statement]:
        """Whether all iterations of a nest say so, under a name."""
        if not nest:
            return [Let(name, Load(fine, ()))]
        both = self.names.fresh("s")
        inner: list[Loop] = [
            Loop(self.names.fresh("i"), integer(0), integer(extent), (), "reduce")
            for extent in fine.shape
        ]
        indices = tuple([Variable(part.index, INT64) for part in inner])
        body: Statement = Reduce(both, "logical_and", Load(fine, indices))
        for part in reversed(inner):
            body = replace(part, body=(body,))
        return [Declare(both, literal(True, BOOL)), body, Let(name, Variable(both, BOOL))]


def _written(nest: tuple[Loop, ...], parts: list[Part], names: Names) -> list[list[Statement]]:
    """The statements of each part."""
    if nest:
        whole, count = cut(nest, parts, names), len(parts) - 1  # the last may come to nothing
        return [*([one] for one in whole[:count]), whole[count:]]
    return [
        [wrap(list(part.inner), part.body)] if part.inner else list(part.body) for part in parts
    ]
