"""NVVM, NVIDIA's compiler library: from its IR to PTX. It needs no driver and no GPU."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any


class NvvmError(Exception):
    """What NVVM says of a module that it refuses."""


def ptx_of(ir: str, capability: tuple[int, int], *, fused: bool, verified: bool = False) -> str:
    """A module as PTX. `fused`: a product and a sum are rounded once.

    Raises NvvmError where the library refuses the module.
    """
    from cuda.bindings import nvvm

    major, minor = capability
    options = [f"-arch=compute_{major}{minor}", "-opt=3", f"-fma={fused:d}"]
    text = ir.encode()
    program = nvvm.create_program()
    try:
        nvvm.add_module_to_program(program, text, len(text), "kernel")
        if verified:
            nvvm.verify_program(program, len(options), options)
        if "@__nv_" in ir:
            functions = device_library()
            nvvm.lazy_add_module_to_program(program, functions, len(functions), "libdevice")
        nvvm.compile_program(program, len(options), options)
        made = bytearray(nvvm.get_compiled_result_size(program))
        nvvm.get_compiled_result(program, made)
    except nvvm.nvvmError as error:
        said = bytearray(nvvm.get_program_log_size(program))
        nvvm.get_program_log(program, said)
        message = said.decode(errors="replace").rstrip("\x00\n ")
        raise NvvmError(message or str(error)) from error
    finally:
        nvvm.destroy_program(program)
    return made.decode().rstrip("\x00")


@cache
def device_library() -> bytes:
    """NVIDIA's library of functions of floats, libdevice, as bitcode."""
    from cuda.pathfinder import find_bitcode_lib

    path: Any = find_bitcode_lib("device")
    return Path(path).read_bytes()
