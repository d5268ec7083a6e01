"""Elementwise functions of whole numbers and of the bits of floating-point numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.primitives.pointwise import apply_ufunc, pointwise
from tracer.trace import bind
from tracer.types import ArrayType

gcd = apply_ufunc(pointwise("gcd", np.gcd), np.gcd)
lcm = apply_ufunc(pointwise("lcm", np.lcm), np.lcm)
spacing = apply_ufunc(pointwise("spacing", np.spacing), np.spacing)
bitwise_count = apply_ufunc(pointwise("bitwise_count", np.bitwise_count), np.bitwise_count)

INT32 = np.dtype(np.int32)

binary_exponent_p = pointwise(
    "binary_exponent",
    np.frexp,
    type_rule=lambda x: ArrayType(INT32, x.shape),
    evaluate=lambda x: np.frexp(x)[1],
)


def binary_exponent(x: Any) -> Any:
    """The e for which x = m · 2**e with ½ ≤ |m| < 1; 0 for 0, NaN and infinities."""
    return bind(binary_exponent_p, x)
