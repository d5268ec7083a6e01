"""Grid kernels whose blocks run square tiles of iterations, with transposed memory staged.

A row of a tile in shared memory is one element longer than the tile, so that the elements of a
column lie in different banks. Rows of a tile are those of the index `along` which its threads run
iterations: staged elements lie side by side in memory where they do in a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.tiles import Tiles
from codegen.loops.build import integer
from codegen.loops.linear import constant_trip
from codegen.loops.nodes import Buffer, Expression, Load, Loop, Statement, Store
from codegen.loops.operations import DType
from codegen.render.cuda_groups import GroupWriter
from codegen.render.cuda_scalars import stored_name


class TileWriter(GroupWriter):
    """Writes the tiles of a grid, in which some accesses stand for others.

    held          what was loaded before, by the load
    put_aside     where values go that are stored afterwards, by the memory that they are for
    """

    def __init__(
        self,
        place: Mapping[Buffer, tuple[str, int]],
        slices: Mapping[Buffer, str],
        atomic: frozenset[Buffer],
        machine: DeviceMachine,
    ) -> None:
        super().__init__(place, slices, atomic, machine)
        self.held: dict[Load, str] = {}
        self.put_aside: dict[Buffer, str] = {}

    def value(self, expression: Expression) -> str:
        """As always, but for what was loaded before."""
        if isinstance(expression, Load) and expression in self.held:
            return self.held[expression]
        return super().value(expression)

    def statement(self, statement: Statement) -> None:
        """As always, but for what is stored afterwards."""
        if isinstance(statement, Store) and statement.buffer.root in self.put_aside:
            text = self.value(statement.value)
            self.line(f"{self.put_aside[statement.buffer.root]} = {text}")
            return
        super().statement(statement)

    def tiled(self, plan: KernelPlan, tiles: Tiles, nest: list[Loop]) -> None:
        """The loop in which a block runs tiles: read, meet, run, meet, write."""
        loops = {loop.index: loop for loop in nest}
        pair = loops[tiles.along], loops[tiles.across]
        others = [loop for loop in nest if loop not in pair]
        blocks = [*others, *(_tiles_of(loop, tiles.side) for loop in reversed(pair))]
        self.line(f"column = thread % {tiles.side}")
        self.line(f"row = thread // {tiles.side}")
        start = "np.int64(cuda.blockIdx.x)"
        self.line(f"for place in range({start}, {self.total(blocks)}, {plan.blocks}):")
        outer, self.indent = self.indent, self.indent + "    "
        self.indices(blocks, "place")
        for loop in pair:
            first = f"{self.atom(loop.start)} + " if self.value(loop.start) != "0" else ""
            tile = self.name(_tiles_of(loop, tiles.side).index)
            self.line(f"{_first(loop)} = {first}{tile} * {tiles.side}")
        arrays = [self.tile_array(tiles.side, buffer.dtype) for buffer in tiles.buffers]
        rows = plan.threads // tiles.side
        steps = [f"row + {step}" if step else "row" for step in range(0, tiles.side, rows)]
        if tiles.loads:
            self.read_tiles(tiles, pair, steps, arrays)
            self.line("cuda.syncthreads()")
        self.run_tile(plan, tiles, pair, arrays)
        self.line("cuda.syncthreads()")
        if tiles.stores:
            self.write_tiles(tiles, pair, rows, arrays[len(tiles.loads) :])
            self.line("cuda.syncthreads()")
        self.indent = outer

    def tile_array(self, side: int, dtype: DType) -> str:
        """Shared memory for a tile."""
        name = self.fresh("tile")
        kind = "bool_" if dtype.kind == "b" else stored_name(dtype)
        self.shared.append(f"{name} = cuda.shared.array({side * (side + 1)}, np.{kind})")
        return name

    def read_tiles(
        self, tiles: Tiles, pair: tuple[Loop, Loop], steps: list[str], arrays: list[str]
    ) -> None:
        """Read what is staged: all of it before any is put down, so that no thread waits for one
        element after the other. Beyond the edge the last element is read again.
        """
        along, across = pair
        found: list[tuple[str, str]] = []
        self.line(f"{self.name(across.index)} = {self.within(across, 'column', tiles.side)}")
        for step in steps:
            line = f"({step})" if "+" in step else step
            self.line(f"{self.name(along.index)} = {self.within(along, step, tiles.side)}")
            for load, array in zip(tiles.loads, arrays, strict=False):
                element = self.element(load.buffer, load.indices)
                place = f"{line} * {tiles.side + 1} + column"
                found.append((f"{array}[{place}]", self.temporary(element)))
        for target, value in found:
            self.line(f"{target} = {value}")

    def within(self, loop: Loop, place: str, side: int) -> str:
        """An index of a tile, or the last one of the loop."""
        text = f"{_first(loop)} + {place}"
        whole = int(self.extent(loop)) % side == 0
        return text if whole else f"min({text}, {int(self.value(loop.stop)) - 1})"

    def run_tile(
        self, plan: KernelPlan, tiles: Tiles, pair: tuple[Loop, Loop], arrays: list[str]
    ) -> None:
        """The tile's iterations."""
        along, across = pair
        rows = plan.threads // tiles.side
        outer = self.indent
        line = self.tile_rows(rows, tiles.side)
        self.line(f"{self.name(across.index)} = {_first(across)} + {line}")
        self.line(f"{self.name(along.index)} = {_first(along)} + column")
        self.inside(pair, tiles.side)
        place = f"column * {tiles.side + 1} + {line}"
        for load, array in zip(tiles.loads, arrays, strict=False):
            self.held[load] = self.temporary(f"{array}[{place}]")
        for store, array in zip(tiles.stores, arrays[len(tiles.loads) :], strict=True):
            self.put_aside[store.buffer.root] = f"{array}[{place}]"
        self.run(plan.body)
        self.line("pass")
        self.held.clear()
        self.put_aside.clear()
        self.indent = outer

    def tile_rows(self, rows: int, side: int) -> str:
        """The loop over a thread's rows of a tile; the row."""
        step, line = self.fresh("step"), self.fresh("line")
        self.line(f"for {step} in range({side // rows}):")
        self.indent += "    "
        self.line(f"{line} = row + {step} * {rows}")
        return line

    def inside(self, pair: tuple[Loop, Loop], side: int) -> None:
        """An `if` for what may lie beyond the edge."""
        tests = [
            f"{self.name(loop.index)} < {self.value(loop.stop)}"
            for loop in pair
            if int(self.extent(loop)) % side
        ]
        if tests:
            self.line(f"if {' and '.join(tests)}:")
            self.indent += "    "

    def write_tiles(
        self, tiles: Tiles, pair: tuple[Loop, Loop], rows: int, arrays: list[str]
    ) -> None:
        """Write what was put aside."""
        along, across = pair
        outer = self.indent
        line = self.tile_rows(rows, tiles.side)
        self.line(f"{self.name(along.index)} = {_first(along)} + {line}")
        self.line(f"{self.name(across.index)} = {_first(across)} + column")
        self.inside(pair, tiles.side)
        for store, array in zip(tiles.stores, arrays, strict=True):
            element = self.element(store.buffer, store.indices)
            self.line(f"{element} = {array}[{line} * {tiles.side + 1} + column]")
        self.indent = outer


def _tiles_of(loop: Loop, side: int) -> Loop:
    """The loop over tiles along a loop."""
    stop = integer(-(-(constant_trip(loop) or 0) // side))
    return replace(loop, index=f"tile_{loop.index}", start=integer(0), stop=stop, body=())


def _first(loop: Loop) -> str:
    return f"first_{loop.index}"
