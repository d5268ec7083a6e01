"""Batching: a function of one example becomes a function of many, by a rule for each primitive."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer import tree
from tracer.errors import DerivativeError, ShapeError
from tracer.graph.build import build, build_closed, cached_by_graph
from tracer.graph.nodes import Graph, Variable
from tracer.primitives.broadcast import broadcast_to
from tracer.primitives.shape import move_axis
from tracer.source.host import follow_source
from tracer.trace import at_source, bind, snapshot, type_of
from tracer.types import RAGGED, ArrayType, normalize_axis


def batched_type(type_: ArrayType, size: int) -> ArrayType:
    """The type of a batched value: the batch axis is the first; in a tape, the first of its
    elements.
    """
    place = max((axis + 1 for axis, n in enumerate(type_.shape) if n == RAGGED), default=0)
    return ArrayType(type_.dtype, (*type_.shape[:place], size, *type_.shape[place:]))


def push_batch(
    graph: Graph, size: int, operands: Sequence[Any], batched: Sequence[bool]
) -> tuple[list[Any], list[bool]]:
    """Run the graph with batch axes in front of some operands; the outputs, and which are
    batched.
    """
    values: dict[Variable, tuple[Any, bool]] = {
        variable: (value, has)
        for variable, value, has in zip(graph.inputs, operands, batched, strict=True)
    }
    for variable, array in graph.constants:
        values[variable] = (array, False)
    for node in graph.nodes:
        pairs = [
            values[op] if type(op) is Variable else (op.value[()], False) for op in node.operands
        ]
        primals = [pair[0] for pair in pairs]
        flags = [pair[1] for pair in pairs]
        primitive = node.primitive
        with at_source(node.source):
            if not any(flags):
                out = bind(primitive, *primals, **node.params)
                out_flags: Sequence[bool] = (False,) * len(node.results)
            elif primitive.batch_rule is None:
                raise DerivativeError(f"{primitive.name} has no batching rule")
            elif primitive.multiple:
                out, out_flags = primitive.batch_rule(size, primals, flags, **node.params)
            else:
                out = primitive.batch_rule(size, primals, flags, **node.params)
                out_flags = (True,)
        rows = zip(node.results, out if primitive.multiple else (out,), out_flags, strict=True)
        for result, value, has in rows:
            values[result] = (value, has)
    ends = [
        values[output] if type(output) is Variable else (output.value[()], False)
        for output in graph.outputs
    ]
    return [end[0] for end in ends], [end[1] for end in ends]


@cached_by_graph
def batch_graph(
    graph: Graph, size: int, batched: tuple[bool, ...], wanted: tuple[bool, ...] | None = None
) -> tuple[Graph, tuple[bool, ...]]:
    """The graph on batched operands, and which outputs are batched (those `wanted` are in any
    case).
    """
    flags: list[bool] = []

    def function(*operands: Any) -> list[Any]:
        outputs, found = push_batch(graph, size, operands, batched)
        flags[:] = [has or want for has, want in zip(found, wanted or found, strict=True)]
        return [
            broadcast_to(value, (size, *value.shape)) if flag and not has else value
            for value, has, flag in zip(outputs, found, flags, strict=True)
        ]

    types = [
        batched_type(type_, size) if has else type_
        for type_, has in zip(graph.input_types, batched, strict=True)
    ]
    result = build_closed(function, types, f"batched_{graph.name}")
    return result, tuple(flags)


def _batch_size(leaves: Sequence[Any], axes: Sequence[Any], name: str) -> int:
    sizes = {}
    for position, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is not None:
            shape = type_of(leaf).shape
            if not shape:
                raise ShapeError(
                    f"vmap({name}): argument leaf {position} is a scalar and has no axis {axis}; "
                    "give it in_axes=None"
                )
            sizes[position] = shape[normalize_axis(axis, len(shape))]
    if not sizes:
        raise ShapeError(f"vmap({name}): in_axes must name an axis of at least one argument")
    if len(set(sizes.values())) > 1:
        raise ShapeError(f"vmap({name}): the mapped axes have different lengths: {sizes}")
    return next(iter(sizes.values()))


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """f over an axis of its arguments, without a loop.

    in_axes   an int, None (not mapped), or a pytree prefix of the arguments (a tuple, one entry an
    argument)
    out_axes  where the new axis stands in each result; None for results that do not depend on
    mapped arguments
    """
    name = getattr(f, "__name__", "function")

    @functools.wraps(f)
    def batched_function(*args: Any, **kwargs: Any) -> Any:
        leaves, form = tree.flatten((args, kwargs))
        prefix = tuple(in_axes) if isinstance(in_axes, list) else in_axes
        axes = [
            *tree.spread_prefix(prefix, args, "in_axes"),
            *([0] * len(tree.leaves(kwargs))),
        ]
        size = _batch_size(leaves, axes, name)
        operands = [
            leaf
            if axis is None
            else move_axis(_as_array(leaf), normalize_axis(axis, np.ndim(leaf)), 0)
            for leaf, axis in zip(leaves, axes, strict=True)
        ]
        batched = [axis is not None for axis in axes]
        types = [
            ArrayType(t.dtype, t.shape[1:]) if has else t
            for t, has in zip([type_of(o) for o in operands], batched, strict=True)
        ]
        weak = [type(leaf) in (bool, int, float, complex) for leaf in leaves]
        out_form: list[Any] = []

        def flat(*inputs: Any) -> Any:
            inner_args, inner_kwargs = tree.unflatten(form, inputs)
            results, structure = tree.flatten(follow_source(f)(*inner_args, **inner_kwargs))
            out_form.append(structure)
            return [snapshot(result) for result in results]

        graph, captured = build(flat, types, name, weak)
        every = [*[snapshot(o) for o in operands], *captured]
        flags = [*batched, *([False] * len(captured))]
        results, has = push_batch(graph, size, every, flags)
        return tree.unflatten(out_form[0], _place(results, has, size, out_axes, out_form[0]))

    return batched_function


def _as_array(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, (np.generic, list)) else leaf


def _place(
    results: Sequence[Any], batched: Sequence[bool], size: int, out_axes: Any, form: Any
) -> list[Any]:
    axes = tree.spread_prefix(out_axes, tree.unflatten(form, results), "out_axes")
    placed = []
    for value, has, axis in zip(results, batched, axes, strict=True):
        if axis is None:
            if has:
                raise ShapeError("out_axes=None for a result that depends on a mapped argument")
            placed.append(value)
            continue
        full = value if has else broadcast_to(value, (size, *value.shape))
        placed.append(move_axis(full, 0, normalize_axis(axis, full.ndim)))
    return placed
