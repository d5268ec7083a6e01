"""Jacobians and Hessians: the linear map of the derivative, batched over a basis."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tracer import tree
from tracer.source.host import follow_source
from tracer.trace import type_of
from tracer.transforms.gradient import ArgNums, jvp, linearize, positions, vjp
from tracer.transforms.gradient import grad as gradient_of
from tracer.transforms.vmap import vmap


def _basis(leaves: Any) -> list[Any]:
    """For each leaf the part of the identity matrix that belongs to it: (total, *shape of the
    leaf).
    """
    types = [type_of(leaf) for leaf in leaves]
    total = sum(type_.size for type_ in types)
    parts = []
    begin = 0
    for type_ in types:
        part = np.zeros((total, type_.size), type_.dtype)
        part[begin : begin + type_.size] = np.eye(type_.size, dtype=type_.dtype)
        parts.append(part.reshape((total, *type_.shape)))
        begin += type_.size
    return parts


def _chosen(f: Callable[..., Any], argnums: ArgNums, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """f as a function of the chosen arguments alone, and these."""
    places = positions(argnums, len(args))

    def partial(*parts: Any) -> Any:
        full = list(args)
        for place, part in zip(places, parts, strict=True):
            full[place] = part
        return follow_source(f)(*full, **kwargs)

    partial.__name__ = getattr(f, "__name__", "function")
    return partial, tuple(args[place] for place in places)


def _unpack(argnums: ArgNums, per_argument: Any) -> Any:
    return per_argument[0] if isinstance(argnums, (int, np.integer)) else per_argument


def jacfwd(f: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The Jacobian by forward mode: for each result of shape r and argument of shape a, an array r
    + a.

    Cheapest where the results are more than the arguments. All columns are pushed forward in one
    batch.
    """

    @functools.wraps(f)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        partial, parts = _chosen(f, argnums, args, kwargs)
        leaves, form = tree.flatten(parts)
        pushforward = linearize(partial, *parts)[1]
        columns = vmap(lambda *t: pushforward(*tree.unflatten(form, t)), out_axes=-1)(
            *_basis(leaves)
        )
        types = [type_of(leaf) for leaf in leaves]

        def split(column: Any) -> Any:
            blocks = []
            begin = 0
            for type_ in types:
                block = column[..., begin : begin + type_.size]
                blocks.append(block.reshape((*column.shape[:-1], *type_.shape)))
                begin += type_.size
            return _unpack(argnums, tree.unflatten(form, blocks))

        return tree.map(split, columns)

    return jacobian


def jacrev(f: Callable[..., Any], argnums: ArgNums = 0) -> Callable[..., Any]:
    """The Jacobian by reverse mode: for each result of shape r and argument of shape a, an array r
    + a.

    Cheapest where the arguments are more than the results. All rows are pulled back in one batch.
    """

    @functools.wraps(f)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        partial, parts = _chosen(f, argnums, args, kwargs)
        out, pullback = vjp(partial, *parts)
        leaves, form = tree.flatten(out)
        rows = vmap(lambda *ct: pullback(tree.unflatten(form, ct)))(*_basis(leaves))
        blocks: list[Any] = []
        begin = 0
        for type_ in (type_of(leaf) for leaf in leaves):
            end = begin + type_.size
            block = tree.map(
                lambda row, begin=begin, end=end, type_=type_: row[begin:end].reshape(
                    (*type_.shape, *row.shape[1:])
                ),
                rows,
            )
            blocks.append(_unpack(argnums, block))
            begin = end
        return tree.unflatten(form, blocks)

    return jacobian


def jacobian(
    f: Callable[..., Any], argnums: ArgNums = 0, *, sparse: bool = False
) -> Callable[..., Any]:
    """The Jacobian by the cheaper of the two modes, judged from the shapes.

    With `sparse` it is a `scipy.sparse.csr_array` (elements of the result, elements of the
    argument), both in C order, pytrees raveled; f returns one array; a tuple `argnums` gives a
    tuple of them. The pattern comes from the graph, its columns or rows are coloured, and one
    batched pass has as many products as there are colours. Pattern and colouring are kept with f;
    a function that is not jitted is traced at each call to see that they still hold. Raises
    NonScalarOutputError, UnsupportedFunctionError inside of a trace.
    """
    if sparse:
        from tracer.transforms.sparse import sparse_jacobian

        return sparse_jacobian(f, argnums)
    forward, reverse = jacfwd(f, argnums), jacrev(f, argnums)

    @functools.wraps(f)
    def jacobian_of(*args: Any, **kwargs: Any) -> Any:
        partial, parts = _chosen(f, argnums, args, kwargs)
        from tracer.jit import make_graph

        inputs = sum(type_of(leaf).size for leaf in tree.leaves(parts))
        outputs = sum(type_.size for type_ in make_graph(partial)(*parts).output_types)
        return (forward if inputs <= outputs else reverse)(*args, **kwargs)

    return jacobian_of


def hessian(
    f: Callable[..., Any], argnums: ArgNums = 0, *, sparse: bool = False
) -> Callable[..., Any]:
    """The second derivatives: forward over reverse. For a scalar f of shape-a arguments, arrays a
    + a.

    With `sparse` it is a symmetric `scipy.sparse.csr_array` over the elements of the argument, by a
    star colouring of its pattern: see `jacobian`. A tuple `argnums` gives a tuple of tuples.
    """
    if sparse:
        from tracer.transforms.sparse import sparse_hessian

        return sparse_hessian(f, argnums)
    return jacfwd(jacrev(f, argnums), argnums)


def hvp(f: Callable[..., Any], primals: Any, vectors: Any) -> Any:
    """The Hessian of a scalar function times `vectors` (shaped as primals), without the Hessian.

    Returns a tuple, one entry a primal.
    """
    numbers = tuple(range(len(primals)))
    return jvp(gradient_of(f, numbers), primals, vectors)[1]


def elementwise_grad(f: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The derivative of each result element with respect to its own argument element.

    Right for functions that act element by element (also after broadcasting): it is the sum of
    each column.
    """

    @functools.wraps(f)
    def derivative(*args: Any, **kwargs: Any) -> Any:
        partial, parts = _chosen(f, argnums, args, kwargs)
        out, pullback = vjp(partial, *parts)
        ones = tree.map(lambda leaf: np.ones(np.shape(leaf), type_of(leaf).dtype)[()], out)
        return pullback(ones)[0]

    return derivative
