"""Kernels for the tests, written by hand as LLVM IR, and both ways of making an entry."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from codegen.dispatch import make_python_entry
from codegen.dispatch.compile import compile_module
from codegen.dispatch.entry import make_native_entry
from codegen.dispatch.spec import ArrayLeaf

MAKERS: dict[str, Callable[..., Any]] = {"native": make_native_entry, "python": make_python_entry}
HEAD = "(ptr %inputs, ptr %outputs, ptr %workspace, ptr %status)"
FLOAT64 = np.dtype(np.float64)
VECTOR = ArrayLeaf(FLOAT64, (4,))
MATRIX = ArrayLeaf(FLOAT64, (2, 3))

_TEXT = f"""
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define i32 @nothing{HEAD} {{
  ret i32 0
}}

; inputs: int code, int[4] words. Reports them.
define i32 @fail{HEAD} {{
  %code_place = load ptr, ptr %inputs
  %code = load i32, ptr %code_place
  %second = getelementptr ptr, ptr %inputs, i64 1
  %words_place = load ptr, ptr %second
  %words = load <4 x i64>, ptr %words_place, align 8
  store <4 x i64> %words, ptr %status, align 8
  ret i32 %code
}}

; inputs: constant address of a counter. Counts its calls.
define i32 @count{HEAD} {{
  %place = load ptr, ptr %inputs
  %old = load i64, ptr %place
  %new = add i64 %old, 1
  store i64 %new, ptr %place
  ret i32 0
}}

; inputs: constant address of a function int32(void). Calls it.
define i32 @call_back{HEAD} {{
  %place = load ptr, ptr %inputs
  %code = call i32 %place()
  ret i32 %code
}}

; inputs: n, byte, function or null. Fills n bytes of the workspace, calls back, and gives the sum.
define i32 @fill_workspace{HEAD} {{
start:
  %size_place = load ptr, ptr %inputs
  %size = load i64, ptr %size_place
  %second = getelementptr ptr, ptr %inputs, i64 1
  %byte_place = load ptr, ptr %second
  %byte = load i8, ptr %byte_place
  call void @llvm.memset.p0.i64(ptr %workspace, i8 %byte, i64 %size, i1 false)
  %third = getelementptr ptr, ptr %inputs, i64 2
  %back = load ptr, ptr %third
  %silent = icmp eq ptr %back, null
  br i1 %silent, label %sum, label %call
call:
  call i32 %back()
  br label %sum
sum:
  br label %loop
loop:
  %i = phi i64 [ 0, %sum ], [ %next, %step ]
  %total = phi i64 [ 0, %sum ], [ %more, %step ]
  %going = icmp ult i64 %i, %size
  br i1 %going, label %step, label %end
step:
  %place = getelementptr i8, ptr %workspace, i64 %i
  %value = load i8, ptr %place
  %wide = zext i8 %value to i64
  %more = add i64 %total, %wide
  %next = add i64 %i, 1
  br label %loop
end:
  %into = load ptr, ptr %outputs
  store i64 %total, ptr %into
  %second_into = getelementptr ptr, ptr %outputs, i64 1
  %place_into = load ptr, ptr %second_into
  %address = ptrtoint ptr %workspace to i64
  store i64 %address, ptr %place_into
  ret i32 0
}}

; inputs: double[4] and the constant address of two flags. Raises the first, waits for the second,
; then copies the array.
define i32 @wait{HEAD} {{
start:
  %second = getelementptr ptr, ptr %inputs, i64 1
  %flags = load ptr, ptr %second
  store volatile i64 1, ptr %flags
  %go_place = getelementptr i64, ptr %flags, i64 1
  br label %loop
loop:
  %go = load volatile i64, ptr %go_place
  %waiting = icmp eq i64 %go, 0
  br i1 %waiting, label %loop, label %end
end:
  %from = load ptr, ptr %inputs
  %values = load <4 x double>, ptr %from, align 8
  %into = load ptr, ptr %outputs
  store <4 x double> %values, ptr %into, align 8
  ret i32 0
}}
"""
_NAMES = ("nothing", "fail", "count", "call_back", "fill_workspace", "wait")


@cache
def kernel(name: str) -> int:
    """Address of one of the kernels above."""
    return dict(zip(_NAMES, compile_module(_TEXT, _NAMES, stored=False), strict=True))[name]


@cache
def copy_kernel(*moves: tuple[int, int]) -> int:
    """A kernel that copies to each output, of input `index`, `size` bytes: (index, size)."""
    lines = []
    for output, (index, size) in enumerate(moves):
        lines += [
            f"%in{output} = getelementptr ptr, ptr %inputs, i64 {index}",
            f"%from{output} = load ptr, ptr %in{output}",
            f"%out{output} = getelementptr ptr, ptr %outputs, i64 {output}",
            f"%to{output} = load ptr, ptr %out{output}",
            f"call void @llvm.memcpy.p0.p0.i64(ptr %to{output}, ptr %from{output}, "
            f"i64 {size}, i1 false)",
        ]
    body = "\n  ".join([*lines, "ret i32 0"])
    declared = "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"
    source = f"{declared}\ndefine i32 @copy{HEAD} {{\n  {body}\n}}"
    return compile_module(source, ("copy",), stored=False)[0]


class SlowPath:
    """Takes what does not fit, and notes it."""

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        self.seen.append((args, kwargs))
        return "slow"


def integers(*values: int) -> Any:
    """int64 memory for a kernel's constants; `ctypes.addressof` gives its address."""
    return (ctypes.c_int64 * len(values))(*values)
