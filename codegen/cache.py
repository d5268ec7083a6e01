"""Machine code kept on disk between processes.

An entry is a file named by a key, which says all that the code depends on. It begins with a digest
of the key and of what follows. Whatever is wrong with a folder or a file (missing, full, read-only,
damaged, another user's) means that the code is made anew: a cache never breaks a run, and what is
not just what was written is never executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tracer import config

MAGIC = b"tracer object 1\n"
DIGEST = hashlib.sha256().digest_size
WRITABLE_BY_OTHERS = 0o022


class DiskStore:
    """Object code in the files of one folder, made when something is first written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> bytes | None:
        """What is stored under a key; None unless it is whole, and this user's own."""
        path = self._path(key)
        try:
            if not _is_own(self.folder) or not _is_own(path):
                return None
            content = path.read_bytes()
        except OSError:
            return None
        start = len(MAGIC) + DIGEST
        code = content[start:]
        if content[:start] != _header(key, code):
            return None
        return code

    def put(self, key: str, code: bytes) -> None:
        """Store bytes under a key, where that is possible.

        The file appears whole or not at all, even where several processes write it at once.
        """
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not _is_own(self.folder):
                return
            handle, name = tempfile.mkstemp(prefix="new-", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_header(key, code) + code)
                os.replace(name, self._path(key))
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name)
                raise

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.bin"


def _header(key: str, code: bytes) -> bytes:
    return MAGIC + hashlib.sha256(key.encode() + b"\0" + code).digest()


def _is_own(path: Path) -> bool:
    """Whether a file or folder is this user's, and nobody else may write to it."""
    status = path.stat()
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid == os.getuid() and not status.st_mode & WRITABLE_BY_OTHERS


def default_folder() -> Path:
    """Where programs of this user keep what they can make again."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "tracer"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home)) / "tracer"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "tracer"


def object_store() -> DiskStore | None:
    """The configured store; None where the cache is off, or there is no home to keep it in."""
    chosen = config.get("cache_dir")
    if chosen == "off":
        return None
    try:
        return DiskStore(Path(chosen).expanduser() if chosen else default_folder())
    except RuntimeError:
        return None


def share_object_store() -> None:
    """Let native entries keep their code in the configured store too."""
    from codegen.dispatch import use_object_store

    use_object_store(object_store())


FOLDERS = ("codegen", "kernels", "tracer/primitives", "tracer/transforms")
"""Where the sources lie that machine code depends on."""


@cache
def sources_digest() -> str:
    """A digest of our sources: of their paths, sizes and times, since reading them all would take
    longer than to load code.
    """
    root = Path(__file__).parent.parent
    digest = hashlib.sha256()
    for folder in FOLDERS:
        for entry in sorted(_sources(str(root / folder)), key=lambda found: found.path):
            status = entry.stat()
            digest.update(f"{entry.path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _sources(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _sources(entry.path)
            elif entry.name.endswith(".py"):
                yield entry
