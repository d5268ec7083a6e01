"""The page of docs that is written from the tables of calls."""

from __future__ import annotations

from tests.numpy import exclusions, table
from tests.numpy.signatures import TABLE


def test_the_page_is_of_these_tables() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    assert f"<!-- tables: {table.fingerprint()} -->" in text, "run python -m tests.numpy.table"


def test_the_page_has_a_row_for_each_function_and_no_failure() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 9]
    assert len(rows) == len(TABLE)
    assert [line for line in rows if table.NO in line] == []
    assert all(f"`{name}`" in text for name in exclusions.FUNCTIONS)


def test_a_row_is_made_by_running_its_calls() -> None:
    assert table.row("sign").count(table.YES) == 5
    assert table.row("ndarray.shape").startswith("| `ndarray.shape`")
