"""What the functions should give: mpmath's values, and NumPy's where there is no number."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath  # type: ignore[import-untyped,unused-ignore]
import numpy as np
from mpmath import mp

Real = Any  # mpmath's number type, which has no annotations
Ranges = tuple[tuple[float, float], ...]

# Enough for results that come out of a cancellation between two doubles.
PRECISION = 240


@dataclass(frozen=True, slots=True)
class Reference:
    """The exact function, its limits, and the intervals from which to draw arguments.

    `limit(*floats)` answers where an operand is not finite or `exact` has a pole. Each entry of
    `ranges` holds one interval an operand; a range is drawn from uniformly.
    """

    exact: Callable[..., Real]
    limit: Callable[..., float]
    ranges: tuple[Ranges, ...]
    extra: tuple[float, ...] = field(default=())

    def value(self, *operands: float) -> Real | float:
        """The exact result: an mpmath number, or a float infinity or NaN."""
        if all(math.isfinite(operand) for operand in operands):
            with mp.workprec(PRECISION):
                try:
                    result = self.exact(*map(mpmath.mpf, operands))
                except (ValueError, ZeroDivisionError):
                    result = None
                real = result is not None and not isinstance(result, mpmath.mpc)
                if real and mpmath.isfinite(result) and result != 0:
                    return result
        with np.errstate(all="ignore"):
            return float(self.limit(*map(np.float64, operands)))


def _one(*intervals: tuple[float, float]) -> tuple[Ranges, ...]:
    return tuple((interval,) for interval in intervals)


REFERENCES: dict[str, Reference] = {
    "exp": Reference(mp.exp, np.exp, _one((-746, 710), (-104, 89), (-1, 1))),
    "expm1": Reference(mp.expm1, np.expm1, _one((-45, 710), (-1, 1), (-20, 89))),
    "tanh": Reference(mp.tanh, np.tanh, _one((-1, 1), (-25, 25))),
    "log": Reference(mp.log, np.log, _one((0.5, 2), (0, 1e3), (0, 1e-300), (0, 1e-40))),
    "sin": Reference(mp.sin, np.sin, _one((-4, 4), (-1e3, 1e3), (-1e9, 1e9), (-1e22, 1e22))),
    "cos": Reference(mp.cos, np.cos, _one((-4, 4), (-1e3, 1e3), (-1e9, 1e9), (-1e22, 1e22))),
}
