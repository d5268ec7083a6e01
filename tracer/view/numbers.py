"""Numbers as a reader wants them: few digits, whole small arrays, a summary of large ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.types import kind_of

SHOWN = 6
"""So many entries of an array are written out."""


def number(value: Any) -> str:
    """A scalar with at most five significant digits, and a true minus sign."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (complex, np.complexfloating)):
        sign = "−" if value.imag < 0 else "+"
        return f"{number(value.real)} {sign} {number(abs(value.imag))}i"
    if isinstance(value, (int, np.integer)):
        return str(int(value)).replace("-", "−")
    value = float(value)
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.5g}"
    if "e" in text:
        digits, exponent = text.split("e")
        text = f"{digits}·10{_superscript(int(exponent))}"
    return text.replace("-", "−")


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def array(value: Any) -> str:
    """A value of any shape in one short line."""
    value = np.asarray(value)
    if value.ndim == 0:
        return number(value[()])
    if value.size <= SHOWN:
        return _entries(value)
    if value.dtype.kind == "c":
        size = np.abs(value)
        return f"{_times(value.shape)}, |·| {number(size.min())} … {number(size.max())}"
    if value.dtype.kind == "b":
        return f"{_times(value.shape)}, {int(value.sum())} True"
    finite = value[np.isfinite(value)] if kind_of(value.dtype) == "f" else value
    if finite.size == 0:
        return f"{_times(value.shape)}, none finite"
    low, high = number(finite.min()), number(finite.max())
    odd = value.size - finite.size
    if low == high and not odd:
        return f"{_times(value.shape)}, all {low}"
    return f"{_times(value.shape)}, {low} … {high}" + (f", {odd} not finite" if odd else "")


def _entries(value: Any) -> str:
    if value.ndim == 0:
        return number(value[()])
    return "[" + ", ".join(_entries(part) for part in value) + "]"


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if len(shape) > 1 else f"{shape[0]} entries"
