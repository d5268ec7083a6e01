"""Polynomials as sequences of coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.numpy.calculus import convolve
from tracer.numpy.common import array_function, as_array, as_arrays, cast_to, known_value
from tracer.numpy.indexing import index_view
from tracer.numpy.joining import concatenate
from tracer.numpy.shapes import atleast_1d
from tracer.primitives.broadcast import reshape, zeros_like
from tracer.primitives.cast import real_part
from tracer.trace import Tracer, is_abstract
from tracer.types import is_complex


@array_function(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """The value of a polynomial, by Horner's rule."""
    coefficients, x = as_arrays(p, x)
    result = zeros_like(x)
    for place in range(coefficients.shape[0]):
        result = result * x + index_view(coefficients, place)
    return result


def _aligned(a1: Any, a2: Any) -> tuple[Any, Any]:
    x, y = atleast_1d(a1, a2)
    gap = x.shape[0] - y.shape[0]
    if gap > 0:
        y = concatenate([np.zeros(gap, y.dtype), y])
    elif gap < 0:
        x = concatenate([np.zeros(-gap, x.dtype), x])
    return x, y


@array_function(np.polyadd)
def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials."""
    x, y = _aligned(a1, a2)
    return x + y


@array_function(np.polysub)
def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials."""
    x, y = _aligned(a1, a2)
    return x - y


def _without_zeros(x: Any) -> Any:
    known = known_value(x)
    if known is None or not known.size or known[0] != 0:
        return x
    kept = np.flatnonzero(known)
    return index_view(x, slice(int(kept[0]) if kept.size else len(known) - 1, None))


def _trimmed(x: Any) -> Any:
    """Without leading coefficients that are 0 but for rounding; their values must be known."""
    known = x.concrete("a polynomial") if type(x) is Tracer else x
    kept = np.flatnonzero(~np.isclose(known, 0, rtol=1e-14))
    return index_view(x, slice(int(kept[0]) if kept.size else len(known) - 1, None))


@array_function(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """The product of two polynomials; leading zeros that are known to be some are left out."""
    x, y = (_without_zeros(item) for item in atleast_1d(a1, a2))
    return convolve(x, y)


@array_function(np.polydiv)
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """Quotient and remainder of two polynomials."""
    x, y = as_arrays(*atleast_1d(as_array(u) + 0.0, as_array(v) + 0.0))
    top, degree = x.shape[0] - 1, y.shape[0] - 1
    lead = 1.0 / index_view(y, 0)
    quotient = []
    for step in range(max(top - degree + 1, 0)):
        factor = lead * index_view(x, step)
        quotient.append(reshape(factor, (1,)))
        product = concatenate(
            [
                np.zeros(step, y.dtype),
                reshape(factor, (1,)) * y,
                np.zeros(top - degree - step, y.dtype),
            ]
        )
        x = x - product
    result = concatenate(quotient) if quotient else zeros_like(index_view(x, slice(0, 1)))
    return result, _trimmed(x)


@array_function(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """The derivative of a polynomial."""
    x = as_array(p)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        degree = x.shape[0] - 1
        x = index_view(x, slice(0, max(degree, 0))) * np.arange(degree, 0, -1)
    return x


@array_function(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """An antiderivative of a polynomial, with constants `k`."""
    x = as_array(p)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else atleast_1d(k)
    if m > 1 and len(constants) == 1:
        constants = constants * np.ones(m)
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for step in range(m):
        powers = np.arange(x.shape[0], 0, -1)
        x = concatenate([x / powers, index_view(constants, slice(step, step + 1))])
    return x


@array_function(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with those roots and leading coefficient 1."""
    roots = atleast_1d(seq_of_zeros)
    if len(roots.shape) != 1:
        from tracer.dispatch import FUNCTIONS

        roots = FUNCTIONS[np.linalg.eigvals](roots)
    dtype = np.dtype(np.mintypecode(roots.dtype.char))
    result = np.ones(1, dtype)
    for place in range(roots.shape[0]):
        root = reshape(cast_to(index_view(roots, place), dtype), (1,))
        result = convolve(result, concatenate([np.ones(1, dtype), -root]))
    if is_complex(dtype) and not is_abstract(roots):
        known = np.asarray(roots.concrete("poly()") if type(roots) is Tracer else roots, complex)
        if np.all(np.sort(known) == np.sort(known.conj())):  # their product is real
            return real_part(result)
    return result
