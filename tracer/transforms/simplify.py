"""Simplification of graphs: dead code, common subexpressions, constants, and safe algebra.

Algebra here must be right for NaN, infinities and signed zeros: x·1 and x/1 are x, x−0 is x,
x+(−0) is x;
x·0 is not 0, and x+0 is not x where x may be −0. A scale moved through a sum would change
rounding: it stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer import config
from tracer.graph.build import cached_by_graph
from tracer.graph.nodes import Constant, Graph, Node, Variable
from tracer.graph.primitive import REGISTRY
from tracer.types import kind_of

_IMPURE = frozenset({"callback"})


def simplify(graph: Graph) -> Graph:
    """An equal graph with less in it."""
    result = remove_dead(fold(graph))
    if config.get("check"):
        result.check()
    return result


def is_impure(node: Node) -> bool:
    """Whether a node calls a black box, in a body of its own too: such nodes all stay."""
    if node.primitive.name in _IMPURE:
        return True
    if not node.primitive.multiple:
        return False
    bodies = [
        part
        for value in node.params.values()
        for part in (value if isinstance(value, tuple) else (value,))
        if isinstance(part, Graph)
    ]
    return any(_calls_out(body) for body in bodies)


@cached_by_graph
def _calls_out(graph: Graph) -> bool:
    return any(is_impure(node) for node in graph.nodes)


def remove_dead(graph: Graph) -> Graph:
    """The graph without nodes that no output needs."""
    needed = {output for output in graph.outputs if type(output) is Variable}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        for result in node.results:
            if result in needed:
                break
        else:
            if not is_impure(node):
                continue
        if node.primitive.name == "loop":
            from tracer.transforms.prune import prune_loop_node

            node = prune_loop_node(node, needed)
        kept.append(node)
        needed.update(operand for operand in node.operands if type(operand) is Variable)
    constants = tuple(pair for pair in graph.constants if pair[0] in needed)
    return Graph(graph.inputs, constants, tuple(reversed(kept)), graph.outputs, graph.name)


def fold(graph: Graph) -> Graph:
    """One walk: operands replaced by what they equal, equal nodes merged, constants computed."""
    equal: dict[Variable, Any] = {}
    seen: dict[Any, tuple[Variable, ...]] = {}
    makers: dict[Variable, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        operands = node.operands
        for operand in operands:
            if type(operand) is Variable and operand in equal:
                operands = tuple([equal.get(op, op) for op in operands])
                break
        known = _known(node, operands, makers)
        if known is not None:
            equal[node.results[0]] = known
            continue
        key = _key(node, operands)
        twin = seen.get(key) if key is not None else None
        if twin is not None:
            equal.update(zip(node.results, twin, strict=True))
            continue
        if operands is not node.operands:
            node = Node(node.primitive, operands, node.params, node.results, node.source)
        if node.primitive.name == "add":
            node = _added_in_place(node, makers, nodes)
        nodes.append(node)
        for result in node.results:
            makers[result] = node
        if key is not None:
            seen[key] = node.results
    outputs = tuple(
        equal.get(output, output) if type(output) is Variable else output
        for output in graph.outputs
    )
    return Graph(graph.inputs, graph.constants, tuple(nodes), outputs, graph.name)


def _added_in_place(node: Node, makers: dict[Variable, Node], nodes: list[Node]) -> Node:
    """x + scatter(0, u) is scatter(x, u), and x + pad(u) changes a part of x: the adjoints of
    indexing.

    Only the sign of a zero can differ.
    """
    for x, y in (node.operands, node.operands[::-1]):
        maker = makers.get(y) if type(y) is Variable else None
        if maker is None:
            continue
        name = maker.primitive.name
        if name != "scatter" and name != "pad":
            continue
        if not _same_type(node, x) or not _same_type(node, y):
            continue
        blank = maker.operands[0] if name == "scatter" else maker.operands[1]
        if not is_number(blank, 0.0, makers):
            continue
        if name == "scatter" and maker.params["mode"] == "add":
            operands = (x, *maker.operands[1:])
            return Node(maker.primitive, operands, maker.params, node.results, node.source)
        if name == "pad" and type(x) is Variable and _only_grows(maker):
            return _part_added(node, x, maker, nodes)
    return node


def _only_grows(pad: Node) -> bool:
    return bool(min((0, *pad.params["low"], *pad.params["high"])) >= 0)


def _part_added(node: Node, x: Variable, pad: Node, nodes: list[Node]) -> Node:
    part = pad.operands[0]
    start, step = pad.params["low"], tuple(gap + 1 for gap in pad.params["interior"])
    stop = tuple(
        first + (n - 1) * by + 1 if n else first
        for first, n, by in zip(start, part.type.shape, step, strict=True)
    )
    old, new = Variable(part.type), Variable(part.type)
    params = {"start": start, "stop": stop, "step": step}
    nodes.append(Node(REGISTRY["slice"], (x,), params, (old,), node.source))
    nodes.append(Node(REGISTRY["add"], (old, part), {}, (new,), node.source))
    params = {"start": start, "step": step}
    return Node(REGISTRY["slice_update"], (x, new), params, node.results, node.source)


def _operand_key(operand: Any) -> Any:
    if type(operand) is Constant:
        return (operand.type.dtype.str, operand.value.tobytes())
    return id(operand)


def _key(node: Node, operands: tuple[Any, ...]) -> Any:
    """Equal for nodes that compute the same; None where that cannot be said."""
    if (node.primitive.multiple or node.primitive.name in _IMPURE) and is_impure(node):
        return None
    params: tuple[Any, ...] = ()
    if node.params:
        params = tuple(
            [
                (name, id(value) if isinstance(value, Graph) else value)
                for name, value in node.params.items()
            ]
        )
    keys = [operand if type(operand) is Variable else _operand_key(operand) for operand in operands]
    key = (node.primitive.name, params, *keys)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def _known(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    """The operand or constant that the node equals, or None."""
    if node.primitive.multiple:
        return None
    type_ = node.results[0].type
    if (
        type_.shape == ()
        and operands
        and all(type(operand) is Constant for operand in operands)
        and node.primitive.lowering is not None
        and node.primitive.lowering.kind == "elementwise"
    ):
        with np.errstate(all="ignore"):
            value = node.primitive.evaluate(
                *[operand.value[()] for operand in operands], **node.params
            )
        return Constant(np.asarray(value, type_.dtype))
    rule = _ALGEBRA.get(node.primitive.name)
    return rule(node, operands, makers) if rule is not None else None


def _scalar(operand: Any, makers: dict[Variable, Node]) -> Any:
    """The number that a constant, or a broadcast constant, holds; else None."""
    while type(operand) is Variable:
        maker = makers.get(operand)
        if maker is None or maker.primitive.name not in ("broadcast_to", "reshape"):
            return None
        operand = maker.operands[0]
    return operand.value[()] if type(operand) is Constant else None


def is_number(operand: Any, number: float, makers: dict[Variable, Node]) -> bool:
    """Whether an operand is that number everywhere, the sign of zero included."""
    value = _scalar(operand, makers)
    if value is None or kind_of(value.dtype) not in "iuf":
        return False
    return bool(value == number and np.signbit(value) == np.signbit(number))


def _same_type(node: Node, operand: Any) -> bool:
    return bool(operand.type == node.results[0].type)


def _multiply(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    x, y = operands
    if is_number(y, 1.0, makers) and _same_type(node, x):
        return x
    if is_number(x, 1.0, makers) and _same_type(node, y):
        return y
    return None


def _divide(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    x, y = operands
    return x if is_number(y, 1.0, makers) and _same_type(node, x) else None


def _subtract(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    x, y = operands
    return x if is_number(y, 0.0, makers) and _same_type(node, x) else None


def _add(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    x, y = operands
    for zero, other in ((y, x), (x, y)):
        if is_number(zero, -0.0, makers) and _same_type(node, other):
            return other
        integral = node.results[0].type.dtype.kind in "iu"
        if integral and is_number(zero, 0, makers) and _same_type(node, other):
            return other
    return None


def _undone_by(name: str) -> Any:
    def rule(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
        maker = makers.get(operands[0]) if type(operands[0]) is Variable else None
        if maker is None or maker.primitive.name != name or node.params:
            return None
        return maker.operands[0] if _same_type(node, maker.operands[0]) else None

    return rule


def _identity_view(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    return operands[0] if _same_type(node, operands[0]) else None


def _reshape(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    operand = operands[0]
    while type(operand) is Variable:
        if _same_type(node, operand):
            return operand
        maker = makers.get(operand)
        if maker is None or maker.primitive.name != "reshape":
            return None
        operand = maker.operands[0]
    return operand if _same_type(node, operand) else None


def _transposed(node: Node, operands: tuple[Any, ...], makers: dict[Variable, Node]) -> Any:
    maker = makers.get(operands[0]) if type(operands[0]) is Variable else None
    if maker is None or maker.primitive.name != "transpose":
        return None
    inner, outer = maker.params["axes"], node.params["axes"]
    if tuple(inner[axis] for axis in outer) == tuple(range(len(inner))):
        return maker.operands[0]
    return None


_ALGEBRA: dict[str, Any] = {
    "multiply": _multiply,
    "divide": _divide,
    "subtract": _subtract,
    "add": _add,
    "negative": _undone_by("negative"),
    "logical_not": _undone_by("logical_not"),
    "positive": lambda node, operands, makers: operands[0],
    "broadcast_to": _identity_view,
    "reshape": _reshape,
    "transpose": _transposed,
}
