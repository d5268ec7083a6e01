"""Numba itself: a version of the workload written by hand, its derivative included."""

import functools

import numba

from bench.subjects import Prepared, Stopwatch, Subject, Task


class HandWritten(Subject):
    name = "numba"
    kind = "peer"

    def has(self, task: Task) -> bool:
        return task.program_name in task.workload.handwritten

    def prepare(self, task: Task) -> Prepared:
        builder = task.workload.handwritten[task.program_name]
        kernel = numba.njit(error_model="numpy")(builder(task.size))
        stopwatch = Stopwatch()
        stopwatch.time("compile", kernel, *task.inputs)
        call = functools.partial(kernel, *task.inputs)
        return Prepared(call, call, stopwatch.stages, tuple)


PEER = HandWritten()
