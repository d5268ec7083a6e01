"""Writes `coefficients.py`: Chebyshev coefficients of the parts of Bessel functions, by mpmath.

    python -m tracer.primitives.special.fit > coefficients.py
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath  # type: ignore[import-untyped,unused-ignore]
from mpmath import mp

Real = Any
DIGITS = 60
SMALLEST = 2e-18  # coefficients below this share of the largest are left out


def chebyshev(function: Callable[[Real], Real], low: float, high: float) -> list[float]:
    """Coefficients c of Σ cₖTₖ(t) ≈ function(x), t = −1 … 1 for x = low … high."""
    count = 64
    nodes = [mp.cos(mp.pi * (k + mpmath.mpf(1) / 2) / count) for k in range(count)]
    values = [function(low + (high - low) * (t + 1) / 2) for t in nodes]
    coefficients = []
    for order in range(count):
        terms = (
            value * mp.cos(mp.pi * order * (k + mpmath.mpf(1) / 2) / count)
            for k, value in enumerate(values)
        )
        coefficients.append(mp.fsum(terms) * 2 / count)
    coefficients[0] /= 2
    largest = max(map(abs, coefficients))
    while abs(coefficients[-1]) < SMALLEST * largest:
        coefficients.pop()
    return [float(c) for c in coefficients]


def _modulus(order: int, quadrature: bool) -> Callable[[Real], Real]:
    """P, or Q·x, of Hankel's expansion, as a function of (8/x)²."""

    def function(u: Real) -> Real:
        x = 8 / mp.sqrt(u)
        angle = x - (2 * order + 1) * mp.pi / 4
        j, y = mp.besselj(order, x), mp.bessely(order, x)
        scale = mp.sqrt(mp.pi * x / 2)
        if quadrature:
            return scale * (y * mp.cos(angle) - j * mp.sin(angle)) * x
        return scale * (j * mp.cos(angle) + y * mp.sin(angle))

    return function


def _root(function: Callable[[Real], Real]) -> Callable[[Real], Real]:
    return lambda square: function(mp.sqrt(square))


FITS: dict[str, tuple[Callable[[Real], Real], float, float]] = {
    "I0_SMALL": (lambda x: mp.exp(-x) * mp.besseli(0, x), 0, 8),
    "I0_LARGE": (lambda u: mp.sqrt(8 / u) * mp.exp(-8 / u) * mp.besseli(0, 8 / u), 0, 1),
    "I1_SMALL": (lambda x: mp.exp(-x) * mp.besseli(1, x) / x, 0, 8),
    "I1_LARGE": (lambda u: mp.sqrt(8 / u) * mp.exp(-8 / u) * mp.besseli(1, 8 / u), 0, 1),
    "K0_SMALL": (
        _root(lambda x: mp.besselk(0, x) + mp.log(x / 2) * mp.besseli(0, x)),
        0,
        4,
    ),
    "K0_LARGE": (lambda u: mp.sqrt(2 / u) * mp.exp(2 / u) * mp.besselk(0, 2 / u), 0, 1),
    "K1_SMALL": (
        _root(lambda x: x * mp.besselk(1, x) - x * mp.log(x / 2) * mp.besseli(1, x)),
        0,
        4,
    ),
    "K1_LARGE": (lambda u: mp.sqrt(2 / u) * mp.exp(2 / u) * mp.besselk(1, 2 / u), 0, 1),
    "J0_SMALL": (_root(lambda x: mp.besselj(0, x)), 0, 64),
    "J1_SMALL": (_root(lambda x: mp.besselj(1, x) / x), 0, 64),
    "Y0_SMALL": (
        _root(lambda x: mp.bessely(0, x) - 2 / mp.pi * mp.log(x) * mp.besselj(0, x)),
        0,
        64,
    ),
    "Y1_SMALL": (
        _root(
            lambda x: (mp.bessely(1, x) - 2 / mp.pi * (mp.log(x) * mp.besselj(1, x) - 1 / x)) / x
        ),
        0,
        64,
    ),
    "P0": (_modulus(0, False), 0, 1),
    "Q0": (_modulus(0, True), 0, 1),
    "P1": (_modulus(1, False), 0, 1),
    "Q1": (_modulus(1, True), 0, 1),
}


def text() -> str:
    """The module's text."""
    lines = ['"""Chebyshev coefficients of parts of Bessel functions; written by `fit.py`."""']
    with mp.workdps(DIGITS):
        for name, (function, low, high) in FITS.items():
            lines.append(f"\n{name} = (")
            lines += [f"    {value!r}," for value in chebyshev(function, low, high)]
            lines.append(")")
    return "\n".join(lines)


if __name__ == "__main__":
    print(text())
