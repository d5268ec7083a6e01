"""Makes the pages of docs/gallery from the programs beside this file: `python -m examples.pages`.

A program is a page written as Python: lines of comment at its left edge are prose, in Markdown,
and the rest is code. What a piece of code prints follows it as its output. Pictures that a program
saves lie in docs/gallery/pictures.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GALLERY = HERE.parent / "docs" / "gallery"
PROGRAMS = sorted(path for path in HERE.glob("*.py") if path.stem not in ("__init__", "pages"))


def pieces(text: str) -> Iterator[tuple[str, str]]:
    """("prose" or "code", text) one after the other."""
    kind, lines = "prose", []
    for line in text.splitlines():
        now = "prose" if line == "#" or line.startswith("# ") else "code"
        if now != kind and (line.strip() or now == "prose"):
            if any(part.strip() for part in lines):
                yield kind, "\n".join(lines).strip("\n")
            kind, lines = now, []
        lines.append(line[2:] if now == "prose" else line)
    if any(part.strip() for part in lines):
        yield kind, "\n".join(lines).strip("\n")


def compiled(text: str, program: str) -> Any:
    """A piece of code as a file of its own, which tracing can read."""
    text += "\n"
    name = f"{program}/{hash(text)}/example.py"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return compile(text, name, "exec")


def page(program: Path) -> str:
    """The page of a program, with what it prints."""
    parts: list[str] = []
    names = {"__name__": "__main__", "__file__": str(program)}
    for kind, text in pieces(program.read_text("utf-8")):
        if kind == "prose":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compiled(text, program.stem), names)
        if printed.getvalue():
            parts.append(f'```text title="Output"\n{printed.getvalue().rstrip()}\n```')
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write every page."""
    GALLERY.mkdir(exist_ok=True)
    os.chdir(GALLERY / "pictures")
    for program in PROGRAMS:
        (GALLERY / f"{program.stem}.md").write_text(page(program), "utf-8")
        print(program.stem)


if __name__ == "__main__":
    main()
