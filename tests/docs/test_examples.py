"""Every ```python block of README.md and docs/ runs, and prints what the page says it prints.

The blocks of a page run in order in one namespace. A block titled "Output" that follows is compared
with what was printed. A block after `<!-- not run: reason -->` is only compiled.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, its text without indentation, its first line in the page."""

    info: str
    text: str
    line: int
    runs: bool


def blocks_of(page: Path) -> Iterator[Block]:
    content = page.read_text("utf-8")
    for found in FENCE.finditer(content):
        line = content.count("\n", 0, found.start("text")) + 1
        text = textwrap.dedent(found["text"])
        yield Block(found["info"].strip(), text, line, found["reason"] is None)


def run_block(block: Block, name: str, namespace: dict[str, Any]) -> str:
    """What `block` prints. Its lines are numbered as in the page, also for inspect.getsource."""
    padded = "\n" * (block.line - 1) + block.text
    linecache.cache[name] = (len(padded), None, padded.splitlines(keepends=True), name)
    code = compile(padded, name, "exec")
    if not block.runs:
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_the_page_run(page: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks_of(page):
        if block.info == "python":
            name = f"<{page.relative_to(ROOT)}, line {block.line}>"
            printed = run_block(block, name, namespace)
        elif block.info == 'text title="Output"':
            assert printed.rstrip() == block.text.rstrip(), f"{page.name}, line {block.line}"


def test_blocks_are_found_as_they_are_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n```python\nprint(1)\n```\n\n"
        '```text title="Output"\n1\n```\n\n'
        "<!-- not run: it takes a minute -->\n\n```python\nslow()\n```\n\n"
        "    ```python\n    print(2)\n    ```\n"
    )
    assert list(blocks_of(page)) == [
        Block("python", "print(1)\n", 4, True),
        Block('text title="Output"', "1\n", 8, True),
        Block("python", "slow()\n", 14, False),
        Block("python", "print(2)\n", 18, True),
    ]


def test_a_wrong_output_is_noticed(tmp_path: Path) -> None:
    block = Block("python", "print(1 + 1)\n", 1, True)
    assert run_block(block, "<page>", {}) == "2\n"
