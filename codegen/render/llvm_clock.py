"""Looks at the processor's clock, for profiles (`codegen.passes.clocks`)."""

from __future__ import annotations

import platform

from codegen.loops.nodes import Call, View
from codegen.render.llvm_memory import MemoryWriter

STEADY = ("aarch64", "arm64")
"""Processors whose counter of cycles programs may not read: they have one of a steady rate."""


def write_clock(writer: MemoryWriter, call: Call) -> None:
    """With the whole table: clear it, and begin. With two rows: the time since the last look is
    that of the first row, which counts one visit more; the second row keeps the time of looks.
    """
    kind = "steady" if platform.machine() in STEADY else "cycle"
    writer.declare(f"i64 @llvm.read{kind}counter()")
    if len(call.results) == 1:
        table = call.results[0].buffer
        begin = _place(writer, call.results[0])
        writer.declare("void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        size = 8 * table.size
        writer.line(f"call void @llvm.memset.p0.i64(ptr {begin}, i8 0, i64 {size}, i1 false)")
        row = writer.write(f"getelementptr i64, ptr {begin}, i64 {2 * (table.shape[0] - 1)}")
        now = writer.write(f"call i64 @llvm.read{kind}counter()")
        _put(writer, row, 0, now)
        _put(writer, row, 1, now)
        return
    kernel, looks = (_place(writer, view) for view in call.results)
    now = writer.write(f"call i64 @llvm.read{kind}counter()")
    before = writer.write(f"load i64, ptr {looks}")
    _put(writer, looks, 0, now)
    passed = writer.write(f"sub i64 {now}, {before}")
    for column, more in enumerate((passed, "1")):
        place = writer.write(f"getelementptr i64, ptr {kernel}, i64 {column}")
        known = writer.write(f"load i64, ptr {place}")
        writer.line(f"store i64 {writer.write(f'add i64 {known}, {more}')}, ptr {place}")


def _place(writer: MemoryWriter, view: View) -> str:
    return writer.address(view.buffer, writer.forms.flat(view.buffer, view.indices))


def _put(writer: MemoryWriter, row: str, column: int, value: str) -> None:
    place = writer.write(f"getelementptr i64, ptr {row}, i64 {column}")
    writer.line(f"store i64 {value}, ptr {place}")
