"""LLVM IR of the threads: a region's chunks, run by the caller and by workers who join it.

    int32_t run(void (*work)(void *context, int64_t chunk), void *context, int64_t count,
                int64_t nanoseconds, int64_t record[3])

`nanoseconds` is about what one chunk takes. It gives 0, or -1 where a signal has set an exception.

The caller takes chunks from the front, workers from the
back, until they meet: no worker has to come, so a region never waits for one that sleeps. A worker
joins by counting itself into `inside` before it looks whether the region is open; the caller closes
the region and waits for `inside` to be 0, so nobody reads a region that is over.

Only one region at a time has workers; what else runs meanwhile (another Python thread, a call out
of a region) runs its chunks alone, in the same order. With a `record`, which is the region's own
and zero at first, a region is shared only as long as that is measured to be faster than alone: on
a machine with other work it may not be. Both are tried again from time to time.
"""

from __future__ import annotations

import signal
import time

from codegen.dispatch.threads_workers import FREE_PLACE, OTHER_PLACE, STATE, WORKER

LONG = 1_000_000
"""Nanoseconds of a region from which on it is run without the GIL."""
LOOK = 20_000_000
"""Nanoseconds between two looks for signals."""
WAKE = 100_000
"""Nanoseconds of work for which a sleeping worker is woken: some times what waking takes."""
SPIN = 50
"""Microseconds for which a worker looks for more work before it sleeps."""
LATE = 20_000
"""Nanoseconds that a worker may finish after the caller, beside a chunk's length."""
MOST_THREADS = 256

TRIAL = 400_000
"""Nanoseconds of work for which a region is shared to see how that goes, ..."""
ROUNDS = 64
"""... and of how many such times that is one."""

_PAUSES = {
    "x86_64": ("declare void @llvm.x86.sse2.pause()", "call void @llvm.x86.sse2.pause()"),
    "aarch64": ("declare void @llvm.aarch64.hint(i32)", "call void @llvm.aarch64.hint(i32 1)"),
}

_HEAD = """
declare i32 @tracer_PyGILState_Check()
declare i32 @tracer_PyErr_CheckSignals()
declare ptr @tracer_PyEval_SaveThread()
declare void @tracer_PyEval_RestoreThread(ptr)

@workers = global i64 0

; In a long loop that holds the GIL: other Python threads have their turn, then signals theirs.
define i32 @pause() {{
  %thread = call ptr @tracer_PyEval_SaveThread()
  call void @tracer_PyEval_RestoreThread(ptr %thread)
  %answer = call i32 @tracer_PyErr_CheckSignals()
  ret i32 %answer
}}

define i32 @run(ptr %work, ptr %context, i64 %count, i64 %time, ptr %record) {{
  %held = call i32 @tracer_PyGILState_Check()
  %holds = icmp ne i32 %held, 0
  %total = mul i64 %count, %time
  %long = icmp sgt i64 %total, {long}
  %leave = and i1 %long, %holds
  br i1 %leave, label %release, label %begin
release:
  %thread = call ptr @tracer_PyEval_SaveThread()
  br label %begin
begin:
  %saved = phi ptr [ null, %0 ], [ %thread, %release ]
  %answer = call i32 @share(ptr %work, ptr %context, i64 %count, i64 %time, ptr %record, ptr %saved,
    i1 %holds)
  br i1 %leave, label %retake, label %end
retake:
  call void @tracer_PyEval_RestoreThread(ptr %saved)
  br label %end
end:
  ret i32 %answer
}}

; Looks for signals where it is time for that: not 0 where an exception is now set.
define internal i32 @look(ptr %clock, i64 %time, ptr %saved, i1 %holds) {{
  %before = load i64, ptr %clock
  %now = add i64 %before, %time
  store i64 %now, ptr %clock
  %due = icmp sgt i64 %now, {look}
  %may = and i1 %due, %holds
  br i1 %may, label %ask, label %fine
ask:
  store i64 0, ptr %clock
  %away = icmp ne ptr %saved, null
  br i1 %away, label %back, label %here
here:
  %direct = call i32 @tracer_PyErr_CheckSignals()
  ret i32 %direct
back:
  call void @tracer_PyEval_RestoreThread(ptr %saved)
  %answer = call i32 @tracer_PyErr_CheckSignals()
  %same = call ptr @tracer_PyEval_SaveThread()
  ret i32 %answer
fine:
  ret i32 0
}}

define internal i32 @alone(ptr %work, ptr %context, i64 %count, i64 %time, ptr %saved, i1 %holds) {{
  %clock = alloca i64
  store i64 0, ptr %clock
  br label %test
test:
  %chunk = phi i64 [ 0, %0 ], [ %next, %done ]
  %more = icmp slt i64 %chunk, %count
  br i1 %more, label %one, label %fine
one:
  call void %work(ptr %context, i64 %chunk)
  %next = add i64 %chunk, 1
  %answer = call i32 @look(ptr %clock, i64 %time, ptr %saved, i1 %holds)
  %failed = icmp ne i32 %answer, 0
  br i1 %failed, label %stop, label %done
done:
  br label %test
stop:
  ret i32 -1
fine:
  ret i32 0
}}
"""

_ALONE = """
define internal i32 @share(ptr %work, ptr %context, i64 %count, i64 %time, ptr %record, ptr %saved,
    i1 %holds) {
  %answer = call i32 @alone(ptr %work, ptr %context, i64 %count, i64 %time, ptr %saved, i1 %holds)
  ret i32 %answer
}
define void @forget() {
  ret void
}
define i64 @started_workers() {
  ret i64 0
}
"""

_SHARE = """
; A sleeper is woken for a long region, for short ones that come one upon the other, and for a try.
define internal void @wake(i64 %total, i1 %try) {{
  %sleepers = load atomic i64, ptr @sleepers seq_cst, align 64
  %awake = icmp eq i64 %sleepers, 0
  br i1 %awake, label %end, label %some
some:
  %long = icmp sgt i64 %total, {wake}
  br i1 %long, label %call, label %short
short:
  br i1 %try, label %hot, label %count
count:
  %now = call i64 @now()
  %before = load i64, ptr @credit_time
  store i64 %now, ptr @credit_time
  %gap = sub i64 %now, %before
  %allowed = add i64 %total, {wake}
  %apart = icmp sgt i64 %gap, %allowed
  %credit = load i64, ptr @credit
  %sum = add i64 %credit, %total
  %earned = select i1 %apart, i64 0, i64 %sum
  %enough = icmp sgt i64 %earned, {wake}
  %kept = select i1 %enough, i64 0, i64 %earned
  store i64 %kept, ptr @credit
  br i1 %enough, label %hot, label %end
hot:
  %pauses = load i64, ptr @pauses
  %most = mul i64 %pauses, {spin}
  store atomic i64 %most, ptr @spin monotonic, align 64
  br label %call
call:
  call i32 @tracer_pthread_mutex_lock(ptr @mutex)
  call i32 @tracer_pthread_cond_broadcast(ptr @condition)
  call i32 @tracer_pthread_mutex_unlock(ptr @mutex)
  br label %end
end:
  ret void
}}

; Until the workers have left: by spinning first, then giving way to others.
define internal void @wait(i64 %time) {{
  %pauses = load i64, ptr @pauses
  %fair = add i64 %time, {late}
  %scaled = mul i64 %fair, %pauses
  %most = udiv i64 %scaled, 1000
  br label %test
test:
  %turns = phi i64 [ 0, %0 ], [ %more, %pause ]
  %inside = load atomic i64, ptr @inside seq_cst, align 64
  %empty = icmp eq i64 %inside, 0
  br i1 %empty, label %end, label %full
full:
  %tired = icmp sge i64 %turns, %most
  br i1 %tired, label %yield, label %pause
pause:
  {pause}
  %more = add i64 %turns, 1
  br label %test
yield:
  %yields = phi i64 [ 0, %full ], [ %again, %next ]
  %there = load atomic i64, ptr @inside seq_cst, align 64
  %gone = icmp eq i64 %there, 0
  br i1 %gone, label %end, label %give
give:
  %many = icmp sgt i64 %yields, 20
  br i1 %many, label %sleep, label %polite
sleep:
  call i32 @tracer_usleep(i32 50)
  br label %next
polite:
  call i32 @tracer_sched_yield()
  br label %next
next:
  %again = add i64 %yields, 1
  br label %yield
end:
  ret void
}}

; 0: work alone, 1: share, 2: share to see how that goes. A record has the mean time alone, the mean
; time shared, and where in the round of trying both the region is, in nanoseconds of its work.
define internal i32 @choose(ptr %record, i64 %total) {{
  %free = icmp eq ptr %record, null
  br i1 %free, label %share, label %measured
share:
  ret i32 1
measured:
  %place = getelementptr i64, ptr %record, i64 2
  %at = load i64, ptr %place
  %four = shl i64 %total, 2
  %small = icmp slt i64 %four, {trial}
  %trial = select i1 %small, i64 {trial}, i64 %four
  %round = mul i64 %trial, {rounds}
  %then = add i64 %at, %total
  %ended = icmp sge i64 %then, %round
  %next = select i1 %ended, i64 0, i64 %then
  store i64 %next, ptr %place
  %trying = icmp slt i64 %at, %trial
  br i1 %trying, label %try, label %later
try:
  ret i32 2
later:
  %quarter = lshr i64 %trial, 2
  %edge = add i64 %trial, %quarter
  %checking = icmp slt i64 %at, %edge
  br i1 %checking, label %alone, label %compare
alone:
  ret i32 0
compare:
  %by_itself = load i64, ptr %record
  %other = getelementptr i64, ptr %record, i64 1
  %together = load i64, ptr %other
  %left = mul i64 %together, 10
  %right = mul i64 %by_itself, 9
  %better = icmp slt i64 %left, %right
  %answer = zext i1 %better to i32
  ret i32 %answer
}}

define internal void @record(ptr %record, i64 %index, i64 %begin) {{
  %free = icmp eq ptr %record, null
  br i1 %free, label %end, label %keep
keep:
  %now = call i64 @now()
  %taken = sub i64 %now, %begin
  %place = getelementptr i64, ptr %record, i64 %index
  %mean = load i64, ptr %place
  %new = icmp eq i64 %mean, 0
  %thrice = mul i64 %mean, 3
  %sum = add i64 %thrice, %taken
  %smooth = lshr i64 %sum, 2
  %kept = select i1 %new, i64 %taken, i64 %smooth
  store i64 %kept, ptr %place
  br label %end
end:
  ret void
}}

define internal i32 @share(ptr %work, ptr %context, i64 %count, i64 %time, ptr %record, ptr %saved,
    i1 %holds) {{
  %clock = alloca i64
  store i64 0, ptr %clock
  %total = mul i64 %count, %time
  %workers = load i64, ptr @workers
  %some = icmp sgt i64 %workers, 0
  %several = icmp sgt i64 %count, 1
  %possible = and i1 %some, %several
  br i1 %possible, label %ask, label %serial
ask:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue {{ i32, i1 }} %pair, 1
  br i1 %mine, label %own, label %serial
own:
  %way = call i32 @choose(ptr %record, i64 %total)
  %apart = icmp eq i32 %way, 0
  br i1 %apart, label %stay, label %have
stay:
  store atomic i32 0, ptr @busy release, align 64
  %from = call i64 @now()
  %single = call i32 @alone(ptr %work, ptr %context, i64 %count, i64 %time, ptr %saved, i1 %holds)
  call void @record(ptr %record, i64 0, i64 %from)
  ret i32 %single
have:
  %started = load i64, ptr @started
  %fewer = icmp slt i64 %started, %workers
  %can = icmp sge i64 %started, 0
  %wanting = and i1 %fewer, %can
  br i1 %wanting, label %create, label %ready
create:
  %made = call i64 @start()
  br label %ready
ready:
  %number = phi i64 [ %started, %have ], [ %made, %create ]
  %any = icmp sgt i64 %number, 0
  br i1 %any, label %publish, label %give_up
give_up:
  store atomic i32 0, ptr @busy release, align 64
  br label %serial
serial:
  %lonely = call i32 @alone(ptr %work, ptr %context, i64 %count, i64 %time, ptr %saved, i1 %holds)
  ret i32 %lonely
publish:
  %begin = call i64 @now()
  call void @place()
  store ptr %work, ptr @job_work
  store ptr %context, ptr @job_context
  %all = shl i64 %count, 32
  store atomic i64 %all, ptr @claim release, align 64
  store atomic i64 1, ptr @open seq_cst, align 64
  atomicrmw add ptr @generation, i64 1 seq_cst
  %try = icmp eq i32 %way, 2
  call void @wake(i64 %total, i1 %try)
  br label %next
next:
  %chunk = call i64 @take(i1 true)
  %none = icmp slt i64 %chunk, 0
  br i1 %none, label %over, label %do
do:
  call void %work(ptr %context, i64 %chunk)
  %seen = call i32 @look(ptr %clock, i64 %time, ptr %saved, i1 %holds)
  %failed = icmp ne i32 %seen, 0
  br i1 %failed, label %cancel, label %next
cancel:
  store atomic i64 0, ptr @claim seq_cst, align 64
  br label %over
over:
  %answer = phi i32 [ 0, %next ], [ -1, %cancel ]
  store atomic i64 0, ptr @open seq_cst, align 64
  call void @wait(i64 %time)
  call void @record(ptr %record, i64 1, i64 %begin)
  store atomic i32 0, ptr @busy release, align 64
  ret i32 %answer
}}
"""


def threads_text(architecture: str, posix: bool, linux: bool) -> str:
    """The module: `run`, `forget` for forked children, `started_workers`, the number `workers`."""
    head = _HEAD.format(long=LONG, look=LOOK)
    if not posix:
        return head + _ALONE
    declaration, pause = _PAUSES.get(architecture, ("", ""))
    faults = "\n".join(
        f"  call i32 @tracer_sigdelset(ptr %set, i32 {int(number)})"
        for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
    )
    place = OTHER_PLACE if linux else FREE_PLACE
    fields = {
        "pause_declaration": declaration, "pause": pause, "faults": faults, "spin": SPIN,
        "wake": WAKE, "late": LATE, "most": MOST_THREADS, "trial": TRIAL, "rounds": ROUNDS,
        "set_mask": int(signal.SIG_SETMASK), "monotonic": time.CLOCK_MONOTONIC,
    }  # fmt: skip
    return head + "".join(part.format(**fields) for part in (STATE, place, WORKER, _SHARE))


POSIX_FUNCTIONS = (
    "pthread_create", "pthread_detach", "pthread_mutex_init", "pthread_mutex_lock",
    "pthread_mutex_unlock", "pthread_cond_init", "pthread_cond_wait", "pthread_cond_broadcast",
    "pthread_sigmask", "sigfillset", "sigdelset", "sched_yield", "usleep", "clock_gettime",
)  # fmt: skip
LINUX_FUNCTIONS = ("sched_getcpu", "sched_getaffinity", "pthread_setaffinity_np")
PYTHON_FUNCTIONS = (
    "PyGILState_Check", "PyErr_CheckSignals", "PyEval_SaveThread", "PyEval_RestoreThread",
)  # fmt: skip
