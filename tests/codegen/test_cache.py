"""Machine code on disk: what is stored comes back, and nothing that is wrong breaks a run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from codegen.cache import DiskStore, default_folder, object_store
from codegen.render.llvm_call import compile_llvm
from codegen.render.llvm_code import forget_code
from tests.codegen import programs
from tracer import config


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The configured cache folder, which is not there yet."""
    before = config.get("cache_dir")
    config.set("cache_dir", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    config.set("cache_dir", before)


def files(folder: Path) -> list[Path]:
    """What the cache holds."""
    return sorted(folder.glob("*.bin"))


def check_softmax() -> None:
    """Compile a program as a new process does, and run it."""
    forget_code()
    x = np.arange(35.0).reshape(5, 7) / 10
    (y,) = compile_llvm(programs.softmax())([x])
    np.testing.assert_allclose(y, np.exp(x) / np.exp(x).sum(axis=1, keepdims=True), rtol=1e-13)


def test_what_is_stored_comes_back(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "new" / "folder")
    assert store.get("key") is None
    store.put("key", b"code")
    assert store.get("key") == b"code"
    assert store.get("another key") is None
    store.put("key", b"")
    assert store.get("key") == b""
    assert oct(store.folder.stat().st_mode & 0o777) == "0o700"
    assert not list(store.folder.glob("new-*")), "no temporary file is left"


def test_a_program_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_softmax()
    assert len(files(folder)) >= 1

    def refuse(text: str) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr("codegen.render.llvm_code.object_code", refuse)
    check_softmax()


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other", "magic"])
def test_damaged_files_are_made_anew(folder: Path, damage: str) -> None:
    check_softmax()
    whole = [path.read_bytes() for path in files(folder)]
    for path, content in zip(files(folder), whole, strict=True):
        if damage == "cut":
            path.write_bytes(content[:-5])
        elif damage == "flip":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "other":
            path.write_bytes(b"something else" * 100)
        else:
            path.write_bytes(b"T" + content[1:])
        path.chmod(0o600)
    check_softmax()
    assert [path.read_bytes() for path in files(folder)] == whole


def test_an_entry_under_another_name_is_not_taken(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache")
    store.put("one", b"code of one")
    store.put("two", b"code of two")
    one, two = files(tmp_path / "cache")
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    assert store.get("one") is None
    assert store.get("two") is None


def test_files_that_others_may_write_are_not_taken(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "cache")
    store.put("key", b"code")
    (path,) = files(tmp_path / "cache")
    path.chmod(0o666)
    assert store.get("key") is None
    path.chmod(0o600)
    assert store.get("key") == b"code"
    (tmp_path / "cache").chmod(0o777)
    assert store.get("key") is None
    store.put("second", b"code")
    assert len(files(tmp_path / "cache")) == 1


def test_a_folder_of_another_user_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DiskStore(tmp_path / "cache")
    store.put("key", b"code")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert store.get("key") is None
    store.put("second", b"code")
    assert len(files(tmp_path / "cache")) == 1


def test_a_file_where_the_folder_should_be(folder: Path) -> None:
    folder.write_text("not a folder")
    check_softmax()
    assert folder.read_text() == "not a folder"


def test_a_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    check_softmax()
    assert files(folder) == []
    assert list(folder.glob("new-*")) == [], "what was half written is removed"


def test_a_folder_that_cannot_be_made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refused)
    check_softmax()
    assert not folder.exists()


def test_off_writes_nothing(folder: Path) -> None:
    config.set("cache_dir", "off")
    assert object_store() is None
    check_softmax()
    assert not folder.exists()


def test_the_default_folder_is_this_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    if sys.platform.startswith("linux"):
        assert default_folder() == Path("/somewhere/tracer")
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert default_folder() == Path.home() / ".cache" / "tracer"


def test_processes_share_the_code(folder: Path) -> None:
    script = (
        "import numpy as np, tracer\n"
        "f = tracer.jit(tracer.grad(lambda x: np.sum(np.exp(x) * x)), backend='llvm')\n"
        "print(f(np.ones(5)).tolist(), f(np.ones(5)).tolist())\n"
    )
    environment = {**os.environ, "TRACER_CACHE_DIR": str(folder), "TRACER_DEBUG": "cache"}
    texts = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert [text.count("made anew") for text in texts] == [1, 0]
    assert [text.count("found on disk") for text in texts] == [0, 1]
    assert texts[0].splitlines()[-1] == texts[1].splitlines()[-1]
