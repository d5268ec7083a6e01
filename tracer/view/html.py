"""A drawing as one HTML file that needs no network: pan, zoom, search, click, fold."""

from __future__ import annotations

import dataclasses
import html
import json
from functools import cache
from importlib.resources import files
from typing import Any

from tracer.view.model import Drawing
from tracer.view.place import place, place_labels


def render_html(drawing: Drawing) -> str:
    """The drawing as one self-contained page."""
    text = json.dumps(_data(drawing), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    page = _resource("page.html")
    for name, part in (
        ("TITLE", html.escape(drawing.name)),
        ("STYLE", _resource("page.css")),
        ("LAYOUT", _resource("layout.js")),
        ("SCRIPT", _resource("page.js")),
        # "<" never ends the script element early.
        ("DATA", text.replace("<", "\\u003c")),
    ):
        page = page.replace(f"/*{name}*/", part, 1)
    return page


@cache
def _resource(name: str) -> str:
    return files("tracer.view").joinpath(name).read_text(encoding="utf-8")


def _data(drawing: Drawing) -> dict[str, Any]:
    layout = place(drawing)
    edges = [dataclasses.asdict(edge) for edge in drawing.edges]
    for edge in edges:
        factor = edge["factor"]
        if factor is not None and not abs(factor) < float("inf"):
            edge["factor"] = None
    return {
        "name": drawing.name,
        "note": drawing.note,
        "vertices": [dataclasses.asdict(vertex) for vertex in drawing.vertices],
        "edges": edges,
        "kernels": drawing.kernels,
        "layout": {
            "boxes": [[_short(b.x), _short(b.y), b.width, b.height] for b in layout.boxes],
            "labels": [
                None if label is None else [_short(label.x), _short(label.y)]
                for label in place_labels(drawing, layout)
            ],
            "paths": [[[_short(x), _short(y)] for x, y in path] for path in layout.paths],
        },
    }


def _short(number: float) -> float:
    return round(number, 1)
