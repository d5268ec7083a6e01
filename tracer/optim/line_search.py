"""A step along a direction of descent that satisfies the weak Wolfe conditions.

Bracketing and bisection as in A. S. Lewis, M. L. Overton, "Nonsmooth optimization via quasi-Newton
methods" (2013), with a quadratic guess in the bracket, and near the minimum, where values differ by
rounding only, the approximate condition of W. W. Hager, H. Zhang (2005), equation (2.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import tracer.numpy as tnp
from tracer.control import while_loop
from tracer.types import epsilon_of

DECREASE = 1e-4
TRIALS = 40


class Point(NamedTuple):
    """A place, the value there and the gradient there."""

    x: Any
    value: Any
    gradient: Any


class Search(NamedTuple):
    """The state of a search: the bracket, and the trial."""

    low: Any
    low_value: Any
    low_slope: Any
    high: Any
    high_value: Any
    step: Any
    trial: Point
    trials: Any
    found: Any


def _next_step(search: Search) -> Any:
    """Twice as far while nothing bounds the step, else a guess inside the bracket."""
    bounded, known = tnp.isfinite(search.high), tnp.isfinite(search.high_value)
    width = tnp.where(bounded, search.high, 2 * search.step) - search.low
    rise = tnp.where(known, search.high_value, search.low_value) - search.low_value
    curvature = rise - search.low_slope * width
    usable = (curvature > 0) & known
    guess = -0.5 * search.low_slope * width * width / tnp.where(usable, curvature, 1)
    offset = tnp.clip(tnp.where(usable, guess, 0.5 * width), 0.1 * width, 0.9 * width)
    return tnp.where(bounded, search.low + offset, 2 * search.step)


def wolfe_search(
    value_and_gradient: Callable[[Any], tuple[Any, Any]],
    start: Point,
    direction: Any,
    first: Any,
    curvature: float = 0.9,
) -> tuple[Point, Any, Any]:
    """A point on `start.x + t · direction`, whether one was found, and how many were tried.

    Vectors of shape (n,). The first t tried is `first`. Where none is found the start is returned.
    """
    slope = tnp.vdot(start.gradient, direction)
    number = start.value.dtype.type
    slack = 1e3 * epsilon_of(start.value.dtype) * tnp.abs(start.value)
    infinity = tnp.asarray(number(np.inf))

    def judged(search: Search) -> Search:
        trial = Point(*_evaluated(value_and_gradient, start.x + search.step * direction))
        trial_slope = tnp.vdot(trial.gradient, direction)
        enough = trial.value <= start.value + DECREASE * search.step * slope
        nearly = (trial.value <= start.value + slack) & (trial_slope <= (2 * DECREASE - 1) * slope)
        lower = (enough | nearly) & tnp.isfinite(trial.value)
        flat = trial_slope >= curvature * slope
        moved = search._replace(
            low=tnp.where(lower, search.step, search.low),
            low_value=tnp.where(lower, trial.value, search.low_value),
            low_slope=tnp.where(lower, trial_slope, search.low_slope),
            high=tnp.where(lower, search.high, search.step),
            high_value=tnp.where(lower, search.high_value, trial.value),
            trial=trial,
            trials=search.trials + 1,
            found=lower & flat,
        )
        return moved._replace(step=tnp.where(moved.found, search.step, _next_step(moved)))

    search = while_loop(
        lambda search: ~search.found & (search.trials < TRIALS),
        judged,
        Search(
            0 * first,
            start.value,
            slope,
            infinity,
            infinity,
            first,
            start,
            np.int64(0),
            tnp.asarray(np.False_),
        ),
    )
    lowered = search.trial.value < start.value
    found = search.found | lowered
    return choose(found, search.trial, start), found, search.trials


def _evaluated(value_and_gradient: Callable[[Any], tuple[Any, Any]], x: Any) -> tuple[Any, ...]:
    value, gradient = value_and_gradient(x)
    return x, value, gradient


def choose(condition: Any, first: Point, second: Point) -> Point:
    """`first` where the condition holds, else `second`."""
    return Point(*(tnp.where(condition, a, b) for a, b in zip(first, second, strict=True)))
