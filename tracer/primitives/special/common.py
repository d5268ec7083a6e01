"""What programs of special functions share: series, choices, logarithms without cancellation.

All arguments are float64 scalars of a program being traced, or Python floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracer.primitives.arithmetic import absolute, floor, log
from tracer.primitives.comparison import select
from tracer.primitives.transcendental import cos, log1p, sin

TINY = 1e-300
# Series of positive terms stop here: far below rounding, since their derivatives fall more slowly.
NEGLIGIBLE = 1e-21


def where(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the condition holds, else `y`; both are computed."""
    return select(condition, _number(x), _number(y))


def _number(x: Any) -> Any:
    return np.float64(x) if isinstance(x, (int, float)) else x


def branch(condition: Any, x: Callable[[], Any], y: Callable[[], Any]) -> Any:
    """`x()` where the condition holds, else `y()`; one of them is computed."""
    from tracer.control import cond

    return cond(condition, lambda: _number(x()), lambda: _number(y()))


def repeat(going: Callable[..., Any], step: Callable[..., Any], *start: Any) -> Any:
    """The carried values after `step` has run while `going` holds; as one tuple."""
    from tracer.control import while_loop

    first = tuple(_number(value) for value in start)
    return while_loop(lambda c: going(*c), lambda c: tuple(step(*c)), first)


def times(count: int, step: Callable[..., Any], *start: Any) -> Any:
    """The carried values after `step(k, *carry)` has run for k = 0 … count − 1, as one tuple."""
    from tracer.control import fori_loop

    first = tuple(_number(value) for value in start)
    return fori_loop(0, count, lambda k, c: tuple(step(k * 1.0, *c)), first)


def horner(x: Any, coefficients: Sequence[float]) -> Any:
    """Σ coefficients[k]·xᵏ."""
    total: Any = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total


def clenshaw(t: Any, coefficients: Sequence[float]) -> Any:
    """Σ coefficients[k]·Tₖ(t), −1 ≤ t ≤ 1, by Clenshaw's recurrence."""
    later, last = 0.0 * t, 0.0 * t
    twice = t + t
    for coefficient in reversed(coefficients[1:]):
        later, last = twice * later - last + coefficient, later
    return t * later - last + coefficients[0]


def sine_of_half_turns(x: Any) -> Any:
    """sin(πx), 0 at whole x."""
    turns = floor(x * 0.5 + 0.25)
    rest = x - (turns + turns)  # −½ … 1½
    rest = where(rest > 0.5, 1.0 - rest, rest)
    return sin(math.pi * rest)


def cosine_of_half_turns(x: Any) -> Any:
    """cos(πx)."""
    x = absolute(x)
    turns = floor(x * 0.5)
    rest = x - (turns + turns)  # 0 … 2
    rest = where(rest > 1.0, 2.0 - rest, rest)
    near = sin(math.pi * (0.5 - rest))
    return where((rest > 0.25) & (rest < 0.75), near, cos(math.pi * rest))


def log_less(ratio: Any, excess: Any) -> Any:
    """log(ratio) − excess for excess = ratio − 1, which is given for its digits near 0.

    With r = x/(2 + x), log(1 + x) = 2·(r + r³/3 + r⁵/5 + …), for |x| ≤ ½.
    """
    near = (excess > -0.5) & (excess < 0.5)
    inside = where(near, excess, 0.0)
    r = inside / (2.0 + inside)
    square = r * r
    series = horner(square, [1.0 / (2 * k + 3) for k in range(17)])
    small = r * (2.0 * square * series - inside)
    return where(near, small, log(where(near, 1.0, ratio)) - where(near, 0.0, excess))


_STIRLING = (
    1 / 12,
    -1 / 360,
    1 / 1260,
    -1 / 1680,
    1 / 1188,
    -691 / 360360,
    1 / 156,
    -3617 / 122400,
    43867 / 244188,
)


def stirling_error(a: Any) -> Any:
    """log Γ(a) − (a − ½)·log a + a − ½·log 2π for a ≥ 10 (Abramowitz and Stegun 6.1.40)."""
    inverse = 1.0 / a
    return inverse * horner(inverse * inverse, _STIRLING)


# (ζ(n) − 1)/n·(−1)ⁿ, n = 2 … 29: log Γ(1 + a) = −log(1 + a) + a·(1 − γ) + Σ of these·aⁿ.
_EULER = 0.57721566490153286
_LOG_GAMMA = tuple(
    (-1) ** n * value / n
    for n, value in enumerate(
        (
            0.6449340668482264, 0.2020569031595943, 0.08232323371113819, 0.03692775514336993,
            0.017343061984449139, 0.0083492773819228266, 0.0040773561979443396,
            0.0020083928260822143, 0.00099457512781808526, 0.00049418860411946455,
            0.00024608655330804832, 0.00012271334757848915, 6.1248135058704832e-05,
            3.0588236307020493e-05, 1.5282259408651871e-05, 7.6371976378997626e-06,
            3.8172932649998398e-06, 1.9082127165539390e-06, 9.5396203387279615e-07,
            4.7693298678780647e-07, 2.3845050272773299e-07, 1.1921992596531106e-07,
            5.9608189051259479e-08, 2.9803503514652280e-08, 1.4901554828365042e-08,
            7.4507117898354295e-09, 3.7253340247884572e-09, 1.8626597235130491e-09,
        ),
        2,
    )
)  # fmt: skip


def log_gamma_above_one(a: Any) -> Any:
    """log Γ(1 + a) for |a| ≤ ½, accurate near 0 (Abramowitz and Stegun 6.1.33)."""
    series = a * a * horner(a, _LOG_GAMMA)
    return series + (a * (1.0 - _EULER) - log1p(a))


