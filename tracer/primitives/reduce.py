"""Reductions: product, maximum, minimum, all, any, and the place of the largest or smallest."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracer.graph.primitive import Lowering, Primitive, Rule, register
from tracer.primitives.broadcast import (
    keep_axes,
    reduce_sum,
    reshape,
    without_axes,
)
from tracer.primitives.cast import cast
from tracer.primitives.comparison import equal, isnan, logical_and, logical_or
from tracer.primitives.shape import slice_axis, transpose
from tracer.trace import bind
from tracer.types import INT64, ArrayType

Axes = tuple[int, ...]


def _reduced(x: ArrayType, *, axes: Axes) -> ArrayType:
    return ArrayType(x.dtype, without_axes(x.shape, axes))


def _nonempty(name: str) -> Rule:
    def type_rule(x: ArrayType, *, axes: Axes) -> ArrayType:
        if any(x.shape[axis] == 0 for axis in axes):
            raise ValueError(f"zero-size array to reduction operation {name} which has no identity")
        return _reduced(x, axes=axes)

    return type_rule


def _reduction(
    name: str,
    ufunc: np.ufunc,
    type_rule: Rule,
    jvp_rule: Rule | None = None,
    vjp_rule: Rule | None = None,
) -> Primitive:
    def evaluate(x: Any, *, axes: Axes) -> Any:
        return ufunc.reduce(x, axis=axes, **({"dtype": x.dtype} if ufunc is np.multiply else {}))

    def batch_rule(size: int, operands: Any, batched: Any, *, axes: Axes) -> Any:
        return bind(primitive, operands[0], axes=tuple(axis + 1 for axis in axes))

    primitive = Primitive(
        name,
        type_rule,
        evaluate,
        jvp_rule=jvp_rule,
        vjp_rule=vjp_rule,
        batch_rule=batch_rule,
        lowering=Lowering("reduction", ufunc.__name__),
        differentiable=jvp_rule is not None,
    )
    return register(primitive)


def _extreme_weights(x: Any, out: Any, axes: Axes) -> Any:
    """Each element's share in the extreme: ties share equally; where it is NaN, the NaNs do."""
    kept = keep_axes(x.shape, axes)
    wide = reshape(out, kept)
    chosen = logical_or(equal(x, wide), logical_and(isnan(x), isnan(wide)))
    weights = cast(chosen, x.dtype)
    return weights / reshape(reduce_sum(weights, axes), kept)


def _extreme_jvp(primals: Any, tangents: Any, out: Any, *, axes: Axes) -> Any:
    return reduce_sum(tangents[0] * _extreme_weights(primals[0], out, axes), axes)


def _extreme_vjp(ct: Any, primals: Any, out: Any, active: Any, *, axes: Axes) -> list[Any]:
    x = primals[0]
    return [reshape(ct, keep_axes(x.shape, axes)) * _extreme_weights(x, out, axes)]


def _product_jvp(primals: Any, tangents: Any, out: Any, *, axes: Axes) -> Any:
    """The tangent of a product by a tree of pairs, which is right where factors are 0, at every
    order.
    """
    value, tangent = _flattened(primals[0], axes), _flattened(tangents[0], axes)
    length = value.shape[0]
    if length == 0:
        return None
    while length > 1:
        half = length // 2
        first, second = slice_axis(value, 0, 0, half), slice_axis(value, 0, half, 2 * half)
        t_first = slice_axis(tangent, 0, 0, half)
        t_second = slice_axis(tangent, 0, half, 2 * half)
        products, t_products = first * second, t_first * second + first * t_second
        if length % 2:
            last, t_last = (slice_axis(a, 0, length - 1, length) for a in (value, tangent))
            head, t_head = slice_axis(products, 0, 0, 1), slice_axis(t_products, 0, 0, 1)
            folded, t_folded = head * last, t_head * last + head * t_last
            if half == 1:
                products, t_products = folded, t_folded
            else:
                from tracer.primitives.shape import concatenate

                rest = slice_axis(products, 0, 1, half)
                t_products = concatenate([t_folded, slice_axis(t_products, 0, 1, half)], 0)
                products = concatenate([folded, rest], 0)
        value, tangent, length = products, t_products, half
    return reshape(tangent, out.shape)


def _flattened(x: Any, axes: Axes) -> Any:
    rest = tuple(axis for axis in range(x.ndim) if axis not in axes)
    length = math.prod(x.shape[axis] for axis in axes)
    return reshape(transpose(x, (*axes, *rest)), (length, *(x.shape[axis] for axis in rest)))


reduce_prod_p = _reduction("reduce_prod", np.multiply, _reduced, _product_jvp)
reduce_max_p = _reduction(
    "reduce_max", np.maximum, _nonempty("maximum"), _extreme_jvp, _extreme_vjp
)
reduce_min_p = _reduction(
    "reduce_min", np.minimum, _nonempty("minimum"), _extreme_jvp, _extreme_vjp
)
reduce_and_p = _reduction("reduce_and", np.logical_and, _reduced)
reduce_or_p = _reduction("reduce_or", np.logical_or, _reduced)


def reduce_prod(x: Any, axes: Axes) -> Any:
    """The product over `axes`, which vanish."""
    return bind(reduce_prod_p, x, axes=axes) if axes else x


def reduce_max(x: Any, axes: Axes) -> Any:
    """The maximum over `axes`; NaN where one is."""
    return bind(reduce_max_p, x, axes=axes) if axes else x


def reduce_min(x: Any, axes: Axes) -> Any:
    """The minimum over `axes`; NaN where one is."""
    return bind(reduce_min_p, x, axes=axes) if axes else x


def reduce_and(x: Any, axes: Axes) -> Any:
    """Whether all of a boolean array hold, over `axes`."""
    return bind(reduce_and_p, x, axes=axes) if axes else x


def reduce_or(x: Any, axes: Axes) -> Any:
    """Whether any of a boolean array holds, over `axes`."""
    return bind(reduce_or_p, x, axes=axes) if axes else x


def _arg_reduction(name: str, function: Any) -> Primitive:
    def type_rule(x: ArrayType, *, axis: int) -> ArrayType:
        if x.shape[axis] == 0:
            raise ValueError(f"attempt to get {name} of an empty sequence")
        return ArrayType(INT64, without_axes(x.shape, (axis,)))

    def batch_rule(size: int, operands: Any, batched: Any, *, axis: int) -> Any:
        return bind(primitive, operands[0], axis=axis + 1)

    primitive = Primitive(
        name,
        type_rule,
        lambda x, *, axis: function(x, axis),
        batch_rule=batch_rule,
        lowering=Lowering("arg_reduction", name),
        differentiable=False,
    )
    return register(primitive)


argmax_p = _arg_reduction("argmax", np.argmax)
argmin_p = _arg_reduction("argmin", np.argmin)


def argmax(x: Any, axis: int) -> Any:
    """Where the maximum is along an axis, the first of several; a NaN counts as largest."""
    return bind(argmax_p, x, axis=axis)


def argmin(x: Any, axis: int) -> Any:
    """Where the minimum is along an axis, the first of several; a NaN counts as smallest."""
    return bind(argmin_p, x, axis=axis)
