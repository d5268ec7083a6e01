"""The text of matrix products: a micro-kernel in vector registers, packing, and the loops around.

`C = A B` is made tile by tile. A tile has as many rows and vectors as fit into the registers, and
the micro-kernel sums it over a block of the contracted axis: it reads one row of a panel of B and
one element of each row of A at a time (K. Goto, R. van de Geijn, "Anatomy of high-performance
matrix multiplication", ACM TOMS 34, 2008). All sizes and strides are arguments, so that one copy in
a module serves every product of a dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kernels.product import COLUMN_BLOCK, DEPTH_BLOCK, ROW_BLOCK, TALLEST_TILE, WIDEST_TILE


@dataclass(frozen=True, slots=True)
class Tile:
    """What the registers hold: `rows` × `vectors` registers of `width` elements.

    `element` is LLVM's type, of `size` bytes.
    """

    element: str
    size: int
    width: int
    rows: int
    vectors: int

    @property
    def columns(self) -> int:
        """Columns of a whole tile."""
        return self.vectors * self.width

    @property
    def suffix(self) -> str:
        """What names of functions for this tile end in."""
        return f"{self.element}_{self.rows}x{self.vectors}x{self.width}"


def tile_for(size: int, vector_bytes: int) -> Tile:
    """The tile for elements of `size` bytes on a machine with vectors of `vector_bytes`.

    With 32 registers 8 rows of 3 vectors are summed at once, with 16 registers 4 rows.
    """
    rows = 8 if vector_bytes >= 64 else 4
    return Tile({4: "float", 8: "double"}[size], size, vector_bytes // size, rows, 3)


class FunctionText:
    """Writes one function; registers are numbered from 1."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.slots: list[str] = []
        self.block = "entry"
        self.count = 0

    def fresh(self, stem: str = "v") -> str:
        """A name that is not taken."""
        self.count += 1
        return f"{stem}{self.count}"

    def write(self, instruction: str) -> str:
        """An instruction's result in a new register."""
        register = f"%{self.fresh()}"
        self.lines.append(f"  {register} = {instruction}")
        return register

    def line(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def start(self, label: str) -> None:
        """Open a block."""
        self.lines.append(f"{label}:")
        self.block = label

    def add(self, first: str, second: str | int) -> str:
        """first + second."""
        return self.write(f"add i64 {first}, {second}")

    def subtract(self, first: str | int, second: str | int) -> str:
        """first - second."""
        return self.write(f"sub i64 {first}, {second}")

    def times(self, first: str, second: str | int) -> str:
        """first × second."""
        return self.write(f"mul i64 {first}, {second}")

    def smaller(self, first: str | int, second: str | int) -> str:
        """min(first, second)."""
        less = self.write(f"icmp slt i64 {first}, {second}")
        return self.write(f"select i1 {less}, i64 {first}, i64 {second}")

    def place(self, element: str, pointer: str, offset: str | int) -> str:
        """A pointer `offset` elements further."""
        return self.write(f"getelementptr {element}, ptr {pointer}, i64 {offset}")

    @contextmanager
    def loop(self, stop: str | int, step: int = 1, start: str | int = 0) -> Iterator[str]:
        """`for index in range(start, stop, step)`, tested before each iteration."""
        labels = [self.fresh(stem) for stem in ("test", "body", "done")]
        index, following = f"%{self.fresh()}", f"%{self.fresh()}"
        before = self.block
        self.line(f"br label %{labels[0]}")
        self.start(labels[0])
        position = len(self.lines)
        more = self.write(f"icmp slt i64 {index}, {stop}")
        self.line(f"br i1 {more}, label %{labels[1]}, label %{labels[2]}")
        self.start(labels[1])
        yield index
        self.line(f"{following} = add i64 {index}, {step}")
        phi = f"  {index} = phi i64 [ {start}, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(position, phi)
        self.line(f"br label %{labels[0]}")
        self.start(labels[2])

    @contextmanager
    def outer_loop(self, stop: str | int, step: int) -> Iterator[str]:
        """`for index in range(0, stop, step)`, with the index in memory.

        LLVM takes its time to improve what loops in loops count in registers; where much is done
        in each iteration nothing is gained by it.
        """
        labels = [self.fresh(stem) for stem in ("test", "body", "done")]
        slot = f"%{self.fresh('slot')}"
        self.slots.append(f"  {slot} = alloca i64")
        self.line(f"store i64 0, ptr {slot}")
        self.line(f"br label %{labels[0]}")
        self.start(labels[0])
        index = self.write(f"load i64, ptr {slot}")
        more = self.write(f"icmp slt i64 {index}, {stop}")
        self.line(f"br i1 {more}, label %{labels[1]}, label %{labels[2]}")
        self.start(labels[1])
        yield index
        self.line(f"store i64 {self.add(index, step)}, ptr {slot}")
        self.line(f"br label %{labels[0]}")
        self.start(labels[2])

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Only where an i1 holds."""
        then, after = self.fresh("then"), self.fresh("after")
        self.line(f"br i1 {condition}, label %{then}, label %{after}")
        self.start(then)
        yield
        self.line(f"br label %{after}")
        self.start(after)

    def function(self, name: str, parameters: str) -> str:
        """The whole text, for what has been written; it returns nothing."""
        body = "\n".join([*self.slots, *self.lines])
        return (
            f"define internal void @{name}({parameters}) nounwind {{\n"
            f"entry:\n{body}\n  ret void\n}}\n"
        )


MICRO_PARAMETERS = (
    "ptr %a, i64 %a_row, i64 %a_step, i64 %last, ptr %b, i64 %b_step, ptr %c, i64 %c_row, "
    "i64 %depth, i1 %adding"
)


def micro_kernel(tile: Tile, vectors: int) -> str:
    """`micro_…_v{vectors}`: one tile of C from `depth` columns of A and rows of a panel of B.

    Rows of A beyond `last` are read as row `last`, which keeps reads inside of A; the caller
    leaves those rows of the tile out. With `adding` the tile is added to what lies in C.
    """
    text = FunctionText()
    element, vector = tile.element, f"<{tile.width} x {tile.element}>"
    bytes_a, bytes_b = text.times("%a_step", tile.size), text.times("%b_step", tile.size)
    starts = [
        text.place(element, "%a", text.times(text.smaller(row, "%last"), "%a_row"))
        for row in range(tile.rows)
    ]
    places = [(row, number) for row in range(tile.rows) for number in range(vectors)]
    sums = {place: f"%s{place[0]}_{place[1]}" for place in places}
    following = {place: f"%n{place[0]}_{place[1]}" for place in places}
    text.line("br label %test")
    text.start("test")
    for name, kind, first, after in (
        ("%index", "i64", "0", "%index.next"),
        ("%reach", "i64", "0", "%reach.next"),
        ("%panel", "ptr", "%b", "%panel.next"),
        *((sums[p], vector, "zeroinitializer", following[p]) for p in places),
    ):
        text.line(f"{name} = phi {kind} [ {first}, %entry ], [ {after}, %sum ]")
    text.line("%more = icmp slt i64 %index, %depth")
    text.line("br i1 %more, label %sum, label %out")
    text.start("sum")
    row_of_b = []
    for number in range(vectors):
        pointer = text.place(element, "%panel", number * tile.width)
        row_of_b.append(text.write(f"load {vector}, ptr {pointer}, align {tile.size}"))
    for row in range(tile.rows):
        pointer = text.write(f"getelementptr i8, ptr {starts[row]}, i64 %reach")
        one = text.write(f"load {element}, ptr {pointer}, align {tile.size}")
        lane = text.write(f"insertelement {vector} poison, {element} {one}, i64 0")
        zeros = f"<{tile.width} x i32> zeroinitializer"
        every = text.write(f"shufflevector {vector} {lane}, {vector} poison, {zeros}")
        for number in range(vectors):
            product = text.write(f"fmul contract {vector} {every}, {row_of_b[number]}")
            before = sums[row, number]
            text.line(f"{following[row, number]} = fadd contract {vector} {before}, {product}")
    text.line("%index.next = add i64 %index, 1")
    text.line(f"%reach.next = add i64 %reach, {bytes_a}")
    text.line(f"%panel.next = getelementptr i8, ptr %panel, i64 {bytes_b}")
    text.line("br label %test")
    text.start("out")
    rows_of_c = [
        text.place(element, "%c", text.times("%c_row", row) if row else 0)
        for row in range(tile.rows)
    ]
    pointers = {
        (row, number): text.place(element, rows_of_c[row], number * tile.width)
        for row, number in places
    }
    text.line("br i1 %adding, label %add, label %set")
    text.start("add")
    for place in places:
        old = text.write(f"load {vector}, ptr {pointers[place]}, align {tile.size}")
        new = text.write(f"fadd {vector} {old}, {sums[place]}")
        text.line(f"store {vector} {new}, ptr {pointers[place]}, align {tile.size}")
    text.line("ret void")
    text.start("set")
    for place in places:
        text.line(f"store {vector} {sums[place]}, ptr {pointers[place]}, align {tile.size}")
    return text.function(micro_name(tile, vectors), MICRO_PARAMETERS)


def micro_name(tile: Tile, vectors: int) -> str:
    """The name of the micro-kernel for tiles of so many vectors a row."""
    return f"micro_{tile.suffix}_v{vectors}"


PACK_PARAMETERS = "ptr %from, i64 %step, i64 %across, ptr %to, i64 %width, i64 %valid, i64 %depth"


def pack_name(tile: Tile, whole: int) -> str:
    """The name of the packing function for panels of a width."""
    return f"pack_{tile.suffix}_{whole}"


def pack(tile: Tile, whole: int) -> str:
    """`pack_…`: `to[k, j] = from[k · step + j · across]` where `j < valid`, else 0, j < `width`.

    Whole panels with one of both strides 1 are copied by rows, or turned round in pieces of 4 × 4.
    """
    text = FunctionText()
    element = tile.element
    is_whole = text.write(f"icmp eq i64 %valid, {whole}")
    beside = text.write("icmp eq i64 %across, 1")
    along = text.write("icmp eq i64 %step, 1")
    by_rows = text.write(f"and i1 {is_whole}, {beside}")
    turning = text.write(f"and i1 {is_whole}, {along}")
    text.line(f"br i1 {by_rows}, label %rows, label %other")
    text.start("rows")
    with text.loop("%depth") as k:
        _copy_row(text, element, tile.size, whole, k)
    text.line("ret void")
    text.start("other")
    if whole % 4 == 0:
        pieces = text.write("and i64 %depth, -4")
        limit = text.write(f"select i1 {turning}, i64 {pieces}, i64 0")
        with text.outer_loop(limit, 4) as k, text.loop(whole, 4) as first:
            _turn(text, element, tile.size, whole, k, first)
    else:
        limit = "0"
    left = text.subtract("%depth", limit)
    with text.outer_loop(left, 1) as number:
        k = text.add(number, limit)
        here, there = text.times(k, "%step"), text.times(k, "%width")
        with text.loop("%valid") as j:
            at = text.place(element, "%from", text.add(here, text.times(j, "%across")))
            value = text.write(f"load {element}, ptr {at}, align {tile.size}")
            target = text.place(element, "%to", text.add(there, j))
            text.line(f"store {element} {value}, ptr {target}, align {tile.size}")
        with text.loop("%width", start="%valid") as j:
            target = text.place(element, "%to", text.add(there, j))
            text.line(f"store {element} 0.0, ptr {target}, align {tile.size}")
    return text.function(pack_name(tile, whole), PACK_PARAMETERS)


def _copy_row(text: FunctionText, element: str, size: int, whole: int, k: str) -> None:
    """One row of a whole panel."""
    source = text.place(element, "%from", text.times(k, "%step"))
    target = text.place(element, "%to", text.times(k, whole))
    row = text.write(f"load <{whole} x {element}>, ptr {source}, align {size}")
    text.line(f"store <{whole} x {element}> {row}, ptr {target}, align {size}")


def _turn(text: FunctionText, element: str, size: int, whole: int, k: str, first: str) -> None:
    """Four columns at four places of the depth, turned round."""
    four, eight = f"<4 x {element}>", f"<8 x {element}>"

    def shuffled(kind: str, one: str, two: str, order: tuple[int, ...]) -> str:
        mask = ", ".join(f"i32 {lane}" for lane in order)
        lanes = f"<{len(order)} x i32> <{mask}>"
        return text.write(f"shufflevector {kind} {one}, {kind} {two}, {lanes}")

    columns = []
    for j in range(4):
        column = text.times(text.add(first, j), "%across")
        at = text.place(element, "%from", text.add(k, column))
        columns.append(text.write(f"load {four}, ptr {at}, align {size}"))
    interleaved = (0, 4, 1, 5, 2, 6, 3, 7)
    left = shuffled(four, columns[0], columns[1], interleaved)
    right = shuffled(four, columns[2], columns[3], interleaved)
    for number in range(4):
        lanes = (2 * number, 2 * number + 1, 8 + 2 * number, 9 + 2 * number)
        row = shuffled(eight, left, right, lanes)
        target = text.place(element, "%to", text.add(text.times(text.add(k, number), whole), first))
        text.line(f"store {four} {row}, ptr {target}, align {size}")


PRODUCT_PARAMETERS = (
    "ptr %a, i64 %a_row, i64 %a_step, ptr %b, i64 %b_step, i64 %b_column, ptr %c, i64 %c_row, "
    "i64 %rows, i64 %columns, i64 %depth, ptr %scratch, i1 %packing_a, i1 %packing_b, "
    "i1 %packed"
)


def product_name(tile: Tile) -> str:
    """The name of the product of a dtype."""
    return f"product_{tile.suffix}"


def product(tile: Tile) -> str:
    """`product_…`: C = A B, `rows` × `columns` over `depth`, in blocks that fit into the caches.

    `packing_a` copies blocks of A before use, as is needed where its rows are not contiguous;
    without `packing_b` whole panels of B are read where they lie: its columns are then contiguous.
    With `packed` they lie in the scratch memory since an earlier call, of one block.
    """
    assert tile.rows <= TALLEST_TILE, "scratch memory has room for so many rows"
    assert tile.columns <= WIDEST_TILE, "and for so many columns"
    text = FunctionText()
    element = tile.element
    panels = text.place(element, "%scratch", tile.rows * tile.columns)
    deepest = text.smaller("%depth", DEPTH_BLOCK)
    widest = text.smaller("%columns", COLUMN_BLOCK)
    rounded = text.times(
        text.write(f"udiv i64 {text.add(widest, tile.columns - 1)}, {tile.columns}"), tile.columns
    )
    tiles = text.place(element, panels, text.times(rounded, deepest))
    once = text.write("icmp sgt i64 %depth, 0")
    reach = text.write(f"select i1 {once}, i64 %depth, i64 1")
    with text.outer_loop(reach, DEPTH_BLOCK) as k:
        deep = text.smaller(text.subtract("%depth", k), DEPTH_BLOCK)
        adding = text.write(f"icmp sgt i64 {k}, 0")
        with text.outer_loop("%columns", COLUMN_BLOCK) as j:
            wide = text.smaller(text.subtract("%columns", j), COLUMN_BLOCK)
            with text.outer_loop("%rows", ROW_BLOCK) as i:
                high = text.smaller(text.subtract("%rows", i), ROW_BLOCK)
                block = _Block(tile, k, j, i, deep, wide, high, adding, panels, tiles)
                _block(text, block)
    return text.function(product_name(tile), PRODUCT_PARAMETERS)


@dataclass(frozen=True, slots=True)
class _Block:
    """Registers of a block of the product: where it begins, its extents, and packed memory."""

    tile: Tile
    k: str
    j: str
    i: str
    deep: str
    wide: str
    high: str
    adding: str
    panels: str
    tiles: str


def _block(text: FunctionText, block: _Block) -> None:
    """All tiles of one block; B is packed as the first block of rows comes to it."""
    tile, element = block.tile, block.tile.element
    start_a = text.add(text.times(block.i, "%a_row"), text.times(block.k, "%a_step"))
    block_a = text.place(element, "%a", start_a)
    with text.when("%packing_a"), text.outer_loop(block.high, tile.rows) as row:
        valid = text.smaller(text.subtract(block.high, row), tile.rows)
        source = text.place(element, block_a, text.times(row, "%a_row"))
        target = text.place(element, block.tiles, text.times(row, block.deep))
        text.line(
            f"call void @{pack_name(tile, tile.rows)}(ptr {source}, i64 %a_step, i64 %a_row, "
            f"ptr {target}, i64 {tile.rows}, i64 {valid}, i64 {block.deep})"
        )
    row_step = text.write("select i1 %packing_a, i64 1, i64 %a_row")
    depth_step = text.write(f"select i1 %packing_a, i64 {tile.rows}, i64 %a_step")
    jump = text.write(f"select i1 %packing_a, i64 {block.deep}, i64 %a_row")
    base_a = text.write(f"select i1 %packing_a, ptr {block.tiles}, ptr {block_a}")
    with text.outer_loop(block.wide, tile.columns) as column:
        valid = text.smaller(text.subtract(block.wide, column), tile.columns)
        panel, step, vectors = _panel(text, block, column, valid)
        micro = f"@{micro_name(tile, tile.vectors)}"
        for count in range(1, tile.vectors):
            fits = text.write(f"icmp eq i64 {vectors}, {count}")
            chosen = f"@{micro_name(tile, count)}"
            micro = text.write(f"select i1 {fits}, ptr {chosen}, ptr {micro}")
        whole_columns = text.write(f"icmp eq i64 {valid}, {text.times(vectors, tile.width)}")
        corner = text.place(element, "%c", text.add(block.j, column))
        with text.outer_loop(block.high, tile.rows) as row:
            left = text.subtract(block.high, row)
            valid_rows = text.smaller(left, tile.rows)
            last = text.subtract(valid_rows, 1)
            source = text.place(element, base_a, text.times(row, jump))
            target = text.place(element, corner, text.times(text.add(block.i, row), "%c_row"))
            arguments = (
                f"ptr {source}, i64 {row_step}, i64 {depth_step}, i64 {last}, ptr {panel}, "
                f"i64 {step}"
            )
            _tile(text, block, micro, arguments, target, valid_rows, valid, whole_columns)


def _panel(text: FunctionText, block: _Block, column: str, valid: str) -> tuple[str, str, str]:
    """A panel of B: where it lies, how far apart its rows are, and its vectors a row."""
    tile, element = block.tile, block.tile.element
    start = text.add(
        text.times(block.k, "%b_step"), text.times(text.add(block.j, column), "%b_column")
    )
    source = text.place(element, "%b", start)
    packed = text.place(element, block.panels, text.times(column, block.deep))
    vectors = text.write(f"udiv i64 {text.add(valid, tile.width - 1)}, {tile.width}")
    width = text.times(vectors, tile.width)
    partial = text.write(f"icmp ne i64 {valid}, {tile.columns}")
    copied = text.write(f"or i1 %packing_b, {partial}")
    first = text.write(f"icmp eq i64 {block.i}, 0")
    fresh = text.write("xor i1 %packed, true")
    due = text.write(f"and i1 {fresh}, {text.write(f'and i1 {first}, {copied}')}")
    with text.when(due):
        text.line(
            f"call void @{pack_name(tile, tile.columns)}(ptr {source}, i64 %b_step, "
            f"i64 %b_column, ptr {packed}, i64 {width}, i64 {valid}, i64 {block.deep})"
        )
    panel = text.write(f"select i1 {copied}, ptr {packed}, ptr {source}")
    step = text.write(f"select i1 {copied}, i64 {width}, i64 %b_step")
    return panel, step, vectors


def _tile(
    text: FunctionText,
    block: _Block,
    micro: str,
    arguments: str,
    target: str,
    rows: str,
    columns: str,
    whole_columns: str,
) -> None:
    """One tile: straight into C, or where it sticks out by way of the scratch memory."""
    tile, element = block.tile, block.tile.element
    whole_rows = text.write(f"icmp eq i64 {rows}, {tile.rows}")
    whole = text.write(f"and i1 {whole_rows}, {whole_columns}")
    goal = text.write(f"select i1 {whole}, ptr {target}, ptr %scratch")
    jump = text.write(f"select i1 {whole}, i64 %c_row, i64 {tile.columns}")
    adding = text.write(f"and i1 {whole}, {block.adding}")
    text.line(
        f"call void {micro}({arguments}, ptr {goal}, i64 {jump}, i64 {block.deep}, i1 {adding})"
    )
    outside = text.write(f"xor i1 {whole}, true")
    with text.when(outside), text.loop(rows) as i:
        row_from = text.place(element, "%scratch", text.times(i, tile.columns))
        row_to = text.place(element, target, text.times(i, "%c_row"))
        vectors = text.write(f"and i64 {columns}, {-tile.width}")
        vector = f"<{tile.width} x {element}>"
        for kind, start, stop, step in (
            (vector, "0", vectors, tile.width),
            (element, vectors, columns, 1),
        ):
            with text.loop(stop, step, start) as j:
                at, to = text.place(element, row_from, j), text.place(element, row_to, j)
                new = text.write(f"load {kind}, ptr {at}, align {tile.size}")
                goal = text.write(f"select i1 {block.adding}, ptr {to}, ptr {at}")
                old = text.write(f"load {kind}, ptr {goal}, align {tile.size}")
                summed = text.write(f"fadd {kind} {old}, {new}")
                value = text.write(f"select i1 {block.adding}, {kind} {summed}, {kind} {new}")
                text.line(f"store {kind} {value}, ptr {to}, align {tile.size}")


def library_text(tile: Tile) -> str:
    """The module of all functions for a tile; the product alone is seen from outside."""
    micro = [micro_kernel(tile, vectors) for vectors in range(1, tile.vectors + 1)]
    packs = [pack(tile, width) for width in sorted({tile.rows, tile.columns})]
    seen = product(tile).replace("define internal", "define", 1)
    return "\n".join([*micro, *packs, seen])
