"""Machine code of kernels, made once: kept in memory, and on disk between processes.

Where it is found no compiler is loaded. The key is all that the code depends on: the text,
what the arguments are, the architecture, the compilers' versions, and our own part of them.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from functools import cache
from importlib import metadata
from pathlib import Path

from codegen.cache import object_store
from codegen.cuda import assemble, target
from codegen.device.schedule import Argument, Kernel

COMPILERS = ("cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink")
VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)
MOST_IN_MEMORY = 512
"""Kernels whose code is kept in memory; it takes some ten thousand bytes each."""

_memory: OrderedDict[str, bytes] = OrderedDict()
_lock = threading.Lock()


def cubin_of_kernel(kernel: Kernel, capability: tuple[int, int]) -> bytes:
    """A kernel's machine code, in which its entry has the kernel's name.

    Raises BackendError, which names the user's lines, where it does not compile.
    """
    key = key_of(kernel, capability)
    with _lock:
        code = _memory.get(key)
    if code is None:
        code = _stored(key, kernel, capability)
    with _lock:
        _memory[key] = code
        _memory.move_to_end(key)
        if len(_memory) > MOST_IN_MEMORY:
            _memory.popitem(last=False)
    return code


def _stored(key: str, kernel: Kernel, capability: tuple[int, int]) -> bytes:
    """What the disk has under the key; made, and written there, where it has nothing."""
    store = object_store()
    code = None if store is None else store.get(key)
    if code is None:
        ptx = target.compile_ptx(
            kernel.source, kernel.name, kernel.arguments, capability, kernel.places
        )
        code = assemble.cubin_of(ptx, capability)
        if store is not None:
            store.put(key, code)
    return code


def forget() -> None:
    """Drop what is kept in memory."""
    _memory.clear()


def key_of(kernel: Kernel, capability: tuple[int, int]) -> str:
    """What a kernel's machine code is stored under."""
    major, minor = capability
    arguments = " ".join(_argument_key(argument) for argument in kernel.arguments)
    return f"cubin {major}.{minor} {toolchain()} {kernel.name} {arguments}\n{kernel.source}"


def _argument_key(argument: Argument) -> str:
    return f"{argument.kind},{argument.dtype.str},{argument.fixed:d}"


@cache
def toolchain() -> str:
    """The versions of the compilers, and a digest of what we do with them."""
    versions = ",".join(f"{name}={_version(name)}" for name in COMPILERS)
    digest = hashlib.sha256()
    ours = Path(__file__).parent
    for folder in (ours, ours.parent / "nvvm"):
        for file in sorted(folder.glob("*.py")):
            digest.update(file.read_bytes())
    return f"{versions} {digest.hexdigest()}"


def _version(name: str) -> str:
    # `metadata.version` reads all that is said of a distribution, by a parser of letters.
    try:
        said = metadata.distribution(name).read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return "unknown"
    found = VERSION.search(said)
    return found[1] if found else "unknown"
