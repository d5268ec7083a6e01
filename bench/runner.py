"""Measure a workload: reference, check, first call, then rounds of calls for all subjects alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.check import check_outputs
from bench.context import SEED, Context
from bench.display import Table, format_bytes, format_seconds, format_share
from bench.errors import BenchError, describe_error, shorten
from bench.memory import PeakMemory, measure_peak
from bench.results import Failure, Measurement
from bench.startup import Startup, measure_dispatch, measure_warm
from bench.subjects import REFERENCE, Prepared, Stopwatch, Subject, Task, reference_outputs
from bench.timing import SLOW_SECONDS, Calls
from bench.workload import Size, Workload

STAGES = ("trace", "lower", "compile", "first call")
FIGURES = {
    "warm compile": format_seconds,
    "warm start": format_seconds,
    "dispatch": format_seconds,
    "share": format_share,
}
"""Those that have a column of their own."""
REFERENCE_NAME = f"tracer-{REFERENCE}"


@dataclass(frozen=True)
class Candidate:
    """A subject whose first results agreed with the reference's."""

    subject: Subject
    prepared: Prepared
    stages: dict[str, float]
    peak_memory: PeakMemory
    difference: float


def run_workload(context: Context, workload: Workload, sizes: Sequence[tuple[str, Size]]) -> None:
    """Measure one workload at some sizes; findings go into the context's report and display."""
    if workload.prologue is not None:
        try:
            workload.prologue(context)
        except BenchError:
            raise
        except Exception as error:
            failure = Failure(workload.name, "–", "prologue", "all", describe_error(error))
            context.fail(failure, error)
    if workload.measure is not None:
        for size_name, size in sizes:
            context.report.measurements.extend(workload.measure(context, size_name, size))
        return
    startup = _startup(context, workload, sizes) if context.startup else {}
    for size_name, size in sizes:
        inputs = workload.make_inputs(size, np.random.default_rng(SEED))
        for program_name, program in workload.programs.items():
            task = Task(workload, size, program, program_name, inputs)
            _measure_task(context, task, size_name, startup)


def _startup(context: Context, workload: Workload, sizes: Sequence[tuple[str, Size]]) -> Startup:
    """Warm starts, and the smallest call, which is the same for all sizes of a program."""
    found = measure_warm(context, workload, sizes)
    for program in workload.programs:
        for subject, seconds in measure_dispatch(context, workload, program).items():
            for size_name, _ in sizes:
                found.setdefault((program, size_name, subject), {})["dispatch"] = seconds
    return found


def _measure_task(context: Context, task: Task, size_name: str, startup: Startup) -> None:
    failures_before = len(context.report.failures)
    reference = _reference(context, task, size_name)
    if reference is None:
        return
    candidates = []
    subjects = [subject for subject in context.subjects if subject.has(task)]
    total = len(subjects) + 1
    for number, subject in enumerate(subjects):
        context.display.progress(f"{_label(task, size_name)}: {subject.name}", number, total)
        candidate = _prepare(context, task, size_name, subject, reference)
        if candidate is not None:
            candidates.append(candidate)
    context.display.progress(f"{_label(task, size_name)}: timing", total - 1, total)
    measurements = _time(context, task, size_name, candidates, startup)
    context.report.measurements.extend(measurements)
    failures = context.report.failures[failures_before:]
    if measurements:
        context.display.table(timing_table(_title(task, size_name), measurements, failures))


def _reference(context: Context, task: Task, size_name: str) -> tuple[Any, ...] | None:
    try:
        return tuple(np.asarray(result) for result in reference_outputs(task))
    except BenchError:
        raise
    except Exception as error:
        _report_error(context, task, size_name, "the NumPy reference", error)
        return None


def _prepare(
    context: Context, task: Task, size_name: str, subject: Subject, reference: tuple[Any, ...]
) -> Candidate | None:
    """A candidate; or None, with the failure reported."""
    try:
        prepared = subject.prepare(task)
        stopwatch = Stopwatch()
        results, first = measure_peak(lambda: stopwatch.time("first call", prepared.first_call))
        later = first
        if stopwatch.stages["first call"] < SLOW_SECONDS:
            prepared.call()
            results, later = measure_peak(prepared.call)
        outputs = prepared.to_numpy(results)
        difference = check_outputs(
            outputs, reference, task.program.outputs, task.workload.tolerance
        )
    except Exception as error:
        _report_error(context, task, size_name, subject.name, error)
        return None
    stages = {**prepared.stages, **stopwatch.stages}
    peak = max(first, later, key=lambda item: item.bytes)
    return Candidate(subject, prepared, stages, peak, difference)


def _report_error(
    context: Context, task: Task, size_name: str, subject: str, error: Exception
) -> None:
    """A subject that fails, however it does, is told about and must not stop the others."""
    message = describe_error(error)
    failure = Failure(task.workload.name, size_name, task.program_name, subject, message)
    context.fail(failure, error)


def _time(
    context: Context,
    task: Task,
    size_name: str,
    candidates: Sequence[Candidate],
    startup: Startup,
) -> list[Measurement]:
    timed = _timed_calls(context, task, size_name, candidates)
    reference = timed.get(REFERENCE_NAME)
    measurements = []
    for item in candidates:
        calls = timed.get(item.subject.name)
        if calls is None:
            continue
        key = (task.program_name, size_name, item.subject.name)
        figures = {**startup.get(key, {}), **_share(context, task, calls.median)}
        measurements.append(
            Measurement(
                workload=task.workload.name,
                size=size_name,
                parameters=dict(task.size),
                program=task.program_name,
                subject=item.subject.name,
                kind=item.subject.kind,
                stages=item.stages,
                calls=calls,
                speedup=None if reference is None else reference.median / calls.median,
                peak_memory=item.peak_memory,
                difference=item.difference,
                tolerance=task.workload.tolerance.relative,
                figures=figures,
            )
        )
    return measurements


def _timed_calls(
    context: Context, task: Task, size_name: str, candidates: Sequence[Candidate]
) -> dict[str, Calls]:
    """The calls of all candidates; one that raises after all is reported, and the others go on."""
    left = {item.subject.name: item.prepared.call for item in candidates}
    while left:
        current = [""]

        def noted(name: str, call: Any, current: list[str] = current) -> Any:
            def watched() -> None:
                current[0] = name
                call()

            return watched

        try:
            return context.time({name: noted(name, call) for name, call in left.items()})
        except Exception as error:
            _report_error(context, task, size_name, current[0], error)
            del left[current[0]]
    return {}


def _share(context: Context, task: Task, seconds: float) -> dict[str, float]:
    """What the program has to do at least, and the time that takes here over what was measured."""
    counted = task.workload.work.get(task.program_name)
    if counted is None:
        return {}
    work = counted(task.size)
    found = {"flops": work.flops, "bytes": work.bytes}
    if context.limits is not None:
        found["limit"] = context.limits.seconds(work)
        found["share"] = found["limit"] / seconds
    return found


def timing_table(
    title: str, measurements: Sequence[Measurement], failures: Sequence[Failure] = ()
) -> Table:
    """Stages, calls, speed-up, memory and agreement, one subject a row; then those that failed.

    Columns of figures that no subject has, such as the share of a limit, are left out.
    """
    extra = [name for name in FIGURES if any(name in item.figures for item in measurements)]
    columns = (
        "subject", *STAGES, *extra, "median", "minimum", "IQR", "speed-up", "memory", "difference"
    )  # fmt: skip
    rows = []
    for item in measurements:
        calls = item.calls
        if calls is None:
            continue
        rows.append(
            (
                item.subject,
                *(format_seconds(item.stages.get(stage)) for stage in STAGES),
                *(FIGURES[name](item.figures.get(name)) for name in extra),
                format_seconds(calls.median),
                format_seconds(calls.minimum),
                format_seconds(calls.interquartile_range if calls.samples > 1 else None),
                "–" if item.speedup is None else f"{item.speedup:.2f} ×",
                format_bytes(None if item.peak_memory is None else item.peak_memory.bytes),
                "–" if item.difference is None else f"{item.difference:.0e}",
            )
        )
    for failure in failures:
        nothing = ["–"] * (len(columns) - 2)
        rows.append((failure.subject, *nothing, shorten(failure.message)))
    return Table(title, columns, rows)


def _label(task: Task, size_name: str) -> str:
    return f"{task.workload.name} {size_name} ({task.program_name})"


def _title(task: Task, size_name: str) -> str:
    parameters = ", ".join(f"{name}={value}" for name, value in task.size.items())
    return f"{_label(task, size_name)}: {parameters}"
