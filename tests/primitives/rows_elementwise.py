"""Rows of the elementwise primitives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special

from tests.primitives.builders import (
    ABOVE,
    COMPLEX_RULE,
    FULL,
    LIBRARY,
    SHAPES,
    case,
    elementwise,
    plain,
)
from tests.primitives.row import COMPLEX, EVERYTHING, FLOATS, INTEGERS, NUMBERS, Case, Row, type_of
from tracer.graph.primitive import REGISTRY
from tracer.trace import bind
from tracer.types import ArrayType


def _extreme(function: np.ufunc) -> Row:
    return elementwise(
        function,
        ((0, 1), (2, 3)),
        ((2, 3), (0, 1)),
        dtypes=(*FLOATS, *INTEGERS, "?"),
        ambiguous=lambda x, y: (x == 0) & (y == 0),  # which zero of 0 and −0 is the larger one
    )


ARITHMETIC = {
    "add": elementwise(np.add, (FULL, FULL), dtypes=EVERYTHING),
    "subtract": elementwise(np.subtract, (FULL, FULL), dtypes=NUMBERS),
    "multiply": elementwise(
        np.multiply, (FULL, FULL), dtypes=EVERYTHING, ulps=4, reason=COMPLEX_RULE
    ),
    "divide": elementwise(
        np.divide,
        (FULL, ABOVE),
        dtypes=FLOATS + COMPLEX,
        ulps=4,
        reason=COMPLEX_RULE,
        ambiguous=lambda x, y: (y == 0) & np.iscomplexobj(y),  # NaNs and infinities of all kinds
    ),
    "floor_divide": elementwise(np.floor_divide, (FULL, ABOVE), dtypes=FLOATS + INTEGERS, order=0),
    "remainder": elementwise(
        np.remainder,
        ((2.2, 2.4), (0.95, 0.99)),
        ((2.2, 2.4), (-0.99, -0.95)),
        dtypes=FLOATS + INTEGERS,
    ),
    "fmod": elementwise(
        np.fmod, ((2.2, 2.4), (0.95, 0.99)), ((-2.4, -2.2), (0.95, 0.99)), dtypes=FLOATS + INTEGERS
    ),
    "stop_gradient": elementwise(lambda x: x, FULL, dtypes=EVERYTHING, order=0),
    "negative": elementwise(np.negative, FULL, dtypes=NUMBERS),
    "positive": elementwise(np.positive, FULL, dtypes=NUMBERS),
    "conjugate": elementwise(np.conjugate, FULL, dtypes=NUMBERS),
    "sign": elementwise(np.sign, FULL, dtypes=FLOATS + INTEGERS, order=0),
    "absolute": elementwise(np.absolute, (0.5, 2.0), (-2.0, -0.5), dtypes=FLOATS + INTEGERS),
    "square": elementwise(np.square, FULL, dtypes=NUMBERS, ulps=4, reason=COMPLEX_RULE),
    "reciprocal": elementwise(
        np.reciprocal,
        ABOVE,
        dtypes=FLOATS + COMPLEX,
        ulps=4,
        reason=COMPLEX_RULE,
        ambiguous=lambda x: (x == 0) & np.iscomplexobj(x),
    ),
    "sqrt": elementwise(np.sqrt, ABOVE, dtypes=FLOATS + COMPLEX, ulps=4, reason=LIBRARY),
    "cbrt": elementwise(np.cbrt, ABOVE, (-3.0, -0.5), ulps=4, reason=LIBRARY),
    "hypot": elementwise(np.hypot, (ABOVE, FULL), ulps=4, reason=LIBRARY),
    "magnitude": elementwise(np.sqrt, ABOVE, ulps=4, reason=LIBRARY),
    "power": elementwise(
        np.power,
        (ABOVE, FULL),
        dtypes=(*FLOATS, *COMPLEX, *INTEGERS),
        integers=(0, 6),
        ulps=8,
        reason=LIBRARY,
        special=FLOATS,
        ambiguous=lambda x, y: y == 0.5,  # a square root for a scalar exponent: −0 and −inf differ
    ),
    "integer_power": elementwise(
        lambda x, exponent: np.power(x, x.dtype.type(exponent)),
        FULL,
        dtypes=FLOATS,
        ulps=8,
        reason="repeated squaring rounds at each step",
        special=(),
        exponent=5,
    ),
    "maximum": _extreme(np.maximum),
    "minimum": _extreme(np.minimum),
    "fmax": _extreme(np.fmax),
    "fmin": _extreme(np.fmin),
    "floor": elementwise(np.floor, FULL, order=0),
    "ceil": elementwise(np.ceil, FULL, order=0),
    "trunc": elementwise(np.trunc, FULL, order=0),
    "rint": elementwise(np.rint, FULL, order=0),
    "nextafter": elementwise(np.nextafter, (FULL, FULL), order=0),
    "copysign": elementwise(
        np.copysign, ((0.5, 2), (0.5, 2)), ((-2, -0.5), (0.5, 2)), ((0.5, 2), (-2, -0.5))
    ),
}


def _compare(function: np.ufunc) -> Row:
    return elementwise(function, (FULL, FULL), dtypes=(*FLOATS, *INTEGERS, "?"), order=0)


def _logic(function: np.ufunc, arity: int = 2) -> Row:
    return elementwise(function, (FULL,) * arity, dtypes=("?", *FLOATS, "i8", "u1"), order=0)


def _bits(function: np.ufunc, arity: int = 2, *, boolean: bool = True) -> Row:
    dtypes = (*INTEGERS, "?") if boolean else INTEGERS
    return elementwise(function, (FULL,) * arity, dtypes=dtypes, order=0)


CHOICES = {
    **{
        name: _compare(getattr(np, name))
        for name in ["equal", "not_equal", "less", "less_equal", "greater", "greater_equal"]
    },
    **{
        name: _logic(getattr(np, f"logical_{name[8:]}"))
        for name in ("logical_and", "logical_or", "logical_xor")
    },
    "logical_not": _logic(np.logical_not, 1),
    "isnan": elementwise(np.isnan, FULL, dtypes=FLOATS + COMPLEX, order=0),
    "isinf": elementwise(np.isinf, FULL, dtypes=FLOATS + COMPLEX, order=0),
    "isfinite": elementwise(np.isfinite, FULL, dtypes=FLOATS + COMPLEX, order=0),
    "signbit": elementwise(np.signbit, FULL, order=0),
    "bitwise_and": _bits(np.bitwise_and),
    "bitwise_or": _bits(np.bitwise_or),
    "bitwise_xor": _bits(np.bitwise_xor),
    "invert": _bits(np.invert, 1),
    "left_shift": _bits(np.left_shift, boolean=False),
    "right_shift": _bits(np.right_shift, boolean=False),
    "gcd": elementwise(np.gcd, (FULL, FULL), dtypes=INTEGERS, order=0, special=("i4", "u8")),
    "lcm": elementwise(
        np.lcm, (FULL, FULL), dtypes=INTEGERS, integers=(-10, 10), order=0, special=("u1",)
    ),
    "bitwise_count": elementwise(np.bitwise_count, FULL, dtypes=INTEGERS, order=0),
    "spacing": elementwise(np.spacing, FULL, order=0),
    "binary_exponent": elementwise(lambda x: np.frexp(x)[1], FULL, order=0),
    "select": plain(
        np.where,
        *(
            Case(
                (type_of("?", shapes[0]), type_of(dtype, shapes[1]), type_of(dtype, shapes[2])),
                (FULL,) * 3,
            )
            for dtype in ("f8", "f4", "c16", "i8", "?")
            for shapes in (SHAPES[3] if dtype == "f8" else SHAPES[3][:1])
        ),
    ),
}


def _function(
    reference: Callable[..., Any],
    *domains: Any,
    dtypes: Sequence[str] = FLOATS,
    ulps: float = 4,
    special: Sequence[str] = FLOATS,
    order: int = 2,
) -> Row:
    return elementwise(
        reference,
        *domains,
        dtypes=dtypes,
        ulps=ulps,
        reason=LIBRARY,
        special=special,
        order=order,
    )


def _zeta_case(type_: ArrayType) -> Case:
    """With a fixed exponent: there is no derivative in it."""
    exponent = type_.dtype.type(2.5)
    return Case((type_,), (ABOVE,), {}, lambda q: [bind(REGISTRY["zeta"], exponent, q)])


ANALYTIC = FLOATS + COMPLEX
TRANSCENDENTAL = {
    "exp": _function(np.exp, FULL, dtypes=ANALYTIC),
    "exp2": _function(np.exp2, FULL, dtypes=ANALYTIC),
    "expm1": _function(np.expm1, FULL, dtypes=ANALYTIC),
    "log": _function(np.log, ABOVE, dtypes=ANALYTIC),
    "log2": _function(np.log2, ABOVE, dtypes=ANALYTIC),
    "log10": _function(np.log10, ABOVE, dtypes=ANALYTIC),
    "log1p": _function(np.log1p, ABOVE, (-0.8, 0.8), dtypes=ANALYTIC),
    "sin": _function(np.sin, FULL, dtypes=ANALYTIC),
    "cos": _function(np.cos, FULL, dtypes=ANALYTIC),
    "tan": _function(np.tan, (-1.2, 1.2), dtypes=ANALYTIC),
    "arcsin": _function(np.arcsin, (0.1, 0.8), dtypes=ANALYTIC),
    "arccos": _function(np.arccos, (0.1, 0.8), dtypes=ANALYTIC),
    "arctan": _function(np.arctan, (0.1, 0.8), FULL, dtypes=ANALYTIC),
    "sinh": _function(np.sinh, FULL, dtypes=ANALYTIC),
    "cosh": _function(np.cosh, FULL, dtypes=ANALYTIC),
    "tanh": _function(np.tanh, (-1.2, 1.2), dtypes=ANALYTIC),
    "arcsinh": _function(np.arcsinh, (0.1, 0.8), FULL, dtypes=ANALYTIC),
    "arccosh": _function(np.arccosh, (1.3, 3.0), dtypes=ANALYTIC),
    "arctanh": _function(np.arctanh, (0.1, 0.8), dtypes=ANALYTIC),
    "arctan2": _function(np.arctan2, (ABOVE, FULL), (FULL, ABOVE)),
    "logaddexp": _function(np.logaddexp, (FULL, FULL)),
    "logaddexp2": _function(np.logaddexp2, (FULL, FULL)),
    "erf": _function(scipy.special.erf, FULL),
    "erfc": _function(scipy.special.erfc, FULL, ulps=16),
    "erfinv": _function(scipy.special.erfinv, (-0.8, 0.8), ulps=16),
    "expit": _function(scipy.special.expit, FULL),
    "gammaln": _function(scipy.special.gammaln, ABOVE, (-1.8, -1.2), ulps=16),
    "zeta": plain(
        lambda q: scipy.special.zeta(q.dtype.type(2.5), q),
        *(_zeta_case(type_of(dtype, shape)) for dtype, shape in (("f8", ()), ("f8", (2, 3)))),
        _zeta_case(type_of("f4", (3,))),
        ulps=64,
        reason=LIBRARY,
    ),
    "digamma": _function(scipy.special.psi, ABOVE, (-1.8, -1.2), ulps=128),  # near its zeros
}


def _cast(x: Any, dtype: Any) -> Any:
    x = np.real(x) if x.dtype.kind == "c" and dtype.kind not in "cb" else x
    return x.astype(dtype)


# A float beyond an integer's range has no value that every machine agrees on.
_CASTS = [(a, b) for a in EVERYTHING for b in EVERYTHING if a != b]
CONVERSIONS = {
    "cast": plain(
        _cast,
        case("f8 2,3", dtype=np.dtype("f4")),
        *(
            Case(
                (type_of(a, (6,)),),
                ((0.0, 100.0) if b[0] == "u" else (-100.0, 100.0),),
                {"dtype": np.dtype(b)},
            )
            for a, b in _CASTS
        ),
    ),
    "real": plain(np.real, case("c16 2,3"), case("c16"), case("c8 3")),
    "imag": plain(np.imag, case("c16 2,3"), case("c16"), case("c8 3")),
    "complex": plain(
        lambda x, y: x + 1j * y,
        case("f8 3", "f8 3"),
        case("f8 2,1", "f8 3"),
        case("f8", "f8 2"),
        case("f8", "f8"),
        case("f4 3", "f4 3"),
    ),
}


ROWS: dict[str, Row] = {**ARITHMETIC, **CHOICES, **TRANSCENDENTAL, **CONVERSIONS}
