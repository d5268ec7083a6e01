"""Discrete Fourier transforms. NumPy's own (pocketfft) computes them, from compiled code too: see
docs/decisions/015-fourier-transforms.md. On devices they are calls of a library.

All are linear. The matrix of the complex transform is symmetric, so it is its own transpose. The
real transforms are each other's, up to weights: only half of the frequencies is there, and those
strictly between zero and the last stand for two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.arithmetic import conjugate, multiply
from tracer.trace import bind
from tracer.types import ArrayType, complex_dtype, real_dtype

Axes = tuple[int, ...]


def _family(name: str, type_rule: Any, evaluate: Any, transpose: Any) -> Primitive:
    """A linear primitive of one operand, whose axes count from the end."""

    def jvp(primals: Any, tangents: Any, results: Any, **params: Any) -> Any:
        return bind(made, *tangents, **params)

    def vjp(cts: Any, primals: Any, results: Any, active: Any, **params: Any) -> list[Any]:
        return [transpose(cts[0], primals[0], **params)]

    def transpose_rule(cts: Any, operands: Any, active: Any, **params: Any) -> list[Any]:
        return [transpose(cts[0], operands[0], **params)]

    def batch(size: int, operands: Any, batched: Any, **params: Any) -> Any:
        return bind(made, *operands, **params), (True,)

    made = register(
        Primitive(
            name,
            lambda x, **params: (type_rule(x, **params),),
            lambda x, **params: (evaluate(x, **params),),
            jvp_rule=jvp,
            vjp_rule=vjp,
            transpose_rule=transpose_rule,
            linear="joint",
            batch_rule=batch,
            lowering=Lowering("callback", "fourier"),
            multiple=True,
        )
    )
    return made


def _evaluate(x: Any, *, axes: Axes, inverse: bool, norm: Any) -> Any:
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)


def _transposed(ct: Any, x: Any, *, axes: Axes, inverse: bool, norm: str) -> Any:
    return fft(ct, axes, inverse, norm)


fft_p = _family("fft", lambda x, **params: x, _evaluate, _transposed)


def fft(x: Any, axes: Sequence[int], inverse: bool, norm: str) -> Any:
    """The transform of a complex array over axes, which are negative numbers."""
    return bind(fft_p, x, axes=tuple(axes), inverse=inverse, norm=norm)[0]


def _half_type(x: ArrayType, *, norm: str) -> ArrayType:
    return ArrayType(complex_dtype(x.dtype), (*x.shape[:-1], x.shape[-1] // 2 + 1))


def _half_transposed(ct: Any, x: Any, *, norm: str) -> Any:
    n = x.shape[-1]
    weights = _weights(n, 0.5, ct.dtype)
    opposite = {"backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    return irfft(multiply(conjugate(ct), weights), n, opposite)


rfft_p = _family("rfft", _half_type, lambda x, *, norm: np.fft.rfft(x, norm=norm), _half_transposed)


def rfft(x: Any, norm: str) -> Any:
    """The first half of the transform of a real array over its last axis."""
    return bind(rfft_p, x, norm=norm)[0]


def _whole_type(x: ArrayType, *, n: int, norm: str) -> ArrayType:
    return ArrayType(real_dtype(x.dtype), (*x.shape[:-1], n))


def _whole_transposed(ct: Any, x: Any, *, n: int, norm: str) -> Any:
    opposite = {"backward": "forward", "forward": "backward", "ortho": "ortho"}[norm]
    return multiply(conjugate(rfft(ct, opposite)), _weights(n, 2.0, x.dtype))


def _whole_evaluate(x: Any, *, n: int, norm: Any) -> Any:
    return np.fft.irfft(x, n, norm=norm)


irfft_p = _family("irfft", _whole_type, _whole_evaluate, _whole_transposed)


def irfft(x: Any, n: int, norm: str) -> Any:
    """The real array of length n whose half transform, n // 2 + 1 entries over the last axis, is x.

    The imaginary parts of the entries at zero and, where n is even, of the last do not count.
    """
    return bind(irfft_p, x, n=n, norm=norm)[0]


def _weights(n: int, between: float, dtype: Any) -> Any:
    """1 at zero and at the last frequency of an even n, `between` strictly between them."""
    weights = np.full(n // 2 + 1, between, real_dtype(dtype))
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights
