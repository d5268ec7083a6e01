"""The page of docs, made of results: tables, what is slower, what failed, and no local names."""

import dataclasses
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.errors import BenchError
from bench.report import write_page
from bench.results import Failure, Measurement, Report
from bench.timing import Calls
from tests.bench.test_limits import LIMITS
from tests.bench.test_results import sample_report


def measurement(subject: str, seconds: float, workload: str = "gmm") -> Measurement:
    calls = Calls(5, 1, seconds, seconds, 2.0 * seconds, seconds, seconds)
    return Measurement(
        workload, "small", {"n": 10}, "gradient", subject, "tracer", {"compile": 0.5}, calls,
        figures={"flops": 1e9, "bytes": 500.0, "dispatch": 2e-7},
    )  # fmt: skip


def full_report() -> Report:
    report = sample_report()
    report.machine = {"processor": "a processor", "processors": 2, "threads": 1, "system": "Linux"}
    report.settings = {"command": "python -m bench run gmm --seconds 1"}
    report.limits = LIMITS.as_json()
    report.measurements = [
        measurement("tracer-llvm", 0.02),
        measurement("jax", 0.03),
        measurement("cpp", 0.01),
        measurement("tracer-llvm", 0.02, "chain"),
        measurement("torch", 0.01991, "chain"),
    ]
    report.failures = [Failure("gmm", "small", "gradient", "torch", "a | in the message")]
    return report


def page_of(tmp_path: Path, *reports: Report) -> str:
    (tmp_path / "pictures").mkdir(exist_ok=True)
    written = write_page(reports, tmp_path / "page.md", tmp_path / "pictures")
    assert all(path.is_file() for path in written)
    return (tmp_path / "page.md").read_text("utf-8")


def test_a_row_has_each_subject_and_the_share_of_the_limit(tmp_path: Path) -> None:
    text = page_of(tmp_path, full_report())
    assert "| program | size | tracer (llvm) | JAX | PyTorch | by hand, C++ | share |" in text
    # The limit is 10⁹ operations at 10¹¹ a second; the call takes twice as long.
    row = (
        "| gmm small | n=10 | 20.0 ms | 30.0 ms | failed: a ¦ in the message | **10.0 ms** | 50% |"
    )
    assert row in text
    assert "python -m bench run gmm --seconds 1" in text
    assert "a processor, 2 processors, 1 thread each, Linux" in text


def test_the_machine_is_not_named(tmp_path: Path) -> None:
    text = page_of(tmp_path, full_report())
    assert str(tmp_path) not in text
    assert re.search(r"/(home|root|Users)/", text) is None


def test_where_a_peer_is_faster_it_says_so(tmp_path: Path) -> None:
    text = page_of(tmp_path, full_report())
    assert "- gmm small: by hand, C++, by 2.00 × (medians 2.00 ×)" in text
    assert "- chain small" not in text, "half a percent is noise"


def test_nobody_faster(tmp_path: Path) -> None:
    report = full_report()
    report.measurements = [item for item in report.measurements if item.subject != "cpp"]
    assert "No peer is faster than tracer (llvm) in any row." in page_of(tmp_path, report)


def test_stages_and_failures_and_facts(tmp_path: Path) -> None:
    text = page_of(tmp_path, full_report())
    assert "| gmm small | JAX | – | – | 500 ms | – | – | 200 ns | 60.0 ms | 30.0 ms |" in text
    assert "- gmm small (gradient), torch: a | in the message" in text


def test_eager_operations_have_a_table_of_their_own(tmp_path: Path) -> None:
    report = full_report()
    for subject, figure in (("tracer-eager", 6.0), ("autograd", 4.0)):
        item = dataclasses.replace(measurement(subject, 1e-5, "eager"), program="add")
        report.measurements.append(
            dataclasses.replace(item, figures={"microseconds an operation": figure})
        )
    text = page_of(tmp_path, report)
    # The median was twice the least time.
    assert "| add small | 3.0 | 2.0 | 1.50 |" in text
    assert "| eager" not in text


def test_two_runs_are_two_sections(tmp_path: Path) -> None:
    other = dataclasses.replace(full_report(), created="2025-02-03T00:00:00+00:00")
    text = page_of(tmp_path, full_report(), other)
    assert "### Run 1, 2024-01-01" in text
    assert "### Run 2, 2025-02-03" in text
    assert text.count("python CPython 3.11.") == 1
    assert text.count("Versions as above.") == 1


def test_the_plots_are_the_same_for_the_same_results(tmp_path: Path) -> None:
    page_of(tmp_path, full_report())
    first = [path.read_text("utf-8") for path in sorted((tmp_path / "pictures").iterdir())]
    page_of(tmp_path, full_report())
    assert first == [path.read_text("utf-8") for path in sorted((tmp_path / "pictures").iterdir())]
    for text in first:
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "gmm small" in text


def test_nothing_to_report(tmp_path: Path) -> None:
    report = full_report()
    report.measurements = []
    with pytest.raises(BenchError, match="nothing to report"):
        write_page([report], tmp_path / "page.md", tmp_path)


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="there is no such folder"):
        write_page([full_report()], tmp_path / "page.md", tmp_path / "nowhere")


def test_pictures_beside_the_page_only(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "other").mkdir()
    with pytest.raises(BenchError, match="the pictures have to lie below"):
        write_page([full_report()], tmp_path / "docs" / "page.md", tmp_path / "other")
