"""Pytrees: nested tuples, lists, dicts, named tuples, dataclasses and registered classes
(optree).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from tracer.errors import StructureError
from tracer.types import ArrayType

NAMESPACE = "tracer"
Structure = optree.PyTreeSpec


def _register_dataclass(cls: type) -> None:
    fields = [field for field in dataclasses.fields(cls) if field.init]
    names = [field.name for field in fields if not field.metadata.get("static")]
    static = [field.name for field in fields if field.metadata.get("static")]

    def parts(instance: Any) -> tuple[list[Any], Any, list[str]]:
        kept = tuple([getattr(instance, name) for name in static])
        return [getattr(instance, name) for name in names], kept, names

    def whole(kept: Any, children: Any) -> Any:
        return cls(**dict(zip([*names, *static], [*children, *kept], strict=True)))

    optree.register_pytree_node(
        cls,
        parts,
        whole,
        namespace=NAMESPACE,
    )


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of a pytree, and its structure. None has no leaves. Dataclasses register
    themselves: fields with `metadata={"static": True}` belong to the structure.
    """
    leaves, structure = optree.tree_flatten(tree, namespace=NAMESPACE)
    for leaf in leaves:
        if dataclasses.is_dataclass(leaf):
            _register_dataclass(leaf if isinstance(leaf, type) else type(leaf))
            return flatten(tree)
    return leaves, structure


def unflatten(structure: Structure, leaves: Any) -> Any:
    """The pytree of that structure with those leaves."""
    return optree.tree_unflatten(structure, leaves)


def flatten_types(tree: Any) -> tuple[list[Any], Structure]:
    """As `flatten`, with `ArrayType`s as leaves."""
    leaves, structure = optree.tree_flatten(
        tree, is_leaf=lambda node: isinstance(node, ArrayType), namespace=NAMESPACE
    )
    return leaves, structure


def leaves_of_types(tree: Any) -> list[Any]:
    """The leaves of a pytree of types."""
    return flatten_types(tree)[0]


def leaves(tree: Any) -> list[Any]:
    """The leaves of a pytree, in order."""
    return flatten(tree)[0]


def structure(tree: Any) -> Structure:
    """The structure of a pytree."""
    return flatten(tree)[1]


def map(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """`function` applied to the leaves of one pytree, or of several that agree in structure."""
    first, form = flatten(tree)
    others = []
    for position, other in enumerate(rest, 1):
        items, other_form = flatten(other)
        if other_form != form:
            raise StructureError(f"pytree {position} has structure {other_form}, the first {form}")
        others.append(items)
    return unflatten(form, [function(*row) for row in zip(first, *others, strict=True)])


def spread_prefix(prefix: Any, tree: Any, what: str) -> list[Any]:
    """For each leaf of `tree`, the leaf of `prefix` above it; None in a prefix is a leaf, and in
    `tree` has none.
    """
    try:
        spread = optree.broadcast_prefix(prefix, tree, none_is_leaf=True, namespace=NAMESPACE)
    except ValueError as error:
        raise StructureError(
            f"{what} must be a prefix of the pytree it speaks of: {error}"
        ) from None
    below = optree.tree_leaves(tree, none_is_leaf=True, namespace=NAMESPACE)
    return [item for item, leaf in zip(spread, below, strict=True) if leaf is not None]


def ravel(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All leaves in one vector, and the function that makes the pytree from such a vector again."""
    from tracer.primitives.broadcast import reshape
    from tracer.primitives.pointwise import as_operand, converted
    from tracer.primitives.shape import concatenate
    from tracer.trace import type_of

    items, form = flatten(tree)
    shapes = [np.shape(item) for item in items]
    sizes = [int(np.prod(shape, dtype=np.int64)) for shape in shapes]
    bounds = np.cumsum([0, *sizes])

    def unravel(vector: Any) -> Any:
        parts = [
            reshape(vector[bounds[i] : bounds[i + 1]], shape) for i, shape in enumerate(shapes)
        ]
        return unflatten(form, parts)

    if not items:
        return np.zeros(0), unravel
    arrays = [as_operand(item) for item in items]
    dtype = np.result_type(*[type_of(array).dtype for array in arrays])
    flat = [
        reshape(converted(array, dtype), (size,)) for array, size in zip(arrays, sizes, strict=True)
    ]
    return concatenate(flat, 0), unravel
