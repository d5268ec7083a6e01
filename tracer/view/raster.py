"""A drawing as PNG with matplotlib, where Graphviz is not installed."""

from __future__ import annotations

import io
import itertools
from typing import Any

from tracer.errors import BackendError
from tracer.view.layout import Layout
from tracer.view.model import Drawing, Edge, Vertex
from tracer.view.place import LINE, Label, end_points, lines_of, place, place_labels
from tracer.view.svg import COLOURS, DERIVATIVE

DOTS = 144
LARGEST = 20_000
"""No picture has more dots than this along a side."""


def render_png(drawing: Drawing) -> bytes:
    """The drawing as PNG at two dots a point."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BackendError(
            "PNG needs Graphviz or matplotlib, and neither is installed: "
            "python -m pip install 'tracer-ad[plot]', or save as .svg or .html"
        ) from None
    layout = place(drawing)
    dots = min(DOTS, LARGEST * 72 / max(layout.width, layout.height, 1))
    figure = Figure(figsize=(layout.width / 72, layout.height / 72), dpi=dots)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, layout.width)
    axes.set_ylim(layout.height, 0)
    axes.axis("off")
    _draw(axes, drawing, layout)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


def _draw(axes: Any, drawing: Drawing, layout: Layout) -> None:
    boxes = {v.key: box for v, box in zip(drawing.vertices, layout.boxes, strict=True)}
    for edge, path in zip(drawing.edges, layout.paths, strict=True):
        _edge(axes, edge, end_points(edge, path, boxes))
    for vertex, box in zip(drawing.vertices, layout.boxes, strict=True):
        _vertex(axes, vertex, box)
    for label in place_labels(drawing, layout):
        if label is not None:
            _label(axes, label)


def _edge(axes: Any, edge: Edge, points: list[tuple[float, float]]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Path(vertices, codes),
            arrowstyle="-|>",
            mutation_scale=8,
            color="#cccccc" if edge.kind == "across" else "#777777",
            linestyle="--" if edge.kind == "body" else "-",
            linewidth=0.8,
        )
    )


def _label(axes: Any, label: Label) -> None:
    axes.text(
        label.x,
        label.y - 4,
        label.text,
        color=DERIVATIVE,
        fontsize=8.5,
        ha="center",
        va="center",
        bbox={"facecolor": "white", "alpha": 0.85, "pad": 1, "linewidth": 0},
        zorder=4,
    )


def _vertex(axes: Any, vertex: Vertex, box: Any) -> None:
    from matplotlib.patches import FancyBboxPatch

    kind = "backward" if vertex.side == "backward" and vertex.kind == "node" else vertex.kind
    fill, stroke = COLOURS[kind]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    axes.add_patch(
        FancyBboxPatch(
            (left + 5, top + 5),
            box.width - 10,
            box.height - 10,
            boxstyle="round,pad=5",
            facecolor=fill,
            edgecolor=stroke,
            zorder=2,
        )
    )
    for k, (text, colour, bold) in enumerate(lines_of(vertex)):
        axes.text(
            box.x,
            top + 14 + k * LINE,
            text.replace("$", r"\$"),
            color=colour,
            fontsize=9,
            fontweight="bold" if bold else "normal",
            ha="center",
            va="center",
            zorder=3,
        )
