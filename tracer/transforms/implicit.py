"""Derivatives by the implicit function theorem: linear_solve, root, fixed_point.

What solves the equation is not differentiated: at a solution x of F(x, θ) = 0,
∂F/∂x · dx = −∂F/∂θ · dθ, a linear system that gives both modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer import tree
from tracer.control import fori_loop, while_loop
from tracer.errors import BackendError, ShapeError, StructureError
from tracer.graph.build import build
from tracer.graph.evaluate import evaluate
from tracer.graph.nodes import Graph
from tracer.primitives.arithmetic import absolute
from tracer.primitives.broadcast import reduce_sum, reshape
from tracer.primitives.cast import real_part
from tracer.primitives.comparison import logical_and, select
from tracer.primitives.contract import dot_general
from tracer.primitives.custom import Rules, custom_jvp_p
from tracer.primitives.index import gather, scatter
from tracer.primitives.reduce import argmax, reduce_max
from tracer.primitives.shape import concatenate, iota, slice_axis
from tracer.primitives.solve import Solver, solve
from tracer.trace import bind, snapshot, type_of
from tracer.transforms.gradient import jvp
from tracer.transforms.jacobian import jacfwd
from tracer.transforms.vmap import vmap
from tracer.types import INT64, is_inexact, real_dtype

Function = Callable[..., Any]


def dense_solve(matrix: Any, right: Any) -> Any:
    """x of `matrix @ x = right` by Gaussian elimination with row exchanges; shapes (n, n), (n,)."""
    n = right.shape[0]
    rows = iota(n, INT64)
    table = concatenate([matrix, reshape(right, (n, 1))], 1)

    def eliminate(k: Any, table: Any) -> Any:
        column = gather(table, [k], (1,))
        candidates = select(rows >= k, absolute(column), real_dtype(column.dtype).type(-1))
        pivot = argmax(candidates, 0)
        upper, lower = gather(table, [pivot], (0,)), gather(table, [k], (0,))
        table = scatter(table, lower, [pivot], (0,), "set", unique=True)
        table = scatter(table, upper, [k], (0,), "set", unique=True)
        factors = gather(table, [k], (1,)) / gather(upper, [k], (0,))
        factors = select(rows > k, factors, factors.dtype.type(0))
        return table - reshape(factors, (n, 1)) * reshape(upper, (1, n + 1))

    def substitute(step: Any, x: Any) -> Any:
        k = n - 1 - step
        row = gather(reduced, [k], (0,))
        known = reduce_sum(slice_axis(row, 0, 0, n) * x, (0,))
        value = (gather(row, [np.int64(n)], (0,)) - known) / gather(row, [k], (0,))
        return scatter(x, value, [k], (0,), "set", unique=True)

    reduced = fori_loop(0, n, eliminate, table)
    return fori_loop(0, n, substitute, right * right.dtype.type(0))


def _flat_solver(matvec: Function, b: list[Any]) -> list[Any]:
    """Any size of system as one dense matrix, built column by column in one batch."""
    vector, unravel = tree.ravel(b)

    def product(flat: Any) -> Any:
        return tree.ravel(matvec(unravel(flat)))[0]

    identity = np.eye(vector.shape[0], dtype=vector.dtype)
    matrix = vmap(product, out_axes=1)(identity)
    return list(unravel(dense_solve(matrix, vector)))


def _dot(first: list[Any], second: list[Any]) -> Any:
    total: Any = None
    for a, b in zip(first, second, strict=True):
        every = tuple(range(a.ndim))
        part = dot_general(a, b, (every, every)) if every else a * b
        total = part if total is None else total + part
    return total


def conjugate_gradients(tolerance: float = 1e-12, max_steps: int | None = None) -> Function:
    """A solver for symmetric positive definite systems, matrix-free; stops at the relative residual
    `tolerance`, or after `max_steps` (by default ten times the number of unknowns)."""

    def solver(matvec: Function, b: list[Any]) -> list[Any]:
        limit = max_steps or 10 * sum(type_of(part).size for part in b)
        scale = _dot(b, b)
        start = [part * type_of(part).dtype.type(0) for part in b]

        def unfinished(state: Any) -> Any:
            return logical_and(state[3] > tolerance**2 * scale, state[4] < limit)

        def step(state: Any) -> Any:
            x, residual, direction, square, count = state
            image = matvec(direction)
            alpha = square / _dot(direction, image)
            x = [a + alpha * d for a, d in zip(x, direction, strict=True)]
            residual = [r - alpha * i for r, i in zip(residual, image, strict=True)]
            following = _dot(residual, residual)
            ratio = following / square
            direction = [r + ratio * d for r, d in zip(residual, direction, strict=True)]
            return x, residual, direction, following, count + 1

        return list(while_loop(unfinished, step, (start, list(b), list(b), scale, 0))[0])

    return solver


def linear_solve(
    matvec: Function, b: Any, solve_with: Function | None = None, *, symmetric: bool = False
) -> Any:
    """x with `matvec(x) = b`, where matvec is linear; x and b are pytrees of one structure.

    Differentiates in both modes with respect to b and all that matvec closes over, by solving the
    system again with another right-hand side, transposed in reverse mode. `solve_with(matvec, b)`
    solves it on lists of arrays; by default a dense matrix is built and eliminated. Try
    `conjugate_gradients()` for large symmetric positive definite systems.
    """
    leaves, form = tree.flatten(b)
    leaves = [snapshot(leaf) for leaf in leaves]
    types = [type_of(leaf) for leaf in leaves]

    def flat(*x: Any) -> list[Any]:
        image, found = tree.flatten(matvec(tree.unflatten(form, x)))
        if found != form:
            raise StructureError(f"matvec returns {found} for an x of {form}")
        return [snapshot(leaf) for leaf in image]

    system, captured = build(flat, types, getattr(matvec, "__name__", "matvec"))
    if system.output_types != tuple(types):
        raise ShapeError(
            f"matvec turns {', '.join(map(str, types))} into "
            f"{', '.join(map(str, system.output_types))}; a system is square"
        )
    solver = Solver("dense", solve_with or _flat_solver, symmetric)
    return tree.unflatten(form, solve(captured, leaves, system, solver))


def newton(tolerance: float = 1e-12, max_steps: int = 50) -> Function:
    """Newton's method with a dense Jacobian and halved steps; for `root`.

    Stops when no component of f is larger than `tolerance`, or after `max_steps`.
    """

    def solver(f: Function, x0: Any) -> Any:
        start, unravel = tree.ravel(x0)

        def residual(x: Any) -> Any:
            return tree.ravel(f(unravel(x)))[0]

        def size(value: Any) -> Any:
            return reduce_max(absolute(value), (0,))

        def unfinished(state: Any) -> Any:
            return logical_and(size(state[1]) > tolerance, state[2] < max_steps)

        def step(state: Any) -> Any:
            x, value, count = state
            direction = dense_solve(jacfwd(residual)(x), value)

            def too_long(trial: Any) -> Any:
                smaller = size(residual(x - trial[0] * direction)) < size(value)
                return logical_and(~smaller, trial[1] < 30)

            def halve(trial: Any) -> Any:
                return trial[0] * 0.5, trial[1] + 1

            length = while_loop(too_long, halve, (value.dtype.type(1), 0))[0]
            following = x - length * direction
            return following, residual(following), count + 1

        return unravel(while_loop(unfinished, step, (start, residual(start), 0))[0])

    return solver


def root(f: Function, x0: Any, solver: Function | None = None) -> Any:
    """x with f(x) = 0 near `x0`, a pytree; f returns one of the same structure and shapes.

    Differentiates in both modes with respect to all that f closes over, by the implicit function
    theorem; the derivative with respect to x0 is 0. `solver(f, x0)` finds the root (`newton()` by
    default), and may be a loop of any kind.
    """
    leaves, form = tree.flatten(x0)
    leaves = [_floating(snapshot(leaf)) for leaf in leaves]
    types = [type_of(leaf) for leaf in leaves]

    def flat(*x: Any) -> list[Any]:
        image, found = tree.flatten(f(tree.unflatten(form, x)))
        if found != form:
            raise StructureError(f"root: f returns {found} for an x of {form}")
        return [snapshot(leaf) for leaf in image]

    graph, captured = build(flat, types, getattr(f, "__name__", "f"))
    if graph.output_types != tuple(types):
        raise ShapeError(
            f"root: f turns {', '.join(map(str, types))} into "
            f"{', '.join(map(str, graph.output_types))}; as many equations as unknowns are due"
        )
    return tree.unflatten(form, _root(graph, leaves, captured, form, solver or newton()))


def _floating(leaf: Any) -> Any:
    return leaf if is_inexact(leaf.dtype) else np.asarray(leaf, np.float64)[()]


def _root(graph: Graph, x0: list[Any], constants: list[Any], form: Any, solver: Function) -> Any:
    count = len(x0)

    def at(parameters: Any) -> Function:
        def f(x: Any) -> Any:
            return tree.unflatten(form, evaluate(graph, [*tree.leaves(x), *parameters]))

        return f

    def flat(*operands: Any) -> list[Any]:
        x = solver(at(operands[count:]), tree.unflatten(form, operands[:count]))
        return [snapshot(leaf) for leaf in tree.leaves(x)]

    types = [*[type_of(leaf) for leaf in x0], *[type_of(value) for value in constants]]
    solution, outer = build(flat, types, f"root_{graph.name}")
    if outer:
        raise BackendError("the solver of root closes over traced values; let f close over them")

    def rule(primals: Any, tangents: Any, x: Any) -> Any:
        parameters, moved = primals[count:], tangents[count:]

        def residual(*values: Any) -> list[Any]:
            return evaluate(graph, [*x, *values])

        right = jvp(residual, parameters, moved)[1] if parameters else None
        if right is None:
            return [value * 0 for value in x]

        def product(direction: Any) -> Any:
            return jvp(lambda *v: evaluate(graph, [*v, *parameters]), x, direction)[1]

        return linear_solve(product, [-part for part in right])

    form_in = tree.structure(tuple(range(len(types))))
    form_out = tree.structure([0] * count)
    rules = Rules(
        f"root of {graph.name}", form_in, form_out, len(types), (rule,), given_result=True
    )
    return bind(custom_jvp_p, *x0, *constants, graph=solution, rules=rules)


def fixed_point(
    f: Function,
    x0: Any,
    solver: Function | None = None,
    *,
    tolerance: float = 1e-12,
    max_steps: int = 10_000,
) -> Any:
    """x with f(x) = x, by iterating f from `x0` until no component changes by more than `tolerance`
    relative to its size, or `max_steps` are made. Differentiates as `root` of f(x) − x does.
    """

    def residual(x: Any) -> Any:
        return tree.map(lambda a, b: a - b, f(x), x)

    def iterate(g: Function, start: Any) -> Any:
        def unfinished(state: Any) -> Any:
            return logical_and(state[1] > tolerance, state[2] < max_steps)

        def step(state: Any) -> Any:
            x, _, count = state
            change = g(x)
            following = tree.map(lambda a, b: a + b, x, change)
            sizes = [
                reduce_max(reshape(absolute(c) / (absolute(a) + 1), (type_of(c).size,)), (0,))
                for c, a in zip(tree.leaves(change), tree.leaves(following), strict=True)
            ]
            largest = sizes[0]
            for other in sizes[1:]:
                largest = select(other > largest, other, largest)
            return following, real_part(largest), count + 1

        return while_loop(unfinished, step, (start, np.inf, 0))[0]

    residual.__name__ = getattr(f, "__name__", "f")
    return root(residual, x0, solver or iterate)
