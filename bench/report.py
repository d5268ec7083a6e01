"""The page and the plots of docs, made of result files and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.display import format_seconds, format_share
from bench.errors import BenchError, shorten
from bench.limits import limits_of_json, limits_table
from bench.pictures import write_compile_plot, write_ratio_plot
from bench.results import Failure, Measurement, Report
from bench.workload import Work

OURS = ("tracer-llvm", "tracer-numba")
PEERS = ("jax", "torch", "autograd", "numba", "cpp", "cpp-fast")
TITLES = {
    "tracer-llvm": "tracer (llvm)",
    "tracer-numba": "tracer (numba)",
    "tracer-numpy": "NumPy reference",
    "jax": "JAX",
    "torch": "PyTorch",
    "autograd": "autograd",
    "numba": "by hand, Numba",
    "cpp": "by hand, C++",
    "cpp-fast": "by hand, C++ -ffast-math",
}
OPERATION = "microseconds an operation"
"""The figure of eager calls, which have a table of their own."""
ROOM = 0.95
"""Ratios above this and below its inverse count as equal: the machine's noise."""
INTRODUCTION = """\
# Benchmarks

<!-- Written by `python -m bench report`: the figures are those of the files it was given. -->

How the figures are made, so that you can make your own:

```bash
python -m pip install -e '.[bench,peers]'
python -m bench run --all --json mine.json
python -m bench report mine.json --page mine.md --pictures .
python -m bench compare theirs.json mine.json
```

- Every backend's and every peer's result is checked against the NumPy reference before anything is
  timed. A result that differs is reported as wrong and has no time.
- All subjects of a row run in one process on the same cores, with as many threads, their calls
  interleaved: what disturbs the machine meets them alike. Ratios are those of one run.
- Peers are synchronised after each call, and compiled where they can be (`jax.jit`). Where NumPy's
  source is not what one would write for a peer, it has its own: `lax.scan`, PyTorch's LSTM, both
  libraries' convolutions. C++ is compiled with `-O3 -march=native`, the sizes as constants, and
  writes into memory that was allocated before.
- Tables and plots show the minimum of repeated calls, since the machine is shared; medians stand
  beside it in the second table of a run. Further columns: the stages up to the first result; what
  starting costs with the machine code on the disk; a call of the smallest size; and what share of
  the machine's limit a call attains. The limit is measured in the same run, before and after.
"""


def write_page(reports: Sequence[Report], page: Path, pictures: Path) -> list[Path]:
    """Write the page and its plots; the paths written.

    Raises `BenchError` where the reports have no calls, or a file cannot be written.
    """
    timed = {group: items for report in reports for group, items in _groups(report).items()}
    if not timed:
        raise BenchError("there is nothing to report: no calls were timed")
    for folder in (page.absolute().parent, pictures):
        if not folder.is_dir():
            raise BenchError(f"cannot write into {folder}: there is no such folder")
    ratios, compiling = pictures / "bench-ratios.svg", pictures / "bench-compile.svg"
    write_ratio_plot(timed, ratios, OURS[0], PEERS)
    write_compile_plot(timed, compiling, OURS[0])
    text = "\n".join([INTRODUCTION, *_sections(reports, page, pictures)])
    try:
        page.write_text(text.rstrip() + "\n", encoding="utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {page}: {error.strerror}") from error
    return [page, ratios, compiling]


def _sections(reports: Sequence[Report], page: Path, pictures: Path) -> list[str]:
    place = _relative(pictures, page.absolute().parent)
    lines = [
        "## Time a call, over that of tracer",
        "",
        f"![Times of peers over tracer's, one row a workload]({place}bench-ratios.svg)",
        "",
    ]
    for number, report in enumerate(reports):
        groups = _groups(report)
        before = reports[number - 1].versions if number else {}
        lines += [f"### Run {number + 1}, {report.created[:10]}", ""]
        lines += [*_environment(report, before), "", *_calls_table(report, groups), ""]
        lines += [*_slower(groups), ""]
        lines += ["#### Compiling, starting and dispatch", "", *_stages_table(groups), ""]
        lines += _eager_table(report)
        lines += _failures(report.failures)
        lines += _facts(report)
    lines += [
        "## Compile times",
        "",
        f"![Seconds of tracing, lowering and compiling]({place}bench-compile.svg)",
        "",
    ]
    return lines


def _relative(folder: Path, start: Path) -> str:
    """A folder as a link from a page, with a slash at the end; nothing where it is the page's."""
    try:
        relative = folder.absolute().relative_to(start).as_posix()
    except ValueError as error:
        raise BenchError(f"the pictures have to lie below {start}, not in {folder}") from error
    return "" if relative == "." else relative + "/"


def _groups(report: Report) -> dict[str, dict[str, Measurement]]:
    """Measurements of calls by workload, size and program, then by subject."""
    found: dict[str, dict[str, Measurement]] = {}
    for item in report.measurements:
        if item.calls is not None and OPERATION not in item.figures:
            program = "" if item.program == "gradient" else f", {item.program}"
            group = f"{item.workload} {item.size}{program}"
            found.setdefault(group, {})[item.subject] = item
    return found


def _environment(report: Report, before: Mapping[str, str]) -> list[str]:
    """What it ran on and how, without names of hosts or folders; versions unless as before."""
    about = report.machine
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    threads = about.get("threads", 1)
    lines = [
        "```bash",
        str(report.settings.get("command", "python -m bench run")),
        "```",
        "",
        f"{about.get('processor', 'a processor')}, {about.get('processors', '?')} processors, "
        f"{threads} thread{'s' if threads != 1 else ''} each, {about.get('system', '')}; "
        f"load of the machine at the start {(about.get('load_average') or ['?'])[0]}. "
        + (f"{versions}." if report.versions != before else "Versions as above."),
    ]
    if report.limits:
        rows = limits_table(limits_of_json(report.limits)).rows
        limits = "; ".join(f"{name} {value}" for name, value in rows)
        lines += ["", f"Limits measured in the run: {limits}."]
    if report.settings.get("smoke"):
        lines += ["", "**A smoke run: each call was timed once, and the figures mean nothing.**"]
    return lines


def _calls_table(report: Report, groups: Mapping[str, Mapping[str, Measurement]]) -> list[str]:
    present = {subject for items in groups.values() for subject in items}
    failed = {
        (_group_name(item), item.subject): item
        for item in report.failures
        if item.program not in ("warm start", "prologue")
    }
    present |= {subject for _, subject in failed}
    subjects = [name for name in TITLES if name in present]
    lines = [
        "Least time a call; the share is that of the machine's limit.",
        "",
        f"| program | size | {' | '.join(TITLES[name] for name in subjects)} | share |",
        f"| --- | --- |{' ---: |' * (len(subjects) + 1)}",
    ]
    for group, items in groups.items():
        fastest = min(_minimum(item) for item in items.values())
        cells = [_cell(items.get(name), failed.get((group, name)), fastest) for name in subjects]
        first = next(iter(items.values()))
        size = " ".join(f"{name}={value}" for name, value in first.parameters.items())
        share = format_share(_share(items.get(OURS[0]), report))
        lines.append(f"| {group} | {size} | {' | '.join(cells)} | {share} |")
    return lines


def _share(item: Measurement | None, report: Report) -> float | None:
    """The least time by the limits measured before and after the run, over the minimum."""
    if item is None or not report.limits or "flops" not in item.figures:
        return None
    work = Work(item.figures["flops"], item.figures["bytes"])
    return limits_of_json(report.limits).seconds(work) / _minimum(item)


def _group_name(failure: Failure) -> str:
    program = "" if failure.program == "gradient" else f", {failure.program}"
    return f"{failure.workload} {failure.size}{program}"


def _cell(item: Measurement | None, failure: Failure | None, fastest: float) -> str:
    if item is None:
        return "–" if failure is None else f"failed: {shorten(failure.message)}".replace("|", "¦")
    text = format_seconds(_minimum(item))
    return f"**{text}**" if _minimum(item) == fastest else text


def _median(item: Measurement) -> float:
    return item.calls.median if item.calls is not None else float("inf")


def _minimum(item: Measurement) -> float:
    return item.calls.minimum if item.calls is not None else float("inf")


def _slower(groups: Mapping[str, Mapping[str, Measurement]]) -> list[str]:
    """Where a peer needs less time than this library, by least times."""
    rows = []
    for group, items in groups.items():
        ours = items.get(OURS[0])
        if ours is None:
            continue
        for name in PEERS:
            peer = items.get(name)
            if peer is None:
                continue
            if _minimum(peer) < ROOM * _minimum(ours):
                least, median = (read(ours) / read(peer) for read in (_minimum, _median))
                rows.append(f"- {group}: {TITLES[name]}, by {least:.2f} × (medians {median:.2f} ×)")
    if not rows:
        return ["No peer is faster than tracer (llvm) in any row."]
    return ["Where tracer (llvm) is slower than a peer:", "", *rows]


Column = Callable[[Measurement], str]
COLUMNS: Mapping[str, Column] = {
    "trace": lambda item: format_seconds(item.stages.get("trace")),
    "lower": lambda item: format_seconds(item.stages.get("lower")),
    "compile": lambda item: format_seconds(item.stages.get("compile")),
    "from disk": lambda item: format_seconds(item.figures.get("warm compile")),
    "warm start": lambda item: format_seconds(item.figures.get("warm start")),
    "dispatch": lambda item: format_seconds(item.figures.get("dispatch")),
    "median": lambda item: format_seconds(_median(item)),
    "minimum": lambda item: format_seconds(_minimum(item)),
}


def _stages_table(groups: Mapping[str, Mapping[str, Measurement]]) -> list[str]:
    lines = [
        f"| program | subject | {' | '.join(COLUMNS)} |",
        f"| --- | --- |{' ---: |' * len(COLUMNS)}",
    ]
    shown = (*OURS, "jax", "numba", "cpp")
    for group, items in groups.items():
        for name in shown:
            if name in items:
                cells = [column(items[name]) for column in COLUMNS.values()]
                lines.append(f"| {group} | {TITLES[name]} | {' | '.join(cells)} |")
    return lines


def _eager_table(report: Report) -> list[str]:
    """What an operation costs in an eager gradient; by least times."""
    rows: dict[str, dict[str, float]] = {}
    for item in report.measurements:
        if item.calls is not None and OPERATION in item.figures:
            scale = item.figures[OPERATION] / item.calls.median
            cells = rows.setdefault(f"{item.program} {item.size}", {})
            cells[item.subject] = scale * item.calls.minimum
    if not rows:
        return []
    lines = [
        "#### Eager gradients, microseconds an operation",
        "",
        "| operation | tracer | autograd | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, cells in rows.items():
        ours, theirs = cells.get("tracer-eager", float("nan")), cells.get("autograd", float("nan"))
        lines.append(f"| {name} | {ours:.1f} | {theirs:.1f} | {ours / theirs:.2f} |")
    return [*lines, ""]


def _failures(failures: Sequence[Failure]) -> list[str]:
    if not failures:
        return []
    return ["What failed:", "", *(f"- {failure}" for failure in failures), ""]


def _facts(report: Report) -> list[str]:
    found = {(fact.workload, fact.name): fact.value for fact in report.facts}
    lines = []
    if {("digits", "test accuracy"), ("digits", "training seconds")} <= set(found):
        accuracy, seconds = found["digits", "test accuracy"], found["digits", "training seconds"]
        lines.append(
            f"`digits` trains its network to {accuracy:.1%} test accuracy in {seconds:.1f} s, "
            "tracing and compiling included."
        )
    for item in report.measurements:
        if "microseconds a node" in item.figures:
            nodes = item.figures["graph nodes"]
            lines.append(
                f"Trace, transform and lower a graph of {nodes:.0f} nodes "
                f"({TITLES[item.subject]}): {item.figures['microseconds a node']:.0f} µs a node."
            )
    return [line for text in lines for line in (text, "")]
