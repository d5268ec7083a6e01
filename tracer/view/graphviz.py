"""A drawing in Graphviz's language, and by its program `dot` where that is installed."""

from __future__ import annotations

import shutil
import subprocess

from tracer.errors import BackendError
from tracer.view.model import Drawing
from tracer.view.place import lines_of, shown_derivative
from tracer.view.svg import COLOURS, DERIVATIVE


def find_dot() -> str | None:
    """Where `dot` lies, if it is installed."""
    return shutil.which("dot")


def run_dot(drawing: Drawing, kind: str) -> bytes:
    """The drawing by Graphviz as "svg" or "png"."""
    program = find_dot()
    if program is None:
        raise BackendError("Graphviz is not installed: its program dot was not found")
    done = subprocess.run(
        [program, f"-T{kind}"], input=render_dot(drawing).encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise BackendError(f"Graphviz failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def render_dot(drawing: Drawing) -> str:
    """The drawing in Graphviz's language."""
    lines = [
        f"digraph {_quoted(drawing.name)} {{",
        '  node [shape=box, style="rounded,filled", fontname="DejaVu Sans", fontsize=11];',
        f'  edge [fontname="DejaVu Sans", fontsize=10, fontcolor="{DERIVATIVE}", color="#777777"];',
    ]
    inside = {key: number for number, keys in enumerate(drawing.kernels) for key in keys}
    for number, keys in enumerate(drawing.kernels):
        members = " ".join(_quoted(key) + ";" for key in keys if inside[key] == number)
        lines.append(
            f'  subgraph cluster_{number} {{ label="kernel {number}"; style=dashed; '
            f'color="#c9a227"; {members} }}'
        )
    for vertex in drawing.vertices:
        kind = "backward" if vertex.side == "backward" and vertex.kind == "node" else vertex.kind
        fill, stroke = COLOURS[kind]
        label = "\\n".join(_quoted(text)[1:-1] for text, _, _ in lines_of(vertex))
        lines.append(
            f'  {_quoted(vertex.key)} [label="{label}", fillcolor="{fill}", color="{stroke}"];'
        )
    for edge in drawing.edges:
        label = shown_derivative(edge)
        style = ", style=dashed" if edge.kind == "body" else ""
        lines.append(
            f"  {_quoted(edge.tail)} -> {_quoted(edge.head)} [label={_quoted(label)}{style}];"
        )
    return "\n".join([*lines, "}"]) + "\n"
