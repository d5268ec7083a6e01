"""Runs emitted functions over NumPy arrays: for tests, timings and the accuracy table."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from codegen.render.vector_math import FUNCTIONS, LineCollector, Target, emit_inline
from codegen.render.vector_math.lanes import FORMATS

Array = np.ndarray[Any, np.dtype[Any]]


def host_target() -> Target:
    """What this machine can run."""
    return Target.from_features(llvm.get_host_cpu_features())


def loop_text(name: str, dtype: str, width: int, target: Target) -> str:
    """A module with `void run(i64 vectors, ptr result, ptr operand…)`, one body a vector."""
    form = FORMATS[dtype]
    count = FUNCTIONS[name].operand_count
    vector = form.float_type if width == 1 else f"<{width} x {form.float_type}>"
    align = form.bits // 8
    builder = LineCollector("body")
    operands = []
    for k in range(count):
        builder.line(f"%p{k} = getelementptr {vector}, ptr %in{k}, i64 %i")
        builder.line(f"%x{k} = load {vector}, ptr %p{k}, align {align}")
        operands.append(f"%x{k}")
    result = emit_inline(builder, name, dtype, width, operands, target)
    builder.line(f"%q = getelementptr {vector}, ptr %out, i64 %i")
    builder.line(f"store {vector} {result}, ptr %q, align {align}")
    builder.line("%next = add i64 %i, 1")
    builder.line("%more = icmp slt i64 %next, %vectors")
    builder.line("br i1 %more, label %body, label %end")
    parameters = ["i64 %vectors", "ptr noalias %out"] + [f"ptr %in{k}" for k in range(count)]
    body = "\n".join(builder.lines)
    return f"""\
{builder.module_text()}
define void @run({", ".join(parameters)}) noinline {{
entry:
  br label %body
body:
  %i = phi i64 [ 0, %entry ], [ %next, %{builder.block} ]
{body}
end:
  ret void
}}
define void @run_many(i64 %times, {", ".join(parameters)}) {{
entry:
  br label %again
again:
  %count = phi i64 [ 0, %entry ], [ %next, %again ]
  call void @run({", ".join(parameters).replace(" noalias", "")})
  %next = add i64 %count, 1
  %more = icmp slt i64 %next, %times
  br i1 %more, label %again, label %end
end:
  ret void
}}
"""


class CompiledLoop:
    """A function compiled for this machine, applied to whole arrays."""

    def __init__(
        self, name: str, dtype: str, width: int, target: Target | None = None, text: str = ""
    ) -> None:
        self.dtype = np.dtype(dtype)
        self.width = width
        self.text = text or loop_text(name, dtype, width, target or host_target())
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module = llvm.parse_assembly(self.text)
        module.verify()
        self._machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(),
            features=llvm.get_host_cpu_features().flatten(),
            opt=2,
            jit=True,
        )
        self.assembly = self._machine.emit_assembly(module)
        self._engine = llvm.create_mcjit_compiler(module, self._machine)
        self._engine.finalize_object()
        self.operand_count = FUNCTIONS[name].operand_count
        pointers = [ctypes.c_void_p] * (self.operand_count + 1)
        address = self._engine.get_function_address
        self.run = ctypes.CFUNCTYPE(None, ctypes.c_int64, *pointers)(address("run"))
        self._run_many = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, *pointers)(
            address("run_many")
        )

    def __call__(self, *operands: Sequence[float] | Array) -> Array:
        """The function of 1-D operands of one length; they are padded to whole vectors."""
        length = len(operands[0])
        vectors = max(1, -(-length // self.width))
        padded = np.ones((len(operands), vectors * self.width), self.dtype)
        for row, operand in zip(padded, operands, strict=True):
            row[:length] = operand
        result = np.empty(vectors * self.width, self.dtype)
        self.run(vectors, result.ctypes.data, *(row.ctypes.data for row in padded))
        return result[:length]

    def nanoseconds(self, low: float, high: float, length: int = 1024) -> float:
        """The least time per element over arrays that stay in the first-level cache."""
        generator = np.random.default_rng(0)
        operands = [
            generator.uniform(low, high, length).astype(self.dtype)
            for _ in range(self.operand_count)
        ]
        result = np.empty(length, self.dtype)
        pointers = [result.ctypes.data, *(operand.ctypes.data for operand in operands)]
        times = 200
        best = float("inf")
        for _ in range(15):
            start = time.process_time()
            self._run_many(times, length // self.width, *pointers)
            best = min(best, time.process_time() - start)
        return best / (times * length) * 1e9
