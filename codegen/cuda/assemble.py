"""PTX becomes machine code by NVIDIA's linker library, nvJitLink: no driver, no `ptxas` program.

The driver could assemble PTX too, but only of versions that it knows, and at each process's start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from codegen.cuda.target import MISSING
from tracer.errors import BackendError, MissingPackageError

OPTIONS = ("-O3", "-verbose", "-Xptxas=-v")
SPILLS = re.compile(r"bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
LINKED = re.compile(r"info +: used (\d+) registers.*?, (\d+) stack")
SHARED = re.compile(r"^\s*(?:\.\w+ )*\.shared \.align \d+ \.b8 [\w$]+\[(\d+)\];", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a thread of a kernel takes, with the functions that it calls: registers of 32 bits, and
    bytes; `shared` of a block.
    """

    registers: int
    spill_stores: int
    spill_loads: int
    shared: int
    stack: int


def cubin_of(ptx: str, capability: tuple[int, int]) -> bytes:
    """The machine code of a PTX module for one architecture; BackendError where there is none."""
    return _assembled(ptx, capability)[0]


def figures(ptx: str, capability: tuple[int, int]) -> Figures:
    """What the one kernel of a PTX module takes, as the assembler reports it."""
    report = _assembled(ptx, capability)[1]
    linked = LINKED.findall(report)
    if len(linked) != 1:
        raise BackendError(f"the assembler's report is not that of one kernel:\n{report}")
    registers, stack = (int(number) for number in linked[0])
    # Of functions that are called, too.
    spills = [(int(stores), int(loads)) for stores, loads in SPILLS.findall(report)]
    stores, loads = (sum(numbers) for numbers in zip(*spills, strict=True))
    # The report may count what the system takes of shared memory, too.
    shared = sum(int(size) for size in SHARED.findall(ptx))
    return Figures(registers, stores, loads, shared, stack)


def _assembled(ptx: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """Machine code, and the assembler's report."""
    linker = _linker()
    major, minor = capability
    options = [f"-arch=sm_{major}{minor}", *OPTIONS]
    text = ptx.encode()
    handle = linker.create(len(options), options)
    try:
        linker.add_data(handle, linker.InputType.PTX, text, len(text), "kernel.ptx")
        linker.complete(handle)
        code = bytearray(linker.get_linked_cubin_size(handle))
        linker.get_linked_cubin(handle, code)
        report = bytearray(linker.get_info_log_size(handle))
        if report:
            linker.get_info_log(handle, report)
    except linker.nvJitLinkError as error:
        problem = bytearray(linker.get_error_log_size(handle))
        if problem:
            linker.get_error_log(handle, problem)
        message = _text(problem) or str(error)
        raise BackendError(f"PTX does not assemble for sm_{major}{minor}: {message}") from error
    finally:
        linker.destroy(handle)
    return bytes(code), _text(report)


def _text(log: bytearray) -> str:
    return log.decode(errors="replace").rstrip("\x00\n ")


def _linker() -> Any:
    try:
        from cuda.bindings import nvjitlink

        nvjitlink.version()
    except Exception as error:
        raise MissingPackageError(MISSING.format(cause=error)) from error
    return nvjitlink
