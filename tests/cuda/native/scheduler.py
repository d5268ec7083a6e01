"""The text of what runs a grid: one block after another, in each the threads in turn.

A thread that has come to a meeting has left there what it waits for. Once all threads of a warp
have, those that meet within it are answered; once all of the block have, the block's meeting is.
What goes wrong is left in `host.error`, the first time: a number, and details; all ends soon then.
"""

from __future__ import annotations

from tests.cuda.native.warps import GATHER, MOST, NO_ROOM, WARPS, counted

HEAD = f"""
%host.thread = type {{ ptr, i32, i32, i32, i32, i64, i64 }}
@host.threads = internal global [{MOST} x %host.thread] zeroinitializer
@host.error = global [8 x i64] zeroinitializer
@host.block = internal global i32 0
@host.now = internal global i32 0
@host.width = internal global i32 0
@host.grid = internal global i32 0
@host.frames = internal global ptr null
@host.frames.next = internal global i64 0
@host.frames.size = internal global i64 0

define internal void @host.fail(i64 %number, i64 %first, i64 %second, i64 %third) noinline {{
  %before = load i64, ptr @host.error
  %new = icmp eq i64 %before, 0
  br i1 %new, label %note, label %done
note:
  store i64 %number, ptr @host.error
  %block = load i32, ptr @host.block
  %b = zext i32 %block to i64
  store i64 %b, ptr getelementptr (i64, ptr @host.error, i64 1)
  %thread = load i32, ptr @host.now
  %t = zext i32 %thread to i64
  store i64 %t, ptr getelementptr (i64, ptr @host.error, i64 2)
  store i64 %first, ptr getelementptr (i64, ptr @host.error, i64 3)
  store i64 %second, ptr getelementptr (i64, ptr @host.error, i64 4)
  store i64 %third, ptr getelementptr (i64, ptr @host.error, i64 5)
  br label %done
done:
  ret void
}}
define internal void @host.meet(
    i32 %t, i32 %kind, i32 %site, i32 %mask, i32 %number, i64 %value) noinline {{
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t
  %p1 = getelementptr %host.thread, ptr %p, i32 0, i32 1
  store i32 %kind, ptr %p1
  %p2 = getelementptr %host.thread, ptr %p, i32 0, i32 2
  store i32 %site, ptr %p2
  %p3 = getelementptr %host.thread, ptr %p, i32 0, i32 3
  store i32 %mask, ptr %p3
  %p4 = getelementptr %host.thread, ptr %p, i32 0, i32 4
  store i32 %number, ptr %p4
  %p5 = getelementptr %host.thread, ptr %p, i32 0, i32 5
  store i64 %value, ptr %p5
  ret void
}}
define internal i32 @host.turn(i32 %i, i32 %count, i1 %backward) {{
  %last = sub i32 %count, 1
  %other = sub i32 %last, %i
  %r = select i1 %backward, i32 %other, i32 %i
  ret i32 %r
}}
define internal i64 @host.answer(i32 %t) noinline {{
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t, i32 6
  %v = load i64, ptr %p
  ret i64 %v
}}
define internal ptr @host.room(i64 %size) noinline {{
  %start = load i64, ptr @host.frames.next
  %more = add i64 %size, 63
  %whole = and i64 %more, -64
  %end = add i64 %start, %whole
  %all = load i64, ptr @host.frames.size
  %fits = icmp ule i64 %end, %all
  br i1 %fits, label %good, label %bad
bad:
  call void @host.fail(i64 {NO_ROOM}, i64 %end, i64 %all, i64 0)
  br label %good
good:
  %from = select i1 %fits, i64 %start, i64 0
  %next = select i1 %fits, i64 %end, i64 %start
  store i64 %next, ptr @host.frames.next
  %base = load ptr, ptr @host.frames
  %p = getelementptr i8, ptr %base, i64 %from
  ret ptr %p
}}
define internal i32 @host.kind(i32 %t) {{
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t, i32 1
  %v = load i32, ptr %p
  ret i32 %v
}}
define internal i1 @host.same(i32 %s, i32 %t) {{
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %s
  %q = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t
  %p1 = getelementptr %host.thread, ptr %p, i32 0, i32 1
  %q1 = getelementptr %host.thread, ptr %q, i32 0, i32 1
  %p2 = getelementptr %host.thread, ptr %p, i32 0, i32 2
  %q2 = getelementptr %host.thread, ptr %q, i32 0, i32 2
  %a = load i32, ptr %p1
  %b = load i32, ptr %q1
  %c = load i32, ptr %p2
  %d = load i32, ptr %q2
  %e = icmp eq i32 %a, %b
  %f = icmp eq i32 %c, %d
  %r = and i1 %e, %f
  ret i1 %r
}}
define internal i1 @host.going() {{
  %e = load volatile i64, ptr @host.error
  %r = icmp eq i64 %e, 0
  ret i1 %r
}}
"""

BLOCKS = f"""
define internal void @host.threads.run(ptr %arguments, i32 %threads, i1 %backward) noinline {{
  call void @llvm.memset.p0.i64(ptr @host.threads, i8 0, i64 {MOST * 40}, i1 false)
  store i64 0, ptr @host.frames.next
  %more = add i32 %threads, 31
  %warps = lshr i32 %more, 5
  br label %again
again:
  {counted("i", "%warps", '''
  %turn = call i32 @host.turn(i32 %i, i32 %warps, i1 %backward)
  %first = shl i32 %turn, 5
  %left = sub i32 %threads, %first
  %part = icmp slt i32 %left, 32
  %count = select i1 %part, i32 %left, i32 32
  call void @host.warp(ptr %arguments, i32 %first, i32 %count, i1 %backward)''')}
  %going = call i1 @host.going()
  br i1 %going, label %check, label %leave
check:
  %same = call i1 @host.together(i32 0, i32 %threads)
  br i1 %same, label %all, label %leave
all:
  %kind = call i32 @host.kind(i32 0)
  %ended = icmp eq i32 %kind, -1
  br i1 %ended, label %leave, label %answer
answer:
  call void @host.vote(i32 %kind, i32 0, i32 %threads)
  br label %again
leave:
  ret void
}}
"""
ALONE = f"""
define internal void @host.threads.run(ptr %arguments, i32 %threads, i1 %backward) noinline {{
  {counted("i", "%threads", '''
  %t = call i32 @host.turn(i32 %i, i32 %threads, i1 %backward)
  store i32 %t, ptr @host.now
  call void @host.start(ptr %arguments, i32 %t)''')}
  ret void
}}
"""
"""Threads that never meet run one after another."""

GRID = f"""
define void @host.run(
    ptr %arguments, i32 %blocks, i32 %threads, i32 %order, ptr %frames, i64 %size) {{
  store i32 %threads, ptr @host.width
  store i32 %blocks, ptr @host.grid
  store ptr %frames, ptr @host.frames
  store i64 %size, ptr @host.frames.size
  %here = alloca i64
  store ptr %here, ptr @host.stack
  %backward = icmp ne i32 %order, 0
  {counted("b", "%blocks", '''
  %block = call i32 @host.turn(i32 %b, i32 %blocks, i1 %backward)
  store i32 %block, ptr @host.block
  call void @host.forget()
  %going = call i1 @host.going()
  br i1 %going, label %run, label %b.next
run:
  call void @host.threads.run(ptr %arguments, i32 %threads, i1 %backward)''')}
  ret void
}}
"""


def runner(meeting: bool) -> str:
    """All of the text; it needs `host.start`, `host.forget` and `host.stack`."""
    return HEAD + (GATHER + WARPS + BLOCKS if meeting else ALONE) + GRID
