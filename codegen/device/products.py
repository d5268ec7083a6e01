"""Matrix products that kernels of our own make: which, in what tiles, and what is made of each
element as soon as its sum is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from codegen.device.machine import DeviceMachine
from codegen.device.work import Body, memory_read, size_of
from codegen.loops.build import integer
from codegen.loops.linear import LinearForm, constant_trip, flat_index
from codegen.loops.nodes import (
    Assign,
    Buffer,
    Call,
    Declare,
    Expression,
    If,
    Let,
    Literal,
    Load,
    Loop,
    Operation,
    Statement,
    Store,
    Update,
    Variable,
)
from codegen.loops.walk import buffers_written, expressions, statements
from codegen.passes.rewrite import map_blocks, map_own, rename
from tracer.types import INT64, kind_of

DType = np.dtype[Any]

PRODUCT = "product"
"""The kind of a loop of one iteration around a product and what is made of its elements."""
LARGE_PRODUCT = 2**24
"""Multiplications, of 256 by 256 by 256, up to which a product is ours: it runs a few microseconds,
about as long as the library takes to start, its elements need not pass through memory before
something is made of them, and a graph that holds it can follow memory that moves, which a
library's launches cannot."""
SMALL_MATRIX = 2**18
"""The same for each matrix of a stack, however long: 64 by 64 by 64."""
DEEPEST = 1024
"""Terms of a sum, at most: one block adds up all of them, and a library divides them."""
MOST_MADE = 32
"""Statements that are run for each element, at most: a thread has several, written out."""


def has_tiles(dtype: DType) -> bool:
    """Whether there are kernels for products of a dtype."""
    return kind_of(dtype) == "f" and dtype.itemsize <= 8


@dataclass(frozen=True, slots=True)
class Product:
    """`count` products (m, k) @ (k, n) of dense matrices; a transposed operand lies as (k, m), or
    (n, k). `strides`: elements from one matrix of a to the next, and of b; 0 where there is one for
    all. Results lie side by side in C order, in the operands' dtype, or `wide`: as float32."""

    m: int
    k: int
    n: int
    dtype: DType
    transpose_a: bool = False
    transpose_b: bool = False
    count: int = 1
    strides: tuple[int, int] = (0, 0)
    wide: bool = False

    @property
    def work(self) -> int:
        """Multiplications of one matrix."""
        return self.m * self.k * self.n


@dataclass(frozen=True, slots=True)
class Tiling:
    """How a block of threads makes a tile of `rows` by `columns`: `depth` terms at a time through
    shared memory, `high` by `wide` elements a thread in registers. All are powers of two, and all
    threads have equally much to load: ValueError otherwise."""

    rows: int
    columns: int
    depth: int
    high: int = 1
    wide: int = 1

    def __post_init__(self) -> None:
        sizes = (self.rows, self.columns, self.depth, self.high, self.wide)
        if any(size < 1 or size & (size - 1) for size in sizes):
            raise ValueError(f"{self} is not made of powers of two")
        widest = max(self.rows, self.columns, self.depth)
        if self.threads < widest or min(self.rows, self.columns) * self.depth < self.threads:
            raise ValueError(f"{self} does not give every thread equally much to load")

    @property
    def down(self) -> int:
        """Threads in a column of the tile."""
        return self.rows // self.high

    @property
    def across(self) -> int:
        """Threads in a row of the tile."""
        return self.columns // self.wide

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.down * self.across

    def tiles(self, product: Product) -> int:
        """How many tiles all results have."""
        return product.count * -(-product.m // self.rows) * -(-product.n // self.columns)


TILINGS = (
    Tiling(64, 64, 16, 4, 4),
    Tiling(32, 32, 16, 4, 2),
    Tiling(32, 32, 16, 2, 2),
    Tiling(16, 16, 16),
)
"""From few large tiles, which read least, to many small ones."""
SIMULATED_TILINGS = (Tiling(4, 4, 4, 2, 2), Tiling(2, 4, 2, 1, 2))
"""The same for few threads."""


def choose_tiling(
    product: Product, processors: int = 132, tilings: Sequence[Tiling] = TILINGS
) -> Tiling:
    """The largest tile that leaves work for three quarters of the processors; the smallest where
    none does. Tiles of which more than half would be empty are not taken."""
    for tiling in tilings[:-1]:
        filled = product.m * 2 >= tiling.rows and product.n * 2 >= tiling.columns
        if filled and 4 * tiling.tiles(product) >= 3 * processors:
            return tiling
    return tilings[-1]


def tilings_of(machine: DeviceMachine) -> Sequence[Tiling]:
    """The tilings for a device."""
    return SIMULATED_TILINGS if machine.simulated else TILINGS


class ProductNest(NamedTuple):
    """A call of `matmul`, and the parallel loops around it, that do nothing else."""

    loops: tuple[Loop, ...]
    call: Call
    product: Product

    @property
    def result(self) -> Buffer:
        """The memory of the products."""
        return self.call.results[0].buffer.root


def product_nest(statement: Statement) -> ProductNest | None:
    """The product that a statement is, of matrices of a dtype that there are tiles for."""
    loops: list[Loop] = []
    while isinstance(statement, Loop) and statement.kind == "parallel":
        if len(statement.body) != 1 or not _counts(statement):
            return None
        loops.append(statement)
        (statement,) = statement.body
    if not isinstance(statement, Call) or statement.kernel != "matmul":
        return None
    if len(statement.operands) != 2 or statement.params.get("relu"):
        return None
    (result,), (left, right) = statement.results, statement.operands
    shapes = (result.shape, left.shape, right.shape)
    if any(len(shape) != 2 for shape in shapes) or result.axes not in (None, (0, 1)):
        return None
    dtype = left.buffer.dtype
    rows, columns, depth = *result.shape, left.shape[1]
    if not has_tiles(dtype) or not rows * columns * depth:
        return None
    count = math.prod(constant_trip(loop) or 1 for loop in loops)
    flipped = left.axes == (1, 0), right.axes == (1, 0)
    wide = result.buffer.dtype != dtype
    product = Product(rows, depth, columns, dtype, *flipped, count, wide=wide)
    return ProductNest(tuple(loops), statement, product)


def _counts(loop: Loop) -> bool:
    """Whether a loop runs from 0 to a number, and at all."""
    return isinstance(loop.start, Literal) and loop.start.value == 0 and bool(constant_trip(loop))


def is_ours(product: Product, machine: DeviceMachine) -> bool:
    """Whether a product is made by a kernel of its own: what is smaller is a part of another
    kernel, and what is larger a library's affair."""
    if product.work * product.count <= machine.small or product.k > DEEPEST:
        return False
    if product.work <= machine.small:
        smallest = tilings_of(machine)[-1]
        if product.m < smallest.rows or product.n < smallest.columns:
            return False
    return product.work * product.count <= LARGE_PRODUCT or product.work <= SMALL_MATRIX


class Made(NamedTuple):
    """What is made of each element: the scalar that it is, the loops that walk through the stack,
    the rows and the columns of the products, and the statements."""

    value: str
    stack: tuple[Loop, ...]
    rows: tuple[Loop, ...]
    columns: tuple[Loop, ...]
    body: Body


def match_made(nest: ProductNest, grid: Sequence[Loop], body: Body) -> Made | None:
    """What a parallel nest, loops and body, makes of each element of products; None where it does
    not walk through exactly these, or touches what a product must not wait for."""
    if not all(loop.kind == "parallel" and _counts(loop) for loop in grid):
        return None
    parts = [part for outer in body for part in statements((outer,))]
    if not all(isinstance(part, Let | Declare | Assign | Store | Update | If) for part in parts):
        return None
    written = {buffer.root for part in parts for buffer in buffers_written(part)}
    loads = [part for part in expressions(body) if isinstance(part, Load)]
    untouched = {load.buffer.root for load in loads} | memory_read((nest.call,)) | {nest.result}
    if size_of(body) > MOST_MADE or not written or not written.isdisjoint(untouched):
        return None
    own = [load for load in loads if load.buffer.root is nest.result]
    orders = [_order(nest, grid, load) for load in own]
    if not orders or orders[0] is None or any(order != orders[0] for order in orders):
        return None
    return _divided(nest, orders[0], rename(body, _zeros(grid)))


def _zeros(loops: Sequence[Loop]) -> dict[str, Expression]:
    """The indices of loops that run once."""
    return {loop.index: integer(0) for loop in loops if constant_trip(loop) == 1}


def _order(nest: ProductNest, grid: Sequence[Loop], load: Load) -> list[Loop] | None:
    """The loops in the order in which they walk through the products' memory, if they walk through
    each element of it once."""
    view = nest.call.results[0]
    zeros = _zeros((*grid, *nest.loops))
    place = LinearForm()
    place.add(flat_index(load.buffer, load.indices, zeros))
    place.add(flat_index(view.buffer, view.indices, zeros), -1)
    extent = nest.product.m * nest.product.n
    for loop in reversed(nest.loops):
        trips = constant_trip(loop) or 0
        if trips > 1 and place.terms.pop(Variable(loop.index, INT64), 0) != -extent:
            return None
        extent *= trips
    steps = {loop.index: loop for loop in grid if loop.index not in zeros}
    if place.constant or any(
        not isinstance(term, Variable) or term.name not in steps for term in place.terms
    ):
        return None
    found = sorted(
        (
            (scale, steps[term.name])
            for term, scale in place.terms.items()
            if isinstance(term, Variable)
        ),
        key=lambda pair: pair[0],
    )
    if len(found) != len(steps):
        return None
    expected = 1
    for scale, loop in found:
        if scale != expected:
            return None
        expected *= constant_trip(loop) or 0
    return [loop for _, loop in reversed(found)] if expected == extent else None


def _divided(nest: ProductNest, order: Sequence[Loop], body: Body) -> Made | None:
    """The loops shared out among stack, rows and columns."""
    rest = list(order)
    groups: list[tuple[Loop, ...]] = []
    for extent in (nest.product.n, nest.product.m, nest.product.count):
        group: list[Loop] = []
        while math.prod(constant_trip(loop) or 0 for loop in group) < extent:
            if not rest:
                return None
            group.insert(0, rest.pop())
        if math.prod(constant_trip(loop) or 0 for loop in group) != extent:
            return None
        groups.append(tuple(group))
    value = Variable(f"{nest.result.name}_value", nest.result.dtype)
    columns, rows, stack = groups
    return Made(value.name, stack, rows, columns, _with_value(body, nest.result, value))


def _with_value(body: Body, result: Buffer, value: Variable) -> Body:
    """The statements with a scalar in the place of the product's element."""

    def change(expression: Expression) -> Expression:
        match expression:
            case Load(buffer, indices):
                if buffer.root is result:
                    return value
                return Load(buffer, tuple([change(index) for index in indices]))
            case Operation(name, operands, dtype):
                return Operation(name, tuple([change(part) for part in operands]), dtype)
            case _:
                return expression

    return tuple(
        [
            map_blocks(map_own(part, change), lambda inner: _with_value(inner, result, value))
            for part in body
        ]
    )
