"""A run with subjects that are right, wrong, broken, or that lack the workload."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.context import Context
from bench.display import PlainDisplay
from bench.errors import BenchError
from bench.limits import Limits
from bench.results import Report
from bench.runner import run_workload
from bench.subjects import Prepared, Subject, Task, TracerSubject, eager
from bench.timing import SMOKE
from bench.workloads import load_workload

SIZES = [("tiny", {"n": 5})]


class Made(Subject):
    """A subject whose results are what `outputs` makes of the inputs."""

    kind = "peer"

    def __init__(self, name: str, outputs: Callable[[np.ndarray], Any], has: bool = True) -> None:
        self.name = name
        self.outputs = outputs
        self._has = has

    def has(self, task: Task) -> bool:
        return self._has

    def prepare(self, task: Task) -> Prepared:
        return eager(lambda: self.outputs(task.inputs[0]))


def softmax(x: np.ndarray) -> tuple[Any, ...]:
    powers = np.exp(x)
    return np.log(powers.sum()), powers / powers.sum()


def nearly_softmax(x: np.ndarray) -> tuple[Any, ...]:
    value, gradient = softmax(x)
    return value, gradient * 1.001


def broken(x: np.ndarray) -> tuple[Any, ...]:
    raise ZeroDivisionError("nothing to divide by")


def run(*subjects: Subject, tracebacks: bool = False) -> Report:
    report = Report("now", {}, {}, {})
    context = Context(subjects, SMOKE, True, tracebacks, PlainDisplay(), report)
    run_workload(context, load_workload("logsumexp"), SIZES)
    return report


def test_right_subjects_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    report = run(TracerSubject("numpy"), Made("right", softmax))
    assert report.failures == []
    reference, peer = report.measurements
    assert (reference.subject, reference.kind, reference.speedup) == ("tracer-numpy", "tracer", 1.0)
    assert set(reference.stages) == {"trace", "lower", "compile", "first call"}
    assert (peer.subject, peer.parameters, peer.size) == ("right", {"n": 5}, "tiny")
    assert set(peer.stages) == {"first call"}
    assert peer.difference is not None
    assert peer.difference < 1e-15
    shown = capsys.readouterr().out
    assert "logsumexp tiny (gradient): n=5" in shown


def test_a_wrong_result_is_never_timed(capsys: pytest.CaptureFixture[str]) -> None:
    report = run(TracerSubject("numpy"), Made("wrong", nearly_softmax))
    assert [item.subject for item in report.measurements] == ["tracer-numpy"]
    (failure,) = report.failures
    assert failure.subject == "wrong"
    assert "gradient of x differs from the reference by 1.0e-03" in failure.message
    assert "FAILED: logsumexp tiny (gradient), wrong: gradient of x" in capsys.readouterr().out


def test_an_error_stops_only_its_subject(capsys: pytest.CaptureFixture[str]) -> None:
    report = run(Made("broken", broken), TracerSubject("numpy"), tracebacks=True)
    assert [item.subject for item in report.measurements] == ["tracer-numpy"]
    assert report.failures[0].message == "ZeroDivisionError: nothing to divide by"
    assert "in broken" in capsys.readouterr().out


def test_an_error_is_a_row_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    run(Made("broken", broken), TracerSubject("numpy"))
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("broken")]
    assert len(rows) == 1
    assert rows[0].endswith("ZeroDivisionError: nothing to divide by")


def test_a_subject_that_fails_later_does_not_stop_the_timing() -> None:
    calls = []

    def later(x: np.ndarray) -> tuple[Any, ...]:
        calls.append(x)
        return softmax(x) if len(calls) <= 3 else broken(x)

    report = run(TracerSubject("numpy"), Made("later", later), Made("right", softmax))
    assert [item.subject for item in report.measurements] == ["tracer-numpy", "right"]
    (failure,) = report.failures
    assert (failure.subject, failure.message) == (
        "later", "ZeroDivisionError: nothing to divide by"
    )  # fmt: skip


def test_shares_of_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("now", {}, {}, {})
    limits = Limits(1e6, 1e6, {10: 1e9})
    context = Context((Made("right", softmax),), SMOKE, True, False, PlainDisplay(), report, limits)
    run_workload(context, load_workload("logsumexp"), SIZES)
    (item,) = report.measurements
    assert item.calls is not None
    assert item.figures["flops"] == 24.0 * 5
    assert item.figures["limit"] == pytest.approx(24.0 * 5 / 1e6)
    assert item.figures["share"] == pytest.approx(item.figures["limit"] / item.calls.median)
    assert "share" in capsys.readouterr().out


def test_startup_figures_stand_beside_the_calls() -> None:
    report = Report("now", {"threads": 1}, {}, {})
    context = Context(
        (TracerSubject("llvm"),), SMOKE, True, False, PlainDisplay(), report, startup=True
    )
    run_workload(context, load_workload("rosenbrock"), [("tiny", {"n": 3})])
    (item,) = report.measurements
    assert {"dispatch", "warm compile", "warm start"} <= set(item.figures)


def test_a_subject_without_the_workload_is_passed_over() -> None:
    report = run(TracerSubject("numpy"), Made("lacking", broken, has=False))
    assert [item.subject for item in report.measurements] == ["tracer-numpy"]
    assert report.failures == []


def test_a_missing_package_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.workloads.packaged_data.find_spec", lambda package: None)
    from bench.workloads.digits_data import load_digits

    load_digits.cache_clear()
    report = Report("now", {}, {}, {})
    context = Context((TracerSubject("numpy"),), SMOKE, True, False, PlainDisplay(), report)
    with pytest.raises(BenchError, match="scikit-learn is not installed: python -m pip install"):
        run_workload(context, load_workload("digits"), [("small", {"rows": 4})])
