"""The page of docs that is written from the tables of calls."""

from __future__ import annotations

from tests.numpy import cuda_calls, exclusions, table
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


def test_the_last_column_is_what_the_simulator_has_found() -> None:
    """There is a finding of each call that becomes kernels, and none of calls that are gone."""
    wanted = {
        call.expression for calls in cuda_calls.calls_on_the_device().values() for call in calls
    }
    assert wanted == set(cuda_calls.known()), "run python -m tests.numpy.cuda_calls and the table"
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.with_device_column(text) == text, "run python -m tests.numpy.table cuda"
    assert text.count(f"{table.YES} |\n") > 450


def test_a_row_is_made_by_running_its_calls() -> None:
    assert table.row("sign").count(table.YES) == 6
    assert table.row("ndarray.shape").startswith("| `ndarray.shape`")
