"""The drawing of a report."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.errors import BenchError
from bench.plot import write_plot
from tests.bench.test_results import sample_report


def test_the_same_report_gives_the_same_svg(tmp_path: Path) -> None:
    write_plot(sample_report(), tmp_path / "first.svg")
    write_plot(sample_report(), tmp_path / "second.svg")
    text = (tmp_path / "first.svg").read_text("utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert text == (tmp_path / "second.svg").read_text("utf-8")


def test_nothing_to_draw(tmp_path: Path) -> None:
    report = sample_report()
    report.measurements = report.measurements[1:]
    with pytest.raises(BenchError, match="nothing to plot"):
        write_plot(report, tmp_path / "plot.svg")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="cannot write"):
        write_plot(sample_report(), tmp_path / "nowhere" / "plot.svg")
