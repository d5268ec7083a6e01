"""A kernel's NVVM IR as machine code of the host's, and grids of its threads."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from tests.cuda.native import accesses, libdevice, meetings, scheduler, warps
from tests.cuda.native.text import FUNCTION, USED, plain, split, type_and_value

Array = np.ndarray[Any, np.dtype[Any]]

SLOT = 16
"""Bytes of one parameter."""
FRAMES = 64 * 1024 * 1024
"""Bytes for the frames of a block's threads."""
VARIABLE = re.compile(
    r"^@(?P<name>[\w.$-]+) = (?P<kind>[^\n]*?)(?P<space>addrspace\(\d+\) )?"
    r"(?P<what>global|constant) (?P<rest>[^\n]*)$",
    re.MULTILINE,
)
ENTRY = re.compile(r'@([\w.$-]+), !"kernel"')
ATOMIC = re.compile(r"@(host\.atomic\.load\.(\w+)\.(f32|f64)\.p\d\w+)")


class KernelError(RuntimeError):
    """A kernel does what it must not."""


def target() -> Any:
    """The host's processor; an engine takes it for itself."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    made = llvm.Target.from_triple(llvm.get_process_triple())
    features = llvm.get_host_cpu_features().flatten()
    return made.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=1, jit=True
    )


class NativeKernel:
    """Machine code made of the IR of one kernel; KernelError where it misbehaves when it is run."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.text = host_text(text, name)
        try:
            module = llvm.parse_assembly(self.text)
            module.verify()
        except RuntimeError as error:
            raise KernelError(f"the IR of {name} is not right: {error}") from error
        machine = target()
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        builder = llvm.create_pass_builder(machine, options)
        builder.getModulePassManager().run(module, builder)
        missing = [
            function.name
            for function in module.functions
            if function.is_declaration and function.name.startswith(("host.", "__nv"))
        ]
        if missing:
            raise KernelError(f"{name} calls what is not known here: {missing}")
        self.engine = llvm.create_mcjit_compiler(module, machine)
        self.engine.finalize_object()
        address = self.engine.get_function_address("host.run")
        pointer, size = ctypes.c_void_p, ctypes.c_int64
        number = ctypes.c_int32
        kind = ctypes.CFUNCTYPE(None, pointer, number, number, number, pointer, size)
        self.function = kind(address)
        self.error = _at(self.engine, "host.error", 8)
        self.given = _at(self.engine, "host.given", 1)
        self.count = _at(self.engine, "host.given.count", 1)

    def run(
        self,
        blocks: int,
        threads: int,
        arguments: Sequence[bytes],
        memory: Sequence[tuple[int, int, bool]],
        backward: bool = False,
    ) -> None:
        """All threads, of the last block first where `backward`. Arguments are the bytes of
        parameters, memory is what accesses may be of: from where, to where, and whether to write.
        """
        slots = np.zeros(SLOT * max(1, len(arguments)), np.uint8)
        for place, value in enumerate(arguments):
            slots[SLOT * place : SLOT * place + len(value)] = np.frombuffer(value, np.uint8)
        rows = np.array(memory or [(0, 0, 0)], np.int64)
        self.given[0], self.count[0], self.error[:] = rows.ctypes.data, len(rows), 0
        frames = _frames()
        where = frames.ctypes.data
        self.function(slots.ctypes.data, blocks, threads, int(backward), where, frames.size)
        if self.error[0]:
            raise KernelError(self._message([int(value) for value in self.error], memory))

    def _message(self, error: list[int], memory: Sequence[tuple[int, int, bool]]) -> str:
        number, block, thread, *details = error
        text = warps.MESSAGES[number]
        if number in (warps.OUTSIDE, warps.MISALIGNED):
            address, size = details[0], details[1]
            near = min(memory, key=lambda part: abs(part[0] - address), default=(0, 0, False))
            place = memory.index(near) if near in memory else -1
            text += f": {size} bytes at {address - near[0]} from the start of memory {place}, "
            text += f"which has {near[1] - near[0]}; {details[2]}"
        else:
            text += f": {details}"
        return f"{self.name}, block {block}, thread {thread}: {text}"


@cache
def _frames() -> Array:
    return np.empty(FRAMES, np.uint8)


def _at(engine: Any, name: str, count: int) -> Any:
    """Numbers of the module's, as a view."""
    address = engine.get_global_value_address(name)
    return np.ctypeslib.as_array((ctypes.c_int64 * count).from_address(address))


def host_text(text: str, name: str) -> str:
    """The module for the host: the kernel, what runs it, and what it calls."""
    shared = {found["name"] for found in VARIABLE.finditer(plain_names(text)) if _is_shared(found)}
    whole = plain(text)
    whole = re.sub(r"^(?:target |@llvm\.used|declare |!nvvm).*$", "", whole, flags=re.MULTILINE)
    found = ENTRY.search(plain(text))
    entry = found[1] if found is not None else name
    variables: dict[str, tuple[str, bool]] = {}

    def variable(match: re.Match[str]) -> str:
        kind = type_and_value(match["rest"])[0]
        variables[match["name"]] = (kind, match["what"] == "global")
        return match[0].replace("external ", "").replace("common ", "")

    whole = VARIABLE.sub(variable, whole)
    kernel = next(part for part in FUNCTION.finditer(whole) if part["name"] == entry)
    meeting = meetings.meets(kernel["body"])

    def function(match: re.Match[str]) -> str:
        own = match["name"] == entry
        body = match["body"]
        if not own and meetings.meets(body):
            raise KernelError(f"threads meet in {match['name']}, which is not the kernel itself")
        body = accesses.with_registers(accesses.checked(body), own)
        if not own:
            return f"define {match['head']}@{match['name']}{match['rest']}{{\n{body}}}"
        if meeting:
            body = meetings.coroutine(body)
        parameters = ", ".join([*_parameters(match), "i32 %host.tid"])
        result, ending = ("ptr", " presplitcoroutine") if meeting else ("void", "")
        return f"define internal {result} @{entry}({parameters}){ending} {{\n{body}}}"

    made = FUNCTION.sub(function, whole)
    parts = [made, _start(entry, _parameters(kernel), meeting), _forget(shared, variables)]
    parts += [accesses.ranges_of(variables), scheduler.runner(meeting)]
    mine = {found["name"] for part in parts for found in FUNCTION.finditer(part)}
    used = {name for part in parts for name in USED.findall(part)} - mine - variables.keys()
    library = libdevice.library().closure(sorted(used))
    parts += [_atomic(found) for found in sorted(set(ATOMIC.findall(made)))]
    return "\n".join([libdevice.library().structures, *library.values(), *parts])


def plain_names(text: str) -> str:
    """The text with quotes about no names that can do without."""
    return re.sub(r'([@%])"([A-Za-z_.$][\w.$-]*)"', r"\1\2", text)


def _is_shared(variable: re.Match[str]) -> bool:
    return (variable["space"] or "").strip() == "addrspace(3)"


def _parameters(function: re.Match[str]) -> list[str]:
    """The parameters of a function, as its text has them."""
    rest = function["rest"]
    depth = 0
    for place, character in enumerate(rest):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return split(rest[1:place])
    raise ValueError(rest)


def _start(entry: str, parameters: list[str], meeting: bool) -> str:
    """`host.start`: one thread, with the parameters from their slots."""
    lines, given = [], []
    for place, parameter in enumerate(parameters):
        kind, _ = type_and_value(parameter)
        lines.append(f"  %p{place} = getelementptr i8, ptr %arguments, i64 {SLOT * place}")
        lines.append(f"  %a{place} = load {kind}, ptr %p{place}")
        given.append(f"{kind} %a{place}")
    operands = ", ".join([*given, "i32 %t"])
    call = f"call void @{entry}({operands})\n  ret void"
    if meeting:
        call = f"%h = call ptr @{entry}({operands})\n  ret ptr %h"
    body = "\n".join(lines)
    result = "ptr" if meeting else "void"
    return f"define internal {result} @host.start(ptr %arguments, i32 %t) {{\n{body}\n  {call}\n}}"


def _forget(shared: set[str], variables: dict[str, tuple[str, bool]]) -> str:
    """`host.forget`: a block's shared memory, of which nothing is known, is full of ones."""
    lines = [
        f"  call void @llvm.memset.p0.i64(ptr @{name}, i8 -1, i64 ptrtoint "
        f"(ptr getelementptr ({variables[name][0]}, ptr null, i32 1) to i64), i1 false)"
        for name in sorted(shared)
    ]
    body = "\n".join(lines)
    return f"define internal void @host.forget() {{\n{body}\n  ret void\n}}"


def _atomic(found: tuple[str, str, str]) -> str:
    """An atomic operation on floating-point numbers, which NVVM has as a function."""
    name, operation, bits = found
    kind = {"f32": "float", "f64": "double"}[bits]
    size = int(bits[1:]) // 8
    return f"""define internal {kind} @{name}(ptr %p, {kind} %v) {{
  %q = call ptr @host.check(ptr %p, i64 {size}, i64 {size}, i1 true)
  %r = atomicrmw f{operation} ptr %q, {kind} %v seq_cst
  ret {kind} %r
}}"""
