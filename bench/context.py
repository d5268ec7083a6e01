"""What a run was asked to do, and where its findings go."""

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.display import Display
from bench.limits import Limits
from bench.results import Fact, Failure, Report
from bench.subjects import Subject
from bench.timing import Calls, Effort, interleave

SEED = 20_240_229
"""Of every workload's inputs."""
DEEPEST_FRAMES = 20
"""Of a failure's traceback."""


@dataclass(frozen=True)
class Context:
    """One run: its subjects, the reference first, its effort, its display and its report."""

    subjects: tuple[Subject, ...]
    effort: Effort
    smoke: bool
    tracebacks: bool
    display: Display
    report: Report
    limits: Limits | None = None
    """What the machine can do, where that was measured."""
    startup: bool = False
    """Whether calls of the smallest size and warm starts are measured too."""

    def time(self, calls: Mapping[str, Callable[[], Any]]) -> dict[str, Calls]:
        """Time calls against each other, with the run's effort."""
        return interleave(calls, self.effort)

    def fact(self, workload: str, name: str, value: float) -> None:
        """Keep a result that is no time."""
        self.report.facts.append(Fact(workload, name, value))

    def fail(self, failure: Failure, error: Exception | None = None) -> None:
        """Say at once what went wrong and keep it; the run goes on and ends with status 1."""
        if error is not None and self.tracebacks:
            self.display.line("".join(traceback.format_exception(error, limit=-DEEPEST_FRAMES)))
        self.display.line(f"FAILED: {failure}")
        self.report.failures.append(failure)
