"""The table of docs/switches.md is what tracer.config says."""

from __future__ import annotations

from tests.docs.pages import ROOT
from tracer import config


def test_the_table_is_that_of_the_module() -> None:
    rows = [f"| `{switch.variable}` | {switch.help} |" for switch in config.SWITCHES.values()]
    page = (ROOT / "docs" / "switches.md").read_text("utf-8")
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows
