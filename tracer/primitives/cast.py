"""Conversion between dtypes, and between a complex number and its parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracer.graph.primitive import Lowering, Primitive, register
from tracer.trace import bind
from tracer.types import (
    ArrayType,
    DType,
    broadcast_shapes,
    check_dtype,
    complex_dtype,
    is_complex,
    is_inexact,
    real_dtype,
)


def _cast_evaluate(x: Any, *, dtype: DType) -> Any:
    if is_complex(x.dtype) and not is_complex(dtype) and dtype.kind != "b":
        x = x.real
    with np.errstate(all="ignore"):
        return x.astype(dtype)


def _cast_jvp(primals: Any, tangents: Any, out: Any, *, dtype: DType) -> Any:
    if not is_inexact(dtype) or tangents[0] is None:
        return None
    return cast(tangents[0], dtype)


def _cast_vjp(ct: Any, primals: Any, out: Any, active: Any, *, dtype: DType) -> list[Any]:
    if not is_inexact(dtype) or not is_inexact(primals[0].dtype):
        return [None]
    return [cast(ct, primals[0].dtype)]


cast_p = register(
    Primitive(
        "cast",
        lambda x, *, dtype: ArrayType(check_dtype(dtype), x.shape),
        _cast_evaluate,
        jvp_rule=_cast_jvp,
        vjp_rule=_cast_vjp,
        batch_rule=lambda size, operands, batched, dtype: cast(operands[0], dtype),
        lowering=Lowering("elementwise", "cast"),
    )
)


def cast(x: Any, dtype: DType) -> Any:
    """`x.astype(dtype)`; the imaginary part is dropped where `dtype` is real."""
    return x if x.dtype == dtype else bind(cast_p, x, dtype=dtype)


def _part(name: str, evaluate: Any, back: Any) -> Primitive:
    def vjp_rule(ct: Any, primals: Any, out: Any, active: Any) -> list[Any]:
        return [back(ct)]

    primitive = Primitive(
        name,
        lambda x: ArrayType(real_dtype(x.dtype), x.shape),
        evaluate,
        jvp_rule=lambda primals, tangents, out: bind(primitive, tangents[0]),
        vjp_rule=vjp_rule,
        batch_rule=lambda size, operands, batched: bind(primitive, operands[0]),
        lowering=Lowering("elementwise", name),
    )
    return register(primitive)


real_p = _part("real", lambda x: np.real(x), lambda ct: make_complex(ct, _zero_like(ct)))
imag_p = _part("imag", lambda x: np.imag(x), lambda ct: make_complex(_zero_like(ct), -ct))


def _zero_like(x: Any) -> Any:
    return x.dtype.type(0)


def real_part(x: Any) -> Any:
    """The real part; a real array itself."""
    return bind(real_p, x) if is_complex(x.dtype) else x


def imag_part(x: Any) -> Any:
    """The imaginary part of a complex array."""
    return bind(imag_p, x)


def _complex_evaluate(x: Any, y: Any) -> Any:
    out = np.empty(np.broadcast_shapes(np.shape(x), np.shape(y)), complex_dtype(x.dtype))
    out.real = x
    out.imag = y
    return out[()]


def _complex_jvp(primals: Any, tangents: Any, out: Any) -> Any:
    from tracer.primitives.broadcast import broadcast_to

    x, y = (_zero_like(p) if t is None else t for p, t in zip(primals, tangents, strict=True))
    return broadcast_to(make_complex(x, y), out.shape)


def _complex_vjp(ct: Any, primals: Any, out: Any, active: Any) -> list[Any]:
    from tracer.primitives.broadcast import unbroadcast

    parts = (real_part(ct), -imag_part(ct))
    return [
        unbroadcast(part, primal.shape) if wanted else None
        for part, primal, wanted in zip(parts, primals, active, strict=True)
    ]


def _complex_batch(size: int, operands: Any, batched: Any) -> Any:
    from tracer.primitives.pointwise import align_batched

    return make_complex(*align_batched(operands, batched, size))


complex_p = register(
    Primitive(
        "complex",
        lambda x, y: ArrayType(complex_dtype(x.dtype), broadcast_shapes(x.shape, y.shape)),
        _complex_evaluate,
        jvp_rule=_complex_jvp,
        vjp_rule=_complex_vjp,
        batch_rule=_complex_batch,
        lowering=Lowering("elementwise", "complex"),
    )
)


def make_complex(x: Any, y: Any) -> Any:
    """`x + iy` of two real arrays of one dtype."""
    return bind(complex_p, x, y)
