"""The LLVM renderer: a loop program as LLVM IR text, with the kernel's calling convention of
`codegen.dispatch.abi`.

The text names no address of a process: functions from outside are `@tracer_<library>_<name>`
(`codegen.render.llvm_symbols`), so that object code made from it can be kept on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from codegen.loops.nodes import Buffer, Program
from codegen.loops.sizes import Size
from codegen.loops.walk import statements
from codegen.passes.parallel import buffer_uses
from codegen.passes.sizes import SizedProgram
from codegen.passes.workspace import WorkspacePlan, plan_workspace
from codegen.render.llvm_checked import CheckedWriter
from codegen.render.llvm_emit import require_dtype
from codegen.render.llvm_machine import Machine
from codegen.render.llvm_sections import PARAMETERS, SectionWriter
from codegen.render.llvm_vectorize import MOST_COPIES

KERNEL = "kernel"
LARGE_PROGRAM = 2000
"""Statements from which on loops are not unrolled into several accumulators: the text would take
long to compile.
"""


@dataclass(frozen=True, slots=True)
class RenderedModule:
    """LLVM text that defines `kernel`, and the plan of its workspace."""

    text: str
    plan: WorkspacePlan


def render_module(program: Program, machine: Machine) -> RenderedModule:
    """The module of a program.

    Raises UnsupportedProgramError for dtypes, operations and kernels that this renderer lacks.
    """
    plan = plan_workspace(program)
    return RenderedModule(_module_text(program, machine, plan.offsets, None), plan)


def render_sized(sized: SizedProgram, machine: Machine) -> str:
    """The module that serves all programs of one outline.

    Behind the constants the inputs hold a pointer to the table: the numbers, each as its bits, then
    the slots of the recipe, which `sized.sizes` has afterwards.
    """
    return _module_text(sized.program, machine, sized.offsets, sized)


def _module_text(
    program: Program,
    machine: Machine,
    offsets: Mapping[Buffer, int | Size],
    sized: SizedProgram | None,
) -> str:
    large = sum(1 for _ in statements(program.body)) > LARGE_PROGRAM
    copies = 1 if large else MOST_COPIES
    kind = CheckedWriter if machine.checked else SectionWriter
    writer = kind(machine.target, machine.vector_bytes, copies, machine.parallel)
    writer.uses = buffer_uses(program.body)
    if sized is not None:
        sized.sizes.spell = writer.size
        writer.numbers = len(sized.numbers)

    def enter(used: set[Buffer]) -> None:
        """The beginning of a function: where the table is, and each buffer."""
        if sized is not None:
            last = len(program.inputs) + len(program.constants)
            place = writer.write(f"getelementptr ptr, ptr %inputs, i64 {last}")
            writer.table = writer.write(f"load ptr, ptr {place}")
        for buffer, role, number in pointers:
            if buffer in used:
                place = writer.write(f"getelementptr ptr, ptr %{role}, i64 {number}")
                writer.bases[buffer] = writer.write(f"load ptr, ptr {place}")
        for buffer in used:
            if buffer in offsets:
                place = f"getelementptr i8, ptr %workspace, i64 {offsets[buffer]}"
                writer.bases[buffer] = writer.write(place)

    pointers = [
        (buffer, role, number)
        for role, group in (
            ("inputs", program.inputs + program.constants),
            ("outputs", program.outputs),
        )
        for number, buffer in enumerate(group)
    ]
    for group in (program.inputs, program.constants, program.outputs, program.workspace):
        for buffer in group:
            require_dtype(buffer.dtype)
    writer.enter = enter
    if isinstance(writer, CheckedWriter):
        writer.watch(all_buffers(program))
    for buffer in program.workspace:
        if buffer.is_tape:
            slot = writer.write("alloca [2 x i64], align 16")
            writer.line(f"store [2 x i64] zeroinitializer, ptr {slot}")
            writer.tapes[buffer] = slot
    writer.whole(program.body)
    writer.leave_function(0)
    lines = "\n".join(writer.out.lines)
    return (
        f"{writer.out.module_text()}\n"
        f"define i32 @{KERNEL}({PARAMETERS}) nounwind {{\nentry:\n{lines}\n}}\n"
    )


def all_buffers(program: Program) -> tuple[Buffer, ...]:
    """The buffers in an order that numbers them."""
    return (*program.inputs, *program.constants, *program.outputs, *program.workspace)


def constant_arrays(program: Program) -> list[np.ndarray]:
    """The constants as C-ordered arrays, to be passed behind the inputs."""
    return [np.ascontiguousarray(buffer.value) for buffer in program.constants]
