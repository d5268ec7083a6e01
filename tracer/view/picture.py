"""`draw`: from a function or a graph to a picture in any format."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from tracer import tree
from tracer.errors import BackendError, NotAnArrayError
from tracer.graph.nodes import Graph
from tracer.jit import JittedFunction, jit
from tracer.trace import type_of
from tracer.types import is_inexact
from tracer.view.correspondence import adjoint_with_origin
from tracer.view.model import Drawing, drawing_of, drawing_of_adjoint
from tracer.view.values import numbers_of

FORMATS = ("svg", "png", "html", "txt", "dot")


class Picture:
    """A drawn graph. Jupyter shows it; `print` writes it to the terminal; `save(path)` writes SVG,
    PNG, HTML, text or Graphviz's language, by the name's ending.
    """

    def __init__(self, drawing: Drawing) -> None:
        self.drawing = drawing

    def svg(self) -> str:
        """The picture as SVG: by Graphviz where it is installed, else by our own layout."""
        from tracer.view.graphviz import find_dot, run_dot

        return run_dot(self.drawing, "svg").decode() if find_dot() else self.own_svg()

    def own_svg(self) -> str:
        """The picture as SVG by the layout that ships with the package."""
        from tracer.view.svg import render_svg

        return render_svg(self.drawing)

    def png(self) -> bytes:
        """The picture as PNG: by Graphviz where it is installed, else by matplotlib."""
        from tracer.view.graphviz import find_dot, run_dot
        from tracer.view.raster import render_png

        return run_dot(self.drawing, "png") if find_dot() else render_png(self.drawing)

    def html(self) -> str:
        """The picture as one interactive page that needs no network."""
        from tracer.view.html import render_html

        return render_html(self.drawing)

    def dot(self) -> str:
        """The picture in Graphviz's language."""
        from tracer.view.graphviz import render_dot

        return render_dot(self.drawing)

    def text(self) -> str:
        """The picture for a terminal: one line a node."""
        from tracer.view.text import render_text

        return render_text(self.drawing)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to a file; its ending (.svg .png .html .txt .dot) names the format."""
        ending = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
        if ending not in FORMATS:
            raise BackendError(
                f"a picture is saved as {', '.join('.' + f for f in FORMATS)}, not as {path!r}"
            )
        made = getattr(self, "text" if ending == "txt" else ending)()
        with open(path, "wb") as file:
            file.write(made if isinstance(made, bytes) else made.encode())

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Picture of {self.drawing.name}: {len(self.drawing.vertices)} vertices>"

    def _repr_html_(self) -> str:
        return self.own_svg()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"image/svg+xml": self.own_svg(), "text/plain": self.text()}


def draw(
    f: Any,
    *args: Any,
    adjoint: bool = False,
    values: bool = True,
    kernels: bool = False,
    **kwargs: Any,
) -> Picture:
    """The computation graph of `f(*args)`, as a textbook draws it.

    f: a function, a jitted function, or a `Graph` (args are then its flat inputs, or nothing).
    With `values`, each node shows its value, each edge the local derivative, and, where the result
    is one real number, each node the derivative of the result with respect to it. With `adjoint`,
    the forward and the adjoint graph are drawn side by side. With `kernels`, boxes show what is
    compiled into one loop nest.

    >>> import tracer
    >>> print(tracer.draw(lambda a, b: (a + b) * (b + 1), 2.0, 1.0))
    a                = 2   ∂ = 2
    """
    graph, leaves, names = traced_arguments(f, args, kwargs)
    shown = values and leaves is not None
    if adjoint:
        made = adjoint_with_origin(graph)
        seeded = [*leaves, *_seeds(graph)] if shown and leaves is not None else []
        numbers = numbers_of(made.graph, seeded) if shown else None
        drawing = drawing_of_adjoint(made, graph, names, numbers)
    else:
        numbers = numbers_of(graph, leaves) if shown and leaves is not None else None
        drawing = drawing_of(graph, names, numbers)
    if kernels:
        from tracer.backend import choose, kernels_of

        drawn = made.graph if adjoint else graph
        found = kernels_of(drawn, choose(f.backend if isinstance(f, JittedFunction) else None))
        drawing.kernels = [[f"n{position}" for position in kernel] for kernel in found]
    return Picture(drawing)


def _seeds(graph: Graph) -> list[Any]:
    types = [t for t in graph.output_types if is_inexact(t.dtype)]
    return [np.ones(t.shape, t.dtype) for t in types]


def traced_arguments(f: Any, args: Any, kwargs: Any) -> tuple[Graph, list[Any] | None, list[str]]:
    """The graph, its flat inputs where they are known, and their names."""
    if isinstance(f, Graph):
        names = [f"%{k}" for k in range(len(f.inputs))]
        return f, [np.asarray(arg)[()] for arg in args] if args else None, names
    if not callable(f):
        raise NotAnArrayError(f"draw takes a function or a Graph, not a {type(f).__name__}")
    if not any(is_inexact(type_of(leaf).dtype) for leaf in tree.leaves((args, kwargs))):
        args, kwargs = tree.map(_as_float, (args, kwargs))
    function = f if isinstance(f, JittedFunction) else jit(f)
    traced = function.trace(*args, **kwargs)
    leaves = [np.asarray(leaf)[()] for leaf in function.signature(args, kwargs)[0]]
    captured = [value.concrete("draw") for value in traced.captured]
    names = [*_names(f, args, kwargs), *("captured" for _ in captured)]
    return traced.graph, [*leaves, *captured], names[: len(leaves) + len(captured)]


def _as_float(leaf: Any) -> Any:
    """A Python int where no argument is a float was meant as a number, not as a count."""
    return float(leaf) if type(leaf) is int else leaf


def _names(f: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> list[str]:
    """A name for each leaf of the arguments: the parameter's, and the path inside it."""
    try:
        parameters = list(inspect.signature(f).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        parameters = [f"argument {k}" for k in range(len(args))]
    names: list[str] = []
    pairs = [*zip([*parameters[: len(args)], *map(str, range(len(args)))], args, strict=False)]
    for name, value in [*pairs, *sorted(kwargs.items())]:
        paths = optree.tree_paths(value, namespace=tree.NAMESPACE)
        names.extend(functools.reduce(_below, path, name) for path in paths)
    return names


def _below(name: str, key: Any) -> str:
    return f"{name}.{key}" if isinstance(key, str) and key.isidentifier() else f"{name}[{key!r}]"
