"""Object code into memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterable
from functools import cache
from typing import Any

import llvmlite.binding as llvm

LOCK = threading.RLock()
"""Held while LLVM compiles or links: what two threads want at once is made once, and no process is
forked in the middle of it.
"""

# llvmlite's own lock around each call: a child forked while another thread has it waits for ever
_CALLS = getattr(llvm.ffi.lib, "_lock", None) or contextlib.nullcontext()


def _hold() -> None:
    LOCK.acquire()
    _CALLS.__enter__()


def _let_go() -> None:
    _CALLS.__exit__(None, None, None)
    LOCK.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)

_numbers = itertools.count(1)
_dropped: list[Any] = []


@cache
def _linker() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine()
    return llvm.create_lljit_compiler(machine)


class Linked:
    """Object code in memory, as long as this lives; gives the addresses of exported names."""

    def __init__(self, code: bytes, exports: Iterable[str], imports: Iterable[str] = ()) -> None:
        """`imports` are names that `llvmlite.binding.add_symbol` has been told of. RuntimeError
        where the code does not define an export, or needs a name that nobody has defined.
        """
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name in exports:
            builder.export_symbol(name)
        for name in imports:
            builder.import_symbol(name, llvm.address_of_symbol(name))
        with LOCK:
            _dropped.clear()
            self._library = builder.link(_linker(), f"code{next(_numbers)}")

    def __del__(self) -> None:
        """Unloaded when something is linked next, under the lock: this may run anywhere."""
        library = getattr(self, "_library", None)
        if library is not None:
            _dropped.append(library)

    def __getitem__(self, name: str) -> int:
        address: int = self._library[name]
        return address
