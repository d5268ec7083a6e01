"""This machine as LLVM knows it, and machine code made for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from codegen.cache import sources_digest
from codegen.render.vector_math import Target


@dataclass(frozen=True, slots=True)
class Machine:
    """What the code is for: bytes of a vector register, instruction set extras, and whether loops
    are shared by threads: "never", "always", or "auto", where that is worth it. `checked` code asks
    before each access whether it stays inside its buffer.
    """

    vector_bytes: int
    target: Target
    parallel: str = "never"
    checked: bool = False


@cache
def host_machine() -> Machine:
    """This machine: its widest vectors and its instruction set."""
    features = llvm.get_host_cpu_features()
    vector_bytes = 16
    if features.get("avx2"):
        vector_bytes = 32
    if features.get("avx512f") and features.get("avx512dq"):
        vector_bytes = 64
    return Machine(vector_bytes, Target.from_features(features))


@cache
def _host() -> tuple[Any, str, str]:
    """LLVM's target, the processor's name and its features."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    return target, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def target_machine() -> Any:
    """LLVM's generator of code for this processor."""
    target, name, features = _host()
    return target.create_target_machine(cpu=name, features=features, opt=2)


def object_code(text: str) -> bytes:
    """Machine code of a module for this processor, without any pass of LLVM's optimizer."""
    code: bytes = target_machine().emit_object(llvm.parse_assembly(text))
    return code


@cache
def processor() -> str:
    """All that machine code depends on beside the text it is made from."""
    _, name, features = _host()
    version = f"{llvmlite.__version__} {llvm.llvm_version_info} {llvm.get_process_triple()}"
    return f"{version} {name} {features} {sources_digest()}"
