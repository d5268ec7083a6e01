"""A drawing as SVG, with the layout that ships with the package."""

from __future__ import annotations

import html
import itertools
from collections.abc import Sequence

from tracer.view.layout import Box, Layout
from tracer.view.model import Drawing, Edge, Vertex
from tracer.view.place import (
    LINE,
    Label,
    end_points,
    label_width,
    lines_of,
    place,
    place_labels,
)

COLOURS = {
    "input": ("#e3f0ff", "#3b73b9"),
    "constant": ("#f2f2f2", "#8a8a8a"),
    "node": ("#ffffff", "#444444"),
    "output": ("#e5f6e5", "#3d8b40"),
    "backward": ("#fff0ea", "#c2552d"),
}
DERIVATIVE = "#2659a5"
FONT = "font-family=\"'DejaVu Sans', 'Helvetica Neue', Arial, sans-serif\""


def render_svg(drawing: Drawing) -> str:
    """The drawing as one SVG document."""
    layout = place(drawing)
    height = layout.height + (LINE + 6 if drawing.note else 0)
    size = f'width="{layout.width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {layout.width:.0f} {height:.0f}" {FONT} font-size="12.5">',
        f"<title>{html.escape(drawing.name)}</title>",
        _markers(),
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    parts.extend(_kernels(drawing, layout))
    boxes = {v.key: box for v, box in zip(drawing.vertices, layout.boxes, strict=True)}
    for edge, path in zip(drawing.edges, layout.paths, strict=True):
        parts.append(_edge(edge, path, boxes))
    for vertex, box in zip(drawing.vertices, layout.boxes, strict=True):
        parts.append(_vertex(vertex, box))
    parts.extend(_label(label) for label in place_labels(drawing, layout) if label is not None)
    if drawing.note:
        parts.append(
            f'<text x="12" y="{height - 9:.0f}" fill="#555555">{html.escape(drawing.note)}</text>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _markers() -> str:
    return (
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#777777"/></marker></defs>'
    )


def _kernels(drawing: Drawing, layout: Layout) -> list[str]:
    """A box around the vertices of each kernel."""
    index = {vertex.key: k for k, vertex in enumerate(drawing.vertices)}
    parts = []
    for number, keys in enumerate(drawing.kernels):
        boxes = [layout.boxes[index[key]] for key in keys if key in index]
        if not boxes:
            continue
        left = min(box.x - box.width / 2 for box in boxes) - 9
        right = max(box.x + box.width / 2 for box in boxes) + 9
        top = min(box.y - box.height / 2 for box in boxes) - 9
        bottom = max(box.y + box.height / 2 for box in boxes) + 9
        parts.append(
            f'<rect class="kernel" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}" rx="10" fill="#fff8dc" fill-opacity="0.55" '
            f'stroke="#c9a227" stroke-dasharray="5 4"/>'
            f'<text x="{left + 6:.1f}" y="{top + 11:.1f}" font-size="10" fill="#8a6d00">'
            f"kernel {number}</text>"
        )
    return parts


def _vertex(vertex: Vertex, box: Box) -> str:
    kind = "backward" if vertex.side == "backward" and vertex.kind == "node" else vertex.kind
    fill, stroke = COLOURS[kind]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    hint = "\n".join(
        part for part in (vertex.details, vertex.type, vertex.source, vertex.line) if part
    )
    body = [
        f'<g id="{html.escape(vertex.key)}" class="vertex {vertex.kind}">',
        f"<title>{html.escape(hint)}</title>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{7 if vertex.kind == "node" else 14}" fill="{fill}" stroke="{stroke}"/>',
    ]
    for k, (text, colour, bold) in enumerate(lines_of(vertex)):
        weight = ' font-weight="bold"' if bold else ""
        body.append(
            f'<text x="{box.x:.1f}" y="{top + 18 + k * LINE:.1f}" text-anchor="middle" '
            f'fill="{colour}"{weight}>{html.escape(text)}</text>'
        )
    return "".join([*body, "</g>"])


def _edge(edge: Edge, path: Sequence[tuple[float, float]], boxes: dict[str, Box]) -> str:
    points = end_points(edge, path, boxes)
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        middle = (y0 + y1) / 2
        text += f" C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    dash = ' stroke-dasharray="3 3"' if edge.kind == "body" else ""
    colour = "#cccccc" if edge.kind == "across" else "#777777"
    return (
        f'<path class="edge" data-from="{html.escape(edge.tail)}" '
        f'data-to="{html.escape(edge.head)}" d="{text}" fill="none" stroke="{colour}"{dash} '
        'marker-end="url(#arrow)"/>'
    )


def _label(label: Label) -> str:
    width = label_width(label.text)
    return (
        f'<rect x="{label.x - width / 2:.1f}" y="{label.y - 11:.1f}" width="{width:.1f}" '
        f'height="14" rx="3" fill="white" fill-opacity="0.85"/>'
        f'<text class="derivative" x="{label.x:.1f}" y="{label.y:.1f}" text-anchor="middle" '
        f'font-size="11.5" fill="{DERIVATIVE}">{html.escape(label.text)}</text>'
    )
