"""Runs each file of tests/cuda/simulated in a process where Numba simulates CUDA.

The choice between simulator and compiler is made when Numba is imported, once in a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((Path(__file__).parent / "simulated").glob("test_*.py"))

# Not of the run that this one is part of: a worker of xdist learns from them that it is one.
FOREIGN = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "PYTEST_ADDOPTS")


def run_file(file: Path) -> subprocess.CompletedProcess[str]:
    """pytest on one file, simulated."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return subprocess.run(
        [*command, str(file)],
        cwd=ROOT,
        env={**inherited, "NUMBA_ENABLE_CUDASIM": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_in_the_simulator(file: Path) -> None:
    child = run_file(file)
    assert child.returncode == 0, f"{child.stdout}\n{child.stderr}"


def test_there_are_files() -> None:
    assert FILES, "no test runs in the simulator"


def test_a_failure_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "test_failing.py"
    file.write_text("def test_failing():\n    assert 1 == 2, 'as it should'\n", "utf-8")
    child = run_file(file)
    assert child.returncode == 1
    assert "as it should" in child.stdout
