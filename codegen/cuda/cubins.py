"""Machine code of kernels, made once: kept in memory, and on disk between processes.

Where it is found no compiler is loaded. The key is all that the code depends on: the text,
what the arguments are, the architecture, the compilers' versions, and our own part of them.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache, partial
from importlib import metadata
from pathlib import Path

from codegen.cache import object_store
from codegen.cuda import assemble, target
from codegen.device.schedule import Argument, Kernel

COMPILERS = ("cuda-bindings", "nvidia-nvvm", "nvidia-nvjitlink")
VERSION = re.compile(r"^Version: *(\S+)", re.MULTILINE)
MOST_IN_MEMORY = 512
"""Kernels whose code is kept in memory; it takes some ten thousand bytes each."""
MOST_THREADS = 16

_memory: OrderedDict[str, bytes] = OrderedDict()
_lock = threading.Lock()


def cubin_of_kernel(kernel: Kernel, capability: tuple[int, int]) -> bytes:
    """A kernel's machine code, in which its entry has the kernel's name.

    Raises BackendError, which names the user's lines, where it does not compile.
    """
    return cubins_of([kernel], capability)[0]


def cubins_of(kernels: Sequence[Kernel], capability: tuple[int, int]) -> list[bytes]:
    """The machine code of several kernels: what is not at hand is compiled by several threads.

    Raises BackendError, which names the user's lines, where one does not compile.
    """
    keys = [key_of(kernel, capability) for kernel in kernels]
    found = {key: code for key in keys if (code := _remembered(key)) is not None}
    missing: dict[str, tuple[Kernel, str]] = {}
    for key, kernel in zip(keys, kernels, strict=True):
        if key not in found and key not in missing:
            # Python's parser is not for several threads, and takes little of the time.
            missing[key] = kernel, target.kernel_ir(kernel)
    if missing:
        from concurrent.futures import ThreadPoolExecutor

        threads = min(len(missing), os.cpu_count() or 1, MOST_THREADS)
        with ThreadPoolExecutor(threads, "tracer-compile") as pool:
            parts = zip(*missing.values(), strict=True)
            made = pool.map(partial(_machine_code, capability), *parts)
            for key, code in zip(missing, made, strict=True):
                found[key] = code
                _remember(key, code)
    return [found[key] for key in keys]


def _machine_code(capability: tuple[int, int], kernel: Kernel, ir: str) -> bytes:
    return assemble.cubin_of(target.kernel_ptx(kernel, ir, capability), capability)


def _remembered(key: str) -> bytes | None:
    """What the memory, or the disk, has under the key."""
    with _lock:
        code = _memory.get(key)
    store = object_store()
    if code is None and store is not None:
        code = store.get(key)
    if code is not None:
        _keep(key, code)
    return code


def _remember(key: str, code: bytes) -> None:
    """Keep new code, on the disk too."""
    store = object_store()
    if store is not None:
        store.put(key, code)
    _keep(key, code)


def _keep(key: str, code: bytes) -> None:
    with _lock:
        _memory[key] = code
        _memory.move_to_end(key)
        if len(_memory) > MOST_IN_MEMORY:
            _memory.popitem(last=False)


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
