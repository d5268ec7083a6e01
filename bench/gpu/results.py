"""The result file of a GPU run, `docs/gpu-results.json`.

One JSON object:

| key | value |
| --- | --- |
| `schema`, `version` | `"tracer-bench-gpu"` and 1 |
| `created` | the time in UTC, ISO 8601 |
| `dry_run` | true where no device took part: the times then mean nothing |
| `machine` | `device`, `driver`, `clocks` and what else `nvidia-smi` and CuPy say; `bandwidth`, \
bytes a second of a copy of 2³⁰ bytes, counting those read and those written; `flops32`, \
operations a second of a product of matrices |
| `versions` | of each package that took part |
| `settings` | `command`, `dtype`, `seconds` a row, `minutes` in all, and `passed`, those used |
| `rows` | a list, see below |

A row has `case`, `title`, `size` (its name), `parameters`, `bytes` and `flops` (the least that it \
has to move and do), `memory_bound`, and `subjects`: for each by name an object with

| key | value |
| --- | --- |
| `error` | why there are no times, or null |
| `stages` | seconds of `trace`, `lower`, `compile`, `first call`, with an empty disk cache |
| `disk` | the same stages in a process that finds the code on the disk; or empty |
| `difference` | the largest from float64's results, relative to their largest element; or null |
| `device`, `host`, `latency` | `minimum` and `median` in seconds a call, and `samples`: of \
batches by the device's clock, of calls until they return, until the results \
are there; or null |
| `figures` | `launches` a call, `memory` in bytes at its highest; those that are known |
"""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError

SCHEMA = "tracer-bench-gpu"
VERSION = 1
NO_TIME = "not measured: the run's time was used up"
"""The error of a row that was not begun."""


@dataclass(frozen=True)
class Times:
    """Seconds a call."""

    minimum: float
    median: float
    samples: int


@dataclass
class Found:
    """What one subject did in one row."""

    error: str | None = None
    stages: Mapping[str, float] = field(default_factory=dict)
    disk: Mapping[str, float] = field(default_factory=dict)
    difference: float | None = None
    device: Times | None = None
    host: Times | None = None
    latency: Times | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Row:
    """One case at one size."""

    case: str
    title: str
    size: str
    parameters: Mapping[str, int]
    bytes: float
    flops: float
    memory_bound: bool
    subjects: dict[str, Found] = field(default_factory=dict)


@dataclass
class GpuReport:
    """Everything that one run found."""

    created: str
    dry_run: bool
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    rows: list[Row] = field(default_factory=list)


def summarise(samples: Sequence[float]) -> Times:
    """Minimum and median of some samples."""
    return Times(min(samples), statistics.median(samples), len(samples))


def write_results(report: GpuReport, path: Path) -> None:
    """Write a report as JSON; `BenchError` where the file cannot be written."""
    content = {"schema": SCHEMA, "version": VERSION, **dataclasses.asdict(report)}
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from error


def read_results(path: Path) -> GpuReport:
    """Read a report; `BenchError` where the file cannot be read or is not one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise BenchError(f"{path} is not a result file of GPU runs: no schema {SCHEMA!r}")
    if content.pop("version", None) != VERSION:
        raise BenchError(f"{path} has another version of the schema; this one reads {VERSION}")
    try:
        rows = [_row(item) for item in content.pop("rows")]
        return GpuReport(**content, rows=rows)
    except (KeyError, TypeError, AttributeError) as error:
        raise BenchError(f"{path} does not have the shape of a result file: {error}") from error


def _row(item: Mapping[str, Any]) -> Row:
    subjects = {name: _found(value) for name, value in item["subjects"].items()}
    return Row(**{**item, "subjects": subjects})


def _found(item: Mapping[str, Any]) -> Found:
    nested = {
        clock: None if item[clock] is None else Times(**item[clock])
        for clock in ("device", "host", "latency")
    }
    return Found(**{**item, **nested})
