"""Writes what docs/errors.md's examples raise below them: `python -m tests.docs.fill_outputs`.

For a maintainer who changed a message: the tests compare the page with the library; this makes the
page follow. Read the difference before committing it.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

from tests.docs.pages import FENCE, ROOT, blocks_of, run_block

PAGE = ROOT / "docs" / "errors.md"
OUTPUT = 'text title="Output"'


def filled(content: str) -> str:
    """`content` with the output block below each raising block made new."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    outputs = [
        (block, run_block(block, "docs/errors.md", namespace))
        for block in blocks_of(PAGE)
        if block.info == "python"
    ]
    pieces: list[str] = []
    end = 0
    for found in FENCE.finditer(content):
        info = found["info"].strip()
        if info == OUTPUT:
            pieces.append(content[end : found.start()].rstrip("\n") + "\n")
            end = found.end() + 1
        elif info == "python":
            block, output = outputs.pop(0)
            pieces.append(content[end : found.end()] + "\n")
            end = found.end() + 1
            if block.mark == "raises":
                lines = textwrap.wrap(output, 96, break_long_words=False, break_on_hyphens=False)
                pieces.append("\n".join(["", f"```{OUTPUT}", *lines, "```", ""]))
    pieces.append(content[end:])
    return re.sub(r"\n{3,}", "\n\n", "".join(pieces))


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
