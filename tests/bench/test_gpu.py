"""The GPU benchmark without a GPU: equal results, whole runs with failures, the table, the page."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from bench.display import PlainDisplay
from bench.errors import BenchError, MismatchError
from bench.gpu import check as checks
from bench.gpu.link import LocalLink, ProcessLink
from bench.gpu.page import NOT_YET, not_yet, replace_table, table, write_page
from bench.gpu.results import (
    NO_TIME,
    Found,
    GpuReport,
    Row,
    Times,
    read_results,
    write_results,
)
from bench.gpu.run import Run, measure, measure_disk
from bench.gpu.subjects import is_installed, open_subject
from bench.gpu.worker import REFERENCE
from bench.gpu.workloads import NAMES, load_cases

ROOT = Path(__file__).resolve().parents[2]
PAGE, RESULTS = ROOT / "docs" / "gpu.md", ROOT / "docs" / "gpu-results.json"
CASES = load_cases()
# torch.compile takes seconds a row on a CPU: it is run by hand.
SUBJECTS = [name for name in ("tracer", "jax", "torch") if is_installed(name)]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_results_of_all_are_those_of_float64(case: Any) -> None:
    size = case.sizes["toy"]
    inputs = case.inputs(size, "float32")
    reference = checks.reference_outputs(case, size, inputs)
    for name in SUBJECTS:
        subject = open_subject(name, "host")
        running = subject.prepare(case, size, subject.put(inputs))
        results = subject.to_numpy(running.call())
        checks.check(case, results, reference, "float32", own=name == "tracer")
        subject.release()


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_sizes_are_what_their_names_say(case: Any) -> None:
    tiny, large = case.inputs(case.sizes["tiny"], "float32"), case.work(case.sizes["large"], 4)
    assert max(np.size(value) for value in tiny) <= 10_000
    assert large.bytes >= 2**28 or not case.memory_bound
    assert case.work(case.sizes["tiny"], 8).flops <= checks.LARGE < large.flops or case.memory_bound
    double = case.work(case.sizes["large"], 8)
    assert double.flops == large.flops
    assert large.bytes < double.bytes <= 2 * large.bytes


def test_a_wrong_result_is_noticed() -> None:
    (case,) = load_cases(("column-sums",))
    want = [np.array([1.0, 2.0])]
    good = [np.array([1.0, 2.0], np.float32)]
    assert checks.check(case, good, want, "float32", own=True) == 0.0
    with pytest.raises(MismatchError, match="differs from float64's by 5"):
        checks.check(case, [np.float32([1.0, 1.0])], want, "float32", own=True)
    with pytest.raises(MismatchError, match=r"is float64\[2\], where float32\[2\] is due"):
        checks.check(case, want, want, "float32", own=True)
    draws = np.random.default_rng(0).normal(size=1_000)
    assert checks.check_moments("variates", draws[::-1], draws) == 0.0
    with pytest.raises(MismatchError, match="σ off"):
        checks.check_moments("variates", draws + 1.0, draws)


class Broken:
    """A subject whose process dies, and answers to nothing more."""

    def __init__(self, name: str, at: str) -> None:
        self.name, self.at, self.closed, self.asked = name, at, 0, ""

    def send(self, request: Mapping[str, Any]) -> None:
        self.asked = request["do"]

    def receive(self, seconds: float) -> dict[str, Any]:
        if self.asked == self.at:
            return {"ok": False, "error": "its process died"}
        return {"ok": True, "stages": {"compile": 0.5}, "difference": 0.0, "about": {}}

    def close(self) -> None:
        self.closed += 1


def local_run(folder: Path, links: Mapping[str, Any], deadline: float = 1e9) -> Run:
    reference = LocalLink(REFERENCE, "host")
    return Run(links, reference, "float32", 0.0, deadline, folder, PlainDisplay(), dry=True)


def started(name: str) -> LocalLink:
    link = LocalLink(name, "host")
    link.send({"do": "start"})
    assert link.receive(0.0)["ok"]
    return link


@pytest.mark.parametrize("at", ["load", "prepare", "check", "sample"])
def test_a_failure_costs_its_own_cell_only(tmp_path: Path, at: str) -> None:
    broken = Broken("jax", at)
    run = local_run(tmp_path, {"tracer": started("tracer"), "jax": broken})
    row = measure(run, load_cases(("cumsum",))[0], "toy")
    assert row.subjects["jax"].error == "its process died"
    assert row.subjects["jax"].device is None
    assert broken.closed == 1, "the next row has a new process"
    ours = row.subjects["tracer"]
    assert ours.error is None
    assert ours.device is not None
    assert ours.device.minimum > 0.0
    assert {"trace", "lower", "compile", "first call"} == set(ours.stages)
    assert not list(tmp_path.iterdir()), "the reference's files are gone"


def test_what_comes_too_late_is_said_not_measured(tmp_path: Path) -> None:
    run = local_run(tmp_path, {"tracer": started("tracer")}, deadline=0.0)
    row = measure(run, load_cases(("sort",))[0], "toy")
    assert row.subjects["tracer"].error == NO_TIME
    assert row.subjects["tracer"].device is None


def test_compiling_again_is_a_column_of_its_own(tmp_path: Path) -> None:
    run = local_run(tmp_path, {"tracer": started("tracer")})
    row = measure(run, load_cases(("sort",))[0], "toy")
    measure_disk(run, {"tracer": started("tracer")})
    assert {"trace", "lower", "compile"} <= set(row.subjects["tracer"].disk)


def test_a_process_that_ends_or_hangs_is_replaced(tmp_path: Path) -> None:
    link = ProcessLink("tracer", "host", {"PYTHONPATH": str(ROOT)}, tmp_path / "log")
    try:
        link.send({"do": "start"})
        assert "no answer within 0 s" in link.receive(0.0)["error"]
        assert link.receive(0.0) == {"ok": False, "error": "its process has ended"}
        link.send({"do": "load", "case": "nothing", "size": "toy", "dtype": "float32"})
        assert "there is no GPU row 'nothing'" in link.receive(60.0)["error"]
    finally:
        link.close()


def test_a_dry_run_from_the_command_line(tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    peers = SUBJECTS[2:]  # one is enough, and PyTorch starts sooner than JAX
    asked = ["--peer", *(peers or ["none"]), "--json", str(target)]
    command = ["bash", "bench/gpu.sh", "--dry-run", "column-sums", *asked]
    environment = {**os.environ, "PYTHON": sys.executable}
    before = PAGE.read_text("utf-8")
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Dry run: no GPU took part" in done.stdout
    assert PAGE.read_text("utf-8") == before
    report = read_results(target)
    assert report.dry_run
    (row,) = report.rows
    assert list(row.subjects) == ["tracer", *peers]
    for found in row.subjects.values():
        assert found.error is None
        assert found.difference is not None
        assert found.device is not None
    write_results(report, tmp_path / "again.json")
    assert json.loads(target.read_text()) == json.loads((tmp_path / "again.json").read_text())


def sample_report() -> GpuReport:
    times = Times(1e-3, 2e-3, 5)
    ours = Found(
        stages={"trace": 0.01, "lower": 0.02, "compile": 0.1, "first call": 9.0},
        disk={"trace": 0.01, "lower": 0.0, "compile": 0.002},
        device=times, host=Times(5e-6, 6e-6, 5), latency=times,
        figures={"launches": 3.0, "memory": 3 * 2**29},
    )  # fmt: skip
    row = Row("cumsum", "running sum", "large", {"n": 2**26}, 2.0**29, 2.0**26, True)
    row.subjects.update(
        {"tracer": ours, "jax": Found(device=Times(2e-3, 2e-3, 5)), "torch": Found(error="a | b")}
    )
    machine = {"device": "a GPU", "driver": "580.1", "bandwidth": 1e12, "flops32": 5e13}
    settings = {"command": "bench/gpu.sh", "dtype": "float32", "passed": 300.0}
    return GpuReport("2024-01-01T00:00:00+00:00", False, machine, {"jax": "1"}, settings, [row])


def test_the_table_says_share_launches_and_what_failed() -> None:
    text = table(sample_report())
    # 2²⁹ bytes at 10¹² a second take 0.54 ms.
    assert (
        "| running sum | large n=67108864 | **1.00 ms** | 2.00 ms | failed: a ¦ b "
        "| 54% | 3 | 5.00 µs | 130 ms | 12.0 ms | 1.5 GiB |"
    ) in text
    assert "a GPU; driver 580.1; a copy of 2³⁰ bytes moves 1.00 TB/s" in text
    assert "- running sum, large, PyTorch: a | b" in text
    assert "Dry run" not in text


def test_rows_that_were_not_begun_are_named_below_the_table() -> None:
    report = sample_report()
    found = {"tracer": Found(error=NO_TIME), "jax": Found(error=NO_TIME)}
    report.rows.append(Row("sort", "sort", "medium", {"n": 5}, 1.0, 1.0, False, found))
    text = table(report)
    assert "| sort |" not in text
    assert text.endswith("The run's time was used up before: sort (medium).")


def test_the_page_is_that_of_the_results(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    if RESULTS.exists():
        assert page == replace_table(page, table(read_results(RESULTS)))
        assert not read_results(RESULTS).dry_run
    else:
        assert page == replace_table(page, not_yet(CASES))
        assert NOT_YET in page
    copy = tmp_path / "gpu.md"
    copy.write_text(page, "utf-8")
    write_page(sample_report(), copy)
    assert NOT_YET not in copy.read_text("utf-8")
    assert table(sample_report()) in copy.read_text("utf-8")
    with pytest.raises(BenchError, match="the page has no lines"):
        replace_table("# A page", "a table")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no-such-row",), "there is no GPU row 'no-such-row'"),
        (("--peer", "numpy"), "there is no peer 'numpy'"),
        (("--dry-run", "--size", "large"), "--dry-run is for toy sizes"),
        (("--dry-run", "--json", "docs/gpu-results.json"), "is not written below docs/"),
        (("--from", "nowhere.json"), "cannot read nowhere.json"),
        (("--json", "nowhere/results.json"), "there is no such folder"),
        (("--page", "README.md"), "the page has no lines"),
        (("--page", "nowhere.md"), "cannot read nowhere.md"),
    ],
)
def test_misuse_is_told(arguments: tuple[str, ...], message: str, capsys: Any) -> None:
    assert main(["gpu", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_results_of_a_dry_run_make_no_page(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "dry.json"
    write_results(dataclasses.replace(sample_report(), dry_run=True), path)
    assert main(["gpu", "--from", str(path)]) == 2
    assert "results of a dry run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [("[", "is not JSON"), ("{}", "no schema"), ('{"schema": "tracer-bench-gpu"}', "version")],
)
def test_a_file_that_is_no_result(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=message):
        read_results(path)
