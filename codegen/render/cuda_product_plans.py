"""The text of a planned product: tiles, and the statements that are run for each element."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from codegen.device.plan_kernel import KernelPlan, ProductPlan
from codegen.loops.nodes import Loop
from codegen.render.cuda_groups import GroupWriter
from codegen.render.cuda_products import ProductKernel

OWN_NAMES = (
    "sums", "tile", "tile_at", "stack", "row", "column", "thread_row", "thread_column",
    "tile_row", "tile_column", "first_term", "following", "term", "turn", "at", "i", "j",
    "first_x", "x_tile", "x_next", "x_now", "x_free", "x_kept", "x_from", "x_row", "x_term",
    "first_y", "y_tile", "y_next", "y_now", "y_free", "y_kept", "y_from", "y_row", "y_term",
)  # fmt: skip
"""What `ProductKernel` calls its variables."""


def product_lines(plan: KernelPlan, writer: GroupWriter) -> list[str]:
    """The lines of a kernel that multiplies, after those that every kernel begins with."""
    product = plan.product
    assert product is not None, "the plan is of a product"
    writer.taken.update(OWN_NAMES)
    nest = product.nest
    left, right = nest.call.operands
    starts: list[str] = []

    def find_starts() -> None:
        _indices(writer, nest.loops, "stack")
        starts.extend(writer.offset(view.buffer, view.indices) for view in nest.call.operands)

    stack = _collected(writer, find_starts)
    kernel = ProductKernel(
        nest.product,
        product.tiling,
        (plan.name, "", writer.array(left.buffer), writer.array(right.buffer)),
        store=lambda *place: _collected(writer, lambda: _store(product, writer, *place)),
        stack=tuple(stack),
        starts=(starts[0], starts[1]),
    )
    return [*writer.lines, *("    " + line for line in kernel.lines)]


def _collected(writer: GroupWriter, write: Callable[[], None]) -> list[str]:
    """The lines that are written, not indented, instead of being added to the writer's."""
    lines, indent = writer.lines, writer.indent
    writer.lines, writer.indent = [], ""
    write()
    found = writer.lines
    writer.lines, writer.indent = lines, indent
    return found


def _indices(writer: GroupWriter, loops: Sequence[Loop], counter: str) -> None:
    """The indices of a nest from one counter; each has one name wherever it is found."""
    if loops:
        writer.indices(list(loops), counter)


def _store(
    product: ProductPlan, writer: GroupWriter, stack: str, row: str, column: str, value: str
) -> None:
    """The lines for one element: it is kept where something else needs it, then used."""
    nest, made = product.nest, product.made
    (view,) = nest.call.results
    if made is not None:
        writer.line(f"{writer.name(made.value)} = {value}")
        value = writer.name(made.value)
    if product.kept:
        place = writer.offset(view.buffer, view.indices)
        place = f"{place} + {row} * {nest.product.n} + {column}"
        writer.line(f"{writer.array(view.buffer)}[{place}] = {value}")
    if made is not None:
        for loops, counter in ((made.stack, stack), (made.rows, row), (made.columns, column)):
            _indices(writer, loops, counter)
        writer.run(made.body)
