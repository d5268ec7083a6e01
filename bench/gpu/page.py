"""The table of docs/gpu.md, made of a result file; before there is one, of the rows' names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.display import format_seconds, format_share
from bench.errors import BenchError, shorten
from bench.gpu.case import Case
from bench.gpu.results import NO_TIME, Found, GpuReport, Row

BEGIN = "<!-- gpu table: begin. Written by bench/gpu.sh -->"
END = "<!-- gpu table: end -->"
NOT_YET = "Not yet measured: `bench/gpu.sh` fills the table in where there is a GPU."
TITLES = {
    "tracer": "tracer",
    "jax": "JAX",
    "torch": "PyTorch",
    "torch-compile": "torch.compile",
    "torch-graphs": "torch.compile, graphs",
}
DEFAULT = ("tracer", "jax", "torch", "torch-compile")
OWN_COLUMNS = ("of copy", "launches", "host", "compile", "from disk", "memory")
SIZES = ("tiny", "large")
STAGES = ("trace", "lower", "compile")


def not_yet(cases: Sequence[Case]) -> str:
    """The table's header and rows, without figures."""
    lines = [NOT_YET, "", *_header(DEFAULT)]
    empty = " – |" * (len(DEFAULT) + len(OWN_COLUMNS))
    for case in cases:
        lines += [f"| {case.title} | {_size(name, case.sizes[name])} |{empty}" for name in SIZES]
    return "\n".join(lines)


def table(report: GpuReport) -> str:
    """A report as Markdown: the machine, a row a case and size, and what failed."""
    names = [name for name in TITLES if any(name in row.subjects for row in report.rows)]
    late = [row for row in report.rows if is_late(row)]
    lines = []
    if report.dry_run:
        lines += ["**Dry run: no GPU took part, and the times mean nothing.**", ""]
    lines += [_machine(report), "", *_header(names)]
    order = list(dict.fromkeys(row.case for row in report.rows))
    shown = [row for row in report.rows if row not in late]
    rows = sorted(shown, key=lambda row: order.index(row.case))
    lines += [_line(row, names, report) for row in rows]
    failures = [
        f"- {row.title}, {row.size}, {TITLES[name]}: {found.error}"
        for row in shown
        for name, found in row.subjects.items()
        if found.error is not None
    ]
    lines += ["", "What has no time:", "", *failures] if failures else []
    left = ", ".join(f"{row.title} ({row.size})" for row in late)
    return "\n".join(
        [*lines, *(["", f"The run's time was used up before: {left}."] if late else [])]
    )


def is_late(row: Row) -> bool:
    """Whether the run's time was used up before the row."""
    return all(found.error == NO_TIME for found in row.subjects.values())


def replace_table(page: str, block: str) -> str:
    """The page's text with the block between its markers; `BenchError` where it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchError(f"the page has no lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{block.strip()}\n\n{END}{after}"


def check_page(path: Path) -> None:
    """`BenchError` where a page cannot be read, or has no place for the table."""
    try:
        replace_table(path.read_text("utf-8"), "")
    except OSError as error:
        raise BenchError(f"cannot read {path}: {error.strerror}") from error


def write_page(report: GpuReport, path: Path) -> None:
    """Put the report's table into a page; `BenchError` where that cannot be written."""
    try:
        text = path.read_text("utf-8")
        path.write_text(replace_table(text, table(report)), "utf-8")
    except OSError as error:
        raise BenchError(f"cannot write {path}: {error.strerror}") from error


def _header(names: Sequence[str]) -> list[str]:
    columns = [*(TITLES[name] for name in names), *OWN_COLUMNS]
    return [
        f"| program | size | {' | '.join(columns)} |",
        f"| --- | --- |{' ---: |' * len(columns)}",
    ]


def _machine(report: GpuReport) -> str:
    about, settings = report.machine, report.settings
    parts = [str(about.get("device", "no device"))]
    if "driver" in about:
        parts.append(f"driver {about['driver']}")
    if "clocks" in about:
        parts.append(f"clocks {about['clocks']}")
    if "bandwidth" in about:
        parts.append(f"a copy of 2³⁰ bytes moves {about['bandwidth'] / 1e12:.2f} TB/s")
    if "flops32" in about:
        parts.append(f"a product in float32 does {about['flops32'] / 1e12:.1f} Tflop/s")
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return (
        f"`{settings['command']}`, {report.created[:10]}, {settings['dtype']}, "
        f"{settings['passed']:.0f} s in all: {'; '.join(parts)}. {versions}."
    )


def _line(row: Row, names: Sequence[str], report: GpuReport) -> str:
    times = [
        found.device.minimum
        for name in names
        if (found := row.subjects.get(name)) is not None and found.device is not None
    ]
    fastest = min(times, default=0.0)
    cells = [_cell(row.subjects.get(name), fastest) for name in names]
    ours = row.subjects.get("tracer", Found())
    own = (
        _share(row, ours, report),
        _number(ours.figures.get("launches")),
        format_seconds(None if ours.host is None else ours.host.minimum),
        format_seconds(compile_seconds(ours.stages)),
        format_seconds(compile_seconds(ours.disk)),
        _bytes(ours.figures.get("memory")),
    )
    size = _size(row.size, row.parameters)
    return f"| {row.title} | {size} | {' | '.join([*cells, *own])} |"


def compile_seconds(stages: Mapping[str, float]) -> float | None:
    """Seconds from the function to code that can be launched; None where nothing is known."""
    found = [stages[name] for name in STAGES if name in stages]
    return sum(found) if found else None


def _size(name: str, parameters: Mapping[str, int]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in parameters.items())])


def _share(row: Row, ours: Found, report: GpuReport) -> str:
    """Of the measured copy bandwidth, by the bytes that the row has to move at least."""
    bandwidth = report.machine.get("bandwidth")
    if not row.memory_bound or row.size != "large" or ours.device is None or not bandwidth:
        return "–"
    return format_share(row.bytes / float(bandwidth) / ours.device.minimum)


def _cell(found: Found | None, fastest: float) -> str:
    if found is None:
        return "–"
    if found.device is None:
        return shorten(f"failed: {found.error}").replace("|", "¦")
    text = format_seconds(found.device.minimum)
    return f"**{text}**" if found.device.minimum == fastest else text


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _bytes(value: float | None) -> str:
    if value is None:
        return "–"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value / 2**10:.3g} KiB"
