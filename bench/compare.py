"""Compare two result files: which medians changed by more than their noise."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.display import Display, Table, format_seconds
from bench.errors import BenchError
from bench.results import Key, Measurement, Report
from bench.timing import Calls

LEAST_CHANGE = 0.05
"""A change of the median below this is noise, however small the spread of the samples."""


@dataclass(frozen=True)
class Change:
    """One subject's median in two runs; the ratio is the new over the old."""

    old: Measurement
    ratio: float
    noise: float
    minimum_ratio: float
    seconds: tuple[float, float]

    @property
    def verdict(self) -> str:
        """Slower or faster only where the minima say so too: they hardly know the noise."""
        least = 1.0 + LEAST_CHANGE
        if self.ratio > 1.0 + self.noise and self.minimum_ratio > least:
            return "SLOWER"
        if self.ratio < 1.0 / (1.0 + self.noise) and self.minimum_ratio < 1.0 / least:
            return "faster"
        return "same"


def changes(old: Report, new: Report) -> list[Change]:
    """The measurements which both reports have; `BenchError` where there are none."""
    later: dict[Key, Measurement] = {item.key: item for item in new.measurements}
    found = []
    for item in old.measurements:
        other = later.get(item.key)
        if other is None or item.calls is None or other.calls is None:
            continue
        found.append(_change(item, item.calls, other.calls))
    if not found:
        raise BenchError(
            "the two files have no measurement in common: same workload, size, program and subject"
        )
    return found


def show_changes(found: Sequence[Change], old: Report, new: Report, display: Display) -> int:
    """Print the table; how many subjects became slower."""
    if old.machine.get("processor") != new.machine.get("processor"):
        display.line("note: the two files come from different processors")
    if bool(old.settings.get("smoke")) or bool(new.settings.get("smoke")):
        display.line("note: a smoke run times one call, and its ratios mean nothing")
    rows = [
        (
            f"{item.old.workload} {item.old.size} ({item.old.program}) {item.old.subject}",
            format_seconds(item.seconds[0]),
            format_seconds(item.seconds[1]),
            f"{item.ratio:.2f}",
            f"{item.minimum_ratio:.2f}",
            f"±{item.noise:.0%}",
            item.verdict,
        )
        for item in found
    ]
    columns = ("measurement", "old", "new", "ratio", "of minima", "noise", "verdict")
    display.table(Table("medians, new over old", columns, rows))
    slower = sum(item.verdict == "SLOWER" for item in found)
    display.line(f"{slower} of {len(found)} slower beyond noise")
    return slower


def _change(item: Measurement, old: Calls, new: Calls) -> Change:
    spread = old.interquartile_range / old.median + new.interquartile_range / new.median
    return Change(
        old=item,
        ratio=new.median / old.median,
        noise=max(LEAST_CHANGE, spread),
        minimum_ratio=new.minimum / old.minimum,
        seconds=(old.median, new.median),
    )
