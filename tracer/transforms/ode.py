"""Ordinary differential equations: Dormand and Prince's method of order 5(4), with dense output.

The coefficients are those of J. R. Dormand and P. J. Prince, "A family of embedded Runge-Kutta
formulae", J. Comp. Appl. Math. 6 (1980); the interpolant of order 4 is that of Hairer, Nørsett and
Wanner, "Solving Ordinary Differential Equations I", section II.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer import tree
from tracer.control import scan, while_loop
from tracer.errors import ShapeError, StructureError
from tracer.primitives.arithmetic import absolute, maximum, minimum, power
from tracer.primitives.broadcast import reduce_sum
from tracer.primitives.comparison import logical_and, logical_not, select
from tracer.primitives.custom import stop_gradient_p
from tracer.primitives.shape import concatenate, flip, slice_axis
from tracer.trace import bind, is_tracer, type_of
from tracer.transforms.custom import custom_vjp
from tracer.transforms.gradient import vjp
from tracer.types import is_inexact

Function = Callable[..., Any]

NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
DENSE = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)


def _weighted(slopes: list[Any], weights: tuple[float, ...]) -> Any:
    total: Any = None
    for slope, weight in zip(slopes, weights, strict=False):
        if weight:
            term = slope * weight
            total = term if total is None else total + term
    return total


def _constant(x: Any) -> Any:
    """`x` as a number of which no derivative is taken: the choice of steps is not
    differentiated.
    """
    return bind(stop_gradient_p, x) if is_tracer(x) else x


def _step(f: Function, y: Any, slope: Any, t: Any, h: Any) -> tuple[Any, Any, Any, list[Any]]:
    """The next y, its slope, the estimated error, and all slopes."""
    slopes = [slope]
    following = y
    for node, weights in zip(NODES, STAGES, strict=True):
        following = y + h * _weighted(slopes, weights)
        slopes.append(f(following, t + h * node))
    return following, slopes[-1], h * _weighted(slopes, ERROR), slopes


def _error_size(error: Any, y: Any, following: Any, rtol: float, atol: float) -> Any:
    larger = maximum(absolute(y), absolute(following))
    ratio = absolute(error) / (atol + rtol * larger)
    return (reduce_sum(ratio * ratio, (0,)) / ratio.shape[0]) ** 0.5


def _first_step(
    f: Function, y: Any, slope: Any, t: Any, order: int, rtol: float, atol: float
) -> Any:
    """A first guess, by section II.4 of Hairer, Nørsett and Wanner."""
    scale = atol + absolute(y) * rtol

    def size(x: Any) -> Any:
        ratio = absolute(x) / scale
        return (reduce_sum(ratio * ratio, (0,)) / ratio.shape[0]) ** 0.5

    d0, d1 = size(y), size(slope)
    small = (d0 < 1e-5) | (d1 < 1e-5)
    h0 = select(small, np.float64(1e-6), 0.01 * d0 / select(small, np.float64(1), d1))
    d2 = size(f(y + h0 * slope, t + h0) - slope) / h0
    largest = maximum(d1, d2)
    tiny = largest <= 1e-15
    guess = power(0.01 / select(tiny, np.float64(1), largest), 1.0 / order)
    h1 = select(tiny, maximum(np.float64(1e-6), h0 * 1e-3), guess)
    return _constant(minimum(100.0 * h0, h1))


def _interpolated(state: Any, t: Any) -> Any:
    """y at t within the last step, by the interpolant of order 4."""
    y0, y1, slopes, start, h = state
    theta = (t - start) / h
    rest = 1.0 - theta
    difference = y1 - y0
    b = h * slopes[0] - difference
    c = difference - h * slopes[-1] - b
    d = h * _weighted(slopes, DENSE)
    return y0 + theta * (difference + rest * (b + theta * (c + rest * d)))


def _solve(f: Function, y0: Any, times: Any, rtol: float, atol: float, max_steps: int) -> Any:
    """y at the times, which increase; y is a vector. NaN after `max_steps` steps between two
    times.
    """
    slope = f(y0, times[0])
    h = _first_step(f, _constant(y0), _constant(slope), times[0], 5, rtol, atol)
    slopes = [slope] * 7
    start = (y0, slope, times[0], h, (y0, y0, slopes, times[0], h))

    def to_next(carry: Any, target: Any) -> Any:
        def unfinished(state: Any) -> Any:
            return logical_and(state[0][2] < target, state[1] < max_steps)

        def advance(state: Any) -> Any:
            (y, slope, t, h, last), count = state
            following, next_slope, error, slopes = _step(f, y, slope, t, h)
            size = _constant(_error_size(error, y, following, rtol, atol))
            accepted = size <= 1.0
            safe = select(size == 0.0, np.float64(1e-10), size)
            factor = minimum(maximum(0.9 * power(safe, -0.2), np.float64(0.2)), np.float64(10.0))
            factor = select(accepted, maximum(factor, np.float64(1.0)), minimum(factor, 1.0))

            def keep(new: Any, old: Any) -> Any:
                return select(accepted, new, old)

            new = (following, next_slope, t + h, h, (y, following, slopes, t, h))
            old = (y, slope, t, h, last)
            kept = tree.map(keep, new, old)
            return (*kept[:3], h * factor, kept[4]), count + 1

        state = while_loop(unfinished, advance, (carry, 0))[0]
        y = _interpolated(state[4], target)
        failed = logical_not(state[2] >= target)
        return state, select(failed, np.float64(np.nan), y)

    _, ys = scan(to_next, start, slice_axis(times, 0, 1, times.shape[0]))
    return concatenate([y0.reshape(1, -1), ys], 0)


def odeint(
    f: Function,
    y0: Any,
    t: Any,
    *args: Any,
    rtol: float = 1.4e-8,
    atol: float = 1.4e-8,
    max_steps: int = 100_000,
    adjoint: str = "discrete",
) -> Any:
    """The solution of dy/dt = f(y, t, *args), y(t[0]) = y0, at the times `t`.

    y0 is a pytree of floating arrays, t an increasing or decreasing vector; each leaf of the result
    has the times as its first axis. Steps adapt to `rtol` and `atol`; where `max_steps` do not
    reach
    the next time the result is NaN.

    adjoint="discrete"    the derivative of what was computed, through the loop, in both modes
    adjoint="continuous"  reverse mode by the adjoint equation, solved backwards: memory does not
                          grow with the number of steps, the error is that of the tolerances
    Differentiates with respect to y0, t, args and all that f closes over (continuous: all but what
    f closes over, which raises DerivativeError).
    """
    if adjoint not in ("discrete", "continuous"):
        raise ValueError(f"adjoint is 'discrete' or 'continuous', not {adjoint!r}")
    times = _vector_of_times(t)
    start, unravel = tree.ravel(y0)
    if not is_inexact(type_of(start).dtype):
        start = start * 1.0
    form = tree.structure(y0)

    def flat(y: Any, time: Any, *parameters: Any) -> Any:
        slope = f(unravel(y), time, *parameters)
        if tree.structure(slope) != form:
            raise StructureError(f"odeint: f returns {tree.structure(slope)} for a y of {form}")
        return tree.ravel(slope)[0]

    options = (rtol, atol, max_steps)
    solver = _continuous(flat, options) if adjoint == "continuous" else _discrete(flat, options)
    ys = solver(start, times, *args)
    return _unravel_rows(ys, y0)


def _vector_of_times(t: Any) -> Any:
    times = t if is_tracer(t) else np.asarray(t, np.float64)
    if times.ndim != 1 or times.shape[0] < 1:
        raise ShapeError(f"odeint: t is a vector of times, not of shape {times.shape}")
    if not is_inexact(times.dtype):
        times = times * 1.0
    return times


def _unravel_rows(ys: Any, y0: Any) -> Any:
    leaves, form = tree.flatten(y0)
    result = []
    begin = 0
    for leaf in leaves:
        type_ = type_of(leaf)
        part = slice_axis(ys, 1, begin, begin + type_.size)
        result.append(part.reshape(ys.shape[0], *type_.shape))
        begin += type_.size
    return tree.unflatten(form, result)


def _directed(f: Function, times: Any, options: Any, y0: Any, args: Any) -> Any:
    """Solve forwards in s = ±(t − t₀), so that times may decrease; the sign is worked out in
    place.
    """
    if times.shape[0] == 1:
        return y0.reshape(1, -1)
    last, first = times[times.shape[0] - 1], times[0]
    sign = _constant(select(last >= first, np.float64(1), np.float64(-1)))
    origin = times[0]
    forward = sign * (times - origin)

    def g(y: Any, s: Any) -> Any:
        return sign * f(y, origin + sign * s, *args)

    return _solve(g, y0, forward, *options)


def _discrete(f: Function, options: Any) -> Function:
    def solver(y0: Any, times: Any, *args: Any) -> Any:
        return _directed(f, times, options, y0, args)

    return solver


def _continuous(f: Function, options: Any) -> Function:
    """The solver with the adjoint equation as its rule: λ' = −λ ∂f/∂y, integrated backwards between
    the times with y and the integrals of −λ ∂f/∂args beside it (Pontryagin; Chen et al., 2018)."""

    @custom_vjp
    def solver(y0: Any, times: Any, *args: Any) -> Any:
        return _directed(f, times, options, y0, args)

    def fwd(y0: Any, times: Any, *args: Any) -> Any:
        ys = _directed(f, times, options, y0, args)
        return ys, (ys, times, args)

    def bwd(residuals: Any, ct: Any) -> Any:
        ys, times, args = residuals
        n = ys.shape[1]
        zero, unravel = tree.ravel(args)
        zero = zero * 0.0

        def augmented(state: Any, time: Any) -> Any:
            y, multiplier = state[:n], state[n : 2 * n]
            out, pull = vjp(lambda y, *a: f(y, time, *a), y, *args)
            ct_y, *ct_args = pull(-multiplier)
            return concatenate([out, ct_y, tree.ravel(tuple(ct_args))[0]], 0)

        def segment(carry: Any, row: Any) -> Any:
            multiplier, integrals = carry
            y, ct_y, begin, end = row
            ct_time = (f(y, begin, *args) * ct_y).sum()
            multiplier = multiplier + ct_y
            state = concatenate([y, multiplier, integrals], 0)
            both = concatenate([begin.reshape(1), end.reshape(1)], 0)
            state = _directed(augmented, both, options, state, ())[1]
            return (state[n : 2 * n], state[2 * n :]), ct_time

        count = ys.shape[0]
        if count == 1:
            return (ct[0], times * 0.0, *tree.map(lambda a: a * 0.0, args))
        rows = (
            flip(ys[1:], (0,)),
            flip(ct[1:], (0,)),
            flip(times[1:], (0,)),
            flip(times[: count - 1], (0,)),
        )
        (multiplier, integrals), ct_times = scan(segment, (ct[0] * 0.0, zero), rows)
        ct_args = unravel(integrals)
        # to start later is to stand where the solution was before
        ct_start = -(f(ys[0], times[0], *args) * multiplier).sum()
        ct_t = concatenate([ct_start.reshape(1), flip(ct_times, (0,))], 0)
        return (multiplier + ct[0], ct_t, *ct_args)

    return solver.defvjp(fwd, bwd)
