"""The text of what happens where the threads of a warp meet, and of votes of any threads."""

from __future__ import annotations

MOST = 1024
"""Threads of a block, at most."""
DIVERGED, SHORT_WARP, PARTNER, NO_ROOM, OUTSIDE, MISALIGNED = range(1, 7)
MESSAGES = {
    DIVERGED: "not all threads come to the same meeting",
    SHORT_WARP: "a warp of less than 32 threads meets",
    PARTNER: "a thread asks one for its value that gives none",
    NO_ROOM: "no room for the threads' frames",
    OUTSIDE: "an access outside of all memory that the kernel was given",
    MISALIGNED: "an access at an address that is not a multiple of its size",
}


def counted(name: str, count: str, body: str) -> str:
    """A loop in which `%{name}` goes from 0 to before `count`. In `body`, `{name}.next` is where
    the next turn begins; if it does not end by a branch it goes there.
    """
    end = "" if body.rstrip().rsplit("\n", 1)[-1].lstrip().startswith("br ") else "\n  br label "
    end += end and f"%{name}.next"
    return f"""
  br label %{name}.before
{name}.before:
  br label %{name}.head
{name}.head:
  %{name} = phi i32 [ 0, %{name}.before ], [ %{name}.more, %{name}.next ]
  %{name}.on = icmp slt i32 %{name}, {count}
  br i1 %{name}.on, label %{name}.body, label %{name}.after
{name}.body:
{body}{end}
{name}.next:
  %{name}.more = add i32 %{name}, 1
  br label %{name}.head
{name}.after:"""


# All threads from %first on, %count of them, are at the same meeting; -1 else, with an error noted.
GATHER = f"""
define internal i1 @host.together(i32 %first, i32 %count) noinline {{
  {counted("i", "%count", '''
  %t = add i32 %first, %i
  %same = call i1 @host.same(i32 %first, i32 %t)
  br i1 %same, label %i.next, label %bad''')}
  ret i1 true
bad:
  %k1 = call i32 @host.kind(i32 %first)
  %k2 = call i32 @host.kind(i32 %t)
  store i32 %t, ptr @host.now
  %a = sext i32 %k1 to i64
  %b = sext i32 %k2 to i64
  %c = zext i32 %first to i64
  call void @host.fail(i64 {DIVERGED}, i64 %a, i64 %b, i64 %c)
  ret i1 false
}}
define internal void @host.vote(i32 %kind, i32 %first, i32 %count) noinline {{
  %any = alloca i64
  %all = alloca i64
  %sum = alloca i64
  %ballot = alloca i64
  store i64 0, ptr %any
  store i64 1, ptr %all
  store i64 0, ptr %sum
  store i64 0, ptr %ballot{counted("i", "%count", f'''
  %t = add i32 %first, %i
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t, i32 5
  %v = load i64, ptr %p
  %nonzero = icmp ne i64 %v, 0
  %one = zext i1 %nonzero to i64
  %any.old = load i64, ptr %any
  %any.new = or i64 %any.old, %one
  store i64 %any.new, ptr %any
  %all.old = load i64, ptr %all
  %all.new = and i64 %all.old, %one
  store i64 %all.new, ptr %all
  %sum.old = load i64, ptr %sum
  %sum.new = add i64 %sum.old, %one
  store i64 %sum.new, ptr %sum
  %lane = zext i32 %i to i64
  %place = and i64 %lane, 63
  %bit = shl i64 %one, %place
  %ballot.old = load i64, ptr %ballot
  %ballot.new = or i64 %ballot.old, %bit
  store i64 %ballot.new, ptr %ballot''')}
  switch i32 %kind, label %is.any [ i32 3, label %is.all i32 17, label %is.all
    i32 4, label %is.sum i32 19, label %is.ballot ]
is.any:
  br label %found
is.all:
  br label %found
is.sum:
  br label %found
is.ballot:
  br label %found
found:
  %from = phi ptr [ %any, %is.any ], [ %all, %is.all ], [ %sum, %is.sum ], [ %ballot, %is.ballot ]
  %answer = load i64, ptr %from
  {counted("j", "%count", f'''
  %u = add i32 %first, %j
  %q = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %u, i32 6
  store i64 %answer, ptr %q''')}
  ret void
}}
"""

WARPS = f"""
define internal void @host.go(ptr %arguments, i32 %t) noinline {{
  %kind = call i32 @host.kind(i32 %t)
  %ended = icmp eq i32 %kind, -1
  %going = call i1 @host.going()
  %never = xor i1 %going, true
  %leave = or i1 %ended, %never
  br i1 %leave, label %done, label %run
run:
  store i32 %t, ptr @host.now
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t
  %h = load ptr, ptr %p
  %new = icmp eq ptr %h, null
  br i1 %new, label %start, label %resume
start:
  %made = call ptr @host.start(ptr %arguments, i32 %t)
  store ptr %made, ptr %p
  br label %done
resume:
  call void @llvm.coro.resume(ptr %h)
  br label %done
done:
  ret void
}}
define internal void @host.exchange(i32 %kind, i32 %first) noinline {{
  {counted("i", "32", f'''
  %t = add i32 %first, %i
  %p = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %t
  %p4 = getelementptr %host.thread, ptr %p, i32 0, i32 4
  %number = load i32, ptr %p4
  %up = sub i32 %i, %number
  %down = add i32 %i, %number
  %across = xor i32 %i, %number
  %is.up = icmp eq i32 %kind, 21
  %is.down = icmp eq i32 %kind, 22
  %is.across = icmp eq i32 %kind, 23
  %w1 = select i1 %is.up, i32 %up, i32 %number
  %w2 = select i1 %is.down, i32 %down, i32 %w1
  %w3 = select i1 %is.across, i32 %across, i32 %w2
  %there = icmp ult i32 %w3, 32
  %lane = select i1 %there, i32 %w3, i32 %i
  %is.idx = icmp eq i32 %kind, 20
  %either = or i1 %is.idx, %is.across
  %nobody = xor i1 %there, true
  %wrong = and i1 %either, %nobody
  br i1 %wrong, label %bad, label %good
bad:
  store i32 %t, ptr @host.now
  %n = sext i32 %number to i64
  call void @host.fail(i64 {PARTNER}, i64 %n, i64 0, i64 0)
  br label %good
good:
  %u = add i32 %first, %lane
  %q = getelementptr [{MOST} x %host.thread], ptr @host.threads, i32 0, i32 %u, i32 5
  %v = load i64, ptr %q
  %p6 = getelementptr %host.thread, ptr %p, i32 0, i32 6
  store i64 %v, ptr %p6''')}
  ret void
}}
define internal void @host.warp(ptr %arguments, i32 %first, i32 %count, i1 %backward) noinline {{
  br label %again
again:
  {counted("i", "%count", '''
  %turn = call i32 @host.turn(i32 %i, i32 %count, i1 %backward)
  %t = add i32 %first, %turn
  call void @host.go(ptr %arguments, i32 %t)''')}
  {counted("j", "%count", '''
  %u = add i32 %first, %j
  %kind = call i32 @host.kind(i32 %u)
  %inner = icmp sge i32 %kind, 16
  br i1 %inner, label %found, label %j.next''')}
  ret void
found:
  %going = call i1 @host.going()
  br i1 %going, label %check, label %leave
check:
  %same = call i1 @host.together(i32 %first, i32 %count)
  br i1 %same, label %size, label %leave
size:
  %whole = icmp eq i32 %count, 32
  br i1 %whole, label %answer, label %short
short:
  call void @host.fail(i64 {SHORT_WARP}, i64 0, i64 0, i64 0)
  br label %leave
answer:
  %shuffle = icmp sge i32 %kind, 20
  br i1 %shuffle, label %exchange, label %vote
exchange:
  call void @host.exchange(i32 %kind, i32 %first)
  br label %again
vote:
  call void @host.vote(i32 %kind, i32 %first, i32 %count)
  br label %again
leave:
  ret void
}}
"""
