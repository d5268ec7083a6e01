"""Reads the fenced blocks of a Markdown page, and runs them as a reader would."""

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

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(
    r"(?:<!-- (?P<mark>not run|raises): (?P<detail>[^\n]+?) -->\n+)?"
    r"^(?P<indent> *)```(?P<info>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and title, its text without indentation, its line in the page.

    `mark` is "not run" or "raises" where a comment above the block says so, and `detail` what
    follows: the reason, or the name of the error.
    """

    info: str
    text: str
    line: int
    mark: str | None = None
    detail: str | None = None


def blocks_of(page: Path) -> Iterator[Block]:
    content = page.read_text("utf-8")
    for found in FENCE.finditer(content):
        line = content.count("\n", 0, found.start("text")) + 1
        text = textwrap.dedent(found["text"])
        yield Block(found["info"].strip(), text, line, found["mark"], found["detail"])


def run_block(block: Block, page: str, namespace: dict[str, Any]) -> str:
    """What `block` prints; where it is marked to raise, the error's name and message.

    Its file is called example.py, with lines counted from the block's first, so that a message on
    the page does not change when a line is added above. inspect.getsource finds the text.
    """
    name = f"{page}/{block.line}/example.py"
    linecache.cache[name] = (len(block.text), None, block.text.splitlines(keepends=True), name)
    code = compile(block.text, name, "exec")
    if block.mark == "not run":
        return ""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if block.mark != "raises":
            exec(code, namespace)
            return printed.getvalue()
        try:
            exec(code, namespace)
        except Exception as error:
            if type(error).__name__ == block.detail:
                return f"{type(error).__name__}: {error}"
            raise
    raise AssertionError(f"{page}, line {block.line}: nothing was raised")
