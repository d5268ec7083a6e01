"""Running programs for devices: the interpreter, with parallel iterations in another order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from codegen.loops.interpret import interpret
from codegen.loops.nodes import Loop, Program
from codegen.lower.graph import lower_graph
from codegen.passes.rewrite import Body, map_blocks
from tracer.graph.nodes import Graph

Array = np.ndarray[Any, np.dtype[Any]]


def backwards(program: Program) -> Program:
    """The program with all loops in which order does not matter running the other way round."""

    def turned(body: Body) -> Body:
        result = []
        for statement in body:
            changed = map_blocks(statement, turned)
            if isinstance(changed, Loop) and changed.kind == "parallel":
                changed = replace(changed, reverse=not changed.reverse)
            result.append(changed)
        return tuple(result)

    return replace(program, body=turned(program.body))


def run_device(graph: Graph, inputs: Sequence[Any]) -> list[Array]:
    """The outputs of a graph lowered for devices, which are the same in both orders."""
    program = lower_graph(graph, "device")
    arrays = [np.asarray(value) for value in inputs]
    outputs = interpret(program, arrays)
    for one, other in zip(outputs, interpret(backwards(program), arrays), strict=True):
        assert one.tobytes() == other.tobytes()
    return outputs
