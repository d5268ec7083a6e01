"""Limits that keep the sources readable: the size of files and functions, and no local paths."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("tracer", "codegen", "kernels", "bench")
SOURCES = sorted(file for name in PACKAGES for file in (ROOT / name).rglob("*.py"))
MOST_LINES_OF_A_FILE = 500
MOST_LINES_OF_A_FUNCTION = 60
LOCAL_PATH = re.compile(r"(?<![\w.<])/(?:home|Users|work|root|opt)/[\w.-]")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_are_short(path: Path) -> None:
    text = path.read_text("utf-8")
    functions = [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    # A file without functions is a table, which nobody reads from end to end.
    assert not functions or text.count("\n") <= MOST_LINES_OF_A_FILE
    lengths = [((node.end_lineno or 0) - node.lineno + 1, node.name) for node in functions]
    assert [pair for pair in lengths if pair[0] > MOST_LINES_OF_A_FUNCTION] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert not tree.body or ast.get_docstring(tree), "a module begins with a docstring"


def test_no_path_of_one_machine_is_in_the_project() -> None:
    text_files = {".py", ".md", ".toml", ".yml", ".svg", ".json", ""}
    folders = [ROOT / name for name in (*PACKAGES, "tests", "docs", "examples", ".ci")]
    paths = [path for path in ROOT.iterdir() if path.is_file()]
    paths += [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = []
    for path in sorted(set(paths) - {Path(__file__).resolve()}):
        if path.suffix not in text_files or path.name == ".git":
            continue
        lines = path.read_text("utf-8", errors="replace").splitlines()
        name = path.relative_to(ROOT)
        found += [f"{name}:{n}" for n, line in enumerate(lines, 1) if LOCAL_PATH.search(line)]
    assert found == []
