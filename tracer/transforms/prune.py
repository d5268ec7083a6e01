"""Loops without the carries, stacks and operands that nothing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tracer.graph.nodes import Graph, Node, Variable
from tracer.primitives.loop import LoopShape, loop, loop_p
from tracer.transforms.simplify import is_impure, remove_dead

Flags = Sequence[bool]


class Pruned:
    """What of a loop is needed when `wanted` of its carries and stacks are."""

    def __init__(self, body: Graph, test: Graph | None, shape: LoopShape, wanted: Flags) -> None:
        carry = list(wanted[: shape.carry])
        stacks = list(wanted[shape.carry :])
        if test is not None:
            read = _inputs_read(test, (True,))
            carry = [a or b for a, b in zip(carry, read[shape.test_constants :], strict=True)]
        while True:
            read = _inputs_read(body, (*carry, *stacks))
            found = read[1 + shape.constants : 1 + shape.constants + shape.carry]
            merged = [a or b for a, b in zip(carry, found, strict=True)]
            if merged == carry:
                break
            carry = merged
        self.body, self.test, self.shape = body, test, shape
        self.carry, self.stacks = carry, stacks
        self.constants = read[1 : 1 + shape.constants]
        self.slices = read[1 + shape.constants + shape.carry :]

    @property
    def everything(self) -> bool:
        """Whether nothing can go."""
        return all((*self.carry, *self.stacks, *self.constants, *self.slices))

    def graphs(self) -> tuple[Graph, Graph | None, LoopShape]:
        """The smaller body, test and shape."""
        shape = self.shape
        flags = (True, *self.constants, *self.carry, *self.slices)
        body = remove_dead(
            replace(
                self.body,
                inputs=_kept(self.body.inputs, flags),
                outputs=_kept(self.body.outputs, (*self.carry, *self.stacks)),
            )
        )
        test = self.test
        if test is not None:
            every = (*(True,) * shape.test_constants, *self.carry)
            test = replace(test, inputs=_kept(test.inputs, every))
        smaller = replace(
            shape,
            constants=sum(self.constants),
            carry=sum(self.carry),
            slices=sum(self.slices),
        )
        return body, test, smaller

    def operands(self, operands: Sequence[Any]) -> list[Any]:
        """The operands that stay."""
        parts = self.shape.split(operands)
        return [
            *parts.test_constants,
            *_kept(parts.constants, self.constants),
            *_kept(parts.carry, self.carry),
            *_kept(parts.slices, self.slices),
            *parts.trips,
        ]


def _kept(items: Sequence[Any], flags: Flags) -> tuple[Any, ...]:
    return tuple(item for item, flag in zip(items, flags, strict=True) if flag)


def _inputs_read(graph: Graph, wanted: Flags) -> list[bool]:
    """Which inputs the wanted outputs depend on, and black boxes, which are called in any case."""
    needed = {o for o, flag in zip(graph.outputs, wanted, strict=True) if flag}
    for node in reversed(graph.nodes):
        if is_impure(node) or any(result in needed for result in node.results):
            needed.update(operand for operand in node.operands if type(operand) is Variable)
    return [variable in needed for variable in graph.inputs]


def pruned_loop(
    operands: Sequence[Any], body: Graph, test: Graph | None, shape: LoopShape, wanted: Flags
) -> list[Any]:
    """Run a loop for the wanted results only, which are returned."""
    pruned = Pruned(body, test, shape, wanted)
    small_body, small_test, small_shape = pruned.graphs()
    outputs = loop(pruned.operands(operands), small_body, small_test, small_shape)
    kept = [
        want for want, here in zip(wanted, (*pruned.carry, *pruned.stacks), strict=True) if here
    ]
    return [output for output, want in zip(outputs, kept, strict=False) if want]


def prune_loop_node(node: Node, needed: set[Any]) -> Node:
    """The loop node without what no later node needs; itself where all is needed."""
    body, test = node.params["body"], node.params["test"]
    shape = LoopShape(**{k: v for k, v in node.params.items() if k not in ("body", "test")})
    count = len(body.outputs)
    pruned = Pruned(body, test, shape, [result in needed for result in node.results[:count]])
    if pruned.everything:
        return node
    small_body, small_test, small_shape = pruned.graphs()
    results = (
        *_kept(node.results[:count], (*pruned.carry, *pruned.stacks)),
        *node.results[count:],
    )
    params = {"body": small_body, "test": small_test, **vars(small_shape)}
    return Node(loop_p, tuple(pruned.operands(node.operands)), params, results, node.source)
