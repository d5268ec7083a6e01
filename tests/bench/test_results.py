"""Result files: written, read back, and refused in one sentence where they are something else."""

import json
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.memory import PeakMemory
from bench.results import Fact, Failure, Measurement, Report, read_report, write_report
from bench.timing import Calls


def sample_report(median: float = 2.0, smoke: bool = False) -> Report:
    calls = Calls(5, 10, 0.98 * median, 0.99 * median, median, 1.01 * median, 1.02 * median)
    measurement = Measurement(
        workload="gmm",
        size="small",
        parameters={"n": 10, "k": 2},
        program="gradient",
        subject="tracer-numba",
        kind="tracer",
        stages={"trace": 0.1},
        calls=calls,
        speedup=3.0,
        peak_memory=PeakMemory(4096, "resident set"),
        difference=1e-15,
        tolerance=1e-10,
        figures={"graph nodes": 3.0},
    )
    bare = Measurement("scaling", "small", {"nodes": 5}, "gradient", "tracer-numba", "tracer")
    return Report(
        created="2024-01-01T00:00:00+00:00",
        machine={"processor": "a processor", "threads": 1},
        versions={"python": "CPython 3.11"},
        settings={"smoke": smoke},
        measurements=[measurement, bare],
        facts=[Fact("digits", "test accuracy", 0.98)],
        failures=[Failure("gmm", "small", "gradient", "jax", "it failed")],
    )


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(sample_report(), path)
    assert read_report(path) == sample_report()


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(sample_report(), path)
    content = json.loads(path.read_text("utf-8"))
    assert (content["schema"], content["version"]) == ("tracer-bench", 1)
    assert content["measurements"][0]["calls"]["median"] == 2.0
    assert content["measurements"][1]["calls"] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "no schema 'tracer-bench'"),
        ('{"schema": "another"}', "no schema 'tracer-bench'"),
        ('{"schema": "tracer-bench", "version": 2}', "version 2 of the schema; this one reads 1"),
        ('{"schema": "tracer-bench", "version": 1}', "shape of a result file: 'created'"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text, "utf-8")
    with pytest.raises(BenchError, match=message):
        read_report(path)


def test_a_measurement_with_a_missing_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(sample_report(), path)
    content = json.loads(path.read_text("utf-8"))
    del content["measurements"][0]["calls"]["median"]
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(BenchError, match="median"):
        read_report(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot read .*No such file"):
        read_report(tmp_path / "nothing.json")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"cannot write .*No such file"):
        write_report(sample_report(), tmp_path / "nowhere" / "report.json")
