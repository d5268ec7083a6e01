"""The Numba renderer: a loop program as Python source that runs by itself, or as a callable.

Inside the kernel every buffer is a flat array, and positions are computed from constant sizes:
Numba's N-dimensional indexing costs more to compile and knows less. Workspace buffers of one dtype
share one array, at offsets planned by liveness, and so do small constants: an array argument costs
compile time and call time.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from codegen.loops.nodes import Buffer, Check, Program
from codegen.loops.operations import DType
from codegen.loops.walk import statements
from codegen.passes.workspace import WorkspacePlan, plan_workspace
from codegen.render.numba_expressions import RESERVED
from codegen.render.numba_functions import FUNCTIONS, NEEDS
from codegen.render.numba_runtime import IMPORTS, INTRINSICS
from codegen.render.numba_scalars import require_dtype, stored_name
from codegen.render.numba_statements import StatementWriter
from tracer.types import SHORT_NAMES, ArrayType

Array = np.ndarray[Any, np.dtype[Any]]
OPTIONS = 'error_model="numpy", boundscheck=False, nogil=True, no_cfunc_wrapper=True'
HELPER_OPTIONS = 'error_model="numpy", boundscheck=False, nogil=True'
LARGE_CONSTANT = 4096


@dataclass(frozen=True, slots=True)
class Argument:
    """An array argument of the kernel: its name, the dtype of its elements, what it holds.

    `buffers` are the buffers in it: one input, output or large constant, several small constants
    in order, or none for workspace, which has `size` elements.
    """

    name: str
    dtype: DType
    role: str
    buffers: tuple[Buffer, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class RenderedKernel:
    """The kernel's source with all that it uses, its arguments, and the plan of its workspace.

    `detail_count` is how many int64 values `status`, the last argument, has room for; 0 where the
    program has no checks, and the kernel then neither takes `status` nor returns a number.
    """

    source: str
    arguments: tuple[Argument, ...]
    plan: WorkspacePlan
    detail_count: int

    def arguments_of(self, *roles: str) -> list[Argument]:
        """The arguments with one of these roles, in order."""
        return [argument for argument in self.arguments if argument.role in roles]


@dataclass(slots=True)
class _Layout:
    """Which flat array holds each buffer, and where in it."""

    arguments: list[Argument] = field(default_factory=list)
    place: dict[Buffer, tuple[str, int]] = field(default_factory=dict)
    whole: dict[Buffer, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=lambda: set(RESERVED))

    def fresh(self, wanted: str) -> str:
        """`wanted`, with underscores until nothing else has the name."""
        while wanted in self.taken:
            wanted += "_"
        self.taken.add(wanted)
        return wanted

    def add_whole(self, buffer: Buffer, role: str) -> None:
        """An argument that is one buffer with its own shape."""
        require_dtype(buffer.dtype)
        name = self.fresh(buffer.name)
        self.whole[buffer] = name
        flat = name if len(buffer.shape) == 1 else self.fresh(f"{name}_flat")
        self.place[buffer] = (flat, 0)
        self.arguments.append(Argument(name, buffer.dtype, role, (buffer,), buffer.size))

    def add(self, wanted: str, dtype: DType, role: str, buffers: tuple[Buffer, ...]) -> str:
        """A flat argument for buffers that lie one behind the other."""
        require_dtype(dtype)
        wanted = self.fresh(wanted)
        offset = 0
        for buffer in buffers:
            self.place[buffer] = (wanted, offset)
            offset += buffer.size
        self.arguments.append(Argument(wanted, dtype, role, buffers, offset))
        return wanted


INTERRUPTED = f"""
def python_function(name, *types):
    address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    return ctypes.CFUNCTYPE(*types)(address)


take_gil = python_function("PyGILState_Ensure", ctypes.c_int)
check_signals = python_function("PyErr_CheckSignals", ctypes.c_int)
leave_gil = python_function("PyGILState_Release", None, ctypes.c_int)


@numba.njit({HELPER_OPTIONS})
def interrupted():
    state = take_gil()
    answer = check_signals()
    leave_gil(state)
    return answer != 0

""".splitlines()
"""Whether a signal has raised an exception, which Python then has as an error that is set."""


def render_kernel(program: Program) -> RenderedKernel:
    """The `kernel` function of a program, with imports and helpers before it.

    Raises UnsupportedProgramError for dtypes and operations that Numba lacks on the CPU.
    """
    plan = plan_workspace(program, separate_dtypes=True)
    layout = _lay_out(program, plan)
    writer = StatementWriter(layout.place, layout.whole)
    for statement in program.body:
        writer.statement(statement)
    if _flat_views(layout, writer):
        writer.helpers.add("view")
    detail_count = max(_detail_count(program), int(writer.interrupts))
    source = "\n".join(
        [
            *_imports(writer),
            "",
            *_helpers(writer),
            *_literals(writer),
            *(INTERRUPTED if writer.interrupts else ()),
            "",
            *_kernel(program, layout, writer, detail_count),
        ]
    )
    return RenderedKernel(source + "\n", tuple(layout.arguments), plan, detail_count)


def _lay_out(program: Program, plan: WorkspacePlan) -> _Layout:
    layout = _Layout()
    for role, group in (("input", program.inputs), ("output", program.outputs)):
        for buffer in group:
            layout.add_whole(buffer, role)
    small: dict[DType, list[Buffer]] = {}
    for buffer in program.constants:
        if buffer.size > LARGE_CONSTANT:
            layout.add(buffer.name, buffer.dtype, "constant", (buffer,))
        else:
            small.setdefault(buffer.dtype, []).append(buffer)
    for dtype, buffers in small.items():
        layout.add(f"constants_{SHORT_NAMES[dtype.name]}", dtype, "constant", tuple(buffers))
    for arena in plan.arenas:
        assert arena.dtype is not None, "the plan was made with one arena a dtype"
        name = layout.add(f"work_{SHORT_NAMES[arena.dtype.name]}", arena.dtype, "workspace", ())
        size = arena.size // arena.dtype.itemsize
        layout.arguments[-1] = Argument(name, arena.dtype, "workspace", (), size)
        for buffer, offset in plan.offsets.items():
            if buffer.dtype == arena.dtype:
                layout.place[buffer] = (name, offset // arena.dtype.itemsize)
    for buffer in program.workspace:
        if buffer.is_tape:
            require_dtype(buffer.dtype)
            layout.place[buffer] = (layout.fresh(buffer.name), 0)
    return layout


def _detail_count(program: Program) -> int:
    counts = [
        max(1, len(statement.details))
        for statement in statements(program.body)
        if isinstance(statement, Check)
    ]
    return max(counts, default=0)


def _imports(writer: StatementWriter) -> list[str]:
    head = ["import ctypes"] if writer.interrupts else []
    lines = [*head, "import math", "", "import numba", "import numpy as np"]
    used = "".join(
        inspect.getsource(part) for part in INTRINSICS if part.__name__ in writer.helpers
    )
    lines += [line for name, line in sorted(IMPORTS.items()) if f"{name}." in used]
    if used:
        lines.append("from numba.extending import intrinsic")
    return [*lines, *sorted(writer.kernel_imports)]


def _helpers(writer: StatementWriter) -> list[str]:
    """The source of every helper in use, decorated."""
    wanted = set(writer.helpers)
    for name in writer.helpers:
        wanted.update(NEEDS.get(name, ()))
    parts: list[tuple[str, Callable[..., Any]]]
    parts = [("intrinsic", part) for part in INTRINSICS if part.__name__ in wanted]
    njit = f"numba.njit({HELPER_OPTIONS})"
    parts += [(njit, part) for part in FUNCTIONS if part.__name__ in wanted]
    parts += [(njit, part) for part in writer.kernel_functions.values()]
    lines = []
    for decorator, part in parts:
        lines += ["", f"@{decorator}", _plain_source(part), ""]
    for function in writer.vector_functions.values():
        lines += ["", function.source, ""]
    return lines


def _plain_source(function: Callable[..., Any]) -> str:
    """A function's source without annotations and without remarks to the type checker."""
    text = inspect.getsource(function).replace("  # type: ignore[no-untyped-def]", "").rstrip()
    _, _, body = text.partition(":\n")
    signature = inspect.signature(function)
    return f"def {function.__name__}({', '.join(signature.parameters)}):\n{body}"


def _literals(writer: StatementWriter) -> list[str]:
    lines = [f"{name} = np.{dtype.name}({text})" for (dtype, text), name in writer.literals.items()]
    return ["", *lines, ""] if lines else []


def _kernel(
    program: Program, layout: _Layout, writer: StatementWriter, detail_count: int
) -> list[str]:
    names = [argument.name for argument in layout.arguments]
    types = [numba_type(argument) for argument in layout.arguments]
    if detail_count:
        names.append("status")
        types.append("int64[::1]")
    result = "int64" if detail_count else "void"
    body = [*_flat_views(layout, writer), *_tapes(program, layout), *writer.lines]
    if detail_count:
        body.append("    return 0")
    return [
        "@numba.njit(",
        *_signature(result, types),
        f"    {OPTIONS},",
        ")",
        f"def kernel({', '.join(names)}):",
        f'    """{program.name}: arrays in C order that do not overlap; workspace is flat."""',
        *body,
    ]


def _signature(result: str, types: list[str]) -> list[str]:
    """The lines of a signature's text."""
    text = f"{result}({', '.join(types)})"
    lines = textwrap.wrap(text, 88, break_long_words=False, break_on_hyphens=False)
    return [f"    {line + ' '!r}" for line in lines[:-1]] + [f"    {lines[-1]!r},"]


def _flat_views(layout: _Layout, writer: StatementWriter) -> list[str]:
    """One line for each input and output that is not flat and is used element by element."""
    lines = []
    for buffer, name in layout.whole.items():
        flat, _ = layout.place[buffer]
        if flat != name and flat in writer.arrays_used:
            lines.append(f"    {flat} = view({name}, 0, ({buffer.size},))")
    return lines


def _tapes(program: Program, layout: _Layout) -> list[str]:
    """One line for each tape, empty at first."""
    return [
        f"    {layout.place[buffer][0]} = np.empty(0, np.{stored_name(buffer.dtype)})"
        for buffer in program.workspace
        if buffer.is_tape
    ]


def numba_type(argument: Argument) -> str:
    """The type of an array argument in a Numba signature."""
    name = "boolean" if argument.dtype.kind == "b" else stored_name(argument.dtype)
    if argument.role not in ("input", "output"):
        return f"{name}[::1]"
    ndim = len(argument.buffers[0].shape)
    return f"{name}[{':, ' * (ndim - 1)}::1]" if ndim else f'Array({name}, 0, "C")'


def describe(buffer: Buffer) -> str:
    """`x: f64[3,4]`."""
    return f"{buffer.name}: {ArrayType(buffer.dtype, buffer.shape)}"
