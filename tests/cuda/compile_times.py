"""What it costs to compile the benchmark's programs: `python -m tests.cuda.compile_times [name …]`.

Processor seconds of the better of two times, in a process that has compiled before: from graph to
kernels, to PTX, and to machine code for sm_90; nothing comes from a cache.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.workloads import load_workloads
from codegen.cuda.assemble import cubin_of
from codegen.cuda.target import compile_ptx
from codegen.device.schedule import Kernel
from tests.cuda import budgets

CAPABILITY = (9, 0)
WORDS = ("planned", "to PTX", "assembled")


def seconds(action: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the processor seconds that it takes, the better of two times."""
    best = np.inf
    for _ in range(2):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return result, float(best)


def ptx_of(kernel: Kernel) -> str:
    """The kernel as PTX."""
    return compile_ptx(kernel.source, kernel.name, kernel.arguments, CAPABILITY)


def main() -> None:
    """Print a line for each program, at the first of its workload's sizes."""
    start = time.process_time()
    first = True
    for name, workload in load_workloads().items():
        if workload.measure is not None or (len(sys.argv) > 1 and name not in sys.argv[1:]):
            continue
        size = workload.sizes[workload.default_sizes[0]]
        for program in workload.programs:
            graph = budgets.workload_graph(workload, program, size)
            kernels, planning = seconds(partial(budgets.kernels, graph))
            if first:
                cubin_of(ptx_of(kernels[0]), CAPABILITY)
                print(f"imports and the first kernel: {time.process_time() - start:.2f} s")
                first = False
            texts = [seconds(partial(ptx_of, kernel)) for kernel in kernels]
            codes = [seconds(partial(cubin_of, ptx, CAPABILITY)) for ptx, _ in texts]
            parts = planning, sum(cost for _, cost in texts), sum(cost for _, cost in codes)
            print(
                f"{name}-{program}: {len(kernels)} kernels,",
                *(f"{word} {cost:.3f}," for word, cost in zip(WORDS, parts, strict=True)),
                f"in all {sum(parts):.3f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
