"""C++ by the system's compiler: gradients written by hand, `-O3 -march=native`, sizes as constants.

Each file in `bench/native/` has one function `run(inputs, outputs)` on arrays of float64. The
outputs' memory is made once, before anything is timed, and results are found there.
"""

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.peers.compiler import find_compiler
from bench.subjects import Prepared, Stopwatch, Subject, Task

SOURCES = Path(__file__).resolve().parents[1] / "native"
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC")
FAST = ("-ffast-math",)
Entry = Any


class Cpp(Subject):
    """One set of flags."""

    kind = "peer"

    def __init__(self, name: str, flags: tuple[str, ...]) -> None:
        self.name = name
        self._flags = flags

    def has(self, task: Task) -> bool:
        return task.program_name in task.workload.cpp

    def prepare(self, task: Task) -> Prepared:
        source = SOURCES / task.workload.cpp[task.program_name]
        stopwatch = Stopwatch()
        entry = stopwatch.time("compile", compile_entry, source, task.size, self._flags)
        inputs = [np.ascontiguousarray(value, np.float64) for value in task.inputs]
        outputs = [np.empty(())]
        outputs += [np.empty(np.shape(inputs[place])) for place in task.program.argnums]
        call = functools.partial(entry, _pointers(inputs), _pointers(outputs))
        kept = (inputs, outputs)  # the call knows addresses only

        def found(_: None) -> tuple[Any, ...]:
            return tuple(kept[1])

        return Prepared(call, call, stopwatch.stages, found)


def compile_entry(source: Path, size: Any, flags: tuple[str, ...]) -> Entry:
    """The function `run` of a C++ file, compiled with a size's numbers as constants.

    Raises `BenchError` with what the compiler said where it fails.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BenchError("there is no C++ compiler here")
    constants = [f"-DSIZE_{name.upper()}={value}" for name, value in size.items()]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        compiled, library = Path(folder) / "entry.o", Path(folder) / "entry.so"
        _run([compiler, *FLAGS, *flags, *constants, "-c", str(source), "-o", str(compiled)])
        # Linked without the flags: fast mathematics would set the whole process's rounding mode.
        _run([compiler, "-shared", str(compiled), "-o", str(library)])
        entry = ctypes.CDLL(str(library)).run
    entry.restype = None
    return entry


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise BenchError(f"{command[0]} failed: {done.stderr.strip()}")


def _pointers(arrays: list[Any]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


PEER = Cpp("cpp", ())
