"""Relatives of the error function: scaled, inverted, in logarithms, and Dawson's integral."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.primitives.arithmetic import absolute, log, rint, sqrt, square
from tracer.primitives.cast import cast
from tracer.primitives.programs import AUTOMATIC, of_scipy, program
from tracer.primitives.special.common import branch, horner, times, where
from tracer.primitives.transcendental import erf, erfc, exp, log1p

ROOT_PI = math.sqrt(math.pi)
FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
# (2k − 1)!!·(∓½)ᵏ: asymptotic series of erfcx and of Dawson's integral in 1/x², from x = 7 on.
LARGE = 7.0
_DOUBLE = [math.prod(range(1, 2 * k, 2)) / 2.0**k for k in range(24)]
_ALTERNATING = [(-1) ** k * value for k, value in enumerate(_DOUBLE)]


def _exp_of_square(x: Any) -> Any:
    """exp(x²) with x² as the sum of two numbers, so that its rounding does not count x² times."""
    high = cast(cast(x, FLOAT32), FLOAT64)
    return exp(high * high) * exp((x - high) * (x + high))


def erfcx_program(x: Any) -> Any:
    """exp(x²)·erfc(x)."""
    size = absolute(x)
    inside = where(size < LARGE, size, 0.0)
    near = _exp_of_square(inside) * erfc(inside)
    outside = where(size < LARGE, LARGE, size)
    inverse = 1.0 / outside
    far = inverse / ROOT_PI * horner(inverse * inverse, _ALTERNATING)
    positive = where(size < LARGE, near, far)
    bounded = where(size < 27.0, size, 27.0)
    mirrored = 2.0 * _exp_of_square(bounded) - positive
    mirrored = where(size < 27.0, mirrored, float("inf"))
    value = where(x < 0.0, mirrored, positive)
    return where(x != x, x, value)


def _log_erfc_step(target: Any, x: Any) -> Any:
    """One step of Halley's method for log erfc(x) = target, x ≥ 0."""
    scaled = erfcx_program(x)
    slope = -2.0 / ROOT_PI / scaled
    error = log(scaled) - x * x - target
    step = error / slope
    # f''/f' of log erfc is −2x − f'.
    return x - step / (1.0 + 0.5 * step * (2.0 * x + slope))


def erfcinv_program(y: Any) -> Any:
    """The inverse of erfc, 0 ≤ y ≤ 2: by log erfc in the tails, by erf in the middle."""
    upper = where(y > 1.0, 2.0 - y, y)
    usual = upper > 0.0

    def tail() -> Any:
        target = log(upper)
        root = sqrt(-target)
        start = where(root > 2.5, sqrt(-target - log(ROOT_PI * root)), 0.7 * root)
        return times(5, lambda k, x: (_log_erfc_step(target, x),), start)[0]

    def middle() -> Any:
        target = 1.0 - upper

        def step(k: Any, x: Any) -> tuple[Any]:
            error = (erf(x) - target) / (2.0 / ROOT_PI * exp(-x * x))
            return (x - error / (1.0 + x * error),)

        return times(4, step, target * (ROOT_PI / 2))[0]

    def limits() -> Any:
        return where(upper == 0.0, float("inf"), float("nan"))

    size = branch(usual, lambda: branch(upper < 0.5, tail, middle), limits)
    return where(y > 1.0, -size, size)


def _ndtri_program(p: Any) -> Any:
    return -math.sqrt(2) * erfcinv_program(p + p) + 0.0


def _log_ndtr_program(x: Any) -> Any:
    """log Φ(x)."""
    scaled = x * math.sqrt(0.5)
    low = x < -1.0
    below = where(low, -scaled, 1.0)
    tail = log(0.5 * erfcx_program(below)) - below * below
    return where(low, tail, log1p(-0.5 * erfc(scaled)))


STEP = 0.2


def _dawsn_program(x: Any) -> Any:
    """exp(−x²)·∫₀ˣexp(t²)dt, by Rybicki's sum (G. Rybicki, Computers in Physics 3, 85, 1989)."""
    size = absolute(x)

    def taylor() -> Any:
        terms = [(-2.0) ** k / math.prod(range(1, 2 * k + 2, 2)) for k in range(14)]
        return x * horner(x * x, terms)

    def rybicki() -> Any:
        start = 2.0 * rint(0.5 * size / STEP)
        shift = size - start * STEP

        def step(k: Any, total: Any) -> tuple[Any]:
            odd = 2.0 * k - 31.0
            distance = shift - odd * STEP
            return (total + exp(-(distance * distance)) / (start + odd),)

        return times(32, step, 0.0 * x)[0] / ROOT_PI * where(x < 0.0, -1.0, 1.0)

    def asymptotic() -> Any:
        inverse = 1.0 / x
        return 0.5 * inverse * horner(inverse * inverse, _DOUBLE)

    return branch(
        size < 0.5, taylor, lambda: branch(size > 10.0, asymptotic, rybicki)
    )


def _constant(x: Any, value: float) -> Any:
    return x.dtype.type(value)


erfcx: Any = program(of_scipy("erfcx"), erfcx_program, AUTOMATIC)
erfcinv: Any = program(
    of_scipy("erfcinv"),
    erfcinv_program,
    lambda t, out, y: t * (_constant(y, -ROOT_PI / 2) * exp(square(out))),
)
ndtri: Any = program(
    of_scipy("ndtri"),
    _ndtri_program,
    lambda t, out, p: t
    * (_constant(p, math.sqrt(2 * math.pi)) * exp(_constant(p, 0.5) * square(out))),
)
log_ndtr: Any = program(
    of_scipy("log_ndtr"),
    _log_ndtr_program,
    lambda t, out, x: t
    * (_constant(x, math.sqrt(2 / math.pi)) / erfcx(_constant(x, -math.sqrt(0.5)) * x)),
)
dawsn: Any = program(of_scipy("dawsn"), _dawsn_program, AUTOMATIC)
