"""The CUDA renderer: the plan of a kernel as the text of a Numba-CUDA function.

The text is a module that needs NumPy, math and Numba. Every buffer is a flat array; what a group of
threads has for itself lies in registers, in shared memory, or in its slice of a workspace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from codegen.device.machine import DeviceMachine
from codegen.device.plan_kernel import KernelPlan
from codegen.device.rows import row_turns
from codegen.device.schedule import NO_ROOM, Argument, Kernel
from codegen.device.tiles import merged_grid
from codegen.device.work import memory_read, memory_written
from codegen.loops.nodes import Buffer
from codegen.render.cuda_functions import FUNCTIONS, NEEDS
from codegen.render.cuda_groups import GroupWriter
from codegen.render.cuda_product_plans import product_lines
from codegen.render.cuda_scalars import stored_name
from codegen.render.cuda_sorts import bits_of, sort_lines
from codegen.render.cuda_vectors import SIMULATED_VECTORS, VectorWriter
from tracer.types import INT64

COMPILED = {"single_of_brain", "brain_of_single"}
"""Functions in `codegen.nvvm.device`."""
DEVICE = '@cuda.jit(device=True, inline="always")'


def render_kernel(plan: KernelPlan, status: Buffer | None, machine: DeviceMachine) -> Kernel:
    """The kernel of a plan; its arguments are the memory it touches, then scalars of the host."""
    writer, roots = _writer(plan, machine)
    turns = {
        root: count for root, count in row_turns(plan).items() if plan.own.get(root) == "registers"
    }
    writer.begin(plan.group, plan.threads, plan.failing, turns, written_out=bool(plan.grid))
    writer.pause = plan.pause or NO_ROOM
    body = _body(plan, writer)
    writer.helpers.update(name for name in COMPILED if any(name in line for line in body))
    written = memory_written((*plan.before, *plan.body))
    look = _look(plan, writer, written)
    arguments = [
        Argument(
            writer.place[root][0],
            np.dtype(stored_name(bits_of(plan, root))),
            "pointer",
            root,
            root in written,
        )
        for root in roots
        if plan.own.get(root, "slice").endswith("slice")
    ]
    if status is not None and (plan.failing or plan.guarded):
        arguments.append(Argument("status", INT64, "pointer", status, plan.failing))
    arguments += [Argument(writer.name(name), INT64, "scalar") for name in plan.indices]
    arguments += [Argument(name, INT64, "scalar") for name in writer.capacities.values()]
    names = ", ".join(argument.name for argument in arguments)
    lines = [
        "import math",
        "",
        "import numpy as np",
        "from numba import cuda",
        "",
        *_vectors(writer, machine),
        *_helpers(writer, machine),
        *_literals(writer),
        f"def {plan.name}({names}):",
        *_start(plan, writer),
        *look,
        *body,
    ]
    return Kernel(plan.name, "\n".join(lines) + "\n", tuple(arguments))


def _writer(plan: KernelPlan, machine: DeviceMachine) -> tuple[VectorWriter, list[Buffer]]:
    everything = (*plan.before, *plan.grid, *plan.body)
    touched = memory_read(everything) | memory_written(everything)
    touched |= {flag for flag, _ in plan.looks}
    roots = sorted(touched, key=lambda buffer: _order(buffer.name))
    place: dict[Buffer, tuple[str, int]] = {}
    for root in roots:
        place[root] = (root.name, 0)
    numbers = {"slice": "group", "thread slice": "thread_slot", "shared": "own_slot"}
    slots = {
        root: numbers[kind]
        for root, kind in plan.own.items()
        if kind in numbers and (kind != "shared" or plan.group < plan.threads)
    }
    return VectorWriter(place, slots, plan.atomic, machine), roots


def _order(name: str) -> tuple[str, int]:
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    return letters, int(digits or 0)


def _body(plan: KernelPlan, writer: VectorWriter) -> list[str]:
    """The lines of what the groups do, after the lines that every kernel begins with."""
    writer.together(plan.before)
    if plan.product is not None:
        return product_lines(plan, writer)
    if plan.sort is not None:
        return sort_lines(plan, writer)
    if not plan.grid:
        writer.together(plan.body)
        return writer.lines
    nest, zeros = merged_grid(plan)
    writer.substitution.update(zeros)
    if plan.group == 1:
        writer.grid(plan, nest, zeros)
        return writer.lines
    outer = writer.indent
    writer.line(f"for place in range(group, {writer.total(nest)}, {plan.groups}):")
    writer.indent += "    "
    writer.indices(nest, "place")
    writer.indent = outer
    writer.repeated(plan.body)
    writer.line("    pass")
    return writer.lines


def _start(plan: KernelPlan, writer: GroupWriter) -> list[str]:
    """Where the thread is, and memory of its own."""
    lines = [f'    """{plan.name}: {plan.blocks} blocks of {plan.threads} threads."""']
    if plan.threads > 1 or plan.blocks > 1:
        lines.append("    thread = np.int64(cuda.threadIdx.x)")
        if plan.group == plan.threads:
            lines.append("    lane = thread")
        elif plan.group > 1:
            lines.append(f"    lane = thread % {plan.group}")
        lines.append(f"    own_slot = thread // {plan.group}")
        per_block = plan.threads // plan.group
        lines.append(f"    group = np.int64(cuda.blockIdx.x) * {per_block} + own_slot")
        lines.append(f"    thread_slot = np.int64(cuda.blockIdx.x) * {plan.threads} + thread")
    else:
        lines.append("    group = thread_slot = own_slot = np.int64(0)")
    for root, kind in plan.own.items():
        name, dtype = writer.place[root][0], _type(root.dtype)
        if kind == "registers":
            size = writer.rows.get(root, root.size)
            lines.append(f"    {name} = cuda.local.array({size}, {dtype})")
        elif kind == "shared":
            size = root.size * (plan.threads // plan.group)
            lines.append(f"    {name} = cuda.shared.array({size}, {dtype})")
    lines += ["    " + line for line in writer.shared]
    if writer.flagged:
        lines.append("    failed = np.int32(status[0] != 0)")
        lines += ["    if cuda.syncthreads_or(failed) != 0:", "        return"]
    elif plan.guarded:
        lines += ["    if status[0] != 0:", "        return"]
    return lines


def _look(plan: KernelPlan, writer: GroupWriter, written: set[Buffer]) -> list[str]:
    """The lines that leave where a flag is not as it has to be. All threads of a block that writes
    one have to have looked before: none leaves alone."""
    lines = []
    for flag, wanted in plan.looks:
        name = f"{writer.place[flag][0]}[0]"
        test = f"not {name}" if wanted else name
        if flag in written and plan.threads > 1:
            lines += ["    stopped = np.int32(0)", f"    if {test}:"]
            lines += ["        stopped = np.int32(1)"]
            test = "cuda.syncthreads_or(stopped) != 0"
        lines += [f"    if {test}:", "        return"]
    return lines


def _type(dtype: np.dtype[Any]) -> str:
    return "np.bool_" if dtype.kind == "b" else f"np.{stored_name(dtype)}"


def _vectors(writer: VectorWriter, machine: DeviceMachine) -> list[str]:
    """The vectors that the simulator lacks."""
    wanted = machine.simulated and writer.vectors is not None
    return SIMULATED_VECTORS.splitlines() if wanted else []


def _helpers(writer: GroupWriter, machine: DeviceMachine) -> list[str]:
    """The source of every function in use that the compiler does not have."""
    wanted = set(writer.helpers)
    if not machine.simulated:
        wanted -= COMPILED
    for name in writer.helpers:
        wanted.update(NEEDS.get(name, ()))
    lines: list[str] = []
    for part in FUNCTIONS:
        if part.__name__ in wanted:
            lines += ["", DEVICE, _plain_source(part), ""]
    return lines


def _plain_source(function: Callable[..., Any]) -> str:
    """A function's source without annotations."""
    text = inspect.getsource(function).replace("  # type: ignore[no-untyped-def]", "").rstrip()
    _, _, body = text.partition(":\n")
    signature = inspect.signature(function)
    return f"def {function.__name__}({', '.join(signature.parameters)}):\n{body}"


def _literals(writer: GroupWriter) -> list[str]:
    lines = [f"{name} = np.{dtype.name}({text})" for (dtype, text), name in writer.literals.items()]
    return ["", *lines, ""] if lines else []
