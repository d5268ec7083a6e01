"""The distribution: what pyproject.toml, README.md and the sources have to agree on."""

from __future__ import annotations

import importlib
import importlib.metadata
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import tracer

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tracer", "codegen", "kernels", "bench")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def test_readme_has_the_two_commands() -> None:
    commands = runpy.run_path(str(ROOT / ".ci" / "readme_command.py"))["readme_commands"]()
    assert commands == {
        "bench": "python -m pip install -e '.[bench]' && python -m bench run digits",
        "test": "python -m pip install -e '.[test]' && python -m pytest -n auto",
    }


def test_versions_agree(project: dict[str, Any]) -> None:
    assert importlib.metadata.version("tracer-ad") == project["project"]["version"]
    assert tracer.__version__ == project["project"]["version"]


def test_changelog_begins_with_the_version(project: dict[str, Any]) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = [line for line in changelog.splitlines() if line.startswith("## ")]
    assert headings[0].startswith(f"## {project['project']['version']}")


@pytest.mark.parametrize("name", PACKAGES)
def test_packages_import_under_their_names(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None, f"{name} has no __init__.py"
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"
    assert (ROOT / name / "py.typed").is_file()


def test_no_folder_of_sources_is_left_out_of_the_distribution() -> None:
    folders = {file.parent for name in PACKAGES for file in (ROOT / name).rglob("*.py")}
    without = sorted(
        str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()
    )
    assert without == [], "setuptools packs only folders that have an __init__.py"


def test_every_dependency_has_its_reason_written_down(project: dict[str, Any]) -> None:
    reasons = (ROOT / "docs" / "decisions" / "001-dependencies.md").read_text("utf-8")
    names = [text.split(">=")[0] for text in project["project"]["dependencies"]]
    assert [name for name in names if f"**{name}**" not in reasons] == []


def test_command_line_entry_point_exists(project: dict[str, Any]) -> None:
    module, function = project["project"]["scripts"]["tracer-bench"].split(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_importing_tracer_does_not_import_its_compilers() -> None:
    # In a process of its own: here, other tests may have imported them.
    code = (
        "import sys, tracer\n"
        "late = {'numba', 'llvmlite', 'codegen', 'kernels', 'bench', 'matplotlib'}\n"
        "print(*sorted(late & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == []
