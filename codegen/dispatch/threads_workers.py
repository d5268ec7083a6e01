"""LLVM IR of the workers: their state, start, sleep and work (`codegen.dispatch.threads_text`)."""

from __future__ import annotations

# Words that are written by different threads lie in cache lines of their own.
STATE = """
{pause_declaration}
declare i32 @tracer_pthread_create(ptr, ptr, ptr, ptr)
declare i32 @tracer_pthread_detach(ptr)
declare i32 @tracer_pthread_mutex_init(ptr, ptr)
declare i32 @tracer_pthread_mutex_lock(ptr)
declare i32 @tracer_pthread_mutex_unlock(ptr)
declare i32 @tracer_pthread_cond_init(ptr, ptr)
declare i32 @tracer_pthread_cond_wait(ptr, ptr)
declare i32 @tracer_pthread_cond_broadcast(ptr)
declare i32 @tracer_pthread_sigmask(i32, ptr, ptr)
declare i32 @tracer_sigfillset(ptr)
declare i32 @tracer_sigdelset(ptr, i32)
declare i32 @tracer_sched_yield()
declare i32 @tracer_usleep(i32)
declare i32 @tracer_clock_gettime(i32, ptr)

@generation = internal global [8 x i64] zeroinitializer, align 64
@claim = internal global [8 x i64] zeroinitializer, align 64
@inside = internal global [8 x i64] zeroinitializer, align 64
@sleepers = internal global [8 x i64] zeroinitializer, align 64
@open = internal global [8 x i64] zeroinitializer, align 64
@spin = internal global [8 x i64] zeroinitializer, align 64
@job_work = internal global ptr null, align 64
@job_context = internal global ptr null
@busy = internal global i32 0, align 64
@started = internal global i64 0
@credit = internal global i64 0
@credit_time = internal global i64 0
@pauses = internal global i64 100
@processor = internal global i32 -1
@identities = internal global [{most} x ptr] zeroinitializer
@mutex = internal global [32 x i64] zeroinitializer, align 64
@condition = internal global [32 x i64] zeroinitializer, align 64

define i64 @started_workers() {{
  %number = load i64, ptr @started
  ret i64 %number
}}

; In a forked child: the workers are the parent's, and so is a region that was open.
define void @forget() {{
  store i32 0, ptr @busy
  store i64 0, ptr @started
  store i64 0, ptr @open
  store i64 0, ptr @inside
  store i64 0, ptr @sleepers
  store i64 0, ptr @claim
  store i64 0, ptr @credit
  ret void
}}

define internal i64 @now() {{
  %place = alloca [2 x i64]
  call i32 @tracer_clock_gettime(i32 {monotonic}, ptr %place)
  %seconds = load i64, ptr %place
  %second = getelementptr i64, ptr %place, i64 1
  %rest = load i64, ptr %second
  %scaled = mul i64 %seconds, 1000000000
  %sum = add i64 %scaled, %rest
  ret i64 %sum
}}

define internal void @pause_for(i64 %count) {{
  br label %loop
loop:
  %done = phi i64 [ 0, %0 ], [ %next, %loop ]
  {pause}
  %next = add i64 %done, 1
  %more = icmp slt i64 %next, %count
  br i1 %more, label %loop, label %end
end:
  ret void
}}

; One chunk from the front or the back; -1 where none is left.
define internal i64 @take(i1 %front) {{
  br label %again
again:
  %state = load atomic i64, ptr @claim acquire, align 64
  %first = and i64 %state, 4294967295
  %last = lshr i64 %state, 32
  %left = icmp ult i64 %first, %last
  br i1 %left, label %try, label %none
try:
  %step = select i1 %front, i64 1, i64 -4294967296
  %changed = add i64 %state, %step
  %pair = cmpxchg ptr @claim, i64 %state, i64 %changed acq_rel monotonic
  %mine = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %mine, label %got, label %again
got:
  %lower = sub i64 %last, 1
  %chunk = select i1 %front, i64 %first, i64 %lower
  ret i64 %chunk
none:
  ret i64 -1
}}
"""

WORKER = """
define internal ptr @worker(ptr %nothing) {{
  br label %idle
idle:
  %seen = phi i64 [ -1, %0 ], [ %known, %left ]
  br label %spinning
spinning:
  %turns = phi i64 [ 0, %idle ], [ %more, %paused ]
  %current = load atomic i64, ptr @generation acquire, align 64
  %new = icmp ne i64 %current, %seen
  br i1 %new, label %found, label %wait
wait:
  %limit = load atomic i64, ptr @spin monotonic, align 64
  %tired = icmp sge i64 %turns, %limit
  br i1 %tired, label %sleep, label %paused
paused:
  {pause}
  %more = add i64 %turns, 1
  br label %spinning
sleep:
  %halved = lshr i64 %limit, 1
  store atomic i64 %halved, ptr @spin monotonic, align 64
  call i32 @tracer_pthread_mutex_lock(ptr @mutex)
  atomicrmw add ptr @sleepers, i64 1 seq_cst
  br label %asleep
asleep:
  %there = load atomic i64, ptr @generation seq_cst, align 64
  %wake = icmp ne i64 %there, %seen
  br i1 %wake, label %woken, label %rest
rest:
  call i32 @tracer_pthread_cond_wait(ptr @condition, ptr @mutex)
  br label %asleep
woken:
  atomicrmw sub ptr @sleepers, i64 1 seq_cst
  call i32 @tracer_pthread_mutex_unlock(ptr @mutex)
  br label %join
found:
  %pauses = load i64, ptr @pauses
  %most = mul i64 %pauses, {spin}
  store atomic i64 %most, ptr @spin monotonic, align 64
  br label %join
join:
  %known = phi i64 [ %there, %woken ], [ %current, %found ]
  %others = atomicrmw add ptr @inside, i64 1 seq_cst
  %open = load atomic i64, ptr @open seq_cst, align 64
  %is_open = icmp ne i64 %open, 0
  %places = load i64, ptr @workers
  %has_place = icmp slt i64 %others, %places
  %enters = and i1 %is_open, %has_place
  br i1 %enters, label %enter, label %left
enter:
  %work = load ptr, ptr @job_work
  %context = load ptr, ptr @job_context
  br label %next
next:
  %chunk = call i64 @take(i1 false)
  %none = icmp slt i64 %chunk, 0
  br i1 %none, label %left, label %do
do:
  call void %work(ptr %context, i64 %chunk)
  br label %next
left:
  atomicrmw sub ptr @inside, i64 1 seq_cst
  br label %idle
}}

define internal i64 @start() {{
  %identity = alloca i64
  %set = alloca [32 x i64]
  %old = alloca [32 x i64]
  %running = load i64, ptr @started
  %first = icmp eq i64 %running, 0
  br i1 %first, label %prepare, label %ready
prepare:
  %begin = call i64 @now()
  call void @pause_for(i64 1000)
  %end = call i64 @now()
  %taken = sub i64 %end, %begin
  %positive = add i64 %taken, 1
  %rate = udiv i64 1000000, %positive
  %small = icmp ult i64 %rate, 1
  %pauses = select i1 %small, i64 1, i64 %rate
  store i64 %pauses, ptr @pauses
  %most = mul i64 %pauses, {spin}
  store i64 %most, ptr @spin
  call i32 @tracer_pthread_mutex_init(ptr @mutex, ptr null)
  call i32 @tracer_pthread_cond_init(ptr @condition, ptr null)
  br label %ready
ready:
  call i32 @tracer_sigfillset(ptr %set)
{faults}
  call i32 @tracer_pthread_sigmask(i32 {set_mask}, ptr %set, ptr %old)
  %wanted = load i64, ptr @workers
  %there = load i64, ptr @started
  br label %test
test:
  %made = phi i64 [ %there, %ready ], [ %one_more, %good ]
  %more = icmp slt i64 %made, %wanted
  br i1 %more, label %create, label %done
create:
  %answer = call i32 @tracer_pthread_create(ptr %identity, ptr null, ptr @worker, ptr null)
  %failed = icmp ne i32 %answer, 0
  br i1 %failed, label %done, label %good
good:
  %thread = load ptr, ptr %identity
  call i32 @tracer_pthread_detach(ptr %thread)
  %place = getelementptr ptr, ptr @identities, i64 %made
  store ptr %thread, ptr %place
  %one_more = add i64 %made, 1
  br label %test
done:
  call i32 @tracer_pthread_sigmask(i32 {set_mask}, ptr %old, ptr null)
  %nothing = icmp eq i64 %made, 0
  %result = select i1 %nothing, i64 -1, i64 %made
  store i64 %result, ptr @started
  store i32 -1, ptr @processor
  ret i64 %result
}}
"""

FREE_PLACE = """
define internal void @place() {{
  ret void
}}
"""

OTHER_PLACE = """
declare i32 @tracer_sched_getcpu()
declare i32 @tracer_sched_getaffinity(i32, i64, ptr)
declare i32 @tracer_pthread_setaffinity_np(ptr, i64, ptr)

; Workers may run where the caller may, but not on the processor where it is: some systems pack
; threads on few processors until these are busy, and a worker there would only take turns.
define internal void @place() {{
  %set = alloca [16 x i64]
  %here = call i32 @tracer_sched_getcpu()
  %known = load i32, ptr @processor
  %same = icmp eq i32 %here, %known
  br i1 %same, label %end, label %moved
moved:
  store i32 %here, ptr @processor
  %outside = icmp ugt i32 %here, 1023
  br i1 %outside, label %end, label %ask
ask:
  %answer = call i32 @tracer_sched_getaffinity(i32 0, i64 128, ptr %set)
  %failed = icmp slt i32 %answer, 0
  br i1 %failed, label %end, label %change
change:
  %number = zext i32 %here to i64
  %index = lshr i64 %number, 6
  %bit = and i64 %number, 63
  %one = shl i64 1, %bit
  %others = xor i64 %one, -1
  %word = getelementptr i64, ptr %set, i64 %index
  %before = load i64, ptr %word
  %after = and i64 %before, %others
  store i64 %after, ptr %word
  %all = load <16 x i64>, ptr %set, align 8
  %some = call i64 @llvm.vector.reduce.or.v16i64(<16 x i64> %all)
  %none = icmp eq i64 %some, 0
  br i1 %none, label %end, label %each
each:
  %count = load i64, ptr @started
  br label %test
test:
  %worker = phi i64 [ 0, %each ], [ %next, %do ]
  %more = icmp slt i64 %worker, %count
  br i1 %more, label %do, label %end
do:
  %entry = getelementptr ptr, ptr @identities, i64 %worker
  %thread = load ptr, ptr %entry
  call i32 @tracer_pthread_setaffinity_np(ptr %thread, i64 128, ptr %set)
  %next = add i64 %worker, 1
  br label %test
end:
  ret void
}}
declare i64 @llvm.vector.reduce.or.v16i64(<16 x i64>)
"""
