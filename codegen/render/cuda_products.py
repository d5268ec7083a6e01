"""Matrix products as text: by a group of threads inside a kernel, and as kernels of their own.

The products of our own are for matrices whose multiplication takes less than a library's launch
does, or whose result something else is made of at once: `ProductKernel.store` writes that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from codegen.device.products import Product, Tiling, choose_tiling, has_tiles
from codegen.render.numba_scalars import stored_name
from tracer.types import is_brain, is_half

DType = np.dtype[Any]


class Operand(NamedTuple):
    """A matrix in flat memory: the texts of the array's name and of the first element's place, and
    how many elements lie between two rows and two columns."""

    array: str
    offset: str
    row: int
    column: int


def accumulator(dtype: DType) -> DType:
    """What sums are kept in: float32 for float16 and bfloat16, else the dtype itself."""
    return np.dtype(np.float32) if is_half(dtype) else dtype


def group_product(
    c: Operand,
    a: Operand,
    b: Operand,
    m: int,
    k: int,
    n: int,
    dtype: DType,
    lane: str,
    size: str,
    prefix: str = "product",
    wide: bool = False,
) -> list[str]:
    """c = a @ b for (m, k) @ (k, n), as lines of a kernel which `size` threads run together.

    `lane` is the text of the thread's number among them. Each thread makes every `size`-th element,
    along rows, so that neighbours write side by side; no thread reads what another writes here,
    and where others read the result afterwards a barrier is the caller's. All names that the lines
    define begin with `prefix`. A `wide` result is of the dtype of the sums.
    """
    p = prefix
    start = f"{p}_sum = {zero_text(accumulator(dtype))}"
    x = wide_text(f"{a.array}[{p}_a + {_times(f'{p}_k', a.column)}]", dtype)
    y = wide_text(f"{b.array}[{p}_b + {_times(f'{p}_k', b.row)}]", dtype)
    one = np.dtype(np.bool_) == dtype
    step = f"{p}_sum = {p}_sum or ({x} and {y})" if one else f"{p}_sum += {x} * {y}"
    place = f"{c.offset} + {_times(f'{p}_i', c.row)} + {_times(f'{p}_j', c.column)}"
    total = f"{p}_sum" if wide else narrow_text(f"{p}_sum", dtype)
    body = [
        f"{p}_a = {a.offset} + {_times(f'{p}_i', a.row)}",
        f"{p}_b = {b.offset} + {_times(f'{p}_j', b.column)}",
        start,
        f"for {p}_k in range({k}):",
        f"    {step}",
        f"{c.array}[{place}] = {total}",
    ]
    if size == "1":
        rows = [f"for {p}_i in range({m}):", f"    for {p}_j in range({n}):"]
        return rows + ["        " + line for line in body]
    return [
        f"for {p}_at in range({lane}, {m * n}, {size}):",
        f"    {p}_i = {p}_at // {n}",
        f"    {p}_j = {p}_at - {_times(f'{p}_i', n)}",
        *("    " + line for line in body),
    ]


def _times(name: str, factor: int) -> str:
    return name if factor == 1 else f"{name} * {factor}"


def zero_text(dtype: DType) -> str:
    """The number 0 of a dtype."""
    return "False" if dtype.kind == "b" else f"np.{stored_name(dtype)}(0)"


def wide_text(value: str, dtype: DType) -> str:
    """A value in the dtype of sums."""
    wide = accumulator(dtype)
    if is_brain(dtype):
        return f"single_of_brain({value})"
    return value if wide == dtype else f"np.{wide.name}({value})"


def narrow_text(value: str, dtype: DType) -> str:
    """A sum in the dtype of the result."""
    if is_brain(dtype):
        return f"brain_of_single({value})"
    return value if accumulator(dtype) == dtype else f"np.{dtype.name}({value})"


Store = Callable[[str, str, str, str], Sequence[str]]
"""From the texts of an element's place in its stack, its row, its column, and its value: the lines
that keep it."""


@dataclass(frozen=True, slots=True)
class ProductKernel:
    """The text of one function that multiplies: a module for Numba-CUDA.

    names  of the function, and of its parameters c, a, b: flat memory
    more   further parameters, for `head` and `store`
    head   lines with which the function begins
    store  what keeps a sum; by itself it is written to c
    stack  lines that follow the place of a tile in its stack, `stack`; they define what `starts`
    starts need: where a matrix of a begins, and one of b, instead of at multiples of the strides
    """

    product: Product
    tiling: Tiling
    names: tuple[str, str, str, str] = ("product", "c", "a", "b")
    more: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    store: Store | None = None
    stack: tuple[str, ...] = ()
    starts: tuple[str, str] | None = None

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return self.tiling.threads

    def blocks(self, most: int) -> int:
        """Blocks to launch, at most as many as given: each walks through its share of the tiles."""
        return max(1, min(most, self.tiling.tiles(self.product)))

    @property
    def source(self) -> str:
        """The module."""
        head = [
            "import math",
            "",
            "import numpy as np",
            "from numba import cuda",
            "",
            f"def {self.names[0]}({', '.join((*self.names[1:], *self.more))}):",
        ]
        return "\n".join([*head, *("    " + line for line in self.lines)]) + "\n"

    @property
    def lines(self) -> list[str]:
        """The body of the function."""
        return _Writer(self).lines()


def product_kernel(
    m: int,
    k: int,
    n: int,
    dtype: DType,
    transpose_a: bool = False,
    transpose_b: bool = False,
    tiling: Tiling | None = None,
) -> ProductKernel:
    """The kernel of one product of dense matrices, in tiles that suit it unless `tiling` is given.

    float16, bfloat16, float32 and float64 only: TypeError for others. Sums of the first two are
    float32's.
    """
    product = Product(m, k, n, np.dtype(dtype), transpose_a, transpose_b)
    return ProductKernel(product, tiling or choose_tiling(product))


class _Side(NamedTuple):
    """One operand's tile: `extent` rows of a or columns of b, of which there are `total`."""

    name: str
    array: str
    extent: int
    total: int
    along_depth: bool
    stride: int
    depth: int
    threads: int

    @property
    def pitch(self) -> int:
        """Elements between two terms in shared memory; one more than the extent where threads that
        follow each other store down a column, so that they meet different banks."""
        return self.extent + 1 if self.along_depth else self.extent

    @property
    def turns(self) -> int:
        """How many elements one thread loads."""
        return self.extent * self.depth // self.threads

    @property
    def free_step(self) -> int:
        """Rows of a, or columns of b, between what a thread loads in one turn and in the next."""
        return self.threads // self.depth if self.along_depth else 0

    @property
    def term_step(self) -> int:
        """Terms between what a thread loads in one turn and in the next."""
        return 0 if self.along_depth else self.threads // self.extent


class _Writer:
    """Arrays of a thread's own are registers: all loops over them have constant bounds."""

    def __init__(self, kernel: ProductKernel) -> None:
        product, tiling = kernel.product, kernel.tiling
        if not has_tiles(product.dtype):
            raise TypeError(f"tiles are for float16, float32 and float64, not {product.dtype}")
        if min(product.m, product.k, product.n, product.count) < 1:
            raise ValueError(f"{product} has nothing to multiply")
        self.kernel, self.product, self.tiling = kernel, product, tiling
        _, _, a, b = kernel.names
        common = (tiling.depth, tiling.threads)
        along_a, along_b = not product.transpose_a, product.transpose_b
        self.sides = (
            _Side("x", a, tiling.rows, product.m, along_a, product.strides[0], *common),
            _Side("y", b, tiling.columns, product.n, along_b, product.strides[1], *common),
        )
        self.uneven = product.k % tiling.depth != 0

    def lines(self) -> list[str]:
        """The function's body."""
        tiles = self.tiling.tiles(self.product)
        return [
            *self.kernel.head,
            *self.start(),
            f"for tile in range(np.int64(cuda.blockIdx.x), {tiles}, np.int64(cuda.gridDim.x)):",
            *("    " + line for line in self.tile()),
        ]

    def start(self) -> list[str]:
        """Memory, and which elements of each tile a thread loads: those that lie side by side in
        memory go to threads that follow each other."""
        t, kept = self.tiling, f"np.{stored_name(self.product.dtype)}"
        summed = f"np.{accumulator(self.product.dtype).name}"
        lines = _array("sums", t.high * t.wide, summed)
        for side, count in zip(self.sides, (t.high, t.wide), strict=True):
            s = side.name
            lines.append(f"{s}_tile = cuda.shared.array({side.pitch * t.depth}, {kept})")
            lines += _array(f"{s}_next", side.turns, kept)
            lines += _array(f"{s}_now", count, summed)
        lines.append("thread = np.int64(cuda.threadIdx.x)")
        lines += _split("thread", "thread_row", "thread_column", t.across)
        for side in self.sides:
            free, term = f"{side.name}_free", f"{side.name}_term"
            if side.along_depth:
                lines += _split("thread", free, term, side.depth)
            else:
                lines += _split("thread", term, free, side.extent)
            lines.append(f"{side.name}_kept = {term} * {side.pitch} + {free}")
        return lines

    def tile(self) -> list[str]:
        """One tile: its place, its sums, its stores."""
        t, product = self.tiling, self.product
        down, across = -(-product.m // t.rows), -(-product.n // t.columns)
        lines = ["stack = np.int64(0)", "tile_at = tile"]
        if product.count > 1:
            lines = _split("tile", "stack", "tile_at", down * across)
        lines += self.kernel.stack
        lines += _split("tile_at", "tile_row", "tile_column", across)
        lines += [f"first_x = tile_row * {t.rows}", f"first_y = tile_column * {t.columns}"]
        zero = zero_text(accumulator(product.dtype))
        lines += _times_over(
            "at", t.high * t.wide, [f"{_cell('sums', t.high * t.wide, 'at')} = {zero}"]
        )
        lines += [line for side in self.sides for line in self.place(side)]
        single = product.k <= t.depth
        for side in self.sides:
            lines += self.fetch(side, "", past=self.uneven and single)
        if single:
            return [*lines, *self.keep(), *self.multiply(), "cuda.syncthreads()", *self.stores()]
        ahead = [line for side in self.sides for line in self.fetch(side, "following", self.uneven)]
        body = [
            *self.keep(),
            f"following = first_term + {t.depth}",
            f"if following < {product.k}:",
            *("    " + line for line in ahead),
            *self.multiply(),
            "cuda.syncthreads()",
        ]
        loop = f"for first_term in range(0, {product.k}, {t.depth}):"
        return [*lines, loop, *("    " + line for line in body), *self.stores()]

    def place(self, side: _Side) -> list[str]:
        """Where the first element that a thread loads of a tile lies in memory."""
        s, (free_stride, term_stride) = side.name, self.strides(side)
        start = f"{s}_from = {_times(f'{s}_row', free_stride)} + {_times(f'{s}_term', term_stride)}"
        starts = self.kernel.starts
        if starts is not None:
            start += f" + {starts[side is self.sides[1]]}"
        elif side.stride:
            start += f" + stack * {side.stride}"
        return [f"{s}_row = first_{s} + {s}_free", start]

    def strides(self, side: _Side) -> tuple[int, int]:
        """Elements of memory between two rows of a, or columns of b, and between two terms."""
        return (self.product.k, 1) if side.along_depth else (1, side.total)

    def fetch(self, side: _Side, first: str, past: bool) -> list[str]:
        """Elements of the tile whose terms begin at `first` into registers: zeros beyond the edges.
        `past`: whether terms may lie beyond the last one."""
        s, (free_stride, term_stride) = side.name, self.strides(side)
        step = side.free_step * free_stride + side.term_step * term_stride
        place = f"{s}_from" + (f" + {_times(first, term_stride)}" if first else "")
        turns = side.turns
        tests = []
        if side.total % side.extent:
            tests.append(f"{_turned(f'{s}_row', side.free_step, turns)} < {side.total}")
        if past:
            last = f"{self.product.k} - {first}" if first else f"{self.product.k}"
            tests.append(f"{_turned(f'{s}_term', side.term_step, turns)} < {last}")
        own = _cell(f"{s}_next", turns, "turn")
        lines = [f"{own} = {side.array}[{_turned(place, step, turns)}]"]
        if tests:
            lines = [
                f"{own} = {zero_text(self.product.dtype)}",
                f"if {' and '.join(tests)}:",
                f"    {lines[0]}",
            ]
        return _times_over("turn", turns, lines)

    def keep(self) -> list[str]:
        """Registers into shared memory, each term a row."""
        lines = []
        for side in self.sides:
            s, step, turns = side.name, side.term_step * side.pitch + side.free_step, side.turns
            place = _turned(f"{s}_kept", step, turns)
            kept = f"{s}_tile[{place}] = {_cell(f'{s}_next', turns, 'turn')}"
            lines += _times_over("turn", turns, [kept])
        return [*lines, "cuda.syncthreads()"]

    def multiply(self) -> list[str]:
        """All terms of a tile; a thread's rows and columns are spread over it, so that neighbours
        read side by side."""
        t, dtype = self.tiling, self.product.dtype
        left, right = self.sides
        x = f"x_tile[{_turned(f'term * {left.pitch} + thread_row', t.down, t.high, 'i')}]"
        y = f"y_tile[{_turned(f'term * {right.pitch} + thread_column', t.across, t.wide, 'j')}]"
        x_now, y_now = _cell("x_now", t.high, "i"), _cell("y_now", t.wide, "j")
        add = _times_over("j", t.wide, [f"{self.sum()} += {x_now} * {y_now}"])
        lines = [
            *_times_over("i", t.high, [f"{x_now} = {wide_text(x, dtype)}"]),
            *_times_over("j", t.wide, [f"{y_now} = {wide_text(y, dtype)}"]),
            *_times_over("i", t.high, add),
        ]
        terms = f"for term in range({min(t.depth, self.product.k)}):"
        return [terms, *("    " + line for line in lines)]

    def sum(self) -> str:
        """The sum of a thread's row `i` and column `j`."""
        t = self.tiling
        place = "j" if t.high == 1 else "i" if t.wide == 1 else f"i * {t.wide} + j"
        return _cell("sums", t.high * t.wide, place)

    def stores(self) -> list[str]:
        """The sums, where they are within the result."""
        t, product = self.tiling, self.product
        value = self.sum() if product.wide else narrow_text(self.sum(), product.dtype)
        store = self.kernel.store or self.plain_store
        lines = list(store("stack", "row", "column", value))
        tests = [f"row < {product.m}"] if product.m % t.rows else []
        tests += [f"column < {product.n}"] if product.n % t.columns else []
        if tests:
            lines = [f"if {' and '.join(tests)}:", *("    " + line for line in lines)]
        column = _turned("first_y + thread_column", t.across, t.wide, "j")
        row = _turned("first_x + thread_row", t.down, t.high, "i")
        across = _times_over("j", t.wide, [f"column = {column}", *lines])
        return _times_over("i", t.high, [f"row = {row}", *across])

    def plain_store(self, stack: str, row: str, column: str, value: str) -> list[str]:
        """Into the result."""
        product = self.product
        place = f"{row} * {product.n} + {column}"
        if product.count > 1:
            place = f"{stack} * {product.m * product.n} + {place}"
        return [f"{self.kernel.names[1]}[{place}] = {value}"]


def _turned(place: str, step: int, count: int, turn: str = "turn") -> str:
    """A place as it moves from turn to turn, of which there are `count`."""
    return f"{place} + {_times(turn, step)}" if step and count > 1 else place


def _array(name: str, size: int, dtype: str) -> list[str]:
    """An array of a thread's own; one element is a variable, which compiles faster."""
    return [f"{name} = cuda.local.array({size}, {dtype})"] if size > 1 else []


def _cell(name: str, size: int, place: str) -> str:
    """An element of it."""
    return f"{name}[{place}]" if size > 1 else name


def _times_over(index: str, count: int, lines: Sequence[str]) -> list[str]:
    """Lines that run once for each value of an index, which they do not use if there is one."""
    if count == 1:
        return list(lines)
    return [f"for {index} in range({count}):", *("    " + line for line in lines)]


def _split(name: str, quotient: str, remainder: str, divisor: int) -> list[str]:
    """A number that is not negative, divided; compilers see no power of two in a variable that
    might be negative."""
    if divisor & (divisor - 1):
        whole = f"{quotient} = {name} // {divisor}"
        return [whole, f"{remainder} = {name} - {quotient} * {divisor}"]
    shift = divisor.bit_length() - 1
    return [f"{quotient} = {name} >> {shift}", f"{remainder} = {name} & {divisor - 1}"]
