"""How much memory there is, and the blocks that large results lie in.

A system that promises more memory than it has ends a program that uses it. Before a call that needs
much, what it needs is compared with what there is, and too much is a MemoryError with the sizes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from codegen.dispatch.blocks_text import blocks_text
from codegen.dispatch.compile import compile_module
from codegen.dispatch.layout import UnexpectedLayoutError
from codegen.dispatch.runtime import native_entry_available
from codegen.dispatch.symbols import ARRAY_NEW_LARGE, PREFIX, handler_functions
from codegen.dispatch.workspace import workspace_size
from tracer import config

LARGE = 1 << 20
"""Bytes of a result from which on its memory is kept when it is freed."""
CHECKED = 64 << 20
"""Bytes that a call needs from which on they are compared with what there is."""
_MEGABYTE = 1 << 20
_MEMORY_FILE = Path("/proc/meminfo")
_CONTROL_GROUP = Path("/sys/fs/cgroup")
_HANDLER_NAME = b"mem_handler"


@dataclass(frozen=True, slots=True)
class Blocks:
    """The compiled pool of blocks."""

    kept: ctypes.c_int64
    limit: ctypes.c_int64
    shrink: Callable[[int], None]
    owned: tuple[Any, ...]


def memory_table() -> dict[str, int]:
    """What the system says of its memory, in bytes; empty where it does not."""
    with suppress(OSError, ValueError, IndexError):
        rows = (line.split() for line in _MEMORY_FILE.read_text().splitlines())
        return {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows if len(row) == 3}
    return {}


def available_memory() -> int | None:
    """Bytes that this process may still use without harm, those included that are kept for results
    and workspace; None where the system does not say.
    """
    table = memory_table()
    if "MemAvailable" not in table:
        return None
    available = table["MemAvailable"] + table.get("SwapFree", 0)
    with suppress(OSError, ValueError):
        limit = (_CONTROL_GROUP / "memory.max").read_text().strip()
        if limit != "max":
            used = int((_CONTROL_GROUP / "memory.current").read_text())
            available = min(available, max(0, int(limit) - used))
    return available + kept_bytes() + workspace_size()


def memory_error(size: int, what: str) -> MemoryError | None:
    """The exception for `size` more bytes than there are; None where they are there."""
    available = available_memory()
    if available is None or size <= available:
        return None
    return MemoryError(
        f"{what} needs {size} bytes ({size / 2**30:.1f} GiB) for its results and workspace; "
        f"{available} ({available / 2**30:.1f} GiB) are available"
    )


@cache
def use_memory_check() -> Any:
    """Let entries call `int32_t memory_fits(int64_t bytes)`, which is 1 where there is so much."""

    def fits(size: int) -> int:
        return int(memory_error(size, "") is None)

    function = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_int64)(fits)
    llvm.add_symbol(f"{PREFIX}memory_fits", ctypes.cast(function, ctypes.c_void_p).value or 0)
    return function


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        ("functions", ctypes.c_void_p * 4),
    )


_NAMES = (
    "array_new_large", "kept", "limit", "huge_pages", "handler", "shrink",
    "block_new", "block_zeros", "block_resize", "block_free",
)  # fmt: skip


@cache
def load_blocks() -> Blocks | None:
    """The pool of this process; None where native entries do not serve this interpreter, or NumPy
    has no handlers of the kind that is known.
    """
    if not native_entry_available():
        return None
    try:
        set_handler, huge_pages = handler_functions()
    except UnexpectedLayoutError:
        return None
    process = ctypes.CDLL(None)
    for name, function in (
        ("posix_memalign", process.posix_memalign),
        ("libc_free", process.free),
        ("madvise", process.madvise),
    ):
        address = ctypes.cast(function, ctypes.c_void_p).value or 0
        llvm.add_symbol(PREFIX + name, address)
    llvm.add_symbol(f"{PREFIX}set_handler", set_handler)
    code = dict(zip(_NAMES, compile_module(blocks_text(), _NAMES), strict=True))
    handler = _Handler(b"tracer", 1, None)
    handler.functions[:] = [code[name] for name in _NAMES[-4:]]
    make = ctypes.pythonapi.PyCapsule_New
    make.restype = ctypes.py_object
    make.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    label = ctypes.c_char_p(_HANDLER_NAME)
    capsule = make(ctypes.addressof(handler), label, None)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(capsule))  # arrays may outlive this module
    ctypes.c_void_p.from_address(code["handler"]).value = id(capsule)
    ctypes.c_int64.from_address(code["huge_pages"]).value = huge_pages
    llvm.add_symbol(PREFIX + ARRAY_NEW_LARGE, code[ARRAY_NEW_LARGE])
    limit = ctypes.c_int64.from_address(code["limit"])
    limit.value = configured_limit()
    shrink = ctypes.PYFUNCTYPE(None, ctypes.c_int64)(code["shrink"])
    kept = ctypes.c_int64.from_address(code["kept"])
    return Blocks(kept, limit, shrink, (handler, capsule, label))


def configured_limit() -> int:
    """Bytes of freed blocks that are kept at most: the switch `pool`, in megabytes, but never more
    than a sixteenth of the machine's memory.
    """
    wanted = int(config.get("pool")) * _MEGABYTE
    total = memory_table().get("MemTotal")
    return wanted if total is None else min(wanted, total // 16)


def kept_bytes() -> int:
    """Bytes of freed blocks that are kept."""
    blocks = load_blocks()
    return 0 if blocks is None else blocks.kept.value


def trim_blocks() -> None:
    """Give all freed blocks back to the system."""
    blocks = load_blocks()
    if blocks is not None:
        blocks.shrink(0)
