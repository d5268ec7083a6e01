"""Native entries for pytrees: from the arguments of a Python call to the kernel without Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from codegen.dispatch import (
    ArrayLeaf,
    CustomNode,
    DictNode,
    ListNode,
    Node,
    ObjectLeaf,
    ScalarLeaf,
    TupleNode,
    result_leaf,
)
from codegen.loops.nodes import Buffer

PYTHON_KINDS = (float, int, bool, complex)


def argument_node(value: Any, found: list[Any]) -> Node | None:
    """The tree that accepts arguments like `value`, whose leaves go to `found`; None where an
    entry cannot take them.
    """
    kind = type(value)
    if kind is np.ndarray:
        found.append(value)
        return _array_leaf(value)
    if kind in PYTHON_KINDS or isinstance(value, np.generic):
        found.append(value)
        try:
            return ScalarLeaf(kind)
        except ValueError:
            return None
    if value is None:
        return ObjectLeaf(None)
    if kind is dict:
        return _dict_node(value, found)
    if kind is tuple or kind is list or (isinstance(value, tuple) and hasattr(value, "_fields")):
        children = [argument_node(child, found) for child in value]
        known = tuple(child for child in children if child is not None)
        if len(known) < len(children):
            return None
        return ListNode(known) if kind is list else TupleNode(known, kind)
    return None


def _array_leaf(array: Any) -> Node | None:
    try:
        return ArrayLeaf(array.dtype, array.shape, writeable=False)
    except ValueError:
        return None


def _dict_node(value: dict[Any, Any], found: list[Any]) -> Node | None:
    if not all(type(key) is str for key in value):
        return None
    items = []
    for key in sorted(value):
        child = argument_node(value[key], found)
        if child is None:
            return None
        items.append((key, child))
    return DictNode(tuple(items))


def arguments_of(
    args: Sequence[Any], static: frozenset[int], leaves: Sequence[Any]
) -> tuple[Node, ...] | None:
    """The trees of a call's arguments; those at `static` places are taken by identity.

    None unless the leaves, in order, are just `leaves`.
    """
    found: list[Any] = []
    nodes: list[Node] = []
    for place, value in enumerate(args):
        node = ObjectLeaf(value) if place in static else argument_node(value, found)
        if node is None:
            return None
        nodes.append(node)
    same = len(found) == len(leaves) and all(
        one is other for one, other in zip(found, leaves, strict=True)
    )
    return tuple(nodes) if same else None


def result_node(example: Any, outputs: Sequence[Buffer], build: Callable[..., Any]) -> Node:
    """The tree of a result, whose leaves stand in `example` as their numbers.

    `build` makes a result of other than tuples, lists and dicts from all outputs.
    """
    order: list[int] = []
    node = _plain_node(example, outputs, order)
    if node is not None and order == list(range(len(outputs))):
        return node
    return CustomNode(build, tuple(result_leaf(part.dtype, part.shape) for part in outputs))


def _plain_node(example: Any, outputs: Sequence[Buffer], order: list[int]) -> Node | None:
    kind = type(example)
    if kind is int:
        order.append(example)
        return result_leaf(outputs[example].dtype, outputs[example].shape)
    if example is None:
        return ObjectLeaf(None)
    if kind is dict:
        if not all(type(key) is str for key in example):
            return None
        pairs = [(key, _plain_node(value, outputs, order)) for key, value in example.items()]
        items = tuple((key, node) for key, node in pairs if node is not None)
        return DictNode(items) if len(items) == len(pairs) else None
    if kind is tuple or kind is list:
        children = [_plain_node(child, outputs, order) for child in example]
        known = tuple(child for child in children if child is not None)
        if len(known) < len(children):
            return None
        return ListNode(known) if kind is list else TupleNode(known)
    return None
