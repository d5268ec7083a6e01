"""Every ```python block of README.md and docs/ runs, and prints what the page says it prints.

The blocks of a page run in order in one namespace. A block titled "Output" that follows is compared
with what was printed, word by word, so that long lines can be broken. `<!-- not run: reason -->`
above a block has it compiled only, and `<!-- raises: ErrorName -->` has it raise that error, with
its name and message as the output.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import tracer.errors
from tests.docs.pages import PAGES, ROOT, Block, blocks_of, run_block


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_the_page_run(page: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks_of(page):
        if block.info == "python":
            printed = run_block(block, str(page.relative_to(ROOT)), namespace)
        elif block.info == 'text title="Output"':
            assert printed.split() == block.text.split(), f"{page.name}, line {block.line}"


def test_each_error_class_has_a_section_with_code_that_raises_it() -> None:
    page = ROOT / "docs" / "errors.md"
    headings = [line[3:] for line in page.read_text("utf-8").splitlines() if line[:3] == "## "]
    raised = [block.detail for block in blocks_of(page) if block.mark == "raises"]
    classes = [
        name
        for name, value in vars(tracer.errors).items()
        if inspect.isclass(value) and value.__module__ == "tracer.errors" and name != "TracerError"
    ]
    assert sorted(headings) == sorted(classes)
    # Another project's package can be met in a process of its own only: tests/project/. What a GPU
    # raises is compared with the page in tests/cuda/test_devices.py.
    assert sorted(set(classes) - set(raised)) == [
        "DeviceArrayError",
        "DeviceMemoryError",
        "DeviceMismatchError",
        "DeviceNotFoundError",
        "ForeignPackageError",
        "MissingPackageError",
    ]


def test_blocks_are_found_as_they_are_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n```python\nprint(1)\n```\n\n"
        '```text title="Output"\n1\n```\n\n'
        "<!-- not run: it takes a minute -->\n\n```python\nslow()\n```\n\n"
        "    ```python\n    print(2)\n    ```\n"
    )
    assert list(blocks_of(page)) == [
        Block("python", "print(1)\n", 4),
        Block('text title="Output"', "1\n", 8),
        Block("python", "slow()\n", 14, "not run", "it takes a minute"),
        Block("python", "print(2)\n", 18),
    ]


def test_what_a_block_prints_and_raises_is_noticed() -> None:
    assert run_block(Block("python", "print(1 + 1)\n", 1), "page", {}) == "2\n"
    raising = Block("python", "float('one')\n", 1, "raises", "ValueError")
    assert run_block(raising, "page", {}).startswith("ValueError: could not convert")
    with pytest.raises(AssertionError, match="nothing was raised"):
        run_block(Block("python", "1\n", 1, "raises", "ValueError"), "page", {})
