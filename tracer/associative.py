"""All prefixes of an associative operation, in log₂(n) rounds of array operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracer import tree
from tracer.primitives.broadcast import reshape
from tracer.primitives.shape import concatenate, flip, move_axis, slice_axis, take_slice
from tracer.source.host import follow_source
from tracer.trace import snapshot, type_of


def _leaf(value: Any) -> Any:
    type_of(value)
    return snapshot(value)


def associative_scan(
    f: Callable[[Any, Any], Any], xs: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes of `xs` combined by an associative `f`, which acts on whole arrays along `axis`.

    log₂(n) rounds of array operations; f is called on pytrees of slices.
    """
    leaves, form = tree.flatten(xs)
    if not leaves:
        return xs
    f = follow_source(f)
    moved = [move_axis(_leaf(leaf), axis % type_of(leaf).ndim, 0) for leaf in leaves]
    if reverse:
        moved = [flip(leaf, (0,)) for leaf in moved]

    def combine(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
        return tree.leaves(f(tree.unflatten(form, first), tree.unflatten(form, second)))

    result = _prefixes(combine, moved)
    if reverse:
        result = [flip(leaf, (0,)) for leaf in result]
    return tree.unflatten(form, [move_axis(leaf, 0, axis % leaf.ndim) for leaf in result])


def _every_other(value: Any, start: int, stop: int) -> Any:
    rest = value.ndim - 1
    return take_slice(value, (start, *(0,) * rest), (stop, *value.shape[1:]), (2, *(1,) * rest))


def _prefixes(combine: Callable[[Any, Any], list[Any]], leaves: list[Any]) -> list[Any]:
    length = leaves[0].shape[0]
    if length < 2:
        return leaves
    even = [_every_other(leaf, 0, length - 1) for leaf in leaves]
    odd = [_every_other(leaf, 1, length) for leaf in leaves]
    odd_prefixes = _prefixes(combine, combine(even, odd))
    pairs = (length - 1) // 2
    later_even = [_every_other(leaf, 2, length) for leaf in leaves]
    even_prefixes = combine([slice_axis(leaf, 0, 0, pairs) for leaf in odd_prefixes], later_even)
    result = []
    for leaf, evens, odds in zip(leaves, even_prefixes, odd_prefixes, strict=True):
        all_even = (
            concatenate([slice_axis(leaf, 0, 0, 1), evens], 0)
            if pairs
            else slice_axis(leaf, 0, 0, 1)
        )
        result.append(_interleaved(all_even, odds, length))
    return result


def _interleaved(even: Any, odd: Any, length: int) -> Any:
    half = length // 2
    first = slice_axis(even, 0, 0, half)
    shape = (half, 1, *even.shape[1:])
    both = concatenate([reshape(first, shape), reshape(odd, shape)], 1)
    joined = reshape(both, (2 * half, *even.shape[1:]))
    return (
        joined if length % 2 == 0 else concatenate([joined, slice_axis(even, 0, half, half + 1)], 0)
    )
