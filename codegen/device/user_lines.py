"""Which lines of the user's program a kernel computes: for errors, explanations and profiles."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from codegen.loops.nodes import Declare, Let, Statement, Store, Update, Variable
from codegen.loops.walk import statements
from codegen.lower.context import Place, Scalar, Stored
from tracer.graph.nodes import Graph
from tracer.graph.nodes import Variable as Value

COPY = re.compile(r"u\d+$")
MOST = 8
"""Lines that a kernel names at most."""


def lines_of_names(graph: Graph, places: Mapping[Value, Place]) -> dict[str, str]:
    """The user's line for each name of a program that keeps a value of the graph."""
    found: dict[str, str] = {}
    for node in graph.nodes:
        if node.source is None:
            continue
        for result in node.results:
            name = _name(places.get(result))
            if name:
                found[name] = str(node.source)
    return found


def lines_of(body: Iterable[Statement], names: Mapping[str, str]) -> tuple[str, ...]:
    """The lines that a block computes, in the order of its statements, at most `MOST`; all of the
    program's where no name of the block is known any more.
    """
    found: dict[str, None] = {}
    for outer in body:
        for statement in statements((outer,)):
            if isinstance(statement, (Let, Declare)):
                name = COPY.sub("", statement.name)
            elif isinstance(statement, (Store, Update)):
                name = statement.buffer.root.name
            else:
                continue
            if name in names:
                found.setdefault(names[name])
    return tuple(found or dict.fromkeys(names.values()))[:MOST]


def _name(place: Place | None) -> str:
    if isinstance(place, Stored):
        return place.buffer.root.name
    if isinstance(place, Scalar) and isinstance(place.expression, Variable):
        return place.expression.name
    return ""
