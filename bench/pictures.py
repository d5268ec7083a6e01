"""The plots of the benchmark page: ratios over this library, and seconds of compiling."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.plot import require_matplotlib
from bench.results import Measurement

Groups = Mapping[str, Mapping[str, Measurement]]
COLOURS = {
    "jax": "#8d5a97",
    "torch": "#d1603d",
    "autograd": "#b0a990",
    "numba": "#5b8c5a",
    "cpp": "#3d405b",
    "cpp-fast": "#8f9bb3",
    "tracer-llvm": "#2a6f97",
}
LABELS = {
    "jax": "JAX",
    "torch": "PyTorch",
    "autograd": "autograd",
    "numba": "by hand, Numba",
    "cpp": "by hand, C++",
    "cpp-fast": "by hand, C++ -ffast-math",
    "tracer-llvm": "tracer (llvm)",
}
STAGES = ("trace", "lower", "compile")


def write_ratio_plot(groups: Groups, path: Path, ours: str, peers: Sequence[str]) -> None:
    """For each row a point a peer: its least time over ours, on a logarithmic axis."""
    rows = {name: items for name, items in groups.items() if ours in items and len(items) > 1}
    points: dict[str, list[tuple[float, int]]] = {}
    for place, items in enumerate(rows.values()):
        for peer in peers:
            if peer in items:
                ratio = _minimum(items[peer]) / _minimum(items[ours])
                points.setdefault(peer, []).append((ratio, place))

    def draw(axis: Any) -> None:
        axis.axvline(1.0, color=COLOURS["tracer-llvm"], linewidth=1.2)
        for peer, found in points.items():
            ratios, places = zip(*found, strict=True)
            axis.scatter(ratios, places, s=26, color=COLOURS[peer], label=LABELS[peer], zorder=3)
        axis.set_xlabel("least time a call over tracer's: right of the line tracer is faster")

    _write(path, list(rows), draw)


def write_compile_plot(groups: Groups, path: Path, ours: str) -> None:
    """For each row the seconds from the Python function to machine code, ours and JAX's."""
    subjects = [ours, "jax", "numba"]
    points: dict[str, list[tuple[float, int]]] = {}
    rows = {name: items for name, items in groups.items() if ours in items}
    for place, items in enumerate(rows.values()):
        for subject in subjects:
            if subject in items:
                seconds = sum(items[subject].stages.get(stage, 0.0) for stage in STAGES)
                if seconds > 0.0:
                    points.setdefault(subject, []).append((seconds, place))

    def draw(axis: Any) -> None:
        for subject, found in points.items():
            times, places = zip(*found, strict=True)
            label = LABELS[subject]
            axis.scatter(times, places, s=26, color=COLOURS[subject], label=label, zorder=3)
        axis.set_xlabel("seconds to trace, lower and compile, nothing cached")

    _write(path, list(rows), draw)


def _minimum(item: Measurement) -> float:
    return item.calls.minimum if item.calls is not None else float("nan")


def _write(path: Path, names: Sequence[str], draw: Any) -> None:
    """Rows of points with their names on the left; the same figures give the same file."""
    require_matplotlib()
    matplotlib: Any = importlib.import_module("matplotlib")
    figure_module: Any = importlib.import_module("matplotlib.figure")
    settings = {"svg.hashsalt": "bench", "font.size": 8, "svg.fonttype": "none"}
    with matplotlib.rc_context(settings):
        figure = figure_module.Figure(figsize=(7.6, 0.24 * len(names) + 1.3), layout="constrained")
        axis = figure.subplots()
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.grid(axis="both", color="#dddddd", linewidth=0.5)
        draw(axis)
        axis.set_xscale("log")
        if axis.get_legend_handles_labels()[0]:
            figure.legend(loc="outside upper center", ncols=4, frameon=False)
        try:
            figure.savefig(path, format="svg", metadata={"Date": None})
        except OSError as error:
            raise BenchError(f"cannot write {path}: {error.strerror}") from error
