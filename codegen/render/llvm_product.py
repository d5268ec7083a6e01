"""Calls of matrix products of our own."""

from __future__ import annotations

from codegen.loops.nodes import Call, Literal, Variable, View
from codegen.render.llvm_emit import INT64
from codegen.render.llvm_lanes import LaneWriter
from codegen.render.llvm_product_writer import tile_for


class ProductWriter(LaneWriter):
    """Writes calls of products."""

    def product(self, call: Call) -> None:
        """`product_…` with pointers, strides and sizes; operands are read as they lie."""
        (result, scratch), (left, right) = call.results, call.operands
        if result.axes == (1, 0):  # A B lies transposed: write B' A'
            result, left, right = flipped(result), flipped(right), flipped(left)
        dtype = result.buffer.dtype
        tile = tile_for(dtype.itemsize, self.vectorizer.vector_bytes)
        rows, columns = result.shape
        a_row, a_step = self.steps(left)
        b_step, b_column = self.steps(right)
        c_row, _ = self.steps(result)
        panel = call.params.get("panel")
        packed = "0"
        if isinstance(panel, str):
            packed = self.write(f"icmp ne i64 {self.value(Variable(panel, INT64)).text}, 0")
        sizes = [self.extent(extent) for extent in (rows, columns, left.shape[1])]
        arguments = (
            *(f"ptr {self.start(left)}", f"i64 {a_row}", f"i64 {a_step}"),
            *(f"ptr {self.start(right)}", f"i64 {b_step}", f"i64 {b_column}"),
            *(f"ptr {self.start(result)}", f"i64 {c_row}"),
            *(f"i64 {size}" for size in sizes),
            f"ptr {self.start(scratch)}",
            "i1 0",
            f"i1 {int(panel is not None)}",
            f"i1 {packed}",
        )
        symbol = f"@tracer_product_{tile.suffix}"
        kinds = [argument.split()[0] for argument in arguments]
        self.declare(f"void {symbol}({', '.join(kinds)})")
        self.line(f"call void {symbol}({', '.join(arguments)})")

    def start(self, view: View) -> str:
        """A pointer to a view's first element."""
        return self.address(view.buffer, self.forms.flat(view.buffer, view.indices))

    def steps(self, view: View) -> tuple[str, str]:
        """How many elements apart rows and columns of a matrix lie."""
        length = self.extent(view.buffer.shape[-1])
        return ("1", length) if view.axes == (1, 0) else (length, "1")

    def extent(self, extent: int) -> str:
        """An extent as an i64: a literal, or a register where the size is known at run time."""
        return self.value(Literal(extent, INT64)).text


def flipped(view: View) -> View:
    """The transposed matrix."""
    return View(view.buffer, view.indices, None if view.axes == (1, 0) else (1, 0))
