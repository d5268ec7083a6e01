"""LLVM IR of the memory that large results lie in: freed blocks are kept and used again.

New memory costs a page fault for each page, 35 to 45 % of the time that filling 64 MB takes. The
four functions are a NumPy memory handler, so that results own their memory as any array does. NumPy
calls them with the GIL held. A block begins with 64 bytes that hold its capacity.
"""

from __future__ import annotations

SLOTS = 32
"""Blocks that are kept at most."""
HUGE = 4 << 20
"""Bytes of a block from which on the system is asked for large pages."""

_TEXT = """
declare i32 @tracer_posix_memalign(ptr, i64, i64)
declare void @tracer_libc_free(ptr)
declare i32 @tracer_madvise(ptr, i64, i32)
declare ptr @tracer_set_handler(ptr)
declare ptr @tracer_array_new(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare void @tracer_Py_DecRef(ptr)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; A slot: the block, its capacity, and when it was put there.
@slots = internal global [{slots} x [3 x i64]] zeroinitializer
@clock = internal global i64 0
@kept = global i64 0
@limit = global i64 0
@huge_pages = global i64 0
@handler = global ptr null

define internal ptr @fresh(i64 %size) {{
  %place = alloca ptr
  %total = add i64 %size, 64
  %large = icmp uge i64 %size, {huge}
  %align = select i1 %large, i64 2097152, i64 64
  %answer = call i32 @tracer_posix_memalign(ptr %place, i64 %align, i64 %total)
  %failed = icmp ne i32 %answer, 0
  br i1 %failed, label %none, label %made
none:
  ret ptr null
made:
  %raw = load ptr, ptr %place
  store i64 %size, ptr %raw
  %wanted = load i64, ptr @huge_pages
  %advised = icmp ne i64 %wanted, 0
  %both = and i1 %large, %advised
  br i1 %both, label %advise, label %done
advise:
  call i32 @tracer_madvise(ptr %raw, i64 %total, i32 14)
  br label %done
done:
  %block = getelementptr i8, ptr %raw, i64 64
  ret ptr %block
}}

; Empty a slot; what it held, which is no longer kept.
define internal ptr @take_out(i64 %slot) {{
  %entry = getelementptr [3 x i64], ptr @slots, i64 %slot
  %raw = load ptr, ptr %entry
  %size_place = getelementptr i64, ptr %entry, i64 1
  %size = load i64, ptr %size_place
  store i64 0, ptr %entry
  %sum = load i64, ptr @kept
  %rest = sub i64 %sum, %size
  store i64 %rest, ptr @kept
  ret ptr %raw
}}

; Give back the block that was kept longest.
define internal void @evict() {{
  br label %test
test:
  %slot = phi i64 [ 0, %0 ], [ %next, %looked ]
  %oldest = phi i64 [ -1, %0 ], [ %older, %looked ]
  %stamp = phi i64 [ 9223372036854775807, %0 ], [ %lower, %looked ]
  %more = icmp slt i64 %slot, {slots}
  br i1 %more, label %looked, label %found
looked:
  %entry = getelementptr [3 x i64], ptr @slots, i64 %slot
  %address = load i64, ptr %entry
  %time_place = getelementptr i64, ptr %entry, i64 2
  %time = load i64, ptr %time_place
  %used = icmp ne i64 %address, 0
  %before = icmp slt i64 %time, %stamp
  %better = and i1 %used, %before
  %older = select i1 %better, i64 %slot, i64 %oldest
  %lower = select i1 %better, i64 %time, i64 %stamp
  %next = add i64 %slot, 1
  br label %test
found:
  %none = icmp slt i64 %oldest, 0
  br i1 %none, label %end, label %drop
drop:
  %raw = call ptr @take_out(i64 %oldest)
  call void @tracer_libc_free(ptr %raw)
  br label %end
end:
  ret void
}}

; Keep at most so many bytes.
define void @shrink(i64 %most) {{
  br label %test
test:
  %kept = load i64, ptr @kept
  %over = icmp sgt i64 %kept, %most
  br i1 %over, label %drop, label %end
drop:
  call void @evict()
  br label %test
end:
  ret void
}}

define ptr @block_new(ptr %context, i64 %size) {{
  %allowance = lshr i64 %size, 2
  %most = add i64 %size, %allowance
  br label %test
test:
  %slot = phi i64 [ 0, %0 ], [ %next, %looked ]
  %best = phi i64 [ -1, %0 ], [ %chosen, %looked ]
  %least = phi i64 [ 9223372036854775807, %0 ], [ %smaller, %looked ]
  %more = icmp slt i64 %slot, {slots}
  br i1 %more, label %looked, label %found
looked:
  %entry = getelementptr [3 x i64], ptr @slots, i64 %slot
  %address = load i64, ptr %entry
  %size_place = getelementptr i64, ptr %entry, i64 1
  %capacity = load i64, ptr %size_place
  %used = icmp ne i64 %address, 0
  %enough = icmp uge i64 %capacity, %size
  %near = icmp ule i64 %capacity, %most
  %less = icmp slt i64 %capacity, %least
  %fits = and i1 %enough, %near
  %better = and i1 %used, %less
  %takes = and i1 %fits, %better
  %chosen = select i1 %takes, i64 %slot, i64 %best
  %smaller = select i1 %takes, i64 %capacity, i64 %least
  %next = add i64 %slot, 1
  br label %test
found:
  %none = icmp slt i64 %best, 0
  br i1 %none, label %make, label %take
take:
  %raw = call ptr @take_out(i64 %best)
  %block = getelementptr i8, ptr %raw, i64 64
  ret ptr %block
make:
  %new = call ptr @fresh(i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %again, label %done
again:
  call void @shrink(i64 0)
  %second = call ptr @fresh(i64 %size)
  ret ptr %second
done:
  ret ptr %new
}}

define void @block_free(ptr %context, ptr %block, i64 %size) {{
  %nothing = icmp eq ptr %block, null
  br i1 %nothing, label %end, label %some
some:
  %raw = getelementptr i8, ptr %block, i64 -64
  %capacity = load i64, ptr %raw
  %limit = load i64, ptr @limit
  %too_large = icmp sgt i64 %capacity, %limit
  br i1 %too_large, label %give, label %room
give:
  call void @tracer_libc_free(ptr %raw)
  ret void
room:
  %left = sub i64 %limit, %capacity
  call void @shrink(i64 %left)
  br label %test
test:
  %slot = phi i64 [ 0, %room ], [ %next, %taken ]
  %more = icmp slt i64 %slot, {slots}
  br i1 %more, label %look, label %full
look:
  %entry = getelementptr [3 x i64], ptr @slots, i64 %slot
  %address = load i64, ptr %entry
  %free = icmp eq i64 %address, 0
  br i1 %free, label %put, label %taken
taken:
  %next = add i64 %slot, 1
  br label %test
full:
  call void @evict()
  br label %room
put:
  store ptr %raw, ptr %entry
  %size_place = getelementptr i64, ptr %entry, i64 1
  store i64 %capacity, ptr %size_place
  %now = load i64, ptr @clock
  %later = add i64 %now, 1
  store i64 %later, ptr @clock
  %time_place = getelementptr i64, ptr %entry, i64 2
  store i64 %now, ptr %time_place
  %sum = load i64, ptr @kept
  %total = add i64 %sum, %capacity
  store i64 %total, ptr @kept
  br label %end
end:
  ret void
}}

define ptr @block_zeros(ptr %context, i64 %count, i64 %each) {{
  %size = mul i64 %count, %each
  %block = call ptr @block_new(ptr %context, i64 %size)
  %failed = icmp eq ptr %block, null
  br i1 %failed, label %end, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %block, i8 0, i64 %size, i1 false)
  br label %end
end:
  ret ptr %block
}}

define ptr @block_resize(ptr %context, ptr %block, i64 %size) {{
  %raw = getelementptr i8, ptr %block, i64 -64
  %capacity = load i64, ptr %raw
  %fits = icmp uge i64 %capacity, %size
  br i1 %fits, label %same, label %move
same:
  ret ptr %block
move:
  %new = call ptr @block_new(ptr %context, i64 %size)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %none, label %copy
none:
  ret ptr null
copy:
  call void @llvm.memcpy.p0.p0.i64(ptr %new, ptr %block, i64 %capacity, i1 false)
  call void @block_free(ptr %context, ptr %block, i64 %capacity)
  ret ptr %new
}}

; PyArray_NewFromDescr, while these functions are NumPy's.
define ptr @array_new_large(ptr %kind, ptr %dtype, i32 %ndim, ptr %sizes, ptr %strides, ptr %data,
    i32 %flags, ptr %object) {{
  %ours = load ptr, ptr @handler
  %before = call ptr @tracer_set_handler(ptr %ours)
  %failed = icmp eq ptr %before, null
  br i1 %failed, label %none, label %make
none:
  call void @tracer_Py_DecRef(ptr %dtype)
  ret ptr null
make:
  %made = call ptr @tracer_array_new(ptr %kind, ptr %dtype, i32 %ndim, ptr %sizes, ptr %strides,
    ptr %data, i32 %flags, ptr %object)
  %back = call ptr @tracer_set_handler(ptr %before)
  call void @tracer_Py_DecRef(ptr %before)
  %lost = icmp eq ptr %back, null
  br i1 %lost, label %drop, label %release
drop:
  %some = icmp ne ptr %made, null
  br i1 %some, label %delete, label %gone
delete:
  call void @tracer_Py_DecRef(ptr %made)
  br label %gone
gone:
  ret ptr null
release:
  call void @tracer_Py_DecRef(ptr %back)
  ret ptr %made
}}
"""


def blocks_text() -> str:
    """The module."""
    return _TEXT.format(slots=SLOTS, huge=HUGE)
