"""Branches past code that few arguments need."""

from __future__ import annotations

from collections.abc import Callable

from codegen.render.vector_math.lanes import Lanes, Value


def where_any(lanes: Lanes, mask: Value, otherwise: Value, write: Callable[[], Value]) -> Value:
    """`write()` in the lanes of `mask`, else `otherwise`; run only if the mask has any lane.

    Opens new blocks, so that phi nodes after it must name the builder's block.
    """
    builder = lanes.builder
    needed, done = builder.fresh_label("needed"), builder.fresh_label("done")
    before = builder.block
    builder.line(f"br i1 {lanes.any(mask)}, label %{needed}, label %{done}")
    builder.start_block(needed)
    merged = lanes.select(mask, write(), otherwise)
    after = builder.block
    builder.line(f"br label %{done}")
    builder.start_block(done)
    return lanes.write(
        otherwise.kind,
        f"phi {otherwise.type} [ {otherwise.register}, %{before} ], "
        f"[ {merged.register}, %{after} ]",
    )
