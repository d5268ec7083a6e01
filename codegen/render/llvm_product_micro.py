"""The innermost functions of matrix products: the micro-kernel, which sums a tile in registers, and
packing, which copies panels so that it reads them in order.
"""

from __future__ import annotations

from codegen.render.llvm_product_writer import FunctionText, Tile

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
    for row_of_c in _rows_of_c(text, tile):
        for column in (0, vectors * tile.width - 1):
            ahead = text.place(element, row_of_c, column)
            text.line(f"call void @llvm.prefetch.p0(ptr {ahead}, i32 1, i32 3, i32 1)")
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
    _multiply(text, tile, vectors, starts, sums, following)
    text.line("%index.next = add i64 %index, 1")
    text.line(f"%reach.next = add i64 %reach, {bytes_a}")
    text.line(f"%panel.next = getelementptr i8, ptr %panel, i64 {bytes_b}")
    text.line("br label %test")
    text.start("out")
    rows_of_c = _rows_of_c(text, tile)
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


def _rows_of_c(text: FunctionText, tile: Tile) -> list[str]:
    """Pointers to the rows of a tile of C."""
    return [
        text.place(tile.element, "%c", text.times("%c_row", row) if row else 0)
        for row in range(tile.rows)
    ]


def _multiply(
    text: FunctionText,
    tile: Tile,
    vectors: int,
    starts: list[str],
    sums: dict[tuple[int, int], str],
    following: dict[tuple[int, int], str],
) -> None:
    """One column of A times one row of the panel of B, added to the sums."""
    element, vector = tile.element, f"<{tile.width} x {tile.element}>"
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
