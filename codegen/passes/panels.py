"""What is done with the rows of a matrix product is done while they are in the cache.

A product whose result the next loop over its rows reads is made some rows at a time: a panel of the
product, then the loop over these rows, and again. Where nothing else reads the product, one panel
is all of it that there ever is. The first panel packs the right operand, the others find it packed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from codegen.loops.nodes import (
    Buffer,
    Call,
    Expression,
    Literal,
    Load,
    Loop,
    Operation,
    Program,
    Statement,
    Store,
    Update,
    Variable,
    View,
)
from codegen.loops.sizes import SMALL
from codegen.passes.contract import accesses
from codegen.passes.effects import Effects, effects
from codegen.passes.rewrite import Body, map_blocks, map_own, rename
from kernels.product import COLUMN_BLOCK, DEPTH_BLOCK, scratch_elements
from tracer.types import INT64

PANEL_ROWS = (32, 24, 40, 20)
"""The rows of a panel: the first of these that divides the rows of the product."""
FEWEST_PANELS = SMALL + 1
"""So that their number is a size which is read at run time, and code serves several sizes."""
SMALLEST = 2**13
"""Elements of a product from which on it leaves the fastest cache."""
LOOK_AHEAD = 8
FIRST_NAME = 10**6


def panels(program: Program) -> Program:
    """The program with products made by panels of rows where a loop over the rows follows."""
    maker = _Maker(program)
    body = maker.block(program.body)
    if not maker.count:
        return program
    kept = tuple(buffer for buffer in program.workspace if buffer not in maker.dropped)
    return replace(program, workspace=(*kept, *maker.made), body=body)


def panel_rows(call: Call) -> int:
    """How many rows a panel of this product has; 0 where it is made at once."""
    if call.kernel != "product":
        return 0
    result, left, right = call.results[0], *call.operands
    if result.indices or left.indices or result.axes is not None or left.axes is not None:
        return 0
    (rows, depth), columns = left.shape, right.shape[1]
    if depth > DEPTH_BLOCK or columns > COLUMN_BLOCK or rows * columns < SMALLEST:
        return 0
    fitting = (size for size in PANEL_ROWS if rows % size == 0 and rows >= FEWEST_PANELS * size)
    return next(fitting, 0)


class _Maker:
    """Rewrites products; `made` are buffers for one panel, `count` how many products there were."""

    def __init__(self, program: Program) -> None:
        self.made: list[Buffer] = []
        self.dropped: set[Buffer] = set()
        self.count = 0
        self.uses = Counter(buffer.root for buffer, _, _ in accesses(program.body, ()))

    def block(self, body: Body) -> Body:
        """The statements, with products joined to the loops that read them."""
        pending = list(body)
        result: list[Statement] = []
        done: set[int] = set()
        while pending:
            statement = pending.pop(0)
            if isinstance(statement, Call):
                place = self.reader(statement, pending)
                if place is not None:
                    loop = pending[place]
                    assert isinstance(loop, Loop), "readers are loops"
                    pending[place] = self.joined(statement, loop)
                    done.add(id(pending[place]))
                    continue
            elif id(statement) not in done:
                statement = map_blocks(statement, self.block)
            result.append(statement)
        return tuple(result)

    def reader(self, call: Call, following: list[Statement]) -> int | None:
        """Where the first loop stands that reads the product row by row, if the product may wait
        until there.
        """
        rows = panel_rows(call)
        if not rows:
            return None
        product = call.results[0].buffer
        own = effects(call)
        between = Effects()
        for place, statement in enumerate(following[:LOOK_AHEAD]):
            found = effects(statement)
            if product.root in found.reads or product.root in found.writes:
                fits = (
                    isinstance(statement, Loop)
                    and not found.has_call
                    and not found.has_check
                    and not own.conflicts(between)
                    and own.reads.isdisjoint(found.writes)
                    and _by_rows(statement, product)
                )
                return place if fits else None
            between.include(found)
        return None

    def joined(self, call: Call, loop: Loop) -> Loop:
        """A loop over panels: the product of some rows, then the loop over these."""
        self.count += 1
        rows = panel_rows(call)
        (result, packed), (left, right) = call.results, call.operands
        product = result.buffer
        number = product.shape[0] // rows
        panel = Variable(f"i{FIRST_NAME + 2 * self.count}", INT64)
        index = Variable(f"i{FIRST_NAME + 2 * self.count + 1}", INT64)
        start = Operation("multiply", (panel, Literal(rows, INT64)), INT64)
        body = rename(loop.body, {loop.index: Operation("add", (start, index), INT64)})
        target = View(_in_panels(product, number, rows), (panel,))
        own = sum(1 for buffer, _, _ in accesses((loop,), ()) if buffer is product)
        if product.role == "workspace" and self.uses[product] == own + 1:
            self.dropped.add(product)
            shape = (rows, product.shape[1])
            small = replace(product, name=f"{product.name}p{self.count}", shape=shape)
            self.made.append(small)
            body = _in_small(body, product, small, index)
            target = View(small)
        size = scratch_elements(rows, product.shape[1], left.shape[1])
        memory = replace(packed.buffer, name=f"{packed.buffer.name}p", shape=(size,))
        self.made.append(memory)
        self.dropped.add(packed.buffer)
        part = replace(
            call,
            results=(target, View(memory)),
            operands=(View(_in_panels(left.buffer, number, rows), (panel,)), right),
            params={"panel": panel.name},
        )
        inner = replace(loop, index=index.name, stop=Literal(rows, INT64), body=body)
        stop = Literal(number, INT64)
        return Loop(panel.name, Literal(0, INT64), stop, (part, inner), "serial")


def _by_rows(loop: Loop, product: Buffer) -> bool:
    """Whether iteration i of a loop over all rows touches row i of the product only."""
    if loop.reverse or loop.start != Literal(0, INT64):
        return False
    if loop.stop != Literal(product.shape[0], INT64):
        return False
    return all(
        buffer is product
        and indices is not None
        and isinstance(indices[0], Variable)
        and indices[0].name == loop.index
        for buffer, indices, _ in accesses((loop,), ())
        if buffer.root is product.root
    )


def _in_panels(buffer: Buffer, number: int, rows: int) -> Buffer:
    """A matrix seen as panels of its rows."""
    name, shape = f"{buffer.name}_{number}", (number, rows, buffer.shape[1])
    return Buffer(name, buffer.dtype, shape, buffer.role, None, buffer.root)


def _in_small(body: Body, product: Buffer, small: Buffer, index: Variable) -> Body:
    """The block with the rows of one panel in place of the product."""

    def change(expression: Expression) -> Expression:
        if isinstance(expression, Load):
            indices = tuple([change(part) for part in expression.indices])
            if expression.buffer is product:
                return Load(small, (index, *indices[1:]))
            return Load(expression.buffer, indices)
        if isinstance(expression, Operation):
            operands = tuple([change(operand) for operand in expression.operands])
            return Operation(expression.name, operands, expression.dtype)
        return expression

    result: list[Statement] = []
    for statement in body:
        changed = map_own(statement, change)
        if isinstance(changed, (Store, Update)) and changed.buffer is product:
            changed = replace(changed, buffer=small, indices=(index, *changed.indices[1:]))
        result.append(map_blocks(changed, lambda block: _in_small(block, product, small, index)))
    return tuple(result)
