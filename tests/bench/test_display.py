"""Units, columns, and the plain lines that replace a progress bar."""

import pytest

from bench.display import (
    PlainDisplay,
    Table,
    TerminalDisplay,
    align,
    format_bytes,
    format_seconds,
    open_display,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (12.0, "12.0 s"),
        (1.0, "1.00 s"),
        (0.0123, "12.3 ms"),
        (1.236e-6, "1.24 µs"),
        (7.5e-8, "75.0 ns"),
        (0.5432, "543 ms"),
    ],
)
def test_seconds(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text


def test_bytes() -> None:
    assert format_bytes(3 * 2**20) == "3.0 MiB"
    assert format_bytes(None) == "–"


def test_columns_are_aligned() -> None:
    assert align([("name", "time"), ("a", "1"), ("long name", "23")]) == [
        "name       time",
        "a             1",
        "long name    23",
    ]


def test_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainDisplay() as display:
        display.progress("gmm: jax", 1, 4)
        display.line("done")
        display.table(Table("title", ("a", "b"), [("x", "1")]))
    assert capsys.readouterr().out == "[2/4] gmm: jax\ndone\n\ntitle\na  b\nx  1\n\n"


def test_what_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(open_display(), PlainDisplay)


def test_terminal_shows_lines_tables_and_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with TerminalDisplay() as display:
        display.progress("gmm: jax", 1, 4)
        display.line("a line with [brackets]")
        display.table(Table("the title", ("subject", "median"), [("jax [x64]", "1.00 s")]))
    shown = capsys.readouterr().out
    for text in ("gmm: jax", "1/4", "a line with [brackets]", "the title", "jax [x64]", "1.00 s"):
        assert text in shown


def test_a_brief_step_is_no_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay().progress("epoch 3", 2, 40, brief=True)
    assert capsys.readouterr().out == ""
