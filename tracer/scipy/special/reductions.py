"""Logarithms of sums of exponentials, and the softmax family, along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.numpy import reductions
from tracer.numpy.common import as_array, axis_tuple, cast_to, result_dtype
from tracer.numpy.shapes import squeeze
from tracer.primitives import arithmetic
from tracer.primitives.comparison import equal, greater, isfinite, isnan, less, select
from tracer.primitives.transcendental import exp, log1p
from tracer.transforms.custom import stop_gradient

Axis = int | Sequence[int] | None
FLOAT64 = np.dtype(np.float64)


def _floating(x: Any) -> Any:
    x = as_array(x)
    if x.dtype.kind == "c":
        raise TypeError("logsumexp and the softmax family take real numbers in traced code")
    return x if x.dtype.kind == "f" else cast_to(x, FLOAT64)


def _shift(x: Any, axes: tuple[int, ...]) -> Any:
    """The largest element along the axes, 0 where that is not finite; a constant."""
    largest = stop_gradient(reductions.max(x, axis=axes, keepdims=True, initial=-np.inf))
    return select(isfinite(largest), largest, x.dtype.type(0))


def logsumexp(
    a: Any, axis: Axis = None, b: Any = None, keepdims: bool = False, return_sign: bool = False
) -> Any:
    """log Σ b·exp(a) along `axis` (all by default), without overflow.

    a, b: arrays that broadcast. With `return_sign` a pair: the logarithm of the sum's size, and
    its sign; without, a negative sum gives NaN. TypeError for complex numbers.
    """
    x = _floating(a)
    weights = None
    if b is not None:
        weights = as_array(b)
        dtype = result_dtype(x, weights)
        x, weights = cast_to(x, dtype), cast_to(weights, dtype)
        shape = np.broadcast_shapes(x.shape, weights.shape)
        x = x + np.zeros(shape, dtype)
        # A weight of 0 leaves its element out, were it infinite.
        x = select(equal(weights, dtype.type(0)), dtype.type(-np.inf), x)
    axes = axis_tuple(axis, len(x.shape))
    shift = _shift(x, axes)
    if weights is None:
        result = _log_of_sum(x, shift, axes) + shift
        sign = select(isnan(result), x.dtype.type(np.nan), x.dtype.type(1))
    else:
        total = reductions.sum(exp(x - shift) * weights, axis=axes, keepdims=True)
        result = arithmetic.log(arithmetic.absolute(total)) + shift
        sign = arithmetic.sign(total)
    if return_sign:
        result, sign = (value if keepdims else squeeze(value, axes) for value in (result, sign))
        return result, sign
    if weights is not None:
        result = select(less(sign, x.dtype.type(0)), x.dtype.type(np.nan), result)
    return result if keepdims else squeeze(result, axes)


def _log_of_sum(x: Any, shift: Any, axes: tuple[int, ...]) -> Any:
    """log Σ exp(x − shift) as that of the largest terms and log1p of the rest, however small."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    largest = equal(x, shift)
    terms = exp(x - shift)
    peak = reductions.sum(select(largest, terms, zero), axis=axes, keepdims=True)
    rest = reductions.sum(select(largest, zero, terms), axis=axes, keepdims=True)
    usual = greater(peak, zero)
    peak = select(usual, peak, one)
    inside = arithmetic.log(peak) + log1p(select(usual, rest, zero) / peak)
    return select(usual, inside, arithmetic.log(select(usual, one, rest)))


def softmax(x: Any, axis: Axis = None) -> Any:
    """exp(x)/Σ exp(x) along `axis` (all by default)."""
    x = _floating(x)
    axes = axis_tuple(axis, len(x.shape))
    terms = exp(x - _shift(x, axes))
    return terms / reductions.sum(terms, axis=axes, keepdims=True)


def log_softmax(x: Any, axis: Axis = None) -> Any:
    """log of the softmax along `axis` (all by default)."""
    x = _floating(x)
    axes = axis_tuple(axis, len(x.shape))
    shifted = x - _shift(x, axes)
    total = reductions.sum(exp(shifted), axis=axes, keepdims=True)
    return shifted - arithmetic.log(total)
