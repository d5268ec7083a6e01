"""`python -m bench gpu`: run the rows, write the results and the page."""

import argparse
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.display import Display, open_display
from bench.environment import PACKAGES, versions
from bench.errors import BenchError
from bench.gpu.case import Case
from bench.gpu.link import Link, ProcessLink
from bench.gpu.options import NAMES
from bench.gpu.page import check_page, is_late, table, write_page
from bench.gpu.results import GpuReport, read_results, write_results
from bench.gpu.run import Run, close, measure, measure_disk
from bench.gpu.subjects import DEFAULT_PEERS, is_installed
from bench.gpu.subjects import NAMES as SUBJECTS
from bench.gpu.worker import REFERENCE
from bench.gpu.workloads import load_cases

ROOT = Path(__file__).resolve().parents[2]
RESULTS, PAGE = ROOT / "docs" / "gpu-results.json", ROOT / "docs" / "gpu.md"
START_SECONDS = 120.0
CUDA_PACKAGES = (
    "cuda-bindings",
    "nvidia-nvvm",
    "cuda-toolkit",
    "cupy-cuda13x",
    "nvidia-cuda-nvcc",
    "triton",
)
QUERY = "name,driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu"
KEPT = 0.85
"""Of the minutes for rows; what is left is for compiling once more from the disk cache."""


def run(options: argparse.Namespace) -> int:
    """Measure what was asked for; 1 where this library has no time in a row."""
    cases, sizes = load_cases(tuple(options.names) or NAMES), _sizes(options)
    target, page = _files(options)
    if options.source is not None:
        write_page(_measured(read_results(options.source)), page or PAGE)
        return 0
    subjects = ("tracer", *_peers(options.peer))
    with open_display() as display:
        report = _measure(options, cases, sizes, subjects, display, target)
    if target is not None:
        write_results(report, target)
    if page is not None:
        write_page(report, page)
    print(table(report))
    begun = [row for row in report.rows if not is_late(row)]
    failed = [row for row in begun if row.subjects["tracer"].device is None]
    return 1 if failed else 0


def _measure(
    options: argparse.Namespace,
    cases: Sequence[Case],
    sizes: Sequence[str],
    subjects: Sequence[str],
    display: Display,
    target: Path | None,
) -> GpuReport:
    started = time.monotonic()
    deadline = started + 60.0 * options.minutes
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as text:
        folder = Path(text)
        links = open_links(subjects, folder, dry=options.dry_run)
        reference = _link(REFERENCE, folder, dry=options.dry_run)
        try:
            about = start(links, reference, display)
            report = _new_report(options, about)
            run = Run(
                links, reference, options.dtype, options.seconds,
                started + KEPT * 60.0 * options.minutes, folder, display, options.dry_run,
                rows=report.rows,
            )  # fmt: skip
            tasks = [(case, size) for size in sizes for case in cases]
            for number, (case, size) in enumerate(tasks):
                display.progress(f"{case.title}, {size}", number, len(tasks))
                measure(run, case, size)
                if target is not None:  # whole as far as it goes, should the run be stopped
                    write_results(report, target)
            close(links)
            run.deadline = deadline
            again = open_links([name for name in ("tracer", "jax") if name in links], folder,
                               dry=options.dry_run)  # fmt: skip
            try:
                measure_disk(run, again)
            finally:
                close(again)
        finally:
            close(links, reference)
    report.settings = {**report.settings, "passed": time.monotonic() - started}
    return report


def open_links(names: Sequence[str], folder: Path, *, dry: bool) -> dict[str, Link]:
    """A process a subject; all share caches in the folder, which are empty at first."""
    return {name: _link(name, folder, dry=dry) for name in names}


def _link(name: str, folder: Path, *, dry: bool) -> ProcessLink:
    environment = {
        "TRACER_CACHE_DIR": str(folder / "tracer"),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "torch"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the device is shared with the others
    }
    if dry:
        environment |= {"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    if name == REFERENCE:
        environment |= {"TRACER_CACHE_DIR": "off", "NUMBA_ENABLE_CUDASIM": "0"}
    device = "host" if dry else "cuda"
    return ProcessLink(name, device, environment, folder / f"{name}.log")


def start(links: dict[str, Link], reference: Link, display: Display) -> dict[str, Any]:
    """Start all processes; what this library says of the device.

    A peer that does not start is left out and told; without this library there is no run.
    """
    for link in (*links.values(), reference):
        link.send({"do": "start"})
    reference.receive(START_SECONDS)
    answers = {name: link.receive(START_SECONDS) for name, link in links.items()}
    for name, answer in answers.items():
        if not answer["ok"] and name == "tracer":
            raise BenchError(f"there is no GPU to measure: {answer['error']}; see --dry-run")
        if not answer["ok"]:
            display.line(f"{name} is left out: {answer['error']}")
            links.pop(name).close()
    about: dict[str, Any] = answers["tracer"]["about"]
    return about


def _new_report(options: argparse.Namespace, about: Mapping[str, Any]) -> GpuReport:
    machine = {**about} if options.dry_run else {**nvidia_smi(), **about}
    found = versions()
    for package in CUDA_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    kept = {name: found[name] for name in ("python", *PACKAGES, *CUDA_PACKAGES) if name in found}
    settings = {
        "command": _command(options),
        "dtype": options.dtype,
        "seconds": options.seconds,
        "minutes": options.minutes,
        "passed": 0.0,
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return GpuReport(created, options.dry_run, machine, kept, settings)


def nvidia_smi() -> dict[str, str]:
    """Driver and clocks as `nvidia-smi` tells them; nothing where it is missing."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    fields = done.stdout.partition("\n")[0].split(", ")
    if len(fields) != QUERY.count(",") + 1:
        return {}
    name, driver, now, memory, most, power, heat = fields
    clocks = f"{now} and {memory} for memory at the start, {most} at most"
    return {"device": name, "driver": driver, "clocks": clocks, "power": power, "heat": heat}


def _sizes(options: argparse.Namespace) -> tuple[str, ...]:
    if options.dry_run and any(size != "toy" for size in options.size):
        raise BenchError("--dry-run is for toy sizes: leave --size out")
    if options.dry_run:
        return ("toy",)
    return tuple(options.size) or ("tiny", "large", "medium")


def _peers(asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in (*SUBJECTS[1:], "none"):
            raise BenchError(f"there is no peer {name!r}: choose from {', '.join(SUBJECTS[1:])}")
    chosen = [name for name in asked if name != "none"] if asked else list(DEFAULT_PEERS)
    return [name for name in chosen if is_installed(name)]


def _files(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where results and page go; a dry run writes where it is told to, and nothing below docs/."""
    target = options.json or (None if options.dry_run else RESULTS)
    page = options.page or (None if options.dry_run else PAGE)
    for path in (target, page):
        if path is None:
            continue
        if options.dry_run and RESULTS.parent in path.resolve().parents:
            raise BenchError(f"a dry run is not written below docs/: {path.name}")
        if not path.absolute().parent.is_dir():  # told before, not after, minutes of measuring
            raise BenchError(f"cannot write {path}: there is no such folder")
    if page is not None:
        check_page(page)
    return target, page


def _measured(report: GpuReport) -> GpuReport:
    if report.dry_run:
        raise BenchError("these are the results of a dry run, of which there is no page")
    return report


def _command(options: argparse.Namespace) -> str:
    words = ["bench/gpu.sh", *options.names]
    for option, values in (("--size", options.size), ("--peer", options.peer)):
        words += [f"{option} {value}" for value in values]
    words += [f"--dtype {options.dtype}"] if options.dtype != "float32" else []
    words += ["--dry-run"] if options.dry_run else []
    return " ".join(words)
