"""What a run shows: a progress bar on a terminal, plain lines elsewhere, and tables on both."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import TracebackType
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of text under a title; all columns but the first are figures."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


class Display(ABC):
    """Where the run's lines, tables and progress go."""

    @abstractmethod
    def line(self, text: str) -> None:
        """A line that stays."""

    @abstractmethod
    def table(self, table: Table) -> None:
        """A table that stays."""

    @abstractmethod
    def progress(self, text: str, done: int, total: int, *, brief: bool = False) -> None:
        """What is going on now, and how far it is; a brief step is worth no line of its own."""

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class PlainDisplay(Display):
    """One line an event, for files, pipes and logs."""

    def line(self, text: str) -> None:
        print(text, flush=True)

    def progress(self, text: str, done: int, total: int, *, brief: bool = False) -> None:
        if not brief:
            self.line(f"[{done + 1}/{total}] {text}")

    def table(self, table: Table) -> None:
        self.line("")
        self.line(table.title)
        for text in align([table.columns, *table.rows]):
            self.line(text)
        self.line("")


class TerminalDisplay(Display):
    """A progress bar under the lines and tables that stay, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._console = Console(highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            auto_refresh=False,  # its thread would take part in what is timed
        )
        self._task: Any = None

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def line(self, text: str) -> None:
        self._console.print(text, markup=False)

    def progress(self, text: str, done: int, total: int, *, brief: bool = False) -> None:
        if self._task is None:
            self._task = self._bar.add_task(text, total=total)
        self._bar.update(self._task, description=text, completed=done, total=total, refresh=True)

    def table(self, table: Table) -> None:
        from rich.table import Table as RichTable
        from rich.text import Text

        drawn = RichTable(title=Text(table.title), title_justify="left", box=None, pad_edge=False)
        for number, column in enumerate(table.columns):
            drawn.add_column(Text(column), justify="left" if number == 0 else "right")
        for row in table.rows:
            drawn.add_row(*(Text(cell) for cell in row))
        self._console.print(drawn)


def open_display() -> Display:
    """A terminal's display where the output is one and rich is there, a plain one elsewhere."""
    if sys.stdout.isatty() and find_spec("rich") is not None:
        return TerminalDisplay()
    return PlainDisplay()


def align(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows as lines of equally wide columns: the first to the left, figures to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def format_seconds(seconds: float | None) -> str:
    """Three digits in the unit that fits; a dash for what was not measured."""
    if seconds is None:
        return "–"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{_three_digits(seconds / scale)} {unit}"
    return f"{_three_digits(seconds / 1e-9)} ns"


def format_share(share: float | None) -> str:
    """Percents of a limit; a dash for what was not measured."""
    if share is None:
        return "–"
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"


def format_bytes(count: int | None) -> str:
    """Mebibytes with one decimal; a dash for what was not measured."""
    return "–" if count is None else f"{count / 2**20:.1f} MiB"


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
