"""The result file: what `--json` writes and `compare` reads.

One JSON object:

| key | value |
| --- | --- |
| `schema`, `version` | `"tracer-bench"` and 1; a reader refuses what it does not know |
| `created` | the time in UTC, ISO 8601 |
| `machine` | processor, architecture, processors, memory_bytes, system, threads, load_average |
| `versions` | a version for each package that took part, and for Python and the BLAS |
| `settings` | seconds, sizes, backends, peers and smoke, as asked for |
| `limits` | `flops64`, `flops32` a second, and `bandwidths`: bytes a second by the bytes touched; \
empty where they were not measured |
| `measurements` | a list, see below |
| `facts` | a list of objects `{"workload", "name", "value"}`: say, the test accuracy of `digits` |
| `failures` | a list of objects `{"workload", "size", "program", "subject", "message"}` |

A measurement has the keys

| key | value |
| --- | --- |
| `workload`, `size`, `parameters`, `program`, `subject`, `kind` | what was run, and by whom |
| `stages` | seconds of `trace`, `lower`, `compile`, `first call`; those that the subject has |
| `calls` | `samples`, `calls_per_sample`, and the `minimum`, `lower_quartile`, `median`, \
`upper_quartile`, `maximum` of the samples in seconds a call; or null |
| `speedup` | the reference's median over this median, or null |
| `peak_memory` | `bytes` and the `method` that counted them (see `bench.memory`), or null |
| `difference`, `tolerance` | the largest relative difference from the reference, and the allowed; \
or null |
| `figures` | further numbers by name, such as microseconds per node; those of calls are `flops` \
and `bytes` that the program has to move at least, the `limit` in seconds, and its `share` of the \
median; `dispatch`, seconds of a call at the smallest size; `warm compile` and `warm start`, \
seconds of compiling and of all stages in a process that finds its machine code on the disk |
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench.errors import BenchError
from bench.memory import PeakMemory
from bench.timing import Calls

SCHEMA = "tracer-bench"
VERSION = 1
Key = tuple[str, str, tuple[tuple[str, int], ...], str, str]
Record = TypeVar("Record")


@dataclass(frozen=True)
class Measurement:
    """What was measured of one subject on one program of one workload at one size."""

    workload: str
    size: str
    parameters: Mapping[str, int]
    program: str
    subject: str
    kind: str
    stages: Mapping[str, float] = field(default_factory=dict)
    calls: Calls | None = None
    speedup: float | None = None
    peak_memory: PeakMemory | None = None
    difference: float | None = None
    tolerance: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """What makes two measurements of different runs comparable."""
        parameters = tuple(sorted(self.parameters.items()))
        return (self.workload, self.size, parameters, self.program, self.subject)


@dataclass(frozen=True)
class Fact:
    """A result of a workload that is no time."""

    workload: str
    name: str
    value: float


@dataclass(frozen=True)
class Failure:
    """A subject that raised, or whose results were not the reference's."""

    workload: str
    size: str
    program: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.workload} {self.size} ({self.program}), {self.subject}: {self.message}"


@dataclass
class Report:
    """Everything that one run found."""

    created: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    measurements: list[Measurement] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    limits: Mapping[str, Any] = field(default_factory=dict)


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON; `BenchError` where the file cannot be written."""
    content = {"schema": SCHEMA, "version": VERSION, **dataclasses.asdict(report)}
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from error


def read_report(path: Path) -> Report:
    """Read a report; `BenchError` where the file cannot be read or is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise BenchError(f"{path} is not a result file of this benchmark: no schema {SCHEMA!r}")
    if content.get("version") != VERSION:
        found = content.get("version")
        raise BenchError(f"{path} has version {found!r} of the schema; this one reads {VERSION}")
    try:
        return _report(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} does not have the shape of a result file: {error}") from error


def _report(content: dict[str, Any]) -> Report:
    return Report(
        created=content["created"],
        machine=content["machine"],
        versions=content["versions"],
        settings=content["settings"],
        measurements=[_measurement(item) for item in content["measurements"]],
        facts=[_record(Fact, item) for item in content["facts"]],
        failures=[_record(Failure, item) for item in content["failures"]],
        limits=content.get("limits", {}),
    )


def _measurement(item: dict[str, Any]) -> Measurement:
    nested = dict(item)
    if item["calls"] is not None:
        nested["calls"] = _record(Calls, item["calls"])
    if item["peak_memory"] is not None:
        nested["peak_memory"] = _record(PeakMemory, item["peak_memory"])
    return _record(Measurement, nested)


def _record(kind: type[Record], item: dict[str, Any]) -> Record:
    return kind(**item)
