"""Normalisation, dropout, embedding and attention, as functions of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer import random
from tracer.errors import DTypeError, ShapeError
from tracer.nn.precision import by_single
from tracer.scipy import special
from tracer.trace import type_of

Axes = int | tuple[int, ...]


@by_single
def standardize(x: Any, axis: Axes = -1, epsilon: float = 1e-5) -> Any:
    """(x − mean) / √(variance + ε) along the axes."""
    centred = x - x.mean(axis=axis, keepdims=True)
    variance = (centred * centred).mean(axis=axis, keepdims=True)
    return centred / tnp.sqrt(variance + epsilon)


@by_single
def layer_norm(
    x: Any, scale: Any = None, shift: Any = None, axis: Axes = -1, epsilon: float = 1e-5
) -> Any:
    """Layer normalisation (J. L. Ba et al., 2016): `standardize(x) * scale + shift`."""
    out = standardize(x, axis, epsilon)
    out = out if scale is None else out * scale
    return out if shift is None else out + shift


@by_single
def rms_norm(x: Any, scale: Any = None, axis: Axes = -1, epsilon: float = 1e-6) -> Any:
    """x / √(mean x² + ε) · scale (B. Zhang, R. Sennrich, 2019)."""
    out = x / tnp.sqrt((x * x).mean(axis=axis, keepdims=True) + epsilon)
    return out if scale is None else out * scale


@by_single
def group_norm(
    x: Any, groups: int, scale: Any = None, shift: Any = None, epsilon: float = 1e-5
) -> Any:
    """Normalisation over groups of channels (Y. Wu, K. He, 2018); x is (n, channels, …), scale and
    shift are (channels,).
    """
    shape = type_of(x).shape
    if len(shape) < 2 or shape[1] % groups:
        raise ShapeError(f"group_norm: {groups} groups do not divide the channels of {shape}")
    split = x.reshape(shape[0], groups, -1)
    return _affine(standardize(split, -1, epsilon).reshape(shape), scale, shift)


@by_single
def batch_norm(
    x: Any, mean: Any, variance: Any, scale: Any = None, shift: Any = None, epsilon: float = 1e-5
) -> Any:
    """(x − mean) / √(variance + ε) · scale + shift for each channel: x is (n, channels, …), the
    others are (channels,). For training pass `batch_statistics(x)`.
    """
    tail = (1,) * (len(type_of(x).shape) - 2)
    centred = x - tnp.reshape(mean, (-1, *tail))
    spread = tnp.sqrt(tnp.reshape(variance, (-1, *tail)) + epsilon)
    return _affine(centred / spread, scale, shift)


@by_single
def batch_statistics(x: Any) -> tuple[Any, Any]:
    """Mean and variance of each channel of x, which is (n, channels, …)."""
    axes = (0, *range(2, len(type_of(x).shape)))
    return x.mean(axis=axes), x.var(axis=axes)


def _affine(x: Any, scale: Any, shift: Any) -> Any:
    tail = (1,) * (len(type_of(x).shape) - 2)
    out = x if scale is None else x * tnp.reshape(scale, (-1, *tail))
    return out if shift is None else out + tnp.reshape(shift, (-1, *tail))


@by_single
def dropout(key: Any, x: Any, rate: float, training: bool = True) -> Any:
    """x with a share `rate` of its entries set to 0 and the others scaled by 1 / (1 − rate)."""
    if not 0 <= rate < 1:
        raise ValueError(f"dropout takes a rate of at least 0 and below 1, got {rate}")
    if not training or rate == 0:
        return x
    kind = type_of(x)
    kept = random.bernoulli(key, 1 - rate, kind.shape)
    return tnp.where(kept, x * kind.dtype.type(1 / (1 - rate)), kind.dtype.type(0))


def embedding(table: Any, ids: Any) -> Any:
    """Rows of a table (count, width) by integer ids (…): shape (…, width). An id outside raises."""
    if type_of(ids).dtype.kind not in "iu":
        raise DTypeError(f"embedding takes integer ids, not {type_of(ids)}")
    return tnp.take(table, ids, axis=0)


@by_single
def attention(
    query: Any, key: Any, value: Any, mask: Any = None, causal: bool = False, scale: Any = None
) -> Any:
    """softmax(q kᵀ · scale) v, with scale 1/√d (A. Vaswani et al., 2017).

    query (…, n, d), key (…, m, d), value (…, m, e) → (…, n, e). `mask` broadcasts to (…, n, m):
    False hides; a row that sees nothing gives zeros. `causal` hides what comes later than the
    query, counted from the end.
    """
    n, width = type_of(query).shape[-2:]
    m = type_of(key).shape[-2]
    scale = 1 / np.sqrt(width) if scale is None else scale
    scores = (query @ tnp.swapaxes(key, -1, -2)) * scale
    scores = scores.astype(type_of(query).dtype)
    if causal:
        order = np.arange(m) <= np.arange(n)[:, None] + (m - n)
        mask = order if mask is None else tnp.logical_and(mask, order)
    if mask is None:
        return special.softmax(scores, axis=-1) @ value
    number = type_of(scores).dtype.type
    hidden = tnp.where(mask, scores, number(np.finfo(number).min / 2))
    weights = tnp.where(mask, special.softmax(hidden, axis=-1), number(0))
    return weights @ value


def multi_head_attention(
    query: Any, key: Any, value: Any, heads: int, mask: Any = None, causal: bool = False
) -> Any:
    """`attention` on `heads` slices of the last axis: (…, n, heads · d) → (…, n, heads · e)."""

    def apart(x: Any) -> Any:
        shape = type_of(x).shape
        if shape[-1] % heads:
            raise ShapeError(f"{heads} heads do not divide a width of {shape[-1]}")
        return tnp.swapaxes(x.reshape(*shape[:-1], heads, shape[-1] // heads), -2, -3)

    out = tnp.swapaxes(attention(apart(query), apart(key), apart(value), mask, causal), -2, -3)
    shape = type_of(out).shape
    return out.reshape(*shape[:-2], shape[-2] * shape[-1])
