"""Running sums along many rows, each by a group of threads, for a device.

A thread that goes through a row reads a row's length apart from its neighbours. Rows of up to some
thousand elements are tiles instead (see `scan_tiles`): read side by side, added up in shared memory
and written side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

from codegen.device.machine import DeviceMachine
from codegen.device.work import work_of
from codegen.loops.build import integer
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import (
    Expression,
    If,
    Loop,
    Program,
    Statement,
    Variable,
    While,
)
from codegen.loops.walk import expressions, statements
from codegen.passes.chunks import Names, perfect_nest, retarget, strides_along, trips, wrap
from codegen.passes.rewrite import Body, map_blocks, rename
from codegen.passes.scan_tiles import Running, TileWriter, row_tile
from codegen.passes.split_scans import running_values, terms_of

SHORTEST = 64
"""Elements of rows that single threads go through, at most, with rows brought near."""
SHORTEST_SIMULATED = 8


def row_scans(program: Program, machine: DeviceMachine) -> Program:
    """The program with such loops in tiles."""
    writer = _Writer(Names(program), machine)
    body = writer.block(program.body)
    return writer.names.finish(program, body) if writer.changed else program


class _Writer:
    def __init__(self, names: Names, machine: DeviceMachine) -> None:
        self.names, self.machine = names, machine
        self.changed = False

    def block(self, body: Body) -> Body:
        """Statements that run one after the other."""
        result: list[Statement] = []
        for statement in body:
            if isinstance(statement, Loop) and statement.kind == "parallel":
                result.append(self.rows(statement))
            elif isinstance(statement, If | While) or (
                isinstance(statement, Loop) and statement.kind == "serial"
            ):
                result.append(map_blocks(statement, self.block))
            else:
                result.append(statement)
        return tuple(result)

    def rows(self, loop: Loop) -> Statement:
        """A nest over rows, each of them in tiles where all its running sums can be."""
        nest = perfect_nest(loop, "parallel")
        if not nest or trips(nest) < self.machine.processors:
            return loop
        body = nest[-1].body
        serial = [part for part in body if isinstance(part, Loop) and part.kind == "serial"]
        inside = [part for outer in body for part in statements((outer,))]
        if not serial or sum(_is_serial(part) for part in inside) > len(serial):
            return loop
        result: list[Statement] = []
        for place, part in enumerate(body):
            if part not in serial:
                result.append(part)
                continue
            assert isinstance(part, Loop), "a serial loop"
            made = self.tile(part, nest, body[place + 1 :])
            if made is None:
                return loop
            result.extend(made)
        self.changed = True
        return wrap(nest, tuple(result))

    def tile(self, loop: Loop, nest: Sequence[Loop], after: Body) -> Body | None:
        """A loop as a tile; None where it stays."""
        count, machine = constant_trip(loop) or 0, self.machine
        shortest = SHORTEST_SIMULATED if machine.simulated else SHORTEST
        if count <= shortest or trips(nest) * work_of((loop,)) < machine.small:
            return None
        if count >= 8 * machine.threads and trips(nest) < machine.blocks:
            return None  # cut, they fill the device
        running = running_values(loop)
        terms = terms_of(loop, running) if running else None
        moving = [part.index for part in nest if (constant_trip(part) or 0) > 1]
        if not running or terms is None or not moving:
            return None
        along, across = strides_along(loop.body, moving[-1], loop.index)
        used = {part.name for part in expressions(after) if isinstance(part, Variable)}
        shape = row_tile(loop, running, machine)
        if along > across or shape is None or any(one.name in used for one in running):
            return None
        own = {one.name: self.names.fresh("s") for one in running}
        renamed: dict[str, Expression] = {
            one.name: Variable(own[one.name], one.dtype) for one in running
        }
        body = rename(retarget(loop.body, own), renamed)
        scanned = Loop(loop.index, loop.start, loop.stop, body, "serial", loop.reverse)
        carried = [Running(own[one.name], one.operation, one.value) for one in running]
        starts = {own[one.name]: Variable(one.name, one.dtype) for one in running}
        return TileWriter(self.names, shape, scanned, carried, terms, integer(0), 1, starts).write()


def _is_serial(part: Statement) -> bool:
    return isinstance(part, While) or (isinstance(part, Loop) and part.kind == "serial")
