"""Object code in a store: found again, and made anew where it is damaged."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from codegen.dispatch import ArrayLeaf, CallSpec, TupleNode, make_entry, use_object_store
from codegen.dispatch.compile import compile_module
from codegen.dispatch.entry import _code
from tests.codegen.dispatch.kernels import SlowPath, copy_kernel

ANSWER = "define i32 @answer(ptr %i, ptr %o, ptr %w, ptr %s) {{\n  ret i32 {}\n}}"


class Store(dict[str, bytes]):
    """A store that counts."""

    puts = 0

    def put(self, key: str, code: bytes) -> None:
        self.puts += 1
        self[key] = code


@pytest.fixture
def store() -> Iterator[Store]:
    """A store in use during one test."""
    made = Store()
    use_object_store(made)
    yield made
    use_object_store(None)


def test_stores_once(store: Store) -> None:
    for _ in range(2):
        assert compile_module(ANSWER.format(3), ("answer",))[0] != 0
    compile_module(ANSWER.format(4), ("answer",))
    compile_module(ANSWER.format(4), ("answer",), level=2)
    compile_module(ANSWER.format(5), ("answer",), stored=False)
    assert (store.puts, len(store)) == (3, 3)


def test_damaged_code_is_made_anew(store: Store) -> None:
    compile_module(ANSWER.format(6), ("answer",))
    ((key, code),) = store.items()
    other = ANSWER.format(7).replace("@answer", "@other")
    compile_module(other, ("other",))
    foreign = next(value for name, value in store.items() if name != key)
    for damaged in (b"", b"nonsense", code[: len(code) // 2], foreign):
        store[key] = damaged
        assert compile_module(ANSWER.format(6), ("answer",))[0] != 0
        assert store[key] == code


def test_entries_share_code_by_structure(store: Store, slow: SlowPath) -> None:
    before = _code.cache_info().misses
    for shape, code in (((3, 5), "d"), ((7, 1), "f"), ((0, 0), "?")):
        leaf = ArrayLeaf(np.dtype(code), shape)
        size = int(np.prod(shape)) * leaf.dtype.itemsize
        result = TupleNode((leaf,) * 5)
        moves = ((0, size),) * 5
        entry = make_entry(CallSpec((leaf,) * 3, result), copy_kernel(*moves), slow)
        array = np.ones(shape, leaf.dtype)
        assert [row.tolist() for row in entry(array, array, array)] == [array.tolist()] * 5
    assert _code.cache_info().misses - before == 1, "sizes and dtypes are data, not code"
    assert store.puts == 1


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from codegen.dispatch import CallSpec, make_entry, use_object_store
from tests.codegen.dispatch.kernels import MATRIX, VECTOR, copy_kernel

class Folder:
    def get(self, key):
        path = Path(sys.argv[1], key)
        return path.read_bytes() if path.exists() else None
    def put(self, key, code):
        Path(sys.argv[1], key).write_bytes(code)
        print("put")

use_object_store(Folder())
entry = make_entry(CallSpec((VECTOR, MATRIX), MATRIX), copy_kernel((1, 48)), None)
print(entry(np.zeros(4), np.arange(6.0).reshape(2, 3)).ravel().tolist())
"""


def test_code_serves_other_processes(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("objects")
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(folder)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout.split("\n"))
    values = "[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]"
    assert outputs[0] == ["put"] * 3 + [values, ""], "two modules of the runtime, one entry"
    assert outputs[1] == [values, ""], "nothing is compiled any more"


