"""Bars of the median times, one panel a program and size, as SVG."""

import importlib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.display import format_seconds
from bench.environment import INSTALL_BENCH
from bench.errors import BenchError
from bench.results import Measurement, Report

COLOURS = {"tracer": "#2a6f97", "peer": "#b0a990"}


def require_matplotlib() -> None:
    """`BenchError` where matplotlib is missing; asked before anything is measured."""
    if find_spec("matplotlib") is None:
        raise BenchError(f"matplotlib is not installed: {INSTALL_BENCH}")


def write_plot(report: Report, path: Path) -> None:
    """Draw every measurement of calls; `BenchError` where there is none, or no way to write."""
    require_matplotlib()
    panels: dict[str, list[Measurement]] = {}
    for item in report.measurements:
        if item.calls is not None:
            panels.setdefault(f"{item.workload} {item.size} ({item.program})", []).append(item)
    if not panels:
        raise BenchError("there is nothing to plot: no calls were timed")
    matplotlib: Any = importlib.import_module("matplotlib")
    figure_module: Any = importlib.import_module("matplotlib.figure")
    heights = [0.26 * len(items) + 0.9 for items in panels.values()]
    with matplotlib.rc_context({"svg.hashsalt": "bench", "font.size": 9}):
        figure = figure_module.Figure(figsize=(7.0, sum(heights)), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
        for axis, (title, items) in zip(axes[:, 0], panels.items(), strict=True):
            _draw_panel(axis, title, items)
        try:
            figure.savefig(path, format="svg", metadata={"Date": None})
        except OSError as error:
            raise BenchError(f"cannot write {path}: {error.strerror}") from error


def _draw_panel(axis: Any, title: str, items: Sequence[Measurement]) -> None:
    timed = [(item, item.calls) for item in items if item.calls is not None]
    medians = [calls.median for _, calls in timed]
    places = range(len(timed))
    axis.barh(
        places,
        medians,
        color=[COLOURS[item.kind] for item, _ in timed],
        xerr=[
            [calls.median - calls.lower_quartile for _, calls in timed],
            [calls.upper_quartile - calls.median for _, calls in timed],
        ],
    )
    axis.set_yticks(places, [item.subject for item, _ in timed])
    axis.invert_yaxis()
    longest = max(calls.upper_quartile for _, calls in timed)
    axis.set_xlim(0.0, 1.2 * longest)
    axis.set_title(title, loc="left", fontsize=9)
    axis.set_xlabel("seconds a call, median and quartiles", fontsize=7)
    for place, (_, calls) in zip(places, timed, strict=True):
        end = max(calls.median, calls.upper_quartile) + 0.01 * longest
        axis.text(end, place, format_seconds(calls.median), va="center", fontsize=7)
