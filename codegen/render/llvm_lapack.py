"""Calls of routines of BLAS and LAPACK: copies of what they work on, then pointers to it all."""

from __future__ import annotations

from typing import Any

import numpy as np

from codegen.loops.nodes import Call, Statement, Store, Variable, View
from codegen.render.llvm_clock import write_clock
from codegen.render.llvm_emit import INT64, require_dtype
from codegen.render.llvm_matmul import (
    KernelWriter,
    character,
    constant,
    counting,
    element,
    positions,
)


class RoutineWriter(KernelWriter):
    """Writes calls of kernels, those of routines included."""

    routines = 0

    def call(self, call: Call) -> None:
        """A routine, a look at the clock, or another kernel."""
        if call.kernel == "lapack":
            self.routine(call)
        elif call.kernel == "clock":
            write_clock(self, call)
        else:
            super().call(call)

    def routine(self, call: Call) -> None:
        """The copies, and the call."""
        params: Any = call.params
        for view in (*call.results, *call.operands):
            require_dtype(view.buffer.dtype)
        for result, operand in params["copies"]:
            self.routines += 1
            prefix = f"_copy{self.routines}"
            self.block([copy_loops(prefix, call.results[result], call.operands[operand])])
        pointers = [self.argument(text, call) for text in params["arguments"]]
        symbol = f"@tracer_{params['library']}_{params['routine']}"
        self.declare(f"void {symbol}({', '.join(['ptr'] * len(pointers))})")
        self.line(f"call void {symbol}({', '.join(f'ptr {text}' for text in pointers)})")

    def argument(self, text: str, call: Call) -> str:
        """A pointer to an argument."""
        kind, _, value = text.partition(":")
        if kind == "c":
            return character(self, value)
        if kind == "i":
            return constant(self, None, int(value))
        if kind == "n":
            dtype = np.dtype(call.params["results"][0][0])  # type: ignore[index]
            return constant(self, dtype, int(value))
        view = (call.results if kind == "r" else call.operands)[int(value)]
        return self.address(view.buffer, self.forms.flat(view.buffer, view.indices))


def copy_loops(prefix: str, target: View, source: View) -> Statement:
    """One view copied into another of its shape."""
    indices = tuple(Variable(f"{prefix}_{axis}", INT64) for axis in range(len(target.shape)))
    result: Statement = Store(target.buffer, positions(target, indices), element(source, indices))
    for index, extent in zip(reversed(indices), reversed(target.shape), strict=True):
        result = counting(index, extent, (result,), "parallel")
    return result
