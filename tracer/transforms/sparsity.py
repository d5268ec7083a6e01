"""Which element of a graph's outputs depends on which element of its inputs, from the graph alone.

Each value carries a `Pattern`: a boolean sparse matrix with a row for each of its elements and a
column for each independent variable. A kind of primitive has one rule, which is an operation on
such matrices: rows are taken, joined or united, so the cost is linear in the size of the result. No
value is probed. A pattern may hold more than the true one, never less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from tracer.graph.nodes import Graph, Node, Variable
from tracer.types import RAGGED, ArrayType, Shape, is_inexact

Array = np.ndarray[Any, np.dtype[Any]]
Rows = Any  # a boolean csr_array


@dataclass(frozen=True)
class Pattern:
    """What is known of a value before the run.

    shape     its shape; of a tape one element stands for all
    rows      (elements, independent variables), or None where it depends on none
    value     the value itself, where it is constant
    nonzero   which elements can be other than 0, flat; None: any
    """

    shape: Shape
    rows: Rows | None = None
    value: Array | None = None
    nonzero: Array | None = None

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


def known(value: Any) -> Pattern:
    """The pattern of a constant."""
    array = np.asarray(value)
    nonzero = (array != 0).ravel()
    return Pattern(array.shape, None, array, None if nonzero.all() else nonzero)


def solid(shape: Shape) -> Shape:
    """A shape without the axes of tapes."""
    return tuple(extent for extent in shape if extent != RAGGED)


def independent(type_: ArrayType) -> Pattern:
    """The pattern of a value that depends on nothing, and is not known."""
    return Pattern(solid(type_.shape))


def united(first: Rows | None, second: Rows | None) -> Rows | None:
    """The union of two sets of dependences."""
    if first is None or second is None or first is second:
        return second if first is None else first
    return first + second


def chosen(rows: Rows, places: Array) -> Rows:
    """Some of the rows, in that order, repeated where a place is."""
    return rows[places]


def gathered(rows: Rows, targets: Array, sources: Array, size: int) -> Rows:
    """Row `targets[k]` of the result holds row `sources[k]`, for all k."""
    ones = np.ones(len(targets), bool)
    matrix = sparse.csr_array((ones, (targets, sources)), shape=(size, rows.shape[0]))
    return matrix @ rows


def masked(rows: Rows, keep: Array | None) -> Rows:
    """The rows that `keep` names; the others empty."""
    if keep is None or keep.all():
        return rows
    places = np.flatnonzero(keep)
    return gathered(rows, places, places, rows.shape[0])


def everything(operands: Sequence[Pattern], types: Sequence[ArrayType]) -> list[Pattern]:
    """Results that depend on all that any operand depends on."""
    found = [operand.rows for operand in operands if operand.rows is not None]
    if not found:
        return [independent(type_) for type_ in types]
    whole = sparse.csr_array(sparse.vstack(found).sum(axis=0, dtype=np.int64)[None] > 0)
    results = []
    for type_ in types:
        shape = solid(type_.shape)
        rows = chosen(whole, np.zeros(math.prod(shape), np.int64))
        results.append(Pattern(shape, rows) if is_inexact(type_.dtype) else Pattern(shape))
    return results


def joined(operands: Sequence[Pattern]) -> tuple[Rows | None, Array | None]:
    """The rows, and the masks, of several values one after the other."""
    columns = next((op.rows.shape[1] for op in operands if op.rows is not None), None)
    rows = None
    if columns is not None:
        parts = [
            sparse.csr_array((op.size, columns), dtype=bool) if op.rows is None else op.rows
            for op in operands
        ]
        rows = sparse.vstack(parts, format="csr")
    if all(op.nonzero is None for op in operands):
        return rows, None
    masks = [np.ones(op.size, bool) if op.nonzero is None else op.nonzero for op in operands]
    return rows, np.concatenate(masks)


def rearranged(operands: Sequence[Pattern], move: Callable[..., Any]) -> Pattern:
    """The pattern of what only moves elements: `move` is applied to their numbers."""
    bounds = np.cumsum([0, *(operand.size for operand in operands)])
    numbers = [
        np.arange(begin, begin + operand.size).reshape(operand.shape)
        for begin, operand in zip(bounds, operands, strict=False)
    ]
    places = np.asarray(move(*numbers))
    rows, nonzero = joined(operands)
    flat = places.ravel()
    return Pattern(
        places.shape,
        None if rows is None else chosen(rows, flat),
        None,
        None if nonzero is None else nonzero[flat],
    )


def propagate(graph: Graph, inputs: Sequence[Pattern]) -> list[Pattern]:
    """The patterns of the outputs for those of the inputs."""
    from tracer.transforms.sparsity_rules import node_patterns

    values: dict[Variable, Pattern] = dict(zip(graph.inputs, inputs, strict=True))
    values.update((variable, known(array)) for variable, array in graph.constants)

    def pattern(operand: Any) -> Pattern:
        return values[operand] if type(operand) is Variable else known(operand.value)

    last_use = _last_uses(graph)
    for position, node in enumerate(graph.nodes):
        results = node_patterns(node, [pattern(operand) for operand in node.operands])
        values.update(zip(node.results, results, strict=True))
        for dead in last_use.get(position, ()):
            del values[dead]
    return [pattern(output) for output in graph.outputs]


def _last_uses(graph: Graph) -> dict[int, list[Variable]]:
    last: dict[Variable, int] = {}
    for position, node in enumerate(graph.nodes):
        last.update((op, position) for op in node.operands if type(op) is Variable)
    result: dict[int, list[Variable]] = {}
    for variable in set(last) - set(graph.outputs):
        result.setdefault(last[variable], []).append(variable)
    return result


def dependence(graph: Graph, active: Sequence[bool]) -> list[Rows]:
    """For each output the matrix (elements of the output, elements of the active inputs)."""
    types = graph.input_types
    columns = sum(t.size for t, wanted in zip(types, active, strict=True) if wanted)
    inputs = []
    begin = 0
    for type_, wanted in zip(types, active, strict=True):
        if not wanted:
            inputs.append(independent(type_))
            continue
        identity = sparse.eye_array(type_.size, columns, k=begin, format="csr", dtype=bool)
        inputs.append(Pattern(type_.shape, identity))
        begin += type_.size
    outputs = propagate(graph, inputs)
    return [
        sparse.csr_array((output.size, columns), dtype=bool)
        if output.rows is None
        else canonical(output.rows)
        for output in outputs
    ]


def canonical(rows: Rows) -> Rows:
    """Columns sorted, none twice, no entry that is false."""
    rows = sparse.csr_array(rows)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    rows.sort_indices()
    return rows


def node_name(node: Node) -> str:
    """What the node computes, as data of its primitive says: the scalar operation or kernel."""
    lowering = node.primitive.lowering
    return "" if lowering is None else lowering.operation
