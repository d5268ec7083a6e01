"""Programs compiled through LLVM, and called through a native entry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.dispatch import ArrayLeaf, CallSpec, ListNode, default_error, make_entry
from codegen.dispatch.abi import KernelCode, Status
from codegen.dispatch.threads import configured_threads
from codegen.loops.errors import ProgramError
from codegen.loops.interpret import make_error
from codegen.loops.nodes import Program
from codegen.passes.products import use_products
from codegen.passes.workspace import plan_workspace
from codegen.render.llvm import all_buffers, constant_arrays
from codegen.render.llvm_checked import OUT_OF_BOUNDS
from codegen.render.llvm_code import Found, code_for
from codegen.render.llvm_machine import host_machine
from codegen.render.llvm_statements import OUT_OF_MEMORY
from tracer.cached import cached_property

Array = np.ndarray[Any, np.dtype[Any]]


class LlvmProgram:
    """A compiled program: call it with the list of its inputs, get the list of its outputs.

    Inputs must have exactly the program's dtypes and shapes (TypeError otherwise); those that are
    not contiguous are copied. A failed check raises the program's error. `workspace_bytes` is the
    peak workspace of one call, tapes aside. `origin` says where the machine code came from, and
    `reason` why there was none that served. Calls from several threads at once each have workspace
    of their own.
    """

    def __init__(
        self,
        program: Program,
        parallel: str = "auto",
        known: tuple[Found, int] | None = None,
    ) -> None:
        """`known` is code with the bytes of its workspace, where a program's body is not needed."""
        self.program = program
        if known is None:
            plan = plan_workspace(program)
            known = code_for(program, plan, parallel), plan.peak
        found, self.workspace_bytes = known
        self.code, self.origin, self.reason = found.code, found.origin, found.reason
        self.constants = [*constant_arrays(program), found.table]

    @cached_property
    def entry(self) -> Callable[..., Any]:
        """A native entry for the list of inputs."""
        program = self.program
        leaves = tuple(
            ArrayLeaf(buffer.dtype, buffer.shape, writeable=False) for buffer in program.inputs
        )
        results = tuple(ArrayLeaf(buffer.dtype, buffer.shape) for buffer in program.outputs)
        return self.make_entry(leaves, ListNode(results), self._other_arrays)

    def make_entry(
        self,
        arguments: tuple[Any, ...],
        result: Any,
        slow_path: Callable[..., Any],
        keywords: tuple[str, ...] = (),
    ) -> Callable[..., Any]:
        """A native entry for arguments whose leaves are the program's inputs, in order."""
        spec = CallSpec(
            arguments,
            result,
            workspace=self.workspace_bytes,
            constants=tuple(array.ctypes.data for array in self.constants),
            keywords=keywords,
        )
        keep = (self.code, self.constants)
        return make_entry(spec, self.code.address, slow_path, keep_alive=keep, on_error=self.error)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs."""
        outputs: list[Array] = self.entry(*inputs)
        return outputs

    def error(self, code: int, status: Status) -> BaseException:
        """The exception for a code that the kernel returned."""
        if code == OUT_OF_BOUNDS:
            buffer = all_buffers(self.program)[status[0]]
            return ProgramError(f"the code of {self.program.name} reaches outside of {buffer.name}")
        if code == OUT_OF_MEMORY:
            return default_error(KernelCode.OUT_OF_MEMORY, (0, status[0], 0, 0))
        return make_error(self.program.errors[code - 1], list(status))

    def _other_arrays(self, *inputs: Array) -> list[Array]:
        """Inputs that the entry does not take as they are: not contiguous, or wrong."""
        expected = self.program.inputs
        fits = len(inputs) == len(expected) and all(
            array.dtype == buffer.dtype and array.shape == buffer.shape
            for array, buffer in zip(inputs, expected, strict=True)
        )
        if not fits:
            wanted = ", ".join(f"{b.dtype}{list(b.shape)}" for b in expected)
            got = ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
            raise TypeError(f"{self.program.name} takes ({wanted}), not ({got})")
        plain = [np.array(array, order="C", copy=True, subok=False) for array in inputs]
        outputs: list[Array] = self.entry(*plain)
        return outputs


def compile_llvm(program: Program, parallel: str = "auto") -> LlvmProgram:
    """The program as a callable; nothing is compiled at its first call. `parallel` says which loops
    threads share: "auto", "always" or "never".

    Raises UnsupportedProgramError for what the renderer lacks.
    """
    alone = parallel == "never" or configured_threads() == 1
    program = use_products(program, host_machine().vector_bytes, by_panels=alone)
    return LlvmProgram(program, parallel)
