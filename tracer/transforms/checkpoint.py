"""Recomputing instead of storing: by function, and by segments of a loop."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tracer import config, tree
from tracer.graph.build import build
from tracer.primitives.call import call
from tracer.primitives.shape import concatenate
from tracer.source.host import follow_source
from tracer.trace import is_tracer, snapshot, type_of
from tracer.transforms.simplify import simplify
from tracer.types import PYTHON_SCALARS


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, of which the adjoint stores the arguments only, and computes all else again.

    Nests. Arguments and results are pytrees of arrays.
    """

    @functools.wraps(f)
    def recomputed(*args: Any, **kwargs: Any) -> Any:
        read = follow_source(f)
        leaves, form = tree.flatten((args, kwargs))
        if not any(is_tracer(leaf) for leaf in leaves):
            result = read(*args, **kwargs)
            if not any(is_tracer(leaf) for leaf in tree.leaves(result)):
                return result  # else it closes over traced values, and is recomputed as well
        out_form: list[Any] = []

        def flat(*inputs: Any) -> list[Any]:
            inner_args, inner_kwargs = tree.unflatten(form, inputs)
            results, structure = tree.flatten(read(*inner_args, **inner_kwargs))
            out_form.append(structure)
            return [snapshot(result) for result in results]

        operands = [snapshot(leaf) for leaf in leaves]
        weak = [type(leaf) in PYTHON_SCALARS for leaf in leaves]
        types = [type_of(operand) for operand in operands]
        graph, captured = build(flat, types, getattr(f, "__name__", "checkpoint"), weak)
        outputs = call(simplify(graph), [*operands, *captured], config.get("backend"), "checkpoint")
        return tree.unflatten(out_form[0], outputs)

    return recomputed


def checkpointed_scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any,
    length: int,
    reverse: bool,
    mode: str,
) -> tuple[Any, Any]:
    """`scan` that stores little: "full" the carry of every step, "sqrt" that of every √n-th."""
    from tracer.control import scan

    if mode == "full" or length < 4:
        recomputed: tuple[Any, Any] = scan(checkpoint(f), init, xs, length, reverse)
        return recomputed
    segment = math.isqrt(length)
    count = length // segment
    body = tree.map(lambda x: x[: count * segment], xs)
    rest = tree.map(lambda x: x[count * segment :], xs)
    segments = tree.map(lambda x: x.reshape(count, segment, *x.shape[1:]), body)

    def one_segment(carry: Any, part: Any) -> tuple[Any, Any]:
        return scan(f, carry, part, segment, reverse)

    def whole(carry: Any) -> tuple[Any, Any]:
        carry, ys = scan(checkpoint(one_segment), carry, segments, count, reverse)
        joined = tree.map(lambda y: y.reshape(count * segment, *y.shape[2:]), ys)
        return carry, joined

    tail: Callable[..., tuple[Any, Any]] = checkpoint(
        lambda carry, part: scan(f, carry, part, length - count * segment, reverse)
    )

    if count * segment == length:
        return whole(init)
    if reverse:
        carry, last = tail(init, rest)
        carry, first = whole(carry)
    else:
        carry, first = whole(init)
        carry, last = tail(carry, rest)
    return carry, tree.map(lambda a, b: concatenate([a, b], 0), first, last)
