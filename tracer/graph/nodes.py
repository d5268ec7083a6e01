"""The graph: SSA variables, nodes in order, and the `Graph` that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tracer.cached import cached_property
from tracer.graph.primitive import Primitive
from tracer.types import ArrayType


class Source(NamedTuple):
    """A place in the user's program."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file.rpartition('/')[2]}:{self.line}"


class Variable:
    """An SSA variable. During a trace it knows its trace, and the value it has one level below."""

    __slots__ = ("trace", "type", "value", "weak")

    def __init__(self, type_: ArrayType, trace: Any = None, value: Any = None) -> None:
        self.type = type_
        self.trace = trace
        self.value = value
        self.weak = False


class Constant:
    """A small concrete array that stands in a node as an operand."""

    __slots__ = ("type", "value")

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)
        self.type = ArrayType(self.value.dtype, self.value.shape)


Operand = (
    Any  # Variable | Constant in a Graph; while tracing also arrays and tracers of outer levels
)


class Node:
    """One application of a primitive."""

    __slots__ = ("operands", "params", "primitive", "residuals", "results", "source", "values")

    def __init__(
        self,
        primitive: Primitive,
        operands: tuple[Operand, ...],
        params: dict[str, Any],
        results: tuple[Variable, ...],
        source: Source | None,
        residuals: Any = None,
        values: list[Any] | None = None,
    ) -> None:
        self.residuals = residuals
        self.values = values  # of the operands, in a trace that has them
        self.primitive = primitive
        self.operands = operands
        self.params = params
        self.results = results
        self.source = source


@dataclass(frozen=True, eq=False)
class Graph:
    """A typed program: `inputs`, then captured `constants`, `nodes` in order, `outputs`.

    Every operand is a Variable defined before, or a Constant. Graphs are immutable; transforms
    make new ones.
    """

    inputs: tuple[Variable, ...]
    constants: tuple[tuple[Variable, np.ndarray], ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Operand, ...]
    name: str = "graph"

    def __str__(self) -> str:
        from tracer.graph.text import print_graph

        return print_graph(self)

    def __len__(self) -> int:
        return len(self.nodes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """What Jupyter shows: the graph drawn."""
        from tracer.view.picture import draw

        return draw(self)._repr_mimebundle_(include, exclude)

    def _repr_html_(self) -> str:
        """The graph drawn, for notebooks that show HTML only."""
        from tracer.view.picture import draw

        return draw(self).own_svg()

    @cached_property
    def input_types(self) -> tuple[ArrayType, ...]:
        """The types of the inputs."""
        return tuple(variable.type for variable in self.inputs)

    @cached_property
    def output_types(self) -> tuple[ArrayType, ...]:
        """The types of the outputs."""
        return tuple(output.type for output in self.outputs)

    def check(self) -> Graph:
        """Verify the graph; returns it, or raises `GraphError`."""
        from tracer.graph.check import check_graph

        check_graph(self)
        return self
