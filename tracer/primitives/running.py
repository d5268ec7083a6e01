"""Running sums, products and extremes along an axis, and the recurrence of their derivatives.

Those of bfloat16 are float32's, rounded at their end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracer.errors import ShapeError
from tracer.graph.primitive import Lowering, Primitive, register
from tracer.primitives.broadcast import broadcast_to
from tracer.primitives.cast import cast
from tracer.primitives.comparison import equal, isnan, logical_and, logical_or, select
from tracer.primitives.linear import linear
from tracer.primitives.shape import concatenate, slice_axis
from tracer.trace import bind
from tracer.types import FLOAT32, ArrayType, is_brain


def _running(function: np.ufunc) -> Callable[..., Any]:
    """NumPy's accumulation, from either end, in the dtype of the array."""

    def evaluate(x: Any, *, axis: int, reverse: bool) -> Any:
        if not reverse:
            return function.accumulate(x, axis, x.dtype)
        return np.flip(function.accumulate(np.flip(x, axis), axis, x.dtype), axis)

    return evaluate


def _same_type(x: ArrayType, *, axis: int, reverse: bool) -> ArrayType:
    return x


cumsum_p = linear(
    "cumsum",
    _same_type,
    _running(np.add),
    lambda ct, operands, active, axis, reverse: [cumsum(ct, axis, not reverse)],
    lambda size, operands, batched, axis, reverse: cumsum(operands[0], axis + 1, reverse),
    Lowering("kernel", "cumsum"),
)


def cumsum(x: Any, axis: int, reverse: bool = False) -> Any:
    """Running sums along an axis, from the last element on with `reverse`."""
    if is_brain(x.dtype):
        return cast(cumsum(cast(x, FLOAT32), axis, reverse), x.dtype)
    return bind(cumsum_p, x, axis=axis, reverse=reverse)


def shifted(x: Any, axis: int, reverse: bool, first: Any) -> Any:
    """Each element's predecessor in the direction of travel; `first` where there is none."""
    length = x.shape[axis]
    if length == 0:
        return x
    shape = tuple(1 if place == axis else extent for place, extent in enumerate(x.shape))
    edge = broadcast_to(x.dtype.type(first), shape)
    if reverse:
        return concatenate([slice_axis(x, axis, 1, length), edge], axis)
    return concatenate([edge, slice_axis(x, axis, 0, length - 1)], axis)


def _recurrence_type(a: ArrayType, b: ArrayType, *, axis: int, reverse: bool) -> ArrayType:
    if a != b:
        raise ShapeError(f"a recurrence takes factors and terms of one type, not {a} and {b}")
    return b


def _recurrence_evaluate(a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
    out = np.array(b)
    factors, terms = np.moveaxis(a, axis, 0), np.moveaxis(out, axis, 0)
    if reverse:
        factors, terms = factors[::-1], terms[::-1]
    for place in range(1, len(terms)):
        terms[place] += factors[place] * terms[place - 1]
    return out


def _recurrence_jvp(primals: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    a, _ = primals
    t_a, t_b = tangents
    if t_a is not None:
        term = t_a * shifted(out, axis, reverse, 0)
        t_b = term if t_b is None else t_b + term
    return None if t_b is None else recurrence(a, t_b, axis, reverse)


def _recurrence_vjp(
    ct: Any, primals: Any, out: Any, active: Any, *, axis: int, reverse: bool
) -> list[Any]:
    back = recurrence(shifted(primals[0], axis, not reverse, 0), ct, axis, not reverse)
    of_factors = back * shifted(out, axis, reverse, 0) if active[0] else None
    return [of_factors, back if active[1] else None]


def _recurrence_transpose(
    ct: Any, operands: Any, active: Any, *, axis: int, reverse: bool
) -> list[Any]:
    return [None, recurrence(shifted(operands[0], axis, not reverse, 0), ct, axis, not reverse)]


def _recurrence_batch(size: int, operands: Any, batched: Any, *, axis: int, reverse: bool) -> Any:
    a, b = (
        operand if has else broadcast_to(operand, (size, *operand.shape))
        for operand, has in zip(operands, batched, strict=True)
    )
    return recurrence(a, b, axis + 1, reverse)


recurrence_p = register(
    Primitive(
        "recurrence",
        _recurrence_type,
        _recurrence_evaluate,
        jvp_rule=_recurrence_jvp,
        vjp_rule=_recurrence_vjp,
        transpose_rule=_recurrence_transpose,
        linear="each",
        linear_operands=(1,),
        batch_rule=_recurrence_batch,
        lowering=Lowering("kernel", "recurrence"),
    )
)


def recurrence(a: Any, b: Any, axis: int, reverse: bool = False) -> Any:
    """z with z[k] = a[k]·z[k − 1] + b[k] along an axis, z[−1] = 0.

    `a` and `b` have one shape and dtype. With `reverse`, from the last element on.
    """
    if is_brain(b.dtype):
        return cast(recurrence(cast(a, FLOAT32), cast(b, FLOAT32), axis, reverse), b.dtype)
    return bind(recurrence_p, a, b, axis=axis, reverse=reverse)


def _scan(
    name: str, function: np.ufunc, jvp_rule: Any, vjp_rule: Any = None
) -> tuple[Primitive, Callable[..., Any]]:
    def batch_rule(size: int, operands: Any, batched: Any, *, axis: int, reverse: bool) -> Any:
        return bind(primitive, operands[0], axis=axis + 1, reverse=reverse)

    primitive = Primitive(
        name,
        _same_type,
        _running(function),
        jvp_rule=jvp_rule,
        vjp_rule=vjp_rule,
        batch_rule=batch_rule,
        lowering=Lowering("kernel", name),
    )

    def apply(x: Any, axis: int, reverse: bool = False) -> Any:
        if is_brain(x.dtype):
            return cast(apply(cast(x, FLOAT32), axis, reverse), x.dtype)
        return bind(primitive, x, axis=axis, reverse=reverse)

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"{name} along an axis, from the last element on with `reverse`."
    return register(primitive), apply


def _cumprod_jvp(primals: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    """The tangent follows the recurrence of the product, so that factors of 0 are no harm."""
    before = shifted(out, axis, reverse, 1)
    return recurrence(primals[0], tangents[0] * before, axis, reverse)


def _cumprod_vjp(
    ct: Any, primals: Any, out: Any, active: Any, *, axis: int, reverse: bool
) -> list[Any]:
    later = shifted(primals[0], axis, not reverse, 0)
    before = shifted(out, axis, reverse, 1)
    return [recurrence(later, ct, axis, not reverse) * before]


cumprod_p, cumprod = _scan("cumprod", np.multiply, _cumprod_jvp, _cumprod_vjp)


def _same(x: Any, y: Any) -> Any:
    return logical_or(equal(x, y), logical_and(isnan(x), isnan(y)))


def _extreme_jvp(primals: Any, tangents: Any, out: Any, *, axis: int, reverse: bool) -> Any:
    """Elements equal to the extreme so far share equally: a sum and count that restart with it."""
    x = primals[0]
    zero, one = x.dtype.type(0), x.dtype.type(1)
    attains = cast(_same(x, out), x.dtype)
    goes_on = cast(_same(out, shifted(out, axis, reverse, 0)), x.dtype)
    count = recurrence(goes_on, attains, axis, reverse)
    weight = select(equal(count, zero), zero, one / count)
    return recurrence(goes_on, attains * tangents[0], axis, reverse) * weight


cummax_p, cummax = _scan("cummax", np.maximum, _extreme_jvp)
cummin_p, cummin = _scan("cummin", np.minimum, _extreme_jvp)
