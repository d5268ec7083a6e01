"""Comparisons, logic, tests of numbers, bits, and the choice between two arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.primitives.pointwise import apply_ufunc, pointwise
from tracer.trace import bind
from tracer.types import BOOL, ArrayType, broadcast_shapes

equal = apply_ufunc(pointwise("equal", np.equal), np.equal)
not_equal = apply_ufunc(pointwise("not_equal", np.not_equal), np.not_equal)
less = apply_ufunc(pointwise("less", np.less), np.less)
less_equal = apply_ufunc(pointwise("less_equal", np.less_equal), np.less_equal)
greater = apply_ufunc(pointwise("greater", np.greater), np.greater)
greater_equal = apply_ufunc(pointwise("greater_equal", np.greater_equal), np.greater_equal)

logical_and = apply_ufunc(pointwise("logical_and", np.logical_and), np.logical_and)
logical_or = apply_ufunc(pointwise("logical_or", np.logical_or), np.logical_or)
logical_xor = apply_ufunc(pointwise("logical_xor", np.logical_xor), np.logical_xor)
logical_not = apply_ufunc(pointwise("logical_not", np.logical_not), np.logical_not)

isnan = apply_ufunc(pointwise("isnan", np.isnan), np.isnan)
isinf = apply_ufunc(pointwise("isinf", np.isinf), np.isinf)
isfinite = apply_ufunc(pointwise("isfinite", np.isfinite), np.isfinite)
signbit = apply_ufunc(pointwise("signbit", np.signbit), np.signbit)

bitwise_and = apply_ufunc(pointwise("bitwise_and", np.bitwise_and), np.bitwise_and)
bitwise_or = apply_ufunc(pointwise("bitwise_or", np.bitwise_or), np.bitwise_or)
bitwise_xor = apply_ufunc(pointwise("bitwise_xor", np.bitwise_xor), np.bitwise_xor)
invert = apply_ufunc(pointwise("invert", np.invert), np.invert)
left_shift = apply_ufunc(pointwise("left_shift", np.left_shift), np.left_shift)
right_shift = apply_ufunc(pointwise("right_shift", np.right_shift), np.right_shift)


def _select_type(condition: ArrayType, x: ArrayType, y: ArrayType) -> ArrayType:
    if condition.dtype != BOOL or x.dtype != y.dtype:
        raise TypeError(f"select takes a bool and two equal dtypes, not {condition}, {x}, {y}")
    return ArrayType(x.dtype, broadcast_shapes(condition.shape, x.shape, y.shape))


def _select_evaluate(condition: Any, x: Any, y: Any) -> Any:
    return np.where(condition, x, y)[()]


select_p = pointwise(
    "select",
    np.add,
    None,
    lambda t, out, c, x, y: select(c, t, t.dtype.type(0)),
    lambda t, out, c, x, y: select(c, t.dtype.type(0), t),
    type_rule=_select_type,
    evaluate=_select_evaluate,
)


def select(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the condition holds, else `y`; one dtype, shapes broadcast."""
    return bind(select_p, condition, x, y)
