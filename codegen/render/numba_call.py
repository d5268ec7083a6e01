"""Programs compiled by Numba, and called with little overhead."""

from __future__ import annotations

import linecache
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.dispatch.memory import CHECKED, memory_error
from codegen.loops.interpret import make_error
from codegen.loops.nodes import Program
from codegen.render.numba import Array, RenderedKernel, render_kernel
from codegen.render.numba_scalars import stored_name
from tracer.types import is_brain


class NumbaProgram:
    """A compiled program: call it with the list of its inputs, get the list of its outputs.

    Inputs must have exactly the program's dtypes and shapes (TypeError otherwise); those that are
    not contiguous are copied. A failed check raises the program's error. `kernel` is the Numba
    dispatcher, which other compiled code can call; `seconds` is the compile time.
    Calls from several threads at once each have workspace of their own.
    """

    def __init__(self, program: Program) -> None:
        start = time.perf_counter()
        self.program = program
        self.rendered = render_kernel(program)
        self.kernel, entry = _compile(program.name, self.rendered)
        self.call = _make_call(program, self.rendered, entry)
        self.seconds = time.perf_counter() - start

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs."""
        return self.call(inputs)

    @property
    def workspace_bytes(self) -> int:
        """Peak workspace of one call."""
        return self.rendered.plan.peak


def compile_numba(program: Program) -> NumbaProgram:
    """The program as a callable; nothing is compiled at its first call.

    Raises UnsupportedProgramError for what Numba lacks on the CPU.
    """
    return NumbaProgram(program)


def _compile(name: str, rendered: RenderedKernel) -> tuple[Any, Callable[..., Any]]:
    """The dispatcher of the kernel and its entry for arguments of just the declared types."""
    filename = f"<numba {name} {id(rendered):x}>"
    namespace: dict[str, Any] = {"__name__": f"numba_{name}"}
    lines = rendered.source.splitlines(keepends=True)
    linecache.cache[filename] = (len(rendered.source), None, lines, filename)
    try:
        exec(compile(rendered.source, filename, "exec"), namespace)
    finally:
        del linecache.cache[filename]
    kernel = namespace["kernel"]
    (compiled,) = kernel.overloads.values()
    return kernel, compiled.entry_point


def _make_call(
    program: Program, rendered: RenderedKernel, entry: Callable[..., Any]
) -> Callable[[Sequence[Array]], list[Array]]:
    """Python that is written for this program: no loop over arguments, no table to look up."""
    namespace: dict[str, Any] = {"empty": np.empty, "entry": entry, "pool": []}
    namespace["contiguous"] = np.ascontiguousarray
    parts = rendered.arguments_of("workspace")
    workspace = [(stored_name(part.dtype), part.size) for part in parts]
    if rendered.detail_count:
        workspace.append(("int64", rendered.detail_count))

    def allocate() -> tuple[Array, ...]:
        return tuple(aligned_empty(size, np.dtype(name)) for name, size in workspace)

    def mismatch(inputs: Sequence[Array]) -> TypeError:
        expected = ", ".join(f"{b.dtype}{list(b.shape)}" for b in program.inputs)
        got = ", ".join(f"{x.dtype}{list(x.shape)}" for x in inputs)
        return TypeError(f"{program.name} takes ({expected}), not ({got})")

    def failure(code: int, status: Array) -> BaseException:
        return make_error(program.errors[code - 1], [int(value) for value in status])

    namespace.update(allocate=allocate, mismatch=mismatch, failure=failure)
    exec("\n".join(_call_lines(program, rendered, namespace)), namespace)
    call: Callable[[Sequence[Array]], list[Array]] = namespace["call"]
    return call


def _call_lines(program: Program, rendered: RenderedKernel, namespace: dict[str, Any]) -> list[str]:
    inputs = [f"x{position}" for position in range(len(program.inputs))]
    outputs = [f"y{position}" for position in range(len(program.outputs))]
    lines = ["def call(inputs):"]
    lines += [f"    if len(inputs) != {len(inputs)}:", "        raise mismatch(inputs)"]
    if inputs:
        lines.append(f"    {', '.join(inputs)}, = inputs")
    for name, buffer in zip(inputs, program.inputs, strict=True):
        namespace[f"{name}_dtype"], namespace[f"{name}_shape"] = buffer.dtype, buffer.shape
        lines.append(f"    if {name}.shape != {name}_shape or {name}.dtype != {name}_dtype:")
        lines.append("        raise mismatch(inputs)")
    needed = sum(buffer.size * buffer.dtype.itemsize for buffer in program.outputs)
    needed += rendered.plan.peak
    if needed >= CHECKED:
        namespace["memory_error"] = memory_error
        lines.append(f"    error = memory_error({needed}, 'a compiled function')")
        lines += ["    if error is not None:", "        raise error"]
    for name, buffer in zip(outputs, program.outputs, strict=True):
        namespace[f"{name}_dtype"], namespace[f"{name}_shape"] = buffer.dtype, buffer.shape
        lines.append(f"    {name} = empty({name}_shape, {name}_dtype)")
    memory = [f"w{position}" for position, _ in enumerate(rendered.arguments_of("workspace"))]
    if rendered.detail_count:
        memory.append("status")
    if memory:
        lines.append("    memory = pool.pop() if pool else allocate()")
        lines.append(f"    {', '.join(memory)}, = memory")
    constants = []
    for position, argument in enumerate(rendered.arguments_of("constant")):
        flat = [np.ascontiguousarray(buffer.value).reshape(-1) for buffer in argument.buffers]
        whole = flat[0] if len(flat) == 1 else np.concatenate(flat)
        namespace[f"c{position}"] = whole.view(stored_name(argument.dtype))
        constants.append(f"c{position}")
    arguments = [
        f"contiguous({name})" if buffer.shape else name
        for name, buffer in zip(inputs, program.inputs, strict=True)
    ]
    arguments += outputs
    for place, buffer in enumerate((*program.inputs, *program.outputs)):
        if is_brain(buffer.dtype):  # of which Numba knows nothing
            arguments[place] += ".view('uint16')"
    arguments += constants + memory
    lines += ["    try:", f"        code = entry({', '.join(arguments)})"]
    # Where a signal has set an exception, Python finds it beside a result, and wraps it.
    lines.append("    except SystemError as error:")
    lines.append("        raise error.__cause__ or error from None")
    if rendered.detail_count:
        lines += ["    if code:", "        raise failure(code, status)"]
    if memory:
        lines.append("    pool.append(memory)")
    return [*lines, f"    return [{', '.join(outputs)}]"]


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Array:
    """An uninitialised flat array that starts at a multiple of 64 bytes."""
    memory = np.empty(size * dtype.itemsize + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * dtype.itemsize].view(dtype)
