"""Activations: elementwise functions, in the dtype of their argument; and the softmax family."""

from __future__ import annotations

from typing import Any

import numpy as np

import tracer.numpy as tnp
from tracer.errors import DTypeError
from tracer.nn.precision import by_single
from tracer.scipy import special
from tracer.trace import type_of


def relu(x: Any) -> Any:
    """max(x, 0), with slope 0 at 0."""
    return tnp.where(x <= 0, _zero(x), x)


def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), with slope 0 at both kinks."""
    return tnp.where(x >= 6, _zero(x) + 6, relu(x))


@by_single
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where it is positive, else slope · x; the slope at 0 is that of the left side."""
    return tnp.where(x > 0, x, slope * x)


@by_single
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, else α (eˣ − 1)."""
    return tnp.where(x > 0, x, alpha * tnp.expm1(tnp.where(x > 0, _zero(x), x)))


@by_single
def celu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, else α (e^(x/α) − 1): smooth at 0 for every α."""
    return tnp.where(x > 0, x, alpha * tnp.expm1(tnp.where(x > 0, _zero(x), x) / alpha))


@by_single
def selu(x: Any) -> Any:
    """The self-normalising elu (G. Klambauer et al., 2017)."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


@by_single
def gelu(x: Any, approximate: bool = False) -> Any:
    """x Φ(x), where Φ is the normal distribution function; or its approximation by a tanh
    (D. Hendrycks, K. Gimpel, 2016).
    """
    if approximate:
        inner = 0.7978845608028654 * (x + 0.044715 * x**3)
        return 0.5 * x * (1 + tnp.tanh(inner))
    return x * special.ndtr(x)


@by_single
def silu(x: Any) -> Any:
    """x σ(x), also called swish."""
    return x * special.expit(x)


@by_single
def sigmoid(x: Any) -> Any:
    """1 / (1 + e⁻ˣ)."""
    return special.expit(x)


@by_single
def log_sigmoid(x: Any) -> Any:
    """log σ(x), without overflow."""
    return special.log_expit(x)


@by_single
def softplus(x: Any) -> Any:
    """log(1 + eˣ), without overflow."""
    return tnp.logaddexp(x, _zero(x))


@by_single
def mish(x: Any) -> Any:
    """x tanh(softplus(x)) (D. Misra, 2019)."""
    return x * tnp.tanh(softplus(x))


@by_single
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return x / (1 + tnp.abs(x))


def hard_tanh(x: Any) -> Any:
    """x between −1 and 1, with slope 0 at both kinks and beyond."""
    return tnp.where(x >= 1, _zero(x) + 1, tnp.where(x <= -1, _zero(x) - 1, x))


@by_single
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6."""
    return relu6(x + 3) / 6


@by_single
def glu(x: Any, axis: int = -1) -> Any:
    """a σ(b), where a and b are the halves of x along an axis of even length."""
    first, second = tnp.split(x, 2, axis=axis)
    return first * special.expit(second)


@by_single
def softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """eˣ / Σ eˣ along an axis."""
    return special.softmax(x, axis=axis)


@by_single
def log_softmax(x: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """x − log Σ eˣ along an axis."""
    return special.log_softmax(x, axis=axis)


@by_single
def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """log Σ eˣ along an axis."""
    return special.logsumexp(x, axis=axis, keepdims=keepdims)


def one_hot(labels: Any, count: int, dtype: Any = np.float64) -> Any:
    """Rows of zeros with a one where the integer label is; labels outside make rows of zeros.

    Shape (…) → (…, count).
    """
    if type_of(labels).dtype.kind not in "iu":
        raise DTypeError(f"one_hot takes integers, not {type_of(labels)}")
    return (tnp.asarray(labels)[..., None] == np.arange(count)).astype(dtype)


@by_single
def cross_entropy(logits: Any, labels: Any, axis: int = -1) -> Any:
    """−log softmax(logits)[label]: labels are integers of logits' shape without the axis."""
    if type_of(labels).dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy takes integer labels, not {type_of(labels)}")
    logs = special.log_softmax(logits, axis=axis)
    places = tnp.expand_dims(tnp.asarray(labels), axis)
    return -tnp.squeeze(tnp.take_along_axis(logs, places, axis=axis), axis=axis)


def _zero(x: Any) -> Any:
    return type_of(x).dtype.type(0)
