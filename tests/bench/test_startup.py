"""Calls of the smallest size, and starts of processes that find machine code on the disk."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.context import Context
from bench.display import PlainDisplay
from bench.results import Report
from bench.startup import measure_dispatch, measure_warm
from bench.subjects import Prepared, Subject, Task, TracerSubject, find_subject
from bench.timing import SMOKE
from bench.warm import run
from bench.workloads import NAMES, load_workload

ROOT = Path(__file__).resolve().parents[2]


class Broken(Subject):
    name = "broken"
    kind = "peer"
    keeps_code = False

    def prepare(self, task: Task) -> Prepared:
        raise ZeroDivisionError("nothing to divide by")


def context_of(*subjects: Subject) -> Context:
    report = Report("now", {"threads": 1}, {}, {})
    return Context(subjects, SMOKE, True, False, PlainDisplay(), report, startup=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_size_is_one_of_the_workload(name: str) -> None:
    workload = load_workload(name)
    assert workload.tiny is None or set(workload.tiny) == set(workload.smoke)


def test_dispatch_of_those_that_can(capsys: pytest.CaptureFixture[str]) -> None:
    found = measure_dispatch(
        context_of(TracerSubject("llvm"), Broken()), load_workload("logsumexp"), "gradient"
    )
    assert set(found) == {"tracer-llvm"}
    assert found["tracer-llvm"] > 0.0
    assert "smallest size, broken: ZeroDivisionError" in capsys.readouterr().out


def test_a_second_process_finds_the_machine_code() -> None:
    workload = load_workload("rosenbrock")
    context = context_of(TracerSubject("numpy"), TracerSubject("llvm"))
    found = measure_warm(context, workload, [("smoke", workload.smoke), ("other", {"n": 12})])
    assert context.report.failures == []
    assert set(found) == {("gradient", size, "tracer-llvm") for size in ("smoke", "other")}
    for figures in found.values():
        assert 0.0 < figures["warm compile"] < figures["warm start"]


def test_the_process_of_its_own_uses_the_disk_cache(tmp_path: Path) -> None:
    size = dict(load_workload("logsumexp").smoke)
    asked = {
        "subject": "tracer-llvm", "workload": "logsumexp", "threads": 1,
        "tasks": [["gradient", size]],
    }  # fmt: skip
    folder = tmp_path / "cache"
    environment = {
        **os.environ,
        "TRACER_CACHE_DIR": str(folder),
        "TRACER_DEBUG": "cache",
        "PYTHONPATH": str(ROOT),
    }

    def output() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-m", "bench.warm"],
            input=json.dumps(asked), capture_output=True, encoding="utf-8", env=environment,
            check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    first, second = output(), output()
    assert any("made anew" in line for line in first)
    assert [line for line in second if "made anew" in line] == []
    assert any("found on disk" in line for line in second)
    (stages,) = json.loads(second[-1])
    assert stages["start"] == pytest.approx(sum(stages.values()) - stages["start"])


def test_a_process_that_fails_is_a_failure_of_its_subject() -> None:
    workload = load_workload("rosenbrock")

    class Unknown(TracerSubject):
        def __init__(self) -> None:
            super().__init__("llvm")
            self.name = "tracer-fortran"

    context = context_of(Unknown())
    assert measure_warm(context, workload, [("smoke", workload.smoke)]) == {}
    (failure,) = context.report.failures
    assert failure.program == "warm start"
    assert "ended with status 1" in failure.message
    assert "fortran" in failure.message


def test_stages_in_this_process() -> None:
    asked: dict[str, Any] = {
        "subject": "tracer-numpy", "workload": "rosenbrock", "tasks": [("gradient", {"n": 4})]
    }  # fmt: skip
    (stages,) = run(asked)
    assert set(stages) == {"trace", "lower", "compile", "first call", "start"}


def test_subjects_by_name() -> None:
    assert find_subject("tracer-llvm").keeps_code
    assert find_subject("numba").name == "numba"
