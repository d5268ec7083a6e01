"""Where the numbers of `coefficients.py` come from.

`python -m codegen.render.vector_math.generate` writes that module. Each polynomial interpolates its
function at Chebyshev nodes in 100-digit arithmetic, which is within a small factor of the
minimax polynomial, and is then rounded coefficient by coefficient. Functions are divided by
what the evaluation multiplies back in (for exp: (eʳ − 1 − r)/r²), so that the absolute error of
the fit is the relative error of what it stands for, and so that the leading terms stay exact.
Constants are split into parts with trailing zero bits, so that small multiples are exact.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath  # type: ignore[import-untyped,unused-ignore]

Real = Any  # mpmath's number type, which has no annotations
DIGITS = 100


@dataclass(frozen=True, slots=True)
class Fit:
    """A polynomial of `degree` for `function` on [low, high], for float64 or float32.

    With a `weight` it is the least-squares polynomial of the errors times that weight, over
    Chebyshev nodes. With `compensate`, each coefficient is rounded in turn, lowest first, and
    those above are fitted again to what that leaves.
    """

    function: Callable[[Real], Real]
    low: float
    high: float
    degree: int
    bits: int = 64
    weight: Callable[[Real], Real] | None = None
    compensate: bool = False


@dataclass(frozen=True, slots=True)
class Split:
    """A constant as a sum of parts with `widths` significant bits each."""

    constant: Callable[[], Real]
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Samples:
    """function(0), …, function(count − 1), to the nearest double."""

    function: Callable[[int], Real]
    count: int


Entry = Fit | Split | Samples


def rounded(value: Real, bits: int) -> float:
    """The nearest double, or the double of the nearest float32."""
    if bits == 64:
        return float(value)
    return float(struct.unpack("<f", struct.pack("<f", float(value)))[0])


def fit(entry: Fit) -> tuple[float, ...]:
    """Coefficients, lowest first."""
    if entry.compensate:
        return fit_compensated(entry)
    if entry.weight is not None:
        return fit_weighted(entry)
    with mpmath.workdps(DIGITS):
        middle = (mpmath.mpf(entry.low) + mpmath.mpf(entry.high)) / 2
        half = (mpmath.mpf(entry.high) - mpmath.mpf(entry.low)) / 2
        count = entry.degree + 1
        nodes = [
            middle + half * mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) for k in range(count)
        ]
        # A node at zero would divide by zero, and the place of one node hardly matters.
        nodes = [node if abs(node) > half * 1e-9 else half * mpmath.mpf("1e-9") for node in nodes]
        differences = [entry.function(node) for node in nodes]
        for order in range(1, count):  # Newton's divided differences, in place
            for k in range(count - 1, order - 1, -1):
                differences[k] = (differences[k] - differences[k - 1]) / (
                    nodes[k] - nodes[k - order]
                )
        monomials = [mpmath.mpf(0)] * count
        for k in range(count - 1, -1, -1):  # Horner's rule on whole polynomials
            shifted = [mpmath.mpf(0), *monomials[:-1]]
            monomials = [
                above - nodes[k] * below for above, below in zip(shifted, monomials, strict=True)
            ]
            monomials[0] += differences[k]
        return tuple(rounded(value, entry.bits) for value in monomials)


def fit_weighted(entry: Fit) -> tuple[float, ...]:
    """Coefficients, lowest first, by the normal equations, whose condition 100 digits bear."""
    with mpmath.workdps(DIGITS):
        weight = entry.weight or (lambda _: 1)
        middle = (mpmath.mpf(entry.low) + mpmath.mpf(entry.high)) / 2
        half = (mpmath.mpf(entry.high) - mpmath.mpf(entry.low)) / 2
        count, samples_count = entry.degree + 1, 6 * (entry.degree + 1)
        rows, values = [], []
        for k in range(samples_count):
            x = mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * samples_count))
            factor = weight(middle + half * x)
            rows.append([factor * x**power for power in range(count)])
            values.append(factor * entry.function(middle + half * x))
        matrix, right = mpmath.matrix(rows), mpmath.matrix(values)
        scaled = mpmath.lu_solve(matrix.T * matrix, matrix.T * right)
        # From powers of (x − middle)/half to powers of x, by Horner's rule on polynomials.
        monomials = [mpmath.mpf(0)] * count
        for k in range(count - 1, -1, -1):
            shifted = [mpmath.mpf(0), *monomials[:-1]]
            monomials = [
                (above - middle * below) / half
                for above, below in zip(shifted, monomials, strict=True)
            ]
            monomials[0] += scaled[k]
        return tuple(rounded(value, entry.bits) for value in monomials)


def fit_compensated(entry: Fit) -> tuple[float, ...]:
    """Coefficients, lowest first, each fitted to what the rounded ones before it leave."""
    found: tuple[float, ...] = ()
    for power in range(entry.degree + 1):

        def rest(x: Real, known: tuple[float, ...] = found, divisor: int = power) -> Real:
            value = sum(mpmath.mpf(c) * x**k for k, c in enumerate(known))
            return (entry.function(x) - value) / x**divisor

        remaining = Fit(
            rest,
            entry.low,
            entry.high,
            entry.degree - power,
            entry.bits,
            lambda x, divisor=power: x**divisor,  # type: ignore[misc]
        )
        found = (*found, fit_weighted(remaining)[0])
    return found


def split(entry: Split) -> tuple[float, ...]:
    """The constant's parts, largest first."""
    with mpmath.workdps(DIGITS):
        rest = entry.constant()
        parts: list[float] = []
        for width in entry.widths:
            with mpmath.workprec(width):
                part = float(+rest)
            parts.append(part)
            rest -= mpmath.mpf(part)
        return tuple(parts)


def samples(entry: Samples) -> tuple[float, ...]:
    """The function's values."""
    with mpmath.workdps(DIGITS):
        return tuple(float(entry.function(k)) for k in range(entry.count))


def compute(entry: Entry) -> tuple[float, ...]:
    """The numbers that belong to a table entry."""
    if isinstance(entry, Fit):
        return fit(entry)
    return split(entry) if isinstance(entry, Split) else samples(entry)
