"""Minimisers that run wholly as traced loops: under `jit` nothing of Python remains in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tracer.numpy as tnp
from tracer import tree
from tracer.control import fori_loop, while_loop
from tracer.errors import DTypeError, ShapeError
from tracer.optim.line_search import Point, wolfe_search
from tracer.trace import type_of
from tracer.transforms.gradient import grad, jvp, value_and_grad
from tracer.types import kind_of

Function = Callable[..., Any]


class Minimum(NamedTuple):
    """What a minimiser found.

    `x` is a pytree as x0, `value` the function there, `gradient_norm` the largest entry of the
    gradient, `steps` and `evaluations` are counts, `converged` says that the gradient is below the
    tolerance; where it is False the steps ran out or no lower point was found.
    """

    x: Any
    value: Any
    gradient_norm: Any
    steps: Any
    evaluations: Any
    converged: Any


class _Progress(NamedTuple):
    point: Point
    memory: Any
    steps: Any
    evaluations: Any
    stuck: Any


Direction = Callable[[Point, Any], tuple[Any, Any]]
Remember = Callable[[Any, Point, Point], Any]


def _descend(
    f: Function,
    x0: Any,
    method: Callable[[Function, Any], tuple[Any, Direction, Remember]],
    tolerance: float,
    max_steps: int,
    curvature: float,
) -> Minimum:
    flat, unravel = tree.ravel(x0)
    if kind_of(type_of(flat).dtype) != "f":
        raise DTypeError(
            f"a minimiser moves real arrays; x0 has dtype {type_of(flat).dtype}: "
            "make its integers floats, and write complex numbers as two real ones"
        )

    def flat_function(x: Any) -> Any:
        value = f(unravel(x))
        if type_of(value).shape != ():
            raise ShapeError(
                f"a minimiser needs one number, the function returned {type_of(value)}"
            )
        return value

    value_and_gradient = value_and_grad(flat_function)
    memory, direction_of, remember = method(flat_function, flat)

    def pending(progress: _Progress) -> Any:
        norm = _norm(progress.point.gradient)
        return ~progress.stuck & ~(norm <= tolerance) & (progress.steps < max_steps)

    def advance(progress: _Progress) -> _Progress:
        point = progress.point
        direction, first = direction_of(point, progress.memory)
        found, lower, trials = wolfe_search(value_and_gradient, point, direction, first, curvature)
        return _Progress(
            found,
            remember(progress.memory, point, found),
            progress.steps + 1,
            progress.evaluations + trials,
            ~lower,
        )

    start = Point(flat, *value_and_gradient(flat))
    progress = while_loop(
        pending,
        advance,
        _Progress(start, memory, np.int64(0), np.int64(1), tnp.asarray(np.False_)),
    )
    norm = _norm(progress.point.gradient)
    return Minimum(
        unravel(progress.point.x),
        progress.point.value,
        norm,
        progress.steps,
        progress.evaluations,
        norm <= tolerance,
    )


def _norm(gradient: Any) -> Any:
    return tnp.max(tnp.abs(gradient), initial=0)


def gradient_descent(
    f: Function, x0: Any, *, tolerance: float = 1e-6, max_steps: int = 10_000
) -> Minimum:
    """The minimum of f: pytree → real scalar along its gradients, with a line search each step.

    Stops where no entry of the gradient exceeds `tolerance`. Raises DTypeError where x0 has other
    than real floating leaves.
    """

    def method(function: Function, x: Any) -> tuple[Any, Direction, Remember]:
        def direction(point: Point, step: Any) -> tuple[Any, Any]:
            return -point.gradient, step

        def remember(step: Any, old: Point, new: Point) -> Any:
            # Barzilai and Borwein's step (1988), the curvature along the last one, opens the next.
            moved, bent = new.x - old.x, new.gradient - old.gradient
            product = tnp.vdot(moved, bent)
            length = tnp.vdot(moved, moved) / tnp.where(product > 0, product, 1)
            return tnp.where(product > 0, length, step)

        return x.dtype.type(1), direction, remember

    return _descend(f, x0, method, tolerance, max_steps, 0.9)


def lbfgs(
    f: Function, x0: Any, *, history: int = 10, tolerance: float = 1e-8, max_steps: int = 1_000
) -> Minimum:
    """The minimum of f: pytree → real scalar by the limited-memory BFGS method.

    J. Nocedal, S. Wright, "Numerical Optimization", algorithm 7.4, with `history` pairs. Stops
    where no entry of the gradient exceeds `tolerance`. Raises DTypeError where x0 has other than
    real floating leaves.
    """
    if history < 1:
        raise ValueError(f"history must be at least 1, got {history}")

    def method(function: Function, x: Any) -> tuple[Any, Direction, Remember]:
        empty = np.zeros((history, x.shape[0]), x.dtype)
        none = np.zeros(history, x.dtype)

        def direction(point: Point, memory: Any) -> tuple[Any, Any]:
            step = -_two_loops(point.gradient, *memory)
            # The first step has no curvature to go by: it is made of length 1 at most.
            length = tnp.sqrt(tnp.vdot(step, step))
            fresh = memory[2][history - 1] == 0
            return step, tnp.where(fresh, 1 / tnp.maximum(length, 1), 1)

        def remember(memory: Any, old: Point, new: Point) -> Any:
            moved, bent = new.x - old.x, new.gradient - old.gradient
            product = tnp.vdot(moved, bent)
            keep = product > 0
            inverse = tnp.where(keep, 1 / tnp.where(keep, product, 1), 0)
            pushed = (moved, bent, inverse)
            return tuple(
                tnp.where(keep, tnp.concatenate([rows[1:], row[None]]), rows)
                for rows, row in zip(memory, pushed, strict=True)
            )

        return (empty, empty, none), direction, remember

    return _descend(f, x0, method, tolerance, max_steps, 0.9)


def _two_loops(gradient: Any, moved: Any, bent: Any, inverse: Any) -> Any:
    """The inverse Hessian's estimate times the gradient; pairs with inverse 0 are not there yet."""
    history = moved.shape[0]

    def backward(turn: Any, carry: Any) -> Any:
        vector, weights = carry
        k = history - 1 - turn
        weight = inverse[k] * tnp.vdot(moved[k], vector)
        return vector - weight * bent[k], weights.at[k].set(weight)

    def forward(k: Any, vector: Any) -> Any:
        return vector + moved[k] * (weights[k] - inverse[k] * tnp.vdot(bent[k], vector))

    weights = tnp.zeros(history, gradient.dtype) + 0 * gradient[:1].sum()
    vector, weights = fori_loop(0, history, backward, (gradient, weights))
    newest = tnp.vdot(bent[-1], bent[-1]) * inverse[-1]
    vector = vector * tnp.where(newest > 0, 1 / tnp.where(newest > 0, newest, 1), 1)
    return fori_loop(0, history, forward, vector)


def newton_cg(f: Function, x0: Any, *, tolerance: float = 1e-8, max_steps: int = 200) -> Minimum:
    """The minimum of f: pytree → real scalar by Newton's method, its systems solved by conjugate
    gradients on Hessian-vector products.

    J. Nocedal, S. Wright, "Numerical Optimization", algorithm 7.1 (line search Newton–CG). Stops
    where no entry of the gradient exceeds `tolerance`. Raises DTypeError where x0 has other than
    real floating leaves.
    """

    def method(function: Function, x: Any) -> tuple[Any, Direction, Remember]:
        def direction(point: Point, memory: Any) -> tuple[Any, Any]:
            def product(vector: Any) -> Any:
                return jvp(grad(function), (point.x,), (vector,))[1]

            return _truncated(product, point.gradient), x.dtype.type(1)

        return (), direction, lambda memory, old, new: memory

    return _descend(f, x0, method, tolerance, max_steps, 0.9)


def _truncated(product: Function, gradient: Any) -> Any:
    """An approximate solution d of H d = −g, stopped early or where the curvature is negative."""
    norm = tnp.sqrt(tnp.vdot(gradient, gradient))
    enough = tnp.minimum(0.5, tnp.sqrt(norm)) * norm
    limit = 2 * gradient.shape[0]

    def pending(state: Any) -> Any:
        _, residual, _, turns, negative = state
        left = tnp.sqrt(tnp.vdot(residual, residual)) > enough
        return left & ~negative & (turns < limit)

    def advance(state: Any) -> Any:
        d, residual, search, turns, _ = state
        image = product(search)
        curvature = tnp.vdot(search, image)
        negative = curvature <= 0
        square = tnp.vdot(residual, residual)
        alpha = square / tnp.where(negative, 1, curvature)
        left = residual + alpha * image
        onward = -left + (tnp.vdot(left, left) / square) * search
        # Where the first direction bends down already, it is the direction.
        stop = tnp.where(turns == 0, search, d)
        return tnp.where(negative, stop, d + alpha * search), left, onward, turns + 1, negative

    start = (0 * gradient, gradient, -gradient, np.int64(0), tnp.asarray(np.False_))
    return while_loop(pending, advance, start)[0]
