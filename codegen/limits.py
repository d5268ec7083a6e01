"""What this machine can do at best on one thread: operations a second, and bytes a second by where
they lie. Both are measured, with loops in LLVM's text that have nothing else to do.

Operations are multiply-adds in registers, two each. Bandwidth is that of the triad a = b + s·c
(J. McCalpin, STREAM, 1995), counted as there: the reading of a line before it is written is not.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import cache, partial

import numpy as np

from codegen.dispatch.link import Linked
from codegen.render.llvm_machine import host_machine, object_code

WORKING_SETS = (24 * 2**10, 384 * 2**10, 6 * 2**20, 96 * 2**20)
"""Bytes of the three arrays of a triad: in the first three levels of caches, and in memory."""
CHAINS = 12
"""Multiply-adds that are under way at once: as many as two units of four or five cycles take."""
COPIES = 4
"""Vectors of a triad's iteration."""
APART = 200
"""Numbers between where the arrays of a triad begin in their pages: at the same place, a processor
takes a store to one for a store to the next.
"""
ROUNDS = 20_000
SECONDS = 0.02
"""Of repeated runs of each kernel; the fastest counts."""
TYPES = {8: "double", 4: "float"}


@cache
def machine_limits() -> tuple[dict[int, float], dict[int, float]]:
    """Operations a second by the bytes of a number (8 and 4), and bytes a second by how many are
    touched. Measured once in a process, in about a third of a second.
    """
    vector = host_machine().vector_bytes
    flops = {width: _operations(width, vector // width) for width in TYPES}
    return flops, _bandwidths(vector // 8)


def _operations(width: int, lanes: int) -> float:
    kernel = Linked(object_code(_multiply_adds(TYPES[width], lanes)), ("run",))
    result = ctypes.create_string_buffer(64)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(kernel["run"])
    fastest = _fastest(lambda: run(ctypes.addressof(result), ROUNDS))
    return 2.0 * CHAINS * lanes * ROUNDS / fastest


def _bandwidths(lanes: int) -> dict[int, float]:
    step = lanes * COPIES
    kernel = Linked(object_code(_triad(lanes)), ("run",))
    types = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    run = ctypes.CFUNCTYPE(None, *types)(kernel["run"])
    whole = [np.full(WORKING_SETS[-1] // 24 + APART * 3, value) for value in (0.0, 1.0, 2.0)]
    pointers = [array.ctypes.data + 8 * APART * place for place, array in enumerate(whole)]
    found = {}
    for size in WORKING_SETS:
        count = size // 24 // step * step
        rounds = max(1, 2**21 // size)
        fastest = _fastest(partial(run, *pointers, count, rounds))
        found[size] = 24.0 * count * rounds / fastest
    return found


def _fastest(call: Callable[[], object]) -> float:
    call()
    fastest, started = float("inf"), time.perf_counter()
    while fastest == float("inf") or time.perf_counter() - started < SECONDS:
        before = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - before)
    return fastest


def _multiply_adds(scalar: str, lanes: int) -> str:
    """`run(result, rounds)`: independent chains of x·0.5 + 0.5 in vectors."""
    kind = f"<{lanes} x {scalar}>"
    name = f"@llvm.fma.v{lanes}f{'64' if scalar == 'double' else '32'}"
    half = f"<{', '.join([f'{scalar} 0.5'] * lanes)}>"
    chains = range(CHAINS)
    phis = [f"  %x{k} = phi {kind} [ {half}, %entry ], [ %y{k}, %loop ]" for k in chains]
    steps = [
        f"  %y{k} = call {kind} {name}({kind} %x{k}, {kind} {half}, {kind} {half})" for k in chains
    ]
    sums = [f"  %s{k} = fadd {kind} {'%y0' if k == 1 else f'%s{k - 1}'}, %y{k}" for k in chains[1:]]
    lines = [
        f"declare {kind} {name}({kind}, {kind}, {kind})",
        "define void @run(ptr %result, i64 %rounds) nounwind {",
        "entry:",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %loop ]",
        *phis,
        *steps,
        "  %next = add i64 %i, 1",
        "  %more = icmp slt i64 %next, %rounds",
        "  br i1 %more, label %loop, label %done",
        "done:",
        *sums,
        f"  store {kind} %s{CHAINS - 1}, ptr %result, align 4",
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _triad(lanes: int) -> str:
    """`run(a, b, c, count, rounds)`: a = b + 0.5·c, in whole iterations of some vectors."""
    kind = f"<{lanes} x double>"
    half = f"<{', '.join(['double 0.5'] * lanes)}>"
    steps = []
    for k in range(COPIES):
        steps.append(f"  %i{k} = add i64 %i, {k * lanes}")
        steps += [f"  %p{name}{k} = getelementptr double, ptr %{name}, i64 %i{k}" for name in "abc"]
        steps.append(f"  %x{k} = load {kind}, ptr %pb{k}, align 8")
        steps.append(f"  %y{k} = load {kind}, ptr %pc{k}, align 8")
        steps.append(f"  %z{k} = fmul {kind} %y{k}, {half}")
        steps.append(f"  %s{k} = fadd {kind} %x{k}, %z{k}")
        steps.append(f"  store {kind} %s{k}, ptr %pa{k}, align 8")
    pointers = ", ".join(f"ptr noalias %{name}" for name in "abc")
    lines = [
        f"define void @run({pointers}, i64 %count, i64 %rounds) nounwind {{",
        "entry:",
        "  br label %round",
        "round:",
        "  %r = phi i64 [ 0, %entry ], [ %following, %end ]",
        "  br label %loop",
        "loop:",
        "  %i = phi i64 [ 0, %round ], [ %next, %loop ]",
        *steps,
        f"  %next = add i64 %i, {lanes * COPIES}",
        "  %more = icmp slt i64 %next, %count",
        "  br i1 %more, label %loop, label %end",
        "end:",
        "  %following = add i64 %r, 1",
        "  %again = icmp slt i64 %following, %rounds",
        "  br i1 %again, label %round, label %done",
        "done:",
        "  ret void",
        "}",
    ]
    return "\n".join(lines) + "\n"
