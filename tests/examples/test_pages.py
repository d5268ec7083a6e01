"""The programs of the gallery: their pages are what they say, and print what they print.

The code and outputs of a page are run and compared by tests/docs; here it is checked that each page
holds its program, so that running the one is running the other.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from examples.pages import GALLERY, HERE, PROGRAMS, pieces
from tests.docs.pages import blocks_of


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_page_holds_the_program(program: Path) -> None:
    page = GALLERY / f"{program.stem}.md"
    text = page.read_text("utf-8")
    code = [block.text.strip() for block in blocks_of(page) if block.info == "python"]
    expected = list(pieces(program.read_text("utf-8")))
    assert code == [part.strip() for kind, part in expected if kind == "code"]
    for kind, part in expected:
        assert kind == "code" or part in text


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_pictures_of_the_page_are_there(program: Path) -> None:
    text = (GALLERY / f"{program.stem}.md").read_text("utf-8")
    names = [part.split(")")[0] for part in text.split("](pictures/")[1:]]
    for name in names:
        assert (GALLERY / "pictures" / name).stat().st_size > 0


def test_a_program_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "neuron.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "∂a/∂w = 3.0, ∂a/∂b = 1.0" in done.stdout
    assert (tmp_path / "neuron.svg").read_text().startswith("<svg")


def test_prose_and_code_are_told_apart() -> None:
    text = "# Title\n#\n# text\n\nx = 1\n\n# more\n\nif x:\n    # inside\n    y = 2\n"
    assert list(pieces(text)) == [
        ("prose", "Title\n\ntext"),
        ("code", "x = 1"),
        ("prose", "more"),
        ("code", "if x:\n    # inside\n    y = 2"),
    ]
