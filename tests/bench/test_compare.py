"""Changes between two runs, and what counts as noise."""

import dataclasses

import pytest

from bench.compare import changes, show_changes
from bench.display import PlainDisplay
from bench.errors import BenchError
from bench.results import Report
from tests.bench.test_results import sample_report


def with_spread(report: Report, share: float) -> Report:
    """The same medians with quartiles that far apart."""
    first, *others = report.measurements
    assert first.calls is not None
    median = first.calls.median
    calls = dataclasses.replace(
        first.calls,
        lower_quartile=median * (1.0 - share / 2.0),
        upper_quartile=median * (1.0 + share / 2.0),
    )
    report.measurements = [dataclasses.replace(first, calls=calls), *others]
    return report


@pytest.mark.parametrize(
    ("median", "verdict"), [(2.0, "same"), (2.08, "same"), (2.4, "SLOWER"), (1.6, "faster")]
)
def test_verdict(median: float, verdict: str) -> None:
    (change,) = changes(sample_report(), sample_report(median))
    assert change.verdict == verdict
    assert change.ratio == pytest.approx(median / 2.0)


def test_a_wide_spread_forgives_a_slow_median() -> None:
    (change,) = changes(with_spread(sample_report(), 0.3), sample_report(2.4))
    assert change.noise == pytest.approx(0.3 + 0.02)
    assert change.verdict == "same"


def test_only_common_measurements_are_compared() -> None:
    other = sample_report()
    other.measurements = [dataclasses.replace(other.measurements[0], subject="jax")]
    with pytest.raises(BenchError, match="no measurement in common"):
        changes(sample_report(), other)


def test_table_and_count(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sample_report(), sample_report(3.0)
    assert show_changes(changes(old, new), old, new, PlainDisplay()) == 1
    shown = capsys.readouterr().out
    assert "gmm small (gradient) tracer-numba  2.00 s  3.00 s   1.50" in shown
    assert "1 of 1 slower beyond noise" in shown
    assert "note" not in shown


def test_notes_on_what_makes_ratios_doubtful(capsys: pytest.CaptureFixture[str]) -> None:
    old, new = sample_report(), sample_report(smoke=True)
    new.machine = {"processor": "another"}
    show_changes(changes(old, new), old, new, PlainDisplay())
    shown = capsys.readouterr().out
    assert "different processors" in shown
    assert "smoke" in shown
