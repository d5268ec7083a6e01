"""Polynomials through points, and the roots of polynomials: both by linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.dispatch import find
from tracer.numpy.common import array_function, as_array, cast_to, known_value, unsupported
from tracer.numpy.indexing import index_view
from tracer.numpy.joining import concatenate
from tracer.numpy.matrices import vander
from tracer.numpy.reductions import sum as sum_of
from tracer.numpy.shapes import atleast_1d
from tracer.primitives.arithmetic import sqrt, square
from tracer.primitives.broadcast import reshape
from tracer.types import is_inexact


def _algebra(function: Any, name: str) -> Any:
    """Our version of a function of numpy.linalg."""
    ours = find(function)
    if ours is None:
        raise unsupported(f"numpy.{name}", "of traced values", "wrap it with tracer.primitive")
    return ours


@array_function(np.polyfit)
def polyfit(
    x: Any,
    y: Any,
    deg: int,
    rcond: Any = None,
    full: bool = False,
    w: Any = None,
    cov: Any = False,
) -> Any:
    """The polynomial of least squared distance from points, the highest power first."""
    places, values = as_array(x) + 0.0, as_array(y) + 0.0
    if int(deg) < 0:
        raise ValueError("expected deg >= 0")
    if places.ndim != 1 or places.size == 0:
        raise TypeError("expected 1D vector, which is not empty, for x")
    if values.ndim not in (1, 2) or values.shape[0] != places.shape[0]:
        raise TypeError("expected x and y to have same length, and 1D or 2D array for y")
    order = int(deg) + 1
    rcond = places.shape[0] * np.finfo(places.dtype).eps if rcond is None else rcond
    left, right = vander(places, order), values
    if w is not None:
        weights = as_array(w) + 0.0
        if weights.ndim != 1 or weights.shape[0] != values.shape[0]:
            raise TypeError("expected a 1-d array for weights, as long as y")
        column = reshape(weights, (weights.shape[0], 1))  # NumPy multiplies in place
        left = cast_to(left * column, left.dtype)
        right = cast_to(right * (column if right.ndim == 2 else weights), right.dtype)
    scale = sqrt(sum_of(square(left), 0))
    solution = _algebra(np.linalg.lstsq, "polyfit")(left / scale, right, rcond)
    lanes = (order, 1) if right.ndim == 2 else (order,)
    coefficients = solution[0] / reshape(scale, lanes)
    if full:
        return coefficients, *solution[1:], rcond
    if not cov:
        return coefficients
    return coefficients, _covariance((left / scale, scale), solution[1], values, order, cov)


def _covariance(scaled: Any, residuals: Any, values: Any, order: int, cov: Any) -> Any:
    """The covariance of the coefficients, times the residuals' variance unless "unscaled"."""
    left, scale = scaled
    inverse = _algebra(np.linalg.inv, "polyfit")(left.T @ left)
    inverse = inverse / (reshape(scale, (order, 1)) * reshape(scale, (1, order)))
    if isinstance(cov, str) and cov == "unscaled":
        return inverse
    if values.shape[0] <= order:
        raise ValueError(
            "the number of data points must exceed order to scale the covariance matrix"
        )
    factor = residuals / (values.shape[0] - order)
    return inverse * factor if values.ndim == 1 else reshape(inverse, (order, order, 1)) * factor


@array_function(np.roots)
def roots(p: Any) -> Any:
    """The roots of a polynomial: eigenvalues of its companion matrix.

    Leading and trailing zeros are left out where the values are known.
    """
    coefficients = atleast_1d(p)
    if coefficients.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    known = known_value(coefficients)
    trailing = 0
    if known is not None:
        kept = np.flatnonzero(np.asarray(known))
        if not kept.size:
            return np.zeros(0)
        trailing = known.size - int(kept[-1]) - 1
        coefficients = index_view(coefficients, slice(int(kept[0]), int(kept[-1]) + 1))
    if not is_inexact(coefficients.dtype):
        coefficients = cast_to(coefficients, np.float64)
    count = coefficients.shape[0] - 1
    if count < 1:
        return np.zeros(trailing)
    first = -index_view(coefficients, slice(1, None)) / index_view(coefficients, 0)
    below = np.eye(count - 1, count, dtype=coefficients.dtype)
    companion = concatenate([reshape(first, (1, count)), below], 0)
    found = _algebra(np.linalg.eigvals, "roots")(companion)
    return concatenate([found, np.zeros(trailing, found.dtype)]) if trailing else found
