"""The numbers behind the pictures, without matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tracer import tree
from tracer.errors import ShapeError
from tracer.jit import jit
from tracer.trace import type_of
from tracer.transforms.gradient import grad, jvp
from tracer.transforms.vmap import vmap

Function = Callable[..., Any]
Array = np.ndarray[Any, Any]


class Landscape(NamedTuple):
    """A function over a plane: `value[j, i]` at `origin + first[i]·directions[0] +
    second[j]·directions[1]`; `path` has the coordinates of points in that plane, shape (steps, 2).
    """

    first: Array
    second: Array
    value: Array
    directions: Array
    path: Array
    names: tuple[str, str]


class Remainders(NamedTuple):
    """For each step h: |f(x + hv) − f(x)| and |f(x + hv) − f(x) − h f′(x) v|; the slope of the
    second on log axes where rounding does not yet rule (2 for a right derivative; infinite where
    the remainder is zero).
    """

    steps: Array
    constant: Array
    linear: Array
    slope: float


def landscape_values(
    f: Function,
    x: Any,
    *,
    path: Sequence[Any] = (),
    span: float | None = None,
    points: int = 81,
    seed: int = 0,
) -> Landscape:
    """f: pytree → scalar over the plane of its two parameters, or of two random directions.

    The plane goes through x. `path` is a sequence of pytrees as x: the plane is made wide enough to
    hold its projection; `span` is the half width otherwise (1 by default).
    """
    flat, unravel = tree.ravel(x)
    flat = np.asarray(flat, np.float64)
    if flat.size < 2:
        raise ShapeError(
            f"a landscape needs two parameters, x has {flat.size}: use plot.derivative"
        )
    if flat.size == 2:
        origin, directions, names = np.zeros(2), np.eye(2), ("parameter 0", "parameter 1")
    else:
        random = np.random.default_rng(seed).normal(size=(flat.size, 2))
        origin, directions = flat, np.linalg.qr(random)[0].T
        names = ("first direction", "second direction")
    places = [np.asarray(tree.ravel(place)[0], np.float64) for place in (x, *path)]
    walked = (np.array(places) - origin) @ directions.T
    low, high = walked.min(0), walked.max(0)
    margin = span if span is not None else max(0.25 * (high - low).max(), 1.0 if not path else 0.1)
    first, second = (np.linspace(low[k] - margin, high[k] + margin, points) for k in (0, 1))

    def at(u: Any, v: Any) -> Any:
        return f(unravel(origin + u * directions[0] + v * directions[1]))

    rows = jit(vmap(vmap(at, (0, None)), (None, 0)))
    value = np.asarray(rows(first, second))
    return Landscape(first, second, value, directions, walked[1:] if path else walked, names)


def descent(f: Function, x: Any, optimizer: Any, steps: int = 50) -> list[Any]:
    """The points that an optimiser of `tracer.optim` visits on f from x on, x first."""
    from tracer.optim import apply_updates

    slope = grad(f)

    def advance(place: Any, state: Any) -> Any:
        updates, state = optimizer.update(slope(place), state, place)
        return apply_updates(place, updates), state

    compiled = jit(advance)
    place, state, visited = x, optimizer.init(x), [x]
    for _ in range(steps):
        place, state = compiled(place, state)
        visited.append(place)
    return visited


def derivatives_on(f: Function, points: Array, order: int = 2) -> list[Array]:
    """f: scalar → scalar and its derivatives up to `order` at each of the points, shape (n,)."""
    values = []
    function = f
    for _ in range(order + 1):
        shape = type_of(function(points[0])).shape
        if shape != ():
            raise ShapeError(f"plot.derivative draws a function of one number; it gave {shape}")
        values.append(np.asarray(jit(vmap(function))(points)))
        function = _slope(function)
    return values


def _slope(function: Function) -> Function:
    return lambda x: jvp(function, (x,), (x * 0 + 1,))[1]


def taylor_remainders(f: Function, x: Any, direction: Any = None, *, seed: int = 0) -> Remainders:
    """The remainders of f: pytree → scalar at x along a direction (a random one by default).

    Steps are powers of two from 2⁻¹ to 2⁻²⁶.
    """
    flat, unravel = tree.ravel(x)
    flat = np.asarray(flat, np.float64)
    if direction is None:
        along = np.random.default_rng(seed).normal(size=flat.shape)
    else:
        along = np.asarray(tree.ravel(direction)[0], np.float64)
    along = along / max(float(np.linalg.norm(along)), np.finfo(np.float64).tiny)

    def line(h: Any) -> Any:
        return f(unravel(flat + h * along))

    value, slope = (np.asarray(part, np.float64) for part in jvp(line, (0.0,), (1.0,)))
    steps = 2.0 ** -np.arange(1, 27)
    there = np.array([np.asarray(line(h), np.float64) for h in steps])
    constant = np.abs(there - value)
    linear = np.abs(there - value - steps * slope)
    noise = 64 * np.finfo(np.float64).eps * max(abs(float(value)), float(constant.max()))
    clear = (linear > noise) & np.isfinite(linear)
    if clear.sum() < 2:
        return Remainders(steps, constant, linear, np.inf)
    # The smallest steps above the noise: there the next term of the series has died away.
    kept = np.flatnonzero(clear)[-6:]
    fitted = np.polyfit(np.log(steps[kept]), np.log(linear[kept]), 1)[0]
    return Remainders(steps, constant, linear, float(fitted))
