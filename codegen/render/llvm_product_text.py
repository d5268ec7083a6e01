"""The text of matrix products: a micro-kernel in vector registers, packing, and the loops around.

`C = A B` is made tile by tile. A tile has as many rows and vectors as fit into the registers, and
the micro-kernel sums it over a block of the contracted axis: it reads one row of a panel of B and
one element of each row of A at a time (K. Goto, R. van de Geijn, "Anatomy of high-performance
matrix multiplication", ACM TOMS 34, 2008). All sizes and strides are arguments, so that one copy
in a process serves every product of a dtype.
"""

from __future__ import annotations

from dataclasses import dataclass

from codegen.render.llvm_product_micro import micro_kernel, micro_name, pack, pack_name
from codegen.render.llvm_product_writer import FunctionText, Tile
from kernels.product import COLUMN_BLOCK, DEPTH_BLOCK, ROW_BLOCK, TALLEST_TILE, WIDEST_TILE

ALWAYS_PACKED_FROM = 96
PACKED_FROM = 32
LARGE_OPERAND = 2**14
A_PACKED_FROM = 256
FEW_PANELS = 2
"""Panels of B are copied before use from so many rows of A on, for a B of at least `LARGE_OPERAND`
elements from fewer; A is from so many columns of B on, a transposed one where B has more than a few
panels. Below, the copy costs more than it saves.
"""

PRODUCT_PARAMETERS = (
    "ptr %a, i64 %a_row, i64 %a_step, ptr %b, i64 %b_step, i64 %b_column, ptr %c, i64 %c_row, "
    "i64 %rows, i64 %columns, i64 %depth, ptr %scratch, i1 %must_pack_a, i1 %must_pack_b, "
    "i1 %packed"
)


def product_name(tile: Tile) -> str:
    """The name of the product of a dtype."""
    return f"product_{tile.suffix}"


def product(tile: Tile) -> str:
    """`product_…`: C = A B, `rows` × `columns` over `depth`, in blocks that fit into the caches.

    Blocks of A and panels of B are read where they lie, or copied, as sizes and strides have it;
    with `must_pack_…` they are copied. With `packed` panels of B lie in the scratch memory since an
    earlier call, of one block.
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
    _choose_packing(text, tile)
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


def _choose_packing(text: FunctionText, tile: Tile) -> None:
    """Define `%packing_a` and `%packing_b`."""

    def holds(comparison: str) -> str:
        return text.write(f"icmp {comparison}")

    turned = holds("ne i64 %a_step, 1")
    many = holds(f"sgt i64 %columns, {FEW_PANELS * tile.columns}")
    wide = holds(f"sge i64 %columns, {A_PACKED_FROM}")
    either = text.write(f"or i1 {wide}, {text.write(f'and i1 {turned}, {many}')}")
    text.line(f"%packing_a = or i1 {either}, %must_pack_a")
    large = holds(f"sge i64 {text.times('%depth', '%columns')}, {LARGE_OPERAND}")
    some = holds(f"sge i64 %rows, {PACKED_FROM}")
    often = holds(f"sge i64 %rows, {ALWAYS_PACKED_FROM}")
    turned = holds("ne i64 %b_column, 1")
    pays = text.write(f"or i1 {often}, {text.write(f'and i1 {large}, {some}')}")
    needed = text.write(f"or i1 {turned}, %must_pack_b")
    text.line(f"%packing_b = or i1 {pays}, {needed}")


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
    prefetch = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
    return "\n".join([prefetch, *micro, *packs, seen])
