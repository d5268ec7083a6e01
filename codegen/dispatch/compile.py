"""LLVM text to machine code, kept as long as the process lives, with a store of object code.

No text holds an address, so object code may be stored on disk and used by other processes: what
the text, the processor and the version of LLVM are, is in the key.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any, Protocol

import llvmlite
import llvmlite.binding as llvm

from codegen.dispatch.link import LOCK, Linked


class ObjectStore(Protocol):
    """Where object code is kept between processes, as sealed bytes.

    Damaged bytes are noticed and made anew; what a stranger has put there is not: a store gives
    only what is its user's own.
    """

    def get(self, key: str) -> bytes | None:
        """The object code stored under `key`, or None."""

    def put(self, key: str, code: bytes) -> None:
        """Store object code."""


_IMPORT = re.compile(r"@(tracer_\w+)")

_kept: list[Linked] = []
_store: list[ObjectStore] = []


def use_object_store(store: ObjectStore | None) -> None:
    """Keep object code of entries in `store` from now on, or nowhere."""
    _store[:] = [] if store is None else [store]


@cache
def _processor() -> str:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    version = f"{llvmlite.__version__} {llvm.llvm_version_info}"
    return f"{version} {llvm.get_process_triple()} {llvm.get_host_cpu_name()}"


def _machine(level: int) -> Any:
    return llvm.Target.from_default_triple().create_target_machine(opt=level)


def _object_code(source: str, level: int) -> bytes:
    code: bytes = _machine(level).emit_object(llvm.parse_assembly(source))
    return code


def _link(code: bytes, names: tuple[str, ...], source: str) -> tuple[int, ...]:
    imports = set(_IMPORT.findall(source)) - set(names)
    linked = Linked(code, names, sorted(imports))
    _kept.append(linked)
    return tuple([linked[name] for name in names])


def _seal(key: str, code: bytes) -> bytes:
    """Code with a digest: LLVM crashes on damaged code, so that must never reach it."""
    return hashlib.sha256(key.encode() + code).digest() + code


def _unseal(key: str, sealed: bytes | None) -> bytes | None:
    code = (sealed or b"")[hashlib.sha256().digest_size :]
    return code if sealed == _seal(key, code) else None


def compile_module(
    source: str, names: tuple[str, ...], level: int = 0, stored: bool = True
) -> tuple[int, ...]:
    """Machine code of an LLVM module, kept for ever; gives the addresses of `names`.

    stored: look in the object store; for text without addresses only.
    Level 0 compiles five times faster than 2 and costs about half a nanosecond an argument.
    """
    processor = _processor()
    with LOCK:
        if not stored or not _store:
            return _link(_object_code(source, level), names, source)
        key = hashlib.sha256(f"{processor} {level}\n{source}".encode()).hexdigest()
        code = _unseal(key, _store[0].get(key))
        if code is None:
            code = _object_code(source, level)
            _store[0].put(key, _seal(key, code))
        return _link(code, names, source)
