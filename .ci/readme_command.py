"""Prints the shell command that README.md marks with `<!-- command: NAME -->`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
COMMAND = re.compile(r"<!-- command: (?P<name>\w+) -->\n+```bash\n(?P<text>.*?)\n```", re.DOTALL)


def readme_commands(readme: Path = README) -> dict[str, str]:
    """The marked commands by name."""
    return {found["name"]: found["text"] for found in COMMAND.finditer(readme.read_text("utf-8"))}


if __name__ == "__main__":
    commands = readme_commands()
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(f"usage: readme_command.py NAME, where NAME is one of {', '.join(commands)}")
    print(commands[sys.argv[1]])
