"""Functions of primitives that have a derivative of their own: one node, whose graph computes it.

Where the derivative of the whole is simpler, or right in more places, than that of the parts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tracer.graph.build import build_closed
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.matrices import all_lanes
from tracer.trace import bind, type_of
from tracer.types import ArrayType

Static = tuple[tuple[str, Any], ...]


class Composite:
    """Called as `function(*operands, **static)` is, which takes stacks and returns a tuple.

    `jvp_rule(primals, tangents, results, **static)` returns a tangent (or None) a result.
    """

    def __init__(
        self, name: str, function: Callable[..., tuple[Any, ...]], jvp_rule: Callable[..., Any]
    ) -> None:
        self.function = function
        self.jvp_rule = jvp_rule
        self.graph_of = functools.lru_cache(maxsize=256)(self._build)
        self.primitive = register(
            Primitive(
                name,
                self._type,
                lambda *operands, graph, static: tuple(evaluate(graph, operands)),
                jvp_rule=lambda primals, tangents, results, graph, static: self.jvp_rule(
                    primals, tangents, results, **dict(static)
                ),
                batch_rule=self._batch,
                lowering=Lowering("call"),
                multiple=True,
            )
        )

    def __call__(self, *operands: Any, **static: Any) -> Any:
        """The results, as a tuple."""
        key = tuple(sorted(static.items()))
        graph = self.graph_of(tuple(type_of(operand) for operand in operands), key)
        return bind(self.primitive, *operands, graph=graph, static=key)

    def _build(self, types: tuple[ArrayType, ...], static: Static) -> Graph:
        def function(*operands: Any) -> tuple[Any, ...]:
            return self.function(*operands, **dict(static))

        return build_closed(function, types, self.primitive.name)

    def _type(self, *operands: ArrayType, graph: Graph, static: Static) -> Any:
        if operands != graph.input_types:
            raise TypeError(f"{graph.name} takes {graph.input_types}, not {operands}")
        return graph.output_types

    def _batch(
        self, size: int, operands: Any, batched: Any, *, graph: Graph, static: Static
    ) -> Any:
        results = self(*all_lanes(size, operands, batched), **dict(static))
        return results, (True,) * len(results)
