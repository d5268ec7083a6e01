"""Runs what tests the CUDA backend in processes where a GPU is simulated.

The choice between simulator and GPU is an environment variable, made once for a process. Each
case below is such a process: the files of tests/cuda/simulated, and the tests of the compiled
backends, which take "cuda" for their backend there, as does every `jit` without one.

Python runs the threads of the simulator, so that of long files only a part runs: every so
manieth test of those that `-k` chooses. Some run once more on a device that is *tiny*: where few
statements are a kernel's worth, small programs become grids, loops of the host, split sums and
scans, and graphs that are replayed (tests/simulation.py).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.simulation import PART, SMALL

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((Path(__file__).parent / "simulated").glob("test_*.py"))

# Not of the run that this one is part of: a worker of xdist learns from them that it is one.
FOREIGN = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS")


class Case(NamedTuple):
    """Files of tests, the tests of them by pytest's `-k` and of those a part (first and step), and
    how many statements are a kernel's worth, if not as many as usual."""

    files: str
    chosen: str = ""
    part: str = ""
    small: int | None = None

    def __str__(self) -> str:
        words = [Path(self.files.split()[0]).stem, self.part.partition(":")[0]]
        return "-".join([word for word in words if word] + ["tiny"] * (self.small is not None))


# What takes the simulator longest: these are seen on a device of the usual size only.
ARRAYS = "test_arrays and not (program_derivative or matrix_exponential or stdtr)"
CASES = [
    Case("tests/primitives/test_compiled.py", "test_arrays and not stdtr", "0:4"),
    Case("tests/primitives/test_compiled.py", ARRAYS, "1:4", 2),
    Case("tests/primitives/test_compiled.py", ARRAYS, "3:4", 6),
    Case("tests/primitives/test_compiled.py", "test_elementwise", "0:4"),
    Case("tests/graph/test_random_graphs.py", "cuda"),
    Case("tests/graph/test_random_graphs.py", "cuda", small=2),
    Case("tests/transforms/test_control.py", "test_compiled or test_tapes"),
    Case("tests/transforms/test_control.py", "test_compiled or test_tapes", "0:2", 2),
    Case("tests/cuda/simulated/test_programs.py", "values or gradients", small=1),
    Case("tests/codegen/lower/test_structure.py tests/codegen/lower/test_callback.py", "cuda"),
    Case("tests/codegen/passes/test_sums.py tests/codegen/passes/test_strips.py", "cuda"),
    Case("tests/nn/test_nn.py", "cuda or activations or softmax"),
    Case("tests/random/test_random.py", "cuda"),
    Case("tests/numpy/test_compiled.py"),
    Case("tests/numpy/test_fft.py tests/numpy/test_linalg.py", "cuda or compiled", "0:6"),
    Case("tests/numpy/test_selections.py tests/numpy/test_out_of_bounds.py", "cuda"),
    Case("tests/scipy/test_special.py", "compiled or ends or inverses or cuda", "0:6"),
    Case("tests/scipy/test_stats.py", "test_values or test_derivatives_in", "0:24"),
    Case("tests/source/test_traced.py", "jit or compiled"),
    Case("tests/transforms/test_published_bugs.py", "cuda"),
    Case("tests/usage/test_programs_as_written.py tests/usage/test_textbook_programs.py"),
]


def run_files(case: Case) -> subprocess.CompletedProcess[str]:
    """pytest on the case's files, simulated."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    asked = {"NUMBA_ENABLE_CUDASIM": "1", "TRACER_BACKEND": "cuda"}
    if case.part:
        asked[PART] = case.part
    if case.small is not None:
        asked[SMALL] = str(case.small)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(
        [*command, *(["-k", case.chosen] if case.chosen else []), *case.files.split()],
        cwd=ROOT,
        env={**inherited, **asked},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("case", [*[Case(str(file)) for file in FILES], *CASES], ids=str)
def test_in_the_simulator(case: Case) -> None:
    child = run_files(case)
    assert child.returncode == 0, f"{child.stdout}\n{child.stderr}"


def test_there_are_files() -> None:
    assert FILES, "no test runs in the simulator"


def test_a_failure_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text("def test_failing():\n    assert 1 == 2, 'as it should'\n", "utf-8")
    child = run_files(Case(str(file)))
    assert child.returncode == 1
    assert "as it should" in child.stdout
