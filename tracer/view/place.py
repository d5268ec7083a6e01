"""From a drawing to its layout: the sizes of the texts, and forward and backward side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tracer.view.layout import GAP, Box, Layout, lay_out
from tracer.view.model import Drawing, Edge, Vertex

CHARACTER = 7.3
LINE = 17.0
LONGEST = 46
LABEL = 18
"""A local derivative of more characters than this is told on a click, not beside the edge."""
SHARES = (0.38, 0.55, 0.7, 0.24, 0.84)
"""How far along its edge a label may stand, the first that is free."""
VALUE, TYPE, ADJOINT = "#1c1c1c", "#666666", "#b3261e"


def lines_of(vertex: Vertex) -> list[tuple[str, str, bool]]:
    """The lines of a vertex: text, colour, and whether it is bold."""
    lines = [(vertex.title, VALUE, True)]
    if vertex.value and vertex.kind != "constant":
        lines.append((f"= {vertex.value}", VALUE, False))
    elif vertex.kind != "constant" and vertex.type not in ("f64[]", ""):
        lines.append((vertex.type, TYPE, False))
    if vertex.adjoint:
        lines.append((f"∂ = {vertex.adjoint}", ADJOINT, False))
    return [(_cut(text), colour, bold) for text, colour, bold in lines]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def size_of(vertex: Vertex) -> tuple[float, float]:
    """Width and height of a vertex."""
    lines = lines_of(vertex)
    longest = max(len(text) * (1.12 if bold else 1.0) for text, _, bold in lines)
    return max(40.0, longest * CHARACTER + 18), len(lines) * LINE + 12


def shown_derivative(edge: Edge) -> str:
    """What stands beside an edge: its local derivative, where it is short."""
    if edge.kind != "data" or len(edge.derivative) > LABEL or edge.derivative == "linear map":
        return ""
    return edge.derivative


def end_points(
    edge: Edge, path: Sequence[tuple[float, float]], boxes: dict[str, Box]
) -> list[tuple[float, float]]:
    """The points of an edge from the lower side of one box to the upper side of the other."""
    tail, head = boxes[edge.tail], boxes[edge.head]
    down = head.y >= tail.y
    start = tail.y + (tail.height if down else -tail.height) / 2
    end = head.y - (head.height if down else -head.height) / 2
    return [(path[0][0], start), *path[1:-1], (path[-1][0], end)]


class Label(NamedTuple):
    """The text beside an edge, and the middle of its line of writing."""

    text: str
    x: float
    y: float


def label_width(text: str) -> float:
    """How much room the text beside an edge takes."""
    return len(text) * 6.6 + 6


def place_labels(drawing: Drawing, layout: Layout) -> list[Label | None]:
    """For each edge its label, or None: near the tail, so that labels of edges which meet in one
    head stay apart, and further on where another label stands already.
    """
    boxes = {v.key: box for v, box in zip(drawing.vertices, layout.boxes, strict=True)}
    taken: dict[int, list[Label]] = {}
    found: list[Label | None] = []
    for edge, path in zip(drawing.edges, layout.paths, strict=True):
        text = shown_derivative(edge)
        if not text:
            found.append(None)
            continue
        (x0, y0), (x1, y1) = end_points(edge, path, boxes)[:2]
        label = Label(text, x0, y0)
        for share in SHARES:
            label = Label(text, x0 + 0.8 * share * (x1 - x0), y0 + share * (y1 - y0) + 4)
            row = int(label.y // LINE)
            near = [other for k in (row - 1, row, row + 1) for other in taken.get(k, ())]
            if not any(_overlap(label, other) for other in near):
                break
        taken.setdefault(int(label.y // LINE), []).append(label)
        found.append(label)
    return found


def _overlap(one: Label, other: Label) -> bool:
    room = (label_width(one.text) + label_width(other.text)) / 2
    return abs(one.x - other.x) < room and abs(one.y - other.y) < 14


def place(drawing: Drawing) -> Layout:
    """The layout of a drawing. What belongs to the derivative stands to the right and flows
    upwards, so that it begins where the forward part ends.
    """
    index = {vertex.key: k for k, vertex in enumerate(drawing.vertices)}
    sizes = [size_of(vertex) for vertex in drawing.vertices]
    edges = [(index[edge.tail], index[edge.head]) for edge in drawing.edges]
    label = LINE if any(edge.derivative for edge in drawing.edges) else 0.0
    right = [vertex.side == "backward" for vertex in drawing.vertices]
    if not any(right):
        return lay_out(sizes, edges, label)
    return _side_by_side(drawing, sizes, edges, right, label)


def _side_by_side(
    drawing: Drawing,
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    right: Sequence[bool],
    label: float,
) -> Layout:
    halves = []
    for side in (False, True):
        members = [k for k, flag in enumerate(right) if flag == side]
        local = {k: place for place, k in enumerate(members)}
        own = [
            k for k, (tail, head) in enumerate(edges) if right[tail] == side and right[head] == side
        ]
        pairs = [(local[edges[k][0]], local[edges[k][1]]) for k in own]
        halves.append((members, own, lay_out([sizes[k] for k in members], pairs, label)))
    height = max(half[2].height for half in halves)
    shift = halves[0][2].width + 2 * GAP
    boxes: list[Box] = [Box(0, 0, 0, 0)] * len(sizes)
    paths: list[list[tuple[float, float]]] = [[] for _ in edges]
    for half, (members, own, layout) in enumerate(halves):

        def moved(x: float, y: float, half: int = half) -> tuple[float, float]:
            return (x + shift, height - y) if half else (x, y)

        for k, box in zip(members, layout.boxes, strict=True):
            x, y = moved(box.x, box.y)
            boxes[k] = Box(x, y, box.width, box.height)
        for k, path in zip(own, layout.paths, strict=True):
            paths[k] = [moved(*point) for point in path]
    for k, (tail, head) in enumerate(edges):
        if not paths[k]:
            drawing.edges[k].kind = "across"
            paths[k] = [(boxes[tail].x, boxes[tail].y), (boxes[head].x, boxes[head].y)]
    return Layout(boxes, paths, shift + halves[1][2].width, height)
