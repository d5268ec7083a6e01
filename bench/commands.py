"""What `list` and `run` do, once the number of threads is settled."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.context import Context
from bench.display import Display, align, open_display
from bench.environment import machine, versions
from bench.errors import BenchError
from bench.limits import limits_table, measure_limits
from bench.peers import PEERS, is_installed, load_peer, missing_peer
from bench.plot import require_matplotlib, write_plot
from bench.results import Report, write_report
from bench.runner import run_workload
from bench.subjects import BACKENDS, REFERENCE, Subject, TracerSubject, backend_problem
from bench.timing import SMOKE, Effort
from bench.workload import Size, Workload
from bench.workloads import NAMES, load_workload, load_workloads

DEFAULT_BACKENDS = ("numpy", "numba", "llvm")
SMOKE_BACKENDS = ("numpy", "llvm")
"""Without the one that compiles for seconds; `--backend numba` adds it."""


def show_list() -> None:
    """Workloads with their sizes, then backends and peers with what is missing."""
    for name, workload in load_workloads().items():
        print(f"{name}: {workload.description}")
        rows = [("    " + size, _parameters(workload.sizes[size])) for size in workload.sizes]
        print("\n".join(f"{size.ljust(16)}{parameters}" for size, parameters in rows))
    print()
    rows = [(name, backend_problem(name) or "works here") for name in BACKENDS]
    print("backends\n" + "\n".join(f"    {name.ljust(16)}{state}" for name, state in rows))
    print("peers")
    peers = [
        (f"    {name.ljust(16)}", entry.description if is_installed(name) else missing_peer(name))
        for name, entry in PEERS.items()
    ]
    print("\n".join(name + text for name, text in peers))


def show_limits() -> None:
    """Measure and print what the machine can do."""
    with open_display() as display:
        display.table(limits_table(measure_limits()))


def run(options: argparse.Namespace) -> int:
    """Measure what was asked for; 1 where anything failed."""
    workloads = _workloads(options)
    sizes = {item.name: _sizes(item, options.size, options.smoke) for item in workloads}
    _check_files(options)
    with open_display() as display:
        subjects = (
            *_backends(options.backend, options.smoke, display),
            *_peers(options.peer, display),
        )
        effort = SMOKE if options.smoke else Effort(seconds=options.seconds)
        report = _new_report(options, subjects)
        _show_machine(report, display)
        limits = None
        if not options.smoke:
            limits = measure_limits()
            report.limits = limits.as_json()
            display.table(limits_table(limits))
        startup = not options.smoke if options.startup is None else options.startup
        context = Context(
            subjects, effort, options.smoke, options.traceback, display, report, limits, startup
        )
        for workload in workloads:
            run_workload(context, workload, sizes[workload.name])
            if options.json is not None:  # whole as far as it goes, should the run be stopped
                write_report(report, options.json)
        if limits is not None:
            report.limits = limits.best(measure_limits()).as_json()
    if options.json is not None:
        write_report(report, options.json)
    if options.plot is not None:
        write_plot(report, options.plot)
    for failure in report.failures:
        print(f"FAILED: {failure}")
    return 1 if report.failures else 0


def _workloads(options: argparse.Namespace) -> list[Workload]:
    if options.all == bool(options.names):
        raise BenchError("name some workloads, or give --all: 'bench list' shows them")
    return [load_workload(name) for name in (NAMES if options.all else options.names)]


def _sizes(workload: Workload, asked: Sequence[str], smoke: bool) -> list[tuple[str, Size]]:
    """The sizes to run by name; key=value pairs apply to each of them."""
    names: list[str] = []
    changed: dict[str, int] = {}
    for text in asked:
        if "=" in text:
            changed.update(_pairs(workload, text))
        elif text == "all":
            names += workload.sizes
        elif text in workload.sizes:
            names.append(text)
        else:
            known = ", ".join(workload.sizes)
            raise BenchError(f"{workload.name} has no size {text!r}: its sizes are {known}")
    if smoke:
        chosen: list[tuple[str, Size]] = [("smoke", workload.smoke)]
    elif changed and not names:
        chosen = [(name, workload.sizes[name]) for name in workload.default_sizes[:1]]
    else:
        chosen = [(name, workload.sizes[name]) for name in names or workload.default_sizes]
    if not changed:
        return chosen
    return [("custom", {**size, **changed}) for _, size in chosen]


def _pairs(workload: Workload, text: str) -> dict[str, int]:
    found = {}
    for pair in text.split(","):
        key, _, value = pair.partition("=")
        if key not in workload.smoke:
            known = ", ".join(workload.smoke)
            raise BenchError(f"{workload.name} has no size parameter {key!r}: it has {known}")
        if not value.isdecimal():
            raise BenchError(f"size parameter {pair!r} is not a whole number, as in {key}=100")
        found[key] = int(value)
    return found


def _check_files(options: argparse.Namespace) -> None:
    """A place that cannot be written is told before, not after, minutes of measuring."""
    for path in (options.json, options.plot):
        if isinstance(path, Path) and not path.absolute().parent.is_dir():
            raise BenchError(f"cannot write {path}: there is no such folder")
    if options.plot is not None:
        if options.plot.suffix != ".svg":
            raise BenchError(
                f"the plot is an SVG: name the file {options.plot.with_suffix('.svg')}"
            )
        require_matplotlib()


def _backends(asked: Sequence[str], smoke: bool, display: Display) -> list[Subject]:
    """The reference first, since every speed-up is over it, then the others in order."""
    default = SMOKE_BACKENDS if smoke else DEFAULT_BACKENDS
    for name in asked:
        if name not in BACKENDS:
            raise BenchError(f"there is no backend {name!r}: choose from {', '.join(BACKENDS)}")
    found = [REFERENCE]
    for name in asked or default:
        problem = None if name in found else backend_problem(name)
        if problem is not None and asked:
            raise BenchError(f"backend {name} does not work here: {problem}")
        if problem is not None:
            display.line(f"backend {name} is left out: {problem}")
        elif name not in found:
            found.append(name)
    return [TracerSubject(name) for name in found]


def _peers(asked: Sequence[str], display: Display) -> list[Subject]:
    if "none" in asked:
        if len(asked) > 1:
            raise BenchError("--peer none leaves no room for another --peer")
        return []
    for name in asked:
        if name not in PEERS:
            raise BenchError(f"there is no peer {name!r}: choose from {', '.join(PEERS)}")
    if asked:
        return [load_peer(name) for name in dict.fromkeys(asked)]
    chosen = [name for name, entry in PEERS.items() if entry.default]
    for name in chosen:
        if not is_installed(name):
            display.line(f"peer {name} is left out: {missing_peer(name)}")
    return [load_peer(name) for name in chosen if is_installed(name)]


def _new_report(options: argparse.Namespace, subjects: Sequence[Subject]) -> Report:
    settings = {
        "sizes": options.size,
        "subjects": [subject.name for subject in subjects],
        "seconds": options.seconds,
        "smoke": options.smoke,
        "command": _command(options),
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Report(created, machine(options.threads), versions(), settings)


def _show_machine(report: Report, display: Display) -> None:
    about = report.machine
    threads = about["threads"]
    display.line(
        f"{about['processor']}, {about['processors']} processors, {about['system']}; "
        f"every subject has {threads} thread{'s' if threads > 1 else ''}"
    )
    display.line(", ".join(f"{name} {version}" for name, version in report.versions.items()))


def _parameters(size: Size) -> str:
    return " ".join(align([tuple(f"{name}={value}" for name, value in size.items())]))


def _command(options: argparse.Namespace) -> str:
    """The command that measures the same, without the files that it wrote."""
    words = ["python -m bench run", *(["--all"] if options.all else options.names)]
    for option, values in (
        ("--size", options.size), ("--backend", options.backend), ("--peer", options.peer)
    ):  # fmt: skip
        words += [f"{option} {value}" for value in values]
    words += ["--smoke"] if options.smoke else [f"--seconds {options.seconds:g}"]
    words += [f"--threads {options.threads}"] if options.threads != 1 else []
    words += [] if options.startup is None else ["--startup" if options.startup else "--no-startup"]
    return " ".join(words)
