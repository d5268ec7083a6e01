"""A drawing for the terminal: one line a node, its operands by name."""

from __future__ import annotations

from tracer.view.model import Drawing, Edge, Vertex


def render_text(drawing: Drawing) -> str:
    """The drawing as aligned columns: node, value, derivative of the result, source line."""
    names = {vertex.key: vertex.title for vertex in drawing.vertices}
    incoming: dict[str, list[Edge]] = {}
    for edge in drawing.edges:
        incoming.setdefault(edge.head, []).append(edge)
    rows = []
    count = 0
    for vertex in drawing.vertices:
        if vertex.kind == "constant" and not vertex.value:
            continue  # a number, which is shown where it is used
        indent = "  " * _depth(vertex)
        if vertex.kind == "node":
            count += 1
            names[vertex.key] = f"v{count}"
            operands = ", ".join(
                name
                for edge in incoming.get(vertex.key, [])
                if edge.kind != "body"
                for name in [names[edge.tail]] * edge.times
            )
            head = f"{indent}v{count} = {vertex.title} ({operands})"
        elif vertex.kind == "output":
            source = incoming.get(vertex.key)
            head = f"{indent}{vertex.title}: {names[source[0].tail] if source else vertex.value}"
        else:
            head = f"{indent}{vertex.title}"
        rows.append((head, *_columns(vertex, incoming.get(vertex.key, []), names)))
    return _aligned(rows)


def _depth(vertex: Vertex) -> int:
    return vertex.inside.count(".") + 1 if vertex.inside else 0


def _columns(vertex: Vertex, edges: list[Edge], names: dict[str, str]) -> tuple[str, str, str, str]:
    value = f"= {vertex.value}" if vertex.value else vertex.type
    adjoint = f"∂ = {vertex.adjoint}" if vertex.adjoint else ""
    slopes = "  ".join(
        f"∂/∂{names[edge.tail]} = {edge.derivative}"
        for edge in edges
        if edge.derivative and edge.derivative != "linear map"
    )
    return value, adjoint, slopes, vertex.source


def _aligned(rows: list[tuple[str, str, str, str, str]]) -> str:
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(5)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True) if width]
        lines.append("   ".join(cells).rstrip())
    return "\n".join(lines)
