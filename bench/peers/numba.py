"""Numba itself: a version of the workload written by hand, its derivative included."""

import functools

import numba

from bench.subjects import Prepared, Stopwatch, Subject, Task

FLAGS = {"contract", "reassoc"}
"""Sums in any order and fused multiply-adds: without them no loop with a sum is vectorized."""


class HandWritten(Subject):
    name = "numba"
    kind = "peer"

    def has(self, task: Task) -> bool:
        return task.program_name in task.workload.handwritten

    def prepare(self, task: Task) -> Prepared:
        builder = task.workload.handwritten[task.program_name]
        kernel = numba.njit(error_model="numpy", fastmath=FLAGS)(builder(task.size))
        stopwatch = Stopwatch()
        stopwatch.time("compile", kernel, *task.inputs)
        call = functools.partial(kernel, *task.inputs)
        return Prepared(call, call, stopwatch.stages, tuple)


PEER = HandWritten()
