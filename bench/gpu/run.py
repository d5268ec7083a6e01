"""Measure rows: load, compile, check, then samples of all subjects in turn, within a time limit."""

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.display import Display
from bench.gpu.case import Case
from bench.gpu.link import Link
from bench.gpu.results import NO_TIME, Found, Row, summarise
from bench.gpu.worker import Answer

PREPARE_SECONDS = 60.0
"""For loading, compiling and checking, each; a subject that takes longer has failed."""
SAMPLE_SECONDS = 30.0
DRY_PATIENCE = 10.0
BATCH_SECONDS = 0.02
MOST_CALLS = 200
LEAST_ROUNDS, MOST_ROUNDS = 3, 40
CLOCKS = ("device", "host", "latency")


@dataclass
class Run:
    """The subjects of a run, this library first; its effort; and when it has to end."""

    links: Mapping[str, Link]
    reference: Link
    dtype: str
    seconds: float
    deadline: float
    folder: Path
    display: Display
    dry: bool
    clock: Callable[[], float] = time.monotonic
    rows: list[Row] = field(default_factory=list)

    def late(self) -> bool:
        return self.clock() > self.deadline

    def ask_all(
        self, names: Sequence[str], request: Mapping[str, Any], seconds: float
    ) -> dict[str, Answer]:
        """The same request to several subjects at once."""
        for name in names:
            self.links[name].send(request)
        return {name: self.links[name].receive(self.limit(seconds)) for name in names}

    def limit(self, seconds: float) -> float:
        """A time limit, which is another in a dry run: a simulator takes its time."""
        return DRY_PATIENCE * seconds if self.dry else seconds


def measure(run: Run, case: Case, size_name: str) -> Row:
    """One row, every subject as far as it gets; it is added to the run's."""
    size, itemsize = case.sizes[size_name], 4 if run.dtype == "float32" else 8
    work = case.work(size, itemsize)
    row = Row(
        case.name, case.title, size_name, dict(size), work.bytes, work.flops, case.memory_bound
    )
    run.rows.append(row)
    row.subjects.update({name: Found() for name in run.links})
    if run.late():
        for found in row.subjects.values():
            found.error = NO_TIME
        return row
    folder = run.folder / f"{case.name}-{size_name}"
    try:
        alive = _load(run, row, folder)
        alive = _prepare(run, row, alive)
        alive = _check(run, row, alive, folder)
        _sample(run, row, alive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _finish(run, row)
    return row


def _finish(run: Run, row: Row) -> None:
    """A subject that failed gets a new process: its device may answer to nothing any more."""
    sound = [name for name, found in row.subjects.items() if found.error is None]
    for name, answer in run.ask_all(sound, {"do": "finish"}, PREPARE_SECONDS).items():
        row.subjects[name].figures = answer.get("figures", {})
    for name in set(run.links) - set(sound):
        run.links[name].close()


def _load(run: Run, row: Row, folder: Path) -> list[str]:
    """Inputs on the device of every subject, while the reference is computed on the CPU."""
    request = {"do": "load", "case": row.case, "size": row.size, "dtype": run.dtype}
    run.reference.send({**request, "folder": str(folder)})
    answers = run.ask_all(list(run.links), request, PREPARE_SECONDS)
    reference = run.reference.receive(2.0 * PREPARE_SECONDS)
    if not reference["ok"]:
        for found in row.subjects.values():
            found.error = f"there is no reference: {reference['error']}"
        return []
    return _keep(row, answers)


def _prepare(run: Run, row: Row, alive: Sequence[str]) -> list[str]:
    """This library compiles alone, since its time is asked for; then all others at once."""
    kept: list[str] = []
    for names in [alive[:1], alive[1:]] if alive[:1] == ["tracer"] else [alive]:
        answers = run.ask_all(names, {"do": "prepare"}, PREPARE_SECONDS)
        for name in _keep(row, answers):
            row.subjects[name].stages = answers[name]["stages"]
            kept.append(name)
    return kept


def _check(run: Run, row: Row, alive: Sequence[str], folder: Path) -> list[str]:
    """Nothing is timed before its results have been compared."""
    answers = run.ask_all(alive, {"do": "check", "folder": str(folder)}, PREPARE_SECONDS)
    kept = _keep(row, answers)
    for name in kept:
        row.subjects[name].difference = answers[name]["difference"]
    return kept


def _sample(run: Run, row: Row, alive: Sequence[str]) -> None:
    """Rounds of samples, each beginning with another subject, for the row's seconds."""
    samples: dict[str, list[Answer]] = {name: [] for name in alive}
    calls: dict[str, int] = {}
    for name in alive:  # a first sample says how many calls make a batch, and warms up
        answer = _ask(run, name, 1)
        if not _keep(row, {name: answer}):
            samples.pop(name)
            continue
        batches = math.ceil(BATCH_SECONDS / max(answer["device"], 1e-7))
        calls[name] = 1 if run.dry else max(1, min(batches, MOST_CALLS))
    started = run.clock()
    for number in range(1 if run.dry else MOST_ROUNDS):
        names = list(samples)
        passed = run.clock() - started
        if passed > run.seconds and number >= LEAST_ROUNDS:
            break
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            spent = sum(item["device"] * calls[name] for item in samples[name])
            if spent > run.seconds and len(samples[name]) >= LEAST_ROUNDS:
                continue  # one that is slow must not keep the others waiting
            answer = _ask(run, name, calls[name])
            if _keep(row, {name: answer}):
                samples[name].append(answer)
            else:
                samples.pop(name)
    for name, items in samples.items():
        for clock in CLOCKS:
            setattr(row.subjects[name], clock, summarise([item[clock] for item in items]))


def _ask(run: Run, name: str, calls: int) -> Answer:
    run.links[name].send({"do": "sample", "calls": calls})
    return run.links[name].receive(run.limit(SAMPLE_SECONDS))


def _keep(row: Row, answers: Mapping[str, Answer]) -> list[str]:
    """The subjects that have answered; what the others said is kept in the row."""
    for name, answer in answers.items():
        if not answer["ok"]:
            row.subjects[name].error = answer["error"]
    return [name for name, answer in answers.items() if answer["ok"]]


def measure_disk(run: Run, links: Mapping[str, Link]) -> None:
    """Compile every row once more, in new processes that find the code on the disk."""
    for row in run.rows:
        names = [name for name in links if row.subjects[name].device is not None]
        request = {"do": "load", "case": row.case, "size": row.size, "dtype": run.dtype}
        for name in names:
            if run.late():
                return
            answer: Answer = {"ok": True}
            for step in (request, {"do": "prepare"}):
                links[name].send(step)
                answer = links[name].receive(run.limit(PREPARE_SECONDS))
                if not answer["ok"]:
                    break
            row.subjects[name].disk = answer.get("stages", {})
            links[name].send({"do": "finish"})
            links[name].receive(run.limit(PREPARE_SECONDS))


def close(links: Mapping[str, Link], *others: Link) -> None:
    """End all processes."""
    for link in (*links.values(), *others):
        link.close()
